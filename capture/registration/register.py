"""Registration of a session: one map for all its pairs, from coarse to fine, by weighted least squares.

At each scale the low-light pixels d are compared with what the curve E[low | well]
(`capture.registration.tone_transfer`) expects of the well-lit light they see; with residual r = d − E(b(W(x))),
gradient g and inverse variance w the step solves

    (Σ w JᵀggᵀJ + prior) δθ = Σ w Jᵀg r − prior·θ

over all pixels of all pairs: pairs of a session are summed. Residuals beyond `CLIP` σ are cut (Huber).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from capture.registration import coarse, geometry, kernels, tone_transfer
from capture.registration.geometry import Alignment
from capture.registration.observation import Level, Observation
from isp_sim.parallel_rows import in_rows

CLIP = 4.0
SCALES = ((8, 12), (4, 8), (2, 8), (1, 6))
"""(step, most iterations)."""
DONE_PX = 0.05
"""A scale is done when a step moves no corner by more than this share of its pixel."""
LAST_PX = 0.005
"""The same at full size."""
ECHO = (0.1, 2.0)
"""Steps are lengthened tenfold and halved at most."""
BLUR_PX = 0.7
"""σ of the blur of the well-lit arm at full size, against its noise: without it half-way points between pixels, where
interpolation averages the noise away, would look like the better match."""


@dataclass(frozen=True)
class Fit:
    """What registration found.

    Attributes:
        alignment: the map.
        covariance: of its free parameters, px²; from the scatter of the cells' own equations, so noise that
            is correlated between neighbouring pixels is in it.
        converged: the last step was small.
        iterations: at each scale, (step, iterations).
        last_step_px: the largest move of a corner in the last iteration.
        coarse_height: of the correlation's peak, σ.
    """

    alignment: Alignment
    covariance: Float64[np.ndarray, "free free"]
    converged: bool
    iterations: tuple[tuple[int, int], ...]
    last_step_px: float
    coarse_height: float

    def corner_sigma_px(self, height: int, width: int) -> float:
        """Expected RMS error of the four corners, px."""
        j = geometry.jacobian(self.alignment, geometry.corners(height, width), len(self.covariance))
        return float(np.sqrt(np.mean(np.einsum("nij,jk,nik->n", j, self.covariance, j))))


@dataclass(frozen=True)
class Cells:
    """The normal equations of every cell of a pair at one scale, and where the cells' centres lie."""

    sums: Float64[np.ndarray, "n 7"]
    centres: Float64[np.ndarray, "n 2"]


def sample(level: Level, alignment: Alignment) -> tone_transfer.Sampled:
    """The well-lit plane at every low-light pixel."""
    seen = tone_transfer.Sampled(*(np.empty(level.dark.shape, np.float32) for _ in range(3)))
    numbers = (*alignment.distortion, alignment.radius**2)
    matrix = tuple(alignment.centred().ravel())
    in_rows(
        kernels.sample, len(level.dark), level.bright, level.channel, level.step, level.origin, matrix, *numbers, *seen
    )
    return seen


