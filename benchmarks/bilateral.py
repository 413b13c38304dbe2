"""Our bilateral filter beside kornia's and OpenCV's, 3×1200×1920 in float32: time, and memory with gradients.

    python benchmarks/bilateral.py [--windows 7 11] [--repeat 7]

Every figure comes from a process of its own, one after the other, on as many threads as there are cores. Time is the
least of the repetitions, memory the highest resident size less that before the first call. kornia with gradients needs
6.9 GB (window 7) or 16.8 GB (11): where less is free, it gets fewer rows, and its figures are scaled to all of them.
OpenCV looks at a disc instead of a square (79 % of the pixels), on three planes one by one, and has no gradients.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch
from rich.console import Console
from rich.table import Table

from isp_sim.tables import terminal_table

HEIGHT, WIDTH = 1200, 1920
SIGMA_SPACE, SIGMA_RANGE = 1.5, 0.1
ROUNDS = 3
"""How often the filters take turns, without gradients: a busy neighbour then disturbs all of them alike."""
KORNIA_GB = {7: 6.9, 11: 16.8}
EXPONENTIALS_PER_CLOCK = 16
"""Of one multiprocessor of an NVIDIA GPU (CUDA C++ Programming Guide, arithmetic instructions)."""


def ours(image: torch.Tensor, window: int) -> torch.Tensor:
    """Ours; with gradients also of both σ, if the image wants one."""
    from isp_sim.isp.bilateral import bilateral

    sigmas = (torch.full((1, 3), s, device=image.device) for s in (SIGMA_SPACE, SIGMA_RANGE))
    return bilateral(image, *(sigma.requires_grad_(image.requires_grad) for sigma in sigmas), window)


def kornia(image: torch.Tensor, window: int) -> torch.Tensor:
    """kornia's, each channel a picture of its own, as in the definition; with gradients of the image alone."""
    from kornia.filters import bilateral_blur

    planes = image.reshape(-1, 1, *image.shape[2:])
    blurred = bilateral_blur(planes, (window, window), SIGMA_RANGE, (SIGMA_SPACE, SIGMA_SPACE))
    return blurred.view(image.shape)


def opencv(image: torch.Tensor, window: int) -> torch.Tensor:
    """OpenCV's, plane by plane."""
    import cv2

    cv2.setNumThreads(torch.get_num_threads())
    planes = [cv2.bilateralFilter(plane.numpy(), window, SIGMA_RANGE, SIGMA_SPACE) for plane in image[0]]
    return torch.stack([torch.from_numpy(plane) for plane in planes])[None]


FILTERS = {"ours": ours, "kornia": kornia, "opencv": opencv}


