"""Tunable parameters, and an ISP as a search sees it: a raw file and settings in, a picture out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from isp_sim.isp.params import ParamSpec
from isp_sim.rig import Finite, Model

Setting = bool | int | float | str
"""A number, a word, or yes and no."""
Settings = dict[str, Setting]
"""By the parameter's name."""


@dataclass(frozen=True)
class TunableParameter:
    """One tunable parameter: a range, or choices in an order in which neighbours resemble each other.

    Choices, whole numbers among them, are searched as a range too: each has a stretch of equal length, from half a
    place before its number in the list to half a place behind.

    Attributes:
        spec: of one number; where there are choices, of the place in the list.
        choices: what may be set; empty for a range.
    """

    spec: ParamSpec
    choices: tuple[Setting, ...] = ()

    @staticmethod
    def of_choices(name: str, choices: Sequence[Setting], default: Setting, says: str) -> "TunableParameter":
        """A parameter with choices.

        Raises:
            ValueError: fewer than two, or the default is not among them.
        """
        if len(choices) < 2 or default not in choices:
            raise ValueError(
                f"parameter {name}: choices {list(choices)}, default {default!r}; expected two or more, one the default"
            )
        place = float(list(choices).index(default))
        return TunableParameter(ParamSpec(name, -0.5, len(choices) - 0.5, place, "linear", "", says), tuple(choices))

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def default(self) -> Setting:
        """What it is set to before anything is searched."""
        (start,) = self.spec.initial
        return self.choices[round(start)] if self.choices else start

    @property
    def floor(self) -> float:
        """Least standard deviation of a search, as a share of the range: a fifth of a choice's stretch.

        With less, a search would freeze on one choice long before it knows the others (Hamano et al., *CMA-ES with
        Margin*, GECCO 2022, keep a probability of leaving it).
        """
        return 0.2 / len(self.choices) if self.choices else 0.0

    def setting(self, share: float) -> Setting:
        """What a share of the range, 0 … 1, sets; numbers to six digits, so that a log gives them back."""
        value = float(self.spec.from_unit(torch.tensor(share, dtype=torch.float64)))
        if self.choices:
            return self.choices[min(int(value + 0.5), len(self.choices) - 1)]
        return float(f"{value:.6g}")

    def share(self, setting: Setting) -> float:
        """Inverse of `setting`; the middle of a choice's stretch.

        Raises:
            ValueError: out of range, or not among the choices.
        """
        if self.choices and setting not in self.choices:
            raise ValueError(f"{self.name}: is {setting!r}, expected one of {self.domain}")
        value = float(self.choices.index(setting) if self.choices else setting)
        self.spec.check(torch.tensor([[value]], dtype=torch.float64))
        return float(self.spec.to_unit(torch.tensor(value, dtype=torch.float64)))

    @property
    def domain(self) -> str:
        """The range or the choices, as text."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.spec.low:g} … {self.spec.high:g} {self.spec.unit}".strip()


class ParameterEntry(Model):
    """A tunable parameter as a file or a board says it: `low`, `high` and `default` inside them, or `choices`."""

    default: bool | int | Finite | str
    low: Finite | None = None
    high: Finite | None = None
    scale: Literal["log", "linear"] = "linear"
    choices: tuple[bool | int | Finite | str, ...] = ()
    unit: str = ""
    says: str = ""

    def parameter(self, name: str) -> TunableParameter:
        """The tunable parameter.

        Raises:
            ValueError: neither a range nor choices, or the default does not fit.
        """
        if self.choices and self.low is None and self.high is None:
            return TunableParameter.of_choices(name, self.choices, self.default, self.says)
        if self.choices or self.low is None or self.high is None or isinstance(self.default, str):
            raise ValueError(f"knobs: {name}: expected low, high and a number as default, or choices and one of them")
        return TunableParameter(
            ParamSpec(name, self.low, self.high, float(self.default), self.scale, self.unit, self.says)
        )

    @staticmethod
    def of(parameter: TunableParameter) -> "ParameterEntry":
        """A parameter as a board says it."""
        spec = parameter.spec
        if parameter.choices:
            return ParameterEntry(default=parameter.default, choices=parameter.choices, says=spec.says)
        return ParameterEntry(
            default=parameter.default, low=spec.low, high=spec.high, scale=spec.scale, unit=spec.unit, says=spec.says
        )


@runtime_checkable
class BlackBoxIsp(Protocol):
    """An ISP under test: a program, a library, a device.

    Attributes:
        parameters: what a search may set; names are unique.
    """

    @property
    def parameters(self) -> Sequence[TunableParameter]:
        """See the class."""
        ...

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """A raw file as a picture of the mosaic's size, R first, 1 is white, in the curve the program gives it.

        Args:
            raw: a DNG.
            settings: one for each parameter.

        Raises:
            ValueError: the file or a setting cannot be used; one sentence.
            OSError: the program or the device does not answer.
        """
        ...


def defaults(parameters: Sequence[TunableParameter]) -> Settings:
    """Every parameter where it is before a search."""
    return {parameter.name: parameter.default for parameter in parameters}
