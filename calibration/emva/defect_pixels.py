"""Mean images of stacks → hot and dead pixels."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.emva.confidence import CONFIDENCE, Estimate
from calibration.emva.frame_statistics import Image

HOT_SIGMA = 8.0
"""A pixel whose dark signal grows faster than the others' by this many σ is hot."""
DEAD_BELOW = 0.5
"""A pixel that sees less than this share of what its neighbours see is dead."""
SEEN_AT_LEAST = 0.05
"""Share of the hot pixels that are taken to lie above the threshold, at least; the upper bound goes further."""


@dataclass(frozen=True)
class HotPixels:
    """Hot pixels: how many in a million, their mean extra current, e⁻/s; where the brightest are, (x, y)."""

    per_million: Estimate
    current_e_per_s: Estimate | None
    found: int
    brightest: tuple[tuple[int, int], ...]


def extra_current(
    short: Image, long: Image, seconds: float, k: float, noise_dn: float
) -> tuple[NDArray[np.floating], float]:
    """By how much each pixel's dark signal grows faster than the others', e⁻/s, and from where on a pixel is hot.

    Args:
        short: mean image of darks.
        long: the same, exposed longer, at the same gain.
        seconds: how much longer the second was exposed.
        k: system gain, DN/e⁻.
        noise_dn: standard deviation of the difference of the two for ordinary pixels.
    """
    extra = (long - short) / (k * seconds)
    extra = extra - np.median(extra)
    # Noise has a left tail too, hot pixels have none: heavy tails show there how far they reach. A tail that falls as
    # x^-4, which is heavier than any read noise here, has 3/3^4 = 0.04 pixels beyond three times its third.
    return extra, max(HOT_SIGMA * noise_dn / (k * seconds), -3 * float(np.partition(extra.ravel(), 2)[2]))


def hot_pixels(short: Image, long: Image, seconds: float, k: float, full_e: float, noise_dn: float) -> HotPixels:
    """Pixels whose dark signal grows faster than the rest's.

    Extra currents are taken to be exponential about their mean m, seen only above the threshold T and cut where
    the pixel saturates: `m = Σ(x − T) / uncut`, and a share `exp(−T/m)` of them is found. Counts have Poisson
    intervals (Garwood, *Biometrika* 28, 1936), m one of χ².

    Args:
        short: mean image of darks.
        long: the same, exposed longer, at the same gain.
        seconds: how much longer the second was exposed.
        k: system gain, DN/e⁻.
        full_e: electrons at which a pixel is saturated.
        noise_dn: standard deviation of the difference of the two for ordinary pixels.
    """
    extra, threshold = extra_current(short, long, seconds, k, noise_dn)
    hot = extra > threshold
    found, size = int(hot.sum()), extra.size
    tail = (1 - CONFIDENCE) / 2
    low = float(stats.chi2.ppf(tail, 2 * found) / 2) if found else 0.0
    high = float(stats.chi2.ppf(1 - tail, 2 * found + 2) / 2)
    excess = extra[hot].astype(float) - threshold
    uncut = int((extra[hot] < 0.95 * full_e / seconds).sum())
    current, share = None, (1.0, 1.0, 1.0)
    if uncut:
        total = float(excess.sum())
        m = [
            total / uncut,
            2 * total / stats.chi2.ppf(1 - tail, 2 * uncut),
            2 * total / stats.chi2.ppf(tail, 2 * uncut),
        ]
        current = Estimate(float(m[0]), float(m[1]), float(m[2]))
        share = (math.exp(-threshold / m[0]), math.exp(-threshold / m[2]), math.exp(-threshold / max(m[1], 1e-12)))
    order = np.argsort(extra.ravel())[::-1][: min(found, 10)]
    # One pixel just above the threshold would count for any number of unseen ones.
    seen = [max(part, least) for part, least in zip(share, (SEEN_AT_LEAST, SEEN_AT_LEAST, 1e-3), strict=True)]
    density = Estimate(*(1e6 / size * n for n in (found / seen[0], low / seen[1], high / seen[2])))
    places = tuple((int(i % extra.shape[1]), int(i // extra.shape[1])) for i in order)
    return HotPixels(density, current, found, places)


def dead_pixels(flat: Image, dark_dn: float) -> int:
    """How many pixels of a flat's mean image see less than half of what their channel does."""
    dead = 0
    for phase in range(4):
        plane = flat[phase // 2 :: 2, phase % 2 :: 2] - dark_dn
        dead += int((plane < DEAD_BELOW * np.median(plane)).sum())
    return dead
