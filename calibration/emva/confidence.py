"""A figure and its uncertainty: 95 % intervals from delete-one-band jackknife.

A frame is cut into `BANDS` bands of rows. Their pixels, fixed maps and row noise are independent of each other, so an
estimator that is computed with each band left out in turn shows how far it scatters, whatever lies in it: heavy tails,
quantisation, DSNU, row noise (Efron & Stein, *Annals of Statistics* 9, 1981).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

BANDS = 20
CONFIDENCE = 0.95
NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def student(freedom: int) -> float:
    """Student's t of a 95 % interval, by its degrees of freedom."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


STUDENT = student(BANDS - 1)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, all in the unit of its name."""

    value: float
    low: float
    high: float

    @classmethod
    def within(cls, value: float, half: float) -> "Estimate":
        """`value ± half`."""
        return cls(float(value), float(value - half), float(value + half))

    def __str__(self) -> str:
        """`value (low … high)`, digits as far as the interval justifies."""
        width = self.high - self.low
        if not math.isfinite(width):
            return f"{self.value:.5g} ({self.low:.5g} … {self.high:.5g})"
        digits = 6 if width <= 0 else max(0, 2 - math.floor(math.log10(width)))
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} … {self.high:.{digits}f})"

    def holds(self, truth: float) -> bool:
        """Whether the interval covers a value, up to a rounding of 1 in 10⁹."""
        room = 1e-9 * abs(truth)
        return bool(self.low - room <= truth <= self.high + room)

    def through(self, rising: Callable[[float], float]) -> "Estimate":
        """A rising function of the figure."""
        return Estimate(rising(self.value), rising(self.low), rising(self.high))

    def root(self) -> "Estimate":
        """Square root, of a variance that may come out negative: √max(·, 0)."""
        return self.through(lambda v: math.sqrt(max(v, 0.0)))

    def squared(self) -> "Estimate":
        """Square of a figure that is not negative."""
        return self.through(lambda v: v**2)

    def less(self, known: float) -> "Estimate":
        """The figure without a part that is known."""
        return self.through(lambda v: v - known)

    def times(self, factor: float) -> "Estimate":
        """The figure in another unit; the factor is known and positive."""
        return self.through(lambda v: v * factor)

    def reaching(self, other: "Estimate") -> "Estimate":
        """The figure with an interval that holds another one's too: the same by a model that explains more."""
        return Estimate(self.value, min(self.low, other.low), max(self.high, other.high))

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    @property
    def plus_minus(self) -> str:
        """`value ± half`; of a figure without an interval the value alone."""
        return f"{self.value:.4g} ± {self.half:.2g}" if math.isfinite(self.high) else f"{self.value:.4g}"

    @property
    def error(self) -> float:
        """Standard error from the width of the interval."""
        return (self.high - self.low) / (2 * NORMAL)


def replicates(sums: Array, phases: Sequence[int] | None = None) -> Array:
    """Sums by band, `(BANDS, …)` → all bands together, then each left out: `(1 + BANDS, …)`.

    Args:
        sums: of each band.
        phases: of sums by band and phase, those that are added up.
    """
    if phases is not None:
        sums = sums[:, phases].sum(axis=1)
    total = sums.sum(axis=0)
    return np.concatenate([total[None], total - sums])


def jackknifed(values: Array, further_variance: float = 0.0) -> Estimate:
    """An estimator's `(1 + BANDS,)` replicates → value and interval.

    Args:
        values: the estimator on `replicates`; the interval is `θ ± t₁₉ · s`.
        further_variance: of what the bands share.
    """
    variance = float(jackknife_variance(np.asarray(values[1:], np.float64)))
    return around(float(values[0]), math.sqrt(variance + further_variance))


def jackknife_variance(left_out: Array) -> Array:
    """`s² = (B − 1)/B · Σ (θ₍b₎ − mean θ)²` of an estimator, computed with each of B parts left out: `(B, …)`."""
    count = len(left_out)
    return np.asarray((count - 1) / count * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))


def around(value: float, error: float) -> Estimate:
    """`value ± t₁₉ · error`."""
    return Estimate.within(value, STUDENT * error)
