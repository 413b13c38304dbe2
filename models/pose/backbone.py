"""ResNet (He et al., CVPR 2016) as the pose network's backbone, with batch norm for two lightings as an option.

LSBN (Lee et al., CVPR 2023, §4.1): every batch norm of the backbone is there twice, once for low-light and once for
well-lit input; convolutions are shared. A layer's two norms never see each other's statistics.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from models.data.normalisation import LOW


class LightingNorm(nn.Module):
    """Two batch norms, one for each lighting; `lighting` says which the next forward uses."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.lighting = LOW

    def forward(self, x: Tensor) -> Tensor:
        """Normalise with the current lighting's statistics and weights; any `(batch, channels, …)`."""
        normed: Tensor = self.norms[self.lighting](x)
        return normed


class Residual(nn.Module):
    """A residual block: `relu(branch(x) + shortcut(x))`; a 1×1 shortcut where the shape changes.

    Args:
        inside: channels of the branch's middle.
        outside: channels that come out.
        bottleneck: 1×1, 3×3, 1×1; otherwise two 3×3.
        norm: class of the normalisation.
    """

    def __init__(
        self, incoming: int, inside: int, outside: int, stride: int, bottleneck: bool, norm: type[nn.Module]
    ) -> None:
        super().__init__()
        if bottleneck:
            steps = [(incoming, inside, 1, 1), (inside, inside, 3, stride), (inside, outside, 1, 1)]
        else:
            steps = [(incoming, inside, 3, stride), (inside, outside, 3, 1)]
        layers: list[nn.Module] = []
        for a, b, size, step in steps:
            layers += [nn.Conv2d(a, b, size, step, size // 2, bias=False), norm(b), nn.ReLU()]
        self.branch = nn.Sequential(*layers[:-1])
        changes = stride != 1 or incoming != outside
        self.shortcut: nn.Module = (
            nn.Sequential(nn.Conv2d(incoming, outside, 1, stride, bias=False), norm(outside))
            if changes
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`relu(branch(x) + shortcut(x))`."""
        return torch.relu(self.branch(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem and four stages; 50 layers with `depths = (3, 4, 6, 3)`, `bottleneck`, `width = 64`: 23,508,032 parameters.

    Args:
        depths: blocks in each stage.
        bottleneck: bottleneck blocks, four times wider outside than inside.
        width: channels of the stem and inside the first stage; doubled in each further one.
        lsbn: two batch norms in place of each.
    """

    def __init__(
        self,
        depths: tuple[int, int, int, int] = (3, 4, 6, 3),
        bottleneck: bool = True,
        width: int = 64,
        lsbn: bool = False,
    ) -> None:
        super().__init__()
        norm: type[nn.Module] = LightingNorm if lsbn else nn.BatchNorm2d
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.norm1 = norm(width)
        self.pool = nn.MaxPool2d(3, 2, 1)
        incoming, stages, outgoing = width, [], []
        for stage, depth in enumerate(depths):
            inside = width * 2**stage
            outside = inside * (4 if bottleneck else 1)
            blocks = []
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Residual(incoming, inside, outside, stride, bottleneck, norm))
                incoming = outside
            stages.append(nn.Sequential(*blocks))
            outgoing.append(outside)
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(outgoing)
        _initialise(self)

    def forward(self, image: Tensor, lighting: int = LOW) -> tuple[Tensor, ...]:
        """The stem's convolution before its norm, then the four stages' outputs.

        Args:
            image: `(batch, 3, height, width)`, height and width multiples of 32.
            lighting: `LOW` or `WELL`; without LSBN it changes nothing.
        """
        for norm in self.lighting_norms():
            norm.lighting = lighting
        first = self.conv1(image)
        x = self.pool(torch.relu(self.norm1(first)))
        features = [first]
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features)

    def lighting_norms(self) -> Iterator[LightingNorm]:
        """The norms that know two lightings; none without LSBN."""
        return (module for module in self.modules() if isinstance(module, LightingNorm))


def _initialise(module: nn.Module) -> None:
    """Convolutions as He et al. (ICCV 2015): N(0, 2/fan-out)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
