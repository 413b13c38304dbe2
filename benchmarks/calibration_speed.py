"""How fast a session is calibrated: 300 frames of 640×480, and how memory goes with the number of frames.

    python benchmarks/calibration_speed.py

The peer is the plain way: all frames in one NumPy array, variances along its first axis. Both read the same PNG files,
made here; processor time is told beside wall time, for other programs may share the cores.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from calibration.emva.characterise import calibrated
from calibration.emva.session_files import open_session

LEVELS = 50


def make(folder: Path, stack: int) -> Path:
    """An EMVA 1288 session as PNG: 50 exposures of 2 flats and 2 darks, and a stack of each."""
    rng = np.random.default_rng(0)
    lines = ["v 3.0", "n 12 640 480"]

    def frame(mean_e: float) -> np.ndarray:
        electrons = rng.poisson(mean_e, (480, 640)) if mean_e else np.zeros((480, 640))
        return np.clip(np.rint(20 + 0.28 * electrons + 3 * rng.standard_normal((480, 640))), 0, 4095).astype(np.uint16)

    plan = [(kind, n + 1, 2) for n in range(LEVELS) for kind in "bd"] + [("b", 25.5, stack), ("d", 25.5, stack)]
    for kind, level, count in plan:
        photons = f" {level * 700:.1f}" if kind == "b" else ""
        lines.append(f"{kind} {level * 280000:.1f}{photons}")
        for n in range(count):
            name = f"{kind}_{level}_{n}.png"
            cv2.imwrite(str(folder / name), frame(level * 320 if kind == "b" else 0.0))
            lines.append(f"i {name}")
    path = folder / "data.txt"
    path.write_text("\n".join(lines))
    return path


def ours(path: Path) -> float:
    """Calibrate; returns K."""
    return calibrated(open_session(path)).gain_dn_per_e.value


def plain(path: Path) -> float:
    """The plain way to K alone: every frame held, no interval, no pattern, no noise law."""
    session = open_session(path)
    stacks = {s: np.array([source.read() for source in sources], float) for s, sources in session.frames.items()}
    mean = {s: a.mean() for s, a in stacks.items()}
    variance = {s: a.var(axis=0, ddof=1).mean() for s, a in stacks.items()}
    flats = [s for s in stacks if s.kind == "flat" and len(stacks[s]) == 2]
    dark = {s.exposure_us: s for s in stacks if s.kind == "dark" and len(stacks[s]) == 2}
    signal = np.array([mean[s] - mean[dark[s.exposure_us]] for s in flats])
    rise = np.array([variance[s] - variance[dark[s.exposure_us]] for s in flats])
    use = signal <= 0.7 * signal[rise.argmax()]
    return float((signal[use] * rise[use]).sum() / (signal[use] ** 2).sum())


def timed(name: str, path: Path) -> None:
    """Run one of both and print what it took; for a process of its own."""
    way = {"ours": ours, "plain": plain}[name]
    wall, processor = time.perf_counter(), time.process_time()
    k = way(path)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:6} {wall:7.2f} s  {processor:7.2f} s of processor time  {peak:6.0f} MB  K = {k:.5f}", flush=True)


def main() -> None:
    """Entry point."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.one:
        timed(given.one[0], Path(given.one[1]))
        return
    for stack in (50, 250):
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder), stack)
            print(f"{4 * LEVELS + 2 * stack} frames of 640×480", flush=True)
            processor = []
            for name in ("ours", "plain"):
                asked_for = [sys.executable, __file__, "--one", name, str(path)]
                told = subprocess.run(asked_for, check=True, capture_output=True, text=True).stdout
                print(told, end="", flush=True)
                processor.append(float(told.split()[3]))
            print(f"plain / ours: {processor[1] / processor[0]:.2f} of processor time", flush=True)


if __name__ == "__main__":
    main()
