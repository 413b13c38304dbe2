"""CenterNet's losses of a detector: a peak for each person, and the box that stands on it.

Zhou et al., *Objects as Points*, 2019, equations 1 to 3; the peaks' Gaussians are as wide and high as the box (Liu et
al., *Training-Time-Friendly Network for Real-Time Object Detection*, AAAI 2020).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.recognisers.multipose import CrowdHeads

SPREAD = 0.54 / 6
"""Standard deviation of a peak over its box's side (Liu et al., α = 0.54)."""
LEAST_SIGMA = 0.5
"""Of a small box's peak, cells."""
SIZE_WEIGHT, OFFSET_WEIGHT = 0.1, 1.0
"""Of the boxes' errors beside the peaks' (Zhou et al.)."""
_FAINTEST, _SUREST = 1e-12, 1 - 1e-6
"""Scores are cut to these before their logarithm: a cut further from 0 would leave who is missed without gradient."""


class Targets(NamedTuple):
    """What the heads should say of a batch.

    Attributes:
        centre: `(batch, 1, height, width)`, 0 … 1, 1 in the cell of a person's middle.
        counted: the same shape, 0 where somebody is who need not be found.
        people: `(people, 3)`: number of the picture, y and x of the cell.
        sizes: `(people, 2)`: width and height, cells.
        offsets: `(people, 2)`: x and y from the cell's index to the box's middle, 0 … 1.
    """

    centre: Tensor
    counted: Tensor
    people: Tensor
    sizes: Tensor
    offsets: Tensor


def targets(boxes: Tensor, height: int, width: int, batch: int) -> Targets:
    """Peaks `max_i exp(−(x − x_i)²/2σ_x² − (y − y_i)²/2σ_y²)`, `σ = 0.09·side`, about the cell of each middle.

    Args:
        boxes: `(people, 6)`: number of the picture, left, top, right, bottom in cells, 1 where the person need not be
            found; middles inside the picture.
        height: of the heads, cells.
        width: of the heads, cells.
        batch: pictures.
    """
    picture, wanted = boxes[:, 0].long(), boxes[:, 5] == 0
    sizes = boxes[:, 3:5] - boxes[:, 1:3]
    middle = (boxes[:, 1:3] + boxes[:, 3:5]) / 2
    cell = middle.floor()
    cell = torch.minimum(cell.clamp_min(0), cell.new_tensor([width - 1, height - 1]))
    y = torch.arange(height, device=boxes.device, dtype=boxes.dtype)[:, None]
    x = torch.arange(width, device=boxes.device, dtype=boxes.dtype)
    sigma = (SPREAD * sizes).clamp_min(LEAST_SIGMA)[..., None, None]
    square = ((x - cell[:, 0, None, None]) / sigma[:, 0]) ** 2 + ((y - cell[:, 1, None, None]) / sigma[:, 1]) ** 2
    peaks = torch.exp(-square / 2)
    edges = boxes[:, 1:5, None, None]
    within = (x >= edges[:, 0] - 1) & (x < edges[:, 2]) & (y >= edges[:, 1] - 1) & (y < edges[:, 3])
    centre, counted = boxes.new_zeros(batch, height, width), boxes.new_ones(batch, height, width)
    for number in range(batch):
        here = picture == number
        if (here & ~wanted).any():
            counted[number] = (~within[here & ~wanted].any(dim=0)).to(counted.dtype)
        if (here & wanted).any():
            centre[number] = peaks[here & wanted].amax(dim=0)
    people = torch.stack([picture, cell[:, 1].long(), cell[:, 0].long()], dim=1)[wanted]
    return Targets(centre[:, None], counted[:, None], people, sizes[wanted], (middle - cell)[wanted])


def detection_losses(heads: CrowdHeads, wanted: Targets) -> dict[str, Tensor]:
    """What the heads lack, a mean over people.

    `centre`: `−1/N Σ (1 − p)² ln p` where the target t is 1, `(1 − t)⁴ p² ln(1 − p)` elsewhere.
    `size`: `0.1/N Σ |s − ŝ|`; `offset`: `1/N Σ |o − ô|`, both at the people's own cells.

    Args:
        heads: of the batch; the joints' heads are not used.
        wanted: from `targets`.
    """
    score = heads.pose.centre.float().clamp(_FAINTEST, _SUREST)
    at = wanted.centre == 1
    right = (1 - score) ** 2 * score.log() * at
    wrong = (1 - wanted.centre) ** 4 * score**2 * (1 - score).log() * ~at * wanted.counted
    count = max(len(wanted.people), 1)
    picture, y, x = wanted.people.unbind(1)
    size, offset = (points.float()[picture, :, y, x] for points in (heads.box_sizes, heads.box_offsets))
    return {
        "centre": -(right + wrong).sum() / count,
        "size": SIZE_WEIGHT * (size - wanted.sizes).abs().sum() / count,
        "offset": OFFSET_WEIGHT * (offset - wanted.offsets).abs().sum() / count,
    }
