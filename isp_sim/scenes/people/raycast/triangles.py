"""The triangles of a scene's bodies, in numba: a rasteriser for the rays of the camera, what is true of a point of a
triangle, and how much of the sky each vertex sees past its own body.
"""

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Int64

from isp_sim.parallel_rows import in_rows
from isp_sim.scenes.people.raycast.hierarchy import hierarchy
from isp_sim.scenes.people.raycast.mesh import Mesh

ROW, CORNERS = 9, 10
"""Columns of a triangle: corner, two edges, then the row of its surface in `Solids` and its vertices' numbers."""
OPEN = 6
"""Column of a vertex after normal and place at rest: share of the sky it sees past its own body."""
MET = 64
"""Triangles of one body before a point of it that are looked at, at most."""
DIRECTIONS, CELLS, CELL_M, BIAS_M = 40, 128, 0.025, 0.03
"""Sky visibility: directions, cells of a depth map along its side, their size, and how far in front hides."""


class Bodies(NamedTuple):
    """Everybody's triangles, body after body.

    Attributes:
        nodes: of the hierarchy, depth first: low corner, high corner, the node that follows when this one is missed,
            and `8·first + number` of its triangles (−1 for inner nodes).
        triangles: corner, edges, surface, vertices (`ROW`, `CORNERS`); in the order of the leaves.
        vertices: normal, place at rest, share of the sky (`OPEN`).
    """

    nodes: Float32[np.ndarray, "nodes 8"]
    triangles: Float32[np.ndarray, "m 16"]
    vertices: Float32[np.ndarray, "n 8"]


def gather_bodies(meshes: list[Mesh], surfaces: list[Int64[np.ndarray, " m"]]) -> Bodies:
    """Everybody's triangles with their hierarchy and sky visibility.

    Args:
        meshes: in the world, m.
        surfaces: row in `Solids` of each triangle of each mesh.
    """
    first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    starts = np.cumsum([0] + [len(mesh.triangles) for mesh in meshes])
    packed = np.zeros((starts[-1], 16), np.float32)
    vertices = np.zeros((first[-1], 8), np.float32)
    for n, (mesh, surface) in enumerate(zip(meshes, surfaces, strict=True)):
        own = packed[starts[n] : starts[n + 1]]
        corners = mesh.vertices[mesh.triangles]
        own[:, :3], own[:, 3:6], own[:, 6:9] = (
            corners[:, 0],
            corners[:, 1] - corners[:, 0],
            corners[:, 2] - corners[:, 0],
        )
        own[:, ROW], own[:, CORNERS : CORNERS + 3] = surface, mesh.triangles + first[n]
        vertices[first[n] : first[n + 1], :OPEN] = np.column_stack((mesh.normals, mesh.rest))
    nodes, used = np.empty((2 * len(packed) + 1, 8), np.float32), np.zeros(len(meshes), np.int64)
    triangles = np.empty_like(packed)
    places = np.concatenate([mesh.vertices for mesh in meshes]) if meshes else np.zeros((0, 3), np.float32)
    if meshes:
        in_rows(hierarchy, len(meshes), starts, packed, triangles, nodes, used)
        in_rows(_sky_seen, len(meshes), first, starts, places, packed, vertices, _directions())
    parts = [nodes[2 * starts[n] : 2 * starts[n] + used[n]] for n in range(len(meshes))]
    for part, before in zip(parts, np.cumsum([0, *used]), strict=False):
        part[:, 6] += before
    return Bodies(np.concatenate([np.zeros((0, 8), np.float32), *parts]), triangles, vertices)


