"""Noise of grey patches: signal-to-noise ratio, dynamic range (ISO 15739), noise power spectrum."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from isp_sim.quality.tone import Array, luma

CHROMA_WEIGHTS = (0.279, 0.088)
"""Of the variances of R − Y and B − Y in a picture's noise (ISO 15739:2013, 6.2.4)."""


class PatchStatistics(NamedTuple):
    """One even patch of a picture.

    Attributes:
        level: mean luma.
        noise: standard deviation, see `patch_statistics`.
    """

    level: float
    noise: float


def patch_statistics(patch: Float[np.ndarray, "height width 3"]) -> PatchStatistics:
    """Mean luma Y of an even patch and its noise `√(σ_Y² + 0.279·σ_(R−Y)² + 0.088·σ_(B−Y)²)` (ISO 15739).

    A plane is taken off each plane first: shading is no noise. So `height·width − 3` pixels count.

    Args:
        patch: in the picture's own levels.

    Raises:
        ValueError: fewer than 16 pixels.
    """
    height, width = patch.shape[:2]
    if height * width < 16:
        raise ValueError(f"a patch of {width}×{height} px: expected 16 pixels or more")
    y = luma(patch)
    planes = np.stack([y, patch[..., 0] - y, patch[..., 2] - y], axis=-1).reshape(-1, 3).astype(float)
    rows, columns = np.mgrid[:height, :width].reshape(2, -1).astype(float)
    terms = np.stack([np.ones(height * width), rows - rows.mean(), columns - columns.mean()], axis=1)
    rest = planes - terms @ np.linalg.lstsq(terms, planes, rcond=None)[0]
    variance = (rest**2).sum(axis=0) / (height * width - 3)
    return PatchStatistics(float(y.mean()), float(np.sqrt(variance @ [1.0, *CHROMA_WEIGHTS])))


def signal_to_noise(light: Array, level: Array, noise: Array) -> Float[np.ndarray, " patches"]:
    """SNR of grey patches, as light would have it before the tone curve: `L·(dD/dL)/σ = (dD/d ln L)/σ` (ISO 15739).

    The incremental gain takes the curve out of it: a gamma that squeezes signal and noise alike gains nothing. It is
    the difference of the two neighbours; where the curve is flat, the ratio is 0.

    Args:
        light: of the patches, 1 a perfect diffuser.
        level: their mean.
        noise: their standard deviation.

    Returns:
        A ratio for each, in the order given; infinite where a rising curve has no noise.
    """
    light, level, noise = (np.asarray(one, float) for one in (light, level, noise))
    order = np.argsort(light)
    slope = np.empty(len(light))
    slope[order] = np.gradient(level[order], np.log(light[order]))
    slope = np.maximum(slope, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope > 0, slope / noise, 0.0)


def dynamic_range(light: Array, snr: Array) -> float:
    """EV between the lightest and the darkest patch with an SNR of 1 or more and none worse between them.

    Towards the dark the crossing is found between two patches, straight in log SNR over log light (ISO 15739: the
    least light of SNR 1 under the saturation). 0 where no patch reaches 1; a lower bound where the darkest one does.
    """
    order = np.argsort(light)[::-1]
    ev, ratio = np.log2(np.asarray(light, float)[order]), np.asarray(snr, float)[order]
    good = np.flatnonzero(ratio >= 1)
    if not len(good):
        return 0.0
    first = int(good[0])
    below = np.flatnonzero(ratio[first:] < 1)
    if not len(below):
        return float(ev[first] - ev[-1])
    last = first + int(below[0])
    high, low = np.log(min(ratio[last - 1], 1e6)), np.log(max(ratio[last], 1e-6))
    share = high / (high - low)
    return float(ev[first] - (ev[last - 1] + share * (ev[last] - ev[last - 1])))


class NoiseSpectrum(NamedTuple):
    """A radial noise power spectrum.

    Attributes:
        frequency: middles of the rings, cycles/px.
        power: mean power of each, of the squared level × px²; white noise of variance σ² has σ² everywhere.
        variance: of the patch, the integral of the two-dimensional spectrum.
    """

    frequency: Float[np.ndarray, " rings"]
    power: Float[np.ndarray, " rings"]
    variance: float

    @property
    def mean_frequency(self) -> float:
        """`Σ f·P/Σ P` over the rings, cycles/px: low where grain is coarse; white noise has 0.25."""
        return float((self.frequency * self.power).sum() / self.power.sum()) if self.power.sum() > 0 else 0.0


RINGS = 16


def noise_power_spectrum(patch: Float[np.ndarray, "height width"]) -> NoiseSpectrum:
    """`P(u, v) = |DFT(x − p)|²/(h·w)` of an even patch, averaged over rings up to Nyquist.

    p is the polynomial of second order that fits the patch best: its shading.

    Args:
        patch: one plane, 32 px a side and up.

    Raises:
        ValueError: it is smaller.
    """
    height, width = patch.shape
    if min(height, width) < 2 * RINGS:
        raise ValueError(f"a patch of {width}×{height} px: expected {2 * RINGS} px a side or more")
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    rest = patch.ravel() - terms @ np.linalg.lstsq(terms, patch.ravel(), rcond=None)[0]
    power = np.abs(np.fft.fft2(rest.reshape(height, width))) ** 2 / (height * width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    ring = np.minimum((radius * 2 * RINGS).astype(int), RINGS)
    ring[0, 0] = RINGS
    total, count = (np.bincount(ring.ravel(), weights, RINGS + 1)[:RINGS] for weights in (power.ravel(), None))
    return NoiseSpectrum((np.arange(RINGS) + 0.5) / (2 * RINGS), total / count, float(power.sum() / (height * width)))
