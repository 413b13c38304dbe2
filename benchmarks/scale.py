"""What a million pairs would take: bytes and time of each file format, pairs/s by workers, memory over a long run,
samples/s of a training from folders and from shards.

    python benchmarks/scale.py codecs|growth|long|training [--rig exlpose] [--count N] [--workers N] [--out FOLDER]

codecs: one scene's pairs, each picture and raw encoded without loss in several ways. growth: whole runs with one and
two workers, from the first pair to the last; then what 64 cores would make of it. long: `--count` pairs into shards,
the memory of all its processes every few seconds. training: crops of one epoch from the same pairs, files and shards.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console

from isp_sim import unpack
from isp_sim.dataset import PLANES
from isp_sim.dng import encode_dng
from isp_sim.pair import DualCamera, Pair
from isp_sim.picture_files import png
from isp_sim.raw import Raw
from isp_sim.raw_npz import encode_npz
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes.people.source import People
from isp_sim.tables import terminal_table
from models.data.crops import Augmentation
from models.data.shard_pairs import open_pairs
from models.pose.batches import GroupCrops

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
    words += ["--scenes", args.scenes, "--format", "webdataset", "--skip-unusable"]
    seconds = generate(words, look, 20 if args.count > 1000 else EVERY_S)
    files = [path for path in out.iterdir()]
    size = sum(path.stat().st_size for path in files)
    working = [mb for _, shards, mb in seen if shards]
    tenth = max(1, len(working) // 10)
    console.print(
        f"{args.count} pairs of {args.rig}, {args.scenes}, {args.workers} workers: {seconds:.0f} s, "
        f"{args.count / seconds:.2f} pairs/s, "
        f"{size / 1e9:.2f} GB in {len(files)} files ({size / args.count / 1e6:.2f} MB a pair)\n"
        f"memory, MB: first tenth {sum(working[:tenth]) / tenth:.0f}, last tenth {sum(working[-tenth:]) / tenth:.0f}, "
        f"most {max(mb for *_, mb in seen):.0f}"
    )


def zlib_split(counts: np.ndarray, level: int) -> bytes:
    """Counts as two planes of bytes, high ones first, through zlib: few high bytes differ."""
    return zlib.compress(counts.view(np.uint8).reshape(-1, 2).T.tobytes(), level)


def planes_png(counts: np.ndarray) -> bytes:
    """A mosaic as a 16-bit PNG of its four colours side by side."""
    parts = [counts[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    return cv2.imencode(".png", np.hstack(parts))[1].tobytes()


def packed_bits(counts: np.ndarray) -> bytes:
    """Two counts of 12 bits in three bytes."""
    a, b = counts.reshape(-1, 2).T.astype(np.uint32)
    return (a << 12 | b).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


RAWS: dict[str, Callable[[Raw], object]] = {
    "DNG, uncompressed (--raw dng)": lambda raw: encode_dng(raw, "raw"),
    "12 bits packed": lambda raw: packed_bits(raw.counts),
    ".npz, high and low bytes apart, zlib 1 (--raw npz)": encode_npz,
    "zlib 6": lambda raw: zlib.compress(raw.counts.tobytes(), 6),
    "zlib 1": lambda raw: zlib.compress(raw.counts.tobytes(), 1),
    "zlib 6, high and low bytes apart": lambda raw: zlib_split(raw.counts, 6),
    "16-bit PNG, colours apart": lambda raw: planes_png(raw.counts),
}
PICTURES: dict[str, Callable[[np.ndarray], object]] = {
    "PNG as written": lambda picture: png(picture, "picture"),
    "PNG, zlib 1, default strategy": lambda picture: cv2.imencode(
        ".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    )[1],
    "PNG, zlib 6": lambda picture: cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1],
    "WebP, lossless": lambda picture: cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 101])[1],
}


def pairs_of_scenes(rig: str, scenes: int) -> list[Pair]:
    """Pairs of built-in scenes."""
    shot = load_rig(rig)
    camera, people = DualCamera(shot), People(shot.height_px, shot.width_px, 0)
    lots = [drawn_shots(shot.schedule, scene, 0, None) for scene in range(scenes)]
    return [pair for lot in lots for pair in camera.shoot(people.scene(lot[0].scene, lot[0].daylight), lot, 0)]


def row(name: str, code: Callable[[Any], object], lots: list[list[Any]]) -> tuple[str, ...]:
    """MB of a file and ms of a core's own time for each lot."""
    cells = [name]
    for lot in lots:
        size, start = 0, time.process_time()
        for one in lot:
            coded: Any = code(one)
            size += coded.nbytes if hasattr(coded, "nbytes") else len(coded)
        cells.append(f"{size / len(lot) / 1e6:.2f}, {(time.process_time() - start) / len(lot) * 1e3:.0f}")
    return tuple(cells)