def _directions() -> Float32[np.ndarray, "directions 3"]:
    """Evenly over the sphere: a golden spiral."""
    n = np.arange(DIRECTIONS) + 0.5
    up, turn = 1 - 2 * n / DIRECTIONS, n * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - up * up)
    return np.column_stack((flat * np.cos(turn), up, flat * np.sin(turn))).astype(np.float32)


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _across(dx, dy, dz):  # type: ignore[no-untyped-def]
    """Two unit vectors at right angles to a direction and to each other."""
    if abs(dy) < 0.9:
        ax, ay, az = dz, np.float32(0.0), -dx
    else:
        ax, ay, az = np.float32(0.0), dz, -dy
    length = np.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / length, ay / length, az / length
    return ax, ay, az, dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _sky_seen(start, stop, first, starts, places, packed, vertices, directions):  # type: ignore[no-untyped-def]
    """Share of the directions over a vertex, weighted by their cosine, in which no part of its own body is: depth maps
    of the body from all directions, a vertex or a triangle's middle a point.
    """
    for body in range(start, stop):
        i, j = first[body], first[body + 1]
        seen, all_ = np.zeros(j - i, np.float32), np.full(j - i, np.float32(1e-6))
        middle = np.zeros(3, np.float32)
        for c in range(3):
            middle[c] = 0.5 * (places[i:j, c].min() + places[i:j, c].max())
        depth = np.empty((CELLS, CELLS), np.float32)
        for n in range(len(directions)):
            dx, dy, dz = directions[n, 0], directions[n, 1], directions[n, 2]
            ax, ay, az, bx, by, bz = _across(dx, dy, dz)
            depth[:] = -np.inf
            for way in range(2):
                for m in range(starts[body] if way == 0 else i, starts[body + 1] if way == 0 else j):
                    if way == 0:
                        x = packed[m, 0] + (packed[m, 3] + packed[m, 6]) / np.float32(3.0)
                        y = packed[m, 1] + (packed[m, 4] + packed[m, 7]) / np.float32(3.0)
                        z = packed[m, 2] + (packed[m, 5] + packed[m, 8]) / np.float32(3.0)
                    else:
                        x, y, z = places[m, 0], places[m, 1], places[m, 2]
                    x, y, z = x - middle[0], y - middle[1], z - middle[2]
                    u = int((ax * x + ay * y + az * z) / CELL_M + CELLS / 2)
                    v = int((bx * x + by * y + bz * z) / CELL_M + CELLS / 2)
                    if 0 <= u < CELLS and 0 <= v < CELLS:
                        depth[v, u] = max(depth[v, u], dx * x + dy * y + dz * z)
            for m in range(i, j):
                facing = vertices[m, 0] * dx + vertices[m, 1] * dy + vertices[m, 2] * dz
                if facing <= 0.0:
                    continue
                x = places[m, 0] - middle[0] + BIAS_M * vertices[m, 0]
                y = places[m, 1] - middle[1] + BIAS_M * vertices[m, 1]
                z = places[m, 2] - middle[2] + BIAS_M * vertices[m, 2]
                p = (ax * x + ay * y + az * z) / CELL_M + CELLS / 2 - 0.5
                q = (bx * x + by * y + bz * z) / CELL_M + CELLS / 2 - 0.5
                u, v = int(p), int(q)
                free, over = 0.0, dx * x + dy * y + dz * z + BIAS_M
                if 0 <= u < CELLS - 1 and 0 <= v < CELLS - 1:
                    p, q = p - u, q - v
                    free += (1 - p) * (1 - q) * (depth[v, u] < over) + p * (1 - q) * (depth[v, u + 1] < over)
                    free += (1 - p) * q * (depth[v + 1, u] < over) + p * q * (depth[v + 1, u + 1] < over)
                else:
                    free = 1.0
                seen[m - i] += facing * free
                all_[m - i] += facing
        for m in range(i, j):
            vertices[m, OPEN] = seen[m - i] / all_[m - i]


@numba.njit(nogil=True, error_model="numpy", cache=True)
def rasterise(start, stop, triangles, spots, dx, dy, nearness, which):  # type: ignore[no-untyped-def]
    """The nearest triangle at (x + dx, y + dy) of each pixel of rows start … stop, and one over its depth, 1/m.

    `spots` are the triangles' corners: x, y in pixels and one over depth, which is linear in the picture; 0 behind
    the camera.
    """
    width = which.shape[1]
    for y in range(start, stop):
        nearness[y], which[y] = 0.0, -1
    for i in range(len(triangles)):
        a, b, c = int(triangles[i, CORNERS]), int(triangles[i, CORNERS + 1]), int(triangles[i, CORNERS + 2])
        y0, y1, y2 = spots[a, 1] - dy, spots[b, 1] - dy, spots[c, 1] - dy
        top, bottom = max(int(np.ceil(min(y0, y1, y2))), start), min(int(np.floor(max(y0, y1, y2))), stop - 1)
        if top > bottom or min(spots[a, 2], spots[b, 2], spots[c, 2]) <= 0.0:
            continue
        x0, x1, x2 = spots[a, 0] - dx, spots[b, 0] - dx, spots[c, 0] - dx
        left, right = max(int(np.ceil(min(x0, x1, x2))), 0), min(int(np.floor(max(x0, x1, x2))), width - 1)
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if left > right or area == 0.0:
            continue
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)) / area
                v = ((x0 - x2) * (y - y2) - (x - x2) * (y0 - y2)) / area
                w = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    near = u * spots[a, 2] + v * spots[b, 2] + w * spots[c, 2]
                    if near > nearness[y, x]:
                        nearness[y, x], which[y, x] = near, i


