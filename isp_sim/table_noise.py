"""Sensor and readout for batches that are thrown away after a step: `camera.capture`'s laws, drawn faster.

`capture` keeps its bytes from one version to the next, because data sets are made with it. What a training loop
shoots is never stored, so here the same laws (`isp_sim.sensor`, `isp_sim.readout`) are drawn from the same Philox
blocks by whatever is fastest on one core:

- a quantile function is a table of 4096 cells, linear within a cell; the outer 1/128 on either side, where it bends,
  are computed exactly. In between it is off by 4·10⁻⁵ σ at most.
- Poisson numbers below `sensor.NORMAL_FROM` by inversion, 32 pixels at a time, so that a dark part of a row ends
  early; above by `sensor`'s corrected normal numbers.

Tests hold the distributions against `capture`'s.
"""

import functools
import math

import numba
import numpy as np
from jaxtyping import Float32, Float64

from isp_sim import readout, sensor, streams
from isp_sim.parallel_rows import in_rows
from isp_sim.units import Counts

CELLS = 4096
OUTER = CELLS // 128
LANES = 64
CELL_SHIFT = np.uint32(20)  # 32 bits less the 12 that number a cell
Table = Float64[np.ndarray, " cells"]


@functools.cache
def quantiles(gaussian: bool, shape: float) -> Table:
    """A law's quantiles at 0, 1/4096 … 1: standard normal, or Tukey-λ of scale 1.

    Args:
        gaussian: which.
        shape: λ, unused with `gaussian`.
    """
    table = np.empty(CELLS + 1)
    _fill(gaussian, shape, table)
    return table


@numba.njit(cache=True)
def _fill(gaussian, shape, table):  # type: ignore[no-untyped-def]
    table[:] = 0.0  # the ends are infinite, and never read
    for i in range(1, CELLS):
        table[i] = streams.normal_quantile(i / CELLS) if gaussian else readout.tukey_quantile(i / CELLS, shape)


@numba.njit(inline="always")
def _draw(words, table, gaussian, shape, values):  # type: ignore[no-untyped-def]
    """A law's values from one 32-bit word each: all by the table, then the outer ones exactly."""
    for x in range(values.shape[0]):
        cell = np.uint64(words[x] >> CELL_SHIFT)
        share = (np.float64(np.int32(words[x] & np.uint32(0xFFFFF))) + 0.5) * (1 / 1048576)
        values[x] = table[cell] + share * (table[cell + np.uint64(1)] - table[cell])
    for x in range(values.shape[0]):
        cell = words[x] >> CELL_SHIFT
        if cell < OUTER or cell >= CELLS - OUTER:
            u = streams.unit(words[x])
            values[x] = streams.normal_quantile(u) if gaussian else readout.tukey_quantile(u, shape)


@numba.njit(nogil=True, cache=True)
def _begin_inversion(mean, words, u, probability):  # type: ignore[no-untyped-def]
    """A number with 53 random bits and `e^−μ` for each pixel of a row; μ = 0 stands for those from `NORMAL_FROM` on."""
    for x in range(mean.shape[0]):
        low, high = np.float64(np.int64(words[1, x])) + 0.5, np.float64(np.int64(words[0, x]))
        u[x] = (high + low * 2.0**-32) * 2.0**-32
        small = mean[x] if mean[x] < sensor.NORMAL_FROM else 0.0
        d = small * (-1 / 64)
        tail = 1 / 720 + d * (1 / 5040 + d * (1 / 40320 + d * (1 / 362880 + d * (1 / 3628800))))
        series = 1 + d * (1 + d * (1 / 2 + d * (1 / 6 + d * (1 / 24 + d * (1 / 120 + d * tail)))))
        for _ in range(6):  # e^−μ = (e^(−μ/64))⁶⁴, to 10⁻¹⁴; math.exp would be half of this file's time
            series *= series
        probability[x] = series


@numba.njit(inline="always")
def _invert(mean, u, probability, drawn):  # type: ignore[no-untyped-def]
    """`sensor`'s inversion: count the steps of the distribution function below u, two at a time, until all are done."""
    drawn[:] = 0.0
    step, still_open = 0, 1
    while still_open > 0 and step < 100:
        by_first, by_second = 1.0 / (step + 1), 1.0 / (step + 2)
        step += 2
        still_open = 0
        for x in range(mean.shape[0]):
            m = mean[x] if mean[x] < sensor.NORMAL_FROM else 0.0
            second = probability[x] * (m * by_first)
            rest = u[x] - probability[x]
            after = rest - second
            drawn[x] += (1.0 if rest > 0 else 0.0) + (1.0 if after > 0 else 0.0)
            u[x], probability[x] = after, second * (m * by_second)
            still_open += after > 0


@numba.njit(inline="always")
def _from_normal(mean, words0, words3, first_pixel, key, table, normal, drawn):  # type: ignore[no-untyped-def]
    """`sensor`'s corrected normal numbers, for the means from `NORMAL_FROM` on; the others stay."""
    _draw(words0, table, True, 0.0, normal)
    for x in range(mean.shape[0]):
        m, u = mean[x], (np.float64(np.int64(words3[x])) + 0.5) * 2.0**-32
        k = np.floor(m + math.sqrt(m) * normal[x])
        short = m - k
        sure = (k >= 0) & ((k >= np.floor(m - 1.1484)) | (6 * m * m * u >= short * short * short))
        large = m >= sensor.NORMAL_FROM
        drawn[x] = k if large else drawn[x]
        normal[x] = -1.0 if large & (not sure) else 1.0
    for x in range(mean.shape[0]):
        if normal[x] < 0:
            u = streams.unit(words3[x])
            drawn[x] = sensor.poisson_remainder(mean[x], drawn[x], u, first_pixel + x, key[0], key[1])


