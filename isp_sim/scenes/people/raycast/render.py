"""The picture: rays tile by tile; radiance, instance, class and depth."""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8, UInt16

from isp_sim import streams  # noqa: F401  (names the cache of compiled kernels)
from isp_sim.parallel_rows import in_rows
from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.raycast.camera import TILE, Camera, direction, tiles
from isp_sim.scenes.people.raycast.intersect import INSTANCE, KIND, MESH, NONE, Solids, pack
from isp_sim.scenes.people.raycast.light import Lights
from isp_sim.scenes.people.raycast.mesh import Mesh
from isp_sim.scenes.people.raycast.shade import radiance
from isp_sim.scenes.people.raycast.textures import SIZE
from isp_sim.scenes.people.raycast.trace import nearest, tree
from isp_sim.scenes.people.raycast.triangles import ROW, Bodies, gather_bodies, rasterise
from isp_sim.scenes.people.shapes import Shapes

TURNS = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))
"""Which of 16 places on a light a pixel looks at, by row and column modulo 4."""
SAMPLES = ((0.0, 0.0), (0.125, -0.375), (-0.375, -0.125), (0.375, 0.125), (-0.125, 0.375))
"""Where in a pixel rays go: through its middle, and four more on outlines."""
NO_BACKDROP = np.zeros((0, 0, 3), np.float32)
FOLD_M = 0.04
"""Neighbours on one body whose depths differ by more lie on either side of an outline."""
NO_SHADOW = (
    semantics.NOTHING, semantics.FLOOR, semantics.GROUND, semantics.WALL, semantics.CEILING, semantics.WINDOW,
    semantics.LIGHT,
)  # fmt: skip
"""What a light inside a room cannot be hidden by; out of doors nothing lies under the ground."""


class View(NamedTuple):
    """What may be met by the camera's rays.

    Attributes:
        camera: their origin.
        listed, near, starts: solids by tile (`camera.tiles`).
        nearness, which: of the first triangle at each of `SAMPLES` in each pixel, one over its depth, 1/m, and its
            number, −1 for none.
    """

    camera: Camera
    listed: Int32[np.ndarray, " listed"]
    near: Float64[np.ndarray, " n"]
    starts: Int32[np.ndarray, " tiles"]
    nearness: Float32[np.ndarray, "samples height width"]
    which: Int32[np.ndarray, "samples height width"]


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
def _met(s, bodies, view, n, tile, x, y):  # type: ignore[no-untyped-def]
    """What the ray through place n of a pixel meets: surface, triangle (−1 on solids), distance; its direction."""
    camera = view.camera
    dx, dy, dz, cosine = direction(camera, x + SAMPLES[n][0], y + SAMPLES[n][1])
    i, k, t = view.which[n, y, x], -1, NONE
    if i >= 0:
        k, t = int(bodies.triangles[i, ROW]), 1.0 / (view.nearness[n, y, x] * cosine)
    first, last = view.starts[tile], view.starts[tile + 1]
    t, met = nearest(s, view.listed, view.near, first, last, camera.x, camera.y, camera.z, dx, dy, dz, t, k)
    return met, i if met == k else -1, t, dx, dy, dz, cosine


@numba.njit(nogil=True, error_model="numpy")
def _behind(s, backdrop, k, y, x):  # type: ignore[no-untyped-def]
    """What the backdrop shows where a pixel sees nothing, or the ground that catches shadows for it; else 1."""
    if len(backdrop) == 0 or (k >= 0 and s[k, m.PATTERN] != m.CATCHER):
        return 1.0, 1.0, 1.0
    return backdrop[y, x, 0], backdrop[y, x, 1], backdrop[y, x, 2]


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _first(start, stop, bands, s, nodes, order, rows, sky, shades, bodies, view, *planes):  # type: ignore[no-untyped-def]
    """One ray through the middle of every pixel, towards one of 16 places on every light by turns.

    Planes: what comes past the lights, what they send and the share that arrives, the solid, the depth.
    """
    image, lit, solid, depth = planes
    camera = view.camera
    across = (camera.width + TILE - 1) // TILE
    for band in range(start, stop):
        tile_row = bands[band]
        for tile_column in range(across):
            tile = tile_row * across + tile_column
            for y in range(tile_row * TILE, min(tile_row * TILE + TILE, camera.height)):
                for x in range(tile_column * TILE, min(tile_column * TILE + TILE, camera.width)):
                    k, i, t, dx, dy, dz, cosine = _met(s, bodies, view, 0, tile, x, y)
                    r, g, b, er, eg, eb, arrives = radiance(
                        s, nodes, order, rows, sky, shades, bodies, camera, k, i, t, dx, dy, dz, TURNS[y & 3][x & 3]
                    )
                    image[y, x, 0], image[y, x, 1], image[y, x, 2] = r, g, b
                    lit[y, x, 0], lit[y, x, 1], lit[y, x, 2], lit[y, x, 3] = er, eg, eb, arrives
                    solid[y, x] = k
                    depth[y, x] = t * cosine if k >= 0 else np.inf


