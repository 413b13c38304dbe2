"""What limits the low-light network: PCK against steps, photographs and size, and a long training's AP against hours.

    python benchmarks/pose_curves.py --data PAIRS [--photos DIR] [--sizes lightning thunder] [--log out/train/log.csv …]

Every point is one training as `lee_tables.py --scale quick` trains LSBN + LUPI: steps of 8 pairs, crops of 128 px, a
cosine of its own to its end. Judged on the last 300 of `--photos` through the rig, one shot each; bars are standard
errors over photographs. `--log` is the log of a training of `models.train_pose` that a folder judged. What is finished
is kept in `--out` and not trained again.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lee_tables import PEOPLE_A_BATCH, Scores, photographs, recipe_of, scored, trained_and_scored
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from shipped_pose import PHOTOS

from models.data.samples import FolderPairs, PairSource, scene_of
from models.engine.distributed import pick_device

SPLITS = {"WL": "tab:orange", "LL-A": "tab:blue"}
JUDGED = "photographs"


class Point(NamedTuple):
    """A training: network, pairs to learn from, and how often it sees them; no pairs is the published network."""

    size: str
    pairs: int
    epochs: int

    @property
    def steps(self) -> int:
        """Of the optimiser."""
        return self.pairs * self.epochs // PEOPLE_A_BATCH


PAIRS = 2000
"""Of the training that all three panels share."""
BY_STEPS = tuple(Point("lightning", pairs, 1) for pairs in (0, 500, 1000, PAIRS, 2 * PAIRS))
BY_PHOTOGRAPHS = tuple(Point("lightning", pairs, PAIRS // pairs) for pairs in (125, 500, PAIRS))
PUBLISHED, BY_SIZE = (tuple(Point(size, pairs, 1) for size in ("lightning", "thunder")) for pairs in (0, PAIRS))


def measured(point: Point, data: Path, judged: PairSource, out: Path, device: torch.device) -> Scores:
    """Scores of one training, seed 0."""
    recipe, folder = recipe_of("quick", "lsbn+lupi", 0, point.size), out / "-".join(map(str, point))
    training = recipe.training.model_copy(update={"epochs": point.epochs})
    recipe = recipe.model_copy(update={"training": training})
    if point.pairs:
        learn = FolderPairs(data, 0, point.pairs, labelled=True)
        return trained_and_scored(recipe, learn, {JUDGED: judged}, folder, device)
    return scored(f"movenet-{point.size}", recipe, {JUDGED: judged}, folder, device)


def figures(scores: Scores, split: str) -> tuple[float, float]:
    """PCK and its standard error over photographs."""
    value, *moved = scores[JUDGED][split]["PCK"]
    return value, float(np.std(moved, ddof=1))


def drawn(found: dict[Point, Scores], data: Path, logs: Sequence[Path]) -> Figure:
    """The panels: one for each list of points, one for the logs."""
    lists = [BY_STEPS, BY_PHOTOGRAPHS, *([PUBLISHED] if PUBLISHED[1] in found else [])]
    count = len(lists) + bool(logs)
    figure = Figure(figsize=(3.1 * count, 3.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, count)
    for axes, points in zip(panels, lists, strict=False):
        panel(axes, points, found, data)
    if PUBLISHED in lists:
        panel(panels[2], BY_SIZE, found, data)
    for log in logs:
        with log.open() as lines:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(lines)]
        hours = np.cumsum([row["seconds"] for row in rows]) / 3600
        for split, colour in SPLITS.items():
            panels[-1].plot(hours, [row[f"AP {split}"] for row in rows], marker="o", color=colour, label=split)
        panels[-1].set(xlabel="hours of the long training", ylabel="AP of its judge", xlim=(0, None), ylim=(0, None))
    for axes in panels:
        axes.grid(alpha=0.3)
    panels[0].legend()
    return figure


def panel(axes: Axes, points: Sequence[Point], found: dict[Point, Scores], data: Path) -> None:
    """PCK of the points that were measured, over what they differ in; published networks are hollow."""
    there = [one for one in points if one in found]
    steps = BY_PHOTOGRAPHS[0].steps
    if points is BY_STEPS:
        across: list[float | str] = [one.steps for one in there]
        axes.set(xlabel="steps, each pair once", ylabel="PCK@0.2", ylim=(0, 50))
    elif points is BY_PHOTOGRAPHS:
        across = [photographs_in(data, one.pairs) for one in there]
        axes.set(xlabel=f"photographs, {steps} steps", xscale="log", ylim=(0, 50))
        axes.set_xticks(across, [str(one) for one in across])
        axes.minorticks_off()
    else:
        across = [one.size for one in there]
        axes.set(xlabel=f"size: published (hollow), {steps} steps", ylim=(0, 50), xlim=(-0.5, 1.5))
    for split, colour in SPLITS.items():
        values, errors = zip(*(figures(found[one], split) for one in there), strict=True)
        face = "none" if points is PUBLISHED else colour
        axes.errorbar(across, values, errors, marker="o", markerfacecolor=face, capsize=3, color=colour, label=split)


def photographs_in(data: Path, pairs: int) -> int:
    """How many photographs the first pairs of a folder show."""
    source = FolderPairs(data, 0, pairs)
    return len({scene_of(name) for index in range(len(source)) for name in source.names(index)})


def main() -> None:
    """Train what is missing, print the figures, draw them."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, required=True, help="folder of pairs to learn from")
    asked.add_argument("--photos", type=Path, default=PHOTOS, help="whose last 300 judge [%(default)s]")
    asked.add_argument("--sizes", nargs="+", default=["lightning", "thunder"], help="[%(default)s]")
    asked.add_argument("--longest", type=int, default=500, help="steps of the longest training [%(default)s]")
    asked.add_argument("--log", type=Path, nargs="+", default=[], help="log.csv of a long training")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path, default=Path("out/pose-curves"))
    given = asked.parse_args()
    console, device = Console(width=140), pick_device(given.device)
    wanted = dict.fromkeys((*BY_STEPS, *BY_PHOTOGRAPHS, *PUBLISHED, *BY_SIZE))
    found: dict[Point, Scores] = {}
    with tempfile.TemporaryDirectory() as links:
        judged = photographs(given.photos, Path(links))
        for point in (one for one in wanted if one.size in given.sizes and one.steps <= given.longest):
            found[point] = measured(point, given.data, judged, given.out, device)
            shown = "  ".join("{} {:.1f} ± {:.1f}".format(split, *figures(found[point], split)) for split in SPLITS)
            count = photographs_in(given.data, point.pairs) if point.pairs else 0
            console.print(f"{point.size}, {count} photographs, {point.steps} steps: {shown}")
    drawn(found, given.data, given.log).savefig(given.out / "curves.png", dpi=110)
    console.print(f"curves {given.out / 'curves.png'}")


if __name__ == "__main__":
    main()
