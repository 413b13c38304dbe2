"""The tunable parameters of an ISP step: name, size, range, scale. Everything that numbers parameters asks here.

One spec feeds the predictor's head (`steer`), a black-box tuner (`to_unit`, `from_unit`), the command line and the
docs.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

EDGE = 1e-4
"""How near to an end of its range a steered value may start, as a share of the range."""
SLOPE = 4.0
"""Makes a residual of 1 worth the whole range at the slope it has in mid-range (a sigmoid's is ¼)."""


@dataclass(frozen=True)
class ParamSpec:
    """One parameter of a step, `(batch, size)`.

    Attributes:
        name: as the step's function calls it.
        low, high: allowed, ends included.
        init: where it starts: strictly inside the range; one number, or one for each of `size`.
        scale: `log` if twice as much is a step as large everywhere, `linear` otherwise.
        unit: of the value, as text.
        says: what it does, in a line.
        size: numbers an image.
        labels: names of the `size` numbers; empty if there is one.
    """

    name: str
    low: float
    high: float
    init: float | tuple[float, ...]
    scale: Literal["log", "linear"]
    unit: str
    says: str
    size: int = 1
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: low is {self.low}; on a log scale it must be above 0")
        if len(self.initial) != self.size:
            raise ValueError(f"{self.name}: init has {len(self.initial)} numbers; size is {self.size}")
        if not all(self.low < value < self.high for value in self.initial):
            raise ValueError(f"{self.name}: init is {self.init}; it must lie between {self.low} and {self.high}")
        if len(self.labels) != (self.size if self.size > 1 else 0):
            raise ValueError(f"{self.name}: labels are {self.labels}; {self.size} numbers need as many, one needs none")

    def for_channels(self) -> "ParamSpec":
        """The same parameter, one number each for R, G and B."""
        return replace(self, size=3, labels=("R", "G", "B"))

    @property
    def initial(self) -> tuple[float, ...]:
        """`init`, one for each number."""
        return self.init if isinstance(self.init, tuple) else (self.init,) * self.size

    @property
    def names(self) -> tuple[str, ...]:
        """`name`, or `name.label` for each number."""
        return tuple(f"{self.name}.{label}" for label in self.labels) or (self.name,)

    def to_unit(self, value: Tensor) -> Tensor:
        """Share of the range: `(v − low)/(high − low)`, of the logarithms on a log scale."""
        if self.scale == "log":
            return torch.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, share: Tensor) -> Tensor:
        """Inverse of `to_unit`; shares of 0 and 1 give `low` and `high`."""
        if self.scale == "log":
            value = self.low * torch.exp(share * math.log(self.high / self.low))
        else:
            value = self.low + share * (self.high - self.low)
        return value.clamp(self.low, self.high)

    def steer(self, base: Tensor, residual: Tensor) -> Tensor:
        """Move a value by a residual without leaving the range: `σ(logit(u) + 4·r)`, u the share of the range.

        A residual of 0 gives the base (kept 10⁻⁴ of the range from its ends), gradients are never 0.
        """
        share = self.to_unit(base).clamp(EDGE, 1 - EDGE)
        return self.from_unit(torch.sigmoid(torch.logit(share) + SLOPE * residual))

    def residual(self, base: Tensor, value: Tensor) -> Tensor:
        """Inverse of `steer`: the residual that moves `base` to `value`, both inside the range."""
        shares = (self.to_unit(one).clamp(EDGE, 1 - EDGE) for one in (base, value))
        start, end = (torch.logit(share) for share in shares)
        return (end - start) / SLOPE

    def outside(self, value: Tensor) -> Tensor:
        """Which values lie outside the range by more than rounding, or are NaN."""
        slack = 1e-6 * max(abs(self.low), abs(self.high))
        return ~((value >= self.low - slack) & (value <= self.high + slack))

    def check(self, value: Tensor) -> None:
        """Refuse values outside the range.

        Raises:
            ValueError: which image, which number, its value and what is allowed.
        """
        wrong = self.outside(value).nonzero()
        if len(wrong):
            image, number = wrong[0].tolist()
            raise ValueError(
                f"{self.names[number]} of image {image} is {value[image, number].item():g} {self.unit}: "
                f"expected {self.low:g} … {self.high:g}"
            )
