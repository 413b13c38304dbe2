"""One picture's parameters refined by the gradient, the labels at hand: an oracle between a grid's points.

Adam descends the frozen network's loss over the people of one shot, from a setting that is good already. Every setting
on the way is tried as the grid's are, and the best is chosen; so it is never worse than its start.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from isp_sim.isp.pipeline import Pipeline
from models.data.crops import joints_in_crop
from models.data.samples import PairSample
from models.isp.grid_search import trial
from models.isp.learner import Input, light_of, pose_loss
from models.isp.region_crops import developed_crops
from models.isp.trials import Trials, kept, trial_key
from models.recognisers.recogniser import Recogniser

RATE = 0.03
"""Adam's, of the residuals: in mid-range a step moves a parameter by about 3 % of its range."""


def refine(
    recogniser: Recogniser,
    pipeline: Pipeline,
    sample: PairSample,
    what: Input,
    start: Tensor,
    joints: Sequence[int],
    steps: int,
) -> Tensor:
    """Settings on the way down the loss, `(steps + 1, size)`, the start first.

    Args:
        recogniser: frozen; its loss is the spatial cross-entropy, see `models.isp.learner.pose_loss`.
        pipeline: the ISP.
        sample: the shot, with somebody labelled.
        what: of it is developed.
        start: `(size,)`.
        joints: the labels that are used.
        steps: of Adam.
    """
    device = next(recogniser.parameters()).device
    people = sample.labelled
    affines = [recogniser.crop_affine(p.bbox) for p in people]
    there = [joints_in_crop(p, a, recogniser.input_size, False) for p, a in zip(people, affines, strict=True)]
    labels = torch.from_numpy(np.stack(there)).to(device)
    labels[:, [j for j in range(labels.shape[1]) if j not in joints], 2] = 0
    picture, base = light_of(sample, what, device), start.to(device)[None]
    residual = torch.zeros_like(base, requires_grad=True)
    optimiser = torch.optim.Adam([residual], lr=RATE)
    path = [base]
    for _ in range(steps):
        crops = developed_crops(pipeline, [picture], pipeline.steer(base, residual), [affines], recogniser.input_size)
        loss = pose_loss(recogniser, crops, labels, "spatial-cross-entropy")
        (residual.grad,) = torch.autograd.grad(loss, [residual])
        optimiser.step()
        path.append(pipeline.steer(base, residual).detach())
    return torch.cat(path).cpu()


def kept_refinement(
    folder: Path | None,
    recogniser: Recogniser,
    pipeline: Pipeline,
    sample: PairSample,
    what: Input,
    start: Tensor,
    joints: Sequence[int],
    steps: int,
    flip: str,
) -> Trials:
    """Every setting of `refine`, tried; kept in a folder, see `models.isp.trials.kept`.

    Args:
        folder: of what was found; None keeps nothing.
        recogniser: frozen.
        pipeline: the ISP.
        sample: the shot.
        what: of it is developed.
        start: `(size,)`.
        joints: the labels that are used.
        steps: of Adam.
        flip: see `models.recognisers.inference.heatmaps`.
    """

    def make() -> Trials:
        values = refine(recogniser, pipeline, sample, what, start, joints, steps)
        return trial(recogniser, pipeline, sample, what, values, flip)

    key = trial_key(recogniser, pipeline, sample, what, flip, "refinement", start, tuple(joints), steps)
    return kept(folder, sample.name, key, sample.labelled, make)
