"""A figure and its uncertainty: 95 % intervals from delete-one-band jackknife.

A frame is cut into `BANDS` bands of rows. Their pixels, fixed maps and row noise are independent of each other, so an
estimator that is computed with each band left out in turn shows how far it scatters, whatever lies in it: heavy tails,
quantisation, DSNU, row noise (Efron & Stein, *Annals of Statistics* 9, 1981).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

BANDS = 20
CONFIDENCE = 0.95
STUDENT = float(stats.t.ppf((1 + CONFIDENCE) / 2, BANDS - 1))
NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, all in the unit of its name."""

    value: float
    low: float
    high: float

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

    def root(self) -> "Estimate":
        """Square root, of a variance that may come out negative: √max(·, 0)."""
        return Estimate(*(math.sqrt(max(v, 0.0)) for v in (self.value, self.low, self.high)))

    def squared(self) -> "Estimate":
        """Square of a figure that is not negative."""
        return Estimate(self.value**2, self.low**2, self.high**2)

    def times(self, factor: float) -> "Estimate":
        """The figure in another unit; the factor is known and positive."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

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


def replicates(sums: Array) -> Array:
    """Sums by band, `(BANDS, …)` → all bands together, then each left out: `(1 + BANDS, …)`."""
    total = sums.sum(axis=0)
    return np.concatenate([total[None], total - sums])


def jackknifed(values: Array, further_variance: float = 0.0) -> Estimate:
    """An estimator's `(1 + BANDS,)` replicates → value and interval.

    `s² = (B − 1)/B · Σ (θ₍b₎ − mean θ)²`, interval `θ ± t₁₉ · s`.

    Args:
        values: the estimator on `replicates`.
        further_variance: of what the bands share.
    """
    left_out = np.asarray(values[1:], np.float64)
    count = len(left_out)
    variance = (count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum())
    return around(float(values[0]), math.sqrt(variance + further_variance))


def around(value: float, error: float) -> Estimate:
    """`value ± t₁₉ · error`."""
    return Estimate(value, value - STUDENT * error, value + STUDENT * error)
