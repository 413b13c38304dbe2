"""Noise at several gains → lines ln σ = slope · ln K + intercept, one or two of them.

A sensor with two conversion gains falls to a lower read noise in electrons where the second begins; one line through
both is wrong on either side. Whether there are two is decided by BIC.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from calibration.emva.confidence import CONFIDENCE, NORMAL, Array, Estimate, student

FEWEST = 3
"""Points a line needs before it may be one of two."""
BIC_MARGIN = 10.0
"""Evidence called very strong (Kass & Raftery, *JASA* 90, 1995)."""


@dataclass(frozen=True)
class Line:
    """A noise law over part of the gains.

    Attributes:
        from_k: system gain from which it holds; the interval reaches from the last gain below to the first above.
        slope, intercept: of ln σ_DN over ln K.
        spread: scatter about the line beyond the points' own errors.
        start, stop: which points, by rising gain.
    """

    from_k: Estimate | None
    slope: Estimate
    intercept: Estimate
    spread: Estimate
    start: int
    stop: int

    def reaching(self, other: "Line") -> "Line":
        """With intervals that hold another one's too, as `Estimate.reaching`."""
        parts = {name: getattr(self, name).reaching(getattr(other, name)) for name in ("slope", "intercept", "spread")}
        from_k = self.from_k.reaching(other.from_k) if self.from_k and other.from_k else self.from_k
        return replace(self, from_k=from_k, **parts)


@dataclass(frozen=True)
class _Fit:
    slope: float
    intercept: float
    spread2: float
    covariance: Array
    deviance: float


def lines(gain: Sequence[Estimate], sigma: Sequence[Estimate]) -> tuple[Line, ...]:
    """One line through the points, or two where BIC favours them and the noise in electrons falls at the break.

    Args:
        gain: system gains K, rising. Their errors count as the noise's: the slope is near 1.
        sigma: noise at each, DN, above 0.
    """
    x, y = np.log([k.value for k in gain]), np.log([s.value for s in sigma])
    error = np.array(
        [max(math.hypot(s.error / s.value, k.error / k.value), 1e-6) for k, s in zip(gain, sigma, strict=True)]
    )
    count = len(x)
    whole = _fit(x, y, error)
    best, at = whole.deviance + 3 * math.log(count), None
    for cut in range(FEWEST, count - FEWEST + 1):
        low, high = _fit(x[:cut], y[:cut], error[:cut]), _fit(x[cut:], y[cut:], error[cut:])
        middle = (x[cut - 1] + x[cut]) / 2
        falls = high.slope * middle + high.intercept < low.slope * middle + low.intercept
        bic = low.deviance + high.deviance + 7 * math.log(count)
        if falls and bic < best - (BIC_MARGIN if at is None else 0):
            best, at = bic, cut
    if at is None:
        return (_line(x, y, error, 0, count),)
    return _line(x, y, error, 0, at), _line(x, y, error, at, count)


def _fit(x: Array, y: Array, error: Array) -> _Fit:
    """Line with weights 1/(error² + spread²), the spread such that χ² equals its expectation (Paule & Mandel 1982)."""
    freedom = max(len(x) - 2, 1)
    spread2 = _spread2(x, y, error, float(freedom)) if len(x) > 2 else 0.0
    found, covariance, _ = _solve(x, y, error, spread2)
    # With few points a spread may be underestimated to nothing, and then two lines of three points always win.
    floor = 1 / (error**2 + max(spread2, 1e-4))
    deviance = float((floor * (y - found[0] * x - found[1]) ** 2).sum() - np.log(floor).sum())
    return _Fit(float(found[0]), float(found[1]), spread2, covariance, deviance)


def _solve(x: Array, y: Array, error: Array, spread2: float) -> tuple[Array, Array, float]:
    """Slope and intercept, their covariance, χ². A single point lies on a line of slope 1."""
    w = 1 / (error**2 + spread2)
    if len(x) == 1:
        return np.array([1.0, y[0] - x[0]]), np.diag([0.0, 1 / w[0]]), 0.0
    x0, y0 = float(np.average(x, weights=w)), float(np.average(y, weights=w))
    across = float((w * (x - x0) ** 2).sum())
    slope = float((w * (x - x0) * (y - y0)).sum()) / across
    found = np.array([slope, y0 - slope * x0])
    covariance = np.array([[1.0, -x0], [-x0, x0**2 + across / float(w.sum())]]) / across
    return found, covariance, float((w * (y - slope * x - found[1]) ** 2).sum())


def _spread2(x: Array, y: Array, error: Array, chi2: float) -> float:
    """The spread² at which the line's χ² falls to a value; 0 if it never was above it."""
    if _solve(x, y, error, 0.0)[2] <= chi2:
        return 0.0
    low, high = 1e-12, 1e4
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _solve(x, y, error, middle)[2] > chi2 else (low, middle)
    return math.sqrt(low * high)


def _line(x: Array, y: Array, error: Array, start: int, stop: int) -> Line:
    """A line with its intervals: Student's t for slope and intercept, χ² for the spread."""
    part = slice(start, stop)
    one = _fit(x[part], y[part], error[part])
    count = stop - start
    freedom = count - 2
    from_k = None
    if start:
        below, above = math.exp(x[start - 1]), math.exp(x[start])
        from_k = Estimate(math.sqrt(below * above), below, above)
    if freedom < 1:
        wide = Estimate(0.0, 0.0, math.inf)
        errors = (NORMAL * float(e) for e in (error[part].max(), error[part].max()))
        slope, intercept = (Estimate.within(v, s) for v, s in zip((one.slope, one.intercept), errors, strict=True))
        return Line(from_k, slope, intercept, wide, start, stop)
    halves = [student(freedom) * math.sqrt(float(one.covariance[i, i])) for i in range(2)]
    # The spread's interval: where χ² meets its own quantiles (Viechtbauer, *Statistics in Medicine* 26, 2007).
    tail = (1 - CONFIDENCE) / 2
    lowest, highest = (
        _spread2(x[part], y[part], error[part], float(stats.chi2.ppf(p, freedom))) for p in (1 - tail, tail)
    )
    return Line(
        from_k,
        Estimate.within(one.slope, halves[0]),
        Estimate.within(one.intercept, halves[1]),
        Estimate(one.spread2, lowest, highest).root(),
        start,
        stop,
    )
