"""What was measured of a camera as a tuning file of libcamera's Raspberry Pi pipelines, version 2.0.

`rpi.black_level` (in 16 bits), `rpi.noise` (standard deviation `constant + slope·√mean`, in 16 bits at a gain of 1) and
`rpi.alsc` (gains of green, and of red and blue over it, in the middles of cells, row by row) are what flats and darks
tell; libcamera's own defaults serve for the rest (Raspberry Pi Camera Algorithm and Tuning Guide, 2022).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from calibration.arms import Array
from calibration.shading_tables import cell_values

Target = Literal["bcm2835", "pisp"]
CELLS: dict[Target, tuple[int, int]] = {"bcm2835": (12, 16), "pisp": (32, 32)}
"""Rows and columns of `rpi.alsc`, by the chip: Raspberry Pi up to 4, and 5."""


def tuning_file(
    target: Target, black_16: float, noise: tuple[float, float], tables: Mapping[float, Sequence[Array]]
) -> str:
    """The file's text.

    Args:
        target: the chip.
        black_16: black level in 16 bits.
        noise: constant and slope, see `noise_line`.
        tables: of R, G and B by colour temperature, K: the whole fall-off, the lens's cos⁴ included.
    """
    algorithms = [
        {"rpi.black_level": {"black_level": round(black_16)}},
        {"rpi.noise": {"reference_constant": round(noise[0], 1), "reference_slope": round(noise[1], 4)}},
        {"rpi.alsc": alsc(tables, *CELLS[target])},
    ]
    return json.dumps({"version": 2.0, "target": target, "algorithms": algorithms}, indent=1) + "\n"


def alsc(tables: Mapping[float, Sequence[Array]], rows: int, columns: int) -> dict[str, object]:
    """`rpi.alsc`: one luminance table, their mean; two colour tables a temperature. The least gain of each is 1."""
    red, blue, luminance = [], [], []
    for temperature, of_colours in sorted(tables.items()):
        r, g, b = cell_values(of_colours, rows, columns)
        red.append({"ct": round(temperature), "table": _from_one(g / r)})
        blue.append({"ct": round(temperature), "table": _from_one(g / b)})
        luminance.append(1 / g)
    return {
        "luminance_strength": 1.0,
        "calibrations_Cr": red,
        "calibrations_Cb": blue,
        "luminance_lut": _from_one(np.mean(luminance, axis=0)),
    }


def _from_one(gains: Array) -> list[float]:
    return [round(float(gain), 4) for gain in (gains / gains.min()).ravel()]


def noise_line(means: Array, deviations: Array) -> tuple[float, float]:
    """Constant and slope of `σ = constant + slope·√mean` by least squares; a constant below 0 is 0.

    Args:
        means: of evenly lit places, black taken off, in 16 bits at a gain of 1.
        deviations: of a pixel in time, likewise.
    """
    roots = np.sqrt(np.maximum(means, 0))
    slope, constant = np.polyfit(roots, deviations, 1)
    if constant < 0:
        constant, slope = 0.0, float((roots * deviations).sum() / (roots**2).sum())
    return float(constant), float(slope)
