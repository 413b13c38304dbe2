"""CMA-ES over an ISP against its defaults, and over our pipeline against its gradient, on held-out shots.

    python benchmarks/tune_isp.py [--scale quick|full] [--isp libraw] [--pose NETWORK] [--docs]
    python benchmarks/tune_isp.py --scale photos --data SEARCHED --held-out JUDGED   # folders of isp_sim.generate
    python benchmarks/tune_isp.py --scale programs --isp rawtherapee dcraw darktable --data … --held-out …

`full` is 300 evaluations of 40 shots over LibRaw and 60 a search over the pipeline, judged on 100 other shots: half an
hour of processor time. A run that was stopped goes on. PCK@0.2 of the torso; its interval is a paired bootstrap over
the held-out scenes; processor time is that of all processes, of the evaluations made in this run. `--docs` puts the
convergence plots into docs/pictures.
"""

import argparse
import resource
import shutil
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from isp_sim.tables import terminal_table
from models import tune_isp
from models.choices import LEARN_POSE, PROGRAMS
from models.data.samples import scene_of
from models.runs.tuning import AS_THE_RIG, DEFAULTS, Tuning, run, searches_of
from models.scoring.average_precision import Protocol
from models.scoring.over_scenes import gain_text, pck_gain
from models.scoring.poses import LOW_SPLITS
from models.tuning.judge import AS_SHOT, Task, judging
from models.tuning.loading import load_isp
from models.tuning.record import Record
from models.tuning.shots import read_shots
from models.tuning.tunable import Settings, defaults
from models.tuning.verdict import judge_all, poses_of, verdicts

SCALES = {
    "quick": (10, 20, 30, 30),
    "photos": (60, 300, 40, 40),
    "programs": (40, 100, 60, 60),
    "full": (40, 100, 300, 60),
}
"""Shots of the search, held-out shots, evaluations over an external ISP, of each search over the pipeline."""
Candidates = dict[str, Settings]
"""Settings by the name of what found them."""
AT_ONCE = "benchmarks.darktable_folder:darktable"
"""darktable, a folder in one start."""
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def processor_seconds() -> float:
    """Of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tune(isp: str, evaluations: int, given: argparse.Namespace, console: Console) -> tuple[Tuning, Candidates]:
    """One tuning through the command's own function and what an evaluation cost; gives what was asked and found."""
    images, judged, _, _ = SCALES[given.scale]
    out = given.out / given.scale / isp.partition(":")[0]
    images = given.images or images
    words = ["--isp", isp, "--images", images, "--judged", judged, "--evaluations", evaluations, "--out", out]
    shot = given.out / given.scale / "libraw"
    for option, folder, own in (("--data", given.data, "shots"), ("--held-out", given.held_out, "held-out")):
        if folder or isp != "libraw":  # which has shot them
            words += [option, folder or shot / own]
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


def compare(tuning: Tuning, candidates: Candidates, console: Console) -> None:
    """Held-out PCK and AP under all settings beside the ISP's defaults."""
    held = read_shots(tuning.held_out or tuning.out / "held-out", tuning.judged)
    candidates = {AS_THE_RIG: AS_SHOT} | candidates
    if tuning.isp == "libraw":
        brightened = defaults(load_isp("libraw").parameters) | {"auto_bright": True}
        candidates = candidates | {"defaults, automatic brightness": brightened}
    with judging(Task(tuning.isp, tuning.pose, tuning.device, tuning.flip, held), tuning.workers or 1) as judges:
        seen = judge_all(candidates, tuning.out / "judged", judges)
    found = verdicts(candidates, seen, held, DEFAULTS, Protocol(flip=tuning.flip))
    poses = {name: poses_of(one, held) for name, one in seen.items()}
    rows = []
    for name, one in found.items():
        pck = poses[name].pck()
        gain = gain_text(*pck_gain(poses[name].joints("LL-A"), poses[DEFAULTS].joints("LL-A"), scene_of))
        figures = [f"{pck[split]:.1f}" for split in LOW_SPLITS] + [f"{one.scores['LL-A'].ap:.1f}"]
        rows.append((name, *figures, gain, f"{one.gain:+.3f} ± {one.error:.3f}"))
    title = f"{tuning.isp}: {len(held)} held-out shots, {sum(len(s.people) for s in held)} people"
    headings = ("PCK@0.2", *LOW_SPLITS, "AP LL-A", "over the defaults (95 %)", "mean OKS over the defaults")
    console.print(terminal_table(title, headings, rows))


def main(given: argparse.Namespace, console: Console) -> None:
    """One ISP after the other."""
    _, _, external, over_pipeline = SCALES[given.scale]
    for isp in given.isp:
        evaluations = over_pipeline if isp == "pipeline" else external
        tuning, candidates = tune(isp, given.evaluations or evaluations, given, console)
        compare(tuning, candidates, console)
        if given.docs:
            shutil.copy(tuning.out / "convergence.png", PICTURES / f"tuning_{isp}.png")


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--scale", choices=tuple(SCALES), default="quick")
    words.add_argument(
        "--isp", nargs="+", choices=("libraw", "pipeline", *PROGRAMS, AT_ONCE), default=["libraw", "pipeline"]
    )
    words.add_argument("--images", type=int, help="shots of the search [the scale's]")
    words.add_argument("--evaluations", type=int, help="of each search [the scale's]")
    words.add_argument("--pose", default=LEARN_POSE, help="frozen network [%(default)s]")
    words.add_argument("--data", type=Path, help="folder to search on [the rig shoots built-in scenes]")
    words.add_argument("--held-out", type=Path, help="folder to judge on [the rig shoots built-in scenes]")
    words.add_argument("--out", type=Path, default=Path("out/benchmark-tune"))
    words.add_argument("--workers", type=int)
    words.add_argument("--docs", action="store_true")
    main(words.parse_args(), Console(width=160))
