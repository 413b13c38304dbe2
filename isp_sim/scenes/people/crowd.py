"""How many people there are, how large they are in the picture, and how many joints are seen: ExLPose's figures.

Source of every table: `ExLPose_test_LL-All.json`, 491 pictures, 2,810 people (Lee et al., CVPR 2023). Shares of
the picture's height, so that they hold at any resolution.
"""

import numpy as np
from jaxtyping import Float64
from scipy.special import ndtr

PEOPLE = (48, 68, 55, 73, 28, 30, 28, 43, 36, 30, 19, 10, 8, 5, 1, 1, 3, 1, 1, 1, 1, 1)
"""Pictures with 1, 2, … people."""

BOX_HEIGHT = {
    3: (
        0.036, 0.171, 0.256, 0.309, 0.362, 0.413, 0.481, 0.511, 0.537,
        0.601, 0.669, 0.720, 0.775, 0.827, 0.878, 0.914, 0.995,
    ),
    7: (
        0.017, 0.068, 0.098, 0.129, 0.158, 0.198, 0.240, 0.284, 0.308,
        0.335, 0.360, 0.398, 0.436, 0.500, 0.618, 0.760, 0.999,
    ),
    99: (
        0.015, 0.074, 0.093, 0.115, 0.143, 0.170, 0.196, 0.220, 0.257,
        0.282, 0.305, 0.333, 0.373, 0.453, 0.548, 0.711, 0.995,
    ),
}  # fmt: skip
"""17 even quantiles of box height over picture height in pictures of up to 3, up to 7 and more people."""

SAME_PICTURE = 0.17
"""Correlation (of normal scores) between the boxes of one picture, 4 people and more; 0.01 below."""

VISIBLE = (
    (0.158, (19, 10, 42, 18, 42, 29, 52, 26, 43, 22, 39, 34, 77, 64, 180)),
    (0.292, (2, 1, 11, 5, 11, 12, 19, 17, 26, 27, 49, 41, 104, 84, 300)),
    (0.463, (0, 0, 1, 2, 7, 7, 5, 6, 14, 11, 28, 37, 105, 82, 397)),
    (9.0, (0, 1, 0, 3, 1, 6, 16, 8, 11, 11, 23, 36, 75, 66, 445)),
)
"""People with 0, 1, … 14 labelled joints, for boxes lower than the first number (the quarters of all boxes)."""

GOLDEN = 0.6180339887498949


def people_in(scene: int, shift: float) -> int:
    """How many people scene n has: `PEOPLE`'s quantile at `frac(shift + n·golden ratio)`, so that any stretch of
    scenes has the right shares.
    """
    share = (shift + scene * GOLDEN) % 1.0
    steps = np.cumsum(PEOPLE) / sum(PEOPLE)
    return int(np.searchsorted(steps, share, side="right")) + 1


def box_heights(count: int, stream: np.random.Generator) -> Float64[np.ndarray, " count"]:
    """Box heights over picture height, the largest (nearest) first."""
    table = next(quantiles for most, quantiles in BOX_HEIGHT.items() if count <= most)
    together = SAME_PICTURE if count > 3 else 0.0
    score = np.sqrt(together) * stream.normal() + np.sqrt(1 - together) * stream.normal(size=count)
    heights = np.interp(ndtr(score), np.linspace(0, 1, len(table)), table)
    return np.sort(heights)[::-1]


def visible_joints(height: float, stream: np.random.Generator) -> int:
    """How many of the 14 joints of a person with such a box are to be seen."""
    counts = next(counts for limit, counts in VISIBLE if height < limit)
    return int(stream.choice(len(counts), p=np.array(counts) / sum(counts)))


def distance(first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " m"]) -> float:
    """Two-sample Kolmogorov-Smirnov distance: `max |F1 − F2|`."""
    grid = np.concatenate((first, second))
    steps = [np.searchsorted(np.sort(sample), grid, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(steps[0] - steps[1]).max())