@numba.njit(nogil=True, cache=True)
def _poisson(mean, words, first_pixel, key, u, probability, table, normal, drawn):  # type: ignore[no-untyped-def]
    """Poisson numbers of a row, `LANES` pixels at a time by what their means need."""
    for first in range(0, mean.shape[0], LANES):
        at = slice(first, min(first + LANES, mean.shape[0]))
        large = 0
        for x in range(at.start, at.stop):
            large += mean[x] >= sensor.NORMAL_FROM
        if large < at.stop - at.start:
            _invert(mean[at], u[at], probability[at], drawn[at])
        if large > 0:
            _from_normal(mean[at], words[0, at], words[3, at], first_pixel + first, key, table, normal[at], drawn[at])


@numba.njit(nogil=True, cache=True)
def _mean(red, green, blue, even, odd, gain, hot, n, chip, light, mean):  # type: ignore[no-untyped-def]
    """Mean electrons of a sensor row, as `sensor.mean_row`, from a frame row's light of three bands."""
    for x in range(light.shape[0]):
        total = (odd[0] if x & 1 else even[0]) * red[x] + (odd[1] if x & 1 else even[1]) * green[x]
        light[x] = total + (odd[2] if x & 1 else even[2]) * blue[x]
    if n == 1:
        for x in range(mean.shape[0]):
            mean[x] = max(light[x] * gain[x] + (chip.dark_e + hot[x] * chip.exposure_s), 0.0)
    else:
        for x in range(mean.shape[0]):
            seen = light[(x >> 1) // n * 2 + (x & 1)]
            mean[x] = max(seen * gain[x] + (chip.dark_e + hot[x] * chip.exposure_s), 0.0)


@numba.njit(nogil=True, cache=True)
def _capture(start, stop, image, weights, maps, lines, chip, out, tables, n, key, counts):  # type: ignore[no-untyped-def]
    """Rows of a frame: light of three bands → counts; n×n sensor pixels of a colour add up."""
    gain, hot, offset = maps
    rows, columns = lines
    width = counts.shape[1] * n
    words, u, probability = np.empty((4, width), np.uint32), np.empty(width), np.empty(width)
    light, mean, electrons, noise = np.empty(width // n), np.empty(width), np.empty(width), np.empty(width)
    line = np.empty(width, np.uint16)
    for row in range(start, stop):
        parity = row & 1
        even, odd = weights[parity, 0], weights[parity, 1]
        counts[row] = 0
        for j in range(n):
            y = readout.sensor_row(row, j, n)
            streams.words_row(y * width, key[0], key[1], words)
            _mean(image[0, row], image[1, row], image[2, row], even, odd, gain[y], hot[y], n, chip, light, mean)
            if chip.shot_noise:
                _begin_inversion(mean, words, u, probability)
                _poisson(mean, words, y * width, key, u, probability, tables[0], noise, electrons)
            else:
                electrons[:] = mean
            _draw(words[2], tables[1], out.gaussian, out.tukey_lambda, noise)
            _count(electrons, offset[y], rows[y], columns, parity, chip, out, noise, line)
            readout.bin_row(line, n, counts[row])


@numba.njit(nogil=True, cache=True)
def _count(electrons, offset_e, row_dn, columns_dn, parity, chip, out, noise, line):  # type: ignore[no-untyped-def]
    """`readout.counts_row` with its read noise drawn already, the well's cut included."""
    even, odd = out.pedestal_dn[parity * 2] + row_dn + 0.5, out.pedestal_dn[parity * 2 + 1] + row_dn + 0.5
    for x in range(line.shape[0]):
        level = (min(electrons[x], chip.full_well_e) + offset_e[x]) * out.gain_dn_per_e + out.sigma_dn * noise[x]
        level += columns_dn[x] + (odd if x & 1 else even)
        line[x] = np.uint16(np.int32(min(max(level, 0.0), out.white_dn)))  # toward 0, which is down here


def capture(
    image: Float32[np.ndarray, "3 height width"],
    weights: Float64[np.ndarray, "4 3"],
    maps: sensor.FixedMaps,
    lines: readout.LineNoise,
    chip: sensor.SensorNumbers,
    out: readout.ReadoutNumbers,
    key: tuple[int, int],
    binning: int = 1,
) -> Counts:
    """Light of three bands → counts, with the laws of `isp_sim.camera.capture`.

    Args:
        image: the light at each pixel of the frame.
        weights: electrons that a unit of each band gives a frame pixel at every place of the 2×2 tile.
        maps: fixed maps, `(height·n, width·n)`; `gain` may have the lens's vignetting in it.
        lines: the sensor's row and column noise.
        chip: the sensor's numbers for the exposure; their efficiency is not used, `weights` have it.
        out: the readout's numbers for the gain.
        key: Philox key.
        binning: n.
    """
    counts = np.empty(image.shape[1:], np.uint16)
    by_tile = np.ascontiguousarray(weights.reshape(2, 2, 3)) / binning**2
    planes = (maps.gain, maps.hot_e_per_s, maps.offset_e), (lines.rows_dn, lines.columns_dn)
    tables = quantiles(True, 0.0), quantiles(out.gaussian, out.tukey_lambda)
    in_rows(_capture, len(counts), image, by_tile, *planes, chip, out, tables, binning, key, counts)
    return Counts(counts)
