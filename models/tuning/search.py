"""Searches that ask and are told: CMA-ES for any ISP, the pose loss's slope for the one that has it.

Both begin with the ISP's defaults, both see the same shots; an evaluation is one pass over all of them.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from isp_sim import streams
from models.tuning.knobs import Knob, Settings
from models.tuning.record import Evaluation

SIGMA = 0.25
"""First standard deviation, of each knob's range."""
RATE = 0.1
"""Of Adam, on the logits of the shares."""
EDGE = 0.02
"""How near to an end of its range a search may start, as a share."""


class Search(Protocol):
    """Asks for settings to be tried, and is told how they did."""

    def ask(self) -> list[Settings]:
        """The next to be tried together; their number does not depend on anything told."""
        ...

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """How all of those that were asked for did, in their order."""
        ...

    def centre(self) -> Settings:
        """Where the search stands: what it would try next without drawing anything.

        The best of many trials over few shots is partly luck; the centre is a mean over all that was told, and so
        fits the shots of the search less closely.
        """
        ...


def _start(knobs: Sequence[Knob]) -> np.ndarray:
    return np.clip([knob.share(knob.default) for knob in knobs], EDGE, 1 - EDGE)


def _settings(knobs: Sequence[Knob], shares: np.ndarray) -> Settings:
    return {knob.name: knob.setting(float(share)) for knob, share in zip(knobs, shares, strict=True)}


class CmaSearch:
    """CMA-ES (Hansen & Ostermeier, *Evolutionary Computation* 9, 2001; the `cma` package) over shares of the ranges.

    Minimises 1 − mean OKS. A knob with choices is searched as a range, see `Knob`.

    Args:
        knobs: of the ISP.
        seed: of its draws.
    """

    def __init__(self, knobs: Sequence[Knob], seed: int) -> None:
        import cma  # with SciPy's statistics: seconds that a judging process need not spend

        drawn = streams.generator(seed, "cma")
        said = {
            "bounds": [0, 1],
            "minstd": np.array([knob.floor for knob in knobs]),
            "randn": lambda *shape: drawn.standard_normal(shape),
            "seed": float("nan"),  # else it would seed NumPy's global generator
            "verbose": -9,
            "verb_log": 0,
        }
        self.knobs, self._begun = knobs, False
        self._strategy = cma.CMAEvolutionStrategy(_start(knobs), SIGMA, said)
        self._asked: list[np.ndarray] = []

    def ask(self) -> list[Settings]:
        """The defaults alone, then a generation at a time."""
        if not self._begun:
            return [{knob.name: knob.default for knob in self.knobs}]
        self._asked = self._strategy.ask()
        return [_settings(self.knobs, shares) for shares in self._asked]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """See `Search`."""
        if self._begun:
            self._strategy.tell(self._asked, [1 - one.oks for one in evaluations])
        self._begun = True

    def centre(self) -> Settings:
        """The mean of the distribution."""
        return _settings(self.knobs, self._strategy.result.xfavorite)


class GradientSearch:
    """Adam down the pose loss's slope, on logits of the shares, from the defaults; one evaluation a step.

    Args:
        knobs: of the ISP; ranges.
    """

    def __init__(self, knobs: Sequence[Knob]) -> None:
        self.knobs = knobs
        self._logits = torch.logit(torch.tensor(_start(knobs))).requires_grad_()
        self._adam = torch.optim.Adam([self._logits], lr=RATE)

    def ask(self) -> list[Settings]:
        """The next step."""
        return [self.centre()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """See `Search`; each was told with its slope."""
        (one,) = evaluations
        shares = torch.sigmoid(self._logits).detach()
        self._logits.grad = torch.tensor(one.slope, dtype=shares.dtype) * shares * (1 - shares)
        self._adam.step()

    def centre(self) -> Settings:
        """Where the last step led."""
        return _settings(self.knobs, torch.sigmoid(self._logits).detach().numpy())
