"""What `models.evaluate` shows of a scored pose network: a table for each split, and a page of poses."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg
from isp_sim.scenes import JOINTS
from isp_sim.tables import terminal_table
from models.data.normalisation import Picture
from models.data.samples import PairSample, scene_of
from models.enhance.enhancer import Enhancer
from models.scoring.average_precision import Score, figure
from models.scoring.drawing import caption, draw_poses, lifted, stacked
from models.scoring.poses import Poses, SplitScore

SHOWN = 6
HEADINGS = ("split", "scenes", "pictures", "people", "AP", "AP50", "AP75")
TRUE_BOX_HEADINGS = (*HEADINGS, "PCK@0.2 torso")
DETECTED_BOX_HEADINGS = (*HEADINGS, "box AP", "box AP50", "found")
"""`found`: of the people, those with a detected box at IoU .50."""
ERRORS = "± is the standard error over scenes; of one scene there is none"


def headings(judged: Mapping[str, SplitScore]) -> tuple[str, ...]:
    """The table's columns: PCK in true boxes, the detector's scores in detected ones."""
    return DETECTED_BOX_HEADINGS if any(one.boxes for one in judged.values()) else TRUE_BOX_HEADINGS


def rows(judged: Mapping[str, SplitScore]) -> list[tuple[str, ...]]:
    """The table's lines, as text; AP and PCK with their standard error over scenes."""
    return [
        (
            split,
            *map(str, (one.over.scenes, one.over.pictures, one.score.people)),
            f"{figure(one.score.ap)} ± {figure(one.over.ap)}",
            figure(one.score.ap50),
            figure(one.score.ap75),
            *_last_columns(one),
        )
        for split, one in judged.items()
    ]


def _last_columns(one: SplitScore) -> tuple[str, ...]:
    if one.boxes is None:
        return (f"{figure(one.pck)} ± {figure(one.over.pck)}",)
    boxes = one.boxes
    return f"{figure(boxes.ap)} ± {figure(one.over.box_ap)}", figure(boxes.ap50), f"{figure(boxes.recall50)} %"


def show(sample: PairSample, shown: list[PairSample]) -> None:
    """Keep a shot to look at: one of each of the first scenes with people, of another split each time if it can be."""
    if not any(person.labelled for person in sample.people):
        return
    scenes = [scene_of(one.name) for one in shown]
    if scene_of(sample.name) in scenes[-1:]:
        if sample.split == ("LL-N", "LL-H", "LL-E")[(len(shown) - 1) % 3]:
            shown[-1] = sample
    elif len(shown) < SHOWN and scene_of(sample.name) not in scenes:
        shown.append(sample)


def poses_sheet(shown: Sequence[PairSample], poses: Poses, enhancer: Enhancer | None = None) -> Picture:
    """A row a shot: well-lit, then low-light lifted or enhanced; true poses white, found ones in colour."""
    lines = []
    for sample in shown:
        truth = poses.truth["WL"][sample.name]
        low = enhancer.enhance(sample.low_light) if enhancer else lifted(sample.low_light)
        how = f"after {enhancer.name}" if enhancer else "channels scaled to mean 0.4"
        tiles = []
        for split, seen, words in (
            ("WL", sample.well_lit, "well-lit"),
            ("LL-A", low, f"{sample.split}, {how}"),
        ):
            tile = draw_poses(seen, truth, poses.found[split][sample.name], zoom=2)
            caption(tile, f"{words}   white: true, orange: left, blue: right")
            tiles.append(tile)
        lines.append(np.hstack(tiles))
    return stacked(lines)


def write_report(folder: Path, name: str, judged: Mapping[str, SplitScore], sheet: Picture) -> Path:
    """`scores.json`, `poses.jpg` and `report.html` into a folder; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {split: one.record() for split, one in judged.items()}
    write_atomically(folder / "scores.json", json.dumps(record, indent=1, allow_nan=False).encode())
    coded = jpeg(sheet)
    write_atomically(folder / "poses.jpg", coded)
    blocks = [
        html_report.table(headings(judged), rows(judged)),
        html_report.text("", ERRORS),
        html_report.picture(
            coded, "true poses white; found ones orange on the left of the body, blue on the right", "jpeg"
        ),
        html_report.text("", "Protocol of every score"),
        html_report.verbatim(json.dumps(next(iter(record.values()))["protocol"])),
    ]
    write_atomically(folder / "report.html", html_report.page(f"Poses found by {name}", blocks))
    return folder / "report.html"


def counted(score: Score) -> str:
    """Which joints a score counts, where they are not all: "; 12 of 14 joints (no head, neck)"."""
    absent = [joint for joint in JOINTS if joint not in score.protocol.joints]
    return f"; {len(score.protocol.joints)} of {len(JOINTS)} joints (no {', '.join(absent)})" if absent else ""


def score_table(title: str, judged: Mapping[str, SplitScore]) -> Table:
    """The table's lines, for a terminal."""
    return terminal_table(f"{title}; {ERRORS}", headings(judged), rows(judged))
