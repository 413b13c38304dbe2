"""How well detected boxes meet the labels' boxes: COCO's AP and the share of people found.

`IoU = |a ∩ b| / |a ∪ b|`; AP is the mean precision over IoU thresholds .50:.05:.95 at most 20 boxes a picture, through
pycocotools' evaluator. People without a labelled joint are neither asked for nor counted as wrong.
"""

import contextlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isp_sim.scenes import Person
from models.recognisers.detection import Detection
from models.scoring.average_precision import Protocol, evaluated, labelled_in, mean_precision, or_null


@dataclass(frozen=True)
class BoxScore:
    """Scores of a detector, 0 … 100; NaN where nobody is labelled.

    Attributes:
        ap, ap50: average precision over the thresholds and at .50.
        recall50: people with a box at IoU .50 or more.
    """

    ap: float
    ap50: float
    recall50: float

    def record(self) -> dict[str, Any]:
        """As JSON, where NaN is null."""
        return {f"box_{name}": or_null(getattr(self, name)) for name in ("ap", "ap50", "recall50")}


def score_boxes(
    truth: Mapping[str, Iterable[Person]], found: Mapping[str, Iterable[Detection]], protocol: Protocol
) -> BoxScore:
    """Average precision of the boxes that poses were found in, each with the detector's own score.

    Args:
        truth: people of each picture.
        found: detections of each picture, with the boxes they were found in.
        protocol: number of detections; people are those of whom one of its joints is labelled.

    Raises:
        ValueError: detections on a picture that has no truth.
    """
    truth = {name: tuple(people) for name, people in truth.items()}
    judge = evaluated(truth, found, protocol, "bbox")
    if judge is None:
        there = any(labelled_in(one, protocol.joints) for people in truth.values() for one in people)
        return BoxScore(*[0.0 if there else float("nan")] * 3)
    with contextlib.redirect_stdout(io.StringIO()):
        judge.accumulate()
    precision, recall = judge.eval["precision"][:, :, 0, 0, 0], judge.eval["recall"][:, 0, 0, 0]
    return BoxScore(mean_precision(precision), mean_precision(precision[0]), mean_precision(recall[:1]))
