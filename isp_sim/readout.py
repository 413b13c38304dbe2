"""Electrons → counts: offsets, read and row noise, gain, black level, ADC. Quantised once, clipped once.

    DN = clip(⌊(e⁻ + DSNU)·K + n_read + n_row + n_column + n_periodic + bias + black + ½⌋, 0, 2^bits − 1)

with K = K_0dB · 10^(gain/20). Row and column noise live on the mosaic's own rows and columns and are new in every
frame; DSNU, with its rows and columns, is the camera's own (`sensor.fixed_maps`). The read noise is Gaussian or
Tukey-λ (Wei et al., *A physics-based noise formation model*, CVPR 2020), its σ in DN a line in ln K for each gain
segment.
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
from isp_sim.parallel_rows import in_rows
from isp_sim.rig import NoiseLaw, NoiseSegment, Sensor
from isp_sim.units import Counts, Electrons


class ReadoutNumbers(NamedTuple):
    """What a kernel needs to know of the readout at one gain.

    Attributes:
        gain_dn_per_e: system gain K.
        sigma_dn: scale of the read noise; with `gaussian` its standard deviation.
        tukey_lambda: its shape, unused with `gaussian`.
        gaussian: which law.
        pedestal_dn: black level + bias of each pixel of the 2×2 tile.
        white_dn: the ADC's top.
    """

    gain_dn_per_e: float
    sigma_dn: float
    tukey_lambda: float
    gaussian: bool
    pedestal_dn: tuple[float, float, float, float]
    white_dn: float


@dataclass(frozen=True)
class LineNoise:
    """One frame's row and column offsets, DN, float32 `(height,)` and `(width,)`."""

    rows_dn: Float32[np.ndarray, " height"]
    columns_dn: Float32[np.ndarray, " width"]


def system_gain(sensor: Sensor, gain_db: float) -> float:
    """K in DN/e⁻: `K_0dB · 10^(gain/20)`."""
    return float(sensor.gain_dn_per_e.value * 10 ** (gain_db / 20))


def noise_at(law: NoiseLaw, k_dn_per_e: float, *camera: int | str) -> tuple[float, float | None]:
    """Scale (DN) and Tukey λ (None: Gaussian) of a noise at gain K.

    The scatter about the line is the camera's own at that gain: drawn from its key, not for each frame.

    Args:
        law: segments; the last whose `from_k_dn_per_e` is not above K holds.
        k_dn_per_e: system gain.
        camera: serial and the name of the noise.
    """
    if not law:
        return 0.0, None
    below = [segment for segment in law if segment.from_k_dn_per_e <= k_dn_per_e * (1 + 1e-9)]
    segment = max(below or law[:1], key=lambda s: s.from_k_dn_per_e)
    scatter = streams.generator(0, *camera, repr(round(k_dn_per_e, 9))).standard_normal()
    ln_sigma = segment.ln_sigma_slope * math.log(k_dn_per_e) + segment.ln_sigma_intercept
    return math.exp(ln_sigma + segment.ln_sigma_spread * scatter), _tukey_lambda(segment, k_dn_per_e)


def _tukey_lambda(segment: NoiseSegment, k_dn_per_e: float) -> float | None:
    if segment.tukey_lambda is None:
        return None
    ln_k, shapes = zip(*segment.tukey_lambda, strict=True)
    return float(np.interp(math.log(k_dn_per_e), ln_k, shapes))


def numbers(sensor: Sensor, gain_db: float, serial: str) -> ReadoutNumbers:
    """The kernel's numbers for one camera at one gain.

    Raises:
        ValueError: the gain is outside the sensor's range.
    """
    if not 0 <= gain_db <= sensor.max_gain_db.value + 1e-9:
        raise ValueError(f"gain {gain_db} dB: {sensor.name} allows 0 to {sensor.max_gain_db.value} dB")
    k_dn_per_e = system_gain(sensor, gain_db)
    sigma_dn, shape = noise_at(sensor.read_noise.value, k_dn_per_e, serial, "read noise")
    black = sensor.black_level_dn.value
    first, second, third, fourth = (black + bias for bias in sensor.black_bias_dn.value)
    return ReadoutNumbers(
        gain_dn_per_e=k_dn_per_e,
        sigma_dn=sigma_dn,
        tukey_lambda=shape if shape is not None else 0.0,
        gaussian=shape is None,
        pedestal_dn=(first, second, third, fourth),
        white_dn=float(sensor.white_level_dn),
    )


def line_noise(
    sensor: Sensor, gain_db: float, serial: str, height: int, width: int, stream: np.random.Generator
) -> LineNoise:
    """Draw one frame's row, column and periodic noise.

    Rows: `N(0, σ_row) + A · sin(2π y / period + φ)`, φ uniform; columns: `N(0, σ_column)`.
    """
    k_dn_per_e = system_gain(sensor, gain_db)
    row_sigma, _ = noise_at(sensor.row_noise.value, k_dn_per_e, serial, "row noise")
    column_sigma, _ = noise_at(sensor.column_noise.value, k_dn_per_e, serial, "column noise")
    wave = sensor.periodic_noise.value
    phase = stream.uniform(0, 2 * math.pi)
    periodic = wave.amplitude_dn * np.sin(2 * math.pi * np.arange(height) / wave.period_rows + phase)
    return LineNoise(
        rows_dn=(row_sigma * stream.standard_normal(height) + periodic).astype(np.float32),
        columns_dn=(column_sigma * stream.standard_normal(width)).astype(np.float32),
    )


