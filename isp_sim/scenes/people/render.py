"""The picture: primary rays tile by tile, materials, lights, shadows; radiance, instance, class and depth."""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8, UInt16

from isp_sim import streams  # noqa: F401  (names the cache of compiled kernels)
from isp_sim.rows import in_rows
from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.intersect import KIND, nearest, normal, pack, tree
from isp_sim.scenes.people.light import Lights, irradiance, sky_radiance
from isp_sim.scenes.people.shapes import CONE, Shapes
from isp_sim.scenes.people.textures import SIZE, facade, face, mix, noise, share, surface

TILE = 16
NO_SHADOW = (semantics.FLOOR, semantics.GROUND, semantics.WALL, semantics.CEILING, semantics.WINDOW, semantics.LIGHT)
"""What a light inside a room cannot be hidden by; out of doors nothing lies under the ground."""


class Camera(NamedTuple):
    """A pinhole camera; x right, y up, z forward before it is pitched.

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


class Rendered(NamedTuple):
    """Planes of a rendered scene.

    Attributes:
        radiance: float32 `(height, width, 3)`.
        instance: 0 for things, from 1 for people.
        semantic: class.
        depth_m: along the optical axis; infinite for the sky.
    """

    radiance: Float32[np.ndarray, "height width 3"]
    instance: UInt16[np.ndarray, "height width"]
    semantic: UInt8[np.ndarray, "height width"]
    depth_m: Float32[np.ndarray, "height width"]


@numba.njit(nogil=True, error_model="numpy")
def direction(camera, x, y):  # type: ignore[no-untyped-def]
    """Unit direction of a pixel's ray, and the cosine of its angle to the axis."""
    u, v = (x - (camera.width - 1) / 2) / camera.focal_px, ((camera.height - 1) / 2 - y) / camera.focal_px
    c, s = np.cos(camera.pitch), np.sin(camera.pitch)
    length = np.sqrt(u * u + v * v + 1.0)
    return u / length, (c * v - s) / length, (s * v + c) / length, 1.0 / length


@numba.njit(nogil=True, error_model="numpy")
def coloured(s, k, x, y, z, blur):  # type: ignore[no-untyped-def]
    """Reflectance and glow (over reflectance) of solid k at a point of its own frame."""
    kind = s[k, KIND]
    pattern, glow = s[k, m.PATTERN], s[k, m.GLOW]
    u, v = surface(s, k, kind, x, y, z)
    mirror = s[k, m.MIRROR]
    if pattern == m.FACE:
        white, dark, _, brow = face(x, y, z, blur / s[k, SIZE])
        r, g, b = s[k, m.RED], s[k, m.GREEN], s[k, m.BLUE]
        r, g, b = r + white * (0.62 - r), g + white * (0.60 - g), b + white * (0.58 - b)
        hairy = 0.85 * brow
        r, g, b = (
            r + hairy * (s[k, m.RED_B] * 0.8 - r),
            g + hairy * (s[k, m.GREEN_B] * 0.8 - g),
            b + hairy * (s[k, m.BLUE_B] * 0.8 - b),
        )
        r, g, b = r + dark * (0.02 - r), g + dark * (0.015 - g), b + dark * (0.012 - b)
    elif pattern == m.FACADE:
        glass, frame, number = facade(s, k, u, v, blur)
        r, g, b = mix(s, k, min(frame, 1.0))
        dim = 0.03 + 0.10 * number
        r, g, b = r + glass * (dim - r), g + glass * (dim - g), b + glass * (1.1 * dim - b)
        mirror = mirror + glass * (0.10 + 0.25 * number)
    elif pattern == m.PANE or pattern == m.SCREEN:
        part = 1.0
        r, g, b = s[k, m.RED], s[k, m.GREEN], s[k, m.BLUE]
        if pattern == m.PANE:
            value, _, _, _ = noise(u * 0.8 + s[k, m.SEED], 0.5, 0.5)
            part = 0.22 + 0.10 * value if v < -0.35 * s[k, SIZE + 1] + 0.25 * s[k, SIZE + 1] * value else 1.0
        else:
            value, _, _, _ = noise(u / 0.08 + s[k, m.SEED], v / 0.05, 0.5)
            part = 0.5 + 0.5 * value
        glow = glow * part
    else:
        r, g, b = mix(s, k, share(s, k, u, v, z, blur))
    grain, vary = s[k, m.GRAIN], s[k, m.VARIATION]
    if vary > 0.0 and blur < 2 * grain:
        value, _, _, _ = noise((u + 7.3 * s[k, m.SEED]) / grain, v / grain, z / grain * 0.3)
        tone = 1.0 + vary * value * min(2.0 - blur / grain, 1.0)
        r, g, b = r * tone, g * tone, b * tone
    return r, g, b, glow, mirror


