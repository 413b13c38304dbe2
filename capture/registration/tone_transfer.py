"""What light-level the low-light arm shows for each well-lit level, and how much it scatters: measured, not assumed.

Exposure difference, ND filter, black clamp and tone curve of either arm are all in the curve E[low | well]; shot and
read noise, quantisation and what the geometry leaves over are in the variance Var[low | well], which weighs the pixels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from capture.registration import kernels
from capture.registration.observation import Level
from isp_sim.parallel_rows import in_rows

BINS = 256
NODES = 9
MIN_PIXELS = 500
"""Of a channel; fewer give no curve, and the channel is left out."""


class Curve(NamedTuple):
    """E[low | well] of each channel as the kernels take it.

    Attributes:
        low, per_bin: place of the bins, `(channels,)`: bin k is centred on `low + (k + ½)/per_bin`.
        value, slope, weight: `(channels, BINS + 1)`: expected low-light value, its derivative, inverse variance.
    """

    low: Float64[np.ndarray, " channels"]
    per_bin: Float64[np.ndarray, " channels"]
    value: Float64[np.ndarray, "channels bins"]
    slope: Float64[np.ndarray, "channels bins"]
    weight: Float64[np.ndarray, "channels bins"]


class Sampled(NamedTuple):
    """The well-lit plane as the low-light pixels see it; `value` is NaN where they do not."""

    value: np.ndarray
    slope_x: np.ndarray
    slope_y: np.ndarray


def measure(level: Level, seen: Sampled) -> Curve:
    """Fit the curve of every channel: least squares over `NODES` hats on the bins' means, closer in the dark.

    Raises:
        ValueError: too few pixels are seen by both arms.
    """
    channels = len(level.bright)
    low, per_bin = np.empty(channels), np.empty(channels)
    for c, plane in enumerate(level.bright):
        known = plane[np.isfinite(plane)][::7]
        if known.size < MIN_PIXELS // 7:
            raise ValueError(
                f"only {known.size * 7} pixels of the well-lit arm are not saturated; expected {MIN_PIXELS} or more"
            )
        bottom, top = np.percentile(known, (0.05, 99.95))
        low[c], per_bin[c] = bottom, BINS / max(top - bottom, 1e-6)
    rows = -(-len(level.dark) // kernels.CELL)
    sums = np.empty((rows, channels, BINS, 3))
    in_rows(kernels.bin_up, rows, seen.value, level.dark, level.channel, low, per_bin, sums)
    total = sums.sum(axis=0)
    if (total[..., 0].sum(axis=1) < MIN_PIXELS).any():
        raise ValueError("the arms see hardly anything in common")
    fitted = [_fit(total[c], per_bin[c]) for c in range(channels)]
    return Curve(low, per_bin, *(np.stack(parts) for parts in zip(*fitted, strict=True)))


def _fit(sums: Float64[np.ndarray, "bins 3"], per_bin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = sums[:, 0]
    mean = sums[:, 1] / np.maximum(count, 1)
    spread = np.maximum(sums[:, 2] / np.maximum(count, 1) - mean**2, 0)
    hats = _hats()
    variance = hats @ _least_squares(hats, spread, count)
    variance = np.maximum(variance, 0.05 * np.average(spread, weights=count) + 1e-12)
    value = hats @ _least_squares(hats, mean, count / variance)
    slope = np.gradient(value) * per_bin
    return tuple(np.append(a, a[-1]) for a in (value, slope, 1 / variance))  # type: ignore[return-value]


def _hats() -> Float64[np.ndarray, "bins nodes"]:
    """Piecewise linear basis on the bins; its nodes lie evenly in the square root of the light."""
    nodes = np.linspace(0, 1, NODES) ** 2 * (BINS - 1)
    return np.stack([np.interp(np.arange(BINS), nodes, unit) for unit in np.eye(NODES)], axis=1)


def _least_squares(hats: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted fit; a touch of smoothness (second differences) carries it over empty bins."""
    bend = np.diff(np.eye(NODES), 2, axis=0)
    normal = hats.T @ (weight[:, None] * hats)
    normal += 1e-4 * np.trace(normal) / NODES * (bend.T @ bend)
    normal += 1e-12 * np.trace(normal) * np.eye(NODES)
    return np.asarray(np.linalg.solve(normal, hats.T @ (weight * target)))
