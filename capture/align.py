"""Command: captures of a two-camera rig → aligned pairs in ExLPose's layout.

python -m capture.align CAPTURES --out out/aligned
"""

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from isp_sim import generate, generate_options
from isp_sim.choices import Subset
from isp_sim.command_line import add_anywhere, run
from isp_sim.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from capture.alignment.session_fit import SessionMap
    from capture.alignment.writer import AlignRun, Outcome
    from capture.captures import CapturedPair
    from isp_sim.rectify import ArmName
    from isp_sim.rig import Rig

SOME_REFUSED = 3
"""Exit status where some pairs are aligned and others are not; 2 is argparse's own."""

DEMO_RIG, DEMO_PAIRS = "exlpose-misaligned", 6
DEMO_CAPTURES, DEMO_OUT = Path("out/captures"), Path("out/aligned")


def parser(prog: str = "python -m capture.align") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Align the arms of a two-camera rig: one map a session from its best pairs, each pair checked "
        "against it, warped once and written in ExLPose's layout, with a page a session to judge it by. What does "
        "not agree is refused with its residual; the rest is done.",
        epilog="Without captures: shoots six misaligned pairs with the simulated rig into out/captures (with --out X: "
        "X-captures), aligns them and prints the error against the truth. Example: %(prog)s "
        "out/session --rig rigs/mine.yaml --out out/pairs. "
        "Exit status: 0 all pairs aligned; 3 some aligned, others refused or without partner; 1 nothing aligned, or "
        "wrong arguments; 130 stopped by Ctrl-C, 143 by SIGTERM.",
    )
    parser.add_argument(
        "captures",
        type=Path,
        nargs="?",
        help="folder with raw/*.dng (a session of isp-sim grab, a run of isp-sim generate), folder with bright/ "
        "and dark/ pictures named as ExLPose's, or a CSV with columns bright, dark[, session]",
    )
    parser.add_argument("--out", type=Path, help="folder of the data set [out/aligned]")
    parser.add_argument(
        "--rig", help="rig file or name; tells how much light the arms get [the folder's rig.yaml, or exlpose]"
    )
    parser.add_argument("--reference", type=Path, help="file of the static pair that fixes the map [the best pairs]")
    parser.add_argument("--summed", type=int, default=6, help="most pairs summed to fix a session's map [%(default)s]")
    parser.add_argument(
        "--distortion", action="store_true", help="fit what the arms' radial distortions differ by, too"
    )
    parser.add_argument(
        "--onto",
        choices=("low-light", "well-lit"),
        default="low-light",
        help="arm whose pixels are kept, the other one is warped: ExLPose's low-light pictures were never resampled, "
        "and a warp would average their noise [%(default)s]",
    )
    parser.add_argument(
        "--resampler",
        choices=("cubic", "linear"),
        default="cubic",
        help="of the arm that is warped, in linear light: Catmull-Rom or bilinear [%(default)s]",
    )
    parser.add_argument(
        "--match",
        choices=("none", "tint", "level"),
        default="none",
        help="low-light pictures unchanged, without their colour cast, or lifted to the well-lit level [%(default)s]",
    )
    parser.add_argument("--limit-px", type=float, default=0.5, help="largest residual that is accepted [%(default)s]")
    _add_run(parser)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    """Labels, the data set's names, and how the run goes."""
    add_anywhere(parser)
    parser.add_argument(
        "--annotations",
        type=Path,
        help="COCO keypoints on the well-lit frames, or the isp-sim generate run the frames come from "
        "[what lies in the folder]",
    )
    parser.add_argument(
        "--split",
        dest="subset",
        default="test",
        choices=get_args(Subset),
        help="names the annotation files ExLPose_train_* or ExLPose_test_* [%(default)s]",
    )
    parser.add_argument(
        "--workers", type=int, help="pairs at a time; the result does not depend on it [number of cores]"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def main(arguments: Sequence[str] | None = None, prog: str = "python -m capture.align") -> int:
    """Entry point; returns the exit status: 0 all aligned, `SOME_REFUSED`, 1 nothing aligned, 130 or 143 stopped."""
    return run(parser(prog), work, arguments, "the pairs that are done are whole: add --resume to go on")


def work(args: argparse.Namespace) -> int:
    """Align and print what came of it; without captures, those of a demonstration. Raises as `align`."""
    _check(args)
    if args.captures is None:
        _rig(args)  # seconds of shooting come after what can be wrong
        if args.annotations is not None:
            raise ValueError(f"--annotations {args.annotations}: the demonstration has its own; name captures")
        args.captures = _demonstration(args.out)
        args.resume = True
    args.out = args.out or DEMO_OUT
    return _report(args, align(args))


def _check(args: argparse.Namespace) -> None:
    """See that the options can be right. Raises ValueError."""
    for option, value in (("--workers", args.workers), ("--summed", args.summed)):
        if value is not None and value < 1:
            raise ValueError(f"{option} {value}: expected a whole number from 1")
    if not 0 < args.limit_px < math.inf:
        raise ValueError(f"--limit-px {args.limit_px:g}: expected a number above 0")


def _cores() -> int:
    from isp_sim.workers import cores

    return cores()


def align(args: argparse.Namespace) -> "list[Outcome]":
    """Align everything in a folder.

    Raises:
        ValueError: bad input, or the output folder holds something else.
        OSError: the disk is full or read-only; what is done stays and `--resume` goes on.
    """
    workers = args.workers if args.workers is not None else _cores()
    from capture.alignment.align_session import align_session
    from capture.alignment.develop import Isps
    from capture.alignment.labels import joints_unread, read_labels
    from capture.alignment.session_fit import AlignSettings
    from capture.alignment.writer import Outcome, forget_refusals, write_alignments
    from capture.captures import find_pairs
    from capture.registration import photometry
    from isp_sim.dataset import DatasetWriter

    pairs, faults = find_pairs(args.captures, args.anywhere)
    rig = _rig(args)
    settings = AlignSettings(
        _onto(args), args.resampler, args.match, args.limit_px, args.distortion, args.reference, args.summed,
        photometry.expected_share(rig), Isps.of(rig), photometry.black_of(rig),
    )  # fmt: skip
    labels = read_labels(args.captures, args.annotations)
    pairs = _named_once(pairs, faults)
    if args.reference is not None and not any(
        args.reference.name in (pair.bright.name, pair.dark.name) for pair in pairs
    ):
        raise ValueError(f"--reference {args.reference}: not one of the pairs of {args.captures}")
    forget_refusals(args.out)
    writer = DatasetWriter(args.out)
    finished = writer.open(run_of(args, rig, pairs), args.resume)
    for sentence in joints_unread(args.captures, args.annotations):
        print(f"capture.align: {sentence}", file=sys.stderr)
    outcomes = [Outcome("-", len(faults), faults=faults)] if faults else []
    numbered = list(enumerate(pairs))
    with Progress("pairs", len(pairs), len(finished)) as progress:
        seen = 0
        for name, group in itertools.groupby(sorted(numbered, key=lambda p: p[1].session), lambda p: p[1].session):
            members = list(group)
            outcome = Outcome(name, len(members))
            for _ in align_session(outcome, members, labels, settings, writer, workers, finished):
                seen += 1
                progress.reach(seen)
            outcomes.append(outcome)
    if any(outcome.done for outcome in outcomes):
        writer.close()
    else:
        writer.abandon()
    write_alignments(args.out, outcomes, settings)
    return outcomes


def _named_once(pairs: "list[CapturedPair]", faults: list[str]) -> "list[CapturedPair]":
    """Pairs whose pictures would have a name of their own; the others become faults."""
    taken: dict[str, Path] = {}
    kept = []
    for pair in pairs:
        name = pair.shot.file_name("bright")
        if name in taken:
            faults.append(f"{pair.bright}: would be written as {name}, as {taken[name]} is; rename one of them")
        else:
            taken[name] = pair.bright
            kept.append(pair)
    return kept


def _onto(args: argparse.Namespace) -> "ArmName":
    return "low_light" if args.onto == "low-light" else "well_lit"


def _rig(args: argparse.Namespace) -> "Rig":
    from isp_sim.rigfile import load_rig

    if args.rig or args.captures is None:
        return load_rig(args.rig or "exlpose")
    own = args.captures / "rig.yaml"
    return load_rig(own if own.is_file() else "exlpose")


def run_of(args: argparse.Namespace, rig: "Rig", pairs: "list[CapturedPair]") -> "AlignRun":
    """What identifies the run that the command line asks for."""
    from capture.alignment.labels import labels_digest
    from capture.alignment.writer import AlignRun
    from isp_sim.run_spec import digest

    names = "\n".join(f"{pair.session} {pair.bright.name} {pair.dark.name}" for pair in pairs)
    return AlignRun(
        rig_json=rig.model_dump_json(),
        out=args.out,
        seed=0,
        scenes=str(args.captures),
        scene_files=digest(names),
        schedule=None,
        count=len(pairs),
        onto=_onto(args),
        resampler=args.resampler,
        match=args.match,
        limit_px=args.limit_px,
        distortion=args.distortion,
        reference=str(args.reference) if args.reference else None,
        summed=args.summed,
        labels_digest=labels_digest(args.captures, args.annotations),
        subset=args.subset,
    )


def _demonstration(out: Path | None) -> Path:
    """A small session of the simulated rig, arms apart; shot once, beside the data set."""
    captures = DEMO_CAPTURES if out is None else out.with_name(f"{out.name}-captures")
    print(f"no captures given: shooting {DEMO_PAIRS} pairs with rigs/{DEMO_RIG}.yaml into {captures}")
    options = ["--rig", DEMO_RIG, "--count", str(DEMO_PAIRS), "--out", str(captures), "--resume"]
    generate.work(generate_options.parser().parse_args(options))
    return captures


def _report(args: argparse.Namespace, outcomes: "list[Outcome]") -> int:
    """Print what was refused and why, what each session came to, what to do next; gives the exit status."""
    from capture.alignment.labels import read_labels
    from isp_sim.manifest import read_manifest

    for fault in (fault for outcome in outcomes for fault in outcome.faults):
        print(f"capture.align: {fault}", file=sys.stderr)
    if not any(outcome.done for outcome in outcomes):
        print(f"no pair could be aligned; {args.out / 'alignment.json'} says why, and the command may be run again")
        return 1
    truth = {stem: known.truth for stem, known in read_labels(args.captures, args.annotations).items()}
    records = list(read_manifest(args.out))
    written = {record.scene for record in records}
    for outcome in outcomes:
        if outcome.found is not None:
            first = outcome.found.pairs[0]
            _print_session(outcome, outcome.found, truth.get(Path(first).stem) if first in written else None)
    missed = sum(outcome.missed for outcome in outcomes)
    print(f"{len(records)} pairs aligned, {missed} without partner or refused")
    pages = ", ".join(str(page) for page in sorted(args.out.glob("report-*.html")))
    print(f"pairs in {args.out}; look at {pages} in a browser; alignment.json has the figures")
    if any(record.people for record in records):
        print("next: bright/, dark/, Annotations/ are an ExLPose data set for models; isp-sim train-pose --help")
    else:
        print(
            "no people are labelled in these pairs: Annotations/ lists pictures alone, no poses to learn; "
            "next: align into another folder with --annotations FILE (COCO keypoints on the well-lit frames) or "
            "--annotations RUN (the isp-sim generate folder the frames come from)"
        )
    return SOME_REFUSED if missed else 0


def _print_session(outcome: "Outcome", found: "SessionMap", truth: "np.ndarray | None") -> None:
    from capture.registration import geometry

    grid = found.grid
    print(
        f"session {outcome.name}: {len(outcome.done)} pairs aligned, {outcome.missed} refused; residual "
        f"{grid.rms_px(grid.before):.2f} px before, {grid.rms_px(grid.left):.3f} px after; expected corner error "
        f"{found.sigma_px:.3f} px"
    )
    if truth is not None:
        matrix = found.fit.alignment.low_to_well(*found.size)
        print(f"  against the truth: {geometry.corner_error(matrix, truth, *found.size):.3f} px RMS at the corners")


if __name__ == "__main__":
    sys.exit(main())
