"""Frames for shading and defects, from disk or simulated: flats by colour temperature, darks by exposure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.arms import Array
from calibration.session_folders import parts
from calibration.simulated_rig import shoot
from isp_sim.camera import SimulatedArm
from isp_sim.faults import ShadingTable
from isp_sim.optics import shading_at
from isp_sim.raw import Raw
from isp_sim.raw_files import open_raw
from isp_sim.rectify import ArmName
from isp_sim.rig import Arm, Rig
from isp_sim.transfer import D65_K
from isp_sim.units import Radiance

PARTS = re.compile(r"darks|flats(?:_(\d{4,5})K)?")
"""Folders of a session; flats without a colour temperature are daylight's."""
LEAST_SIGNAL, MOST_SIGNAL = 0.05, 0.9
"""Of the range: means of flats."""
SIMULATED_FRAMES = 16
SIMULATED_TEMPERATURES_K = (2856.0, D65_K)
LONG_DARK_US = 4e6
SIMULATED_FALLS = {
    2856.0: {"red": 0.5, "green": 0.4, "blue": 0.3},
    D65_K: {"red": 0.45, "green": 0.4, "blue": 0.35},
}
SIMULATED_DEFECTS = {"dead_per_million": 300, "stuck_per_million": 200, "dead_rows": 1, "dead_columns": 2}
SHORT_DARK_US = 10_000.0


@dataclass(frozen=True)
class Stack:
    """Frames of one setting.

    Attributes:
        raw: the first.
        mean: of their counts, DN, `(height, width)`.
        variance: in time, DN², likewise; of one frame NaN.
        frames: how many.
    """

    raw: Raw
    mean: Array
    variance: Array
    frames: int


@dataclass(frozen=True)
class FaultSession:
    """What shading and defects are measured from.

    Attributes:
        flats: by colour temperature, K.
        darks: by exposure, µs, rising.
        name: for messages.
    """

    flats: dict[float, Stack]
    darks: dict[float, Stack]
    name: str


def stacked(frames: Iterable[tuple[str, Raw]]) -> Stack:
    """The stack of frames, each with its name.

    Raises:
        ValueError: they differ in size, tile, exposure or gain, or there are none.
    """
    first: Raw | None = None
    total = squares = np.zeros((0, 0))
    count = 0
    for name, raw in frames:
        if first is None:
            first, total, squares = raw, np.zeros(raw.counts.shape), np.zeros(raw.counts.shape)
        setting, expected = ((r.counts.shape, r.cfa, r.exposure_us, r.gain_db) for r in (raw, first))
        if setting != expected:
            raise ValueError(
                f"{name} has (size, tile, µs, dB) {setting}; expected {expected}, as the first of its stack"
            )
        counts = raw.counts.astype(np.float64)
        total += counts
        squares += counts**2
        count += 1
    if first is None:
        raise ValueError("a stack without frames; expected one at least")
    mean = total / count
    variance = (squares - count * mean**2) / (count - 1) if count > 1 else np.full(mean.shape, np.nan)
    return Stack(first, mean, variance, count)


