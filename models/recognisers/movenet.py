"""MoveNet's pose networks as torch modules with gradients to their input: Thunder and Lightning, for one person.

MobileNetV2 (Sandler et al., CVPR 2018), a feature pyramid (Lin et al., CVPR 2017) down to stride 4, and CenterNet's
four heads (Zhou et al., *Objects as Points*, 2019). Google published the weights on TensorFlow Hub under Apache-2.0;
batch norms are folded into the convolutions. `movenet.md` says where ours come from; `models.recognisers.convert` makes
them. MultiPose, for a crowd, has the same features and two heads more (`models.recognisers.multipose`).
"""

import itertools
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isp_sim.scenes import COCO_JOINTS
from models.engine.weights_file import described, fill, read_tensors

SizeName = Literal["thunder", "lightning"]
KEYPOINTS = COCO_JOINTS
"""MoveNet's joints, in its order."""
STRIDE = 4
"""Crop pixels a cell of the heads."""

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2's table 2: expansion, channels, blocks, stride of the first."""
_TAPPED = (2, 5, 9)
"""The blocks whose output the pyramid also looks at: the last of strides 4 and 8, and the last of 64 channels."""
_LAST_CHANNELS = 1280
_PYRAMID = (64, 32, 24, 24)
_HEAD_CHANNELS = 96
COARSEST = 32
"""Crop pixels a pixel of the coarsest features: sides are multiples of it."""


class Size(NamedTuple):
    """A network's side, px, and MobileNetV2's width multiplier."""

    side: int
    width: float


SIZES: dict[SizeName, Size] = {"thunder": Size(256, 1.75), "lightning": Size(192, 1.0)}


