"""Histogram of dark frames → read noise as a Gaussian and as a Tukey-λ law, with black of each phase.

A dark count is `⌊black + x + n + ½⌋`, cut at zero, with x the read noise and n what is shared or fixed (row noise,
DSNU: Gaussian, its variance known from elsewhere). So the share of each count is a difference of the law's distribution
function at half counts, blurred by n; the parameters are those under which the histogram is likeliest. That holds where
the noise is less than a count and where half of it lies below zero, which moments do not. The bands' scores give the
errors (sandwich; White, *Econometrica* 50, 1982). The shape to start from is the probability plot's (PPCC; Filliben,
*Technometrics* 17, 1975).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from calibration.emva.confidence import Array, Estimate, around
from calibration.emva.frame_statistics import BINS, Level
from isp_sim.readout import tukey_std

TAIL_PROBABILITY = 1e-9
REACH_SIGMA = 4.5
"""The histogram is judged within this many standard deviations: beyond may lie hot pixels and telegraph noise."""
LAMBDA_RANGE = (-0.45, 0.45)
FEWEST_ABOVE_ZERO = 0.05
"""A gain at which fewer pixels than this share come out above zero shows too little of its noise."""
_LOGIT = np.linspace(math.log(TAIL_PROBABILITY), -math.log(TAIL_PROBABILITY), 3001)
_P = special.expit(_LOGIT)
_FEW, _MANY = (np.polynomial.hermite_e.hermegauss(n) for n in (9, 63))
"""Gauss-Hermite quadrature of a blur narrower than the law's scale, and of one that is not."""


@dataclass(frozen=True)
class ReadNoise:
    """Read noise at one gain.

    Attributes:
        std_dn: standard deviation under the Gaussian law.
        scale_dn, shape: scale and λ of the Tukey-λ law.
        ppcc: λ of the best probability plot, and `(λ, r)` along the way.
        gauss_black_dn, tukey_black_dn: black of each phase under either law.
        log_likelihoods: of the Gaussian and the Tukey-λ law.
        histogram: centres, counts, and what each law expects, all phases moved to a common black.
    """

    std_dn: Estimate
    scale_dn: Estimate
    shape: Estimate
    ppcc: float
    ppcc_curve: Array
    gauss_black_dn: tuple[Estimate, ...]
    tukey_black_dn: tuple[Estimate, ...]
    log_likelihoods: tuple[float, float]
    histogram: tuple[Array, Array, Array, Array]


def tukey_cdf(x: Array, shape: float) -> Array:
    """Distribution function of the Tukey-λ law of scale 1, by interpolating its quantile function."""
    quantile = _LOGIT if abs(shape) < 1e-6 else (_P**shape - special.expit(-_LOGIT) ** shape) / shape
    return np.asarray(special.expit(np.interp(x, quantile, _LOGIT, left=-np.inf, right=np.inf)))


@dataclass(frozen=True)
class _Binned:
    """A histogram, `(bands, 4, bins)`, with the bins' edges in DN; the first may hold all that lies below."""

    counts: Array
    edges: Array
    open_below: bool


def fit(level: Level, shared_dn2: Estimate) -> ReadNoise | None:
    """Both laws' likeliest parameters.

    Args:
        level: with a histogram.
        shared_dn2: variance of what is not the pixel's own noise of the frame: DSNU, rows, columns.

    Returns:
        `None` if nearly all pixels lie at zero, or nothing varies.
    """
    binned = _window(level)
    if binned is None:
        return None
    blur = math.sqrt(max(shared_dn2.value, 0.0))
    centre, spread = _moments(binned)
    own = math.sqrt(max(spread**2 - blur**2 - 1 / 12, 0.01))
    start = np.array([*centre, math.log(own)])
    gauss, gauss_likelihood, gauss_errors = _likeliest(binned, start, blur, tukey=False)
    ppcc, along = probability_plot(level)
    start = np.array([*gauss[:4], gauss[4] - math.log(tukey_std(ppcc)), ppcc])
    tukey, tukey_likelihood, tukey_errors = _likeliest(binned, start, blur, tukey=True)
    std_dn, scale_dn = (math.exp(p[4]) for p in (gauss, tukey))
    # The blur's own error moves the scale: their variances add up to what is seen.
    blur_error = shared_dn2.error / 2
    return ReadNoise(
        std_dn=around(std_dn, math.hypot(std_dn * gauss_errors[4], blur_error / std_dn)),
        scale_dn=around(
            scale_dn, math.hypot(scale_dn * tukey_errors[4], blur_error / scale_dn / tukey_std(tukey[5]) ** 2)
        ),
        shape=around(float(tukey[5]), float(tukey_errors[5])),
        ppcc=ppcc,
        ppcc_curve=along,
        gauss_black_dn=tuple(around(gauss[i], gauss_errors[i]) for i in range(4)),
        tukey_black_dn=tuple(around(tukey[i], tukey_errors[i]) for i in range(4)),
        log_likelihoods=(gauss_likelihood, tukey_likelihood),
        histogram=_shown(binned, gauss, tukey, blur),
    )


