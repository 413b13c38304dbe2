"""Scores of a frozen recogniser over pairs: AP for each of ExLPose's splits; PCK in true boxes, a detector's own AP."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isp_sim.annotation_files import SPLITS
from isp_sim.scenes import Person
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import PairSample, scene_of
from models.recognisers.crowd import poses as poses_of
from models.recognisers.detection import Detection
from models.recognisers.person_detector import PersonDetector
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import TRUE_BOXES, Protocol, Score, or_null, score
from models.scoring.boxes import BoxScore, score_boxes
from models.scoring.over_scenes import OverScenes, over_scenes
from models.scoring.pck import near_and_labelled, pck

LOW_SPLITS = tuple(split for split in SPLITS if split.startswith("LL"))
"""The splits of low-light pictures; LL-A is all of them."""
Detector = Callable[[PairSample], list[Detection]]
"""How a shot's low-light picture becomes poses of its labelled people."""


def scaled(sample: PairSample) -> np.ndarray:
    """The low-light picture with each channel at a mean of 0.4, as Lee et al.'s networks see it."""
    return normalise(sample.low_light, "mean-0.4")


@dataclass(frozen=True)
class SplitScore:
    """Scores of one split.

    Attributes:
        score: AP.
        pck: PCK@0.2 of the torso; NaN for detected boxes, of which none belongs to one person from the start.
        over: of how many scenes and pictures they are, and their standard errors.
        boxes: of the detector; None for true boxes.
    """

    score: Score
    pck: float
    over: OverScenes
    boxes: BoxScore | None = None

    def record(self) -> dict[str, Any]:
        """As JSON, where NaN is null."""
        record = self.score.record() | {
            "pck_torso_0.2": or_null(self.pck),
            "scenes": self.over.scenes,
            "pictures": self.over.pictures,
            "ap_standard_error": or_null(self.over.ap),
            "pck_standard_error": or_null(self.over.pck),
        }
        if self.boxes:
            record |= self.boxes.record() | {"box_ap_standard_error": or_null(self.over.box_ap)}
        return record


@dataclass
class Poses:
    """Labels and detections so far, by split and picture."""

    truth: dict[str, dict[str, tuple[Person, ...]]] = field(default_factory=lambda: {s: {} for s in SPLITS})
    found: dict[str, dict[str, list[Detection]]] = field(default_factory=lambda: {s: {} for s in SPLITS})

    def add(self, split: str, name: str, people: tuple[Person, ...], detections: list[Detection]) -> None:
        """One picture."""
        self.truth[split][name], self.found[split][name] = people, detections

    def add_low_light(self, split: str, name: str, people: tuple[Person, ...], detections: list[Detection]) -> None:
        """One low-light picture, to its split and to LL-A."""
        for one in (split, "LL-A"):
            self.add(one, name, people, detections)

    def scores(self, protocol: Protocol, splits: Sequence[str] = SPLITS) -> dict[str, Score]:
        """AP of each split; NaN where it has no picture."""
        return {split: score(self.truth[split], self.found[split], protocol) for split in splits}

    def pck(self, share: float = 0.2) -> dict[str, float]:
        """PCK of each split, by the torso."""
        return {split: pck(self.truth[split], self.found[split], share) for split in SPLITS}

    def joints(self, split: str, share: float = 0.2) -> dict[str, tuple[int, int]]:
        """Of each picture of a split the joints near enough and the labelled ones, by the torso."""
        found = self.found[split]
        return {name: near_and_labelled(people, found[name], share) for name, people in self.truth[split].items()}

    def judged(self, protocol: Protocol) -> dict[str, SplitScore]:
        """Each split's scores with what they are of and their standard errors over scenes."""
        scores, detected = self.scores(protocol), protocol.boxes != TRUE_BOXES
        pck = dict.fromkeys(SPLITS, float("nan")) if detected else self.pck()
        judged = {}
        for split in SPLITS:
            truth, found = self.truth[split], self.found[split]
            boxes = score_boxes(truth, found, protocol) if detected else None
            judged[split] = SplitScore(scores[split], pck[split], over_scenes(truth, found, protocol, scene_of), boxes)
        return judged


def find_poses(
    recogniser: Recogniser,
    samples: Iterable[PairSample],
    flip: str = "right",
    low_light: Detector | None = None,
    advance: Callable[[], None] = lambda: None,
    detector: PersonDetector | None = None,
) -> Poses:
    """Detect everybody in both pictures of every shot.

    Args:
        recogniser: frozen.
        samples: shots.
        flip: see `models.recognisers.inference.heatmaps`.
        low_light: detects in the low-light picture; without it, Lee's mean of 0.4.
        advance: called after each shot.
        detector: frozen, of the boxes; None takes those of the labels.
    """
    poses = Poses()
    for sample in samples:
        people = sample.people if detector else sample.labelled
        low, well = sample.low_light, sample.well_lit
        dark = low_light(sample) if low_light else poses_of(recogniser, low, people, LOW, flip, detector)
        poses.add_low_light(sample.split, sample.name, people, dark)
        poses.add("WL", sample.name, people, poses_of(recogniser, well, people, WELL, flip, detector))
        advance()
    return poses


def find_boxes(
    detector: PersonDetector, samples: Iterable[PairSample], seen: Callable[[PairSample], np.ndarray] = scaled
) -> Poses:
    """Boxes of everybody in the low-light picture of every shot, as detections without joints, for `score_boxes`.

    Args:
        detector: frozen.
        samples: shots.
        seen: what the detector sees of a shot: float32 `(height, width, 3)`, 1 is white; by default Lee's mean of 0.4.
    """
    boxes = Poses()
    for sample in samples:
        found = [Detection.nowhere(box) for box in detector.find_in(seen(sample))]
        boxes.add_low_light(sample.split, sample.name, sample.people, found)
    return boxes


def table_row(scores: Mapping[str, Score]) -> dict[str, float]:
    """AP by split, for a log."""
    return {f"AP {split}": one.ap for split, one in scores.items()}
