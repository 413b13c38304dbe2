"""The same work in two checkouts of this repository: are the bytes the same?

    python benchmarks/same_bytes.py BEFORE [AFTER] [--keep FOLDER]

Runs small jobs in each checkout (AFTER: this one) with this interpreter and compares every file they write by its
SHA-256: 20 pairs of built-in people, 6 of two photographs drawn here, GLADNet's training pairs of the first job's
raws, a session grabbed from simulated cameras and its alignment, a calibration of a simulated session. A training of
one epoch may differ by the order of sums: each tensor by 1e-5 of its largest entry, each logged figure by 1e-5. Only
`python -m` commands are used, so files of the code may move. Not compared: fields of JSON and of a training's log
that hold a version or a time (`FIELDS`), white space in JSON, HTML pages, the plot of a training. Exit status 1 where
anything differs. Three minutes of one core.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file

FIELDS = {"version", "apart_ms", "seconds"}
TOLERANCE = 1e-5
TINY = """\
variant: lsbn+lupi
size: tiny
people_a_batch: 8
validation_scenes: 2
training: {epochs: 1, learning_rate: 2.0e-3, decay: cosine}
"""
GENERATE = "isp_sim.generate --workers 1"
JOBS = {
    "people": f"{GENERATE} --rig exlpose-small --count 20 --out people",
    "photographs": f"{GENERATE} --rig exlpose-small --scenes PHOTOS --count 6 --out photographs",
    "raw pairs": f"{GENERATE} --rig gladnet --scenes people/raw --count 4 --out raw-pairs",
    "session": "capture.grab --rig exlpose-misaligned --count 4 --out session",
    "alignment": "capture.align session --workers 1 --out alignment",
    "calibration": "calibration.sensor --size 160 120 --out calibration",
    "training": "models.train_pose --recipe TINY.yaml --data people --judge people --out training",
}


def draw_inputs(folder: Path) -> None:
    """Two photographs (smooth noise in colour) and the recipe of the training."""
    (folder / "PHOTOS").mkdir(parents=True)
    for number in range(2):
        noise = np.random.default_rng(number).uniform(0, 255, (20, 30, 3)).astype(np.float32)
        picture = cv2.resize(noise, (600, 400), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        cv2.imwrite(str(folder / "PHOTOS" / f"{number}.png"), picture.astype(np.uint8))
    (folder / "TINY.yaml").write_text(TINY, encoding="utf-8")


def carry_out(checkout: Path, folder: Path, console: Console) -> None:
    """Every job of a checkout, written into `folder`.

    The commands run in `folder`, which bears the same name for both checkouts while they do: paths are recorded.
    `-P` keeps its files from being imported, `PYTHONPATH` puts the checkout before an installed package.
    """
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    for job, command in JOBS.items():
        console.print(f"{checkout}: {job}")
        ran = subprocess.run(
            [sys.executable, "-m", *command.split()], cwd=folder, env=environment, capture_output=True, text=True
        )
        if ran.returncode:
            raise SystemExit(
                f"{checkout}: python -m {command} ended with {ran.returncode}: {ran.stderr.strip()[-500:]}"
            )


def without_fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object in its own order, without what is not compared."""
    return {name: value for name, value in pairs if name not in FIELDS}


def content(path: Path) -> bytes:
    """A file's bytes, without what is not compared."""
    if path.suffix in {".json", ".jsonl"}:
        text = path.read_text(encoding="utf-8")
        parts = text.splitlines() if path.suffix == ".jsonl" else [text]
        return "\n".join(json.dumps(json.loads(part, object_pairs_hook=without_fields)) for part in parts).encode()
    return path.read_bytes()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder that is compared, by its path there."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".html")
    return {str(p.relative_to(folder)): hashlib.sha256(content(p)).hexdigest() for p in files}


def trained_apart(before: Path, after: Path) -> list[str]:
    """Tensors and columns of the log in which two trainings differ by more than the tolerance."""
    old, new = (load_file(folder / "weights.safetensors") for folder in (before, after))
    apart = [
        name
        for name in sorted(old.keys() | new.keys())
        if name not in old
        or name not in new
        or old[name].shape != new[name].shape
        or np.abs(old[name] - new[name]).max(initial=0) > TOLERANCE * np.abs(old[name]).max(initial=0)
    ]
    logs = [list(csv.DictReader((folder / "log.csv").open(encoding="utf-8"))) for folder in (before, after)]
    if len(logs[0]) != len(logs[1]):
        return [*apart, "log.csv: epochs"]
    for one, other in zip(*logs, strict=True):
        for column in sorted((one.keys() | other.keys()) - FIELDS):
            values = float(one.get(column, "nan")), float(other.get(column, "nan"))
            if not np.isclose(*values, rtol=TOLERANCE, atol=0):
                apart.append(f"log.csv: {column}")
    return apart


def compared(before: Path, after: Path) -> tuple[int, list[str]]:
    """How many files (tensors) are compared, and the names of those that differ or stand on one side alone."""
    if (before / "weights.safetensors").is_file():
        return len(load_file(before / "weights.safetensors")), trained_apart(before, after)
    old, new = digests(before), digests(after)
    names = sorted(old.keys() | new.keys())
    return len(names), [name for name in names if old.get(name) != new.get(name)]


def main() -> None:
    """Run the jobs twice, compare, print, exit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="checkout of the repository")
    parser.add_argument("after", type=Path, nargs="?", default=Path(), help="another one [this]")
    parser.add_argument("--keep", type=Path, help="empty folder that keeps what was written")
    args = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        work = (args.keep or Path(scratch)).resolve()
        for name in ("before", "after"):
            draw_inputs(work / "now")
            carry_out(getattr(args, name).resolve(), work / "now", console)
            (work / "now").rename(work / name)
        table = Table("job", "compared", "differ", "which")
        worst = 0
        for job, command in JOBS.items():
            folder = command.split()[-1]
            count, apart = compared(work / "before" / folder, work / "after" / folder)
            table.add_row(job, str(count), str(len(apart)), ", ".join(apart[:4]) + (" …" if len(apart) > 4 else ""))
            worst = max(worst, len(apart), 0 if count else 1)
    console.print(table)
    console.print("something differs" if worst else "the bytes are the same")
    sys.exit(1 if worst else 0)


if __name__ == "__main__":
    main()
