"""The camera, its rays, and what lies where in its picture."""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int32

TILE = 16


class Camera(NamedTuple):
    """A pinhole camera; x right, y up, z away before it is pitched (the package's one frame).

    Attributes:
        x, y, z: where it stands, m.
        pitch: radians, positive looks down.
        focal_px: focal length in pixels.
        height, width: pixels.
    """

    x: float
    y: float
    z: float
    pitch: float
    focal_px: float
    height: int
    width: int

    def project(self, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 3"]:
        """World → (x, y) in pixels, (0, 0) the middle of the first, and depth along the axis, m."""
        p = np.asarray(points) - (self.x, self.y, self.z)
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        up, depth = c * p[:, 1] + s * p[:, 2], c * p[:, 2] - s * p[:, 1]
        safe = np.maximum(depth, 1e-6)
        x = (self.width - 1) / 2 + self.focal_px * p[:, 0] / safe
        y = (self.height - 1) / 2 - self.focal_px * up / safe
        return np.column_stack((x, y, depth))


@numba.njit(nogil=True, error_model="numpy")
def direction(camera, x, y):  # type: ignore[no-untyped-def]
    """Unit direction of a pixel's ray, and the cosine of its angle to the axis."""
    u, v = (x - (camera.width - 1) / 2) / camera.focal_px, ((camera.height - 1) / 2 - y) / camera.focal_px
    c, s = np.cos(camera.pitch), np.sin(camera.pitch)
    length = np.sqrt(u * u + v * v + 1.0)
    return u / length, (c * v - s) / length, (s * v + c) / length, 1.0 / length


def tiles(
    least: Float64[np.ndarray, "n 3"], most: Float64[np.ndarray, "n 3"], camera: Camera
) -> tuple[Int32[np.ndarray, " listed"], Float64[np.ndarray, " n"], Int32[np.ndarray, " tiles"]]:
    """Which solids may be seen in which tile of 16×16 pixels.

    Returns:
        Solids' numbers tile by tile, each tile's nearest first; each solid's least distance; each tile's start.
    """
    corners = np.stack([np.where([i & 1, i & 2, i & 4], most, least) for i in range(8)], axis=1)
    seen = camera.project(corners.reshape(-1, 3)).reshape(-1, 8, 3)
    low, high = seen.min(axis=1), seen.max(axis=1)
    behind = low[:, 2] < 0.05
    gap = np.maximum(np.maximum(least - (camera.x, camera.y, camera.z), (camera.x, camera.y, camera.z) - most), 0)
    near = np.linalg.norm(gap, axis=1)
    down, across = -(-camera.height // TILE), -(-camera.width // TILE)
    members: list[list[int]] = [[] for _ in range(down * across)]
    for k in np.argsort(near, kind="stable").tolist():
        if high[k, 2] < 0.05:
            continue
        x0, y0, x1, y1 = (0, 0, camera.width, camera.height) if behind[k] else (*(low[k, :2] - 1), *(high[k, :2] + 1))
        for row in range(max(int(y0) // TILE, 0), min(int(max(y1, -1)) // TILE + 1, down)):
            for column in range(max(int(x0) // TILE, 0), min(int(max(x1, -1)) // TILE + 1, across)):
                members[row * across + column].append(k)
    starts = np.cumsum([0] + [len(tile) for tile in members]).astype(np.int32)
    listed = np.array([k for tile in members for k in tile], np.int32)
    return listed, near, starts
