"""What recognition costs a person who looks: the front over several goals, held-out figures, pictures of its points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.isp.codes import srgb_codes
from isp_sim.picture_files import jpeg
from isp_sim.quality.chart import Quality
from isp_sim.transfer import srgb_decode
from models.data.normalisation import Picture
from models.scoring.drawing import caption, stacked
from models.tuning.goals import RECOGNITION, Goal, front, losses
from models.tuning.judge import Judge, Seen
from models.tuning.record import Evaluation
from models.tuning.report import examples, settings_table
from models.tuning.tunable import Settings, TunableParameter
from models.tuning.verdict import Verdict

HEADINGS = (
    "held-out", "PCK@0.2 LL-A", "mean OKS", "over the defaults", "SNR dB", "range EV", "MTF50 c/px", "overshoot",
    "texture", "ΔE2000",
)  # fmt: skip
IN_TERMINAL = {0: "held-out", 1: "PCK", 2: "OKS", 4: "SNR dB", 6: "MTF50", 8: "texture", 9: "ΔE2000"}
"""Of the columns those that fit into 80 characters, under headings that do."""
LOOKED_AT = (f"best {RECOGNITION}", "balanced", "nothing given up")
"""Points whose shots are shown, beside the defaults'."""
SHOWN_LIGHT = 0.25
"""Mean linear light to which a chart's picture is brought for show."""


@dataclass(frozen=True)
class Point:
    """One setting, on held-out shots and the held-out chart.

    Attributes:
        settings: judged.
        verdict: of the shots.
        pck: LL-A.
        quality: of the chart.
        searched: how it did in the search.
        seen: what the network saw in each shot.
    """

    settings: Settings
    verdict: Verdict
    pck: float
    quality: Quality
    searched: Evaluation
    seen: tuple[Seen, ...]


def cells(points: Mapping[str, Point]) -> list[tuple[str, ...]]:
    """The table's lines as text."""
    return [
        (
            name, f"{one.pck:.1f}", f"{one.verdict.oks:.4f}", f"{one.verdict.gain:+.4f} ± {one.verdict.error:.4f}",
            f"{one.quality.snr_db:.1f}", f"{one.quality.dynamic_range_ev:.1f}", f"{one.quality.mtf50:.3f}",
            f"{one.quality.overshoot:.2f}", f"{one.quality.texture:.2f}", f"{one.quality.delta_e:.1f}",
        )
        for name, one in points.items()
    ]  # fmt: skip


def few_cells(points: Mapping[str, Point]) -> list[tuple[str, ...]]:
    """The table's lines for a terminal: the columns of `IN_TERMINAL`."""
    return [tuple(line[n] for n in IN_TERMINAL) for line in cells(points)]


