"""Loops over pixels: the well-lit light each low-light pixel sees, the normal equations in cells.

Coordinates are computed in double precision for every pixel.
"""

import math

import numba
import numpy as np

from isp_sim.optics import catmull_rom
from isp_sim.rectify import mapped

CELL = 16
"""Side of a cell, pixels of its level: within it the derivatives of the map are taken as constant."""


@numba.njit(inline="always")
def _catmull_rom_slope(t):  # type: ignore[no-untyped-def]
    """Derivatives of the Catmull-Rom weights (Keys 1981, a = −½) of the samples at −1, 0, 1, 2."""
    return (
        (-1.5 * t + 2.0) * t - 0.5,
        (4.5 * t - 5.0) * t,
        (-4.5 * t + 4.0) * t + 0.5,
        (1.5 * t - 1.0) * t,
    )


@numba.njit(nogil=True, cache=True, fastmath=True)
def sample(start, stop, bright, channel, step, origin, m, k1, k2, radius2, value, slope_x, slope_y):  # type: ignore[no-untyped-def]
    """The well-lit plane and its gradient (per px of the full frame) at every low-light pixel; NaN where not seen.

    `bright` is `(channels, height, width)`, `channel` which of them a pixel of the 2×2 tile takes; pixel (i, j) of a
    level lies at `step·j + origin_x`, `step·i + origin_y` about the centre.
    """
    height, width = value.shape
    for i in range(start, stop):
        for j in range(width):
            wx, wy = mapped(step * j + origin[0], step * i + origin[1], m, k1, k2, radius2)
            u, v = (wx - origin[0]) / step, (wy - origin[1]) / step
            x0, y0 = math.floor(u), math.floor(v)
            if x0 < 1 or y0 < 1 or x0 + 2 >= width or y0 + 2 >= height:
                value[i, j] = np.nan
                continue
            plane = bright[channel[(i & 1) * 2 + (j & 1)]]
            ax, bx, ay, by = (
                catmull_rom(u - x0),
                _catmull_rom_slope(u - x0),
                catmull_rom(v - y0),
                _catmull_rom_slope(v - y0),
            )
            total, along, across = 0.0, 0.0, 0.0
            for r in range(4):
                line = plane[y0 - 1 + r]
                a, b, c, d = line[x0 - 1], line[x0], line[x0 + 1], line[x0 + 2]
                row = ax[0] * a + ax[1] * b + ax[2] * c + ax[3] * d
                total += ay[r] * row
                across += by[r] * row
                along += ay[r] * (bx[0] * a + bx[1] * b + bx[2] * c + bx[3] * d)
            value[i, j], slope_x[i, j], slope_y[i, j] = total, along / step, across / step


@numba.njit(nogil=True, cache=True)
def bin_up(start, stop, value, dark, channel, low, per_bin, sums):  # type: ignore[no-untyped-def]
    """For each row of cells: count, Σd, Σd² of low-light pixels by the well-lit value they see.

    `sums` is `(rows of cells, channels, bins, 3)`; `low` and `per_bin` of each channel place the bins.
    """
    height, width = value.shape
    bins = sums.shape[2]
    for row in range(start, stop):
        sums[row] = 0.0
        for i in range(row * CELL, min((row + 1) * CELL, height)):
            for j in range(width):
                b, d = value[i, j], dark[i, j]
                if not (b == b and d == d):
                    continue
                c = channel[(i & 1) * 2 + (j & 1)]
                k = min(max(int((b - low[c]) * per_bin[c]), 0), bins - 1)
                sums[row, c, k, 0] += 1.0
                sums[row, c, k, 1] += d
                sums[row, c, k, 2] += d * d


@numba.njit(nogil=True, cache=True)
def _row(value, dark, channel, i, low, per_bin, curve, slope, weight, clip, rest, rise, certain):  # type: ignore[no-untyped-def]
    """A row's residuals, the curve's slope and inverse variance at each pixel (0 where unseen); the row's mean goes.

    A sensor's row noise is common to a row: with thousands of pixels it would outweigh their own noise.
    """
    bins = curve.shape[1] - 1
    total, mean = 0.0, 0.0
    for j in range(len(rest)):
        b, d = value[i, j], dark[i, j]
        certain[j] = 0.0
        if not (b == b and d == d):
            continue
        c = channel[(i & 1) * 2 + (j & 1)]
        at = min(max((b - low[c]) * per_bin[c] - 0.5, 0.0), bins - 1e-3)
        k = int(at)
        part = at - k
        w = weight[c, k] + part * (weight[c, k + 1] - weight[c, k])
        left = d - (curve[c, k] + part * (curve[c, k + 1] - curve[c, k]))
        scaled = abs(left) * math.sqrt(w)
        if scaled > clip:
            left *= clip / scaled
        rest[j], certain[j], rise[j] = left, w, slope[c, k] + part * (slope[c, k + 1] - slope[c, k])
        total += w
        mean += w * left
    if total > 0.0:
        mean /= total
        for j in range(len(rest)):
            rest[j] -= mean


@numba.njit(nogil=True, cache=True)
def accumulate(start, stop, value, slope_x, slope_y, dark, channel, low, per_bin, curve, slope, weight, clip, cells):  # type: ignore[no-untyped-def]
    """Normal equations of a shift in every cell: Σw·gg′, Σw·g·r, cost and count, residuals beyond `clip` σ cut.

    g is the expected low-light value's gradient, r what is left of the low-light pixel, w its inverse variance.
    `curve`, `slope`, `weight`: `(channels, bins + 1)`, expected value, its derivative and w by well-lit value.
    `cells`: `(rows, columns, 7)`.
    """
    height, width = value.shape
    rest, rise, certain = np.zeros(width), np.zeros(width), np.zeros(width)
    for row in range(start, stop):
        cells[row] = 0.0
        for i in range(row * CELL, min((row + 1) * CELL, height)):
            _row(value, dark, channel, i, low, per_bin, curve, slope, weight, clip, rest, rise, certain)
            for j in range(width):
                w = certain[j]
                if w == 0.0:
                    continue
                gx, gy = rise[j] * slope_x[i, j], rise[j] * slope_y[i, j]
                cell = cells[row, j // CELL]
                cell[0] += w * gx * gx
                cell[1] += w * gx * gy
                cell[2] += w * gy * gy
                cell[3] += w * gx * rest[j]
                cell[4] += w * gy * rest[j]
                cell[5] += w * rest[j] * rest[j]
                cell[6] += 1.0
