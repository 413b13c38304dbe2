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
from rich.table import Table

from isp_sim import streams
from isp_sim.contact_sheet import contact_sheet
from isp_sim.dataset import DatasetWriter, Run
from isp_sim.manifest import read_manifest
from isp_sim.raw_frames import RawFrames
from isp_sim.raw_pair_rig import RawPairs
from isp_sim.raw_pairs import raw_shots
from isp_sim.rig import Rig
from isp_sim.rigfile import load_any_rig
from isp_sim.scenes import SceneSource
from isp_sim.scenes.people.source import FROZEN
from isp_sim.schedule import Shot, replay, scene_shots, some_of
from isp_sim.studio import BUILT_IN, Job, open_scenes, shoot_all, tasks

PUBLISHED_MEANS = {"LL-N": 3.2, "LL-H": 1.4, "LL-E": 0.9, "LL-A": 2.0, "WL": 90.5}
"""Mean 8-bit intensity of ExLPose's test splits (Lee et al., CVPR 2023, Table 1)."""


def plan(
    rig: Rig, schedule: Path | None, count: int | None, seed: int, shots_per_scene: int | None = None
) -> list[tuple[int, Shot]]:
    """Every shot of a run as (number within its scene, shot): replayed from a CSV, or drawn from the rig.

    Args:
        rig: whose schedule is drawn from.
        schedule: CSV to replay instead.
        count: of pairs; None is 20, or all of the CSV.
        seed: of the run.
        shots_per_scene: how many of a scene's shots are taken, drawn from them; None takes all.

    Raises:
        ValueError: two shots would have one file name, or a gain is beyond the sensor.
    """
    shots = _shots(rig, schedule, count, seed, shots_per_scene)
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
    rig: Rig, schedule: Path | None, count: int | None, seed: int, shots_per_scene: int | None
) -> list[tuple[int, Shot]]:
    if schedule is not None:
        seen: Counter[int] = Counter()
        numbered = []
        for shot in replay(schedule):
            numbered.append((seen[shot.scene], shot))
            seen[shot.scene] += 1
        return numbered[:count]

    def numbered_shots(scene: int) -> list[tuple[int, Shot]]:
        shots = scene_shots(rig.schedule, scene, streams.generator(seed, scene, "schedule"))
        return some_of(shots, shots_per_scene, streams.generator(seed, scene, "shots of the scene"))

    drawn = (pair for scene in itertools.count() for pair in numbered_shots(scene))
    return list(itertools.islice(drawn, 20 if count is None else count))


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


def means_table(folder: Path) -> Table:
    """Mean 8-bit intensity by split, beside the published ones."""
    table = Table(title="mean 8-bit intensity")
    for heading in ("split", "pairs", "here", "ExLPose", "ratio"):
        table.add_column(heading, justify="right")
    records = list(read_manifest(folder))
    for split, published in PUBLISHED_MEANS.items():
        chosen = [record for record in records if split in ("LL-A", "WL", record.split)]
        means = [record.mean_well_lit if split == "WL" else record.mean_low_light for record in chosen]
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
    asked.add_argument(
        "--rig",
        default="exlpose",
        help="rig YAML, or exlpose, exlpose-small, exlpose-misaligned, ideal; gladnet makes training pairs from raw "
        "files [%(default)s]",
    )
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
    asked.add_argument("--shots-per-scene", type=int, help="of a scene's shots take so many, drawn [all, 3 to 5]")
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
    _add_run(asked)
    return asked


def _add_run(asked: argparse.ArgumentParser) -> None:
    """Where and how the run goes, beside what it shoots."""
    asked.add_argument("--out", type=Path, help="folder of the data set [out/<rig's name>]")
    asked.add_argument("--workers", type=int, help="processes; the result does not depend on it [number of cores]")
    asked.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where the arms run [%(default)s]")
    asked.add_argument(
        "--skip-unusable",
        action="store_true",
        help="leave out scenes that cannot be read or metered, instead of stopping",
    )
    asked.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def _prepare(given: argparse.Namespace) -> tuple[Job, Run, list[tuple[int, Shot]], int]:
    cores = len(os.sched_getaffinity(0))
    workers = given.workers if given.workers is not None else (cores if given.device == "cpu" else 1)
    for name, value in (("workers", workers), ("count", given.count)):
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
        shots = raw_shots(rig, len(source), 20 if given.count is None else given.count, given.seed)
    else:
        shots = plan(rig, given.schedule, given.count, given.seed, given.shots_per_scene)
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
        shots_per_scene=given.shots_per_scene,
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
        skip_unusable=given.skip_unusable,
    )
    return job, run, shots, workers


def _raw_frames(given: argparse.Namespace, rig: RawPairs) -> RawFrames:
    for name in ("schedule", "annotations", "shots_per_scene"):
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
    print(f"{sum(1 for _ in read_manifest(job.out))} pairs in {job.out}, contact sheet {sheet}")
    print("next: look at the contact sheet; open raw/*.dng in any raw developer; Annotations/*.json hold the poses")
    return 0


if __name__ == "__main__":
    sys.exit(main())
