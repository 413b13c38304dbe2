"""What a million pairs would take: bytes and time of each file format, pairs/s by workers, memory over a long run,
samples/s of a training from folders and from shards.

    python benchmarks/scale.py codecs|growth|long|training [--rig exlpose] [--count N] [--workers N] [--out FOLDER]

codecs: one scene's pairs, each picture and raw encoded without loss in several ways. growth: whole runs with one and
two workers, from the first pair to the last; then what 64 cores would make of it. long: `--count` pairs into shards,
the memory of all its processes every few seconds. training: crops of one epoch from the same pairs, files and shards.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

EVERY_S = 5.0
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def family(root: int) -> list[int]:
    """Numbers of a process and of all that it started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def memory_mb(root: int) -> float:
    """What a process and all that it started hold; what they share counts for its share in each."""
    total = 0.0
    for process in family(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3
    return total


def generate(arguments: list[str], at: Callable[[int], None], every_s: float = EVERY_S) -> float:
    """Run `isp_sim.generate`, looking at its process every few seconds; gives its seconds."""
    start = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "isp_sim.generate", *arguments], stdout=subprocess.DEVNULL)
    while child.poll() is None:
        at(child.pid)
        time.sleep(every_s)
    if child.returncode:
        raise SystemExit(f"isp_sim.generate ended with {child.returncode}")
    return time.monotonic() - start


def long_run(args: argparse.Namespace, console: Console, scratch: Path) -> None:
    """Many pairs into shards: time, memory, bytes, files."""
    out = args.out or scratch / "long"
    seen: list[tuple[float, int, float]] = []
    start = time.monotonic()

    def look(process: int) -> None:
        shards = len(list(out.glob("pairs-*.json"))) if out.is_dir() else 0
        seen.append((time.monotonic() - start, shards, memory_mb(process)))
        print(f"{seen[-1][0]:.0f} s, {shards} shards, {seen[-1][2]:.0f} MB", file=sys.stderr, flush=True)

    words = ["--rig", args.rig, "--count", str(args.count), "--workers", str(args.workers), "--out", str(out)]
    seconds = generate([*words, "--format", "webdataset"], look, 20 if args.count > 1000 else EVERY_S)
    files = [path for path in out.iterdir()]
    size = sum(path.stat().st_size for path in files)
    working = [mb for _, shards, mb in seen if shards]
    tenth = max(1, len(working) // 10)
    console.print(
        f"{args.count} pairs of {args.rig}, {args.workers} workers: {seconds:.0f} s, "
        f"{args.count / seconds:.2f} pairs/s, "
        f"{size / 1e9:.2f} GB in {len(files)} files ({size / args.count / 1e6:.2f} MB a pair)\n"
        f"memory, MB: first tenth {sum(working[:tenth]) / tenth:.0f}, last tenth {sum(working[-tenth:]) / tenth:.0f}, "
        f"most {max(mb for *_, mb in seen):.0f}"
    )


PARTS = {"long": long_run}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rig", default="exlpose", help="[%(default)s]")
    parser.add_argument("--count", type=int, default=60, help="pairs of a run [%(default)s]")
    parser.add_argument("--workers", type=int, default=2, help="of the long run [%(default)s]")
    parser.add_argument("--out", type=Path, help="of the long run [a temporary folder]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        PARTS[args.part](args, Console(width=120), Path(scratch))


if __name__ == "__main__":
    main()
