"""Patterns, in numba: reflectance, glow and folds at a point of a surface, from its place in its own frame."""

import numba
import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.shapes import BALL, CONE, HULL

SIZE = 13
"""First of a solid's sizes in its row (`intersect.Solids`)."""
LIT_WINDOWS, SHOP_OVER = 0.28, 4.0
"""Share of the windows that are lit at night, and how much brighter a shop's are. Assumed."""


@numba.njit(nogil=True, error_model="numpy", inline="always")
def chance(x, y, z):  # type: ignore[no-untyped-def]
    """A number 0 … 1 for a lattice point: integer hashing, the same on every machine."""
    i, j, k = np.uint32(np.int64(x)), np.uint32(np.int64(y)), np.uint32(np.int64(z))
    n = (i * np.uint32(374761393) + j * np.uint32(668265263) + k * np.uint32(2147483647)) & np.uint32(0xFFFFFFFF)
    n = ((n ^ (n >> np.uint32(13))) * np.uint32(1274126177)) & np.uint32(0xFFFFFFFF)
    n = ((n ^ (n >> np.uint32(16))) * np.uint32(2654435769)) & np.uint32(0xFFFFFFFF)
    return np.float64((n ^ (n >> np.uint32(15))) & np.uint32(0xFFFF)) / 65535.0


