"""Command: a tunable ISP, low-light raws and a frozen pose network → the settings under which it sees most.

python -m models.tune_isp --isp libraw
"""

import argparse
import functools
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from models.data.samples import TEST_SEED
from models.recognisers.inference import FLIPS
from models.recognisers.loading import identity as recogniser_identity
from models.recognisers.loading import load_recogniser
from models.scoring.average_precision import Protocol
from models.tuning.judge import AS_SHOT, Judge, Task, judging
from models.tuning.loading import load_isp
from models.tuning.loop import best, tune
from models.tuning.pipeline import PipelineIsp
from models.tuning.record import Evaluation, Record, open_folder
from models.tuning.report import HEADINGS, cells, examples, write_report
from models.tuning.search import CmaSearch, GradientSearch, Search
from models.tuning.shots import RawShot, digest, read_shots, shoot
from models.tuning.tunable import BlackBoxIsp, Settings, defaults
from models.tuning.verdict import Verdict, judge_all, verdicts

SEARCH_SEED = 61
"""Of the built-in scenes that a search sees; no training or test set that comes with the package uses it."""
OF_A_SCENE = 2
"""Shots of a built-in scene: two of its three to five light levels."""
DEFAULTS, AS_THE_RIG = "defaults", "the rig's own ISP"
SEARCHES = {"cma": "CMA-ES", "gradient": "gradient"}
TUNED = "settings.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m models.tune_isp",
        description="Tune an ISP in the loop: it develops low-light raws, a frozen pose network looks, the mean OKS "
        "over all people is the score, CMA-ES proposes the next settings. Then held-out shots are scored (AP for each "
        "split) with the ISP's defaults and with what was found. Without --data a rig shoots a small set of its own.",
        epilog="a device or program of yours: --isp my_module:my_isp, or a YAML file with its command line "
        "(docs/tuning.md)",
    )
    asked.add_argument(
        "--isp", default="libraw", help="libraw, pipeline (ours), a YAML file, module:factory [%(default)s]"
    )
    asked.add_argument(
        "--search", choices=(*SEARCHES, "both"), help="gradient: pipelines only [both for a pipeline, else cma]"
    )
    asked.add_argument("--evaluations", type=int, default=30, help="of each search, over all its shots [%(default)s]")
    asked.add_argument(
        "--pose", help="frozen network, as models.evaluate takes it, well-lit among them [the shipped network]"
    )
    asked.add_argument("--data", type=Path, help="folder of isp_sim.generate to search on [the rig shoots one]")
    asked.add_argument("--held-out", type=Path, help="folder of isp_sim.generate to judge on [the rig shoots one]")
    asked.add_argument("--images", type=int, default=10, help="shots of the search [%(default)s]")
    asked.add_argument("--judged", type=int, default=10, help="held-out shots [%(default)s]")
    asked.add_argument("--rig", default="exlpose-small", help="that shoots where there is no data [%(default)s]")
    asked.add_argument("--flip", choices=tuple(FLIPS), default="none", help="test of all scores [%(default)s]")
    asked.add_argument("--seed", type=int, default=0, help="of the search's draws [%(default)s]")
    asked.add_argument("--workers", type=int, help="processes; the result does not depend on it [number of cores]")
    asked.add_argument("--out", type=Path, default=Path("out/tune"), help="folder of the search [%(default)s]")
    asked.add_argument("--resume", action="store_true", help="go on with a search that was stopped")
    return asked


def searches_of(given: argparse.Namespace, isp: BlackBoxIsp) -> tuple[str, ...]:
    """Which searches are asked for.

    Raises:
        ValueError: the gradient of an ISP that has none.
    """
    has_gradient = isinstance(isp, PipelineIsp)
    if given.search in ("gradient", "both") and not has_gradient:
        raise ValueError(f"--search {given.search}: --isp {given.isp} has no gradient, expected cma")
    if given.search in SEARCHES:
        return (given.search,)
    return tuple(SEARCHES) if has_gradient else ("cma",)


def shots_of(given: argparse.Namespace, workers: int) -> tuple[tuple[RawShot, ...], tuple[RawShot, ...]]:
    """The shots of the search and the held-out ones, shot first where no folder is given.

    Raises:
        ValueError: a folder cannot be used, or both are the same.
    """
    sets = []
    for folder, own, seed, count in (
        (given.data, given.out / "shots", SEARCH_SEED, given.images),
        (given.held_out, given.out / "held-out", TEST_SEED, given.judged),
    ):
        if folder is None:
            shoot(own, load_rig(given.rig), seed, count, OF_A_SCENE, workers)
        sets.append(read_shots(folder or own, count))
    learn, judge = sets
    if {shot.raw.resolve() for shot in learn} & {shot.raw.resolve() for shot in judge}:
        raise ValueError(f"--held-out {given.held_out}: has shots of the search; give another folder")
    return learn, judge


