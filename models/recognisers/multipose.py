"""MoveNet MultiPose as a torch module: everybody in a picture at once, a box and 17 joints each.

The features and heads of `models.recognisers.movenet` over a whole picture, and two heads more for boxes, as CenterNet
has them (Zhou et al., *Objects as Points*, 2019). Google published the weights on TensorFlow Hub under Apache-2.0;
`multipose.md` says where ours come from.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.engine.weights_file import described, fill, read_tensors
from models.recognisers.movenet import Heads, PoseFeatures, as_points, head

WIDTH = 1.5
"""MobileNetV2's width multiplier."""
MULTIPOSE = Path(__file__).parent / "movenet-multipose.safetensors"
"""The published weights."""
PEOPLE = 6
"""The published graph's most people a picture."""
JOINT_SHARE = 0.3
"""Of the shorter side's cells: the variance, twice over, of the Gaussian round a person's guessed joints, cells²."""
SURE_JOINT = 0.127
"""Joints that score above it make up a person's score."""
_TIE = 1e-6
"""How far below its neighbourhood's highest a peak's score may be (rounding)."""


class CrowdHeads(NamedTuple):
    """What MultiPose says of each cell of 4×4 px.

    Attributes:
        pose: as of one person's network; `centre` has a peak for each person.
        box_sizes: `(batch, 2, …)`: width and height of the box of the person whose centre is there, cells.
        box_offsets: `(batch, 2, …)`: x and y from the cell's index to the middle of that box, cells.
    """

    pose: Heads
    box_sizes: Tensor
    box_offsets: Tensor


class Boxes(NamedTuple):
    """People of a batch of pictures, the surest centre first.

    Attributes:
        corners: `(batch, people, 4)`: left, top, right, bottom in cells, cut to the picture.
        scores: `(batch, people)`, 0 … 1; 0 where there is no further peak.
        cells: `(batch, people)`: index of the peak, `y·width + x`.
    """

    corners: Tensor
    scores: Tensor
    cells: Tensor


class MultiPose(PoseFeatures):
    """Boxes and poses of everybody in a picture, 4.7 M parameters."""

    def __init__(self) -> None:
        super().__init__(WIDTH)
        self.box_sizes = head(2)
        self.box_offsets = head(2)

    def forward(self, pictures: Tensor) -> CrowdHeads:
        """What is in each cell of 4×4 px.

        Args:
            pictures: see `features`; it was trained on pictures whose longer side has 256 px.

        Raises:
            ValueError: see `features`.
        """
        return self.crowd_heads(self.features(pictures))

    def crowd_heads(self, features: Tensor) -> CrowdHeads:
        """All six heads over `features`."""
        boxes = (as_points(points(features))[:, 0] for points in (self.box_sizes, self.box_offsets))
        return CrowdHeads(self.heads(features), *boxes)


def peaks(heads: CrowdHeads, people: int = PEOPLE) -> Boxes:
    """Boxes of the cells whose centre score is the highest of 5×5, `[c + o − s/2, c + o + s/2]` cut to the picture.

    Args:
        heads: of a batch.
        people: at most.
    """
    centre = heads.pose.centre
    highest = F.max_pool2d(centre, 5, stride=1, padding=2)
    height, width = centre.shape[-2:]
    peak = (centre * ((highest - centre) < _TIE)).flatten(1)
    scores, cells = peak.topk(min(people, peak.shape[1]), dim=1)
    sizes, offsets = (_at(points, cells) for points in (heads.box_sizes, heads.box_offsets))
    middle = torch.stack([cells % width, cells // width], dim=-1) + offsets
    half = sizes.clamp_min(0) / 2
    edge = middle.new_tensor([width, height])
    corners = [torch.minimum((middle + side * half).clamp_min(0), edge) for side in (-1, 1)]
    return Boxes(torch.cat(corners, dim=-1), scores, cells)


def joints_in(heads: CrowdHeads, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """The joints of everybody in their boxes, as the published graph computes them.

    With `g = c + regression(c)` each joint is where, in the person's box,
    `w(p) = heatmap(p) · exp(−|p − g|² / (0.3 · shorter side))` is highest: `q + offset(q)`; its score is the highest
    `w(q)` of all people (the graph takes the maximum over them).

    Args:
        heads: of a batch.
        boxes: from `peaks`.

    Returns:
        Places `(batch, people, joints, 2)` as x and y in cells, and scores `(batch, people, joints)`.
    """
    height, width = heads.pose.heatmaps.shape[-2:]
    people = boxes.cells.shape[1]
    count = heads.pose.heatmaps.shape[1]
    y = torch.arange(height, device=boxes.cells.device, dtype=boxes.corners.dtype)[:, None]
    x = torch.arange(width, device=boxes.cells.device, dtype=boxes.corners.dtype)
    guess = _at(heads.pose.regression.flatten(1, 2), boxes.cells).reshape(-1, people, count, 2)
    guess = guess + torch.stack([boxes.cells % width, boxes.cells // width], dim=-1)[:, :, None]
    distance2 = (x - guess[..., 0, None, None]) ** 2 + (y - guess[..., 1, None, None]) ** 2
    left, top, right, bottom = boxes.corners[..., None, None].unbind(2)
    inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    near = torch.exp(-distance2 / (JOINT_SHARE * min(height, width))) * inside[:, :, None]
    weighted = (heads.pose.heatmaps[:, None] * near).flatten(3)
    cells = weighted.argmax(dim=3)  # (batch, people, joints)
    shared = weighted.amax(dim=1)
    scores = shared.gather(2, cells.transpose(1, 2)).transpose(1, 2)
    flat = heads.pose.offsets.flatten(3)[:, None].expand(-1, people, -1, -1, -1)
    offsets = flat.gather(4, cells[..., None, None].expand(-1, -1, -1, 2, 1))[..., 0]
    return torch.stack([cells % width, cells // width], dim=-1) + offsets, scores


def people_scores(boxes: Boxes, joints: Tensor) -> Tensor:
    """A person's score as the published graph has it: the centre's times the mean of the joints' above 0.127.

    Args:
        boxes: from `peaks`.
        joints: scores from `joints_in`.
    """
    sure = joints > SURE_JOINT
    return boxes.scores * (joints * sure).sum(dim=2) / sure.sum(dim=2).clamp_min(1)


def load_multipose(path: Path = MULTIPOSE) -> MultiPose:
    """A network that `models.recognisers.convert` or `models.train_detector` wrote, frozen, in float32.

    Raises:
        ValueError: no such file, not safetensors, or not MultiPose's.
    """
    tensors, metadata = read_tensors(path)
    named = described(metadata, "network", path).get("movenet")
    if named != "multipose":
        raise ValueError(f"{path}: not a MultiPose network by its metadata; expected a detector's weights")
    with torch.random.fork_rng(devices=[]):
        network = MultiPose()
    fill(network, {name: tensor.float() for name, tensor in tensors.items()}, path)
    return network.eval().requires_grad_(False)


def _at(channels: Tensor, cells: Tensor) -> Tensor:
    """`(batch, channels, height, width)` at cells `(batch, people)` → `(batch, people, channels)`."""
    flat = channels.flatten(2)
    return flat.gather(2, cells[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