def cells(level: Level, alignment: Alignment) -> Cells:
    """A pair's normal equations at an alignment."""
    seen = sample(level, alignment)
    curve = tone_transfer.measure(level, seen)
    height, width = level.dark.shape
    shape = (-(-height // kernels.CELL), -(-width // kernels.CELL))
    sums = np.empty((*shape, 7))
    in_rows(kernels.accumulate, shape[0], *seen, level.dark, level.channel, *curve, CLIP, sums)
    y, x = ((np.arange(n) + 0.5) * kernels.CELL - 0.5 for n in shape)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) * level.step + level.origin
    flat = sums.reshape(-1, 7)
    used = flat[:, 6] > 0
    return Cells(flat[used], grid[used])


@dataclass(frozen=True)
class Equations:
    """The normal equations of all pairs together.

    Attributes:
        normal: Σ w JᵀggᵀJ.
        pull: Σ w Jᵀg r.
        scatter: Σ over cells of their pull's outer product: the variance of `pull`.
    """

    normal: Float64[np.ndarray, "free free"]
    pull: Float64[np.ndarray, " free"]
    scatter: Float64[np.ndarray, "free free"]


def equations(parts: Sequence[Cells], alignment: Alignment, free: int) -> Equations:
    """Sum the cells of every pair over the parameters of the map."""
    sums, centres = (np.concatenate([getattr(part, name) for part in parts]) for name in ("sums", "centres"))
    j = geometry.jacobian(alignment, centres, free)
    g = np.stack([sums[:, 0], sums[:, 1], sums[:, 1], sums[:, 2]], axis=-1).reshape(-1, 2, 2)
    score = np.einsum("nij,ni->nj", j, sums[:, 3:5])
    return Equations(np.einsum("nij,nik,nkl->jl", j, g, j, optimize=True), score.sum(axis=0), score.T @ score)


def register(
    observations: Sequence[Observation],
    free: int = geometry.HOMOGRAPHY,
    scales: Sequence[tuple[int, int]] = SCALES,
    begin: Alignment | None = None,
) -> Fit:
    """One map for pairs that share it.

    Args:
        observations: pairs of a session, the best one first; it alone gives the first shift.
        free: `geometry.HOMOGRAPHY`, or `geometry.DISTORTED`.
        scales: (step, most iterations), coarse to fine.
        begin: where to begin; None: at the shift a correlation finds.

    Raises:
        ValueError: the arms see hardly anything in common.
    """
    begun = coarse.step_for(observations[0].size)
    peak = coarse.correlate(observations[0].level(begun))
    state = _State(begin or geometry.start(peak.shift, *observations[0].size), free)
    history = []
    for scale, most in ((scale, most) for scale, most in scales if scale <= begun):
        blur_px = BLUR_PX if scale == 1 else 0.0
        levels = [blurred(observation.level(scale), blur_px) for observation in observations]
        limit = DONE_PX * scale if scale > 1 else LAST_PX
        taken = 0
        while taken < most and (taken == 0 or state.moved_px > limit):
            state.advance(equations([cells(level, state.alignment) for level in levels], state.alignment, free), scale)
            taken += 1
        state.forget()
        history.append((scale, taken))
    converged = state.moved_px < 10 * limit
    return Fit(state.alignment, state.covariance, converged, tuple(history), state.moved_px, peak.height)


class _State:
    """State of the iteration.

    Noise in the well-lit arm adds gradients that are not the scene's, so the normal matrix is too large and the
    steps are too short; the blur against that noise (`BLUR_PX`) takes gradient away, and they are too long. Both by the
    share `echo` of it that a move was seen to answer for:
    `echo = −δᵀ(pull after − pull before) / δᵀ·normal·δ`.
    """

    def __init__(self, alignment: Alignment, free: int) -> None:
        self.alignment, self.known = alignment, np.diag(geometry.prior(alignment.radius, free))
        self.free, self.moved_px, self.echo = free, math.inf, 1.0
        self.covariance = np.zeros((free, free))
        self.forget()

    def forget(self) -> None:
        """Another scale: the equations before are no longer comparable."""
        self._before: tuple[Equations, np.ndarray] | None = None

    def advance(self, now: Equations, scale: int) -> None:
        """One step."""
        if self._before is not None:
            before, delta = self._before
            answered = float(-delta @ (now.pull - before.pull)) / float(delta @ before.normal @ delta)
            self.echo = float(np.clip(answered, *ECHO))
        theta = self.alignment.theta.copy()
        inverse = np.linalg.inv(self.echo * now.normal + self.known)
        delta = inverse @ (now.pull - self.known @ theta[: self.free])
        self.covariance = inverse @ (now.scatter + self.known) @ inverse
        self.moved_px = self._largest_move(delta)
        delta *= min(1.0, 2 * scale / max(self.moved_px, 1e-12))
        theta[: self.free] += delta
        self.alignment = Alignment(theta, self.alignment.radius)
        self._before = now, delta

    def _largest_move(self, delta: np.ndarray) -> float:
        """How far a step moves a point at the corners of a square in the circle of radius R, px."""
        side = self.alignment.radius / math.sqrt(2)
        points = side * np.array([(-1.0, -1), (1, -1), (-1, 1), (1, 1)])
        return float(np.linalg.norm(geometry.jacobian(self.alignment, points, self.free) @ delta, axis=-1).max())


def blurred(level: Level, blur_px: float) -> Level:
    """The well-lit planes blurred; what is saturated spreads with the kernel."""
    if not blur_px:
        return level
    planes = np.stack([cv2.GaussianBlur(plane, (0, 0), blur_px) for plane in level.bright])
    return level._replace(bright=planes)