def identity(
    given: argparse.Namespace, isp: BlackBoxIsp, learn: tuple[RawShot, ...], held: tuple[RawShot, ...]
) -> dict[str, object]:
    """What makes a search this one: ISP and parameters, network, shots, seed; not how long it goes on."""
    file = Path(given.isp)
    content = [hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()] if file.is_file() else []
    return {
        "isp": " ".join([given.isp, *content]),
        "knobs": {parameter.name: f"{parameter.domain} [{parameter.default}]" for parameter in isp.parameters},
        "network": recogniser_identity(given.pose),
        "flip": given.flip,
        "shots": digest(learn),
        "held-out": digest(held),
        "seed": given.seed,
    }


def search_all(
    given: argparse.Namespace, isp: BlackBoxIsp, learn: tuple[RawShot, ...], workers: int, console: Console
) -> tuple[dict[str, list[Evaluation]], dict[str, Settings]]:
    """Every search asked for, evaluation by evaluation; and what each has found: its best trial, and its centre."""
    told: dict[str, list[Evaluation]] = {}
    found: dict[str, Settings] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for kind in searches_of(given, isp):
            bar = progress.add_task(f"evaluations of {SEARCHES[kind]}", total=given.evaluations)
            search: Search = CmaSearch(isp.parameters, given.seed) if kind == "cma" else GradientSearch(isp.parameters)
            task = Task(given.isp, given.pose, given.flip, learn, gradients=kind == "gradient")
            record = Record(given.out / f"{kind}.jsonl")
            if len(record.lines) > given.evaluations:
                raise ValueError(
                    f"--evaluations {given.evaluations}: {record.path} holds {len(record.lines)} already; "
                    "as many or more are allowed"
                )
            with judging(task, workers) as judges:
                advance = functools.partial(progress.advance, bar)
                told[SEARCHES[kind]] = tune(search, record, judges, learn, given.evaluations, advance)
            found[f"{SEARCHES[kind]}, best trial"] = best(told[SEARCHES[kind]]).settings
            found[f"{SEARCHES[kind]}, centre"] = search.centre()
    return told, found


def judge_found(
    given: argparse.Namespace, isp: BlackBoxIsp, told: dict[str, list[Evaluation]], tuned: dict[str, Settings],
    held: tuple[RawShot, ...], workers: int,
) -> tuple[dict[str, Verdict], Path]:  # fmt: skip
    """Held-out shots under the defaults and what each search has found; the report with it."""
    ways: dict[str, Settings] = {AS_THE_RIG: AS_SHOT, DEFAULTS: defaults(isp.parameters)} | tuned
    task = Task(given.isp, given.pose, given.flip, held)
    with judging(task, workers) as judges:
        seen = judge_all(ways, given.out / "judged", judges, held)
    found = verdicts(ways, seen, held, DEFAULTS, Protocol(flip=given.flip, seed=given.seed))
    record = {
        name: {"settings": one.settings, "oks": one.oks, "gain": one.gain, "error": one.error}
        | {"scores": {split: score.record() for split, score in one.scores.items()}}
        for name, one in found.items()
    }
    write_atomically(given.out / TUNED, json.dumps(record, indent=1, allow_nan=False).encode())
    shown = {name: settings for name, settings in ways.items() if settings != AS_SHOT}
    sheet = examples(Judge(task), shown, seen, held)
    count = next(iter(told.values()))
    words = [
        f"{len(held)} held-out shots with {sum(len(s.people) for s in held)} people, true boxes, flip {given.flip}; "
        f"searched with {len(count)} evaluations of {len(count[0].shots)} other shots.",
        "Mean OKS is what was searched for: it is smoother than AP. The best of many trials over few shots is partly "
        "luck; the centre, a mean over all that the search was told, is less so.",
        "Every picture was warped onto the labels and normalised as the network wants low light, the defaults' and the "
        "tuned ones alike.",
    ]
    return found, write_report(given.out, given.isp, isp.parameters, told, found, sheet, words)


def run(given: argparse.Namespace, console: Console) -> tuple[dict[str, Verdict], Path]:
    """The whole command: shots, searches, verdict, report.

    Raises:
        ValueError: bad input.
        OSError: the disk, the ISP or a process failed.
    """
    workers = given.workers if given.workers is not None else len(os.sched_getaffinity(0))
    for name in ("evaluations", "images", "judged"):
        if getattr(given, name) < 1:
            raise ValueError(f"--{name} {getattr(given, name)}: whole numbers from 1 are allowed")
    if workers < 1:
        raise ValueError(f"--workers {workers}: whole numbers from 1 are allowed")
    isp = load_isp(given.isp)
    searches_of(given, isp)
    load_recogniser(given.pose)  # complains before the first shot
    learn, held = shots_of(given, workers)
    open_folder(given.out, identity(given, isp, learn, held), given.resume)
    told, tuned = search_all(given, isp, learn, workers, console)
    return judge_found(given, isp, told, tuned, held, workers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        found, report = run(given, console)
    except (ValueError, OSError) as fault:
        print(f"models.tune_isp: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models.tune_isp: stopped; what was evaluated is kept: add --resume to go on", file=sys.stderr)
        return 130
    table = Table(title=f"{given.isp}, tuned for the network")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
    for line in cells(found):
        table.add_row(*line)
    console.print(table)
    console.print(f"report {report}, settings {given.out / TUNED}", soft_wrap=True)
    more = f"--evaluations {4 * given.evaluations} --out {given.out} --resume"
    console.print(f"next: the same search for longer: add {more}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
