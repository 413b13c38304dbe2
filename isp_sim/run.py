"""A run's processes: which shots are whose, each worker's own rig and scenes, pairs as they land on disk."""

import contextlib
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from isp_sim.choices import BUILT_IN, FROZEN, Orientation
from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter, Run
from isp_sim.pair import DualCamera, Pair
from isp_sim.photo_pairs.frames import RawFrames
from isp_sim.photo_pairs.pairs import shoot_raw
from isp_sim.photo_pairs.rig import RawPairs
from isp_sim.progress import Progress
from isp_sim.rig import Rig
from isp_sim.rigfile import is_raw_pairs
from isp_sim.scenes import SceneSource
from isp_sim.scenes.charts import Charts
from isp_sim.scenes.people.source import People
from isp_sim.scenes.photos import SUFFIXES, Photos, list_files
from isp_sim.scenes.raws import SUFFIXES as RAW_SUFFIXES
from isp_sim.scenes.raws import Raws
from isp_sim.schedule import Shot


@dataclass(frozen=True)
class Task:
    """The shots of one scene that are still to do: (number of the pair, number within the scene, shot)."""

    scene: int
    shots: tuple[tuple[int, int, Shot], ...]


@dataclass(frozen=True)
class Job:
    """All a worker process needs to know.

    Attributes:
        rig_json: the rig; as text, because pydantic's generic models do not travel between processes.
        motion_samples: sub-frames over each exposure.
        threads: for each process.
        skip_unusable: a scene that cannot be read or metered is told and left out; otherwise it stops the run.
        labels_orientation: what the labels of pictures turned by EXIF mean; None: nothing is known.
    """

    rig_json: str
    scenes: str
    annotations: Path | None
    seed: int
    motion_samples: int
    device: str
    out: Path
    threads: int
    skip_unusable: bool = False
    labels_orientation: Orientation | None = None

    @property
    def rig(self) -> Rig | RawPairs:
        """The rig, read from its text."""
        kind = RawPairs if is_raw_pairs(json.loads(self.rig_json)) else Rig
        return kind.model_validate_json(self.rig_json)


def open_scenes(
    scenes: str,
    annotations: Path | None,
    rig: Rig,
    seed: int,
    motion_samples: int = FROZEN,
    labels_orientation: Orientation | None = None,
) -> SceneSource:
    """`people`, `charts`, a folder of pictures, or a raw file or folder of raw files.

    Args:
        scenes: which.
        annotations: COCO JSON of the pictures' people.
        rig: gives the size.
        seed: of the run; other seeds show other people.
        motion_samples: sub-frames over each exposure, in which people move.
        labels_orientation: what the labels of pictures turned by EXIF mean; None: nothing is known.

    Raises:
        ValueError: no such source, or nothing usable in it.
    """
    if motion_samples != FROZEN and scenes != "people":
        raise ValueError(f"--motion-samples {motion_samples}: only --scenes people move; {FROZEN} is allowed here")
    if scenes in BUILT_IN:
        if annotations is not None:
            raise ValueError(f"--annotations {annotations}: --scenes {scenes} brings its own labels")
        if scenes == "people":
            return People(rig.height_px, rig.width_px, seed, motion_samples)
        return Charts(rig.height_px, rig.width_px)
    path = Path(scenes)
    if not path.exists():
        raise ValueError(f"--scenes {scenes}: neither 'people' nor 'charts' nor an existing file or folder")
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise ValueError(f"--scenes {scenes}: is one picture; give the folder that holds it")
    pictures = path.is_dir() and any(list_files(folder, SUFFIXES) for folder in (path, path / "images"))
    raws = path.is_file() or bool(list_files(path, RAW_SUFFIXES))
    if pictures and raws:
        raise ValueError(f"--scenes {scenes}: holds pictures and raw files; give a folder with one kind")
    if pictures:
        return Photos(path, annotations, rig.height_px, rig.width_px, labels_orientation=labels_orientation)
    if not raws:
        raise ValueError(f"--scenes {scenes}: holds neither pictures ({' '.join(SUFFIXES)}) nor raw files")
    if annotations is not None:
        raise ValueError(f"--annotations {annotations}: raw files take no labels; allowed with a folder of pictures")
    return Raws(path, rig.height_px, rig.width_px)


