"""Exposure and gain of every shot.

A scene has a base: the exposure and gain at which the well-lit arm's meter is content. Each ratio r of the
scene's mix shortens the exposure and lifts the well-lit arm's gain by as much; the low-light arm keeps the
base gain:

    exposure = base / r,   well-lit gain = base gain + 20·log10(r),   low-light gain = base gain

Checked on all 491 file names of ExLPose's test set (error ≤ 0.004 dB).
"""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isp_sim.csv_files import read_rows
from isp_sim.rig import Mix, Schedule

SUNLIT_BASE_US = 1000.0
"""ExLPose's shortest base, at 0 dB: taken for a scene in full sun."""


@dataclass(frozen=True)
class Shot:
    """One exposure of both arms.

    Attributes:
        scene: number of the scene.
        session: month and day, ExLPose's session name, `"MMDD"`.
        place: ExLPose's place, may be empty.
        video: number in the file name.
        frame: number in the file name.
        ratio: base exposure over this exposure.
        exposure_us: of both arms, µs.
        base_exposure_us, base_gain_db: at which the scene is metered; the same for all of its shots.
        well_lit_gain_db, low_light_gain_db: gains.
        number: of the shot within its scene; keys its random numbers.
        night: built-in scenes are at night.
        at_s: of a sequence: when it is taken, in the time of the scene and of the rig's light.
    """

    scene: int
    session: str
    place: str
    video: str
    frame: str
    ratio: float
    exposure_us: int
    base_exposure_us: float
    base_gain_db: float
    well_lit_gain_db: float
    low_light_gain_db: float
    number: int = 0
    night: bool = False
    at_s: float | None = None

    @property
    def daylight(self) -> float:
        """Light on the scene over a sunlit one's: `1000 µs / (base exposure · 10^(base gain/20))`; 0 at night.

        ExLPose's bases say 1 (four scenes), 1/5 to 1/26 (its other outdoor sessions), 1/52 to 1/190 (its indoor ones).
        """
        return 0.0 if self.night else SUNLIT_BASE_US / (self.base_exposure_us * 10 ** (self.base_gain_db / 20))

    def file_name(self, arm: str) -> str:
        """ExLPose's name of the `bright` or `dark` picture."""
        gain = self.well_lit_gain_db if arm == "bright" else self.low_light_gain_db
        place = f"_{self.place}" if self.place else ""
        return (
            f"imgs_{self.session}{place}_vid{self.video}_exp{round(self.ratio * 100)}_{arm}_{self.frame}"
            f"__gain_{gain:.2f}_exposure_{self.exposure_us}.png"
        )


FILE_NAME = re.compile(
    r"imgs_(?P<place>.+)_vid(?P<video>[^_]+)_exp(?P<ratio>\d+)_(?P<arm>bright|dark)_(?P<frame>[^_]+)"
    r"__gain_(?P<gain_db>[\d.]+)_exposure_(?P<exposure_us>\d+)\.png"
)
"""ExLPose's file names, which `Shot.file_name` writes; both pictures of a pair agree in all but arm and gain."""


NAMING = ("session", "place", "scene", "frame")
LIMITS = {
    "exposure_ratio": (1.0, 1e4),
    "bright_gain_db": (0.0, 100.0),
    "dark_gain_db": (-0.01, 100.0),
    "exposure_us": (1.0, 1e8),
}
"""Columns of a CSV of shots: those that name one, and the least and the largest figure in the others."""


def bases(schedule: Schedule) -> list[tuple[Mix, float, float]]:
    """Every (mix, exposure_us, gain_db) of a schedule, in the file's order."""
    return [(mix, exposure, gain) for mix in schedule.mixes.value for exposure, gain in mix.bases]


def at_ratio(exposure_us: float, gain_db: float, ratio: float) -> tuple[int, float]:
    """A shot's exposure, whole µs, and the well-lit arm's gain, dB: the line at the head of this file."""
    return max(1, round(exposure_us / ratio)), round(gain_db + 20 * math.log10(ratio), 2)


