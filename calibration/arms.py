"""Frames of a rig's arms as linear planes: what colour, geometry and filter calibration share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from isp_sim import readout
from isp_sim import sensor as chip
from isp_sim.dng import read_dng
from isp_sim.picture_files import read_unit
from isp_sim.raw import Raw
from isp_sim.rig import Sensor
from isp_sim.rigfile import rigs_folder
from isp_sim.transfer import srgb_decode

Array = NDArray[np.float64]


def read_stack(paths: Sequence[Path], sensor: Sensor | None = None) -> tuple[Raw, Array]:
    """Raws of one static scene: the first, and the mean of all less black, in shares of the range; see `linear`.

    Raises:
        ValueError: they differ in size, exposure or gain, or one cannot be read.
        FileNotFoundError: one is missing.
    """
    first, total = read_dng(paths[0]), None
    for path in paths:
        raw = read_dng(path)
        if (raw.counts.shape, raw.exposure_us, raw.gain_db) != (first.counts.shape, first.exposure_us, first.gain_db):
            raise ValueError(f"{path}: differs from {paths[0]} in size, exposure or gain; expected one setting a stack")
        part = linear(raw, sensor)
        total = part if total is None else total + part
    assert total is not None
    return first, np.asarray(total / len(paths))


def linear(raw: Raw, sensor: Sensor | None = None, temperature_c: float | None = None) -> Array:
    """Counts less black over the range: 0 black, 1 saturated; `(height, width)`.

    Args:
        raw: the frame; its black level is the nominal one.
        sensor: the camera's, whose black bias is taken off too; a frame of n×n binned pixels has it n² times.
        temperature_c: of the sensor; with it the dark current goes too.
    """
    black = np.array(raw.black_level_dn).reshape(2, 2)
    if sensor is not None:
        bias = np.array(sensor.black_bias_dn.value).reshape(2, 2)
        if temperature_c is not None:
            dark_e = chip.numbers(sensor, raw.exposure_us, temperature_c).dark_e
            bias = bias + dark_e * readout.system_gain(sensor, raw.gain_db)
        black = black + bias * raw.white_level_dn / sensor.white_level_dn
    height, width = raw.counts.shape
    pedestal = np.tile(black, (height // 2, width // 2))
    return np.asarray(
        (raw.counts[: height // 2 * 2, : width // 2 * 2] - pedestal) / (raw.white_level_dn - black.mean())
    )


def tiles(plane: Array, cfa: str) -> Array:
    """A mosaic → one RGB pixel a tile, the two greens' mean: `(height/2, width/2, 3)`."""
    rgb = np.zeros((plane.shape[0] // 2, plane.shape[1] // 2, 3))
    for phase, colour in enumerate(cfa):
        rgb[..., "RGB".index(colour)] += plane[phase // 2 :: 2, phase % 2 :: 2] / cfa.count(colour)
    return rgb


def read_picture(path: Path) -> Array:
    """An sRGB picture as linear RGB, `(height, width, 3)`. Raises as `isp_sim.picture_files.read_picture`."""
    return np.asarray(srgb_decode(torch.from_numpy(read_unit(path))).numpy(), np.float64)


def extended(rig: str, out: Path) -> str:
    """What a rig file in a folder writes behind `extends` to go on from another.

    Raises:
        ValueError: a rig of the user's own that lies elsewhere: rigs extend what lies beside them.
    """
    path = Path(rig)
    if not path.is_file() or path.resolve().parent == rigs_folder().resolve():
        return path.stem
    if path.resolve().parent != out.resolve():
        raise ValueError(f"{rig}: a rig extends files beside it; give --out {path.parent}")
    return path.name
