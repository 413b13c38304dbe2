"""A run carried out: its batches shared out over processes, pairs written one by one."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

from isp_sim.batches import Batch, Task, batches, left
from isp_sim.cluster import clustered
from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter
from isp_sim.pair import DualCamera, Pair
from isp_sim.photo_pairs.frames import PhotoFrames
from isp_sim.photo_pairs.pairs import photo_pairs
from isp_sim.photo_pairs.rig import PhotoPairRig
from isp_sim.progress import Progress
from isp_sim.rig import AutoExposure
from isp_sim.run_spec import RunSpec
from isp_sim.scenes.sources import open_scenes
from isp_sim.schedule import Shot
from isp_sim.shard_writer import ShardWriter
from isp_sim.workers import cores, spawned

Output = DatasetWriter | ShardWriter


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

    def pairs_of(scene: int, shots: list[Shot]) -> Iterator[Pair]:
        before = scenes.scene(scene % len(scenes), shots[0].daylight)
        if spec.frames is None:
            return camera.shoot(before, shots, spec.seed)
        rule = rig.auto_exposure or AutoExposure() if spec.auto_exposure else None
        return camera.film(before, shots, spec.seed, rule)

    return pairs_of


def output_of(spec: RunSpec) -> Output:
    """Where a run's pairs are written to."""
    return ShardWriter(spec.out, spec.raw) if spec.format == "webdataset" else DatasetWriter(spec.out, spec.raw)


class PairWriter:
    """A process's own rig and scenes, and where their pairs are written to.

    Args:
        spec: of the run.
        threads: of this process; None: its share of the cores.
    """

    def __init__(self, spec: RunSpec, threads: int | None = None) -> None:
        count = threads or max(1, cores() // spec.workers)
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        self.spec = spec
        self.pairs = pair_maker(spec)
        self.output = output_of(spec)

    def __call__(self, batch: Batch) -> int:
        """Make and write a batch's pairs; gives how many they are."""
        return sum(1 for _ in self.written(batch))

    def written(self, batch: Batch) -> Iterator[int]:
        """Make and write a batch's pairs; yields each pair's number when it is written.

        Raises:
            ValueError: a scene cannot be used, and such scenes are not to be skipped.
        """
        with self.output.batch(batch.number) as write:
            for task in batch.scenes:
                try:
                    yield from self._written(task, write)
                except ValueError as fault:
                    if not self.spec.skip_unusable:
                        raise
                    print(f"left out: {fault}", file=sys.stderr)

    def _written(self, task: Task, write: Callable[[int, Pair], None]) -> Iterator[int]:
        pairs = self.pairs(task.scene, [shot for _, shot in task.shots])  # what fails here names its file
        try:
            for (number, _), pair in zip(task.shots, pairs, strict=True):
                write(number, pair)
                yield number
        except ValueError as fault:
            raise ValueError(f"scene {task.scene} of {self.spec.scenes}: {fault}") from None


@contextlib.contextmanager
def shared_out(spec: RunSpec, cluster: str | None) -> Iterator[Callable[[list[Batch]], Iterator[int]]]:
    """What carries batches out, in this process, in spawned ones or on a cluster, and gives counts of written pairs.

    Raises:
        ValueError: nobody answers at the cluster's address.
    """
    if cluster is None and spec.workers == 1:
        yield lambda work: (1 for writer in [PairWriter(spec)] for batch in work for _ in writer.written(batch))
        return
    processes: Any
    if cluster is not None:
        processes = clustered(cluster, spec.workers, functools.partial(PairWriter, spec, 1))
    else:
        processes = spawned(spec.workers, functools.partial(PairWriter, spec))
    with processes as carry_out_batches:
        yield lambda work: (count for _, count in carry_out_batches(work))


def carry_out(
    spec: RunSpec, shots: Sequence[Shot], resume: bool, cluster: str | None = None
) -> tuple[Output, str | None]:
    """Shoot a whole run and close it, or a part of it.

    Args:
        spec: of the run.
        shots: as `isp_sim.run_plan.plan` or `isp_sim.photo_pairs.pairs.photo_shots` gives them.
        resume: go on with a run that was stopped.
        cluster: on which it is carried out, see `isp_sim.cluster`; None: on this machine.

    Returns:
        The data set, and the contact sheet's path; None after a part, which leaves the run open.

    Raises:
        ValueError: bad input, or a folder that holds another run.
        OSError: the disk is full or read-only, or a worker was killed; what is done stays and `resume` goes on.
    """
    output, work = output_of(spec), batches(spec, shots)
    total = sum(len(batch.pairs) for batch in work)
    among = {number for batch in work for number in batch.pairs} if spec.part else None
    with shared_out(spec, cluster) as written:
        done = output.open(spec, resume, among)
        todo = left(spec, work, done)
        with Progress("pairs", total, total - sum(len(batch.pairs) for batch in todo)) as progress:
            for count in written(todo):
                progress.advance(count)
    if spec.part:
        return output, None
    count = output.count()
    if not count:
        raise ValueError(f"{spec.out}: none of the {len(shots)} pairs could be made; see what was left out")
    output.close()
    return output, output.keep("contact_sheet.png", contact_sheet(output.pictures, count))
