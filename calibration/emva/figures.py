"""Figures of EMVA 1288 (release 4) from the photon transfer: saturation, linearity, dark noise and current."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from calibration.emva.confidence import Array, Estimate, around, jackknifed, replicates
from calibration.emva.frame_statistics import Level
from calibration.emva.photon_transfer import Curve, line
from calibration.emva.session import Setting

LINEAR_FROM, LINEAR_TO = 0.05, 0.95
"""EMVA 1288, 6.7: the linearity error is judged between 5 % and 95 % of saturation."""
QUANTISATION_DN2 = 1 / 12
"""Variance of rounding, DN²."""
LEAST_VARIANCE_DN2 = 0.24
"""EMVA 1288, 6.7: temporal noise below this variance cannot be distinguished from rounding."""


def saturation_e(curves: Sequence[Curve], k: Array) -> Estimate | None:
    """Saturation capacity, e⁻: signal of the largest variance over K; the interval reaches to the next levels."""
    found = []
    for one in curves:
        if one.saturation is None:
            return None
        found.append(np.array(_between_levels(one.signal[0], one.saturation)) / k[0])
    value, low, high = np.mean(found, axis=0).tolist()
    return Estimate(value, low, high)


def _between_levels(light: Array, at: int) -> tuple[float, float, float]:
    """A level, the one below it and the one above, as far as there are any."""
    return float(light[at]), float(light[max(at - 1, 0)]), float(light[min(at + 1, len(light) - 1)])


def saturation_photons(one: Curve) -> Estimate | None:
    """EMVA's saturation irradiation: photons at the largest variance; the interval reaches to the next levels."""
    if one.saturation is None or not np.isfinite(one.photons).all():
        return None
    return Estimate(*_between_levels(one.photons, one.saturation))


def linearity_error(one: Curve) -> Estimate | None:
    """EMVA 1288 (release 4) LE, %: mean |δ| between 5 % and 95 % of saturation.

    `δ = 100 · (y − (a0 + a1·H)) / (a0 + a1·H)`, the line fitted to least Σδ² (weights 1/y²).
    """
    light = one.photons if np.isfinite(one.photons).all() else one.exposure_us
    full = one.signal[0, one.saturation] if one.saturation is not None else one.signal[0, -1]
    use = (one.signal[0] >= LINEAR_FROM * full) & (one.signal[0] <= LINEAR_TO * full)
    if use.sum() < 3:
        return None
    y = one.signal[:, use]
    slope, intercept = line(light[use], y, 1 / y[0] ** 2)
    fit = intercept[:, None] + slope[:, None] * light[use]
    return jackknifed(100 * np.abs((y - fit) / fit).mean(axis=1))


def plateau(curves: Sequence[Curve], k: Array, origin: Array, white_dn: int) -> tuple[Estimate, bool] | None:
    """Where a well or the ADC is full, e⁻, and whether it is the ADC.

    The mean of the brightest level, if a brighter light no longer raises it, over K; the interval reaches to that
    level's place on the response's first slope over K of faint light.
    """
    values, straight, at_adc = [], [], False
    for one in curves:
        if one.saturation is None or one.signal.shape[1] < 2:
            return None
        last, before = one.mean[0, -1], one.mean[0, -2]
        if last - before > 0.005 * (last - one.dark_mean[0]):
            return None
        at_adc |= bool(last > white_dn - 2)
        signal = one.mean[:, -1] - one.dark_mean
        values.append(signal / k)
        straight.append(one.response.linearised(signal) / origin)
    return jackknifed(np.mean(values, axis=0)).reaching(jackknifed(np.mean(straight, axis=0))), at_adc


def temporal_dark_noise_e(dark_variance: Array, k: Array) -> Estimate:
    """EMVA 1288 σ_d, e⁻: `√(σ²_y.dark − 1/12) / K`; below 0.24 DN² rounding hides it, and 0.40/K is a bound only."""
    found = jackknifed((dark_variance - QUANTISATION_DN2) / k**2).root()
    if dark_variance[0] >= LEAST_VARIANCE_DN2:
        return found
    return Estimate(found.value, 0.0, max(found.high, math.sqrt(LEAST_VARIANCE_DN2 - QUANTISATION_DN2) / float(k[0])))


def threshold_e(dark_variance_dn2: float, k: float) -> float:
    """EMVA 1288 absolute sensitivity threshold, e⁻: `√(σ²_y.dark/K² + ¼) + ½`, where the SNR is 1."""
    return math.sqrt(dark_variance_dn2 / k**2 + 0.25) + 0.5


def dark_current_e_per_s(
    levels: Mapping[Setting, Level], gain_db: float, phases: Sequence[int], k: Array
) -> Estimate | None:
    """Slope of the darks' means over exposure, outliers left out, e⁻/s (EMVA 1288, 7.1); uncut darks alone."""
    darks = [
        s
        for s in levels
        if s.kind == "dark" and s.gain_db == gain_db and levels[s].at_zero.max() < 1e-4 and levels[s].spatial
    ]
    if len({s.exposure_us for s in darks}) < 2:
        return None
    means = []
    for setting in darks:
        spatial = levels[setting].spatial
        assert spatial is not None
        means.append(replicates(spatial.clean, phases) / replicates(spatial.count, phases))
    at = np.array([s.exposure_us * 1e-6 for s in darks])
    weights = np.array([levels[s].frames for s in darks], float)
    slope, intercept = line(at, np.stack(means, axis=1), weights)
    rate = slope / k
    rest = np.stack(means, axis=1)[0] - intercept[0] - slope[0] * at
    # What the frames of an exposure share (row noise, a drifting black) the bands do not see; the line's misfit does.
    shared = 0.0
    if len(at) > 2:
        spread = float((weights * rest**2).sum()) / (len(at) - 2)
        centre = float(np.average(at, weights=weights))
        shared = spread / float((weights * (at - centre) ** 2).sum()) / float(k[0]) ** 2
    inner = jackknifed(rate)
    return around(inner.value, max(inner.error, math.sqrt(shared)))
