"""Photons → electrons: colour filter array, quantum efficiency, dark current, shot noise, fixed maps, well.

For pixel p behind a filter of colour c, with t the exposure:

    e⁻ ~ min(Poisson(QE_c · photons_c · (1 + PRNU_p) + (dark + hot_p) · t), full well)

`mean_row` and `electrons_row` are that line for a row of pixels; `expose` and the fused kernel in `camera.py` loop
over them, `expose_torch` is the same law on any torch device (same distributions, other numbers).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from isp_sim import streams
from isp_sim.faults import DefectList
from isp_sim.parallel_rows import in_rows
from isp_sim.rig import Sensor
from isp_sim.units import Electrons, Photons

BANDS = {"R": 0, "G": 1, "B": 2}
NORMAL_FROM = 10.0  # mean from which Poisson numbers are made of normal ones; PD holds from 10 on


class SensorNumbers(NamedTuple):
    """What a kernel needs to know of the sensor for one exposure.

    Attributes:
        band: band (0 R, 1 G, 2 B) of each pixel of the 2×2 tile.
        efficiency: quantum efficiency of R, G, B pixels.
        dark_e: mean dark electrons of an ordinary pixel during the exposure.
        exposure_s: exposure time, s; the hot map is in e⁻/s.
        full_well_e: electrons a well holds.
        shot_noise: `False` gives means instead of Poisson numbers.
    """

    band: tuple[int, int, int, int]
    efficiency: tuple[float, float, float]
    dark_e: float
    exposure_s: float
    full_well_e: float
    shot_noise: bool


@dataclass(frozen=True)
class FixedMaps:
    """What is the same in every frame of one camera, drawn once from its serial number.

    Attributes:
        gain: 1 + PRNU, float32 `(height, width)`; 0 where no light is seen.
        offset_e: DSNU, e⁻; added at readout. The charge of a stuck pixel is in it.
        hot_e_per_s: extra dark current of hot pixels, e⁻/s; zero elsewhere.
    """

    gain: Float32[np.ndarray, "height width"]
    offset_e: Float32[np.ndarray, "height width"]
    hot_e_per_s: Float32[np.ndarray, "height width"]


def fixed_maps(sensor: Sensor, serial: str, height: int, width: int, listed: DefectList | None = None) -> FixedMaps:
    """The maps of the camera `serial`; the same on every machine.

    DSNU and PRNU are pixel, row and column parts (EMVA 1288 release 4), each Gaussian with its own σ:

        map_yx = σ_pixel · N_yx + σ_row · N_y + σ_column · N_x

    Args:
        sensor: the figures.
        serial: the camera; each has maps of its own.
        height: of the sensor in its own rows, before binning.
        width: likewise in its columns.
        listed: its defects, hot pixels among them; absent: they are drawn.
    """
    shape = (height, width)
    gain_percent = (sensor.prnu_percent.value, sensor.prnu_row_percent.value, sensor.prnu_column_percent.value)
    offset_e = (sensor.dsnu_e.value, sensor.dsnu_row_e.value, sensor.dsnu_column_e.value)
    maps = FixedMaps(
        gain=np.float32(1) + _nonuniformity(serial, "prnu", shape, *(percent / 100 for percent in gain_percent)),
        offset_e=_nonuniformity(serial, "dsnu", shape, *offset_e),
        hot_e_per_s=_hot_pixels(sensor, serial, shape) if listed is None else np.zeros(shape, np.float32),
    )
    defects = drawn_defects(sensor, serial, height, width) if listed is None else listed
    for x, y in defects.dead:
        maps.gain[y, x] = 0
    for x, y, share in defects.stuck:
        maps.gain[y, x], maps.offset_e[y, x] = 0, share * sensor.full_well_e.value
    for x, y, e_per_s in defects.hot:
        maps.hot_e_per_s[y, x] = e_per_s
    maps.gain[list(defects.dead_rows)] = 0
    maps.gain[:, list(defects.dead_columns)] = 0
    return maps


def _hot_pixels(sensor: Sensor, serial: str, shape: tuple[int, int]) -> Float32[np.ndarray, "height width"]:
    """A camera's hot pixels: exponential extra currents, e⁻/s."""
    stream = streams.generator(0, serial, "hot pixels")
    hot = np.zeros(shape, np.float32)
    count = stream.binomial(hot.size, min(1.0, sensor.hot_pixels_per_million.value * 1e-6))
    where = stream.choice(hot.size, size=count, replace=False)
    hot.ravel()[where] = stream.exponential(sensor.hot_pixel_e_per_s.value, size=count)
    return hot


