"""Means and variances over exposures → K, QE, saturation, linearity, temporal dark noise (EMVA 1288 release 4).

Everything here is computed on all bands and with each left out: arrays begin with that axis, `(1 + BANDS, …)`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.emva.confidence import Array, replicates
from calibration.emva.frame_statistics import Level
from calibration.emva.session import Setting

FIT_UP_TO = 0.7
"""EMVA 1288, 6.6: K and the responsivity are fitted up to 70 % of saturation."""
EXPOSURES = 9
"""EMVA 1288, 6.5: a photon transfer series has nine exposures or more, two frames at each."""
UNDERFLOW = 0.005
"""EMVA 1288, 6.5: at most this share of a dark frame's pixels may be at zero, else its mean and noise are cut."""
RESPONSE_FROM, FEWEST_OF_RESPONSE = 0.05, 4
"""Share of saturation from which levels show the response, as EMVA 1288, 6.7 judges linearity; how many it takes."""
LEAK = 0.01
"""Darks that brighten with exposure by more than this share of what the flats do are not dark."""


@dataclass(frozen=True)
class Response:
    """Signal over light, `y = L·(R₀ + a₁u + a₂u²)` with `u = L/most`.

    Attributes:
        terms: R₀, a₁, a₂, DN a unit of light, `(3, replicates)`.
        light: of the curve's levels, photons or µs, `(levels,)`.
        most: the brightest light it was fitted to.
    """

    terms: Array
    light: Array
    most: float

    @property
    def linear(self) -> Array:
        """The signal the levels would have if the response went on as it begins, DN, `(replicates, levels)`."""
        return np.asarray(self.terms[0][:, None] * self.light)

    @property
    def steepness(self) -> Array:
        """Slope of the response over its slope at the origin, at the levels."""
        u = self.light / self.most
        return np.asarray(
            1 + (2 * self.terms[1][:, None] * u + 3 * self.terms[2][:, None] * u**2) / self.terms[0][:, None]
        )

    def contrast(self, light: float) -> float:
        """`L·y′/y`: by what share the signal changes over that by which light does; 1 on a line."""
        first, second, third = self.terms[:, 0]
        u = light / self.most
        return float((first + 2 * second * u + 3 * third * u**2) / (first + second * u + third * u**2))

    def linearised(self, signal: Array) -> Array:
        """Signals, `(replicates,)`, as they would be on the line: the light that gives them times R₀."""
        first, second, third = self.terms
        light = signal / first
        for _ in range(20):
            u = light / self.most
            light = signal / (first + second * u + third * u**2)
        return np.asarray(first * light)


@dataclass(frozen=True)
class Curve:
    """The photon transfer curve of one channel at one gain; levels by signal. Leading axis: replicates.

    Attributes:
        exposure_us, photons: of the levels, `(levels,)`; photons are NaN where unknown.
        signal, variance: mean and temporal variance above dark, `(replicates, levels)`.
        mean: with the dark, DN.
        dark_mean, dark_variance: at zero exposure, `(replicates,)`; from the flats where the darks are cut.
        saturation: index of the level with the largest variance; `None` if it still rises at the last.
        fitted: which levels the fits use.
        cut: whether the darks lie at the ADC's zero.
    """

    exposure_us: Array
    photons: Array
    signal: Array
    variance: Array
    mean: Array
    dark_mean: Array
    dark_variance: Array
    saturation: int | None
    fitted: NDArray[np.bool_]
    cut: bool

    @property
    def gain(self) -> Array:
        """K, DN/e⁻: `Σ x v / Σ x²`, the slope of variance over signal through the origin (EMVA 1288, eq. 17)."""
        x, v = self.signal[:, self.fitted], self.variance[:, self.fitted]
        return np.asarray((x * v).sum(axis=1) / (x * x).sum(axis=1))

    @property
    def responsivity(self) -> Array:
        """R, DN a photon: slope of signal over photons through the origin; NaN where photons are unknown."""
        p = self.photons[self.fitted]
        return np.asarray((self.signal[:, self.fitted] * p).sum(axis=1) / (p * p).sum())

    @property
    def response(self) -> Response:
        """What the means say of the camera's linearity, below 70 % of saturation; a line where they are too few."""
        light = self.photons if np.isfinite(self.photons).all() else self.exposure_us
        use = self.fitted & (self.signal[0] >= RESPONSE_FROM / FIT_UP_TO * self.signal[0, self.fitted].max())
        most = float(light[self.fitted].max())
        if len(set(light[use])) < FEWEST_OF_RESPONSE:
            y, at = self.signal[:, self.fitted], light[self.fitted]
            return Response(np.stack([(y * at).sum(axis=1) / (at * at).sum(), *np.zeros((2, len(y)))]), light, most)
        powers = np.vander(light[use] / most, 3, increasing=True)
        terms, *_ = np.linalg.lstsq(powers, (self.signal[:, use] / light[use]).T, rcond=None)
        return Response(np.asarray(terms), light, most)

    @property
    def gain_at_origin(self) -> Array:
        """K of faint light, DN/e⁻, through a response that is not a line: `v = K·R₀L·(y′/R₀)²`, R₀ its first slope.

        Variance goes with the square of the response's slope y′, light with L. Without curvature it is `gain`.
        """
        response = self.response
        m = (response.linear * response.steepness**2)[:, self.fitted]
        return np.asarray((m * self.variance[:, self.fitted]).sum(axis=1) / (m * m).sum(axis=1))


