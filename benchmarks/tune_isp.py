"""CMA-ES over LibRaw against LibRaw's defaults, and over our pipeline against its gradient, on held-out shots.

    python benchmarks/tune_isp.py [--scale quick|full] [--pose WEIGHTS or well-lit] [--docs]

`full` is 300 evaluations of 40 shots over LibRaw and 60 a search over the pipeline, judged on 100 other shots: half an
hour of processor time. A run that was stopped goes on. The interval is a bootstrap over the held-out shots; processor
time is that of all processes, of the evaluations made in this run. `--docs` puts the convergence plots into
docs/pictures.
"""

import argparse
import resource
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from isp_sim import streams
from isp_sim.tables import terminal_table
from models import tune_isp
from models.recognisers.weights import SHIPPED
from models.runs.tuning import DEFAULTS, Tuning, run, searches_of
from models.scoring.average_precision import Protocol
from models.scoring.poses import LOW_SPLITS
from models.tuning.judge import Seen, Task, judging
from models.tuning.loading import load_isp
from models.tuning.record import Record
from models.tuning.shots import RawShot, read_shots
from models.tuning.tunable import Settings, defaults
from models.tuning.verdict import average_precision, judge_all, verdicts

SCALES = {"quick": (10, 20, 30, 30), "full": (40, 100, 300, 60)}
"""Shots of the search, held-out shots, evaluations over LibRaw, evaluations of each search over the pipeline."""
RESAMPLES = 200
Ways = dict[str, Settings]
"""Settings by the name of what found them."""
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def processor_seconds() -> float:
    """Of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def bootstrap(ours: Sequence[Seen], theirs: Sequence[Seen], shots: Sequence[RawShot]) -> tuple[float, float]:
    """Where 95 % of the differences in LL-A AP lie when shots are drawn anew, both ways over the same ones."""
    stream, differences = streams.generator(0, "bootstrap"), []
    for _ in range(RESAMPLES):
        drawn = stream.integers(len(shots), size=len(shots)).tolist()
        chosen = [shots[n] for n in drawn]
        ap = [average_precision([s[n] for n in drawn], chosen, Protocol())["LL-A"].ap for s in (ours, theirs)]
        differences.append(ap[0] - ap[1])
    low, high = np.quantile(differences, (0.025, 0.975)).tolist()
    return low, high


def tune(isp: str, evaluations: int, given: argparse.Namespace, console: Console) -> tuple[Tuning, Ways]:
    """One tuning through the command's own function and what an evaluation cost; gives what was asked and found."""
    images, judged, _, _ = SCALES[given.scale]
    out = given.out / given.scale / isp
    words = ["--isp", isp, "--images", images, "--judged", judged, "--evaluations", evaluations, "--out", out]
    if isp != "libraw":
        shot = given.out / given.scale / "libraw"
        words += ["--data", shot / "shots", "--held-out", shot / "held-out"]
    if given.workers:
        words += ["--workers", given.workers]
    args = tune_isp.parser().parse_args([*map(str, words), "--pose", str(given.pose), "--resume"])
    tuning = Tuning(**vars(args))
    for kind in (kinds := searches_of(tuning, load_isp(isp))):
        record = out / f"{kind}.jsonl"
        before, start = len(Record(record).lines), processor_seconds()
        found, _ = run(replace(tuning, search=kind))
        if made := len(Record(record).lines) - before:
            cost = (processor_seconds() - start) / made
            console.print(f"{isp}, {kind}: {made} evaluations made now, {cost:.2f} s of processor each, all included")
    if len(kinds) > 1:
        found, _ = run(replace(tuning, search="both"))  # the report over all
    return tuning, {name: one.settings for name, one in found.items()}


def compare(tuning: Tuning, ways: Ways, console: Console) -> None:
    """Held-out AP of every way beside the ISP's defaults."""
    held = read_shots(tuning.held_out or tuning.out / "held-out", tuning.judged)
    if tuning.isp == "libraw":
        ways = ways | {
            "defaults, automatic brightness": defaults(load_isp("libraw").parameters) | {"auto_bright": True}
        }
    workers = tuning.workers or 1
    with judging(Task(tuning.isp, tuning.pose, tuning.flip, held), workers) as judges:
        seen = judge_all(ways, tuning.out / "judged", judges)
    found = verdicts(ways, seen, held, DEFAULTS, Protocol(flip=tuning.flip))
    base, rows = found[DEFAULTS].scores["LL-A"].ap, []
    for name, one in found.items():
        low, high = bootstrap(seen[name], seen[DEFAULTS], held)
        scores = (*(f"{score.ap:.1f}" for score in one.scores.values()), f"{one.scores['LL-A'].ap - base:+.2f}")
        rows.append((name, *scores, f"{low:+.2f} … {high:+.2f}", f"{one.gain:+.4f} ± {one.error:.4f}"))
    title = f"{tuning.isp}: {len(held)} held-out shots, {sum(len(s.people) for s in held)} people"
    headings = ("", *LOW_SPLITS, "over the defaults", "95 %", "mean OKS over the defaults")
    console.print(terminal_table(title, headings, rows))


def main(given: argparse.Namespace, console: Console) -> None:
    """Both ISPs, one after the other."""
    _, _, over_libraw, over_pipeline = SCALES[given.scale]
    for isp, evaluations in (("libraw", over_libraw), ("pipeline", over_pipeline)):
        tuning, ways = tune(isp, evaluations, given, console)
        compare(tuning, ways, console)
        if given.docs:
            shutil.copy(tuning.out / "convergence.png", PICTURES / f"tuning_{isp}.png")


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--scale", choices=tuple(SCALES), default="quick")
    words.add_argument("--pose", default=SHIPPED, help="frozen network [the shipped one]")
    words.add_argument("--out", type=Path, default=Path("out/benchmark-tune"))
    words.add_argument("--workers", type=int)
    words.add_argument("--docs", action="store_true")
    main(words.parse_args(), Console(width=160))
