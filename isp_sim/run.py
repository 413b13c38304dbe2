"""A run carried out: its shots shared out over processes, pairs written to disk one by one."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter
from isp_sim.pair import DualCamera, Pair
from isp_sim.photo_pairs.frames import PhotoFrames
from isp_sim.photo_pairs.pairs import photo_pairs
from isp_sim.photo_pairs.rig import PhotoPairRig
from isp_sim.progress import Progress
from isp_sim.run_spec import RunSpec
from isp_sim.scenes.sources import open_scenes
from isp_sim.schedule import Shot
from isp_sim.workers import cores, spawned


@dataclass(frozen=True)
class Task:
    """The shots of one scene that are still to do: (number of the pair in the run, shot)."""

    scene: int
    shots: tuple[tuple[int, Shot], ...]


def tasks(shots: Sequence[Shot], done: set[int]) -> list[Task]:
    """What is left to do, by scene; a scene's light and geometry are computed once for all its shots."""
    by_scene: dict[int, list[tuple[int, Shot]]] = {}
    for number, shot in enumerate(shots):
        if number not in done:
            by_scene.setdefault(shot.scene, []).append((number, shot))
    return [Task(scene, tuple(left)) for scene, left in by_scene.items()]


def pair_maker(spec: RunSpec) -> Callable[[int, list[Shot]], Iterator[Pair]]:
    """What makes the pairs of a scene's shots: both arms before it, or one raw file developed twice."""
    rig = spec.rig
    if isinstance(rig, PhotoPairRig):
        frames = PhotoFrames(Path(spec.scenes), rig.height_px, rig.width_px)
        return lambda scene, shots: photo_pairs(rig, frames, scene, shots, spec.seed)
    camera = DualCamera(rig, spec.device)
    scenes = open_scenes(
        spec.scenes,
        spec.annotations,
        rig,
        spec.seed,
        spec.motion_samples,
        spec.labels_orientation,
        spec.linear,
        Path(spec.backgrounds) if spec.backgrounds else None,
        spec.backgrounds_share,
    )
    return lambda scene, shots: camera.shoot(scenes.scene(scene % len(scenes), shots[0].daylight), shots, spec.seed)


class PairWriter:
    """A process's own rig and scenes, and the folder their pairs are written to."""

    def __init__(self, spec: RunSpec) -> None:
        threads = max(1, cores() // spec.workers)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        self.spec = spec
        self.pairs = pair_maker(spec)
        self.writer = DatasetWriter(spec.out)

    def __call__(self, task: Task) -> list[int]:
        """Make and write a scene's pairs; gives their numbers."""
        return list(self.written(task))

    def written(self, task: Task) -> Iterator[int]:
        """Make and write a scene's pairs; yields each pair's number when it is on disk.

        Raises:
            ValueError: the scene cannot be used, and such scenes are not to be skipped.
        """
        try:
            yield from self._written(task)
        except ValueError as fault:
            if not self.spec.skip_unusable:
                raise
            print(f"left out: {fault}", file=sys.stderr)

    def _written(self, task: Task) -> Iterator[int]:
        pairs = self.pairs(task.scene, [shot for _, shot in task.shots])  # what fails here names its file
        try:
            for (number, _), pair in zip(task.shots, pairs, strict=True):
                self.writer.write(number, pair)
                yield number
        except ValueError as fault:
            raise ValueError(f"scene {task.scene} of {self.spec.scenes}: {fault}") from None


def pairs_written(spec: RunSpec, work: list[Task]) -> Iterator[int]:
    """Every pair's number as it lands on disk, from this process or from spawned ones."""
    if spec.workers == 1:
        writer = PairWriter(spec)
        for task in work:
            yield from writer.written(task)
        return
    with spawned(spec.workers, functools.partial(PairWriter, spec)) as carry_out_tasks:
        for _, numbers in carry_out_tasks(work):
            yield from numbers


def carry_out(spec: RunSpec, shots: Sequence[Shot], resume: bool) -> Path:
    """Shoot a whole run and close it.

    Args:
        spec: of the run.
        shots: as `isp_sim.run_plan.plan` or `isp_sim.photo_pairs.pairs.photo_shots` gives them.
        resume: go on with a run that was stopped.

    Returns:
        The contact sheet's path.

    Raises:
        ValueError: bad input, or a folder that holds another run.
        OSError: the disk is full or read-only, or a worker was killed; what is done stays and `resume` goes on.
    """
    writer = DatasetWriter(spec.out)
    done = writer.open(spec, resume)
    with Progress("pairs", len(shots), len(done)) as progress:
        for _ in pairs_written(spec, tasks(shots, done)):
            progress.advance()
    if not writer.count():
        raise ValueError(f"{spec.out}: none of the {len(shots)} pairs could be made; see what was left out")
    writer.close()
    return contact_sheet(spec.out)
