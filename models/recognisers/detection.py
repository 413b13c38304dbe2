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
    def of(joints: Float[np.ndarray, "joints 3"]) -> "Detection":
        """From x, y and the heatmap's peak of each joint; its score is the peaks' mean."""
        return Detection(tuple((float(x), float(y), float(s)) for x, y, s in joints), float(joints[:, 2].mean()))
