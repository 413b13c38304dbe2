"""Command: a rig and scenes → a data set of aligned low-light / well-lit pairs.

python -m isp_sim.generate --rig rigs/exlpose.yaml
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.choices import BUILT_IN, DEFAULT_COUNT, FPS, FROZEN
from isp_sim.command_line import run
from isp_sim.generate_options import parser
from isp_sim.stores import remote
from isp_sim.workers import prepare

if TYPE_CHECKING:
    from isp_sim.photo_pairs.frames import PhotoFrames
    from isp_sim.photo_pairs.rig import PhotoPairRig
    from isp_sim.rig import Rig
    from isp_sim.run_spec import RunSpec
    from isp_sim.scenes import SceneSource
    from isp_sim.scenes.photos import Photos
    from isp_sim.schedule import Shot

MOST = 10_000_000
"""Pairs of a run: every shot of it is planned, and so in memory, before the first."""
NOTES_SHOWN = 5
"""Sentences about photographs of one run that are printed; the rest are counted."""


def work(args: argparse.Namespace) -> int:
    """Make the data set, then print how bright it is and where it lies. Raises as `isp_sim.run.carry_out`."""
    spec, shots = _prepare(args)
    from rich.console import Console

    from isp_sim.rig import Rig
    from isp_sim.run import carry_out
    from isp_sim.run_summary import RunFigures, means_table, summary

    output, sheet = carry_out(spec, shots, args.resume, args.cluster)
    if sheet is None:
        print(
            f"part {args.part[0]} of {args.part[1]} is done; when all are, end the run with --resume instead of --part"
        )
        return 0
    figures = RunFigures.of(output.records())
    if isinstance(spec.rig, Rig):
        Console().print(means_table(figures))
    kind = "scene" if spec.scenes in BUILT_IN else "photograph"
    print(
        summary(figures, remote(spec.out) or str(spec.out), sheet, kind, spec.format == "webdataset", spec.raw == "dng")
    )
    return 0


def _prepare(args: argparse.Namespace) -> "tuple[RunSpec, list[Shot]]":
    from isp_sim.workers import cores

    workers = args.workers if args.workers is not None else (cores() if args.device == "cpu" else 1)
    _check_numbers(args, workers)
    _check_sequence(args)
    _check_output(args, workers)
    if workers > 1 and args.cluster is None:
        prepare("isp_sim.run")  # imports what workers need while this process plans
    import torch

    from isp_sim.photo_pairs.pairs import photo_shots
    from isp_sim.photo_pairs.rig import PhotoPairRig, load_any_rig
    from isp_sim.run_plan import plan

    if args.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"--device {args.device}: torch finds no CUDA device here; expected cpu")
    rig = load_any_rig(args.rig)
    source: SceneSource | PhotoFrames  # complains before the first picture
    if isinstance(rig, PhotoPairRig):
        source = _photo_frames(args, rig)
        shots = photo_shots(rig, len(source), DEFAULT_COUNT if args.count is None else args.count, args.seed)
    else:
        shots = plan(
            rig, args.schedule, args.count, args.seed, args.shots_per_scene, args.scene_count, args.frames, args.fps
        )
        source = _scenes(args, rig, shots)
        _print_stillness(args, rig)
    spec = _spec(args, rig, source, len(shots), workers)
    return (spec if args.cluster is None else spec.anywhere), shots


def _spec(
    args: argparse.Namespace, rig: "Rig | PhotoPairRig", source: "SceneSource | PhotoFrames", count: int, workers: int
) -> "RunSpec":
    from isp_sim.run_spec import RunSpec, digest

    return RunSpec(
        rig_json=rig.model_dump_json(),
        seed=args.seed,
        scenes=args.scenes,
        scene_files=digest(*(str(path) for path in getattr(source, "files", ()))),
        schedule=digest(args.schedule.read_text(encoding="utf-8-sig")) if args.schedule else None,
        count=count,
        device=args.device,
        motion_samples=args.motion_samples,
        shots_per_scene=args.shots_per_scene,
        subset=args.subset,
        labels_orientation=args.labels_orientation,
        linear=args.linear,
        backgrounds=str(args.backgrounds.resolve()) if args.backgrounds else None,
        backgrounds_share=args.backgrounds_share,
        out=args.out or Path("out") / rig.name,
        annotations=args.annotations,
        skip_unusable=args.skip_unusable,
        workers=workers,
        frames=args.frames,
        fps=args.fps,
        auto_exposure=args.auto_exposure,
        format=args.format,
        raw=args.raw,
        pairs_a_shard=args.pairs_a_shard,
        part=args.part,
    )


def _check_numbers(args: argparse.Namespace, workers: int) -> None:
    names = ("count", "scene_count", "pairs_a_shard", "frames")
    for name, value in (("workers", workers), *((name, getattr(args, name)) for name in names)):
        if value is not None and not 1 <= value <= MOST:
            raise ValueError(f"--{name.replace('_', '-')} {value}: expected a whole number from 1 to {MOST}")
    if args.shots_per_scene is not None and (args.shots_per_scene < 1 or args.schedule):
        raise ValueError("--shots-per-scene takes whole numbers from 1, and no --schedule, which lists its own shots")


def _check_sequence(args: argparse.Namespace) -> None:
    """What only a sequence has, and what it does not have."""
    if args.frames is None:
        if args.auto_exposure or args.fps != FPS:
            raise ValueError("--auto-exposure and --fps: belong to sequences; expected --frames N beside them")
    elif args.schedule or args.shots_per_scene is not None:
        raise ValueError(
            "--frames: a sequence keeps one shot of its scene; expected no --schedule or --shots-per-scene"
        )
    elif not 0.01 <= args.fps <= 100_000:
        raise ValueError(f"--fps {args.fps}: expected a number from 0.01 to 100000")


def _check_output(args: argparse.Namespace, workers: int) -> None:
    """Where the pairs go and who makes them must fit together."""
    place = remote(args.out) if args.out else None
    if place and args.format != "webdataset":
        raise ValueError(f"--out {place}: --format {args.format} writes to a disk; expected --format webdataset")
    if place and place.startswith("memory:") and (workers > 1 or args.cluster):
        raise ValueError(f"--out {place}: lives in one process; expected --workers 1, without --cluster")
    if args.part and args.cluster:
        raise ValueError("--part: shares out a run where there is no cluster; expected one of --part and --cluster")
    if args.cluster and args.device != "cpu":
        raise ValueError(f"--cluster: runs on CPUs; expected --device cpu, not {args.device}")


def _scenes(args: argparse.Namespace, rig: "Rig", shots: "list[Shot]") -> "SceneSource":
    """The scenes asked for; what is doubtful in photographs' labels is printed, what does not fit refused."""
    from isp_sim.scenes.photos import Photos
    from isp_sim.scenes.sources import open_scenes

    source = open_scenes(
        args.scenes,
        args.annotations,
        rig,
        args.seed,
        args.motion_samples,
        args.labels_orientation,
        args.linear,
        args.backgrounds,
        args.backgrounds_share,
    )
    if isinstance(source, Photos):
        _print_doubts(source, shots, args.skip_unusable)
    elif args.labels_orientation is not None:
        raise ValueError(f"--labels-orientation {args.labels_orientation}: --scenes {args.scenes} has no EXIF")
    return source