@numba.njit(nogil=True, error_model="numpy")
def _arriving(s, lit, solid, k, y, x):  # type: ignore[no-untyped-def]
    """Share of the lights' part that arrives at surface k in a pixel, averaged over the 4×4 pixels round it that see
    the same thing or person, −1 if none does: in each such window all 16 places on a light have their turn (Keller and
    Heidrich, Interleaved sampling, EGWR 2001).
    """
    height, width = solid.shape
    who = s[k, INSTANCE]
    total = weight = 0.0
    for j in range(max(y - 2, 0), min(y + 2, height)):
        for i in range(max(x - 2, 0), min(x + 2, width)):
            other = solid[j, i]
            if other == k or (who > 0.0 and other >= 0 and s[other, INSTANCE] == who):
                sent = lit[j, i, 0] + lit[j, i, 1] + lit[j, i, 2]
                total += sent * lit[j, i, 3]
                weight += sent
    return total / weight if weight > 0.0 else -1.0


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _shadows(start, stop, s, image, lit, solid, backdrop):  # type: ignore[no-untyped-def]
    """Add the lights' part; lay the backdrop in."""
    width = solid.shape[1]
    for y in range(start, stop):
        for x in range(width):
            share, shown = np.float32(0.0), _behind(s, backdrop, solid[y, x], y, x)
            if lit[y, x, 0] + lit[y, x, 1] + lit[y, x, 2] > 0.0:
                share = np.float32(_arriving(s, lit, solid, solid[y, x], y, x))
            for c in range(3):
                image[y, x, c] = (image[y, x, c] + share * lit[y, x, c]) * np.float32(shown[c])


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _edges(start, stop, bands, s, nodes, order, rows, sky, shades, bodies, view, *planes):  # type: ignore[no-untyped-def]
    """Four more rays where a neighbour sees another solid, surface or limb: the outline's pixel is their mean."""
    image, lit, solid, depth, backdrop, smooth = planes
    camera = view.camera
    across = (camera.width + TILE - 1) // TILE
    for band in range(start, stop):
        for y in range(bands[band] * TILE, min(bands[band] * TILE + TILE, camera.height)):
            for x in range(camera.width):
                k = solid[y, x]
                same, body = True, k >= 0 and s[k, KIND] == MESH
                for j in range(max(y - 1, 0), min(y + 2, camera.height)):
                    for i in range(max(x - 1, 0), min(x + 2, camera.width)):
                        same = same and solid[j, i] == k and (not body or abs(depth[j, i] - depth[y, x]) < FOLD_M)
                smooth[y, x, 0], smooth[y, x, 1], smooth[y, x, 2] = image[y, x, 0], image[y, x, 1], image[y, x, 2]
                if same:
                    continue
                tile = (y // TILE) * across + x // TILE
                red = green = blue = 0.0
                for n in range(1, len(SAMPLES)):
                    k, i, t, dx, dy, dz, _ = _met(s, bodies, view, n, tile, x, y)
                    cell = 4 * n - 4 + TURNS[y & 3][x & 3] // 4
                    r, g, b, er, eg, eb, arrives = radiance(
                        s, nodes, order, rows, sky, shades, bodies, camera, k, i, t, dx, dy, dz, cell
                    )
                    share = _arriving(s, lit, solid, k, y, x) if er + eg + eb > 0.0 else -1.0
                    arrives = share if share >= 0.0 else arrives
                    shown = _behind(s, backdrop, k, y, x)
                    red += 0.25 * shown[0] * (r + arrives * er)
                    green += 0.25 * shown[1] * (g + arrives * eg)
                    blue += 0.25 * shown[2] * (b + arrives * eb)
                smooth[y, x, 0], smooth[y, x, 1], smooth[y, x, 2] = red, green, blue


def surfaces(
    meshes: list[Mesh], table: Float64[np.ndarray, "rows columns"], solids: Solids
) -> tuple[Solids, list[Int64[np.ndarray, " m"]]]:
    """A row more in `Solids` for each material of each body; also each triangle's row."""
    rows, numbers = [solids], []
    for instance, mesh in enumerate(meshes, start=1):
        used, own = np.unique(mesh.material, return_inverse=True)
        numbers.append(own + sum(map(len, rows)))
        more = np.zeros((len(used), solids.shape[1]))
        more[:, KIND], more[:, SIZE], more[:, INSTANCE] = MESH, mesh.rest[:, 1].max(), instance
        more[:, m.FIRST_COLUMN :] = table[used]
        rows.append(more)
    return np.concatenate(rows), numbers


def _view(
    low: Float64[np.ndarray, "n 3"],
    high: Float64[np.ndarray, "n 3"],
    bodies: Bodies,
    places: Float64[np.ndarray, "n 3"],
    camera: Camera,
) -> View:
    """Solids by tile; the triangle at each place (`SAMPLES`) in each pixel."""
    spots = camera.project(places)
    spots[:, 2] = np.where(spots[:, 2] > 0.05, 1 / np.maximum(spots[:, 2], 0.05), 0)
    shape = (len(SAMPLES), camera.height, camera.width)
    view = View(camera, *tiles(low, high, camera), np.empty(shape, np.float32), np.empty(shape, np.int32))
    for n, (dx, dy) in enumerate(SAMPLES):
        in_rows(rasterise, camera.height, bodies.triangles, spots, dx, dy, view.nearness[n], view.which[n])
    return view


def render(
    shapes: Shapes,
    meshes: list[Mesh],
    table: Float64[np.ndarray, "rows columns"],
    lights: Lights,
    camera: Camera,
    backdrop: Float32[np.ndarray, "height width 3"] = NO_BACKDROP,
) -> Rendered:
    """Render things and people; the result does not depend on the number of threads.

    Args:
        shapes: solids that are nobody.
        meshes: people, instances 1, 2 …
        table: materials.
        lights: lights, sky, balls that dim it.
        camera: the view.
        backdrop: radiance of a picture of this size that stands behind everything; where it shows, depth and class
            are unknown.
    """
    low, high = shapes.bounds()
    s, numbers = surfaces(meshes, table, pack(shapes, table))
    bodies = gather_bodies(meshes, numbers)
    places = np.concatenate([np.zeros((0, 3)), *(mesh.vertices for mesh in meshes)])
    view = _view(low, high, bodies, places, camera)
    paint = table[shapes.material]
    dark = (paint[:, m.GLOW - m.FIRST_COLUMN] == 0) | (paint[:, 0] == m.FACADE)
    casts = dark & ~np.isin(shapes.semantic, NO_SHADOW)
    nodes, order = tree(low, high, np.flatnonzero(casts))
    shape = (camera.height, camera.width)
    image, smooth = np.empty((*shape, 3), np.float32), np.empty((*shape, 3), np.float32)
    lit = np.empty((*shape, 4), np.float32)
    solid, depth = np.empty(shape, np.int32), np.empty(shape, np.float32)
    down = -(-camera.height // TILE)
    bands = np.concatenate((np.arange(0, down, 2), np.arange(1, down, 2)))  # the sky is quick: share it out
    common = (bands, s, nodes, order, *lights, bodies, view)
    in_rows(_first, down, *common, image, lit, solid, depth)
    in_rows(_shadows, camera.height, s, image, lit, solid, backdrop)
    in_rows(_edges, down, *common, image, lit, solid, depth, backdrop, smooth)
    people = np.where(s[:, KIND] == MESH, s[:, INSTANCE], 0)
    classes = np.full(len(s) + 1, semantics.PERSON)
    classes[: len(shapes)], classes[-1] = shapes.semantic, semantics.SKY
    if len(backdrop):
        classes[-1] = semantics.NOTHING
        depth[np.append(s[:, m.PATTERN] == m.CATCHER, True)[solid]] = np.inf
    return Rendered(smooth, np.append(people, 0)[solid].astype(np.uint16), classes[solid].astype(np.uint8), depth)
