"""Command: a rig and scenes → a data set of aligned low-light / well-lit pairs.

python -m isp_sim.generate --rig rigs/exlpose.yaml
"""

import argparse
import hashlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isp_sim import streams
from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter, Run
from isp_sim.generate_options import DEFAULT_COUNT, parser
from isp_sim.photo_pairs.frames import RawFrames
from isp_sim.photo_pairs.pairs import raw_shots
from isp_sim.photo_pairs.rig import RawPairs
from isp_sim.rig import Rig
from isp_sim.rigfile import load_any_rig
from isp_sim.run import BUILT_IN, Job, open_scenes, shoot_all, tasks
from isp_sim.run_summary import means_table, summary
from isp_sim.scenes import SceneSource
from isp_sim.scenes.photos import Photos
from isp_sim.schedule import Shot, replay, scene_shots, some_of

DOUBTS_SHOWN = 5
"""Sentences about photographs of one run that are printed; the rest are counted."""


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
    if not writer.count():
        raise ValueError(f"{job.out}: none of the {len(shots)} pairs could be made; see what was left out")
    writer.close()
    return contact_sheet(job.out)


def _prepare(given: argparse.Namespace) -> tuple[Job, Run, list[tuple[int, Shot]], int]:
    cores = len(os.sched_getaffinity(0))
    workers = given.workers if given.workers is not None else (cores if given.device == "cpu" else 1)
    for name, value in (("workers", workers), ("count", given.count), ("scene-count", given.scene_count)):
        if value is not None and value < 1:
            raise ValueError(f"--{name} {value}: whole numbers from 1 are allowed")
    if given.shots_per_scene is not None and (given.shots_per_scene < 1 or given.schedule):
        raise ValueError("--shots-per-scene takes whole numbers from 1, and no --schedule, which lists its own shots")
    if given.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"--device {given.device}: torch sees no CUDA device here; allowed is cpu")
    rig = load_any_rig(given.rig)
    source: SceneSource | RawFrames  # complains before the first picture
    if isinstance(rig, RawPairs):
        source = _raw_frames(given, rig)
        shots = raw_shots(rig, len(source), DEFAULT_COUNT if given.count is None else given.count, given.seed)
    else:
        shots = plan(rig, given.schedule, given.count, given.seed, given.shots_per_scene, given.scene_count)
        source = _scenes(given, rig, shots)
    run = Run(
        rig=rig.name,
        rig_digest=_digest(rig.model_dump_json()),
        seed=given.seed,
        scenes=given.scenes if given.scenes in BUILT_IN else str(Path(given.scenes).resolve()),
        scene_files=_digest(*(str(path) for path in getattr(source, "files", ()))),
        schedule=_digest(given.schedule.read_text(encoding="utf-8-sig")) if given.schedule else None,
        count=len(shots),
        motion_samples=given.motion_samples,
        shots_per_scene=given.shots_per_scene,
        device=torch.device(given.device).type,
        subset=given.subset,
        labels_orientation=given.labels_orientation,
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
        skip_unusable=given.skip_unusable,
        labels_orientation=given.labels_orientation,
    )
    return job, run, shots, workers


def _scenes(given: argparse.Namespace, rig: Rig, shots: list[tuple[int, Shot]]) -> SceneSource:
    """The scenes asked for; what is doubtful in photographs' labels is told, what does not fit refused."""
    source = open_scenes(
        given.scenes, given.annotations, rig, given.seed, given.motion_samples, given.labels_orientation
    )
    if isinstance(source, Photos):
        _tell_doubts(source, shots, given.skip_unusable)
    elif given.labels_orientation is not None:
        raise ValueError(f"--labels-orientation {given.labels_orientation}: --scenes {given.scenes} has no EXIF")
    return source


def _tell_doubts(photos: Photos, shots: list[tuple[int, Shot]], skip_unusable: bool) -> None:
    """Say what of the photographs' labels is not read or was guessed; what does not fit is refused before any shot."""
    doubts: list[str] = []
    for index in sorted({shot.scene % len(photos) for _, shot in shots}):
        try:
            doubt = photos.doubt(index)
        except ValueError:
            if not skip_unusable:
                raise
            continue  # left out, and told, when its turn comes
        if doubt is not None:
            doubts.append(doubt)
    for sentence in (*photos.notes, *doubts[:DOUBTS_SHOWN]):
        print(f"isp_sim.generate: {sentence}", file=sys.stderr)
    if len(doubts) > DOUBTS_SHOWN:
        print(f"isp_sim.generate: EXIF turns {len(doubts) - DOUBTS_SHOWN} more photographs like these", file=sys.stderr)


def _raw_frames(given: argparse.Namespace, rig: RawPairs) -> RawFrames:
    for name in ("schedule", "annotations", "shots_per_scene", "scene_count", "labels_orientation"):
        if getattr(given, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')}: rig {rig.name} makes its pairs from raw files and takes none"
            )
    if given.scenes in BUILT_IN or given.device != "cpu":
        raise ValueError(f"rig {rig.name} takes raw files, on the cpu: give --scenes a raw file or a folder of them")
    return RawFrames(Path(given.scenes), rig.height_px, rig.width_px)


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
    if isinstance(job.rig, Rig):
        Console().print(means_table(job.out))
    print(summary(job.out, sheet, "scene" if job.scenes in BUILT_IN else "photograph"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
