"""Photons → electrons: colour filter array, quantum efficiency, dark current, shot noise, fixed maps, well.

For pixel p behind a filter of colour c, with t the exposure:

    e⁻ ~ min(Poisson(QE_c · photons_c · (1 + PRNU_p) + (dark + hot_p) · t), full well)

`electrons_at` is that line for one pixel; the array functions here and the fused kernel in `camera.py` loop
over it, `expose_torch` is the same law on any torch device (same distributions, other numbers).
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
from isp_sim.rig import Sensor
from isp_sim.rows import in_rows
from isp_sim.units import Electrons, Photons

BANDS = {"R": 0, "G": 1, "B": 2}


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
        gain: PRNU, `1 + N(0, σ)`, float32 `(height, width)`.
        offset_e: DSNU, `N(0, σ)`, e⁻; added at readout.
        hot_e_per_s: extra dark current of hot pixels, e⁻/s; zero elsewhere.
    """

    gain: Float32[np.ndarray, "height width"]
    offset_e: Float32[np.ndarray, "height width"]
    hot_e_per_s: Float32[np.ndarray, "height width"]


def fixed_maps(sensor: Sensor, serial: str, height: int, width: int) -> FixedMaps:
    """The maps of the camera `serial`; the same on every machine."""
    shape = (height, width)
    gain = streams.generator(0, serial, "prnu").standard_normal(shape, dtype=np.float32)
    offset = streams.generator(0, serial, "dsnu").standard_normal(shape, dtype=np.float32)
    hot_stream = streams.generator(0, serial, "hot pixels")
    hot = np.zeros(shape, np.float32)
    count = hot_stream.binomial(hot.size, min(1.0, sensor.hot_pixels_per_million.value * 1e-6))
    where = hot_stream.choice(hot.size, size=count, replace=False)
    hot.ravel()[where] = hot_stream.exponential(sensor.hot_pixel_e_per_s.value, size=count)
    return FixedMaps(
        gain=np.float32(1) + np.float32(sensor.prnu_percent.value / 100) * gain,
        offset_e=np.float32(sensor.dsnu_e.value) * offset,
        hot_e_per_s=hot,
    )


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


@numba.njit(inline="always")
def mean_electrons_at(photons, gain, hot_e_per_s, band, sensor):  # type: ignore[no-untyped-def]
    """Mean electrons before the well fills: `QE · photons · gain + dark + hot · t`, never below 0."""
    mean = sensor.efficiency[band] * photons * gain + sensor.dark_e + hot_e_per_s * sensor.exposure_s
    return max(mean, 0.0)


@numba.njit
def poisson_retry(mean, pixel, key0, key1, slope, base, log_alpha):  # type: ignore[no-untyped-def]
    """Steps 3 of PTRS: what the squeeze did not accept, with fresh words for each try."""
    log_mean = math.log(mean)
    draw = 0
    while True:
        first, second, _, _ = streams.philox(pixel, draw, key0, key1)
        u, v = streams.unit(first) - 0.5, streams.unit(second)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * slope / us + base) * u + mean + 0.43)
        draw += 1
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (base - 2.0):
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v) + log_alpha - math.log(slope / (us * us) + base) <= (k * log_mean - mean - math.lgamma(k + 1.0)):
            return k


@numba.njit(inline="always")
def poisson(mean, first, second, pixel, key0, key1):  # type: ignore[no-untyped-def]
    """One exact Poisson number from the pixel's first two words.

    Below 10 by inversion, above by Hörmann's transformed rejection with squeeze (PTRS, *Insurance:
    Mathematics and Economics* 12, 1993): nine of ten numbers are accepted without a logarithm.
    """
    if mean < 10.0:
        u = streams.unit53(first, second)
        probability = math.exp(-mean)
        k = 0
        while u > probability and k < 100:
            u -= probability
            k += 1
            probability *= mean / k
        return np.float64(k)
    base = 0.931 + 2.53 * math.sqrt(mean)
    slope = -0.059 + 0.02483 * base
    u, v = streams.unit(first) - 0.5, streams.unit(second)
    us = 0.5 - abs(u)
    if us >= 0.07 and v <= 0.9277 - 3.6224 / (base - 2.0):
        return np.float64(math.floor((2.0 * slope / us + base) * u + mean + 0.43))
    log_alpha = math.log(1.1239 + 1.1328 / (base - 3.4))
    return np.float64(poisson_retry(mean, pixel, key0, key1, slope, base, log_alpha))


@numba.njit(inline="always")
def electrons_at(photons, gain, hot_e_per_s, band, sensor, first, second, pixel, key0, key1):  # type: ignore[no-untyped-def]
    """Electrons of one pixel: a Poisson number about its mean, cut at the full well."""
    mean = mean_electrons_at(photons, gain, hot_e_per_s, band, sensor)
    drawn = poisson(mean, first, second, pixel, key0, key1) if sensor.shot_noise else mean
    return min(drawn, sensor.full_well_e)


@numba.njit(nogil=True, cache=True)
def _expose(start, stop, photons, gain, hot, sensor, key0, key1, electrons):  # type: ignore[no-untyped-def]
    width = electrons.shape[1]
    for y in range(start, stop):
        for x in range(width):
            band = sensor.band[(y & 1) * 2 + (x & 1)]
            pixel = y * width + x
            first, second, _, _ = streams.philox(pixel, 0, key0, key1)
            electrons[y, x] = electrons_at(
                photons[y, x, band], gain[y, x], hot[y, x], band, sensor, first, second, pixel, key0, key1
            )


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
    """Expectation of the electrons before the well fills, as `mean_electrons_at`, on any torch device.

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
