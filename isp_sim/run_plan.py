"""Which shots a run makes: replayed from a CSV, or drawn from the rig's schedule."""

import itertools
from collections import Counter
from pathlib import Path

from isp_sim import streams
from isp_sim.choices import DEFAULT_COUNT
from isp_sim.rig import Rig
from isp_sim.schedule import Shot, replay, scene_shots, some_of


def plan(
    rig: Rig,
    schedule: Path | None,
    count: int | None,
    seed: int,
    shots_per_scene: int | None = None,
    scene_count: int | None = None,
) -> list[tuple[int, Shot]]:
    """Every shot of a run as (number within its scene, shot): replayed from a CSV, or drawn from the rig.

    Args:
        rig: whose schedule is drawn from.
        schedule: CSV to replay instead.
        count: of shots, which are pairs; None is 20, or all of the CSV.
        seed: of the run.
        shots_per_scene: how many of a scene's shots are taken, drawn from them; None takes all.
        scene_count: of scenes, each with all the shots it has here; without `count`.

    Raises:
        ValueError: two shots would have one file name, or a gain is beyond the sensor.
    """
    shots = _shots(rig, schedule, count, seed, shots_per_scene, scene_count)
    names: set[str] = set()
    top = rig.sensor.max_gain_db.value
    for _, shot in shots:
        name = shot.file_name("bright")
        if name in names:
            raise ValueError(f"{schedule or rig.name}: two shots have the file name {name}; each needs its own")
        if max(shot.well_lit_gain_db, shot.low_light_gain_db) > top + 1e-9:
            raise ValueError(f"{schedule or rig.name}: {name} asks more gain than the sensor's {top} dB")
        names.add(name)
    return shots


def _shots(
    rig: Rig,
    schedule: Path | None,
    count: int | None,
    seed: int,
    shots_per_scene: int | None,
    scene_count: int | None,
) -> list[tuple[int, Shot]]:
    if schedule is not None:
        seen: Counter[int] = Counter()
        numbered = []
        for shot in replay(schedule):
            numbered.append((seen[shot.scene], shot))
            seen[shot.scene] += 1
        return [pair for pair in numbered if scene_count is None or pair[1].scene < scene_count][:count]

    def numbered_shots(scene: int) -> list[tuple[int, Shot]]:
        shots = scene_shots(rig.schedule, scene, streams.generator(seed, scene, "schedule"))
        return some_of(shots, shots_per_scene, streams.generator(seed, scene, "shots of the scene"))

    if scene_count is not None:
        return [pair for scene in range(scene_count) for pair in numbered_shots(scene)]
    drawn = (pair for scene in itertools.count() for pair in numbered_shots(scene))
    return list(itertools.islice(drawn, DEFAULT_COUNT if count is None else count))