@numba.njit(inline="always")
def tukey_quantile(p, shape):  # type: ignore[no-untyped-def]
    """Tukey-λ quantile: `(p^λ − (1−p)^λ)/λ`, the logistic `ln(p/(1−p))` at λ = 0."""
    if abs(shape) < 1e-9:
        return math.log(p / (1.0 - p))
    return (p**shape - (1.0 - p) ** shape) / shape


def tukey_std(shape: float) -> float:
    """Standard deviation of the Tukey-λ law of scale 1; finite for λ > −½.

    `σ² = 2/λ² · (1/(1 + 2λ) − Γ(λ+1)²/Γ(2λ+2))`, and π²/3 at λ = 0.
    """
    if abs(shape) < 1e-4:
        return math.pi / math.sqrt(3)
    gamma = math.gamma(shape + 1) ** 2 / math.gamma(2 * shape + 2)
    return math.sqrt(2 / shape**2 * (1 / (1 + 2 * shape) - gamma))


@numba.njit(nogil=True, cache=True)
def _noise_row(words, out, noise):  # type: ignore[no-untyped-def]
    """Read noise of one row in units of its scale, from the third words of the pixels' blocks."""
    width = noise.shape[0]
    if not out.gaussian:
        for x in range(width):
            noise[x] = tukey_quantile(streams.unit(words[2, x]), out.tukey_lambda)
        return
    for x in range(width):
        noise[x] = streams.unit(words[2, x])
    streams.normal_row(noise)


@numba.njit(nogil=True, cache=True)
def counts_row(electrons, offset_e, row_dn, columns_dn, parity, words, out, noise, counts):  # type: ignore[no-untyped-def]
    """Counts of one sensor row: the line at the head of this file. `noise` is room for the row's numbers."""
    _noise_row(words, out, noise)
    even, odd = out.pedestal_dn[parity * 2], out.pedestal_dn[parity * 2 + 1]
    for x in range(counts.shape[0]):
        level = (electrons[x] + offset_e[x]) * out.gain_dn_per_e + out.sigma_dn * noise[x]
        level += row_dn + columns_dn[x] + (odd if x & 1 else even)
        counts[x] = np.uint16(min(max(math.floor(level + 0.5), 0.0), out.white_dn))


@numba.njit(inline="always")
def sensor_row(frame_row, j, n):  # type: ignore[no-untyped-def]
    """Of the n sensor rows that a frame row is binned from, all of its colours, the j-th."""
    return (frame_row >> 1) * 2 * n + (frame_row & 1) + 2 * j


@numba.njit(inline="always")
def bin_row(line, n, counts):  # type: ignore[no-untyped-def]
    """Add a sensor row's counts to its frame row's: n pixels of a colour, 2 apart, are one."""
    if n == 1:
        for x in range(counts.shape[0]):
            counts[x] += line[x]
    else:
        for x in range(line.shape[0]):
            counts[(x >> 1) // n * 2 + (x & 1)] += line[x]


@numba.njit(nogil=True, cache=True)
def _digitise(start, stop, electrons, offset_e, rows_dn, columns_dn, out, key0, key1, counts):  # type: ignore[no-untyped-def]
    width = electrons.shape[1]
    words, noise = np.empty((4, width), np.uint32), np.empty(width)
    for y in range(start, stop):
        streams.words_row(y * width, key0, key1, words)
        counts_row(electrons[y], offset_e[y], rows_dn[y], columns_dn, y & 1, words, out, noise, counts[y])


def digitise(
    electrons: Electrons,
    offset_e: Float32[np.ndarray, "height width"],
    lines: LineNoise,
    readout: ReadoutNumbers,
    key: tuple[int, int],
) -> Counts:
    """Electrons → counts on the CPU.

    Args:
        electrons: whole electrons, `(height, width)`.
        offset_e: the camera's DSNU map, e⁻: pixels, rows and columns.
        lines: the frame's row and column noise, DN.
        readout: gain, noise, levels.
        key: Philox key of the shot; read noise takes the third word of each pixel's block, shot noise the
            first two.
    """
    counts = np.empty(electrons.shape, np.uint16)
    in_rows(
        _digitise,
        len(counts),
        electrons,
        offset_e,
        lines.rows_dn,
        lines.columns_dn,
        readout,
        key[0],
        key[1],
        counts,
    )
    return Counts(counts)


def digitise_torch(
    electrons: Tensor, offset_e: Tensor, lines: LineNoise, readout: ReadoutNumbers, stream: torch.Generator
) -> Tensor:
    """Electrons → counts on the tensors' device: `digitise`'s law with torch's own numbers; int32."""
    device, dtype = electrons.device, electrons.dtype
    if readout.gaussian:
        noise = torch.randn(electrons.shape, generator=stream, device=device, dtype=dtype)
    else:
        p = torch.rand(electrons.shape, generator=stream, device=device, dtype=torch.float64)
        p, shape = p.clamp(1e-12, 1 - 1e-12), readout.tukey_lambda
        noise = torch.logit(p) if abs(shape) < 1e-9 else (p**shape - (1 - p) ** shape) / shape
    rows = torch.from_numpy(lines.rows_dn).to(device)
    columns = torch.from_numpy(lines.columns_dn).to(device)
    pedestal = torch.tensor(readout.pedestal_dn, dtype=dtype, device=device).reshape(2, 2)
    height, width = electrons.shape
    level = (electrons + offset_e) * readout.gain_dn_per_e + readout.sigma_dn * noise.to(dtype)
    level += rows[:, None] + columns + pedestal.repeat(height // 2, width // 2)
    return torch.floor(level + 0.5).clamp(0, readout.white_dn).to(torch.int32)
