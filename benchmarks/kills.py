"""Are the bytes the same after SIGKILL and --resume as after an undisturbed run?

    python benchmarks/kills.py [--kills 10] [--only NAME]

Each command runs once undisturbed; then, ten times anew, it is killed at a random moment of that time and taken up
with --resume; every file in its folder is compared. Of a training's log the column `seconds` is not. Prints how many
of the kills came while it was at work, and how many folders differ; exit status 1 where one does. Small data, one core.
"""

import argparse
import contextlib
import csv
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

NEEDED = (
    "capture.alignment.align_session", "isp_sim.run", "isp_sim.run_summary", "isp_sim.run_plan", "isp_sim.pair",
    "isp_sim.scenes.people.source", "models.runs.detector_training", "models.runs.enhancer_training",
    "models.runs.isp_training", "models.runs.pose_training", "models.runs.raw_stage_training", "models.runs.tuning",
    "models.enhance.enhancer", "models.isp.table", "models.isp.report", "models.tuning.report", "cma", "scipy.stats",
    "matplotlib.figure", "torch._dynamo",
)  # fmt: skip
"""What commands import when they run: a process forked from this one need not."""
RIG = "extends: exlpose-small\nname: tiny\nwidth_px: 160\nheight_px: 120\n"
POSE = """\
variant: lsbn+lupi
size: tiny
people_a_batch: 4
validation_scenes: 2
training: {epochs: 6, learning_rate: 2.0e-3, decay: cosine}
"""
ISP = """\
look: thumbnail
pictures_a_batch: 2
people_a_picture: 1
training: {epochs: 4, bf16: false}
"""
ENHANCER = """\
patch: 32
patches: 2
patches_a_picture: 1
scaling: mean-0.4
judge_every: 2
training: {epochs: 6, learning_rate: 1.0e-3, bf16: false}
"""
RAW_STAGE = "patch: 32\npatches: 2\nwidths: [8, 16]\ntraining: {epochs: 6, learning_rate: 1.0e-3}\n"
DETECTOR = "pairs_a_batch: 2\nwindow: [64, 64]\ntraining: {epochs: 3, learning_rate: 5.0e-5}\n"
RECIPES = {"pose": POSE, "isp": ISP, "enhancer": ENHANCER, "raw-stage": RAW_STAGE, "detector": DETECTOR}
LEARN = "--data data --device cpu --out OUT --recipe"
JOBS = {
    "generate": "isp_sim.generate --rig tiny.yaml --scenes charts --count 12 --workers 1 --out OUT",
    "align": "capture.align captures --rig exlpose-small --workers 1 --out OUT",
    "train_pose": f"models.train_pose {LEARN} pose.yaml --judge held-out --workers 0",
    "train_isp": f"models.train_isp {LEARN} isp.yaml --judge held-out --pose movenet-lightning",
    "train_enhancer": f"models.train_enhancer --model zero-dce {LEARN} enhancer.yaml --judge held-out",
    "train_raw_stage": f"models.train_raw_stage {LEARN} raw-stage.yaml --judge held-out",
    "train_detector": f"models.train_detector {LEARN} detector.yaml",
    "tune_isp": "models.tune_isp --isp pipeline --evaluations 4 --images 2 --judged 2 --pose movenet-lightning "
    "--data data --held-out held-out --workers 1 --out OUT",
}
INPUTS = (
    "isp_sim.generate --rig tiny.yaml --count 3 --workers 1 --out data",
    "isp_sim.generate --rig tiny.yaml --count 3 --seed 1 --workers 1 --out held-out",
    "isp_sim.generate --rig exlpose-small --count 3 --workers 1 --out captures",
)


def started(command: str, folder: Path) -> int:
    """A command in a process of its own, forked from this one, which has imported what it needs; gives its number."""
    module, *arguments = command.split()
    main = importlib.import_module(module).main
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    with (folder / "said.txt").open("w") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
        try:
            os._exit(main(arguments))
        except BaseException:
            traceback.print_exc()
            os._exit(1)


def finished(command: str, folder: Path) -> None:
    """Run a command to its end, which must be a good one."""
    _, status = os.waitpid(started(command, folder), 0)
    if status:
        raise SystemExit(f"{command} ended with {status}: {(folder / 'said.txt').read_text()[-1000:]}")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder; of a log without its seconds."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.name == "log.csv":
            rows = csv.DictReader(content.decode().splitlines())
            content = repr([row | {"seconds": None} for row in rows]).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def killed(command: str, folder: Path, after_s: float) -> bool:
    """Kill a command and all it started after so long; whether it was still at work."""
    child = started(command, folder)
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def tried(name: str, folder: Path, kills: int) -> tuple[float, int, list[str]]:
    """Seconds of the undisturbed run, kills that came while it was at work, files that differed."""
    command, moments = JOBS[name].replace("OUT", "out"), random.Random(name)
    finished(command, folder)  # kernels are compiled, and stay on disk
    whole, struck, apart = digests(folder / "out"), 0, []
    shutil.rmtree(folder / "out")
    start = time.monotonic()
    finished(command, folder)
    whole_s = time.monotonic() - start
    for _ in range(kills):
        shutil.rmtree(folder / "out")
        struck += killed(command, folder, moments.uniform(0.1, 1.0) * whole_s)
        finished(f"{command} --resume", folder)
        now = digests(folder / "out")
        apart += [file for file in sorted(whole.keys() | now.keys()) if whole.get(file) != now.get(file)]
    shutil.rmtree(folder / "out")
    return whole_s, struck, apart


def main() -> int:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each command [%(default)s]")
    parser.add_argument("--only", default="", help="part of a command's name [all]")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in NEEDED:
        importlib.import_module(module)
    importlib.import_module("torch").set_num_threads(1)
    console, table, wrong = Console(width=120), Table("command", "seconds", "killed", "files that differ"), 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "tiny.yaml").write_text(RIG)
        for name, text in RECIPES.items():
            (folder / f"{name}.yaml").write_text(text)
        for command in INPUTS:
            finished(command, folder)
        for name in (name for name in JOBS if args.only in name):
            seconds, struck, apart = tried(name, folder, args.kills)
            table.add_row(name, f"{seconds:.0f}", f"{struck} of {args.kills}", ", ".join(sorted(set(apart))) or "none")
            console.print(f"{name}: {struck} of {args.kills} killed at work, {len(apart)} files differ")
            wrong += bool(apart)
    console.print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
