"""One setting of the ISP for all pictures: the grid's best over a few training shots, of every split and ratio."""

from collections.abc import Sequence

import numpy as np
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.progress import Progress, track
from models.data.samples import PairSample, PairSource
from models.data.search_shots import covering
from models.isp.grid_search import QUICK_GRID, Steps, around, known_steps
from models.isp.learned import LearnedIsp
from models.isp.learner import Input
from models.isp.trials import Search
from models.recognisers.recogniser import Recogniser

FIXED_SHOTS = 12
"""Training shots over which the best fixed setting is searched, if nothing else is asked for."""


def training_shots(source: PairSource, count: int = FIXED_SHOTS) -> list[PairSample]:
    """So many shots with somebody labelled, of every split and every ratio that the source has."""
    places = [(group, name) for group in range(len(source)) for name in source.names(group)]
    seen: dict[int, PairSample] = {}
    with Progress("training shots for the fixed setting", count) as progress:

        def usable(number: int) -> bool:
            group, name = places[number]
            seen[number] = next(shot for shot in source.group(group) if shot.name == name)
            progress.advance(bool(seen[number].labelled))
            return bool(seen[number].labelled)

        return [seen[number] for number in covering([name for _, name in places], count, usable)]


def best_fixed(
    recogniser: Recogniser,
    pipeline: Pipeline,
    samples: Sequence[PairSample],
    what: Input,
    steps: Steps,
    flip: str,
) -> int:
    """The setting of the grid that has the highest mean OKS over training shots: one for all pictures."""
    found = []
    for sample in track(samples, "shots for the best fixed setting"):
        search = Search(recogniser, pipeline, sample, what, flip)
        found.append(search.trial(around(pipeline, search.base, steps)).mean_oks())
    return int(np.mean(found, axis=0).argmax())


def start_fixed(isp: LearnedIsp, recogniser: Recogniser, what: Input, samples: Sequence[PairSample]) -> None:
    """Let a predictor that has learned nothing give the grid's best setting: the mean residual becomes its bias."""
    assert isp.predictor is not None
    pipeline, steps = isp.pipeline, known_steps(isp.pipeline, QUICK_GRID)
    best = best_fixed(recogniser, pipeline, samples, what, steps, "none")
    residuals = []
    for sample in samples:
        base = Search(recogniser, pipeline, sample, what).base
        value = around(pipeline, base, steps)[best : best + 1]
        parts = zip(pipeline.specs, pipeline.split(base), pipeline.split(value), strict=True)
        residuals.append(torch.cat([spec.residual(b, v) for spec, b, v in parts], dim=1))
    with torch.no_grad():
        bias = isp.predictor.head.bias
        assert bias is not None
        bias.copy_(torch.cat(residuals).mean(dim=0))
