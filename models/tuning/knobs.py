"""What can be set on an ISP from outside, and what an ISP is to a search: a raw file and settings in, a picture out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float32

from isp_sim.isp.params import ParamSpec
from models.recognisers.plugins import made_by

Setting = float | str
"""A number, a word, or yes and no."""
Settings = dict[str, Setting]
"""By the knob's name."""


@dataclass(frozen=True)
class Knob:
    """One knob: a range, or choices in an order in which neighbours resemble each other.

    Choices, whole numbers among them, are searched as a range too: each has a stretch of equal length, from half a
    place before its number in the list to half a place behind.

    Attributes:
        spec: of one number; where there are choices, of the place in the list.
        choices: what may be set; empty for a range.
    """

    spec: ParamSpec
    choices: tuple[Setting, ...] = ()

    @staticmethod
    def of_choices(name: str, choices: Sequence[Setting], default: Setting, says: str) -> "Knob":
        """A knob with choices.

        Raises:
            ValueError: fewer than two, or the default is none of them.
        """
        if len(choices) < 2 or default not in choices:
            raise ValueError(f"knob {name}: {list(choices)} with default {default!r}; two and more, the default among")
        place = float(list(choices).index(default))
        return Knob(ParamSpec(name, -0.5, len(choices) - 0.5, place, "linear", "", says), tuple(choices))

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
            ValueError: not allowed.
        """
        if self.choices and setting not in self.choices:
            raise ValueError(f"{self.name} is {setting!r}: allowed are {', '.join(map(str, self.choices))}")
        value = float(self.choices.index(setting) if self.choices else setting)
        self.spec.check(torch.tensor([[value]], dtype=torch.float64))
        return float(self.spec.to_unit(torch.tensor(value, dtype=torch.float64)))

    @property
    def allowed(self) -> str:
        """The range or the choices, as text."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.spec.low:g} … {self.spec.high:g} {self.spec.unit}".strip()


class BlackBoxIsp(Protocol):
    """An ISP under test: a program, a library, a device.

    Attributes:
        knobs: what a search may set; names are unique.
    """

    @property
    def knobs(self) -> Sequence[Knob]:
        """See the class."""
        ...

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> Float32[np.ndarray, "height width 3"]:
        """A raw file as a picture of the mosaic's size, R first, 1 is white, in the curve the program gives it.

        Args:
            raw: a DNG.
            settings: one for each knob.

        Raises:
            ValueError: the file or a setting cannot be used; one sentence.
            OSError: the program or the device does not answer.
        """
        ...


def defaults(knobs: Sequence[Knob]) -> Settings:
    """Every knob where it is before a search."""
    return {knob.name: knob.default for knob in knobs}


def load_isp(name: str) -> BlackBoxIsp:
    """An ISP under test.

    Args:
        name: `libraw`, `pipeline` (ours, with its usual steps), a YAML file of an external command or of a pipeline's
            steps, or `package.module:factory` whose call gives a `BlackBoxIsp`.

    Raises:
        ValueError: none of these, or its file is faulty.
    """
    from models.tuning.external import load_external
    from models.tuning.libraw import LibRawIsp
    from models.tuning.pipeline import PipelineIsp

    if name == "libraw":
        return LibRawIsp()
    if name == "pipeline":
        return PipelineIsp()
    if name.endswith((".yaml", ".yml")):
        return load_external(Path(name))
    if ":" in name:
        return _made(name)
    raise ValueError(f"--isp {name}: libraw, pipeline, a YAML file or module:factory is allowed")


def _made(name: str) -> BlackBoxIsp:
    made: Any = made_by(name, f"--isp {name}")
    try:
        knobs = tuple(made.knobs)
        assert callable(made.develop)
    except Exception as fault:  # another's code: whatever it raises is told, not thrown at the user
        why = f"{type(fault).__name__}: {fault}"
        raise ValueError(f"--isp {name}: gives no ISP with knobs and develop(raw, settings) ({why})") from None
    names = [knob.name for knob in knobs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"--isp {name}: its knobs are {names}; one and more, each with a name of its own, are needed")
    isp: BlackBoxIsp = made
    return isp