def phase_sums(level: Level, phases: Sequence[int]) -> tuple[Array, Array]:
    """Mean (DN) and temporal variance (DN²) of a channel's pixels in a setting, replicates."""
    count = replicates(level.count, phases)
    mean = replicates(level.total, phases) / count
    squares = replicates(level.squares, phases)
    return mean, squares / (2 * max(level.pairs, 1) * count)


def curve(levels: Mapping[Setting, Level], gain_db: float, phases: Sequence[int]) -> Curve:
    """The photon transfer curve of a channel.

    Raises:
        ValueError: every flat is saturated, fewer than three are usable, or light leaks into the darks.
    """
    darks = [s for s in levels if s.kind == "dark" and s.gain_db == gain_db]
    cut = max(levels[s].at_zero[list(phases)].mean() for s in darks) > UNDERFLOW
    flats = [s for s in levels if s.kind == "flat" and s.gain_db == gain_db and levels[s].pairs]
    pairs = [s for s in flats if levels[s].frames == 2]
    if len(pairs) >= EXPOSURES and not cut:
        flats = pairs  # a stack beside such a series is there for the nonuniformity
    flats.sort(key=lambda s: (s.photons or 0.0, s.exposure_us))
    flat = [phase_sums(levels[s], phases) for s in flats]
    mean, variance = (np.stack([f[i] for f in flats_], axis=1) for i, flats_ in ((0, flat), (1, flat)))
    exposure = np.array([s.exposure_us for s in flats])
    photons = np.array([math.nan if s.photons is None else s.photons for s in flats])
    order = np.argsort(mean[0], kind="stable")
    flats = [flats[i] for i in order]
    mean, variance, exposure, photons = mean[:, order], variance[:, order], exposure[order], photons[order]
    top = np.array([levels[s].at_top[list(phases)].mean() for s in flats])
    if cut:
        free = (top < 1e-4) & (np.array([levels[s].at_zero[list(phases)].mean() for s in flats]) < 1e-4)
        dark_mean, dark_variance = _extrapolated(exposure, photons, mean, variance, free)
        signal, rise = mean - dark_mean[:, None], variance - dark_variance[:, None]
    else:
        at, dark_at, noise_at = _dark(levels, darks, phases)
        near = np.abs(exposure[:, None] - at).argmin(axis=1)
        signal, rise = mean - dark_at[:, near], variance - noise_at[:, near]
        dark_mean, dark_variance = _at_zero_exposure(levels, darks, at, dark_at, noise_at)
        _no_leak(exposure, signal[0], at, dark_at[0])
    saturation = _saturation(variance[0], top)
    full = signal[0, saturation] if saturation is not None else signal[0, -1] / FIT_UP_TO
    fitted = (signal[0] <= FIT_UP_TO * full) & (signal[0] > 0) & (top < 1e-4)
    _enough(signal[0], rise[0], fitted, top, gain_db)
    return Curve(exposure, photons, signal, rise, mean, dark_mean, dark_variance, saturation, fitted, cut)


def _dark(
    levels: Mapping[Setting, Level], darks: Sequence[Setting], phases: Sequence[int]
) -> tuple[Array, Array, Array]:
    """Exposures, means and temporal variances of the darks."""
    darks = sorted(darks, key=lambda s: s.exposure_us)
    sums = [phase_sums(levels[s], phases) for s in darks]
    return (
        np.array([s.exposure_us for s in darks]),
        np.stack([mean for mean, _ in sums], axis=1),
        np.stack([variance for _, variance in sums], axis=1),
    )