@numba.njit(nogil=True, error_model="numpy")
def noise(x, y, z):  # type: ignore[no-untyped-def]
    """Value noise −1 … 1 and its gradient: cubic interpolation of lattice values."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    su, sv, sw = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    du, dv, dw = 6 * u * (1 - u), 6 * v * (1 - v), 6 * w * (1 - w)
    a, b = chance(i, j, k), chance(i + 1, j, k)
    c, d = chance(i, j + 1, k), chance(i + 1, j + 1, k)
    e, f = chance(i, j, k + 1), chance(i + 1, j, k + 1)
    g, h = chance(i, j + 1, k + 1), chance(i + 1, j + 1, k + 1)
    ab, cd, ef, gh = a + su * (b - a), c + su * (d - c), e + su * (f - e), g + su * (h - g)
    low, high = ab + sv * (cd - ab), ef + sv * (gh - ef)
    dx0, dx1 = (b - a) + sv * ((d - c) - (b - a)), (f - e) + sv * ((h - g) - (f - e))
    gx = du * (dx0 + sw * (dx1 - dx0))
    gy = dv * ((cd - ab) + sw * ((gh - ef) - (cd - ab)))
    gz = dw * (high - low)
    return 2 * (low + sw * (high - low)) - 1, 2 * gx, 2 * gy, 2 * gz


@numba.njit(nogil=True, error_model="numpy")
def bare(table, row, kind, x, y, z, size):  # type: ignore[no-untyped-def]
    """Whether a leafy shell has a hole at a point of its own frame."""
    if kind == CONE:
        return False
    grain = 1.6 * table[row, m.GRAIN] / max(size, 0.1)
    value, _, _, _ = noise(x / grain + 31, y / grain + 57, z / grain + table[row, m.SEED])
    return value > 1.1 * table[row, m.COVER] - 0.5


@numba.njit(nogil=True, error_model="numpy", inline="always")
def soft(distance, width):  # type: ignore[no-untyped-def]
    """A step, 1 below 0, `width` wide."""
    return min(max(0.5 - distance / width, 0.0), 1.0)


@numba.njit(nogil=True, error_model="numpy")
def wave(x, period, duty, blur):  # type: ignore[no-untyped-def]
    """Bars of share `duty`, averaged over a pixel `blur` wide: where they cannot be told apart, their mean."""
    phase = x / period - np.floor(x / period)
    edge = max(blur / period, 0.02)
    bar = min(soft(phase - duty, edge), soft(-phase, edge)) + soft(1 - phase, edge) * 0.0
    fade = min(max(1.6 - 1.6 * blur / period, 0.0), 1.0)
    return duty + (bar - duty) * fade


@numba.njit(nogil=True, error_model="numpy")
def surface(s, k, kind, x, y, z):  # type: ignore[no-untyped-def]
    """Where a point of its own frame lies on the surface: two coordinates along it, in metres."""
    if kind == CONE:
        return np.arctan2(x, z) * s[k, SIZE + 1], y
    if kind == BALL:
        return x * s[k, SIZE], y * s[k, SIZE + 1]
    if kind > HULL:  # a body at rest: round the trunk and the legs, along the arms
        tall = s[k, SIZE]
        if y > 0.5 * tall and np.abs(x) > 0.12 * tall:
            return z, np.abs(x)
        axis = 0.0 if y > 0.5 * tall else np.sign(x) * 0.055 * tall
        return np.arctan2(x - axis, z) * 0.08 * tall, y
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    if ay >= ax and ay >= az:
        return x * s[k, SIZE], z * s[k, SIZE + 2]
    if ax >= az:
        return z * s[k, SIZE + 2], y * s[k, SIZE + 1]
    return x * s[k, SIZE], y * s[k, SIZE + 1]


@numba.njit(nogil=True, error_model="numpy")
def mix(table, row, share):  # type: ignore[no-untyped-def]
    """First colour where share is 0, second where it is 1."""
    return (
        table[row, m.RED] + share * (table[row, m.RED_B] - table[row, m.RED]),
        table[row, m.GREEN] + share * (table[row, m.GREEN_B] - table[row, m.GREEN]),
        table[row, m.BLUE] + share * (table[row, m.BLUE_B] - table[row, m.BLUE]),
    )


@numba.njit(nogil=True, error_model="numpy")
def share(table, row, u, v, z, blur):  # type: ignore[no-untyped-def]
    """How much of the second colour is at a point of a surface."""
    pattern = table[row, m.PATTERN]
    scale, ratio, seed = table[row, m.SCALE], table[row, m.RATIO], table[row, m.SEED]
    if pattern == m.STRIPES:
        return wave(v + seed, scale, ratio, blur)
    if pattern == m.CHECKS:
        return 0.5 * (wave(u, scale, ratio, blur) + wave(v + seed, scale, ratio, blur))
    if pattern == m.PRINT:
        blob, _, _, _ = noise(abs(u) / 0.05 + seed, v / 0.05, seed)  # as on both sides of the middle
        inside = soft(np.sqrt(u * u + (v - 0.16) ** 2) - 0.11, 0.02) if z > 0 else 0.0
        return inside * soft(-blob - 0.1, 0.2)
    if pattern == m.WOOD:
        ring, _, _, _ = noise(u / scale + seed, v / (scale * 14), seed)
        return 0.5 + 0.5 * ring * min(max(1.5 - blur / scale, 0.0), 1.0)
    if pattern == m.TILES:
        return max(wave(u, scale, ratio, blur), wave(v, scale, ratio, blur))
    if pattern == m.BRICKS:
        course = np.floor(v / scale)
        joint = max(wave(v, scale, 0.14, blur), wave(u + course * scale * 1.5, scale * 3, 0.05, blur))
        tone = chance(np.floor((u + course * scale * 1.5) / (scale * 3)), course, seed)
        return joint + (1 - joint) * 0.35 * tone * min(max(2 - 2 * blur / scale, 0.0), 1.0)
    if pattern == m.GROUND or pattern == m.PLASTER:
        coarse, _, _, _ = noise(u / scale + seed, v / scale, seed)
        fine, _, _, _ = noise(u / (scale * ratio), v / (scale * ratio), seed)
        return min(max(0.5 + 0.35 * coarse + 0.25 * fine * min(max(1.5 - blur / (scale * ratio), 0.0), 1.0), 0.0), 1.0)
    if pattern == m.BOOKS:
        board = np.floor(v / scale)
        spine = chance(np.floor(u / 0.035), board, seed)
        tall = 0.55 + 0.35 * chance(np.floor(u / 0.035), board + 100, seed)
        above = v / scale - board
        return spine if above < tall and above > 0.08 else 0.02
    if pattern == m.HAIR:  # strands and locks
        strand, _, _, _ = noise(u / 0.004 + seed, v / 0.08, seed)
        lock, _, _, _ = noise(u / 0.02 + seed, v / 0.2, seed)
        return (
            0.3
            + 0.4 * strand * min(max(1.5 - blur / 0.004, 0.0), 1.0)
            + 0.3 * lock * min(max(1.5 - blur / 0.02, 0.0), 1.0)
        )
    if pattern == m.PICTURE:
        value, _, _, _ = noise(u / scale + seed, v / scale, seed)
        return soft(value * 0.5 + 0.3 * np.sin(3 * u / scale + seed), 0.4)
    return 0.0


@numba.njit(nogil=True, error_model="numpy")
def is_shop(seed):  # type: ignore[no-untyped-def]
    """Whether the ground floor of a façade is a shop."""
    return chance(5, 5, seed) < 0.45


@numba.njit(nogil=True, error_model="numpy")
def shop_lit(seed):  # type: ignore[no-untyped-def]
    """How bright the windows of a façade's shop are at night, 0 … 1."""
    bright = chance(6, 6, seed)
    return bright if bright > 0.4 else 0.0


