"""How far apart two lightings lie in a network's features: Lee et al.'s Fig. 6 (CVPR 2023)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from models.pose.losses import gram

SIDE = 4
"""Features are averaged to so many cells a side, so that distances are of what is where, not of single pixels."""


def modified_hausdorff(ours: Tensor, theirs: Tensor) -> float:
    """`max(mean_a min_b ‖a − b‖, mean_b min_a ‖a − b‖)` (Dubuisson & Jain, ICPR 1994).

    Args:
        ours: `(points, dimensions)`.
        theirs: as many dimensions.
    """
    apart = torch.cdist(ours.double(), theirs.double())
    return float(torch.maximum(apart.min(dim=1).values.mean(), apart.min(dim=0).values.mean()))


def style(features: Tensor) -> Tensor:
    """Gram matrices over the number of weights in the feature, flat: `(batch, C²)`."""
    return (gram(features) / features[0].numel()).flatten(1)


def content(features: Tensor) -> Tensor:
    """The features themselves, averaged to `SIDE`² cells, flat."""
    return F.adaptive_avg_pool2d(features, SIDE).flatten(1)


def distances(low_light: Sequence[Tensor], well_lit: Sequence[Tensor]) -> list[tuple[float, float]]:
    """Of each layer: between styles, and between features, over the root of the dimensions.

    Args:
        low_light: features of each layer, `(people, C, height, width)`.
        well_lit: of the same layers.
    """
    found = []
    for low, well in zip(low_light, well_lit, strict=True):
        pairs = ((style(low), style(well)), (content(low), content(well)))
        found.append(tuple(modified_hausdorff(a, b) / a.shape[1] ** 0.5 for a, b in pairs))
    return [(styles, features) for styles, features in found]
