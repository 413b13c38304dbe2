"""Command: captures of a two-camera rig → aligned pairs in ExLPose's layout.

python -m capture.align CAPTURES --out out/aligned
"""

import argparse
import itertools
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from capture.alignment.align_session import align_session
from capture.alignment.labels import joints_unread, read_labels
from capture.alignment.session_fit import Session, Settings
from capture.alignment.writer import AlignRun, Outcome, forget_refusals, write_alignments
from capture.captures import CapturedPair, find_pairs
from capture.registration import geometry, photometry
from isp_sim import generate
from isp_sim.annotation_files import Subset
from isp_sim.dataset import DatasetWriter
from isp_sim.manifest import read_manifest
from isp_sim.rectify import ArmName
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_spec import digest

SOME_REFUSED = 3
"""Exit status where some pairs are aligned and others are not; 2 is argparse's own."""

DEMO_RIG, DEMO_PAIRS = "exlpose-misaligned", 6
DEMO_CAPTURES, DEMO_OUT = Path("out/captures"), Path("out/aligned")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m capture.align",
        description="Align the arms of a two-camera rig: one map a session from its best pairs, each pair checked "
        "against it, warped once and written in ExLPose's layout, with a page a session to judge it by. What does "
        "not agree is refused with its residual; the rest is done.",
        epilog="Without captures: shoots six misaligned pairs with the simulated rig into out/captures (with --out X: "
        "X-captures), aligns them and prints the error against the truth. Example: python -m capture.align "
        "out/session --rig rigs/mine.yaml --out out/pairs. "
        "Exit status: 0 all pairs aligned; 3 some aligned, others refused or without partner; 1 nothing aligned, or "
        "wrong arguments; 130 stopped by Ctrl-C.",
    )
    asked.add_argument(
        "captures",
        type=Path,
        nargs="?",
        help="folder with raw/*.dng (a session of capture.grab, a run of isp_sim.generate), folder with bright/ "
        "and dark/ pictures named as ExLPose's, or a CSV with columns bright, dark[, session]",
    )
    asked.add_argument("--out", type=Path, help="folder of the data set [out/aligned]")
    asked.add_argument(
        "--rig", help="rig file or name; tells how much light the arms get [the folder's rig.yaml, or exlpose]"
    )
    asked.add_argument("--reference", type=Path, help="file of the static pair that fixes the map [the best pairs]")
    asked.add_argument("--summed", type=int, default=6, help="most pairs summed to fix a session's map [%(default)s]")
    asked.add_argument("--distortion", action="store_true", help="fit what the arms' radial distortions differ by, too")
    asked.add_argument(
        "--onto",
        choices=("low-light", "well-lit"),
        default="low-light",
        help="arm whose pixels are kept, the other one is warped: ExLPose's low-light pictures were never resampled, "
        "and a warp would average their noise [%(default)s]",
    )
    asked.add_argument(
        "--resampler",
        choices=("cubic", "linear"),
        default="cubic",
        help="of the arm that is warped, in linear light: Catmull-Rom or bilinear [%(default)s]",
    )
    asked.add_argument(
        "--match",
        choices=("none", "tint", "level"),
        default="none",
        help="low-light pictures as they are, without their colour cast, or lifted to the well-lit level [%(default)s]",
    )
    asked.add_argument("--limit-px", type=float, default=0.5, help="largest residual that is accepted [%(default)s]")
    _add_run(asked)
    return asked


