"""Linear blend skinning and smooth normals."""

import numpy as np
from jaxtyping import Float32, Float64, Int32


def smooth_normals(
    vertices: Float32[np.ndarray, "n 3"], triangles: Int32[np.ndarray, "m 3"]
) -> Float32[np.ndarray, "n 3"]:
    """Unit normals of vertices: the sum of their triangles' area vectors `(v1 − v0) × (v2 − v0) / 2`."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    u, v = b - a, c - a
    area = np.stack([u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1], u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2],
                     u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]])  # fmt: skip
    corners = triangles.ravel(order="F")
    total = np.stack([np.bincount(corners, np.tile(part, 3), len(vertices)) for part in area], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-20), vertices.dtype)


def skinned(
    rest: Float32[np.ndarray, "n 3"], weights: Float32[np.ndarray, "n bones"], moves: Float64[np.ndarray, "bones 3 4"]
) -> Float32[np.ndarray, "n 3"]:
    """Linear blend skinning: `x_i = sum_b w_ib (A_b r_i + t_b)`, with `moves` = (A, t), m."""
    blended = (weights @ moves.reshape(len(moves), 12).astype(np.float32)).reshape(-1, 3, 4)
    return np.asarray(np.einsum("nij,nj->ni", blended[:, :, :3], rest) + blended[:, :, 3])
