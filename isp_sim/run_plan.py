"""Which shots a run makes: replayed from a CSV, or drawn from the rig's schedule."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

from isp_sim import streams
from isp_sim.choices import DEFAULT_COUNT, FPS
from isp_sim.rig import Rig, Schedule
from isp_sim.schedule import Shot, replay, scene_shots, sequence_shots, some_of


def plan(
    rig: Rig,
    schedule: Path | None,
    count: int | None,
    seed: int,
    shots_per_scene: int | None = None,
    scene_count: int | None = None,
    frames: int | None = None,
    fps: float = FPS,
) -> list[Shot]:
    """Every shot of a run: replayed from a CSV, or drawn from the rig.

    Args:
        rig: whose schedule is drawn from.
        schedule: CSV to replay instead.
        count: of shots, which are pairs; None is 20, or all of the CSV.
        seed: of the run.
        shots_per_scene: how many of a scene's shots are taken, drawn from them; None takes all.
        scene_count: of scenes, each with all the shots it has here; without `count`.
        frames: of each scene's sequence, instead of single shots; without `count` and `scene_count` of one scene.
        fps: frames a second.

    Raises:
        ValueError: two shots would have one file name, or a gain is beyond the sensor.
    """
    if frames is not None:
        scene_count = scene_count or math.ceil((count or frames) / frames)
        sequences = (drawn_sequence(rig.schedule, scene, seed, frames, fps) for scene in range(scene_count))
        shots = list(itertools.islice(itertools.chain.from_iterable(sequences), count))
    elif schedule is not None:
        listed = replay(schedule)
        shots = [
            replace(shot, night=rig.schedule.night)
            for shot in listed
            if scene_count is None or shot.scene < scene_count
        ][:count]
    else:
        scenes = itertools.count() if scene_count is None else range(scene_count)
        drawn = (shot for scene in scenes for shot in drawn_shots(rig.schedule, scene, seed, shots_per_scene))
        most = DEFAULT_COUNT if count is None and scene_count is None else count
        shots = list(itertools.islice(drawn, most))
    names: set[str] = set()
    top = rig.sensor.max_gain_db.value
    for shot in shots:
        name = shot.file_name("bright")
        if name in names:
            raise ValueError(f"{schedule or rig.name}: two shots have the file name {name}; each needs its own")
        if max(shot.well_lit_gain_db, shot.low_light_gain_db) > top + 1e-9:
            raise ValueError(f"{schedule or rig.name}: {name} asks more gain than the sensor's {top} dB")
        names.add(name)
    return shots


def drawn_sequence(schedule: Schedule, scene: int, seed: int, frames: int, fps: float) -> list[Shot]:
    """A scene's frames in a run: see `isp_sim.schedule.sequence_shots`."""
    return sequence_shots(schedule, scene, frames, fps, streams.generator(seed, scene, "schedule"))


def drawn_shots(schedule: Schedule, scene: int, seed: int, count: int | None) -> list[Shot]:
    """Shots of a scene in a run: a base drawn from the schedule, then each of its ratios, or `count` of them, drawn."""
    shots = scene_shots(schedule, scene, streams.generator(seed, scene, "schedule"))
    return some_of(shots, count, streams.generator(seed, scene, "shots of the scene"))
