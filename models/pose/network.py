"""CPN (Chen et al., *Cascaded Pyramid Network*, CVPR 2018) as ExLPose uses it: a global pyramid, a refinement.

With ResNet-50 and 14 joints 27,372,236 parameters: backbone 23,508,032, GlobalNet 1,576,560, RefineNet 2,287,644
(Lee et al., CVPR 2023: 27.37 M).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isp_sim.scenes import JOINTS
from models.data.crops import GROW
from models.data.normalisation import LOW, NORMALISATION, WELL
from models.pose.backbone import Residual, ResNet
from models.pose.heatmaps import HEATMAP_STRIDE, targets
from models.pose.losses import LUPI_WEIGHT, PoseOutput, heatmap_loss

SPREAD = 0.06
"""Standard deviation of a target heatmap, a Gaussian of σ 1.4 px in 48×36; the last norms start there. Started at 1,
they spend the first thousand steps on shrinking (measured: still 0.25 after 700)."""


@dataclass(frozen=True)
class CpnSize:
    """What makes one CPN large and another small.

    Attributes:
        depths, bottleneck, width: of the backbone (`ResNet`).
        channels: of the pyramid.
        height, width_px: of the input, px; heatmaps are a quarter of it.
    """

    depths: tuple[int, int, int, int]
    bottleneck: bool
    width: int
    channels: int
    height: int
    width_px: int


SIZES = {
    "resnet50": CpnSize((3, 4, 6, 3), True, 64, 256, 256, 192),
    "small": CpnSize((2, 2, 2, 2), False, 24, 64, 192, 144),
    "tiny": CpnSize((1, 1, 1, 1), False, 16, 32, 128, 96),
}
"""The paper's network; one for a CPU, ResNet-18's shape at three eighths of its width; one to try things on."""


def _conv_norm(incoming: int, outgoing: int, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(incoming, outgoing, 1, bias=False), nn.BatchNorm2d(outgoing)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def _heatmap_norm(joints: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(joints)
    nn.init.constant_(norm.weight, SPREAD)
    return norm


class _Head(nn.Module):
    """A level's heatmaps: 1×1, 3×3, resized to the heatmap's size, normalised."""

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        self.enter = _conv_norm(channels, channels)
        self.last = nn.Conv2d(channels, joints, 3, padding=1, bias=False)
        self.norm = _heatmap_norm(joints)

    def forward(self, level: Tensor, size: tuple[int, int]) -> Tensor:
        seen = self.last(self.enter(level))
        normed: Tensor = self.norm(F.interpolate(seen, size=size, mode="bilinear", align_corners=True))
        return normed


class GlobalNet(nn.Module):
    """Feature pyramid with a heatmap head at each level: laterals added to the level above, doubled in size."""

    def __init__(self, incoming: tuple[int, ...], channels: int, joints: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(_conv_norm(c, channels) for c in reversed(incoming))
        self.lifts = nn.ModuleList(_conv_norm(channels, channels, relu=False) for _ in incoming[1:])
        self.heads = nn.ModuleList(_Head(channels, joints) for _ in incoming)

    def forward(self, stages: tuple[Tensor, ...], size: tuple[int, int]) -> tuple[list[Tensor], list[Tensor]]:
        """Pyramid levels P5 … P2 and their heatmaps at `size`."""
        levels: list[Tensor] = []
        heatmaps = []
        for n, stage in enumerate(reversed(stages)):
            level = self.laterals[n](stage)
            if levels:
                above = F.interpolate(levels[-1], size=level.shape[-2:], mode="bilinear", align_corners=True)
                level = level + self.lifts[n - 1](above)
            levels.append(level)
            heatmaps.append(self.heads[n](level, size))
        return levels, heatmaps


class RefineNet(nn.Module):
    """Every level through 3, 2, 1, 0 bottlenecks, brought to one size, concatenated, one more bottleneck, heatmaps."""

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        inside = channels // 2
        self.ladders = nn.ModuleList(
            nn.Sequential(*(_bottleneck(channels, inside, channels) for _ in range(count))) for count in (3, 2, 1, 0)
        )
        self.join = _bottleneck(4 * channels, inside, channels)
        self.last = nn.Sequential(nn.Conv2d(channels, joints, 3, padding=1, bias=False), _heatmap_norm(joints))

    def forward(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Refined heatmaps at `size`."""
        climbed = [
            F.interpolate(ladder(level), size=size, mode="bilinear", align_corners=True)
            for ladder, level in zip(self.ladders, levels, strict=True)
        ]
        heatmaps: Tensor = self.last(self.join(torch.cat(climbed, dim=1)))
        return heatmaps


