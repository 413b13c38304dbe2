"""What the raw stage takes for a raw of 1920×1200: scale, rows and noise on the CPU, then the network.

    python benchmarks/raw_stage_speed.py [--device cuda] [--threads 1] [--repeat 3]

The least of the repetitions, in float32 and under bfloat16 autocast, and of the whole with what the device prefers. On
a CPU processor seconds beside wall time: on a busy machine the former are what to read.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console

from isp_sim.raw import Raw
from isp_sim.tables import terminal_table
from isp_sim.transfer import REC709_TO_XYZ
from isp_sim.units import Counts
from models.engine.distributed import pick_device
from models.raw_stage.network import as_input, restore
from models.raw_stage.stage import load_stage

TO_CAMERA = tuple(tuple(row) for row in np.linalg.inv(REC709_TO_XYZ).tolist())


def raw_of_full_size() -> Raw:
    """Noise of 12 bits."""
    counts = Counts(np.random.default_rng(0).integers(0, 400, (1200, 1920)).astype(np.uint16))
    noise = ((1e-4, 1e-6),) * 3
    return Raw(counts, "RGGB", (0.0,) * 4, 4095, 1000.0, 0.0, 100, (0.5, 1.0, 0.8), TO_CAMERA, noise, "", "", "")


def seconds(call: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Least wall and processor time, after one to warm up."""
    taken = []
    for _ in range(repeat + 1):
        start = time.perf_counter(), time.process_time()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, processor = zip(*taken[1:], strict=True)
    return min(wall), min(processor)


@torch.inference_mode()
def main() -> None:
    """The table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    asked.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked.add_argument("--repeat", type=int, default=3)
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    device, raw = pick_device(given.device), raw_of_full_size()
    network, seen = load_stage("tuned", device), as_input(raw).to(device)
    lines = [("scale, rows, noise", seconds(lambda: as_input(raw), given.repeat))]
    for half in (False, True):
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            name = f"network, {'bfloat16' if half else 'float32'}, {device.type}"
            lines.append((name, seconds(lambda: network(seen), given.repeat)))
    lines.append(("restore: all of it, as it runs here", seconds(lambda: restore(network, raw), given.repeat)))
    rows = [(name, f"{wall:.4f}", f"{processor:.4f}") for name, (wall, processor) in lines]
    title = f"1920×1200, {given.threads} threads"
    Console(width=100).print(terminal_table(title, ("", "wall, s", "processor, s"), rows))


if __name__ == "__main__":
    main()