def _print_doubts(photos: "Photos", shots: "list[Shot]", skip_unusable: bool) -> None:
    """Print what of the photographs' labels is not read or was guessed; what does not fit is refused before any shot.

    Raises:
        ValueError: labels that do not fit their photograph, unless such photographs are left out.
    """
    doubts: list[str] = []
    for index in sorted({shot.scene % len(photos) for shot in shots}):
        try:
            doubt = photos.doubt(index)
        except ValueError:
            if not skip_unusable:
                raise
            continue  # left out, and named, when its turn comes
        if doubt is not None:
            doubts.append(doubt)
    for sentence in (*photos.notes, *doubts[:NOTES_SHOWN]):
        print(f"isp_sim.generate: {sentence}", file=sys.stderr)
    if len(doubts) > NOTES_SHOWN:
        print(f"isp_sim.generate: EXIF turns {len(doubts) - NOTES_SHOWN} more photographs like these", file=sys.stderr)


def _print_stillness(args: argparse.Namespace, rig: "Rig") -> None:
    """Say what a sequence does not show of a rolling shutter."""
    if args.frames is not None and args.scenes == "people" and rig.row_time_us and args.motion_samples == FROZEN:
        print(
            f"isp_sim.generate: rig {rig.name} has a rolling shutter, but people stand still while a frame is exposed; "
            "add --motion-samples 8 to see them lean",
            file=sys.stderr,
        )


def _photo_frames(args: argparse.Namespace, rig: "PhotoPairRig") -> "PhotoFrames":
    from isp_sim.photo_pairs.frames import PhotoFrames

    for name in (
        "schedule",
        "annotations",
        "shots_per_scene",
        "scene_count",
        "labels_orientation",
        "backgrounds",
        "frames",
    ):
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')}: rig {rig.name} makes its pairs from raw files and takes none"
            )
    if args.linear:
        raise ValueError(f"--linear: rig {rig.name} makes its pairs from raw files, which are linear")
    if args.scenes in BUILT_IN or args.device != "cpu":
        raise ValueError(f"rig {rig.name} takes raw files, on the cpu: give --scenes a raw file or a folder of them")
    return PhotoFrames(Path(args.scenes), rig.height_px, rig.width_px)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m isp_sim.generate") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "the pairs that are done are whole: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