def tasks(shots: Sequence[tuple[int, Shot]], done: set[int]) -> list[Task]:
    """What is left to do, by scene; a scene's light and geometry are computed once for all its shots."""
    by_scene: dict[int, list[tuple[int, int, Shot]]] = {}
    for pair, (number, shot) in enumerate(shots):
        if pair not in done:
            by_scene.setdefault(shot.scene, []).append((pair, number, shot))
    return [Task(scene, tuple(left)) for scene, left in by_scene.items()]


def pair_maker(job: Job) -> Callable[[int, list[tuple[int, Shot]]], Iterator[Pair]]:
    """What makes the pairs of a scene's shots: both arms before it, or one raw file developed twice."""
    rig = job.rig
    if isinstance(rig, RawPairs):
        frames = RawFrames(Path(job.scenes), rig.height_px, rig.width_px)
        return lambda scene, shots: shoot_raw(rig, frames, scene, shots, job.seed)
    camera = DualCamera(rig, job.device)
    scenes = open_scenes(job.scenes, job.annotations, rig, job.seed, job.motion_samples, job.labels_orientation)
    return lambda scene, shots: camera.shoot(scenes.scene(scene % len(scenes), shots[0][1].daylight), shots, job.seed)


class Studio:
    """A process's own rig and scenes, and the folder they shoot into."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        cv2.setNumThreads(job.threads)
        self.job = job
        self.pairs = pair_maker(job)
        self.writer = DatasetWriter(job.out)

    def shoot(self, task: Task) -> Iterator[int]:
        """Make and write a scene's pairs; yields each pair's number when it is on disk.

        Raises:
            ValueError: the scene cannot be used, and such scenes are not to be skipped.
        """
        try:
            yield from self._shoot(task)
        except ValueError as fault:
            if not self.job.skip_unusable:
                raise
            print(f"left out: {fault}", file=sys.stderr)

    def _shoot(self, task: Task) -> Iterator[int]:
        pairs = self.pairs(task.scene, [(number, shot) for _, number, shot in task.shots])
        try:
            for (number, _, _), pair in zip(task.shots, pairs, strict=True):
                self.writer.write(number, pair)
                yield number
        except ValueError as fault:
            raise ValueError(f"scene {task.scene} of {self.job.scenes}: {fault}") from None


_studio: Studio | None = None


def _start_worker(job: Job) -> None:
    global _studio
    end_with_parent()
    _studio = Studio(job)


def end_with_parent() -> None:
    """This spawned process ends with its parent, also when that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _work(task: Task) -> list[int]:
    assert _studio is not None
    return list(_studio.shoot(task))


def shoot_all(job: Job, work: list[Task], workers: int) -> Iterator[int]:
    """Every pair's number as it lands on disk, from this process or from spawned ones.

    At most two scenes a worker are under way, so memory does not grow with the run.
    """
    if workers == 1:
        studio = Studio(job)
        for task in work:
            yield from studio.shoot(task)
        return
    context = multiprocessing.get_context("spawn")  # a forked child hangs once LibRaw has developed
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(job,))
    try:
        waiting: set[Future[list[int]]] = set()
        for task in work:
            if len(waiting) >= 2 * workers:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from itertools.chain.from_iterable(future.result() for future in finished)
            with left_alone_by_ctrl_c():
                waiting.add(pool.submit(_work, task))
        for future in waiting:
            yield from future.result()
    except BrokenProcessPool:
        message = "a worker process was killed (out of memory?); the pairs that are done are whole: add --resume"
        raise OSError(message) from None
    finally:
        pool.shutdown(cancel_futures=True)


def generate(job: Job, run: Run, shots: list[tuple[int, Shot]], workers: int, resume: bool) -> Path:
    """Shoot a whole run and close it.

    Returns:
        The contact sheet's path.

    Raises:
        ValueError: bad input, or a folder that holds another run.
        OSError: the disk is full or read-only; what is done stays and `--resume` goes on.
    """
    writer = DatasetWriter(job.out)
    done = writer.open(run, job.rig, resume)
    with Progress("pairs", len(shots), len(done)) as progress:
        for _ in shoot_all(job, tasks(shots, done), workers):
            progress.advance()
    if not writer.count():
        raise ValueError(f"{job.out}: none of the {len(shots)} pairs could be made; see what was left out")
    writer.close()
    return contact_sheet(job.out)


@contextlib.contextmanager
def left_alone_by_ctrl_c() -> Iterator[None]:
    """Processes started in here inherit that Ctrl-C is ignored: it is the parent's to act on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