class Heads(NamedTuple):
    """What MoveNet says of each cell, `(batch, …, height/4, width/4)`; `models.recognisers.decoding` reads it.

    Attributes:
        heatmaps: `(batch, joints, …)`, 0 … 1: whether the joint is in the cell, whoever's it is.
        centre: `(batch, 1, …)`, 0 … 1: whether a person's centre is in it.
        regression: `(batch, joints, 2, …)`: x and y from the cell of a centre to that person's joint, cells.
        offsets: `(batch, joints, 2, …)`: x and y from the cell's index to the joint in it, cells.
    """

    heatmaps: Tensor
    centre: Tensor
    regression: Tensor
    offsets: Tensor

    def probabilities(self) -> "Heads":
        """From logits of heatmaps and centre: these two through the sigmoid."""
        return self._replace(heatmaps=self.heatmaps.sigmoid(), centre=self.centre.sigmoid())


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: of an odd number of missing pixels the last is right and below.

    Args:
        inside, outside: channels.
        kernel: odd, px.
        stride: 1 or 2.
        groups: of channels.
        bias: whether one is added.
    """

    def __init__(
        self, inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inside, outside, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """`(batch, inside, h, w)` → `(batch, outside, ⌈h/stride⌉, ⌈w/stride⌉)`."""
        if self.stride[0] == 1:
            return super().forward(input)
        if self.groups > 1 and torch.is_autocast_enabled("cpu") and input.device.type == "cpu":
            return self._every_other(input)
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[:1:-1]]
        return super().forward(F.pad(input, [side for n in missing for side in (n // 2, n - n // 2)]))

    def _every_other(self, input: Tensor) -> Tensor:
        """The same, as every other place of stride 1: in bfloat16 on a CPU its backward takes a third of the time."""
        dense = F.conv2d(input, self.weight, self.bias, 1, self.kernel_size[0] // 2, 1, self.groups)
        return dense[:, :, 1 - input.shape[2] % 2 :: 2, 1 - input.shape[3] % 2 :: 2]


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen by 1×1, look around by 3×3 in each channel, narrow by 1×1; ReLU6 after the first two.

    Args:
        inside, outside: channels; equal ones at stride 1 are added.
        expansion: of the channels between; at 1 nothing is widened.
        stride: of the 3×3.
    """

    def __init__(self, inside: int, outside: int, expansion: int, stride: int) -> None:
        super().__init__()
        between = inside * expansion
        self.expand = SameConv2d(inside, between) if expansion > 1 else None
        self.depthwise: nn.Conv2d = SameConv2d(between, between, 3, stride, groups=between)
        self.project = SameConv2d(between, outside)
        self.adds = stride == 1 and inside == outside

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, inside, h, w)` → `(batch, outside, h/stride, w/stride)`."""
        wide = features if self.expand is None else F.relu6(self.expand(features))
        narrow: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return features + narrow if self.adds else narrow


class SeparableConv2d(nn.Module):
    """3×3 in each channel, then 1×1 across them and ReLU."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.depthwise = SameConv2d(inside, inside, 3, groups=inside, bias=False)
        self.pointwise = SameConv2d(inside, outside)

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, inside, h, w)` → `(batch, outside, h, w)`."""
        return F.relu(self.pointwise(self.depthwise(features)))


class PoseFeatures(nn.Module):
    """MobileNetV2, the feature pyramid and the four heads: what all of MoveNet's networks have.

    Args:
        width: MobileNetV2's width multiplier.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = _divisible(32 * width)
        self.stem = SameConv2d(3, channels, 3, 2)
        blocks, tapped = [], []
        for expansion, wanted, count, first in _STAGES:
            outside = _divisible(wanted * width)
            for number in range(count):
                blocks.append(InvertedResidual(channels, outside, expansion, first if number == 0 else 1))
                channels = outside
                if len(blocks) - 1 in _TAPPED:
                    tapped.append(outside)
        self.blocks = nn.ModuleList(blocks)
        self.last = SameConv2d(channels, _LAST_CHANNELS)
        seen = (_LAST_CHANNELS, *reversed(tapped))
        self.laterals = nn.ModuleList(SameConv2d(a, b) for a, b in zip(seen, (_PYRAMID[0], *_PYRAMID[:3]), strict=True))
        self.smooth = nn.ModuleList(SeparableConv2d(a, b) for a, b in itertools.pairwise(_PYRAMID))
        self.heatmaps = head(len(KEYPOINTS))
        self.centre = head(1)
        self.regression = head(2 * len(KEYPOINTS))
        self.offsets = head(2 * len(KEYPOINTS))

    def features(self, pictures: Tensor) -> Tensor:
        """The pyramid's finest features, `(batch, 24, height/4, width/4)`.

        Args:
            pictures: `(batch, 3, height, width)`, sRGB R first, 0 … 1, cut to that as 8 bits would be; sides must be
                multiples of 32.

        Raises:
            ValueError: other sides.
        """
        return self.pyramid(self.backbone(pictures))

    def backbone(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """MobileNetV2: the stem's convolution before its norm, then strides 4, 8, 16 and 32.

        Args:
            pictures: see `features`.

        Raises:
            ValueError: other sides.
        """
        height, width = pictures.shape[2:]
        if height % COARSEST or width % COARSEST:
            raise ValueError(f"MoveNet: pictures of {height}×{width} px; sides must be multiples of {COARSEST}")
        centred = 2 * pictures.clamp(0, 1) - 1  # x/127.5 − 1 of 8-bit codes
        first = self.stem[0](centred) if isinstance(self.stem, nn.Sequential) else self.stem(centred)
        features = F.relu6(self.stem[1](first) if isinstance(self.stem, nn.Sequential) else first)
        tapped = [first]
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in _TAPPED:
                tapped.append(features)
        return (*tapped, F.relu6(self.last(features)))

    def pyramid(self, backbone: tuple[Tensor, ...]) -> Tensor:
        """The backbone's features, coarse to fine: each doubled and added to the next finer one's."""
        *finer, coarsest = backbone[1:]
        features: Tensor = self.laterals[0](coarsest)
        for lateral, smooth, seen in zip(self.laterals[1:], self.smooth, reversed(finer), strict=True):
            doubled = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = smooth(doubled + lateral(seen))
        return features

    def heads(self, features: Tensor) -> Heads:
        """The four heads over `features`."""
        return self.logits(features).probabilities()

    def logits(self, features: Tensor) -> Heads:
        """The four heads over `features`, heatmaps and centre before their sigmoid."""
        return Heads(
            self.heatmaps(features),
            self.centre(features),
            as_points(self.regression(features)),
            as_points(self.offsets(features)),
        )


class MoveNet(PoseFeatures):
    """One person's pose from a square picture with the person in its middle.

    Args:
        size: `thunder` (256×256, 6.2 M parameters) or `lightning` (192×192, 2.3 M).
    """

    def __init__(self, size: SizeName) -> None:
        super().__init__(SIZES[size].width)
        self.size: SizeName = size
        self.side = SIZES[size].side

    def forward(self, pictures: Tensor) -> Heads:
        """What is in each cell of 4×4 px.

        Args:
            pictures: see `features`; MoveNet was trained on squares of `side`.

        Raises:
            ValueError: see `features`.
        """
        return self.heads(self.features(pictures))


def load_movenet(path: Path) -> MoveNet:
    """A network that `models.recognisers.convert` wrote, frozen, in float32.

    Raises:
        ValueError: no such file, not safetensors, or not MoveNet's.
    """
    tensors, metadata = read_tensors(path)
    size = described(metadata, "network", path).get("movenet", "")
    if size not in get_args(SizeName):
        raise ValueError(f"{path}: its metadata names {size!r} as MoveNet's size; expected thunder or lightning")
    with torch.random.fork_rng(devices=[]):
        network = MoveNet(size)
    fill(network, {name: tensor.float() for name, tensor in tensors.items()}, path)
    return network.eval().requires_grad_(False)


def shipped_weights(size: SizeName) -> Path:
    """Where the weights that come with the package lie."""
    return Path(__file__).parent / f"movenet-{size}.safetensors"


def head(channels: int) -> nn.Sequential:
    """A head over the pyramid's finest features: 3×3 and 1×1 to 96 channels and ReLU, then 1×1."""
    return nn.Sequential(SeparableConv2d(_PYRAMID[-1], _HEAD_CHANNELS), SameConv2d(_HEAD_CHANNELS, channels))


def as_points(channels: Tensor) -> Tensor:
    """`(batch, 2·joints, h, w)`, y before x as TensorFlow has it → `(batch, joints, 2, h, w)`, x before y."""
    batch, twice, height, width = channels.shape
    return channels.reshape(batch, twice // 2, 2, height, width).flip(2)


def _divisible(channels: float) -> int:
    """MobileNetV2's rounding: to the nearest multiple of 8, never below 90 %."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
