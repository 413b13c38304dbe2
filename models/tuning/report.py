"""A tuning to look at: how the search went, what it set, how held-out shots score, pictures before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg, read_picture
from models.data.normalisation import Picture
from models.isp.trials import detections
from models.scoring.average_precision import figure
from models.scoring.drawing import caption, draw_poses, lifted, stacked
from models.scoring.poses import LOW_SPLITS
from models.tuning.judge import Judge, Seen
from models.tuning.record import Evaluation
from models.tuning.shots import RawShot
from models.tuning.tunable import Settings, TunableParameter
from models.tuning.verdict import Verdict

EXAMPLES = 4
HEADINGS = ("held-out shots", *(f"AP {split}" for split in LOW_SPLITS), "mean OKS", "over the defaults")


def cells(verdicts: Mapping[str, Verdict]) -> list[tuple[str, ...]]:
    """The table's lines as text."""
    return [
        (
            name,
            *(figure(one.scores[split].ap) for split in LOW_SPLITS),
            f"{one.oks:.4f}",
            f"{one.gain:+.4f} ± {one.error:.4f}",
        )
        for name, one in verdicts.items()
    ]


def convergence(evaluated: Mapping[str, Sequence[Evaluation]], title: str) -> bytes:
    """A PNG: mean OKS of each evaluation as a dot, the best so far as a line, the start as a level."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, (name, evaluations) in enumerate(evaluated.items()):
        values = np.array([one.oks for one in evaluations])
        numbers = np.arange(1, len(values) + 1)
        axes.plot(numbers, values, ".", color=f"C{colour}", alpha=0.35, markersize=5)
        axes.plot(numbers, np.maximum.accumulate(values), color=f"C{colour}", label=f"{name}, best so far")
    start = next(iter(evaluated.values()))[0].oks
    axes.axhline(start, color="0.4", linestyle="--", linewidth=1, label="where it began")
    every = np.concatenate([[one.oks for one in evaluations] for evaluations in evaluated.values()])
    top = float(every.max())
    low = max(float(every.min()), top - max(5 * (top - start), 0.01))
    room = 0.04 * (top - low) + 1e-4
    axes.set(xlabel="evaluations, each over all shots of the search", title=title)
    axes.set_ylabel("mean OKS (bad trials lie below)")
    axes.set_ylim(low - room, top + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    return html_report.png(figure)


def settings_table(parameters: Sequence[TunableParameter], candidates: Mapping[str, Settings]) -> str:
    """Every parameter: what each candidate sets it to, its range, what it does."""
    rows = [
        (one.name, *(f"{settings[one.name]}" for settings in candidates.values()), one.domain, one.spec.says)
        for one in parameters
    ]
    return html_report.table(("parameter", *candidates, "range", ""), rows)


def examples(
    judge: Judge, candidates: Mapping[str, Settings], seen: Mapping[str, Sequence[Seen]], shots: Sequence[RawShot]
) -> Picture:
    """A row a shot: developed with each candidate, then well-lit; true poses white, found ones in colour."""
    lines = []
    step = max(1, len(shots) // EXAMPLES)
    for number in range(0, len(shots), step)[:EXAMPLES]:
        shot, tiles = shots[number], []
        for name, settings in candidates.items():
            codes = (255 * judge.picture(settings, shot).clip(0, None)).astype(np.float32)
            tile = draw_poses(lifted(codes), shot.people, detections(seen[name][number].joints))
            caption(tile, f"{shot.split}  {name}")
            tiles.append(tile)
        tile = draw_poses(read_picture(shot.well_lit), shot.people, [])
        caption(tile, "well-lit arm")
        lines.append(np.hstack([*tiles, tile]))
    return stacked(lines)


def write_report(
    folder: Path, isp: str, parameters: Sequence[TunableParameter], evaluated: Mapping[str, Sequence[Evaluation]],
    verdicts: Mapping[str, Verdict], sheet: Picture, notes: Sequence[str],
) -> Path:  # fmt: skip
    """`report.html`, with `convergence.png` and `examples.jpg` beside it; gives the page."""
    plot = convergence(evaluated, f"{isp} in the loop")
    coded = jpeg(sheet, quality=85)
    write_atomically(folder / "convergence.png", plot)
    write_atomically(folder / "examples.jpg", coded)
    tuned = {name: one.settings for name, one in verdicts.items() if one.settings}
    blocks = [
        html_report.table(HEADINGS, cells(verdicts)),
        *(html_report.text(one) for one in notes),
        html_report.picture(plot, "the search: mean OKS over its own shots"),
        settings_table(parameters, tuned),
        html_report.picture(
            coded, "held-out shots, channels brought to a mean of 0.4; true poses white, found ones in "
            "colour", "jpeg",
        ),
    ]  # fmt: skip
    write_atomically(folder / "report.html", html_report.page(f"{isp} tuned for a frozen pose network", blocks))
    return folder / "report.html"
