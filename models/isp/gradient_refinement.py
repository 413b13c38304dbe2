"""What gradient ascent makes of one picture's parameters, the labels at hand: a second oracle, between a grid's points.

Adam climbs down the frozen network's loss over the people of one shot, from a setting that is good already. Every
setting on the way is tried as the grid's are, and whoever asks picks the best; so it is never worse than its start.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from isp_sim.files import write_atomically
from isp_sim.isp.pipeline import Pipeline
from models.data.crops import joints_in_crop
from models.data.samples import PairSample
from models.isp.grid_search import Trials, trial
from models.isp.learner import Input, light_of, pose_loss
from models.isp.region_crops import developed_crops
from models.recognisers.recogniser import Recogniser

RATE = 0.03
"""Adam's, of the residuals: in mid-range a step moves a parameter by about 3 % of its range."""


def climb(
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
        recogniser: frozen; its loss is `places`, see `models.isp.learner.pose_loss`.
        pipeline: the ISP.
        sample: the shot, with somebody labelled.
        what: of it is developed.
        start: `(size,)`.
        joints: the labels that are looked at.
        steps: of Adam.
    """
    device = next(recogniser.parameters()).device
    people = [p for p in sample.people if p.labelled]
    affines = [recogniser.crop_affine(p.bbox) for p in people]
    there = [joints_in_crop(p, a, recogniser.input_size, False) for p, a in zip(people, affines, strict=True)]
    labels = torch.from_numpy(np.stack(there)).to(device)
    labels[:, [j for j in range(labels.shape[1]) if j not in joints], 2] = 0
    picture, base = light_of(sample, what, device), start.to(device)[None]
    residual = torch.zeros_like(base, requires_grad=True)
    optimiser = torch.optim.Adam([residual], lr=RATE)
    way = [base]
    for _ in range(steps):
        crops = developed_crops(pipeline, [picture], pipeline.steer(base, residual), [affines], recogniser.input_size)
        loss = pose_loss(recogniser, crops, labels, "places")
        (residual.grad,) = torch.autograd.grad(loss, [residual])
        optimiser.step()
        way.append(pipeline.steer(base, residual).detach())
    return torch.cat(way).cpu()


def climbed(
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
    """Every setting on the way, tried; kept in a folder by the shot's name, so that a stopped search goes on.

    Args:
        folder: of what was found; None keeps nothing.
        recogniser: frozen.
        pipeline: the ISP.
        sample: the shot.
        what: of it is developed.
        start: `(size,)`.
        joints: the labels that are looked at.
        steps: of Adam.
        flip: see `models.recognisers.inference.heatmaps`.
    """
    people = tuple(p for p in sample.people if p.labelled)
    path = folder and folder / f"{what}-ascent" / f"{Path(sample.name).stem}-{len(joints)}-{joints[0]}.safetensors"
    if path and path.is_file():
        try:
            kept = load_file(path)
            if len(kept["values"]) == steps + 1 and torch.equal(kept["values"][0], start):
                return Trials(kept["keypoints"].numpy(), people, kept["values"])
        except (SafetensorError, KeyError):
            pass  # a file of something else is made anew
    values = climb(recogniser, pipeline, sample, what, start, joints, steps)
    made = trial(recogniser, pipeline, sample, what, values, flip)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save({"keypoints": torch.from_numpy(made.keypoints), "values": values}))
    return made