def _window(level: Level) -> _Binned | None:
    """The bins within reach of the middle; the first stays open if it is the ADC's zero."""
    counts = level.counts
    if counts is None or 1 - level.at_zero.mean() < FEWEST_ABOVE_ZERO:
        return None
    total = counts.sum(axis=(0, 1))
    share = np.cumsum(total) / total.sum()
    low, middle, high = (int(np.searchsorted(share, q)) for q in (0.1587, 0.5, 0.8413))
    cut = level.first_bin == 0 and level.at_zero.max() > 1e-6
    sigma = max(high - middle, 0 if cut else middle - low, 1)
    first = 0 if cut and low - REACH_SIGMA * sigma < 1 else max(math.floor(middle - REACH_SIGMA * sigma), 0)
    last = min(math.ceil(middle + REACH_SIGMA * sigma), BINS - 2)
    if np.count_nonzero(total[first : last + 1]) < 2:
        return None
    edges = level.first_bin + level.bin_width * np.arange(first, last + 2.0) - 0.5
    return _Binned(counts[:, :, first : last + 1], edges, first == 0 and level.first_bin == 0)


def _moments(binned: _Binned) -> tuple[Array, float]:
    """Middle of each phase and overall spread, DN; robust against a cut: from the upper half."""
    counts = binned.counts.sum(axis=0)
    share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
    z = special.ndtri(np.clip(share[:, :-1], 1e-12, 1 - 1e-12))
    centres, slopes = [], []
    for phase in range(4):
        use = (share[phase, :-1] > 1e-4) & (share[phase, :-1] < 1 - 1e-4)
        at = binned.edges[1:-1][use]
        if len(at) > 1:
            slope, offset = np.polyfit(z[phase, use], at, 1)
        else:
            slope, offset = 0.3, float(binned.edges[1 + int(share[phase].searchsorted(0.5))]) - 0.5
        centres.append(offset)
        slopes.append(max(slope, 0.1))
    return np.array(centres), float(np.mean(slopes))


def _expected(binned: _Binned, parameters: Array, blur: float, tukey: bool) -> Array:
    """Probability of each bin in each phase, within the window: `(4, bins)`."""
    scale = math.exp(parameters[4])
    at = (binned.edges - parameters[:4, None]) / scale
    blurred = np.zeros_like(at)
    nodes, weights = _FEW if blur < 0.7 * scale else _MANY
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        moved = at - node * blur / scale
        blurred += weight * (tukey_cdf(moved, parameters[5]) if tukey else special.ndtr(moved))
    if binned.open_below:
        blurred[:, 0] = 0
    p = np.diff(blurred, axis=1)
    return np.asarray(np.maximum(p / (blurred[:, -1:] - blurred[:, :1]), 1e-15))


