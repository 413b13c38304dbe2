"""BlazePose (full) as a torch module with gradients to its input: 33 landmarks of one person.

Bazarevsky et al., *BlazePose: On-device Real-time Body Pose tracking*, 2020; Grishchenko et al., *BlazePose GHUM
Holistic*, 2022: inverted residuals (Sandler et al., CVPR 2018), a feature pyramid down to stride 4 with a heatmap for
each landmark, and a head that regresses all places at once from the coarsest features. Google published the weights
under Apache-2.0; batch norms are folded into the convolutions. `blazepose.md` says where ours come from and what of the
published graph is left out; `models.recognisers.convert` makes them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.engine.weights_file import described, fill, read_tensors
from models.recognisers.movenet import InvertedResidual, SameConv2d

BLAZEPOSE_NAME = "blazepose-full"
"""The network's name on a command line and in its file."""
BLAZEPOSE = Path(__file__).parent / f"{BLAZEPOSE_NAME}.safetensors"
"""The published weights."""
SIDE = 256
"""Px of the crop's side; the regression reads the whole of it, so no other will do."""
STRIDE = 4
"""Crop pixels a cell of the heatmaps."""
FIRST_PX = -0.5
"""Where the first cell lies, crop px: cells are counted from the crop's edge."""
GROW = (0.125, 0.125)
"""Shares of its width and height that a person's box grows by on each side, then to a square."""
_HANDS_AND_FEET = ("pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index")
KEYPOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right",
    *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", *_HANDS_AND_FEET) for side in ("left", "right")),
)  # fmt: skip
"""BlazePose's landmarks, in its order."""

_BLOCKS = ((1, 16, 3, 1, 1), (4, 24, 3, 2, 2), (6, 32, 5, 2, 2), (6, 64, 3, 3, 2), (6, 88, 5, 3, 1), (6, 144, 5, 4, 2))
"""Expansion of the first (of the others 6), channels, kernel, blocks, stride of the first."""
_TAPPED = (2, 4, 10)
"""The blocks whose output the pyramid also looks at: the last of strides 4, 8 and 16."""
_STEM, _PYRAMID, _REGRESSION = 24, 48, 288
"""Channels."""
_REGRESSION_STRIDES = (2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1)
_PUBLISHED = 39
"""Heatmaps and places in the published graph: after the landmarks two that align the next frame's crop, and four."""
_FIGURES = 5
"""Of a place in it: x, y, depth, and the logits of being visible and of being in the crop; two are used."""


class Landmarks(NamedTuple):
    """What BlazePose says of a batch; `models.recognisers.decoding` reads it.

    Attributes:
        heatmaps: `(batch, joints, 64, 64)`, 0 … 1: whether the joint is at the cell, n cells from the crop's edge.
        places: `(batch, joints, 2)`: x and y as regressed, cells from the crop's edge.
    """

    heatmaps: Tensor
    places: Tensor


class Block(InvertedResidual):
    """MobileNetV2's block with another kernel, padded alike on all sides where TensorFlow would not."""

    def __init__(self, inside: int, outside: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__(inside, outside, expansion, stride)
        between = inside * expansion
        self.depthwise = nn.Conv2d(between, between, kernel, stride, kernel // 2, groups=between)


class Separable(nn.Module):
    """3×3 in each channel and ReLU6, then 1×1 across them."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = SameConv2d(inside, inside, 3, stride, groups=inside)
        self.pointwise = SameConv2d(inside, outside)
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, inside, h, w)` → `(batch, outside, h/stride, w/stride)`."""
        seen: Tensor = self.pointwise(F.relu6(self.depthwise(features)))
        return seen

    def residual(self, features: Tensor) -> Tensor:
        """The same added to the features, or to the highest of each 2×2 of them where it strides; then ReLU6."""
        kept = features if self.stride == 1 else F.max_pool2d(features, 2)
        return F.relu6(kept + self(features))


class BlazePose(nn.Module):
    """One person's landmarks from a square picture with the person in its middle, 3.03 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        channels = _STEM
        self.stem = nn.Conv2d(3, channels, 3, 2, 1)
        blocks, tapped = [], []
        for first, outside, kernel, count, stride in _BLOCKS:
            for number in range(count):
                blocks.append(Block(channels, outside, 6 if number else first, 1 if number else stride, kernel))
                channels = outside
                if len(blocks) - 1 in _TAPPED:
                    tapped.append(outside)
        self.blocks = nn.ModuleList(blocks)
        wide = 6 * channels
        self.last = SameConv2d(channels, wide)
        self.around = SameConv2d(wide, wide, 3, groups=wide)
        self.laterals = nn.ModuleList(Separable(inside, _PYRAMID) for inside in (wide, *reversed(tapped)))
        self.heatmaps = SameConv2d(_PYRAMID, _PUBLISHED)
        self.narrow = Separable(wide, _REGRESSION)
        self.regression = nn.ModuleList(Separable(_REGRESSION, _REGRESSION, s) for s in _REGRESSION_STRIDES)
        self.places = nn.Conv2d(_REGRESSION, _FIGURES * _PUBLISHED, SIDE // 128)

    def forward(self, pictures: Tensor) -> Landmarks:
        """The landmarks.

        Args:
            pictures: `(batch, 3, 256, 256)`, sRGB R first, 0 … 1, cut to that as 8 bits would be.

        Raises:
            ValueError: other sides.
        """
        if pictures.shape[2:] != (SIDE, SIDE):
            height, width = pictures.shape[2:]
            raise ValueError(f"BlazePose: pictures of {height}×{width} px; expected {SIDE}×{SIDE}")
        *finer, coarsest = self.backbone(pictures)
        return Landmarks(self.pyramid(finer, coarsest).sigmoid(), self.regressed(coarsest))

    def backbone(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16 and 32."""
        features = F.relu6(self.stem(pictures.clamp(0, 1)))
        tapped = []
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in _TAPPED:
                tapped.append(features)
        return (*tapped, F.relu6(self.around(F.relu6(self.last(features)))))

    def pyramid(self, finer: Sequence[Tensor], coarsest: Tensor) -> Tensor:
        """Logits of the heatmaps from features, coarse to fine: each doubled and added to the next finer one's."""
        features = F.relu6(self.laterals[0](coarsest))
        for lateral, seen in zip(self.laterals[1:], reversed(finer), strict=True):
            doubled = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = doubled + F.relu6(lateral(seen))
        logits: Tensor = self.heatmaps(features)
        return logits[:, : len(KEYPOINTS)]

    def regressed(self, coarsest: Tensor) -> Tensor:
        """Places of the landmarks, cells."""
        features = F.relu6(self.narrow(coarsest))
        for block in self.regression:
            assert isinstance(block, Separable)
            features = block.residual(features)
        figures: Tensor = self.places(features).flatten(1).unflatten(1, (_PUBLISHED, _FIGURES))
        return figures[:, : len(KEYPOINTS), :2] / STRIDE


def load_blazepose(path: Path = BLAZEPOSE) -> BlazePose:
    """A network that `models.recognisers.convert` wrote, frozen, in float32.

    Raises:
        ValueError: no such file, not safetensors, or not BlazePose's.
    """
    tensors, metadata = read_tensors(path)
    if described(metadata, "network", path).get("blazepose") != "full":
        raise ValueError(f"{path}: not BlazePose by its metadata; expected what models.recognisers.convert wrote")
    with torch.random.fork_rng(devices=[]):
        network = BlazePose()
    fill(network, {name: tensor.float() for name, tensor in tensors.items()}, path)
    return network.eval().requires_grad_(False)
