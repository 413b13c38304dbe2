"""A ray and a solid, in numba: solids as rows of numbers, where a ray enters one, and its normal there."""

import numba
import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.raycast.textures import SIZE, bare
from isp_sim.scenes.people.shapes import BALL, BOX, CONE, HULL, Shapes

NONE = 1e30
MESH = 4
"""Kind of a row that stands for a surface of a body: its material, its person, the body's height at rest."""


Solids = Float64[np.ndarray, "rows 39"]
"""Solids as the kernels take them, a row each: one array, because numba counts references of every array it hands on.

    0 … 11   world → own frame, 3×4        KIND   SIZE … SIZE + 5   as in `Shapes`   INSTANCE
    FIRST_COLUMN …   the material (`materials`)

Behind the last solid follow the hulls' planes, `(n, d)` in the first four columns.
"""
KIND, INSTANCE = 12, 19


def pack(shapes: Shapes, table: Float64[np.ndarray, "rows columns"]) -> Solids:
    """Invert the frames; gather what the kernels need of a solid in its row."""
    turn = np.linalg.inv(shapes.frame[:, :, :3])
    inverse = np.concatenate((turn, -turn @ shapes.frame[:, :, 3:]), axis=2)
    size = shapes.size.copy()
    size[:, 4] += len(shapes) * (shapes.kind == HULL)
    rows = np.full((len(shapes) + len(shapes.planes), m.FIRST_COLUMN + table.shape[1]), -1.0)
    parts = (inverse.reshape(-1, 12), shapes.kind[:, None], size, shapes.instance[:, None], table[shapes.material])
    rows[: len(shapes)] = np.concatenate(parts, axis=1)
    rows[len(shapes) :, :4] = shapes.planes
    return rows


@numba.njit(nogil=True, error_model="numpy", inline="always")
def to_own(s, k, x, y, z, w):  # type: ignore[no-untyped-def]
    """A point (w = 1) or direction (w = 0) in solid k's own frame."""
    a = s[k, 0] * x + s[k, 1] * y + s[k, 2] * z + s[k, 3] * w
    b = s[k, 4] * x + s[k, 5] * y + s[k, 6] * z + s[k, 7] * w
    c = s[k, 8] * x + s[k, 9] * y + s[k, 10] * z + s[k, 11] * w
    return a, b, c


