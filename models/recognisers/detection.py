"""What a pose network found of one person."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Detection:
    """One estimated pose.

    Attributes:
        keypoints: x, y in picture px and score of each of `JOINTS`; x and y are NaN for a joint the network lacks.
        score: of the pose.
    """

    keypoints: tuple[tuple[float, float, float], ...]
    score: float

    @staticmethod
    def of(places: Float[np.ndarray, "joints 2"], peaks: Float[np.ndarray, " joints"]) -> "Detection":
        """From x and y of each joint and its heatmap's peak; the pose's score is the peaks' mean."""
        joints = zip(places, peaks, strict=True)
        return Detection(tuple((float(x), float(y), float(peak)) for (x, y), peak in joints), float(peaks.mean()))
