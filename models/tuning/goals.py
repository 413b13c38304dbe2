"""Several goals at once: recognition and image quality, which settings beat which, a search for the best of both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from isp_sim.quality.chart import Quality
from models.tuning.record import Evaluation
from models.tuning.tunable import Settings, TunableParameter, defaults

BATCH = 8
"""Settings proposed together, whatever the number of processes."""
STARTUP = 24
"""Evaluations, the defaults' among them, before anything is learned of them."""
NO_WORSE = 0.02
"""How much of a goal's spread over the front counts as no loss."""


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        name: `recognition`, or a figure of `isp_sim.quality.chart.Quality`.
        sign: 1 where more is better, −1 where less is.
        worst: what counts where a chart does not show it.
        says: for a heading.
    """

    name: str
    sign: int
    worst: float
    says: str

    def value(self, one: Evaluation) -> float:
        """Of an evaluation, in the goal's own unit; of texture, how near to what was there: more is no gain."""
        if self.name == "texture":
            return 1 - abs(1 - one.quality[self.name])
        return one.oks if self.name == RECOGNITION else one.quality[self.name]


RECOGNITION = "recognition"
GOALS = {
    goal.name: goal
    for goal in (
        Goal(RECOGNITION, 1, 0.0, "mean OKS"),
        Goal("snr_db", 1, -20.0, "SNR at 18 % grey, dB"),
        Goal("mtf50", 1, 0.0, "MTF50, cycles/px"),
        Goal("texture", 1, 0.0, "texture, 1 − |1 − acutance|"),
        Goal("delta_e", -1, 100.0, "ΔE2000"),
        Goal("dynamic_range_ev", 1, 0.0, "dynamic range, EV"),
    )
}


def measured(quality: Quality) -> dict[str, float]:
    """A chart's figures that may be goals; what it does not show is as bad as can be."""
    values = quality._asdict()
    return {
        name: goal.worst if math.isnan(values[name]) else values[name] for name, goal in GOALS.items() if name in values
    }


def losses(evaluations: Sequence[Evaluation], goals: Sequence[Goal]) -> Float[np.ndarray, "evaluations goals"]:
    """Every goal's value, turned so that less is better."""
    return np.array([[-goal.sign * goal.value(one) for goal in goals] for one in evaluations])


def front(losses: Float[np.ndarray, "n goals"]) -> Bool[np.ndarray, " n"]:
    """Which rows no other beats: none is as good in every goal and better in one. Of equals the first is kept."""
    no_worse = (losses[:, None] <= losses[None]).all(axis=2)
    better = (losses[:, None] < losses[None]).any(axis=2)
    earlier = np.arange(len(losses))[:, None] < np.arange(len(losses))
    return np.asarray(~(no_worse & (better | earlier)).any(axis=0))


def chosen(evaluations: Sequence[Evaluation], goals: Sequence[Goal]) -> dict[str, Settings]:
    """Points of the front that are looked at, by what they are; by the search's own shots alone.

    The best of each goal; of those that give up nothing against the defaults (2 % of a goal's spread over the front is
    nothing) the one of most recognition; and the one nearest to the best of all, each goal over its spread.
    """
    every = losses(evaluations, goals)
    at = np.flatnonzero(front(every))
    low, high = every[at].min(axis=0), every[at].max(axis=0)
    share = (every - low) / np.where(high > low, high - low, 1)
    found = {f"best {goal.name}": int(at[every[at, n].argmin()]) for n, goal in enumerate(goals)}
    found["balanced"] = int(at[(share[at] ** 2).sum(axis=1).argmin()])
    names = [goal.name for goal in goals]
    if RECOGNITION in names:
        n = names.index(RECOGNITION)
        kept = at[(np.delete(share[at] - share[0], n, axis=1) <= NO_WORSE).all(axis=1)]
        if len(kept):
            found["nothing given up"] = int(kept[every[kept, n].argmin()])
    return {name: evaluations[place].settings for name, place in found.items()}


class GoalSearch:
    """Tree-structured Parzen estimators over several goals (Ozaki et al., *Multiobjective TPE*, GECCO 2020; the
    `optuna` package), on shares of the ranges: near what lies on better fronts more is tried.

    Args:
        parameters: of the ISP.
        goals: two or more.
        seed: of its draws.

    Raises:
        ValueError: the package is not there.
    """

    def __init__(self, parameters: Sequence[TunableParameter], goals: Sequence[Goal], seed: int) -> None:
        try:
            import optuna  # 0.4 s
        except ImportError:
            raise ValueError("--goals: needs the package optuna, expected `pip install isp-sim[goals]`") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.parameters, self.goals = parameters, goals
        self._ranges = {one.name: optuna.distributions.FloatDistribution(0, 1) for one in parameters}
        self._study = optuna.create_study(
            directions=["minimize"] * len(goals),
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP),
        )
        self._study.enqueue_trial({one.name: one.share(one.default) for one in parameters})
        self._begun = False

    def ask(self) -> list[Settings]:
        """The defaults alone, then a batch at a time."""
        count = BATCH if self._begun else 1
        self._asked = [self._study.ask(self._ranges) for _ in range(count)]
        if not self._begun:
            return [defaults(self.parameters)]
        return [self._settings(trial.params) for trial in self._asked]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """See `models.tuning.search.Proposer`."""
        for trial, values in zip(self._asked, losses(evaluations, self.goals).tolist(), strict=True):
            self._study.tell(trial, values)
        self._begun = True

    def _settings(self, shares: Mapping[str, float]) -> Settings:
        return {one.name: one.setting(shares[one.name]) for one in self.parameters}
