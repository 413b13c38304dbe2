"""What is left between the arms after a map: over a grid of patches, and for one pair alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from capture.registration import coarse, register
from capture.registration.geometry import Alignment
from capture.registration.observation import Level, Observation

COLUMNS, ROWS = 8, 5
CHECK_STEP = 2
"""A pair is checked at half size: a pixel is a tile's sum."""
FEWEST_CELLS = 4
FAR_PX = 4.0
"""A coarse shift beyond this is a disagreement, whatever the fine residual, which reaches a few pixels only."""


@dataclass(frozen=True)
class Grid:
    """The residual at a grid of patches.

    Attributes:
        centres: of the patches about the frame's centre, px of the low-light frame.
        left: what is left there, px, low-light → well-lit; 0 where nothing can be seen.
        sigma: its standard error in x and y, px; inf where nothing can be seen.
        before: how far the arms lay apart there before the map, px.
    """

    centres: Float64[np.ndarray, "n 2"]
    left: Float64[np.ndarray, "n 2"]
    sigma: Float64[np.ndarray, "n 2"]
    before: Float64[np.ndarray, "n 2"]

    @property
    def known(self) -> np.ndarray:
        """Patches whose residual is known to a pixel."""
        return np.asarray((self.sigma < 1).all(axis=1))

    def rms_px(self, of: Float64[np.ndarray, "n 2"]) -> float:
        """RMS length over the known patches, each weighed by its certainty."""
        if not self.known.any():
            return float("nan")
        weight = 1 / (self.sigma[self.known] ** 2).sum(axis=1)
        return float(np.sqrt(np.average((of[self.known] ** 2).sum(axis=1), weights=weight)))

    @property
    def excess_px(self) -> float:
        """RMS residual beyond what its standard errors explain."""
        if not self.known.any():
            return 0.0
        beyond = (self.left[self.known] ** 2).sum(axis=1) - (self.sigma[self.known] ** 2).sum(axis=1)
        weight = 1 / (self.sigma[self.known] ** 2).sum(axis=1)
        return float(np.sqrt(max(0.0, np.average(beyond, weights=weight))))


@dataclass(frozen=True)
class Check:
    """One pair against its session's map.

    Attributes:
        left_px: residual shift.
        sigma_px: its standard error; inf: too dark to tell.
        coarse: (x, y) px of a disagreement seen at an eighth of the size, or None.
    """

    left_px: tuple[float, float]
    sigma_px: float
    coarse: tuple[float, float] | None

    @property
    def length_px(self) -> float:
        """How far off the pair is."""
        return float(np.hypot(*(self.coarse or self.left_px)))

    def agrees(self, limit_px: float) -> bool:
        """Not off by more than the limit, or not provably."""
        return self.coarse is None and self.length_px <= max(limit_px, 4 * self.sigma_px)

    def conclusive(self, limit_px: float) -> bool:
        """The pair is bright enough to be judged."""
        return self.coarse is not None or 2 * self.sigma_px <= limit_px


def grid(observations: Sequence[Observation], alignment: Alignment, step: int = CHECK_STEP) -> Grid:
    """Residuals of a session's pairs together, patch by patch."""
    parts = [register.cells(_level(o, step), alignment) for o in observations]
    sums, centres = (np.concatenate([getattr(part, name) for part in parts]) for name in ("sums", "centres"))
    height, width = observations[0].size
    sides = np.array([width / COLUMNS, height / ROWS])
    place = np.clip(((centres + np.array([width / 2, height / 2])) / sides).astype(int), 0, (COLUMNS - 1, ROWS - 1))
    patch = place[:, 1] * COLUMNS + place[:, 0]
    left, sigma = np.zeros((COLUMNS * ROWS, 2)), np.full((COLUMNS * ROWS, 2), np.inf)
    for n in range(COLUMNS * ROWS):
        left[n], sigma[n] = _shift(sums[patch == n])
    y, x = np.divmod(np.arange(COLUMNS * ROWS), COLUMNS)
    middles = (np.stack([x, y], axis=1) + 0.5) * sides - (width / 2, height / 2)
    return Grid(middles, left, sigma, alignment.displaced(middles) - middles + left)


def check(observation: Observation, alignment: Alignment, step: int = CHECK_STEP) -> Check:
    """One pair against a map: a coarse look for another map altogether, then the residual shift.

    Raises:
        ValueError: the arms see hardly anything in common under it.
    """
    level = coarse.unmasked(observation.level(coarse.step_for(observation.size)))
    peak = coarse.correlate(level._replace(bright=register.sample(level, alignment).value[None]))
    off = peak.shift if peak.height > coarse.SIGNIFICANT and float(np.hypot(*peak.shift)) > FAR_PX else None
    left, sigma = _shift(register.cells(_level(observation, step), alignment).sums)
    return Check((float(left[0]), float(left[1])), float(np.hypot(*sigma)), off)


def _level(observation: Observation, step: int) -> Level:
    return register.blurred(observation.level(step), register.BLUR_PX)


def _shift(sums: Float64[np.ndarray, "n 7"]) -> tuple[np.ndarray, np.ndarray]:
    """The shift the cells ask for and its standard error, from the scatter of their own pulls and not below what the
    pixels' variances explain: a handful of cells may agree by accident.
    """
    xx, xy, yy, x, y = sums[:, :5].sum(axis=0)
    normal = np.array([[xx, xy], [xy, yy]])
    if len(sums) < FEWEST_CELLS or np.linalg.det(normal) <= 1e-6 * np.trace(normal) ** 2:
        return np.zeros(2), np.full(2, np.inf)
    inverse = np.linalg.inv(normal)
    left = inverse @ (x, y)
    pulls = sums[:, 3:5] - np.stack([sums[:, 0:2] @ left, sums[:, 1:3] @ left], axis=1)
    variance = np.maximum(np.diag(inverse @ (pulls.T @ pulls) @ inverse), np.diag(inverse))
    return left, np.sqrt(variance)
