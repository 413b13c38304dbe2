"""Sums over many points: shapes mixed, pieces on a body, linear blend skinning, normals.

Plain loops, not a matrix library's: the same bytes on every machine.
"""

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32

Points = Float32[np.ndarray, "n 3"]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def mixed(base: Points, moves: Int16[np.ndarray, "k n 3"], shares: Float32[np.ndarray, " k"]) -> Points:
    """`base + sum_k shares_k moves_k`."""
    out = base.copy()
    for k in range(len(shares)):
        for i in range(len(out)):
            for c in range(3):
                out[i, c] += shares[k] * np.float32(moves[k, i, c])
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def held(points: Points, corner: Int32[np.ndarray, "n 3"], weight: Points, offset: Points) -> Points:
    """`sum_k weight_k points[corner_k] + offset` for every point."""
    out = offset.copy()
    for i in range(len(out)):
        for k in range(3):
            for c in range(3):
                out[i, c] += weight[i, k] * points[corner[i, k], c]
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def skinned(rest: Points, weights: Float32[np.ndarray, "n bones"], moves: Float64[np.ndarray, "bones 3 4"]) -> Points:
    """Linear blend skinning: `x_i = sum_b w_ib (A_b r_i + t_b)`, with `moves` = (A, t), m."""
    out = np.empty_like(rest)
    for i in range(len(rest)):
        x, y, z = 0.0, 0.0, 0.0
        p, q, r = rest[i]
        for b in range(len(moves)):
            w = weights[i, b]
            if w != 0:
                m = moves[b]
                x += w * (m[0, 0] * p + m[0, 1] * q + m[0, 2] * r + m[0, 3])
                y += w * (m[1, 0] * p + m[1, 1] * q + m[1, 2] * r + m[1, 3])
                z += w * (m[2, 0] * p + m[2, 1] * q + m[2, 2] * r + m[2, 3])
        out[i, 0], out[i, 1], out[i, 2] = x, y, z
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def smooth_normals(vertices: Points, triangles: Int32[np.ndarray, "m 3"]) -> Points:
    """Unit normals of vertices: the sum of their triangles' area vectors `(v1 − v0) × (v2 − v0) / 2`; up where that is
    zero.
    """
    total = np.zeros((len(vertices), 3))
    for t in range(len(triangles)):
        i, j, k = triangles[t]
        ux, uy, uz = vertices[j] - vertices[i]
        vx, vy, vz = vertices[k] - vertices[i]
        for corner in (i, j, k):
            total[corner, 0] += uy * vz - uz * vy
            total[corner, 1] += uz * vx - ux * vz
            total[corner, 2] += ux * vy - uy * vx
    out = np.empty_like(vertices)
    for i in range(len(out)):
        x, y, z = total[i]
        size = np.sqrt(x * x + y * y + z * z)
        if size == 0:
            x, y, z, size = 0.0, 1.0, 0.0, 1.0
        out[i, 0], out[i, 1], out[i, 2] = x / size, y / size, z / size
    return out
