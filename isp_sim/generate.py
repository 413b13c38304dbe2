"""Command: a rig and scenes → a data set of aligned low-light / well-lit pairs.

python -m isp_sim.generate --rig rigs/exlpose.yaml
"""

import argparse
import contextlib
import hashlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from isp_sim import streams
from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter, Run, read_manifest
from isp_sim.pair import DualCamera
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes import SceneSource
from isp_sim.scenes.charts import Charts
from isp_sim.scenes.people.source import FROZEN, People
from isp_sim.scenes.photos import SUFFIXES, Photos, list_files
from isp_sim.scenes.raws import SUFFIXES as RAW_SUFFIXES
from isp_sim.scenes.raws import Raws
from isp_sim.schedule import Shot, replay, scene_shots

PUBLISHED_MEANS = {"LL-N": 3.2, "LL-H": 1.4, "LL-E": 0.9, "LL-A": 2.0, "WL": 90.5}
"""Mean 8-bit intensity of ExLPose's test splits (Lee et al., CVPR 2023, Table 1)."""
BUILT_IN = ("people", "charts")
"""Scenes that are no path."""


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
    """

    rig_json: str
    scenes: str
    annotations: Path | None
    seed: int
    motion_samples: int
    device: str
    out: Path
    threads: int

    @property
    def rig(self) -> Rig:
        """The rig, read from its text."""
        return Rig.model_validate_json(self.rig_json)


def open_scenes(scenes: str, annotations: Path | None, rig: Rig, seed: int, motion_samples: int) -> SceneSource:
    """`people`, `charts`, a folder of pictures, or a raw file or folder of raw files.

    Args:
        scenes: which.
        annotations: COCO JSON of the pictures' people.
        rig: gives the size.
        seed: of the run; other seeds show other people.
        motion_samples: sub-frames over each exposure, in which people move.

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
        return Photos(path, annotations, rig.height_px, rig.width_px)
    if not raws:
        raise ValueError(f"--scenes {scenes}: holds neither pictures ({' '.join(SUFFIXES)}) nor raw files")
    if annotations is not None:
        raise ValueError(f"--annotations {annotations}: raw files take no labels; allowed with a folder of pictures")
    return Raws(path, rig.height_px, rig.width_px)


def plan(rig: Rig, schedule: Path | None, count: int | None, seed: int) -> list[tuple[int, Shot]]:
    """Every shot of a run as (number within its scene, shot): replayed from a CSV, or drawn from the rig.

    Raises:
        ValueError: two shots would have one file name, or a gain is beyond the sensor.
    """
    shots = _shots(rig, schedule, count, seed)
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


def _shots(rig: Rig, schedule: Path | None, count: int | None, seed: int) -> list[tuple[int, Shot]]:
    if schedule is not None:
        seen: Counter[int] = Counter()
        numbered = []
        for shot in replay(schedule):
            numbered.append((seen[shot.scene], shot))
            seen[shot.scene] += 1
        return numbered[:count]
    drawn = (
        pair
        for scene in itertools.count()
        for pair in enumerate(scene_shots(rig.schedule, scene, streams.generator(seed, scene, "schedule")))
    )
    return list(itertools.islice(drawn, 20 if count is None else count))


def tasks(shots: Sequence[tuple[int, Shot]], done: set[int]) -> list[Task]:
    """What is left to do, by scene; a scene's light and geometry are computed once for all its shots."""
    by_scene: dict[int, list[tuple[int, int, Shot]]] = {}
    for pair, (number, shot) in enumerate(shots):
        if pair not in done:
            by_scene.setdefault(shot.scene, []).append((pair, number, shot))
    return [Task(scene, tuple(left)) for scene, left in by_scene.items()]


class Studio:
    """A process's own rig and scenes, and the folder they shoot into."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        cv2.setNumThreads(job.threads)
        self.job = job
        rig = job.rig
        self.rig = DualCamera(rig, job.device)
        self.scenes = open_scenes(job.scenes, job.annotations, rig, job.seed, job.motion_samples)
        self.writer = DatasetWriter(job.out)

    def shoot(self, task: Task) -> Iterator[int]:
        """Make and write a scene's pairs; yields each pair's number when it is on disk."""
        scene = self.scenes.scene(task.scene % len(self.scenes), task.shots[0][2].daylight)
        shots = [(number, shot) for _, number, shot in task.shots]
        pairs = self.rig.shoot(scene, shots, self.job.seed)
        try:
            for (number, _, _), pair in zip(task.shots, pairs, strict=True):
                self.writer.write(number, pair)
                yield number
        except ValueError as fault:
            raise ValueError(f"scene {task.scene} of {self.job.scenes}: {fault}") from None


_studio: Studio | None = None


def _start_worker(job: Job) -> None:
    """A worker ends with its parent, also when that was killed."""
    global _studio
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    _studio = Studio(job)


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
            with _left_alone_by_ctrl_c():
                waiting.add(pool.submit(_work, task))
        for future in waiting:
            yield from future.result()
    except BrokenProcessPool:
        message = "a worker process was killed (out of memory?); the pairs that are done are whole: add --resume"
        raise OSError(message) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _left_alone_by_ctrl_c() -> Iterator[None]:
    """Processes started in here inherit that Ctrl-C is ignored: it is the parent's to act on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("pairs", total=len(shots), completed=len(done))
        for _ in shoot_all(job, tasks(shots, done), workers):
            progress.advance(bar)
    writer.close()
    return contact_sheet(job.out)


