"""The bilateral filter's loops for the CPU: one row at a time, one neighbour at a time, vectorised along the row.

Planes are the image's channels, `(batch · channels, height, width)`, float32 or float64. Every pixel adds up its
neighbours in the same order wherever it lies, so a region with its halo gives the whole image's bits.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

import isp_sim.streams  # noqa: F401  names numba's cache after all kernel sources
from isp_sim.parallel_rows import in_rows

Planes = NDArray[np.floating]

LOG2_E = 1.4426950408889634

# 2^f on −½ … ½: interpolation in Chebyshev's nodes, relative error 8·10⁻⁸.
_C0, _C1, _C2, _C3, _C4, _C5 = (
    np.float32(c) for c in (1.00000008, 0.69314719, 0.24022107, 0.05550357, 0.00967603, 0.00133909)
)
_ROUND = np.float32(1.5 * 2**23)  # adding it leaves the nearest whole number in a float's low bits
_LOWEST = np.float32(-126.0)  # below lie no normal floats


def exp2(t: float) -> float:
    """2^t for t ≤ 0; in float32 a polynomial, 10⁻⁷ relative, never below 2⁻¹²⁶."""
    return float(2.0**t)


@overload(exp2, inline="always")
def _exp2(t):  # type: ignore[no-untyped-def]
    if t != types.float32:
        return lambda t: math.exp(t * 0.6931471805599453)

    def polynomial(t):  # type: ignore[no-untyped-def]
        t = max(t, _LOWEST)
        whole = t + _ROUND
        f = t - (whole - _ROUND)
        mantissa = ((((_C5 * f + _C4) * f + _C3) * f + _C2) * f + _C1) * f + _C0
        exponent = np.int32(np.float32(whole).view(np.int32) << np.int32(23))
        return np.int32(np.float32(mantissa).view(np.int32) + exponent).view(np.float32)

    return polynomial


class Falloff(NamedTuple):
    """How weights fall, one number a plane: `w = 2^−(space·|d|² + range·δ²)`, `log2(e)/(2σ²)` each; `1/σr²`."""

    space: Planes
    range: Planes
    precision: Planes


def falloff(sigma_space: Planes, sigma_range: Planes) -> Falloff:
    """The weights' constants, computed in float64."""
    space, range_ = (sigma.reshape(-1).astype(np.float64) for sigma in (sigma_space, sigma_range))
    kind = sigma_space.dtype
    constants = (LOG2_E / 2 / space**2, LOG2_E / 2 / range_**2, 1 / range_**2)
    return Falloff(*(constant.astype(kind) for constant in constants))


def forward(image: Planes, law: Falloff, window: int) -> tuple[Planes, Planes]:
    """Filtered planes O and the sums of weights W."""
    out, weight = np.empty_like(image), np.empty_like(image)
    planes, height, _ = image.shape
    in_rows(_forward_rows, planes * height, image, law.space, law.range, window // 2, out, weight)
    return out, weight


def backward(
    h: Planes, image: Planes, out: Planes, law: Falloff, window: int
) -> tuple[Planes, NDArray[np.float64], NDArray[np.float64]]:
    """Gradient of the image, and for each plane Σ h w (f−O) |d|² and Σ h w (f−O) δ²; h is gradient / W."""
    gradient = np.empty_like(image)
    planes, height, _ = image.shape
    sums = np.empty((2, planes, height))
    constants = (law.space, law.range, law.precision)
    in_rows(_backward_rows, planes * height, h, image, out, *constants, window // 2, gradient, sums)
    return gradient, sums[0].sum(axis=1), sums[1].sum(axis=1)


@numba.njit(fastmath={"contract"})
def _add_neighbour(there, here, nearness, slope, total, weight):  # type: ignore[no-untyped-def]
    for x in range(there.shape[0]):
        delta = there[x] - here[x]
        w = exp2(nearness - slope * delta * delta)
        weight[x] += w
        total[x] += w * there[x]


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _forward_rows(first, last, image, space, slope, reach, out, weight):  # type: ignore[no-untyped-def]
    _, height, width = image.shape
    total = np.empty(width, image.dtype)
    for row in range(first, last):
        plane, y = row // height, row % height
        here, weights = image[plane, y], weight[plane, y]
        total[:] = here
        weights[:] = 1
        for other in range(max(y - reach, 0), min(y + reach + 1, height)):
            there = image[plane, other]
            for dx in range(max(-reach, 1 - width), min(reach, width - 1) + 1):
                if dx == 0 and other == y:
                    continue
                start, stop = max(0, -dx), min(width, width - dx)
                nearness = -space[plane] * image.dtype.type(dx * dx + (other - y) ** 2)
                _add_neighbour(
                    there[start + dx : stop + dx],
                    here[start:stop],
                    nearness,
                    slope[plane],
                    total[start:stop],
                    weights[start:stop],
                )
        for x in range(width):
            out[plane, y, x] = total[x] / weights[x]


@numba.njit(fastmath={"contract"})
def _add_neighbours_gradient(  # type: ignore[no-untyped-def]
    there,
    h_there,
    out_there,
    here,
    h_here,
    out_here,
    nearness,
    slope,
    precision,
    distance2,
    gradient,
    by_space,
    by_range,
):
    for x in range(there.shape[0]):
        delta = there[x] - here[x]
        w = exp2(nearness - slope * delta * delta)
        own = w * h_here[x] * (there[x] - out_here[x])
        theirs = w * h_there[x]
        gradient[x] += theirs + delta * precision * (theirs * (here[x] - out_there[x]) + own)
        by_space[x] += own * distance2
        by_range[x] += own * delta * delta


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _backward_rows(  # type: ignore[no-untyped-def]
    first, last, h, image, out, space, slope, precision, reach, gradient, sums
):
    _, height, width = image.shape
    by_space, by_range = np.empty(width, image.dtype), np.empty(width, image.dtype)
    for row in range(first, last):
        plane, y = row // height, row % height
        gradient[plane, y] = h[plane, y]
        by_space[:] = 0
        by_range[:] = 0
        for other in range(max(y - reach, 0), min(y + reach + 1, height)):
            for dx in range(max(-reach, 1 - width), min(reach, width - 1) + 1):
                if dx == 0 and other == y:
                    continue
                start, stop = max(0, -dx), min(width, width - dx)
                distance2 = image.dtype.type(dx * dx + (other - y) ** 2)
                _add_neighbours_gradient(
                    image[plane, other, start + dx : stop + dx],
                    h[plane, other, start + dx : stop + dx],
                    out[plane, other, start + dx : stop + dx],
                    image[plane, y, start:stop],
                    h[plane, y, start:stop],
                    out[plane, y, start:stop],
                    -space[plane] * distance2,
                    slope[plane],
                    precision[plane],
                    distance2,
                    gradient[plane, y, start:stop],
                    by_space[start:stop],
                    by_range[start:stop],
                )
        sums[0, plane, y] = by_space.astype(np.float64).sum()
        sums[1, plane, y] = by_range.astype(np.float64).sum()
