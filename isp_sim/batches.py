"""A run's work in batches that do not depend on each other: a scene each for folders, scenes that fill a shard for
shards.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from isp_sim.run_spec import RunSpec
from isp_sim.schedule import Shot


@dataclass(frozen=True)
class Task:
    """The shots of one scene that are still to do: (number of the pair in the run, shot)."""

    scene: int
    shots: tuple[tuple[int, Shot], ...]


@dataclass(frozen=True)
class Batch:
    """What one process does at a time; `number` is the shard's."""

    number: int
    scenes: tuple[Task, ...]

    @property
    def pairs(self) -> list[int]:
        """Their numbers in the run."""
        return [number for scene in self.scenes for number, _ in scene.shots]


def tasks(shots: Sequence[Shot], done: Collection[int]) -> list[Task]:
    """What is left to do, by scene; a scene's light and geometry are computed once for all its shots."""
    by_scene: dict[int, list[tuple[int, Shot]]] = {}
    for number, shot in enumerate(shots):
        if number not in done:
            by_scene.setdefault(shot.scene, []).append((number, shot))
    return [Task(scene, tuple(left)) for scene, left in by_scene.items()]


def batches(spec: RunSpec, shots: Sequence[Shot]) -> list[Batch]:
    """The run's batches, or those of its part: every N-th, so that each part has scenes of all the run."""
    scenes = tasks(shots, ())
    most = spec.pairs_a_shard if spec.format == "webdataset" else 1
    lots: list[list[Task]] = []
    size = 0
    for scene in scenes:
        if not lots or size + len(scene.shots) > most:
            lots.append([])
            size = 0
        lots[-1].append(scene)
        size += len(scene.shots)
    first, step = (spec.part[0] - 1, spec.part[1]) if spec.part else (0, 1)
    return [Batch(number, tuple(lot)) for number, lot in enumerate(lots)][first::step]


def left(spec: RunSpec, work: Sequence[Batch], done: Collection[int]) -> list[Batch]:
    """What of the work is still to do: of a folder the pairs that are not done, or their sequences; of shards those
    that lack a pair.
    """
    if spec.format == "webdataset":
        return [batch for batch in work if not all(number in done for number in batch.pairs)]
    undone = [[s for s in batch.scenes[0].shots if s[0] not in done] for batch in work]
    if spec.frames is not None:  # each frame's exposure hangs on those before it
        return [batch for batch, shots in zip(work, undone, strict=True) if shots]
    return [
        Batch(batch.number, (Task(batch.scenes[0].scene, tuple(shots)),))
        for batch, shots in zip(work, undone, strict=True)
        if shots
    ]