def plot(evaluations: Sequence[Evaluation], goals: Sequence[Goal], points: Mapping[str, Point]) -> bytes:
    """A PNG: the first goal against each other one; every evaluation grey, the front dark, what is looked at named."""
    from matplotlib.figure import Figure

    others = goals[1:]
    columns = min(len(others), 2)
    figure = Figure(figsize=(5.2 * columns, 4.4 * -(-len(others) // columns)), layout="constrained")
    grid = figure.subplots(-(-len(others) // columns), columns, squeeze=False).ravel()
    best = front(losses(evaluations, goals))
    down = [goals[0].value(one) for one in evaluations]
    for axes, goal in zip(grid, others, strict=False):
        along = np.array([goal.value(one) for one in evaluations])
        axes.plot(along[~best], np.array(down)[~best], ".", color="0.8", markersize=4, label="beaten by another")
        axes.plot(along[best], np.array(down)[best], ".", color="0.35", markersize=5, label="front of all goals")
        for colour, (name, one) in enumerate(points.items()):
            place = goal.value(one.searched), goals[0].value(one.searched)
            axes.plot(*place, "o", color=f"C{colour}", markersize=8, markeredgecolor="black", label=name)
        axes.set(xlabel=goal.says, ylabel=goals[0].says)
        if goal.sign < 0:
            axes.invert_xaxis()  # better is to the right, always
        low, high = np.percentile(along, [5, 100] if goal.sign > 0 else [0, 95])
        if high > low:
            room = 0.05 * (high - low)
            axes.set_xlim(*((low - room, high + room) if goal.sign > 0 else (high + room, low - room)))
        axes.grid(alpha=0.3)
    for axes in grid[len(others) :]:
        axes.axis("off")
    grid[0].legend(fontsize="x-small")
    return html_report.png(figure)


def displayed(picture: np.ndarray) -> Picture:
    """A developed picture as an editor shows it with its exposure set: linear light at a mean of 0.25, sRGB again."""
    light = srgb_decode(torch.from_numpy(np.maximum(picture, 0).astype(np.float32))).numpy()
    return srgb_codes(np.asarray(light * (SHOWN_LIGHT / max(float(light.mean()), 1e-9)), np.float32))


def charts(judge: Judge, points: Mapping[str, Point]) -> Picture:
    """The held-out chart's first frame under each setting, two in a row."""
    assert judge.task.chart is not None
    tiles = []
    for name, one in points.items():
        tile = displayed(judge.task.chart.pictures(judge.isp.develop, one.settings, judge.task.isp)[0])
        caption(tile, name)
        tiles.append(tile)
    return stacked([np.hstack(tiles[n : n + 2]) for n in range(0, len(tiles), 2)])


def price(points: Mapping[str, Point], base: str, best: str) -> str:
    """What the most recognition costs against the defaults, a point of PCK at a time, in words."""
    first, last = points[base], points[best]
    gain = last.pck - first.pck
    if gain <= 0:
        return f"Of most recognition in the search is no more than the defaults on held-out shots ({gain:+.1f} PCK)."
    moved = ", ".join(
        f"{(b - a) / gain:+.3g} {words}"
        for words, a, b in (
            ("dB of SNR", first.quality.snr_db, last.quality.snr_db),
            ("cycles/px of MTF50", first.quality.mtf50, last.quality.mtf50),
            ("of texture", first.quality.texture, last.quality.texture),
            ("ΔE2000", first.quality.delta_e, last.quality.delta_e),
        )
    )
    return f"Most recognition gives {gain:+.1f} PCK over the defaults; each point of it comes with {moved}."


def write_report(
    folder: Path, isp: str, parameters: Sequence[TunableParameter], evaluations: Sequence[Evaluation],
    goals: Sequence[Goal], points: Mapping[str, Point], judge: Judge,
) -> Path:  # fmt: skip
    """`report.html`, with `front.png`, `charts.jpg` and `examples.jpg` beside it; gives the page."""
    drawn = plot(evaluations, goals, points)
    sheet = jpeg(charts(judge, points), quality=85)
    settings = {name: one.settings for name, one in points.items()}
    few = {name: settings[name] for name in settings if name in (next(iter(points)), *LOOKED_AT)}
    shown = jpeg(examples(judge, few, {n: one.seen for n, one in points.items()}, judge.task.shots), quality=80)
    for name, data in (("front.png", drawn), ("charts.jpg", sheet), ("examples.jpg", shown)):
        write_atomically(folder / name, data)
    best = f"best {RECOGNITION}"
    blocks = [
        html_report.table(HEADINGS, cells(points)),
        *([html_report.text(price(points, next(iter(points)), best))] if best in points else []),
        html_report.text(
            f"{len(judge.task.shots)} held-out shots and a held-out chart; chosen by {len(evaluations)} evaluations of "
            f"{len(evaluations[0].shots)} other shots. SNR (ISO 15739) at the grey nearest to 18 %, MTF50 (ISO 12233), "
            "texture (dead leaves, acutance) of what the chart's own greys make linear; ΔE2000 with the brightness "
            "matched. NaN: the picture no longer shows it."
        ),
        html_report.picture(drawn, "the search: better is right and up"),
        html_report.picture(sheet, "the chart by each setting, exposure set in linear light", "jpeg"),
        html_report.picture(shown, "held-out shots, channels brought to a mean of 0.4; true poses white", "jpeg"),
        settings_table(parameters, settings),
    ]
    title = f"{isp} tuned for {', '.join(goal.name for goal in goals)}"
    write_atomically(folder / "report.html", html_report.page(title, blocks, width_px=1400))
    return folder / "report.html"
