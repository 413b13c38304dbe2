"""A frozen detector over a picture: boxes of everybody, from the same developed picture as the pose network's."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.normalisation import LOW, WELL, NormalisationName, Picture, normalise
from models.recognisers.detection import Box
from models.recognisers.movenet import COARSEST, STRIDE
from models.recognisers.multipose import MULTIPOSE, Boxes, CrowdHeads, MultiPose, load_multipose, peaks

MULTIPOSE_NAME = "movenet-multipose"
"""The published network's name on a command line."""
MOST_BOXES = 20
"""A picture: as many as the score counts."""
LEAST_SCORE = 0.05
"""Boxes below it are not kept: they cost a pose each, and precision there is near 0."""
SIDE = 480
"""Px of the longer side of what the detector sees; chosen on scenes that no table here uses (docs/pose.md)."""


class PersonDetector(nn.Module):
    """MultiPose's boxes, for good: evaluation mode, no parameter learns, gradients still flow to the picture.

    Args:
        network: published or fine-tuned.
        name: for protocols.
        side: longer side of what it sees, px; a picture is resized to it and black fills up to multiples of 32.
    """

    def __init__(self, network: MultiPose, name: str = MULTIPOSE_NAME, side: int = SIDE) -> None:
        super().__init__()
        self.network, self.name, self.side = network, name, side
        self.normalisation: dict[int, NormalisationName] = {LOW: "mean-0.4", WELL: "none"}
        self.train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "PersonDetector":
        """Stays in evaluation mode, whatever a trainer around it asks."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> CrowdHeads:
        """What the network says of pictures, at its own size; see `resized`.

        Args:
            pictures: `(batch, 3, height, width)`, normalised; cut to 0 … 1.
        """
        heads: CrowdHeads = self.network(resized(pictures, self.side))
        return heads

    def find(self, picture: Picture, lighting: int) -> list[Box]:
        """Boxes in an 8-bit picture, the surest first.

        Args:
            picture: uint8 `(height, width, 3)`, R first.
            lighting: how the picture is normalised.
        """
        return self.find_in(normalise(picture, self.normalisation[lighting]))

    def find_in(self, image: np.ndarray) -> list[Box]:
        """Boxes in what an ISP made, the surest first.

        Args:
            image: float32 `(height, width, 3)`, normalised.
        """
        device = next(self.network.parameters()).device
        unit = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(device)
        with torch.inference_mode():
            return boxes_in_px(peaks(self(unit), MOST_BOXES), image.shape[:2], self.side)[0]


def load_detector(name: str | Path = MULTIPOSE_NAME, side: int = SIDE) -> PersonDetector:
    """A frozen detector.

    Args:
        name: see `weights_of`.
        side: longer side of what it sees, px.

    Raises:
        ValueError: see `weights_of`, or what is there cannot be used.
    """
    return PersonDetector(load_multipose(weights_of(name)), str(name), side)


def weights_of(name: str | Path) -> Path:
    """The file of a detector.

    Args:
        name: `movenet-multipose`, as published, or weights that `models.train_detector` wrote (.safetensors).

    Raises:
        ValueError: none of these.
    """
    if name != MULTIPOSE_NAME and Path(name).suffix != ".safetensors":
        raise ValueError(f"detector {name}: expected {MULTIPOSE_NAME} or weights of train-detector (.safetensors)")
    return MULTIPOSE if name == MULTIPOSE_NAME else Path(name)


def resized(pictures: Tensor, side: int) -> Tensor:
    """Pictures whose longer side has `side` px, cut to 0 … 1; black right and below up to multiples of 32.

    A picture that shrinks is smoothed first, so that no pixel's noise is skipped.

    Args:
        pictures: `(batch, 3, height, width)`.
        side: px.
    """
    size = seen_size(pictures.shape[2:], side)
    seen = pictures
    if size != tuple(pictures.shape[2:]):
        shrinks = size < tuple(pictures.shape[2:])
        seen = F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=shrinks)
    missing = [-n % COARSEST for n in size]
    return F.pad(seen.clamp(0, 1), (0, missing[1], 0, missing[0]))


def seen_size(size: Sequence[int], side: int) -> tuple[int, int]:
    """Height and width at which a picture of a height and width has a longer side of `side` px."""
    height, width = (max(round(side * n / max(size)), 1) for n in size)
    return height, width


def boxes_in_px(boxes: Boxes, size: tuple[int, ...], side: int) -> list[list[Box]]:
    """Boxes of a batch in picture px, cut to the picture; those of no area or a score below 0.05 are left out.

    Args:
        boxes: in cells of what the network saw.
        size: (height, width) of the pictures.
        side: see `resized`.
    """
    seen = seen_size(size, side)
    scale = boxes.corners.new_tensor([size[1] / seen[1], size[0] / seen[0]] * 2) * STRIDE
    edge = boxes.corners.new_tensor(list(reversed(size)) * 2)
    corners = torch.minimum(boxes.corners * scale, edge).cpu().tolist()
    found = []
    for people, scores in zip(corners, boxes.scores.cpu().tolist(), strict=True):
        kept = []
        for (left, top, right, bottom), score in zip(people, scores, strict=True):
            if score >= LEAST_SCORE and right > left and bottom > top and math.isfinite(right + bottom):
                kept.append(Box((left, top, right - left, bottom - top), score))
        found.append(kept)
    return found