def _likeliest(binned: _Binned, start: Array, blur: float, tukey: bool) -> tuple[Array, float, Array]:
    """Fisher scoring: parameters, log likelihood, standard errors over the bands."""
    counts = binned.counts.sum(axis=0)
    at, best = start, -math.inf
    step = np.zeros_like(start)
    for _ in range(40):
        trial = at + step
        if tukey:
            trial[5] = np.clip(trial[5], *LAMBDA_RANGE)
        p = _expected(binned, trial, blur, tukey)
        likelihood = float((counts * np.log(p)).sum())
        if likelihood < best - 1e-9 * abs(best):
            step = step / 4
            if np.abs(step).max() < 1e-9:
                break
            continue
        gained, at, best = likelihood - best, trial, likelihood
        slopes = _slopes(binned, at, blur, tukey)
        score = (slopes * (counts / p)).sum(axis=(1, 2))
        information = np.einsum("apb,cpb,pb->ac", slopes, slopes, counts.sum(axis=1, keepdims=True) / p)
        step = np.linalg.lstsq(information, score, rcond=1e-12)[0]
        step *= min(1.0, 0.5 / max(float(np.abs(step[4:]).max()), 1e-12))
        if gained < 1e-7 * counts.sum() * 1e-3 and np.abs(step).max() < 1e-7:
            break
    p, slopes = _expected(binned, at, blur, tukey), _slopes(binned, at, blur, tukey)
    information = np.einsum("apb,cpb,pb->ac", slopes, slopes, counts.sum(axis=1, keepdims=True) / p)
    scores = np.einsum("apb,npb->na", slopes / p, binned.counts)
    bands = len(scores)
    middle = scores.T @ scores * bands / (bands - 1)
    inverse = np.linalg.pinv(information)
    errors = np.sqrt(np.maximum(np.diag(inverse @ middle @ inverse), 0.0))
    return at, best, errors


def _slopes(binned: _Binned, parameters: Array, blur: float, tukey: bool) -> Array:
    """∂p/∂parameter, `(parameters, 4, bins)`, by central differences."""
    slopes = []
    width = 1e-3 * math.exp(parameters[4])
    for number in range(len(parameters)):
        nudge = np.zeros_like(parameters)
        nudge[number] = width if number < 4 else 1e-3
        above, below = (_expected(binned, parameters + sign * nudge, blur, tukey) for sign in (1, -1))
        slopes.append((above - below) / (2 * nudge[number]))
    return np.stack(slopes)


def probability_plot(level: Level) -> tuple[float, Array]:
    """λ at which counts and Tukey-λ quantiles correlate best, and `(λ, r)` over the range.

    Ties share a quantile, that of the middle of their ranks; all phases and bands together. Rounding and what else
    blurs the histogram pull λ towards the normal law's 0.14.
    """
    assert level.counts is not None
    counts = level.counts.sum(axis=(0, 1))[1:-1]
    total = level.counts.sum()
    edge = (np.cumsum(counts) + level.counts[..., 0].sum()) / total
    middle = np.clip(edge - counts / total / 2, 1e-9, 1 - 1e-9)
    value = level.first_bin + level.bin_width * np.arange(1, BINS - 1.0)
    use = counts > 0

    def unlike(shape: float) -> float:
        if abs(shape) < 1e-6:
            quantile = special.logit(middle[use])
        else:
            quantile = (middle[use] ** shape - (1 - middle[use]) ** shape) / shape
        w = counts[use] / counts[use].sum()
        q, v = quantile - (w * quantile).sum(), value[use] - (w * value[use]).sum()
        return -float((w * q * v).sum() / math.sqrt((w * q * q).sum() * (w * v * v).sum()))

    shapes = np.linspace(*LAMBDA_RANGE, 37)
    along = np.array([[shape, -unlike(shape)] for shape in shapes])
    top = shapes[int(along[:, 1].argmax())]
    found = optimize.minimize_scalar(unlike, bounds=(max(top - 0.03, -0.44), min(top + 0.03, 0.44)), method="bounded")
    return float(found.x), along


def _shown(binned: _Binned, gauss: Array, tukey: Array, blur: float) -> tuple[Array, Array, Array, Array]:
    """Centres, counts, and both laws' expectations of the first phase, for the page."""
    counts = binned.counts.sum(axis=0)[0]
    centres = (binned.edges[1:] + binned.edges[:-1]) / 2
    expected = (_expected(binned, p, blur, law)[0] * counts.sum() for p, law in ((gauss, False), (tukey, True)))
    return centres, counts, *expected
