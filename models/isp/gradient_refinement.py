"""One picture's parameters refined by the gradient, the labels at hand: an oracle between a grid's points.

Adam descends the frozen network's loss over the people of one shot, from a setting that is good already. Every setting
on the way is tried as the grid's are, and the best is chosen; so it is never worse than its start.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.data.crops import joints_in_crop
from models.isp.learner import taken_by
from models.isp.region_crops import developed_crops
from models.isp.trials import Search
from models.recognisers.losses import pose_loss

RATE = 0.03
"""Adam's, of the residuals: in mid-range a step moves a parameter by about 3 % of its range."""


def refine(search: Search, start: Tensor, joints: Sequence[int], steps: int) -> Tensor:
    """Settings on the way down the loss, `(steps + 1, size)`, the start first.

    Args:
        search: of a shot with somebody labelled; the loss is the network's spatial cross-entropy, see
            `models.recognisers.losses.pose_loss`.
        start: `(size,)`.
        joints: the labels that are used.
        steps: of Adam.
    """
    recogniser, pipeline, people = search.recogniser, search.pipeline, search.sample.labelled
    device = next(recogniser.parameters()).device
    affines = [recogniser.crop_affine(p.bbox) for p in people]
    there = [joints_in_crop(p, a, recogniser.input_size, False) for p, a in zip(people, affines, strict=True)]
    labels = torch.from_numpy(np.stack(there)).to(device)
    labels[:, [j for j in range(labels.shape[1]) if j not in joints], 2] = 0
    picture, base = taken_by(search.pipeline, search.sample, search.what, device), start.to(device)[None]
    residual = torch.zeros_like(base, requires_grad=True)
    optimiser = torch.optim.Adam([residual], lr=RATE)
    path = [base]
    for _ in range(steps):
        values = pipeline.steer(base, residual).expand(len(affines), -1)
        crops = developed_crops(pipeline, [picture], values, [affines], recogniser.input_size)
        loss = pose_loss(recogniser, crops, labels, "spatial-cross-entropy")
        (residual.grad,) = torch.autograd.grad(loss, [residual])
        optimiser.step()
        path.append(pipeline.steer(base, residual).detach())
    return torch.cat(path).cpu()