@numba.njit(nogil=True, error_model="numpy")
def enter_ball(ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """First t ≥ 0 with |o + t·d| = 1, from outside."""
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - 1.0
    if c < 0.0 or b > 0.0:
        return NONE
    h = b * b - a * c
    if h < 0.0:
        return NONE
    return (-b - np.sqrt(h)) / a


@numba.njit(nogil=True, error_model="numpy")
def enter_box(ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Slabs: the ray is inside all three between the last entry and the first exit."""
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    ax, ay, az = np.abs(ix), np.abs(iy), np.abs(iz)
    enter = max(-ox * ix - ax, -oy * iy - ay, -oz * iz - az)
    leave = min(-ox * ix + ax, -oy * iy + ay, -oz * iz + az)
    if not enter < leave or enter < 0.0:
        return NONE
    return enter


@numba.njit(nogil=True, error_model="numpy")
def enter_hull(ox, oy, oz, dx, dy, dz, planes, first, count):  # type: ignore[no-untyped-def]
    """A box cut by planes: each plane `n·x ≤ d` delays the entry or hastens the exit."""
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    ax, ay, az = np.abs(ix), np.abs(iy), np.abs(iz)
    enter = max(-ox * ix - ax, -oy * iy - ay, -oz * iz - az)
    leave = min(-ox * ix + ax, -oy * iy + ay, -oz * iz + az)
    for p in range(first, first + count):
        along = planes[p, 0] * dx + planes[p, 1] * dy + planes[p, 2] * dz
        over = planes[p, 3] - (planes[p, 0] * ox + planes[p, 1] * oy + planes[p, 2] * oz)
        if along < 0.0:
            enter = max(enter, over / along)
        elif along > 0.0:
            leave = min(leave, over / along)
        elif over < 0.0:
            return NONE
    if not enter < leave or enter < 0.0:
        return NONE
    return enter


@numba.njit(nogil=True, error_model="numpy")
def enter_cone(ox, oy, oz, dx, dy, dz, h, a, b, cut):  # type: ignore[no-untyped-def]
    """Hull of two spheres on the y axis: its side, a cone, is met where `d2·|o + t·d|² …` vanishes; else a cap.

    After Inigo Quilez, "rounded cone: intersection", with pa = 0, pb = (0, h, 0).
    """
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    rr = a - b
    m0, m1, m2 = h * h, h * oy, h * dy
    m3 = dx * ox + dy * oy + dz * oz
    m5 = ox * ox + oy * oy + oz * oz
    d2 = m0 - rr * rr
    best = NONE
    k2 = d2 - m2 * m2
    k1 = d2 * m3 - m1 * m2 + m2 * rr * a
    k0 = d2 * m5 - m1 * m1 + m1 * rr * a * 2.0 - m0 * a * a
    under = k1 * k1 - k0 * k2
    if under < 0.0:
        return NONE
    t = (-np.sqrt(under) - k1) / k2
    y = m1 - a * rr + t * m2
    if y > 0.0 and y < d2:
        best = t
    else:
        h1 = m3 * m3 - m5 + a * a
        if h1 > 0.0:
            best = -m3 - np.sqrt(h1)
        m6 = m3 - m2
        h2 = m6 * m6 - (m5 - 2.0 * m1 + m0) + b * b
        if h2 > 0.0:
            best = min(best, -m6 - np.sqrt(h2))
    if best < 0.0 or best == NONE:
        return NONE
    if cut > 0:
        at = oy + best * dy
        if (cut == 1 or cut == 3) and at > h:
            return NONE
        if cut >= 2 and at < 0.0:
            return NONE
    return best / length


@numba.njit(nogil=True, error_model="numpy")
def enter(s, k, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Where a ray from outside enters solid k, in lengths of d; `NONE` where it does not."""
    px, py, pz = to_own(s, k, ox, oy, oz, 1.0)
    qx, qy, qz = to_own(s, k, dx, dy, dz, 0.0)
    kind = s[k, KIND]
    if kind == CONE:
        t = enter_cone(px, py, pz, qx, qy, qz, s[k, SIZE], s[k, SIZE + 1], s[k, SIZE + 2], s[k, SIZE + 3])
    elif kind == BALL:
        t = enter_ball(px, py, pz, qx, qy, qz)
    elif kind == BOX:
        t = enter_box(px, py, pz, qx, qy, qz)
    else:
        t = enter_hull(px, py, pz, qx, qy, qz, s, int(s[k, SIZE + 4]), int(s[k, SIZE + 5]))
    if t < NONE:
        pattern = s[k, m.PATTERN]
        if pattern == m.LEAVES and bare(s, k, kind, px + t * qx, py + t * qy, pz + t * qz, s[k, SIZE]):
            return NONE
    return t


@numba.njit(nogil=True, error_model="numpy")
def normal(s, k, px, py, pz):  # type: ignore[no-untyped-def]
    """Outward unit normal of solid k at a world point on it, and the point in its own frame."""
    x, y, z = to_own(s, k, px, py, pz, 1.0)
    nx, ny, nz = x, y, z
    kind = s[k, KIND]
    if kind == CONE:
        h, a, b = s[k, SIZE], s[k, SIZE + 1], s[k, SIZE + 2]
        rr = a - b
        along = y * h - a * rr
        d2 = h * h - rr * rr
        if along > 0.0 and along < d2:
            nx, ny, nz = d2 * x, d2 * y - h * along, d2 * z
        elif along >= d2:
            ny = y - h
    elif kind != BALL:
        nx, ny, nz = 0.0, 0.0, 0.0
        ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
        if ax >= ay and ax >= az:
            nx, worst = np.sign(x), ax - 1.0
        elif ay >= az:
            ny, worst = np.sign(y), ay - 1.0
        else:
            nz, worst = np.sign(z), az - 1.0
        if kind != BOX:
            first = int(s[k, SIZE + 4])
            for p in range(first, first + int(s[k, SIZE + 5])):
                over = s[p, 0] * x + s[p, 1] * y + s[p, 2] * z - s[p, 3]
                if over > worst:
                    worst = over
                    nx, ny, nz = s[p, 0], s[p, 1], s[p, 2]
    wx = s[k, 0] * nx + s[k, 4] * ny + s[k, 8] * nz
    wy = s[k, 1] * nx + s[k, 5] * ny + s[k, 9] * nz
    wz = s[k, 2] * nx + s[k, 6] * ny + s[k, 10] * nz
    length = np.sqrt(wx * wx + wy * wy + wz * wz)
    return wx / length, wy / length, wz / length, x, y, z