def _add_run(asked: argparse.ArgumentParser) -> None:
    """Labels, the data set's names, and how the run goes."""
    asked.add_argument(
        "--annotations",
        type=Path,
        help="COCO keypoints on the well-lit frames, or the isp_sim.generate run the frames come from "
        "[what lies in the folder]",
    )
    asked.add_argument(
        "--split",
        dest="subset",
        default="test",
        choices=get_args(Subset),
        help="names the annotation files ExLPose_train_* or ExLPose_test_* [%(default)s]",
    )
    asked.add_argument(
        "--workers", type=int, help="pairs at a time; the result does not depend on it [number of cores]"
    )
    asked.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 all aligned, `SOME_REFUSED`, 1 nothing aligned, 130 stopped."""
    given = parser().parse_args(arguments)
    try:
        if given.captures is None:
            given.captures = _demonstration(given.out)
            given.resume = True
        given.out = given.out or DEMO_OUT
        outcomes = align(given)
    except (ValueError, OSError) as fault:
        print(f"capture.align: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("capture.align: stopped; the pairs that are done are whole: add --resume to go on", file=sys.stderr)
        return 130
    return _tell(given, outcomes)


def align(given: argparse.Namespace) -> list[Outcome]:
    """Align everything in a folder.

    Raises:
        ValueError: bad input, or the output folder holds something else.
        OSError: the disk is full or read-only; what is done stays and `--resume` goes on.
    """
    workers = given.workers if given.workers is not None else len(os.sched_getaffinity(0))
    for option, value in (("--workers", workers), ("--summed", given.summed)):
        if value < 1:
            raise ValueError(f"{option} {value}: whole numbers from 1 are allowed")
    if not 0 < given.limit_px < math.inf:
        raise ValueError(f"--limit-px {given.limit_px:g}: numbers above 0 are allowed")
    pairs, faults = find_pairs(given.captures)
    rig = _rig(given)
    settings = Settings(
        _onto(given), given.resampler, given.match, given.limit_px, given.distortion, given.reference, given.summed,
        photometry.expected_share(rig), photometry.black_of(rig),
    )  # fmt: skip
    labels = read_labels(given.captures, given.annotations)
    for sentence in joints_unread(given.captures, given.annotations):
        print(f"capture.align: {sentence}", file=sys.stderr)
    pairs = _named_once(pairs, faults)
    if given.reference is not None and not any(
        given.reference.name in (pair.bright.name, pair.dark.name) for pair in pairs
    ):
        raise ValueError(f"--reference {given.reference}: is no pair of {given.captures}")
    forget_refusals(given.out)
    writer = DatasetWriter(given.out)
    finished = writer.open(run_of(given, rig, pairs), given.resume)
    outcomes = [Outcome("-", len(faults), faults=faults)] if faults else []
    numbered = list(enumerate(pairs))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("pairs", total=len(pairs))
        for name, group in itertools.groupby(sorted(numbered, key=lambda p: p[1].session), lambda p: p[1].session):
            members = list(group)
            outcome = Outcome(name, len(members))
            for _ in align_session(outcome, members, labels, settings, writer, workers, finished):
                progress.advance(bar)
            outcomes.append(outcome)
    if any(outcome.done for outcome in outcomes):
        writer.close()
    else:
        writer.abandon()
    write_alignments(given.out, outcomes, settings)
    return outcomes


def _named_once(pairs: list[CapturedPair], faults: list[str]) -> list[CapturedPair]:
    """Pairs whose pictures would have a name of their own; the others are told."""
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


def _onto(given: argparse.Namespace) -> ArmName:
    return "low_light" if given.onto == "low-light" else "well_lit"


def _rig(given: argparse.Namespace) -> Rig:
    own = given.captures / "rig.yaml"
    return load_rig(given.rig or (own if own.is_file() else "exlpose"))


def run_of(given: argparse.Namespace, rig: Rig, pairs: list[CapturedPair]) -> AlignRun:
    """What identifies the run that was asked for."""
    names = "\n".join(f"{pair.session} {pair.bright.name} {pair.dark.name}" for pair in pairs)
    return AlignRun(
        rig_json=rig.model_dump_json(),
        out=given.out,
        seed=0,
        scenes=str(given.captures),
        scene_files=digest(names),
        schedule=None,
        count=len(pairs),
        onto=_onto(given),
        resampler=given.resampler,
        match=given.match,
        limit_px=given.limit_px,
        distortion=given.distortion,
        reference=str(given.reference) if given.reference else None,
        summed=given.summed,
        subset=given.subset,
    )


def _demonstration(out: Path | None) -> Path:
    """A small session of the simulated rig, arms apart; shot once, beside the data set."""
    captures = DEMO_CAPTURES if out is None else out.with_name(f"{out.name}-captures")
    print(f"no captures given: shooting {DEMO_PAIRS} pairs with rigs/{DEMO_RIG}.yaml into {captures}")
    asked = ["--rig", DEMO_RIG, "--count", str(DEMO_PAIRS), "--out", str(captures), "--resume"]
    if generate.main(asked) != 0:
        raise ValueError(f"{captures}: the demonstration's captures could not be shot; see above")
    return captures


def _tell(given: argparse.Namespace, outcomes: list[Outcome]) -> int:
    for fault in (fault for outcome in outcomes for fault in outcome.faults):
        print(f"capture.align: {fault}", file=sys.stderr)
    if not any(outcome.done for outcome in outcomes):
        print(f"no pair could be aligned; {given.out / 'alignment.json'} says why, and the command may be run again")
        return 1
    truth = {stem: known.truth for stem, known in read_labels(given.captures, given.annotations).items()}
    records = list(read_manifest(given.out))
    written = {record.scene for record in records}
    for outcome in outcomes:
        if outcome.found is not None:
            first = outcome.found.pairs[0]
            _tell_session(outcome, outcome.found, truth.get(Path(first).stem) if first in written else None)
    missed = sum(outcome.missed for outcome in outcomes)
    print(f"{len(records)} pairs aligned, {missed} without partner or refused")
    pages = ", ".join(str(page) for page in sorted(given.out.glob("report-*.html")))
    print(f"pairs in {given.out}; look at {pages} in a browser; alignment.json has the figures")
    if any(record.people for record in records):
        print(
            "next: bright/, dark/, Annotations/ are an ExLPose data set for models; python -m models.train_pose --help"
        )
    else:
        print(
            "no people are labelled in these pairs: Annotations/ lists pictures alone, no poses to learn; "
            "next: align into another folder with --annotations FILE (COCO keypoints on the well-lit frames) or "
            "--annotations RUN (the isp_sim.generate folder the frames come from)"
        )
    return SOME_REFUSED if missed else 0


def _tell_session(outcome: Outcome, found: Session, truth: np.ndarray | None) -> None:
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
