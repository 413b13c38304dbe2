"""Flats and darks → which pixels are dead, stuck or hot, which lines are dead."""

import numpy as np
from numpy.typing import NDArray

from calibration.arms import Array
from calibration.emva.defect_pixels import DEAD_BELOW
from isp_sim.faults import DefectList

LINE = 0.5
"""A row or column is dead if more than this share of its pixels is."""
STUCK_FROM = 0.01
"""Of the full well: a blind pixel that holds more in the dark is stuck, with less it is dead."""


def defect_list(
    even: Array, dark_e: Array, extra_e_per_s: NDArray[np.floating], hot_from: float, full_well_e: float
) -> DefectList:
    """The defects of a camera.

    Blind is what sees less than half of what its neighbours see, or half as much again: `|even − 1| > ½`.

    Args:
        even: flat less dark over its own shading; 1 is ordinary.
        dark_e: short darks above their median, e⁻.
        extra_e_per_s: extra dark current, see `calibration.emva.defect_pixels.extra_current`.
        hot_from: from where on a pixel is hot, e⁻/s.
        full_well_e: of the sensor.
    """
    blind = np.abs(even - 1) > 1 - DEAD_BELOW
    rows, columns = blind.mean(axis=1) > LINE, blind.mean(axis=0) > LINE
    elsewhere = ~(rows[:, None] | columns)
    share = dark_e / full_well_e
    stuck = blind & elsewhere & (share > STUCK_FROM)
    hot = ~blind & elsewhere & (extra_e_per_s > hot_from)
    return DefectList(
        dead=tuple(_places(blind & elsewhere & ~stuck)),
        stuck=tuple((x, y, round(min(float(share[y, x]), 1.0), 5)) for x, y in _places(stuck)),
        hot=tuple((x, y, round(float(extra_e_per_s[y, x]), 1)) for x, y in _places(hot)),
        dead_rows=tuple(np.flatnonzero(rows).tolist()),
        dead_columns=tuple(np.flatnonzero(columns).tolist()),
    )


def _places(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(x, y) of a mask's pixels, row by row."""
    return [(int(x), int(y)) for y, x in np.argwhere(mask)]
