"""Every setting of a grid tried on a picture, so that the best, or the one an ISP should have, can be chosen.

Chosen with the labels it is an oracle (Ono et al., VISAPP 2024, search so for each image); an oracle can fit noise, so
it is cross-validated too: it chooses by one half of the joints and is judged on the other. Chosen by the network's own
confidence, or by what most settings agree on, it needs no labels.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from isp_sim.isp.pipeline import Pipeline

Steps = dict[str, Sequence[float]]
"""Factors on each picture's own start, by the parameter's name."""
GRID: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.6, 1.0, 1.4),
    "smoothing.sigma_range": (1.0, 6.0, 32.0),
    "smoothing.sigma_space": (1.0, 2.0, 4.0),
}
"""81 combinations of factors on the start of each picture, the start among them."""
QUICK_GRID: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.6, 1.0),
    "smoothing.sigma_range": (4.0, 32.0),
    "smoothing.sigma_space": (1.25, 2.5),
}
"""24 combinations beside the start."""
NEAR: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.7, 1.0, 1.4),
    "smoothing.sigma_range": (0.25, 1.0, 4.0),
}
"""27 combinations of factors on what was learned, itself among them."""


def around(pipeline: Pipeline, start: Tensor, steps: Steps) -> Tensor:
    """Every combination of factors on a picture's start, `(settings, size)`, the start itself first.

    Args:
        pipeline: the ISP.
        start: `(1, size)`; `pipeline.base` gives one.
        steps: by the name of a parameter (`exposure.gain`) or of one of its numbers (`smoothing.sigma_range.R`),
            the factors tried; a parameter's numbers move together.

    Raises:
        ValueError: the pipeline has no parameter of a name.
    """
    names = pipeline.names
    columns = {key: [n for n, name in enumerate(names) if name == key or name.startswith(f"{key}.")] for key in steps}
    unknown = next((key for key, found in columns.items() if not found), None)
    if unknown:
        raise ValueError(f"grid over {unknown}: expected a parameter of the pipeline: {', '.join(names)}")
    settings = [start]
    low = torch.cat([start.new_full((spec.size,), spec.low) for spec in pipeline.specs])
    high = torch.cat([start.new_full((spec.size,), spec.high) for spec in pipeline.specs])
    for factors in itertools.product(*steps.values()):
        if all(factor == 1 for factor in factors):
            continue
        moved = start.clone()
        for key, factor in zip(steps, factors, strict=True):
            moved[:, columns[key]] *= factor
        settings.append(moved.clamp(low, high))
    return torch.cat(settings)


def known_steps(pipeline: Pipeline, steps: Steps) -> Steps:
    """The part of a grid whose parameters a pipeline has."""
    names = pipeline.names
    return {key: factors for key, factors in steps.items() if any(n == key or n.startswith(f"{key}.") for n in names)}