def peak_mb() -> float:
    """The highest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, window: int, gradient: bool, rows: int, repeat: int) -> dict[str, float]:
    """Seconds (forward, and backward) and MB of one filter in this process."""
    torch.set_num_threads(os.cpu_count() or 1)
    stream = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, rows, WIDTH, generator=stream, requires_grad=gradient)
    incoming = torch.rand(image.shape, generator=stream)
    small = image[..., :32, :32]
    warm = FILTERS[name](small, window)  # imports, compiles
    if gradient:
        warm.sum().backward()
        image.grad = None
    before = peak_mb()
    forward, backward = [], []
    for _ in range(repeat):
        start = time.perf_counter()
        out = FILTERS[name](image, window)
        middle = time.perf_counter()
        if gradient:
            out.backward(incoming)
            image.grad = None
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)
        del out
    return {"forward": min(forward), "backward": min(backward), "mb": peak_mb() - before}


def in_a_process(name: str, window: int, gradient: bool, repeat: int) -> dict[str, float]:
    """`measure` in a process of its own, scaled to the whole picture."""
    rows = HEIGHT
    if name == "kornia" and gradient:
        free_gb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        parts = 1
        while 1.3 * KORNIA_GB.get(window, 0.16 * window**2) / parts > 0.8 * free_gb:
            parts += 1
        rows, repeat = HEIGHT // parts, 2
    asked = [sys.executable, __file__, "--case", json.dumps([name, window, gradient, rows, repeat])]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    found = {key: value * HEIGHT / rows for key, value in json.loads(said).items()}
    return found | {"rows": rows}


def compare(window: int, repeat: int) -> Table:
    """One window, every filter."""
    figures = {(name, True): in_a_process(name, window, True, repeat) for name in ("ours", "kornia")}
    rounds = [{name: in_a_process(name, window, False, repeat) for name in FILTERS} for _ in range(ROUNDS)]
    figures |= {(name, False): min((one[name] for one in rounds), key=lambda f: f["forward"]) for name in FILTERS}
    mine, theirs, cv = (figures[name, False]["forward"] for name in FILTERS)
    cells = (f"{mine * 1e3:.0f} ms", f"{theirs * 1e3:.0f} ms", f"{theirs / mine:.1f} (≥ 5)")
    lines = [("forward", *cells, f"{cv * 1e3:.0f} ms", f"{cv / mine:.1f} (> 1)")]
    mine, theirs = (figures[name, True]["forward"] + figures[name, True]["backward"] for name in ("ours", "kornia"))
    lines.append(("and backward", f"{mine * 1e3:.0f} ms", f"{theirs:.1f} s", f"{theirs / mine:.0f} (≥ 8)", "", ""))
    mine, theirs = (figures[name, True]["mb"] for name in ("ours", "kornia"))
    lines.append(("memory of both", f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{theirs / mine:.0f} (≥ 20)", "", ""))
    title = f"bilateral filter, 3×{HEIGHT}×{WIDTH}, window {window}, {os.cpu_count()} cores"
    table = terminal_table(title, ("", "ours", "kornia", "ratio", "OpenCV", "ratio"), lines)
    rows = figures["kornia", True]["rows"]
    if rows < HEIGHT:
        table.caption = f"kornia with gradients: measured on {rows} rows, scaled to {HEIGHT}"
    return table


def on_gpu(window: int) -> Table:
    """Ours and kornia's on a GPU; the floor is what the exponentials alone would take at the card's full clock."""
    from triton.runtime import driver

    card = torch.cuda.get_device_properties(0)
    clock_hz = driver.active.utils.get_device_properties(0)["sm_clock_rate"] * 1e3
    image = torch.rand(1, 3, HEIGHT, WIDTH, device="cuda")
    rate = card.multi_processor_count * EXPONENTIALS_PER_CLOCK * clock_hz
    floor = image.numel() * window**2 / rate
    with torch.no_grad():
        mine, theirs = (_gpu_seconds(lambda f=f: f(image, window)) for f in (ours, kornia))
    cells = (f"{mine * 1e3:.3f} ms", f"{theirs * 1e3:.2f} ms", f"{floor * 1e3:.3f} ms", f"{mine / floor:.1f}")
    rows = [("forward", *cells)]
    for name, batch in (("forward + backward", 1), ("batch of 8, both", 8)):
        images = torch.rand(batch, 3, HEIGHT, WIDTH, device="cuda", requires_grad=True)
        rows.append((name, *(_with_gradient(f, images, window) for f in (ours, kornia)), "", ""))
    headings = ("", "ours", "kornia", "floor", "ours / floor")
    return terminal_table(f"bilateral filter on {card.name}, window {window}", headings, rows)


def _gpu_seconds(call: object, repeat: int = 20) -> float:
    """Median over repetitions, by the card's own clock, after three to warm up."""
    assert callable(call)
    taken = []
    for _ in range(repeat + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end) / 1e3)
    return sorted(taken[3:])[repeat // 2]


def _with_gradient(function: object, images: torch.Tensor, window: int) -> str:
    """Time and memory of forward and backward, or that it does not fit."""
    assert callable(function)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    try:
        taken = _gpu_seconds(lambda: function(images, window).sum().backward(), 5)
    except torch.OutOfMemoryError:
        return "does not fit"
    return f"{taken * 1e3:.1f} ms, {(torch.cuda.max_memory_allocated() - before) / 1e9:.2f} GB"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--windows", type=int, nargs="+", default=[7, 11])
    asked.add_argument("--repeat", type=int, default=7)
    asked.add_argument("--case", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.case:
        print(json.dumps(measure(*json.loads(given.case))))
        sys.exit()
    for width in given.windows:
        Console().print(compare(width, given.repeat))
        if torch.cuda.is_available():
            Console().print(on_gpu(width))
