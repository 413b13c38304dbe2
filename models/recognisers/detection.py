"""What a pose network, and a detector before it, found of one person."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from isp_sim.scenes import JOINTS


class Box(NamedTuple):
    """A person somewhere in a picture.

    Attributes:
        bbox: (x, y, width, height), picture px.
        score: 0 … 1.
    """

    bbox: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Detection:
    """One estimated pose.

    Attributes:
        keypoints: x, y in picture px and score of each of `JOINTS`; x and y are NaN for a joint the network lacks.
        score: of the pose.
        found_in: the detected box it was found in; None for a true box.
    """

    keypoints: tuple[tuple[float, float, float], ...]
    score: float
    found_in: Box | None = None

    @staticmethod
    def of(places: Float[np.ndarray, "joints 2"], peaks: Float[np.ndarray, " joints"]) -> "Detection":
        """From x and y of each joint and its heatmap's peak; the pose's score is the peaks' mean."""
        joints = zip(places, peaks, strict=True)
        return Detection(tuple((float(x), float(y), float(peak)) for (x, y), peak in joints), float(peaks.mean()))

    @staticmethod
    def nowhere(box: Box) -> "Detection":
        """A detected box of whom no joint is known."""
        return Detection(((float("nan"), float("nan"), 0.0),) * len(JOINTS), box.score, box)
