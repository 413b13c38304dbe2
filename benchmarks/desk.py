"""The tuning desk at 1920×1200: page load, and from a move of a slider to the picture, in a headless Chromium.

    python benchmarks/desk.py [--data FOLDER] [--isp pipeline libraw] [--moves 25]

Without --data two shots of a built-in scene are taken first. A move is timed in the page itself: from the slider's
event to the frame in which the preview is drawn. Medians, and the nine-tenths quantile.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table
from models.tuning.shots import shoot

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from chromium import Browser, browser  # noqa: E402

SLIDERS = {"pipeline": ("gamma.gamma", "smoothing.sigma_range.G"), "libraw": ("gamma_slope", "bright")}
"""Moved; the rig's light is moved too."""
MOVE = """
const [name, share] = arguments;
const slider = document.querySelector(`[data-name='${name}']`);
const pane = panes.tuned, before = pane.shownAs;
const began = performance.now();
slider.value = share;
slider.dispatchEvent(new Event('input'));
while (pane.shownAs === before) await new Promise(requestAnimationFrame);
await new Promise(requestAnimationFrame);
return performance.now() - began;
"""
LOAD = """
const [load] = performance.getEntriesByType('navigation');
return load.loadEventEnd;
"""
PICTURES = "Number(document.body.dataset.pictures ?? 0)"
SETTLED = "Number(document.body.dataset.settled ?? 0)"


def first(process: "subprocess.Popen[str]") -> str:
    """The address that a desk prints."""
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return line.split()[-1]
    raise OSError("isp-sim desk: printed no address")


def moves(page: Browser, name: str, count: int) -> list[float]:
    """Milliseconds from each move of a slider to its picture; it rests between, but the whole picture never comes."""
    taken = []
    for number in range(count + 2):
        taken.append(float(page.run(MOVE, name, 0.4 + 0.01 * (number % 30))))
        time.sleep(0.05)
    page.run("document.querySelector(`[data-name='${arguments[0]}']`).dispatchEvent(new Event('change'))", name)
    time.sleep(1.5)
    page.wait("refresh.what === null")
    return taken[2:]


def measured(data: Path, isp: str, count: int, folder: Path) -> list[tuple[str, ...]]:
    """Lines of the table for one ISP."""
    words = [sys.executable, "-m", "models.serve_desk", "--data", str(data), "--isp", isp, "--out", str(folder / isp)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    desk = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    lines = []
    try:
        address = first(desk)
        (folder / f"{isp}-browser").mkdir()
        with browser(folder / f"{isp}-browser", 1600, 900) as page:
            loads, shown = [], []
            for _ in range(5):
                page.open("about:blank")
                began = time.perf_counter()
                page.open(address)
                page.wait(f"{PICTURES} >= 1")
                shown.append(1000 * (time.perf_counter() - began))
                loads.append(float(page.run(LOAD)))
                page.wait(f"{SETTLED} >= 1", 60)
            lines += [row(isp, "page load", loads), row(isp, "page load to the first picture", shown)]
            for name in SLIDERS.get(isp, ()):
                lines.append(row(isp, f"{name} → preview", moves(page, name, count)))
            if page.run("return desk.rig.length"):
                page.run(MOVE, "light", 0.5)  # the scene is made once
                lines.append(row(isp, "light of the rig → preview", moves(page, "light", count)))
    finally:
        desk.terminate()
        desk.wait(timeout=30)
    return lines


def row(isp: str, what: str, values: list[float]) -> tuple[str, ...]:
    """A line of the table."""
    high = sorted(values)[int(0.9 * (len(values) - 1))]
    return isp, what, f"{statistics.median(values):.0f}", f"{high:.0f}", str(len(values))


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of isp-sim generate at 1920×1200")
    parser.add_argument("--isp", nargs="+", default=["pipeline", "libraw"])
    parser.add_argument("--moves", type=int, default=25)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, data = Path(temporary), args.data
        if data is None:
            data = folder / "shots"
            data.mkdir()
            shoot(data, load_rig("exlpose"), 0, 2, 2, 1)
        lines = [line for isp in args.isp for line in measured(data, isp, args.moves, folder)]
    Console().print(terminal_table("the desk at 1920×1200", ("ISP", "", "median ms", "nine tenths ms", "of"), lines))


if __name__ == "__main__":
    main()