@numba.njit(nogil=True, error_model="numpy")
def folded(s, k, x, y, z, nx, ny, nz, blur):  # type: ignore[no-untyped-def]
    """The normal tilted by the gradient of noise in the solid's own frame: folds of cloth, bark, leaves."""
    bump, size = s[k, m.BUMP], s[k, m.BUMP_SCALE]
    if bump == 0.0 or blur > size:
        return nx, ny, nz
    if s[k, KIND] == CONE:
        ax, ay, az = x, y, z
    else:
        ax, ay, az = x * s[k, SIZE], y * s[k, SIZE + 1], z * s[k, SIZE + 2]
    seed = s[k, m.SEED]
    _, gx, gy, gz = noise(ax / size + seed, 0.55 * ay / size, az / size)
    _, hx, hy, hz = noise(1.3 * ax / size, 1.6 * ay / size + seed, 1.3 * az / size)
    gx, gy, gz = gx + 0.5 * hx, 0.55 * gy + 0.5 * hy, gz + 0.5 * hz
    tilt = 0.5 * bump * (1.0 - blur / size)
    stretch = 1.0 / np.sqrt(s[k, 4] ** 2 + s[k, 5] ** 2 + s[k, 6] ** 2)
    wx = (s[k, 0] * gx + s[k, 4] * gy + s[k, 8] * gz) * stretch
    wy = (s[k, 1] * gx + s[k, 5] * gy + s[k, 9] * gz) * stretch
    wz = (s[k, 2] * gx + s[k, 6] * gy + s[k, 10] * gz) * stretch
    along = wx * nx + wy * ny + wz * nz
    nx, ny, nz = nx - tilt * (wx - along * nx), ny - tilt * (wy - along * ny), nz - tilt * (wz - along * nz)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@numba.njit(nogil=True, error_model="numpy")