@numba.njit(nogil=True, error_model="numpy")
def on_triangle(triangles, vertices, i, px, py, pz):  # type: ignore[no-untyped-def]
    """Of a point of triangle i: smooth normal, place at rest, share of the sky, and where its shadow rays start: on the
    curved surface that the normals tell of, so that facets do not shade themselves (Hanika, Ray Tracing Gems II, 2021).
    """
    ax, ay, az = triangles[i, 3], triangles[i, 4], triangles[i, 5]
    bx, by, bz = triangles[i, 6], triangles[i, 7], triangles[i, 8]
    sx, sy, sz = px - triangles[i, 0], py - triangles[i, 1], pz - triangles[i, 2]
    aa, ab, bb = ax * ax + ay * ay + az * az, ax * bx + ay * by + az * bz, bx * bx + by * by + bz * bz
    sa, sb = sx * ax + sy * ay + sz * az, sx * bx + sy * by + sz * bz
    det = max(aa * bb - ab * ab, 1e-20)
    v = min(max((bb * sa - ab * sb) / det, 0.0), 1.0)
    w = min(max((aa * sb - ab * sa) / det, 0.0), 1.0 - v)
    nx = ny = nz = x = y = z = open_ = lx = ly = lz = 0.0
    for c in range(3):
        n = int(triangles[i, CORNERS + c])
        share = 1.0 - v - w if c == 0 else (v if c == 1 else w)
        mx, my, mz = vertices[n, 0], vertices[n, 1], vertices[n, 2]
        nx, ny, nz = nx + share * mx, ny + share * my, nz + share * mz
        x, y, z = x + share * vertices[n, 3], y + share * vertices[n, 4], z + share * vertices[n, 5]
        open_ += share * vertices[n, OPEN]
        ex = sx - (ax if c == 1 else (bx if c == 2 else 0.0))
        ey = sy - (ay if c == 1 else (by if c == 2 else 0.0))
        ez = sz - (az if c == 1 else (bz if c == 2 else 0.0))
        under = share * max(-(ex * mx + ey * my + ez * mz), 0.0)
        lx, ly, lz = lx + under * mx, ly + under * my, lz + under * mz
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length, x, y, z, open_, px + lx, py + ly, pz + lz


@numba.njit(nogil=True, error_model="numpy")
def turned_away(triangles, i, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Whether a ray sees triangle i from behind."""
    ax, ay, az = triangles[i, 3], triangles[i, 4], triangles[i, 5]
    bx, by, bz = triangles[i, 6], triangles[i, 7], triangles[i, 8]
    return dx * (ay * bz - az * by) + dy * (az * bx - ax * bz) + dz * (ax * by - ay * bx) > 0.0


@numba.njit(nogil=True, error_model="numpy", cache=True)
def entered(vertices, triangles, eye, points, out):  # type: ignore[no-untyped-def]
    """For each point the share of its way from the eye at which the limb it lies in is entered, with all that is worn
    on it: backwards from the point, the last triangle that looks at the eye before one that looks away, which is
    another limb's or a fold's; 1 if there is none. Triangles that look away from it at once are of layers beneath.
    """
    met, number = np.empty((len(points), MET)), np.zeros(len(points), np.int64)
    for i in range(len(triangles)):
        a, b, c = triangles[i, 0], triangles[i, 1], triangles[i, 2]
        ax, ay, az = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        bx, by, bz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        sx, sy, sz = eye[0] - vertices[a, 0], eye[1] - vertices[a, 1], eye[2] - vertices[a, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        height = sx * nx + sy * ny + sz * nz
        looks = 1.0 if height > 0.0 else -1.0
        for j in range(len(points)):
            dx, dy, dz = points[j, 0] - eye[0], points[j, 1] - eye[1], points[j, 2] - eye[2]
            down = -(dx * nx + dy * ny + dz * nz)
            if not 0.5 < height / down <= 1.0 or number[j] == MET:
                continue
            qx, qy, qz = sy * dz - sz * dy, sz * dx - sx * dz, sx * dy - sy * dx
            v = looks * (bx * qx + by * qy + bz * qz)
            w = -looks * (ax * qx + ay * qy + az * qz)
            if v >= 0.0 and w >= 0.0 and v + w <= looks * down:
                met[j, number[j]] = looks * height / down
                number[j] += 1
    out[:] = 1.0
    for j in range(len(points)):
        for share in met[j, : number[j]][np.argsort(-np.abs(met[j, : number[j]]))]:
            if share > 0.0:
                out[j] = share
            elif out[j] < 1.0:
                break
