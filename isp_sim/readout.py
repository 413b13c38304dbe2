"""Electrons → counts: offsets, read and row noise, gain, black level, ADC. Quantised once, clipped once.

    DN = clip(⌊(e⁻ + DSNU)·K + n_read + n_row + n_column + n_periodic + bias + black + ½⌋, 0, 2^bits − 1)

with K = K_0dB · 10^(gain/20). Row and column noise live on the mosaic's own rows and columns. The read noise
is Gaussian or Tukey-λ (Wei et al., *A physics-based noise formation model*, CVPR 2020), its σ in DN a line
in ln K for each gain segment.
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
from isp_sim.rig import NoiseLaw, NoiseSegment, Sensor
from isp_sim.rows import in_rows
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
def normal_quantile(p):  # type: ignore[no-untyped-def]
    """Standard normal quantile, relative error below 1e-15 (Wichura, AS 241, 1988)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
              + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
              + 133.14166789178437745) * r + 3.387132872796366608  # fmt: skip
        bottom = ((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
              + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
              + 42.313330701600911252) * r + 1.0  # fmt: skip
        return q * top / bottom
    r = math.sqrt(-math.log(min(p, 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        top = ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r
              + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r
              + 4.6303378461565452959) * r + 1.42343711074968357734  # fmt: skip
        bottom = ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
              + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455) * r
              + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0  # fmt: skip
    else:
        r -= 5.0
        top = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
              + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123) * r
              + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772  # fmt: skip
        bottom = ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
              + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r
              + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0  # fmt: skip
    return math.copysign(top / bottom, q)


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


@numba.njit(inline="always")
def counts_at(electrons, offset_e, line_dn, position, readout, word):  # type: ignore[no-untyped-def]
    """Counts of one pixel: the line at the head of this file."""
    p = streams.unit(word)
    quantile = normal_quantile(p) if readout.gaussian else tukey_quantile(p, readout.tukey_lambda)
    level = (electrons + offset_e) * readout.gain_dn_per_e + readout.sigma_dn * quantile
    level += line_dn + readout.pedestal_dn[position]
    return np.uint16(min(max(math.floor(level + 0.5), 0.0), readout.white_dn))


@numba.njit(nogil=True, cache=True)
def _digitise(start, stop, electrons, offset_e, rows_dn, columns_dn, readout, key0, key1, counts):  # type: ignore[no-untyped-def]
    width = electrons.shape[1]
    for y in range(start, stop):
        for x in range(width):
            _, _, word, _ = streams.philox(y * width + x, 0, key0, key1)
            line_dn = rows_dn[y] + columns_dn[x]
            counts[y, x] = counts_at(electrons[y, x], offset_e[y, x], line_dn, (y & 1) * 2 + (x & 1), readout, word)


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
        offset_e: the camera's DSNU map, e⁻.
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