def means_table(folder: Path) -> Table:
    """Mean 8-bit intensity by split, beside the published ones."""
    table = Table(title="mean 8-bit intensity")
    for heading in ("split", "pairs", "here", "ExLPose", "ratio"):
        table.add_column(heading, justify="right")
    lines = list(read_manifest(folder))
    for split, published in PUBLISHED_MEANS.items():
        arm = "mean_well_lit" if split == "WL" else "mean_low_light"
        means = [line[arm] for line in lines if split in ("LL-A", "WL", line["split"])]
        if means:
            mean = sum(means) / len(means)
            table.add_row(split, str(len(means)), f"{mean:.2f}", f"{published}", f"{mean / published:.2f}")
        else:
            table.add_row(split, "0", "-", f"{published}", "-")
    return table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m isp_sim.generate",
        description="Shoot aligned low-light / well-lit pairs with a simulated dual-camera rig: raw DNG of both "
        "arms, aligned sRGB PNG, COCO labels, in ExLPose's layout.",
        epilog="example: python -m isp_sim.generate --rig exlpose-small --scenes photos/ --count 100 --out out/small",
    )
    asked.add_argument("--rig", default="exlpose", help="rig YAML, or exlpose, exlpose-small, ideal [%(default)s]")
    asked.add_argument(
        "--scenes",
        default="people",
        help="'people' or 'charts' (both built in), a folder of sRGB pictures, or a raw file or folder of raws "
        "(DNG, NEF …, headerless .raw with a YAML beside it) [%(default)s]",
    )
    asked.add_argument(
        "--annotations",
        type=Path,
        help="COCO, CrowdPose or ExLPose JSON of the pictures' people [the one that lies in their folder]",
    )
    asked.add_argument(
        "--schedule",
        type=Path,
        help="CSV of shots to replay instead of drawing from the rig's: session, place, scene, frame, "
        "exposure_ratio, bright_gain_db, dark_gain_db, exposure_us",
    )
    asked.add_argument(
        "--count", type=int, help="pairs to make; a run keeps its count [20, or all shots of --schedule]"
    )
    asked.add_argument(
        "--seed", type=int, default=0, help="same seed and rig: same bytes; another seed, other people [%(default)s]"
    )
    asked.add_argument(
        "--motion-samples",
        type=int,
        default=FROZEN,
        metavar="N",
        help="people move while the shutter is open: N sub-frames are averaged over each shot's exposure, which makes "
        "a shot N times as long to render; 8 suits 25 ms [%(default)s: they stand still]",
    )
    asked.add_argument("--out", type=Path, help="folder of the data set [out/<rig's name>]")
    asked.add_argument("--workers", type=int, help="processes; the result does not depend on it [number of cores]")
    asked.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where the arms run [%(default)s]")
    asked.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    return asked


def _prepare(given: argparse.Namespace) -> tuple[Job, Run, list[tuple[int, Shot]], int]:
    cores = len(os.sched_getaffinity(0))
    workers = given.workers if given.workers is not None else (cores if given.device == "cpu" else 1)
    if workers < 1 or (given.count is not None and given.count < 1):
        raise ValueError("--workers and --count take whole numbers from 1")
    if given.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"--device {given.device}: torch sees no CUDA device here; allowed is cpu")
    rig = load_rig(given.rig)
    shots = plan(rig, given.schedule, given.count, given.seed)
    # complains before the first picture
    source = open_scenes(given.scenes, given.annotations, rig, given.seed, given.motion_samples)
    run = Run(
        rig=rig.name,
        rig_digest=_digest(rig.model_dump_json()),
        seed=given.seed,
        scenes=given.scenes if given.scenes in BUILT_IN else str(Path(given.scenes).resolve()),
        scene_files=_digest(*(str(path) for path in getattr(source, "files", ()))),
        schedule=_digest(given.schedule.read_text(encoding="utf-8-sig")) if given.schedule else None,
        count=len(shots),
        motion_samples=given.motion_samples,
        device=torch.device(given.device).type,
    )
    out = given.out or Path("out") / rig.name
    job = Job(
        rig_json=rig.model_dump_json(),
        scenes=given.scenes,
        annotations=given.annotations,
        seed=given.seed,
        motion_samples=given.motion_samples,
        device=given.device,
        out=out,
        threads=max(1, cores // workers),
    )
    return job, run, shots, workers


def _digest(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        job, run, shots, workers = _prepare(given)
        sheet = generate(job, run, shots, workers, given.resume)
    except (ValueError, OSError) as fault:
        print(f"isp_sim.generate: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "isp_sim.generate: stopped; the pairs that are done are whole: add --resume to go on",
            file=sys.stderr,
        )
        return 130
    Console().print(means_table(job.out))
    print(f"{len(shots)} pairs in {job.out}, contact sheet {sheet}")
    print("next: look at the contact sheet; open raw/*.dng in any raw developer; Annotations/*.json hold the poses")
    return 0


if __name__ == "__main__":
    sys.exit(main())
