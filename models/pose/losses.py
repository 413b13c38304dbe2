"""What the pose network is trained on: heatmaps, and the well-lit teacher's features."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

HARD_JOINTS = 8
LUPI_WEIGHT = 1e-6
"""Lee et al. say 1e-4, beside heatmaps that peak at 255 in the released code and at 1 here: there the term (summed over
32 pairs, 0.2 a layer) weighs as much as 1e-8 would here, 1e-4 would be 10⁴ times that. 1e-6 did best of the three in
a few short trainings judged on scenes that no benchmark uses."""


class PoseOutput(NamedTuple):
    """What a forward gives.

    Attributes:
        heatmaps: `(batch, joints, height/4, width/4)`, the refined ones.
        global_heatmaps: the pyramid's four, coarse to fine, each at full heatmap size.
        features: the backbone's, conv1 before its norm and R1 … R4.
    """

    heatmaps: Tensor
    global_heatmaps: tuple[Tensor, ...]
    features: tuple[Tensor, ...]

    def part(self, people: slice) -> "PoseOutput":
        """Of some of the batch."""
        coarse, features = (tuple(x[people] for x in several) for several in (self.global_heatmaps, self.features))
        return PoseOutput(self.heatmaps[people], coarse, features)


def heatmap_loss(output: PoseOutput, targets: Sequence[Tensor], visible: Tensor) -> Tensor:
    """Half the squared error of the four global maps, plus that of the refined map over each person's 8 hardest joints.

    `Σ_level mean((h_l − t_l)²)/2 + mean over persons of Σ_{8 hardest} e_j / 8`, with e_j a joint's mean squared
    error (Chen et al. 2018; Lee et al. 2023); unlabelled joints (visibility 0) count in neither. In the released code
    they count as empty maps in the global maps' error; but what is not labelled may well be there.

    Args:
        output: of the network.
        targets: one `(batch, joints, height, width)` for each pyramid level, coarse to fine; the last is the
            refined map's too.
        visible: `(batch, joints)`.
    """
    labelled = (visible > 0)[..., None, None].to(output.heatmaps.dtype)
    total = output.heatmaps.new_zeros(())
    for seen, target in zip(output.global_heatmaps, targets, strict=True):
        total = total + ((seen - target) ** 2 * labelled).mean() / 2
    return total + hardest_joints(output.heatmaps, targets[-1], visible)


def hardest_joints(heatmaps: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Mean over people of `Σ_{8 hardest} e_j / 8`, with e_j a labelled joint's mean squared error, 0 if unlabelled.

    Args:
        heatmaps: `(batch, joints, height, width)`.
        target: of the same shape.
        visible: `(batch, joints)`.
    """
    each = ((heatmaps - target) ** 2).mean(dim=(2, 3)) * (visible > 0)
    return each.topk(min(HARD_JOINTS, each.shape[1]), dim=1).values.mean()


def gram(features: Tensor) -> Tensor:
    """`F·Fᵀ` over pixels: `(batch, channels, height, width)` → `(batch, channels, channels)`."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2)


def lupi_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Distance of the low-light features' styles from the well-lit ones': `Σ_layers mean Σ(ΔG)² / (4 C² N²)`.

    C is the channels and N the pixels of the layer, G its Gram matrix. The teacher is detached: gradients reach the
    student alone (Lee et al., CVPR 2023, eq. 3, after Gatys et al. 2016).
    """
    total = student[0].new_zeros(())
    for low, well in zip(student, teacher, strict=True):
        channels, pixels = low.shape[1], low.shape[2] * low.shape[3]
        # In float32: a Gram matrix of thousands of pixels does not fit half precision.
        with torch.autocast(low.device.type, enabled=False):
            apart = _gram_distance(low.float(), well.detach().float())
        total = total + apart.mean() / (4 * channels**2 * pixels**2)
    return total


def _gram_distance(low: Tensor, well: Tensor) -> Tensor:
    """`Σ(G_l − G_w)²` of each sample; with fewer pixels than channels from the small products over channels.

    `Σ (F·Fᵀ)² = Σ (Fᵀ·F)²` and `Σ G_l·G_w = Σ (F_wᵀ·F_l)²`.
    """
    if low.shape[1] <= low.shape[2] * low.shape[3]:
        return (gram(low) - gram(well)).square().sum(dim=(1, 2))
    a, b = low.flatten(2), well.flatten(2)
    own, mixed, other = ((x.transpose(1, 2) @ y).square().sum(dim=(1, 2)) for x, y in ((a, a), (b, a), (b, b)))
    return own - 2 * mixed + other


def feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """LUPI-feat, Lee et al.'s ablation: mean squared distance of the features themselves, teacher detached."""
    total = student[0].new_zeros(())
    for low, well in zip(student, teacher, strict=True):
        total = total + ((low - well.detach()) ** 2).mean()
    return total
