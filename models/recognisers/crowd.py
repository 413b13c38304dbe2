"""Poses of a crowd: boxes from a detector or from labels, then a frozen pose network on each of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from isp_sim.scenes import Person
from models.data.normalisation import Picture
from models.recognisers.detection import Box, Detection
from models.recognisers.inference import detect, detect_in
from models.recognisers.person_detector import PersonDetector
from models.recognisers.recogniser import Recogniser


def poses(
    recogniser: Recogniser,
    picture: Picture,
    people: Sequence[Person],
    lighting: int,
    flip: str,
    detector: PersonDetector | None = None,
) -> list[Detection]:
    """Poses in an 8-bit picture; see `poses_in`.

    Args:
        recogniser: frozen.
        picture: uint8 `(height, width, 3)`, R first; both networks see it, each normalised as it wants.
        people: whose boxes are true; not used with a detector.
        lighting: how the picture is normalised, and which norms are used.
        flip: see `models.recognisers.inference.heatmaps`.
        detector: frozen; None takes the true boxes.
    """
    if detector is None:
        return detect(recogniser, picture, people, lighting, flip)
    boxes = detector.find(picture, lighting)
    return _found_in(boxes, detect(recogniser, picture, _somebody(boxes), lighting, flip))


def poses_in(
    recogniser: Recogniser,
    image: np.ndarray,
    people: Sequence[Person],
    lighting: int,
    flip: str,
    detector: PersonDetector | None = None,
) -> list[Detection]:
    """Poses in what an ISP made; in a detected box a pose's score is multiplied by the box's.

    Args:
        recogniser: frozen.
        image: float32 `(height, width, 3)`, normalised; both networks see it.
        people: whose boxes are true; not used with a detector.
        lighting: which norms are used.
        flip: see `models.recognisers.inference.heatmaps`.
        detector: frozen; None takes the true boxes.
    """
    if detector is None:
        return detect_in(recogniser, [image], people, lighting, flip)
    boxes = detector.find_in(image)
    return _found_in(boxes, detect_in(recogniser, [image], _somebody(boxes), lighting, flip))


def _somebody(boxes: Sequence[Box]) -> list[Person]:
    """People of whom nothing is known but a box."""
    return [Person((), box.bbox) for box in boxes]


def _found_in(boxes: Sequence[Box], found: Sequence[Detection]) -> list[Detection]:
    return [replace(pose, score=pose.score * box.score, found_in=box) for box, pose in zip(boxes, found, strict=True)]