def scene_shots(schedule: Schedule, scene: int, stream: np.random.Generator) -> list[Shot]:
    """All shots of one scene: a base drawn evenly, then every ratio of its mix.

    Args:
        schedule: the rig's.
        scene: its number; the file names carry it.
        stream: keyed (seed, scene).
    """
    known = bases(schedule)
    mix, base_exposure_us, base_gain_db = known[int(stream.integers(len(known)))]
    return [
        Shot(
            scene=scene,
            session="0101",
            place="sim",
            video=f"{scene:06d}",
            frame="000000",
            ratio=ratio,
            exposure_us=exposure_us,
            base_exposure_us=base_exposure_us,
            base_gain_db=base_gain_db,
            well_lit_gain_db=well_lit_gain_db,
            low_light_gain_db=base_gain_db,
            number=number,
            night=schedule.night,
        )
        for number, ratio in enumerate(mix.ratios)
        for exposure_us, well_lit_gain_db in (at_ratio(base_exposure_us, base_gain_db, ratio),)
    ]


def sequence_shots(schedule: Schedule, scene: int, frames: int, fps: float, stream: np.random.Generator) -> list[Shot]:
    """Frames of one scene, one after the other: a base and one of its ratios, drawn, the same for all of them.

    Args:
        schedule: the rig's.
        scene: its number.
        frames: how many.
        fps: frames a second.
        stream: keyed (seed, scene).
    """
    shots = scene_shots(schedule, scene, stream)
    first = replace(shots[int(stream.integers(len(shots)))], number=0)
    return [replace(first, number=n, frame=f"{n:06d}", at_s=n / fps) for n in range(frames)]


def some_of(shots: list[Shot], count: int | None, stream: np.random.Generator) -> list[Shot]:
    """So many of a scene's shots, drawn; None takes all."""
    if count is None:
        return shots
    return [shots[n] for n in sorted(stream.permutation(len(shots))[:count].tolist())]


def replay(path: Path) -> list[Shot]:
    """Shots as a CSV lists them: columns session, place, scene, frame, exposure_ratio, bright_gain_db,
    dark_gain_db, exposure_us; rows of one (session, place, scene, frame) share a scene and its base, which is
    that of its smallest ratio: the others' exposures are rounded to a microsecond.

    Raises:
        ValueError: a column is missing, or a cell is not what it should be; every such row is named.
    """
    shots: list[Shot] = []
    faults: list[str] = []
    scenes: dict[tuple[str, ...], int] = {}
    for line, row in read_rows(path, (*NAMING, *LIMITS)):
        identity = tuple(row[column] for column in NAMING)
        try:
            shots.append(_shot(row, scenes.setdefault(identity, len(scenes))))
        except ValueError as fault:
            faults.append(f"{path}:{line}: {fault}")
    if faults or not shots:
        raise ValueError("\n".join(faults) or f"{path}: holds no shot")
    return _share_bases(shots)


def _share_bases(shots: list[Shot]) -> list[Shot]:
    by_scene: dict[int, list[Shot]] = {}
    based = []
    for shot in shots:
        by_scene.setdefault(shot.scene, []).append(shot)
        based.append(replace(shot, number=len(by_scene[shot.scene]) - 1))
    metered = {scene: min(of_scene, key=lambda one: one.ratio) for scene, of_scene in by_scene.items()}
    return [
        replace(shot, base_exposure_us=base.base_exposure_us, base_gain_db=base.low_light_gain_db)
        for shot in based
        for base in (metered[shot.scene],)
    ]


def _shot(row: dict[str, str], scene: int) -> Shot:
    value = {}
    for column, (low, high) in LIMITS.items():
        try:
            value[column] = float(row[column])
        except ValueError:
            value[column] = math.nan
        if not low <= value[column] <= high:
            raise ValueError(f"{column} = {row[column]!r}: expected numbers from {low:g} to {high:g}")
    for column in NAMING:
        if not re.fullmatch(r"[\w.-]{0,60}", row[column]):  # a file's name has room for all of them
            raise ValueError(f"{column} = {row[column]!r}: expected letters, digits, '_', '-' and '.', 60 at most")
    gain_db = max(0.0, value["dark_gain_db"])
    return Shot(
        scene=scene,
        session=row["session"],
        place=row["place"],
        video=row["scene"],
        frame=row["frame"],
        ratio=value["exposure_ratio"],
        exposure_us=round(value["exposure_us"]),
        base_exposure_us=value["exposure_us"] * value["exposure_ratio"],
        base_gain_db=gain_db,
        well_lit_gain_db=value["bright_gain_db"],
        low_light_gain_db=gain_db,
    )


def split_of(well_lit_gain_db: float) -> str:
    """ExLPose's split by the well-lit arm's gain: LL-N < 15 dB ≤ LL-H < 24 dB ≤ LL-E (Lee et al., §5.1)."""
    return "LL-N" if well_lit_gain_db < 15 else "LL-H" if well_lit_gain_db < 24 else "LL-E"
