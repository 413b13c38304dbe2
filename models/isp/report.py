"""The report of a training of the ISP: table, parameters it chose, pictures before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg
from isp_sim.tables import terminal_table
from models.data.normalisation import WELL, Picture
from models.data.samples import PairSample
from models.isp.learned import LearnedIsp
from models.isp.learner import Input, taken_by
from models.isp.table import Row, developed, developed_by, gaps
from models.recognisers.inference import detect
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import Protocol, Score, figure
from models.scoring.drawing import caption, draw_poses, lifted, stacked
from models.scoring.poses import LOW_SPLITS, Poses

EXAMPLES = 4
HEADINGS = ("input", *LOW_SPLITS, "PCK@0.2 LL-A")


@dataclass(frozen=True)
class Line:
    """One row's scores.

    Attributes:
        ap: of each split.
        pck: of each split, PCK@0.2 of the torso: what tells rows apart where AP is near 0.
    """

    ap: Mapping[str, Score]
    pck: Mapping[str, float]


Scores = Mapping[Row, Line]


def scored(rows: Mapping[Row, Poses], protocol: Protocol) -> dict[Row, Line]:
    """The lines of the table."""
    return {row: Line(poses.scores(protocol), poses.pck()) for row, poses in rows.items()}


def overall(scores: Scores) -> dict[Row, float]:
    """AP on LL-A of each row."""
    return {row: line.ap["LL-A"].ap for row, line in scores.items()}


def cells(scores: Scores) -> list[tuple[str, ...]]:
    """The table's lines as text."""
    return [
        (str(row), *(figure(line.ap[split].ap) for split in LOW_SPLITS), figure(line.pck["LL-A"]))
        for row, line in scores.items()
    ]


def print_rows(scores: Scores, console: Console) -> None:
    """The table on the terminal, and the gaps closed."""
    console.print(terminal_table("AP of the frozen network on low-light pictures", HEADINGS, cells(scores)))
    for gap in gaps(overall(scores)):
        console.print(str(gap))


def write_report(
    folder: Path, isp: LearnedIsp, recogniser: Recogniser, what: Input, samples: Sequence[PairSample], scores: Scores
) -> Path:
    """`report.html` with table, parameters and examples; `parameters.png` and `examples.jpg` beside it.

    Args:
        folder: of the training.
        isp: learned.
        recogniser: frozen.
        what: of a shot the ISP develops.
        samples: held-out shots.
        scores: the table.
    """
    parameters = parameter_plot(isp, recogniser, what, samples)
    chosen: list[PairSample] = []
    for place in range(EXAMPLES):  # another split each time, from another part of the shots
        of_split = [sample for sample in samples if sample.split == LOW_SPLITS[place % 3]] or list(samples)
        chosen.append(of_split[place * len(of_split) // EXAMPLES])
    coded = jpeg(examples(isp, recogniser, what, chosen[:EXAMPLES]))
    write_atomically(folder / "parameters.png", parameters)
    write_atomically(folder / "examples.jpg", coded)
    protocol = next(iter(next(iter(scores.values())).ap.values())).record()["protocol"]
    blocks = [
        html_report.table(HEADINGS, cells(scores)),
        *(html_report.text(str(gap)) for gap in gaps(overall(scores))),
        html_report.text(
            f"{len(samples)} shots; " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in protocol.items()) + "."
        ),
        html_report.picture(parameters, "parameters the predictor chose for each held-out picture, by split"),
        html_report.picture(
            coded,
            "mean brought to 0.4, after the learned ISP, the well-lit partner; true poses white, found ones orange on "
            "the left of the body and blue on the right",
            "jpeg",
        ),
    ]
    write_atomically(folder / "report.html", html_report.page("An ISP before a frozen pose network", blocks))
    return folder / "report.html"


def parameter_plot(isp: LearnedIsp, recogniser: Recogniser, what: Input, samples: Sequence[PairSample]) -> bytes:
    """A PNG: for each parameter a histogram of the values chosen, a colour a split."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullFormatter

    device = next(recogniser.parameters()).device
    with torch.inference_mode():
        values = np.concatenate(
            [isp.values(taken_by(isp.pipeline, s, what, device), exposure=s.exposure).cpu().numpy() for s in samples]
        )
    splits = np.array([s.split for s in samples])
    specs = [spec for spec in isp.pipeline.specs for _ in range(spec.size)]
    columns = min(4, len(specs))
    rows = -(-len(specs) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows), layout="constrained")
    for n, (axes, spec) in enumerate(zip(figure.subplots(rows, columns, squeeze=False).flat, specs, strict=False)):
        found = values[:, n]
        edges = np.geomspace(spec.low, spec.high, 41) if spec.scale == "log" else np.linspace(spec.low, spec.high, 41)
        axes.hist([found[splits == s] for s in LOW_SPLITS[:3]], bins=edges, stacked=True, label=LOW_SPLITS[:3])
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if n % columns == 0:
            axes.set_ylabel("pictures")
        axes.set(title=isp.pipeline.names[n], xscale=spec.scale, xlabel=spec.unit or None)
        axes.xaxis.set_minor_formatter(NullFormatter())  # their labels would lie over each other
        if n == 0:
            axes.legend(fontsize="small")
    for axes in figure.axes[len(specs) :]:
        axes.set_visible(False)
    return html_report.png(figure)


def examples(isp: LearnedIsp, recogniser: Recogniser, what: Input, samples: Sequence[PairSample]) -> Picture:
    """A row a shot: brought to a mean of 0.4, after the ISP, well-lit; true poses white, found ones in colour."""
    device = next(recogniser.parameters()).device
    after, lines = developed_by(isp, recogniser, what, "none"), []
    for sample in samples:
        people = sample.labelled
        lit = developed(isp, sample, what, device)
        tiles = []
        for picture, found, words in (
            (lifted(sample.low_light), detect(recogniser, sample.low_light, people, 0, "none"), "mean 0.4"),
            ((lit.clip(0, 1) * 255).astype(np.uint8), after(sample), "learned ISP"),
            (sample.well_lit, detect(recogniser, sample.well_lit, people, WELL, "none"), "well-lit"),
        ):
            tile = draw_poses(picture, people, found)
            caption(tile, f"{sample.split}  {words}")
            tiles.append(tile)
        lines.append(np.hstack(tiles))
    return stacked(lines)
