"""Speed of the light path at 1920×1200.

    python benchmarks/speed.py

1. sensor + readout, our fused kernel against the same model written with `numpy.random.Generator`, in turn, in one
   run; medians and their ratio.
2. the whole job (two DNG and two PNG a pair) in pairs a second, and peak memory for a short and a long run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from isp_sim import readout, sensor, streams
from isp_sim.camera import SimulatedArm, capture
from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table
from isp_sim.units import Photons

ROUNDS = 9


def with_numpy(
    photons: Photons,
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    stream: np.random.Generator,
) -> np.ndarray:
    """The model of `camera.capture`, line by line, as one writes it with NumPy."""
    height, width = photons.shape[:2]
    mean = np.empty((height, width), np.float32)
    for position, band in enumerate(chip.band):
        at = (slice(position // 2, None, 2), slice(position % 2, None, 2))
        mean[at] = photons[at][..., band] * chip.efficiency[band]
    mean = np.maximum(mean * maps.gain + (chip.dark_e + maps.hot_e_per_s * chip.exposure_s), 0)
    electrons = np.minimum(stream.poisson(mean), chip.full_well_e)
    level = (electrons + maps.offset_e) * out.gain_dn_per_e
    level += out.sigma_dn * stream.standard_normal((height, width), dtype=np.float32)
    level += lines.rows_dn[:, None] + lines.columns_dn
    level += np.tile(np.reshape(out.pedestal_dn, (2, 2)), (height // 2, width // 2))
    return np.clip(np.floor(level + 0.5), 0, out.white_dn).astype(np.uint16)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def noise_kernels() -> Table:
    """Both implementations on a bright and on a dark frame."""
    rows = []
    rig = load_rig("exlpose")
    arm = SimulatedArm(rig, rig.well_lit)
    shape = (rig.height_px, rig.width_px)
    for name, electrons, gain_db in (("well-lit, 600 e⁻", 600.0, 5.0), ("low-light, 3 e⁻", 3.0, 5.0)):
        scene = np.random.default_rng(0).gamma(2, electrons / 2, (*shape, 3)).astype(np.float32)
        photons = Photons(scene / np.float32(0.62))
        chip, out = sensor.numbers(rig.sensor, 5000, 40), readout.numbers(rig.sensor, gain_db, "S")
        lines = readout.line_noise(rig.sensor, gain_db, "S", *shape, streams.generator(0, "l"))
        model = (photons, arm.maps, lines, chip, out)
        stream = np.random.default_rng(1)
        ours, theirs = partial(capture, *model, (1, 2)), partial(with_numpy, *model, stream)
        assert abs(float(ours().mean()) / float(theirs().mean()) - 1) < 0.01, "the two do not model the same"
        times = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
        slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append((name, f"{slow * 1e3:.0f}", f"{fast * 1e3:.0f}", f"{slow / fast:.1f}"))
    title = f"sensor + readout, 1920×1200, {torch.get_num_threads()} threads, median of {ROUNDS}"
    return terminal_table(title, ("frame", "NumPy ms", "ours ms", "ratio (target ≥ 3)"), rows)


def whole_job() -> Table:
    """`isp_sim.generate` as a process of its own, short and long."""
    rows, start_up = [], None
    for count in (1, 15, 60):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "isp_sim.generate", "--rig", "exlpose", "--scenes", "charts"]
            command += ["--count", str(count), "--out", f"{folder}/run"]
            elapsed, peak_mb = measure(command)
        if start_up is None:
            start_up = elapsed
            continue
        rate = (count - 1) / (elapsed - start_up)
        rows.append((count, f"{elapsed:.1f}", f"{rate:.2f}", f"{peak_mb:.0f}"))
    title = f"isp_sim.generate --rig exlpose, {os.cpu_count()} cores, start-up left out"
    return terminal_table(title, ("pairs", "s", "pairs/s (target ≥ 1.5)", "peak memory, all processes, MB"), rows)


def measure(command: list[str]) -> tuple[float, float]:
    """Wall time and the highest memory of a process and its children, sampled, MB (pages they share count once)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak_kb = 0
    while process.poll() is None:
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
        family = [pid for pid, parent in map(str.split, listed.splitlines()) if str(process.pid) in (pid, parent)]
        peak_kb = max(peak_kb, sum(map(proportional_kb, family)))
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, peak_kb / 1024


def proportional_kb(pid: str) -> int:
    """A process's memory, each shared page divided by the number of its users; 0 if it just ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])


if __name__ == "__main__":
    Console().print(noise_kernels())
    Console().print(whole_job())
