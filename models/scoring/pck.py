"""Share of joints near enough: PCK (Yang & Ramanan, *Articulated Human Detection with Flexible Mixtures of Parts*)."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from isp_sim.scenes import JOINTS, Person
from models.recognisers.detection import Detection

TORSO = tuple(
    (JOINTS.index(a), JOINTS.index(b)) for a, b in (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
)


def pck(truth: Mapping[str, Iterable[Person]], found: Mapping[str, Iterable[Detection]], share: float = 0.2) -> float:
    """`100 · #{d_j ≤ share · torso} / #labelled`, over the people whose torso is labelled; NaN where there is nobody.

    The torso is the longer of left shoulder – right hip and right shoulder – left hip.

    Args:
        truth: people of each picture.
        found: one detection for each of them, in their order; joints the network does not know are not counted.
        share: of the torso's length.

    Raises:
        ValueError: not one detection for each person.
    """
    counts = [near_and_labelled(people, found[name], share) for name, people in truth.items()]
    near, labelled = sum(n for n, _ in counts), sum(n for _, n in counts)
    return 100 * near / labelled if labelled else math.nan


def near_and_labelled(people: Iterable[Person], found: Iterable[Detection], share: float) -> tuple[int, int]:
    """Joints near enough and labelled joints of one picture, over the people whose torso is labelled; see `pck`."""
    near = labelled = 0
    for person, detection in zip(people, found, strict=True):
        joints, guess = np.array(person.keypoints), np.array(detection.keypoints)
        there = joints[:, 2] > 0
        lengths = [np.hypot(*(joints[a] - joints[b])[:2]) for a, b in TORSO if there[a] and there[b]]
        if not lengths:
            continue
        seen = there & np.isfinite(guess[:, 0])
        distance = np.hypot(*(joints - guess)[seen, :2].T)
        near += int((distance <= share * max(lengths)).sum())
        labelled += int(seen.sum())
    return near, labelled
