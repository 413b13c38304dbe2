"""Time of capture.align on 1920×1200 raws: a session's registration, and each pair with its PNGs.

    python benchmarks/align_speed.py [--pairs 10]

Targets: 5 s a session's registration, 1 s a pair, on 2 cores. Wall time is what was waited; processor time, all threads
together, over 2 is what it would be on two idle cores at best. The kernels are compiled before.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.table import Table

from capture import align
from capture.alignment import develop, session_fit
from capture.alignment.labels import Labels
from capture.alignment.writer import align_pair
from capture.captures import find_pairs
from isp_sim import generate
from isp_sim.dataset import DatasetWriter
from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table

RIG = "extends: exlpose-misaligned\nname: exlpose-misaligned-full\nwidth_px: 1920\nheight_px: 1200\n"
CORES = 2


def timed(action: Callable[[], object]) -> tuple[object, float, float]:
    """What an action gives, wall seconds, processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    return result, time.perf_counter() - wall, time.process_time() - processor


def measure(folder: Path, pairs: int) -> Table:
    """Shoot a session, then time its registration and its pairs."""
    (folder / "full.yaml").write_text(RIG, encoding="utf-8")
    rig, captures, out = str(folder / "full.yaml"), folder / "captures", folder / "out"
    if generate.main(["--rig", rig, "--count", str(pairs), "--out", str(captures)]) != 0:
        raise RuntimeError("the session could not be shot")
    given = align.parser().parse_args([str(captures), "--out", str(out)])
    found, _ = find_pairs(captures)
    isps = develop.Isps.of(load_rig(rig))
    settings = session_fit.AlignSettings("low_light", "cubic", "none", 0.5, False, None, given.summed, 0.01, isps)
    chosen = session_fit.candidates(found, settings)[: given.summed]

    def register() -> session_fit.SessionMap:
        torch.set_num_threads(CORES)
        return session_fit.fit_session("session", [(pair, develop.read(pair)) for pair in chosen], settings)

    register()  # compiles
    fitted, wall, processor = timed(register)
    writer = DatasetWriter(out)
    writer.open(align.run_of(given, load_rig(rig), found), resume=False)
    torch.set_num_threads(1)

    def all_pairs() -> None:
        with ThreadPoolExecutor(CORES) as pool:
            jobs = [pool.submit(align_pair, n, p, Labels(), fitted, settings, writer) for n, p in enumerate(found)]
            for job in jobs:
                job.result()

    all_pairs()
    _, pair_wall, pair_processor = timed(all_pairs)
    rows = [
        ("registration of a session", f"{wall:.2f}", f"{processor / CORES:.2f}", 5),
        ("a pair, read to PNG", f"{pair_wall / pairs:.2f}", f"{pair_processor / CORES / pairs:.2f}", 1),
    ]
    title = f"capture.align, 1920×1200 raws, {len(chosen)} pairs summed, {len(found)} aligned"
    return terminal_table(title, ("", "wall, s", f"processor / {CORES}, s", "target, s"), rows)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--pairs", type=int, default=10)
    cv2.setNumThreads(CORES)
    with tempfile.TemporaryDirectory() as scratch:
        Console().print(measure(Path(scratch), asked.parse_args().pairs))
