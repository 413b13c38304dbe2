"""Enhancers on one CPU: seconds and processor seconds a picture of 1920×1200; a 24-megapixel one by tiles.

    python benchmarks/enhance_speed.py [--scale quick|full]

Speed does not depend on what was learned: networks have drawn weights. `full` repeats each three times and adds the
6000×4000 picture, each in a process of its own: its peak memory, and the largest difference between tiles and no tiles
(two by two tiles cut from it, where the whole fits).
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time

import numpy as np
import torch
from rich.console import Console

from isp_sim import streams
from isp_sim.tables import terminal_table
from models.data.normalisation import Picture
from models.enhance.enhancer import CLASSICAL, Enhancer, as_image, of_network
from models.enhance.tiles import SIDE, enhance_in_tiles
from models.enhance.weights import NETWORKS, build

HD, LARGE = (1200, 1920), (4000, 6000)
ASKED_GB = 6.0
SETTINGS: dict[str, dict[str, object]] = {"sllen": {"classes": 14}}
CODE = 1 / 255


def low_light(size: tuple[int, int]) -> Picture:
    """A dark picture with structure at every scale, the same on every machine."""
    stream = streams.generator(0, "enhance speed")
    total = np.zeros((*size, 3), np.float32)
    for step in (4, 32, 256):
        coarse = stream.random((-(-size[0] // step), -(-size[1] // step), 3), np.float32)
        total += np.repeat(np.repeat(coarse, step, 0), step, 1)[: size[0], : size[1]]
    return (total * 12).astype(np.uint8)


def enhancer(name: str) -> Enhancer:
    """By name; networks with drawn weights."""
    if name in CLASSICAL:
        return Enhancer(name, CLASSICAL[name])
    return of_network(build(name, 0, **SETTINGS.get(name, {})), name, "mean-0.4")


def timed(one: Enhancer, picture: Picture, repeat: int) -> tuple[float, float]:
    """Medians of wall and processor seconds."""
    walls, processors = [], []
    for _ in range(repeat):
        wall, processor = time.perf_counter(), time.process_time()
        one.enhance(picture)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors)


def large(name: str, answers: "multiprocessing.Queue[tuple[float, float, float, float]]") -> None:
    """In a process of its own: wall and processor seconds, peak memory in GB, largest seam in codes."""
    torch.set_num_threads(2)
    picture = low_light(LARGE)
    one = enhancer(name)
    wall, processor = timed(one, picture, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    answers.put((wall, processor, peak, seam(name, picture) if name in NETWORKS else float("nan")))


def seam(name: str, picture: Picture) -> float:
    """Largest difference between tiles and no tiles round a corner of four, in codes of 8 bits."""
    network = build(name, 0, **SETTINGS.get(name, {})).eval()
    drawn = torch.Generator().manual_seed(0)
    for weight in (p for p in network.parameters() if p.ndim > 1):  # the first weights of some hardly change a picture
        torch.nn.init.xavier_normal_(weight, generator=drawn)
    side = 2 * SIDE
    part = as_image(picture[:side, :side], "mean-0.4", torch.device("cpu"))
    with torch.inference_mode():
        apart = (enhance_in_tiles(network, part) - network(part)).abs().max()
    return float(apart) / CODE


def main() -> int:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--scale", choices=("quick", "full"), default="quick")
    asked.add_argument("--only", nargs="+", help="some of the enhancers")
    given = asked.parse_args()
    torch.set_num_threads(2)
    names = given.only or [*CLASSICAL, *NETWORKS]
    columns = ["enhancer", "parameters", "s", "processor s"]
    columns += ["24 Mpx s", "processor s", "peak GB", "seam, codes"] if given.scale == "full" else []
    rows, held = [], True
    for name in names:
        one = enhancer(name)
        wall, processor = timed(one, low_light(HD), 3 if given.scale == "full" else 1)
        row = [name, f"{one.parameters:,}", f"{wall:.2f}", f"{processor:.2f}"]
        if given.scale == "full":
            spawn = multiprocessing.get_context("spawn")
            answers: multiprocessing.Queue[tuple[float, float, float, float]] = spawn.Queue()
            process = spawn.Process(target=large, args=(name, answers))
            process.start()
            found = answers.get()
            process.join()
            row += [f"{found[0]:.1f}", f"{found[1]:.1f}", f"{found[2]:.2f}", f"{found[3]:.1e}"]
            held &= found[2] < ASKED_GB and not found[3] > 0.5
        rows.append(row)
        print("  ".join(row), flush=True)
    Console().print(terminal_table("1920×1200, 8 bits in and out", columns, rows))
    if given.scale == "full":
        print(f"24 megapixels under {ASKED_GB:g} GB and without seams: {'held' if held else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