def radiance(s, nodes, order, rows, sky, shades, camera, k, t, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Light a ray brings home from where it meets solid k."""
    if k < 0:
        return sky_radiance(sky, dx, dy, dz)
    px, py, pz = camera.x + t * dx, camera.y + t * dy, camera.z + t * dz
    nx, ny, nz, x, y, z = normal(s, k, px, py, pz)
    facing = -(nx * dx + ny * dy + nz * dz)
    blur = t / camera.focal_px / max(facing, 0.15) ** 0.5
    r, g, b, glow, mirror = coloured(s, k, x, y, z, blur)
    if glow > 0.0:
        return r * glow, g * glow, b * glow
    nx, ny, nz = folded(s, k, x, y, z, nx, ny, nz, blur)
    er, eg, eb, hr, hg, hb = irradiance(s, k, nodes, order, rows, sky, shades, px, py, pz, nx, ny, nz, dx, dy, dz)
    r, g, b = r * er + hr, g * eg + hg, b * eb + hb
    if mirror > 0.0:
        along = dx * nx + dy * ny + dz * nz
        mx, my, mz = dx - 2 * along * nx, dy - 2 * along * ny, dz - 2 * along * nz
        strength = mirror + (1 - mirror) * max(1.0 + along, 0.0) ** 5 * min(4 * mirror, 1.0)
        if sky[0] > 0.0:
            qr, qg, qb = sky_radiance(sky, mx, my, mz)
        else:
            qr, qg, qb = 0.5 * sky[12], 0.5 * sky[13], 0.5 * sky[14]
        r, g, b = r + strength * qr, g + strength * qg, b + strength * qb
    return r, g, b


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _first(start, stop, bands, s, nodes, order, rows, sky, shades, camera, listed, near, starts, image, solid, depth):  # type: ignore[no-untyped-def]
    """One ray through the middle of every pixel."""
    across = (camera.width + TILE - 1) // TILE
    for band in range(start, stop):
        tile_row = bands[band]
        for tile_column in range(across):
            tile = tile_row * across + tile_column
            for y in range(tile_row * TILE, min(tile_row * TILE + TILE, camera.height)):
                for x in range(tile_column * TILE, min(tile_column * TILE + TILE, camera.width)):
                    dx, dy, dz, cosine = direction(camera, x, y)
                    t, k = nearest(
                        s, listed, near, starts[tile], starts[tile + 1], camera.x, camera.y, camera.z, dx, dy, dz
                    )
                    r, g, b = radiance(s, nodes, order, rows, sky, shades, camera, k, t, dx, dy, dz)
                    image[y, x, 0], image[y, x, 1], image[y, x, 2] = r, g, b
                    solid[y, x] = k
                    depth[y, x] = t * cosine if k >= 0 else np.inf


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _edges(start, stop, bands, s, nodes, order, rows, sky, shades, camera, listed, near, starts, image, solid, smooth):  # type: ignore[no-untyped-def]
    """Four more rays where a pixel's neighbour sees another solid: the outline's pixel is their mean."""
    across = (camera.width + TILE - 1) // TILE
    for band in range(start, stop):
        for y in range(bands[band] * TILE, min(bands[band] * TILE + TILE, camera.height)):
            for x in range(camera.width):
                k = solid[y, x]
                same = True
                for j in range(max(y - 1, 0), min(y + 2, camera.height)):
                    for i in range(max(x - 1, 0), min(x + 2, camera.width)):
                        same = same and solid[j, i] == k
                smooth[y, x, 0], smooth[y, x, 1], smooth[y, x, 2] = image[y, x, 0], image[y, x, 1], image[y, x, 2]
                if same:
                    continue
                tile = (y // TILE) * across + x // TILE
                red = green = blue = 0.0
                for n in range(4):
                    ox, oy = (0.125, -0.375, 0.375, -0.125)[n], (-0.375, -0.125, 0.125, 0.375)[n]
                    dx, dy, dz, _ = direction(camera, x + ox, y + oy)
                    t, k = nearest(
                        s, listed, near, starts[tile], starts[tile + 1], camera.x, camera.y, camera.z, dx, dy, dz
                    )
                    r, g, b = radiance(s, nodes, order, rows, sky, shades, camera, k, t, dx, dy, dz)
                    red, green, blue = red + 0.25 * r, green + 0.25 * g, blue + 0.25 * b
                smooth[y, x, 0], smooth[y, x, 1], smooth[y, x, 2] = red, green, blue


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


def render(shapes: Shapes, table: Float64[np.ndarray, "rows columns"], lights: Lights, camera: Camera) -> Rendered:
    """Render the solids; the result does not depend on the number of threads."""
    s = pack(shapes, table)
    low, high = shapes.bounds()
    casts = (table[shapes.material, m.GLOW - m.FIRST_COLUMN] == 0) & ~np.isin(shapes.semantic, NO_SHADOW)
    nodes, order = tree(low, high, np.flatnonzero(casts))
    listed, near, starts = tiles(low, high, camera)
    shape = (camera.height, camera.width)
    image, smooth = np.empty((*shape, 3), np.float32), np.empty((*shape, 3), np.float32)
    solid, depth = np.empty(shape, np.int32), np.empty(shape, np.float32)
    down = -(-camera.height // TILE)
    bands = np.concatenate((np.arange(0, down, 2), np.arange(1, down, 2)))  # the sky is quick: share it out
    common = (bands, s, nodes, order, *lights, camera, listed, near, starts)
    in_rows(_first, down, *common, image, solid, depth)
    in_rows(_edges, down, *common, image, solid, smooth)
    instance = np.append(shapes.instance, 0)[solid].astype(np.uint16)
    semantic = np.append(shapes.semantic, semantics.SKY)[solid].astype(np.uint8)
    return Rendered(smooth, instance, semantic, depth)