def drawn_defects(sensor: Sensor, serial: str, height: int, width: int) -> DefectList:
    """The dead and stuck pixels and dead lines of the camera `serial`, as `sensor.defects` says; no hot ones."""
    if sensor.defects is None:
        return DefectList()
    many, pixels = sensor.defects.value, height * width

    def places(kind: str, per_million: float) -> tuple[np.random.Generator, list[tuple[int, int]]]:
        stream = streams.generator(0, serial, kind)
        where = stream.choice(pixels, size=stream.binomial(pixels, per_million * 1e-6), replace=False)
        return stream, [(int(at % width), int(at // width)) for at in where]

    def lines(kind: str, count: int, of: int) -> tuple[int, ...]:
        return tuple(sorted(streams.generator(0, serial, kind).choice(of, size=min(count, of), replace=False).tolist()))

    _, dead = places("dead pixels", many.dead_per_million)
    stream, stuck = places("stuck pixels", many.stuck_per_million)
    shares = stream.uniform(size=len(stuck)).tolist()
    return DefectList(
        dead=tuple(dead),
        stuck=tuple((x, y, share) for (x, y), share in zip(stuck, shares, strict=True)),
        dead_rows=lines("dead rows", many.dead_rows, height),
        dead_columns=lines("dead columns", many.dead_columns, width),
    )


def _nonuniformity(
    serial: str, name: str, shape: tuple[int, int], pixel: float, row: float, column: float
) -> Float32[np.ndarray, "height width"]:
    """A camera's `σ_pixel · N_yx + σ_row · N_y + σ_column · N_x`; every part has a stream of its own."""
    plane = streams.generator(0, serial, name).standard_normal(shape, dtype=np.float32)
    plane *= np.float32(pixel)
    rows = streams.generator(0, serial, f"{name} rows").standard_normal((shape[0], 1), dtype=np.float32)
    columns = streams.generator(0, serial, f"{name} columns").standard_normal(shape[1], dtype=np.float32)
    plane += np.float32(row) * rows
    plane += np.float32(column) * columns
    return plane


def numbers(sensor: Sensor, exposure_us: float, temperature_c: float) -> SensorNumbers:
    """The kernel's numbers; dark current `I(T) = I(T_ref) · 2^((T − T_ref)/doubling)` (EMVA 1288)."""
    kelvin_above = temperature_c - sensor.dark_current_reference_c.value
    dark_e_per_s = sensor.dark_current_e_per_s.value * 2 ** (kelvin_above / sensor.dark_current_doubling_k.value)
    first, second, third, fourth = (BANDS[colour] for colour in sensor.cfa)
    return SensorNumbers(
        band=(first, second, third, fourth),
        efficiency=sensor.quantum_efficiency.value,
        dark_e=dark_e_per_s * exposure_us * 1e-6,
        exposure_s=exposure_us * 1e-6,
        full_well_e=sensor.full_well_e.value,
        shot_noise=sensor.shot_noise,
    )


@numba.njit(nogil=True, cache=True)
def mean_row(photons, gain, hot_e_per_s, parity, n, chip, mean):  # type: ignore[no-untyped-def]
    """Mean electrons of one sensor row before the wells fill: `QE · photons/n² · gain + dark + hot · t`, ≥ 0.

    `photons` are a frame row's, `(width/n, 3)`; with binning n frame pixel b of either parity lights the sensor
    pixels `(b//2)·2n + b%2 + 2i`, i < n. `parity` is the sensor row's.
    """
    for phase in range(2):
        band = chip.band[parity * 2 + phase]
        efficiency = chip.efficiency[band] / (n * n)
        for tile in range(photons.shape[0] // 2):
            light = photons[2 * tile + phase, band] * efficiency
            for i in range(n):
                x = 2 * (tile * n + i) + phase
                mean[x] = max(light * gain[x] + (chip.dark_e + hot_e_per_s[x] * chip.exposure_s), 0.0)


@numba.njit(inline="always")
def _poisson_probability(k, mean):  # type: ignore[no-untyped-def]
    """`e^−μ μ^k / k!`."""
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0))


@numba.njit(inline="always")
def _normal_probability(k, mean):  # type: ignore[no-untyped-def]
    """Probability that `⌊N(μ, √μ)⌋` is k: `½ erfc(a) − ½ erfc(b)` on the side where both are small."""
    low, high = (k - mean) / math.sqrt(2 * mean), (k + 1 - mean) / math.sqrt(2 * mean)
    if low > 0:
        return 0.5 * (math.erfc(low) - math.erfc(high))
    return 0.5 * (math.erfc(-high) - math.erfc(-low))


@numba.njit(nogil=True, cache=True)
def poisson_remainder(mean, k, u, pixel, key0, key1):  # type: ignore[no-untyped-def]
    """The rare end of PD: accept k = ⌊normal⌋ if 1 − u is below Poisson/normal, else draw from what the Poisson
    law has in excess of the normal one, under a double-exponential hat; fresh words for each try.
    """
    if k >= 0 and (1.0 - u) * _normal_probability(k, mean) <= _poisson_probability(k, mean):
        return k
    spread, draw = math.sqrt(mean), 0
    while True:
        draw += 1
        first, second, _, _ = streams.philox(pixel, draw, key0, key1)
        exponential = -math.log(streams.unit(first))
        side = 2.0 * streams.unit(second) - 1.0
        t = 1.8 + math.copysign(exponential, side)
        if t > -0.6744:
            k = math.floor(mean + spread * t)
            excess = _poisson_probability(k, mean) - _normal_probability(k, mean)
            if 0.1069 / mean * abs(side) <= excess * math.exp(exponential):
                return k


@numba.njit(nogil=True, cache=True)
def _poisson_from_normal(mean, words, first_pixel, key0, key1, drawn):  # type: ignore[no-untyped-def]
    """Means from `NORMAL_FROM`: a rounded-down normal number is accepted outright in all but a few of 100 pixels."""
    where = np.nonzero(mean >= NORMAL_FROM)[0]
    count = where.shape[0]
    normal, u, m, refused = np.empty(count), np.empty(count), np.empty(count), np.empty(count, np.bool_)
    for i in range(count):
        x = where[i]
        normal[i] = streams.unit53(words[0, x], words[1, x])
        u[i] = streams.unit(words[3, x])
        m[i] = mean[x]
    streams.normal_row(normal)
    for i in range(count):
        k = math.floor(m[i] + math.sqrt(m[i]) * normal[i])
        short = m[i] - k
        enough = (k >= math.floor(m[i] - 1.1484)) | (6 * m[i] * m[i] * u[i] >= short * short * short)
        refused[i] = (k < 0) | (not enough)
        normal[i] = k
    for i in range(count):
        if refused[i]:
            normal[i] = poisson_remainder(m[i], normal[i], u[i], first_pixel + where[i], key0, key1)
        drawn[where[i]] = normal[i]


@numba.njit(nogil=True, cache=True)
def _poisson_by_inversion(mean, words, drawn):  # type: ignore[no-untyped-def]
    """Means below `NORMAL_FROM`: count how many steps of the distribution function lie below u."""
    where = np.nonzero(mean < NORMAL_FROM)[0]
    count = where.shape[0]
    u, probability, m, k = np.empty(count), np.empty(count), np.empty(count), np.zeros(count)
    for i in range(count):
        x = where[i]
        u[i] = streams.unit53(words[0, x], words[1, x])
        m[i] = mean[x]
        probability[i] = math.exp(-m[i])
    step, still_open = 0, count
    while still_open > 0 and step < 100:  # 100 is 28 σ above the largest mean
        step += 1
        still_open = 0
        for i in range(count):
            above = u[i] > probability[i]
            u[i] = u[i] - probability[i] if above else -1.0
            k[i] += 1.0 if above else 0.0
            probability[i] *= m[i] / step
            still_open += above
    for i in range(count):
        drawn[where[i]] = k[i]


@numba.njit(nogil=True, cache=True)
def electrons_row(mean, words, first_pixel, key0, key1, chip, electrons):  # type: ignore[no-untyped-def]
    """Electrons of one sensor row: exact Poisson numbers about their means, cut at the full well.

    By inversion below a mean of 10, above from normal numbers corrected to the Poisson law (PD: Ahrens & Dieter,
    *ACM Transactions on Mathematical Software* 8, 1982; the correction here with exact probabilities). Written in
    passes over the row, which compilers turn into vectors.
    """
    if not chip.shot_noise:
        electrons[:] = mean
    else:
        if mean.max() >= NORMAL_FROM:
            _poisson_from_normal(mean, words, first_pixel, key0, key1, electrons)
        if mean.min() < NORMAL_FROM:
            _poisson_by_inversion(mean, words, electrons)
    for x in range(electrons.shape[0]):
        electrons[x] = min(electrons[x], chip.full_well_e)


@numba.njit(nogil=True, cache=True)
def _expose(start, stop, photons, gain, hot, chip, key0, key1, electrons):  # type: ignore[no-untyped-def]
    width = electrons.shape[1]
    words, mean, drawn = np.empty((4, width), np.uint32), np.empty(width), np.empty(width)
    for y in range(start, stop):
        streams.words_row(y * width, key0, key1, words)
        mean_row(photons[y], gain[y], hot[y], y & 1, 1, chip, mean)
        electrons_row(mean, words, y * width, key0, key1, chip, drawn)
        electrons[y] = drawn


def expose(photons: Photons, maps: FixedMaps, sensor: SensorNumbers, key: tuple[int, int]) -> Electrons:
    """Photons → electrons: the law at the head of this file, on the CPU.

    Args:
        photons: mean photons at each pixel in each band, `(height, width, 3)`.
        maps: the camera's fixed maps, same height and width.
        sensor: the exposure's numbers.
        key: Philox key of the shot (`streams.key_words`).

    Returns:
        Whole electrons, float32 `(height, width)`.

    Raises:
        ValueError: photons and maps differ in size.
    """
    if photons.shape[:2] != maps.gain.shape:
        raise ValueError(f"photons are {photons.shape[:2]} pixels, the camera's maps {maps.gain.shape}")
    electrons = np.empty(photons.shape[:2], np.float32)
    in_rows(_expose, len(electrons), photons, maps.gain, maps.hot_e_per_s, sensor, key[0], key[1], electrons)
    return Electrons(electrons)


def through_cfa(planes: Tensor, band: tuple[int, int, int, int]) -> Tensor:
    """`(height, width, 3)` → `(height, width)`: each pixel keeps the band of its filter."""
    mosaic = torch.empty_like(planes[..., 0])
    for position, colour in enumerate(band):
        y, x = divmod(position, 2)
        mosaic[y::2, x::2] = planes[y::2, x::2, colour]
    return mosaic


def mean_electrons(photons: Tensor, gain: Tensor, hot_e_per_s: Tensor, sensor: SensorNumbers) -> Tensor:
    """Expectation of the electrons before the well fills, as `mean_row`, on any torch device.

    Args:
        photons: `(height, width, 3)`.
        gain: PRNU map, `(height, width)`.
        hot_e_per_s: hot pixels' extra dark current, `(height, width)`.
        sensor: the exposure's numbers.
    """
    efficiency = torch.tensor(sensor.efficiency, dtype=photons.dtype, device=photons.device)
    seen = through_cfa(photons * efficiency, sensor.band) * gain
    return (seen + sensor.dark_e + hot_e_per_s * sensor.exposure_s).clamp_min(0)


def expose_torch(
    photons: Tensor, gain: Tensor, hot_e_per_s: Tensor, sensor: SensorNumbers, stream: torch.Generator
) -> Tensor:
    """Photons → electrons on the tensors' device: `expose`'s law with torch's own Poisson numbers."""
    mean = mean_electrons(photons, gain, hot_e_per_s, sensor)
    drawn = torch.poisson(mean, generator=stream) if sensor.shot_noise else mean
    return drawn.clamp_max(sensor.full_well_e)
