"""Draw `docs/pictures/architecture.png`, the rooms of the house, from the packages themselves.

    python docs/draw_architecture.py

A box is a package, its text the first line of its docstring; a row of boxes imports rows below it and none above; the
chain at the bottom is `isp_sim.LIGHT_PATH`. A file with a `main` at the top of a package is a command.
"""

import ast
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from scipy.sparse.csgraph import connected_components

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from isp_sim import LIGHT_PATH

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {"capture": (0.0, 22.0), "calibration": (23.0, 18.0), "models": (42.0, 58.0)}
"""Left edge and width of each package, in hundredths of the picture."""
COLOURS = {"isp_sim": "#4472a8", "capture": "#4f8f5b", "calibration": "#a8763e", "models": "#8a5aa0"}
GAP, ROW, TITLE = 1.0, 7.0, 7.5
NARROWEST = 18.0
"""Rooms that would be narrower stand above one another."""


def says(folder: Path) -> str:
    """The first line of a package's docstring."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("`", "")


def commands(folder: Path) -> list[str]:
    """Files at the top of a package that have a `main`."""
    return sorted(path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rows(package: str) -> list[list[Path]]:
    """The rooms of a package in rows: a room stands above every room that it imports; circles share a row."""
    rooms = sorted(path.parent for path in (ROOT / package).glob("*/__init__.py"))
    uses = np.zeros((len(rooms), len(rooms)), bool)
    for i, room in enumerate(rooms):
        names = {".".join(name.split(".")[:2]) for path in room.rglob("*.py") for name in imported(path)}
        for j, other in enumerate(rooms):
            uses[i, j] = i != j and f"{package}.{other.name}" in names
    count, circle = connected_components(uses, connection="strong")
    heights = [0] * count
    for _ in range(count):
        for i, j in zip(*np.nonzero(uses), strict=True):
            if circle[i] != circle[j]:
                heights[circle[i]] = max(heights[circle[i]], heights[circle[j]] + 1)
    levels = sorted({heights[c] for c in circle}, reverse=True)
    together = [[room for room, c in zip(rooms, circle, strict=True) if heights[c] == level] for level in levels]
    fit = int(COLUMNS.get(package, (0.0, 100.0))[1] / NARROWEST)
    return [level[first : first + fit] for level in together for first in range(0, len(level), fit)]


def box(axes: Axes, at: tuple[float, float], size: tuple[float, float], colour: str, strength: float) -> None:
    """A rounded box, its lower left corner at `at`."""
    axes.add_patch(
        FancyBboxPatch(at, *size, boxstyle="round,pad=0,rounding_size=0.8", fc=(colour, strength), ec=colour, lw=1)
    )


def draw_room(axes: Axes, folder: Path, at: tuple[float, float], size: tuple[float, float], colour: str) -> None:
    """A room: its name, how many files it has, what it is for."""
    box(axes, at, size, colour, 0.18)
    (x, y), (width, height) = at, size
    files = sum(path.stem != "__init__" for path in folder.rglob("*.py"))
    axes.text(x + 0.8, y + height - 0.9, f"{folder.name}/", weight="bold", size=9.5, va="top")
    axes.text(x + width - 0.8, y + height - 1.0, f"{files} files", size=7, va="top", ha="right", color="0.35")
    text = textwrap.shorten(says(folder), 120, placeholder=" …")
    axes.text(x + 0.8, y + height - 3.4, textwrap.fill(text, int(width * 2.1)), size=7.4, va="top", linespacing=1.1)


def draw_package(axes: Axes, package: str, x: float, width: float, y: float, height: float) -> None:
    """A package: its commands, then its rooms in rows, the lowest at the bottom."""
    colour = COLOURS[package]
    box(axes, (x, y), (width, height), colour, 0.07)
    axes.text(x + 1, y + height - 1, f"{package}/", weight="bold", size=12, va="top", color=colour)
    listed = "commands: " + ", ".join(commands(ROOT / package))
    axes.text(x + 1, y + height - 3.7, textwrap.fill(listed, int(width * 1.8)), size=7.6, va="top", color="0.2")
    draw_rows(axes, rows(package), x, width, y + GAP, colour)


def draw_rows(axes: Axes, levels: Sequence[Sequence[Path]], x: float, width: float, y: float, colour: str) -> None:
    """Rows of rooms, the last one lowest, at `y`."""
    for number, level in enumerate(reversed(levels)):
        each = (width - GAP * (len(level) + 1)) / len(level)
        for place, folder in enumerate(level):
            left = x + GAP + place * (each + GAP)
            draw_room(axes, folder, (left, y + number * (ROW + GAP)), (each, ROW), colour)


def draw_light_path(axes: Axes, y: float) -> None:
    """The stages from left to right; under each arrow the plane that passes."""
    step = 98 / len(LIGHT_PATH)
    for number, stage in enumerate(LIGHT_PATH):
        left = 1 + number * step
        box(axes, (left, y), (step - 4.6, 3.4), COLOURS["isp_sim"], 0.45)
        axes.text(left + (step - 4.6) / 2, y + 1.6, stage.name, size=9, ha="center", va="center")
        axes.annotate("", (left + step - 0.2, y + 1.7), (left + step - 4.4, y + 1.7), arrowprops={"arrowstyle": "->"})
        axes.text(left + step - 2.3, y - 0.5, stage.gives, size=7, ha="center", va="top", color="0.3")


def draw() -> None:
    """The picture."""
    upper = TITLE + max(len(rows(package)) for package in COLUMNS) * (ROW + GAP) + GAP
    lower = ROW + 18
    figure, axes = plt.subplots(figsize=(13, 13 * (upper + lower + 5) / 100))
    for package, (x, width) in COLUMNS.items():
        draw_package(axes, package, x, width, lower + 4, upper)
        axes.annotate("", (x + width / 2, lower + 0.2), (x + width / 2, lower + 3.8), arrowprops={"arrowstyle": "->"})
        axes.text(x + width / 2 + 0.8, lower + 2, "imports", size=8, va="center", color="0.3")
    draw_rig(axes, lower)
    axes.set(xlim=(-0.5, 100.5), ylim=(-0.5, upper + lower + 4.5))
    axes.axis("off")
    figure.tight_layout(pad=0.2)
    figure.savefig(ROOT / "docs" / "pictures" / "architecture.png", dpi=100)


def draw_rig(axes: Axes, height: float) -> None:
    """`isp_sim` at the bottom: its rooms side by side, its other files by name, the light path."""
    folder, colour = ROOT / "isp_sim", COLOURS["isp_sim"]
    box(axes, (0, 0), (100, height), colour, 0.07)
    axes.text(1, height - 1, "isp_sim/", weight="bold", size=12, va="top", color=colour)
    on_path = {stage.function.split(":")[0].split(".")[1] for stage in LIGHT_PATH}
    others = sorted({path.stem for path in folder.glob("*.py")} - on_path - {"__init__", *commands(folder)})
    listed = f"command: {', '.join(commands(folder))}; beside the light path: {', '.join(others)}"
    axes.text(11, height - 1.2, textwrap.fill(listed, 165), size=7.6, va="top", color="0.2", linespacing=1.2)
    draw_rows(axes, [[room for level in rows("isp_sim") for room in level]], 0, 100, height - 6 - ROW, colour)
    axes.text(1, 7.8, "the light path, stage by stage, and the plane that each hands on", size=8.5, va="bottom")
    draw_light_path(axes, 3.2)


if __name__ == "__main__":
    draw()
