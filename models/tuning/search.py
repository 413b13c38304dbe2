"""Ask-and-tell searches: CMA-ES for any ISP, gradient descent for one through which the pose loss has a gradient.

Both begin with the ISP's defaults or settings of the user's, both see the same shots; an evaluation is one pass over
all of them.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from isp_sim import streams
from models.tuning.record import Evaluation
from models.tuning.tunable import Settings, TunableParameter, defaults

SIGMA = 0.25
"""First standard deviation, of each parameter's range."""
RATE = 0.1
"""Of Adam, on the logits of the shares."""
EDGE = 0.02
"""How near to an end of its range a search may start, as a share."""


class Proposer(Protocol):
    """Proposes settings to be tried, and takes how they did."""

    def ask(self) -> list[Settings]:
        """The next to be tried together; their number does not depend on any evaluation."""
        ...

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """How all that were proposed did, in their order."""
        ...


class Search(Proposer, Protocol):
    """A search for one goal."""

    def centre(self) -> Settings:
        """Where the search stands: what it would try next without drawing anything.

        The best of many trials over few shots is partly luck; the centre is a mean over all evaluations, and so
        fits the shots of the search less closely.
        """
        ...


def _shares(parameters: Sequence[TunableParameter], start: Settings) -> np.ndarray:
    return np.clip([parameter.share(start[parameter.name]) for parameter in parameters], EDGE, 1 - EDGE)


def _settings(parameters: Sequence[TunableParameter], shares: np.ndarray) -> Settings:
    return {one.name: one.setting(float(share)) for one, share in zip(parameters, shares, strict=True)}


class CmaSearch:
    """CMA-ES (Hansen & Ostermeier, *Evolutionary Computation* 9, 2001; the `cma` package) over shares of the ranges.

    Minimises 1 − mean OKS. A parameter with choices is searched as a range, see `TunableParameter`.

    Args:
        parameters: of the ISP.
        seed: of its draws.
        start: settings that it begins with; None: the defaults.
    """

    def __init__(self, parameters: Sequence[TunableParameter], seed: int, start: Settings | None = None) -> None:
        import cma  # with SciPy's statistics: seconds that a judging process need not spend

        drawn = streams.generator(seed, "cma")
        options = {
            "bounds": [0, 1],
            "minstd": np.array([parameter.floor for parameter in parameters]),
            "randn": lambda *shape: drawn.standard_normal(shape),
            "seed": float("nan"),  # else it would seed NumPy's global generator
            "verbose": -9,
            "verb_log": 0,
        }
        self.parameters, self._first, self._begun = parameters, start or defaults(parameters), False
        self._strategy = cma.CMAEvolutionStrategy(_shares(parameters, self._first), SIGMA, options)
        self._proposed: list[np.ndarray] = []

    def ask(self) -> list[Settings]:
        """The start alone, then a generation at a time."""
        if not self._begun:
            return [self._first]
        self._proposed = self._strategy.ask()
        return [_settings(self.parameters, shares) for shares in self._proposed]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """See `Search`."""
        if self._begun:
            self._strategy.tell(self._proposed, [1 - one.oks for one in evaluations])
        self._begun = True

    def centre(self) -> Settings:
        """The mean of the distribution."""
        return _settings(self.parameters, self._strategy.result.xfavorite)


class GradientSearch:
    """Gradient descent (Adam) on the pose loss, on logits of the shares, from a start; one evaluation a step."""

    def __init__(self, parameters: Sequence[TunableParameter], start: Settings | None = None) -> None:
        self.parameters = parameters
        shares = _shares(parameters, start or defaults(parameters))
        self._logits = torch.logit(torch.tensor(shares)).requires_grad_()
        self._adam = torch.optim.Adam([self._logits], lr=RATE)

    def ask(self) -> list[Settings]:
        """The next step."""
        return [self.centre()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """See `Search`; each has its gradient."""
        (one,) = evaluations
        shares = torch.sigmoid(self._logits).detach()
        self._logits.grad = torch.tensor(one.gradient, dtype=shares.dtype) * shares * (1 - shares)
        self._adam.step()

    def centre(self) -> Settings:
        """Where the last step led."""
        return _settings(self.parameters, torch.sigmoid(self._logits).detach().numpy())