@numba.njit(nogil=True, error_model="numpy")
def facade(s, k, u, v, blur):  # type: ignore[no-untyped-def]
    """A wall of windows: how much glass is at a point, how much frame, how much curtain or blind, a number for its
    window, and how bright that is at night. Storeys count from the ground; the first has doors, or a shop's windows
    and a board over them.
    """
    storey, seed = s[k, m.SCALE], s[k, m.SEED]
    bay = storey * s[k, m.RATIO]
    height = v + s[k, SIZE + 1]
    floor, column = np.floor(height / storey), np.floor(u / bay)
    across, up = u / bay - column, height / storey - floor
    edge = max(blur / bay, 0.01)
    number = chance(column, floor, seed)
    half_wide, middle, half_high = 0.28 + 0.06 * (chance(1, 2, seed) - 0.5), 0.52, 0.30
    board, lamp = 0.0, chance(column, floor, seed + 41)
    lamp = 0.3 + 5.0 * lamp if lamp < LIT_WINDOWS else 0.0
    if floor == 0.0 and is_shop(seed):
        lamp = SHOP_OVER * shop_lit(seed)
        half_wide, middle, half_high = 0.45, 0.42, 0.33
        board = soft(np.abs(up - 0.86) - 0.06, max(blur / storey, 0.01))
    elif floor == 0.0 and number < 0.2:
        half_wide, middle, half_high = 0.22, 0.33, 0.33
        board = soft(max(np.abs(across - 0.5) - 0.18, up - 0.62), edge)  # a door
    elif (floor + 1.0) * storey > 2 * s[k, SIZE + 1] or number > 0.96:
        return 0.0, 0.0, 0.0, number, 0.0  # no window under the roof, now and then none elsewhere
    inside = max(np.abs(across - 0.5) - half_wide, np.abs(up - middle) - half_high)
    glass = soft(inside, edge) * (1 - board)
    frame = soft(inside - 0.035, edge) - glass
    bar = soft(np.abs(across - 0.5) - 0.018, edge) * glass
    cloth = 0.0
    if number > 0.75:  # curtains at both sides
        cloth = soft(0.55 * half_wide - np.abs(across - 0.5), edge)
    elif number > 0.5:  # a blind, down by more or less
        cloth = soft(middle + half_high - 2.0 * (number - 0.5) * half_high * 2.5 - up, edge)
    return glass - bar, max(frame, 0.0) + bar + board, glass * cloth * (1 - board), number, lamp