def read_session(folder: Path, rig: Rig) -> FaultSession:
    """A session on disk: raws in `darks` and in `flats` or `flats_<K>K`.

    Raises:
        ValueError: folders are missing, have other names or the same temperature, frames of a stack differ, are not as
            large as the rig's sensor, or flats are too dark or too bright; names folder or file.
        FileNotFoundError: no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    flats: dict[float, Stack] = {}
    by_exposure: dict[float, list[tuple[str, Raw]]] = {}
    for part, paths in parts(folder, PARTS, "darks/, and flats/ or flats_<K>K/ as flats_2856K/").items():
        frames = ((str(path), open_raw(path, upright=False)) for path in paths)  # rows as the sensor's
        if not paths:
            raise ValueError(f"{folder / part}: holds no raws; expected two and more")
        if part == "darks":
            for name, raw in frames:
                by_exposure.setdefault(raw.exposure_us, []).append((name, raw))
        else:
            temperature = float(PARTS.fullmatch(part)[1] or D65_K)  # type: ignore[index]
            if temperature in flats:
                raise ValueError(f"{folder / part}: flats at {temperature:g} K twice; expected one folder of them")
            flats[temperature] = stacked(frames)
    darks = {exposure: stacked(frames) for exposure, frames in sorted(by_exposure.items())}
    return checked(FaultSession(flats, darks, str(folder)), rig)


def checked(session: FaultSession, rig: Rig) -> FaultSession:
    """The session, if tables and lists can be made of it. Raises ValueError: see `read_session`."""
    if not session.flats or not session.darks:
        have = f"{len(session.flats)} stacks of flats and {len(session.darks)} of darks"
        raise ValueError(f"{session.name}: {have}; expected raws in darks/ and in flats/ or flats_<K>K/")
    size = rig.height_px * rig.binning, rig.width_px * rig.binning
    stacks = (*session.flats.values(), *session.darks.values())
    for shape in (stack.raw.counts.shape for stack in stacks):
        if shape != size:
            frame = f"{shape[1]}×{shape[0]} px"
            raise ValueError(f"{session.name}: frames of {frame}; expected {size[1]}×{size[0]}, {rig.name}'s unbinned")
    if min(stack.frames for stack in stacks) < 2:
        raise ValueError(f"{session.name}: a stack of one frame; expected two and more, which tell noise from pixels")
    if len({(stack.raw.cfa, stack.raw.gain_db) for stack in stacks}) > 1:
        raise ValueError(f"{session.name}: frames of several gains or tiles; expected one gain for flats and darks")
    for temperature, stack in session.flats.items():
        black = float(np.mean(stack.raw.black_level_dn))
        signal = float(np.median(stack.mean) - black) / (stack.raw.white_level_dn - black)
        if not LEAST_SIGNAL <= signal <= MOST_SIGNAL:
            what = f"flats at {temperature:g} K are at {signal:.0%} of the range"
            raise ValueError(f"{session.name}: {what}; expected {LEAST_SIGNAL:.0%} to {MOST_SIGNAL:.0%}")
    return session


def simulated_session(rig: Rig, arm: Arm, seed: int) -> FaultSession:
    """A session of an arm's camera, unbinned: flats at two colour temperatures, short and long darks."""
    whole = unbinned(rig)
    even = Radiance(np.ones((whole.height_px, whole.width_px, 3), np.float32))
    flats = {}
    for number, temperature in enumerate(SIMULATED_TEMPERATURES_K):
        lit = under(arm, temperature).model_copy(update={"nd_filter": False})
        frames = shoot(whole, lit, even, SIMULATED_FRAMES, seed + number)
        flats[temperature] = stacked((f"flat {n}", raw) for n, raw in enumerate(frames))
    darks = {}
    for exposure in (SHORT_DARK_US, LONG_DARK_US):
        camera = SimulatedArm(whole, arm)
        camera.look_at(even)
        camera.next_frame = camera.next_frame._replace(seed=seed, scene=1 + round(exposure))
        darks[exposure] = stacked((f"dark {n}", camera.grab(exposure, 0.0)) for n in range(SIMULATED_FRAMES))
    return checked(FaultSession(flats, darks, f"simulated {arm.serial}"), rig)


def unbinned(rig: Rig) -> Rig:
    """The rig with every pixel of its sensor."""
    n = rig.binning
    return rig.model_copy(update={"binning": 1, "width_px": rig.width_px * n, "height_px": rig.height_px * n})


def under(arm: Arm, temperature_k: float) -> Arm:
    """An arm whose shading is that under a light, whatever the scene's."""
    if arm.shading is None:
        return arm
    red, green, blue = (tuple(map(tuple, t.tolist())) for t in shading_at(arm.shading.value, temperature_k))
    table = ShadingTable(colour_temperature_k=D65_K, red=red, green=green, blue=blue)
    return arm.model_copy(update={"shading": arm.shading.model_copy(update={"value": (table,)})})


def faulty(rig: Rig, arm: ArmName) -> Rig:
    """The rig with faults that no file states: an arm's shading at two temperatures, the sensor's defects.

    The share of light falls with the square of the distance from the middle, R most, B least; under warm light R more.
    """
    document = rig.model_dump(mode="json")
    down, across = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 17), indexing="ij")
    distance2 = (0.55 * across**2 + 0.45 * down**2 + 0.04 * across).clip(0)
    tables = [
        {"colour_temperature_k": t, **{c: (1 - most * distance2).round(5).tolist() for c, most in falls.items()}}
        for t, falls in SIMULATED_FALLS.items()
    ]
    document[arm] |= {"shading": {"value": tables, "status": "assumed", "source": "for demonstration"}}
    document["sensor"] |= {"defects": {"value": SIMULATED_DEFECTS, "status": "assumed", "source": "for demonstration"}}
    return Rig.model_validate(document)
