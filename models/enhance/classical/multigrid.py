"""The smoothing system of a picture, `(m + Σ_d D_dᵀ diag(w_d) D_d)·t = b`, by preconditioned conjugate gradients.

Its weights span six decades in a dark picture, so plain conjugate gradients take thousands of steps. The
preconditioner is one multigrid cycle: 2×2 pixels become one, whose mass and whose weights to its neighbours are the
sums of theirs (Braess, *Towards algebraic multigrid for elliptic problems of second order*, Computing 55, 1995); damped
Jacobi before and after, so that the cycle is symmetric.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.sparse.linalg import LinearOperator, cg

SWEEPS, DAMPING = 2, 0.7
COARSEST_SIDE, COARSEST_SWEEPS = 4, 20
TOLERANCE = 1e-4
"""Of the residual, relative to the right-hand side."""
MAX_STEPS = 1000
EASY = 0.5
"""Weights up to this share of the mass: condition 1 + 8·½ at most, and conjugate gradients need no preconditioner."""

Plane = Float64[np.ndarray, "height width"]


@dataclass(frozen=True)
class Grid:
    """The system on one grid.

    Attributes:
        mass: m of each pixel, above 0.
        down: w between a pixel and the one below, 0 in the last row.
        right: the same to the right, 0 in the last column.
    """

    mass: Plane
    down: Plane
    right: Plane

    def times(self, t: Plane) -> Plane:
        """`(m + Σ_d D_dᵀ diag(w_d) D_d)·t`."""
        out: Plane = self.mass * t
        flow = self.down[:-1] * (t[1:] - t[:-1])
        out[:-1] -= flow
        out[1:] += flow
        flow = self.right[:, :-1] * (t[:, 1:] - t[:, :-1])
        out[:, :-1] -= flow
        out[:, 1:] += flow
        return out

    def diagonal(self) -> Plane:
        """What each pixel's own t is multiplied by."""
        centre: Plane = self.mass + self.down + self.right
        centre[1:] += self.down[:-1]
        centre[:, 1:] += self.right[:, :-1]
        return centre

    def coarser(self) -> "Grid":
        """2×2 pixels as one."""
        mass, down, right = (_even(plane) for plane in (self.mass, self.down, self.right))
        return Grid(_sum_2x2(mass), down[1::2, ::2] + down[1::2, 1::2], right[::2, 1::2] + right[1::2, 1::2])


def solve(grid: Grid, target: Plane, start: Plane) -> Plane:
    """The t for which `grid.times(t)` is the target.

    Args:
        grid: the system.
        target: the right-hand side.
        start: where the search begins.

    Raises:
        ArithmeticError: it has not settled after `MAX_STEPS`.
    """
    easy = max(grid.down.max(), grid.right.max()) <= EASY * grid.mass.min()
    grids = [grid]
    while not easy and min(grids[-1].mass.shape) > COARSEST_SIDE:
        grids.append(grids[-1].coarser())
    known = [(one, one.diagonal()) for one in grids]
    size, shape = (target.size, target.size), target.shape
    matrix = LinearOperator(size, matvec=lambda t: grid.times(t.reshape(shape)).ravel(), dtype=np.float64)
    guess = LinearOperator(size, matvec=lambda r: _cycle(known, r.reshape(shape)).ravel(), dtype=np.float64)
    found, failed = cg(
        matrix, target.ravel(), start.ravel(), rtol=TOLERANCE, maxiter=MAX_STEPS, M=None if easy else guess
    )
    if failed:
        raise ArithmeticError(f"the smoothing system has not settled after {MAX_STEPS} steps")
    return np.asarray(found.reshape(shape))


def _cycle(grids: list[tuple[Grid, Plane]], target: Plane) -> Plane:
    """One symmetric cycle from `t = 0`, the finest grid first."""
    (grid, diagonal), coarser = grids[0], grids[1:]
    t: Plane = DAMPING * target / diagonal
    for _ in range((SWEEPS if coarser else COARSEST_SWEEPS) - 1):
        t += DAMPING * (target - grid.times(t)) / diagonal
    if not coarser:
        return t
    height, width = target.shape
    lacks = _cycle(coarser, _sum_2x2(_even(target - grid.times(t))))
    t += np.repeat(np.repeat(lacks, 2, axis=0), 2, axis=1)[:height, :width]
    for _ in range(SWEEPS):
        t += DAMPING * (target - grid.times(t)) / diagonal
    return t


def _even(plane: Plane) -> Plane:
    """A row and a column of 0 more where a side is odd."""
    return np.asarray(np.pad(plane, [(0, side % 2) for side in plane.shape]))


def _sum_2x2(plane: Plane) -> Plane:
    summed: Plane = plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]
    return summed