def _at_zero_exposure(
    levels: Mapping[Setting, Level], darks: Sequence[Setting], at: Array, mean: Array, variance: Array
) -> tuple[Array, Array]:
    """Dark mean and variance extrapolated to no exposure, weighted by pairs; their average below three exposures."""
    pairs = np.array([max(levels[s].pairs, 0.5) for s in sorted(darks, key=lambda s: s.exposure_us)])
    if len(set(at)) < 3:
        return np.average(mean, axis=1, weights=pairs), np.average(variance, axis=1, weights=pairs)
    return line(at, mean, pairs)[1], line(at, variance, pairs)[1]


def line(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted least squares `y = slope·x + intercept`.

    Args:
        x: `(…, n)`, or one for all replicates, `(n,)`.
        y: `(replicates, n)`.
        weights: `(n,)` or like y.

    Returns:
        slope and intercept, `(replicates,)`.
    """
    w = weights / weights.sum(axis=-1, keepdims=True)
    x0, y0 = (w * x).sum(axis=-1, keepdims=True), (w * y).sum(axis=-1, keepdims=True)
    slope = (w * (x - x0) * (y - y0)).sum(axis=-1) / (w * (x - x0) ** 2).sum(axis=-1)
    return np.asarray(slope), np.asarray(y0[..., 0] - slope * x0[..., 0])


def _extrapolated(
    exposure: Array, photons: Array, mean: Array, variance: Array, free: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Dark mean and variance of a camera whose darks are cut at zero: both lines of the flats at no light.

    The mean is a line in the light, the variance one in the mean; weighted by the variance of each point.
    """
    use = free & (mean[0] <= FIT_UP_TO * mean[0].max())
    if use.sum() < 3:
        raise ValueError(
            "the darks lie at the ADC's zero and fewer than 3 flats lie between it and saturation: raise the camera's "
            "black level, or add dim flats"
        )
    light = photons if np.isfinite(photons).all() else exposure
    m, v = mean[:, use], variance[:, use]
    _, pedestal = line(light[use], m, 1 / v[0])
    slope, at_zero = line(m, v, 1 / v[0] ** 2)
    return pedestal, at_zero + slope * pedestal


def _saturation(variance: Array, top: Array) -> int | None:
    """EMVA 1288, 6.6: the saturation point is where the variance is largest."""
    peak = int(variance.argmax())
    return peak if peak < len(variance) - 1 or top[peak] > 1e-4 else None


def _no_leak(exposure: Array, signal: Array, dark_exposure: Array, dark: Array) -> None:
    """Refuse darks that brighten along with the flats."""
    both = (exposure <= dark_exposure.max()) & (signal > 0)
    if len(set(dark_exposure)) < 3 or not both.any():
        return
    at = int(np.nonzero(both)[0][signal[both].argmax()])
    rate = float(line(dark_exposure, dark[None], np.ones_like(dark_exposure))[0][0])
    share = rate * exposure[at] / signal[at]
    if share > LEAK and rate * exposure[at] > 1:
        raise ValueError(
            f"the darks brighten with exposure, by {rate * exposure[at]:.1f} DN at {exposure[at]:g} µs or {share:.1%} "
            "of what the flats do: light leaks into them; cap the lens and darken the room"
        )


def _enough(signal: Array, rise: Array, fitted: NDArray[np.bool_], top: Array, gain_db: float) -> None:
    """Refuse what does not determine K."""
    free = top < 1e-4
    if not free.any():
        raise ValueError(f"every flat at {gain_db:g} dB has saturated pixels: shorten the exposures or dim the light")
    if free.sum() > 2 and not _rises(signal[free], rise[free]):
        raise ValueError(
            f"the variance at {gain_db:g} dB does not rise with the light, so K cannot be measured: not shot noise "
            "(frames without noise, processed ones, or saturation below the ADC's top everywhere)"
        )
    if fitted.sum() < 3:
        raise ValueError(
            f"{int(fitted.sum())} flats at {gain_db:g} dB lie below 70 % of saturation; the photon transfer needs 3 "
            "and more"
        )


def _rises(signal: Array, rise: Array) -> bool:
    """Whether variance goes with signal over the lower half of the levels, as shot noise does."""
    low = signal <= max(float(np.median(signal)), float(np.sort(signal)[2]))
    x, v = signal[low], rise[low]
    if v.max() <= 0 or np.ptp(x) == 0 or np.ptp(v) == 0:
        return False
    return bool(np.corrcoef(x, v)[0, 1] > 0.5)