def codecs(args: argparse.Namespace, console: Console, scratch: Path) -> None:
    """Bytes and time of each choice of a lossless format, over one scene's pairs."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pairs = pairs_of_scenes(args.rig, 1)
    heads = ("", "well-lit: MB, ms", "low-light: MB, ms")
    raws = [[pair.well_lit_raw for pair in pairs], [pair.low_light_raw for pair in pairs]]
    rows = [row(name, code, raws) for name, code in RAWS.items()]
    console.print(terminal_table(f"raws of {args.rig}, {len(pairs)} pairs, one core", heads, rows))
    pictures = [
        [pair.well_lit[..., ::-1].copy() for pair in pairs],
        [pair.low_light[..., ::-1].copy() for pair in pairs],
    ]
    rows = [row(name, code, pictures) for name, code in PICTURES.items()]
    console.print(terminal_table("pictures", heads, rows))
    planes = [[pair.planes[name] for pair in pairs] for name in PLANES]
    rows = [row(name, code, planes) for name, code in PICTURES.items() if "WebP" not in name]
    console.print(terminal_table("maps", ("", *(f"{name}: MB, ms" for name in PLANES)), rows))
    content = os.urandom(1 << 24)
    start = time.process_time()
    hashlib.sha256(content).digest()
    console.print(f"SHA-256: {16.8 / (time.process_time() - start) / 1e3:.2f} GB/s of a core")


def growth(args: argparse.Namespace, console: Console, scratch: Path) -> None:
    """Pairs/s, bytes/s and a core's seconds a pair with one and two workers; then what 64 cores would make of it."""
    rows = []
    for workers in (1, 2):
        out, times = scratch / f"run-{workers}", []
        words = ["--rig", args.rig, "--count", str(args.count), "--workers", str(workers), "--out", str(out)]
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)

        def look(process: int, out: Path = out, times: list[tuple[float, int]] = times, start: float = start) -> None:
            done = len(list(out.glob(".pairs/*.json")))
            if done and (not times or done > times[-1][1]):
                times.append((time.monotonic() - start, done))

        seconds = generate(words, look, 0.02)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        (first, one), (last, all_) = times[0], times[-1]
        steady = (all_ - one) / (last - first)
        figures = (f"{first:.1f}", f"{seconds:.1f}", f"{args.count / seconds:.2f}", f"{steady:.2f}")
        rows.append((str(workers), *figures, f"{size / args.count / 1e6:.1f}", f"{own:.0f}" if workers == 1 else "-"))
        shutil.rmtree(out)
    heads = ("workers", "first pair, s", "whole job, s", "pairs/s, whole", "pairs/s after", "MB a pair", "core s")
    console.print(terminal_table(f"{args.count} pairs of {args.rig}", heads, rows))
    start = time.monotonic()
    with (scratch / "disk").open("wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 24))
        os.fsync(file.fileno())
    disk = 64 * (1 << 24) / 1e6 / (time.monotonic() - start)
    each, size = float(rows[1][4]) / 2, float(rows[1][5])
    rows = [
        (str(cores), f"{each * cores:.0f}", f"{each * cores * size:.0f}", f"{1e6 / each / cores / 3600:.1f}")
        for cores in (2, 8, 16, 64)
    ]
    heads = ("cores", "pairs/s", "MB/s to write", "hours of a million")
    console.print(terminal_table("if each core does as each of the two does", heads, rows))
    console.print(f"this disk writes {disk:.0f} MB/s, enough for {disk / (each * size):.0f} such cores")


def training(args: argparse.Namespace, console: Console, scratch: Path) -> None:
    """Pairs/s and people/s of one epoch of training crops, from folders and from shards in turn."""
    folder, shards = scratch / "folder", scratch / "shards"
    words = ["--rig", args.rig, "--count", str(args.count), "--workers", str(args.workers)]
    generate([*words, "--format", "webdataset", "--out", str(shards)], lambda _: None, 0.1)
    if unpack.main([str(shards), "--out", str(folder)]):
        raise SystemExit(1)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    for raw in (False, True):
        best = {}
        for name in ("folder", "shards") * 3:
            source = open_pairs(scratch / name, labelled=True, raw=raw)
            crops = GroupCrops(source, (192, 192), Augmentation(), 0)
            start = time.process_time()
            people = sum(len(crops[0, index]) for index in range(len(source)))
            seconds = time.process_time() - start
            best[name] = min(best.get(name, (1e9, 0)), (seconds, people))
        for name, (seconds, people) in best.items():
            what = "pictures and raws" if raw else "pictures"
            rows.append((what, name, f"{args.count / seconds:.1f}", f"{people / seconds:.1f}"))
    heads = ("read", "from", "pairs/s of a core", "people/s of a core")
    console.print(terminal_table(f"training crops, {args.count} pairs of {args.rig}, best of 3", heads, rows))


PARTS = {"codecs": codecs, "growth": growth, "long": long_run, "training": training}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rig", default="exlpose", help="[%(default)s]")
    parser.add_argument("--count", type=int, default=60, help="pairs of a run [%(default)s]")
    parser.add_argument("--scenes", default="people", help="of the long run, as of isp-sim generate [%(default)s]")
    parser.add_argument("--workers", type=int, default=2, help="of the long run [%(default)s]")
    parser.add_argument("--out", type=Path, help="of the long run [a temporary folder]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        PARTS[args.part](args, Console(width=120), Path(scratch))


if __name__ == "__main__":
    main()
