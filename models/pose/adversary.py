"""Discriminators that must not tell low-light from well-lit: DANN over features, AdvEnt over the output's entropy.

Both train through a gradient reversal (Ganin & Lempitsky, *Unsupervised Domain Adaptation by Backpropagation*, ICML
2015), so one optimiser serves all. Lee et al. say no more than the methods' names: widths and weights here are ours.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isp_sim.scenes import JOINTS
from models.pose.losses import PoseOutput

FEATURES_WEIGHT, OUTPUT_WEIGHT = 1e-5, 0.01
"""Of the reversed gradient of DANN and of AdvEnt: DANN at 0.01 leaves nothing to see a pose by."""


class _Reverse(torch.autograd.Function):
    """Identity forward; backward `−weight · gradient`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reverse(x: Tensor, weight: float) -> Tensor:
    """x, whose gradient comes back times −weight."""
    reversed_x: Tensor = _Reverse.apply(x, weight)  # type: ignore[no-untyped-call]
    return reversed_x


def cross_entropy(low: Tensor, well: Tensor) -> Tensor:
    """Mean binary cross-entropy of a discriminator's logits: low-light 0, well-lit 1."""
    zeros, ones = torch.zeros_like(low), torch.ones_like(well)
    return (F.binary_cross_entropy_with_logits(low, zeros) + F.binary_cross_entropy_with_logits(well, ones)) / 2


class Adversary(nn.Module):
    """A discriminator of lightings over something of the pose network's output."""

    def __init__(self, judge: nn.Module, weight: float) -> None:
        super().__init__()
        self.judge, self.weight = judge, weight

    def evidence(self, output: PoseOutput) -> Tensor:
        """What is judged."""
        raise NotImplementedError

    def forward(self, low: PoseOutput, well: PoseOutput) -> Tensor:
        """Cross-entropy; its gradient is reversed before it reaches the pose network."""
        low_logits, well_logits = (self.judge(reverse(self.evidence(output), self.weight)) for output in (low, well))
        return cross_entropy(low_logits, well_logits)


class FeatureAdversary(Adversary):
    """DANN: the last stage's features, averaged over pixels, through two layers.

    Args:
        channels: of the last stage.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Sequential(nn.Linear(channels, 256), nn.ReLU(), nn.Linear(256, 1)), FEATURES_WEIGHT)

    def evidence(self, output: PoseOutput) -> Tensor:
        """`(batch, channels)`."""
        return output.features[-1].mean(dim=(2, 3)).float()


class OutputAdversary(Adversary):
    """AdvEnt (Vu et al., CVPR 2019): the heatmaps' weighted self-information `−p·ln p`, p their softmax over pixels.

    Args:
        joints: heatmaps.
    """

    def __init__(self, joints: int = len(JOINTS)) -> None:
        widths = (joints, 32, 64, 1)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
        super().__init__(nn.Sequential(*layers[:-1]), OUTPUT_WEIGHT)

    def evidence(self, output: PoseOutput) -> Tensor:
        """`(batch, joints, height, width)`, scaled by the number of pixels so that its mean is of order 1."""
        maps = output.heatmaps.float()
        ln_p = F.log_softmax(maps.flatten(2), dim=2)
        return (-ln_p.exp() * ln_p * ln_p.shape[2]).view_as(maps)
