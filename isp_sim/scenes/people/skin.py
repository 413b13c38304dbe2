"""Skin and cloth as one surface: where solids of a person meet, their normals are mixed so that no crease shows."""

import numba
import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.intersect import INSTANCE, JOINED, JOINTS_MOST, KIND, Solids, normal, to_own
from isp_sim.scenes.people.shapes import CONE
from isp_sim.scenes.people.textures import SIZE

JOIN_M = 0.045
"""Solids that grow together are smoothed so far from where they meet."""


def joined(s: Solids, low: Float64[np.ndarray, "n 3"], high: Float64[np.ndarray, "n 3"]) -> Solids:
    """Note for each ball and cone of a person which others of the same colour it touches: skin or cloth is one
    surface there, and `skin_normal` smooths it.
    """
    for person in range(1, int(s[: len(low), INSTANCE].max(initial=0)) + 1):
        own = np.flatnonzero((s[: len(low), INSTANCE] == person) & (s[: len(low), KIND] <= CONE))
        colour = s[own, m.RED : m.BLUE + 1]
        touch = (low[own][:, None] < high[own][None]).all(axis=2)
        touch &= touch.T & (colour[:, None] == colour[None]).all(axis=2) & ~np.eye(len(own), dtype=bool)
        for k, others in zip(own, touch, strict=True):
            found = own[others][:JOINTS_MOST]
            s[k, JOINED : JOINED + len(found)] = found
    return s


@numba.njit(nogil=True, error_model="numpy")
def height_over(s, k, px, py, pz):  # type: ignore[no-untyped-def]
    """About how far a world point lies over ball or cone k, m, and how thick that is."""
    x, y, z = to_own(s, k, px, py, pz, 1.0)
    if s[k, KIND] == CONE:
        h, a, b = s[k, SIZE], s[k, SIZE + 1], s[k, SIZE + 2]
        slope = (a - b) / h
        rise = np.sqrt(max(1.0 - slope * slope, 0.0))
        r = np.sqrt(x * x + z * z)
        along = y * rise - r * slope  # the foot of the perpendicular, along the side
        if along < 0.0:
            return np.sqrt(r * r + y * y) - a, a
        if along > h * rise:
            return np.sqrt(r * r + (y - h) * (y - h)) - b, b
        return r * rise + y * slope - a, 0.5 * (a + b)
    u, v, w = x / s[k, SIZE], y / s[k, SIZE + 1], z / s[k, SIZE + 2]
    out = np.sqrt(x * x + y * y + z * z)
    thick = min(s[k, SIZE], s[k, SIZE + 1], s[k, SIZE + 2])
    return out * (out - 1.0) / max(np.sqrt(u * u + v * v + w * w), 1e-9), thick


@numba.njit(nogil=True, error_model="numpy")
def skin_normal(s, k, px, py, pz, nx, ny, nz):  # type: ignore[no-untyped-def]
    """The normal of solid k at a point of it, mixed with those of the solids it grows together with, the nearer the
    more: where two meet both count alike, so that no crease shows.
    """
    _, thick = height_over(s, k, px, py, pz)
    for i in range(JOINED, JOINED + JOINTS_MOST):
        j = int(s[k, i])
        if j < 0:
            break
        gap, other = height_over(s, j, px, py, pz)
        reach = min(JOIN_M, 0.8 * min(thick, other))
        if gap < reach:
            weight = min(1.0 - gap / reach, 1.0) ** 2
            mx, my, mz, _, _, _ = normal(s, j, px, py, pz)
            nx, ny, nz = nx + weight * mx, ny + weight * my, nz + weight * mz
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length