def _bottleneck(incoming: int, inside: int, outside: int) -> nn.Module:
    """CPN's bottleneck always has a convolution in its shortcut, also where the shape stays."""
    block = Residual(incoming, inside, outside, 1, True, nn.BatchNorm2d)
    block.shortcut = nn.Sequential(nn.Conv2d(incoming, outside, 1, bias=False), nn.BatchNorm2d(outside))
    return block


class Cpn(nn.Module):
    """The pose network.

    Args:
        size: one of `SIZES`.
        joints: heatmaps.
        lsbn: lighting-specific batch norm in the backbone.

    Raises:
        ValueError: an unknown size.
    """

    normalisation, grow, style_weight = NORMALISATION, GROW, LUPI_WEIGHT

    def __init__(self, size: str = "resnet50", joints: int = len(JOINTS), lsbn: bool = False) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"pose network size {size!r}: expected one of {', '.join(SIZES)}")
        what = SIZES[size]
        self.size, self.lsbn = size, lsbn
        self.input_size = (what.height, what.width_px)
        self.maps = joints
        self.backbone = ResNet(what.depths, what.bottleneck, what.width, lsbn)
        self.pyramid = GlobalNet(self.backbone.channels, what.channels, joints)
        self.refine = RefineNet(what.channels, joints)
        self.feature_channels = self.backbone.channels[-1]

    def forward(self, image: Tensor, lighting: int = LOW) -> PoseOutput:
        """Heatmaps of one person's crop.

        Args:
            image: `(batch, 3, *input_size)`, normalised as `models.data.crops` does for its lighting.
            lighting: `LOW` or `WELL`.
        """
        return self._poses(self.backbone(image, lighting), image)

    def both(self, low_light: Tensor, well_lit: Tensor) -> tuple[PoseOutput, PoseOutput]:
        """Heatmaps of low-light and of well-lit crops, for training.

        Every norm sees what it is later used with: one that knows the lighting only its own, one that does not (those
        of pyramid and refinement, without LSBN all) both in one batch. Batches of one lighting after the other would
        normalise by one lighting's statistics in training and by the mixture's in use.

        Args:
            low_light: `(batch, 3, *input_size)`.
            well_lit: of the same people, as many.
        """
        if self.lsbn:
            each = self.backbone(low_light, LOW), self.backbone(well_lit, WELL)
            features = tuple(torch.cat(two) for two in zip(*each, strict=True))
        else:
            features = self.backbone(torch.cat([low_light, well_lit]))
        seen = self._poses(features, low_light)
        return seen.part(slice(len(low_light))), seen.part(slice(len(low_light), None))

    def loss(self, output: PoseOutput, joints: Tensor) -> Tensor:
        """`models.pose.losses.heatmap_loss` against Gaussians at the joints.

        Args:
            output: of a batch.
            joints: `(batch, joints, 3)`: x, y in crop px, COCO visibility.
        """
        height, width = output.heatmaps.shape[-2:]
        return heatmap_loss(output, targets(joints, height, width), joints[..., 2])

    def _poses(self, features: tuple[Tensor, ...], image: Tensor) -> PoseOutput:
        size = (image.shape[-2] // HEATMAP_STRIDE, image.shape[-1] // HEATMAP_STRIDE)
        levels, coarse = self.pyramid(features[1:], size)
        return PoseOutput(self.refine(levels, size), tuple(coarse), features)
