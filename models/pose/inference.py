"""A frozen pose network over a picture: crops in, joints in picture pixels out."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from isp_sim.scenes import Person
from models.pose.crops import FLIP, RELEASED_FLIP, Picture, crop, crop_affine, normalise
from models.pose.heatmaps import decode
from models.pose.network import HEATMAP_STRIDE, Cpn
from models.scoring.average_precision import Detection

FLIPS = {"none": None, "right": FLIP, "released": RELEASED_FLIP}
BATCH = 32


def freeze(network: nn.Module) -> nn.Module:
    """Evaluation mode, no parameter learns; gradients still flow to the input."""
    return network.eval().requires_grad_(False)


def heatmaps(network: Cpn, crops: Tensor, lighting: int, flip: str) -> Tensor:
    """Heatmaps of a batch; with a flip the mean of the crop's and its mirror image's.

    Args:
        network: frozen.
        crops: `(batch, 3, height, width)`, normalised.
        lighting: of the input.
        flip: `none`, `right`, or `released` (its wrong joint pairs).

    Raises:
        ValueError: an unknown flip.
    """
    if flip not in FLIPS:
        raise ValueError(f"flip {flip!r}: allowed are {', '.join(FLIPS)}")
    seen: Tensor = network(crops, lighting).heatmaps
    pairs = FLIPS[flip]
    if pairs is None:
        return seen
    mirror: Tensor = network(crops.flip(-1), lighting).heatmaps
    return (seen + mirror.flip(-1)[:, list(pairs)]) / 2


def detect(
    network: Cpn, picture: Picture, people: Sequence[Person], lighting: int, flip: str = "right"
) -> list[Detection]:
    """Poses of the people whose boxes are given.

    A heatmap pixel is four crop pixels: crop = 4·heatmap + 1.5 between pixel centres.

    Args:
        network: frozen; its device is where it runs.
        picture: uint8 `(height, width, 3)`, R first.
        people: only their boxes are used.
        lighting: how the picture is normalised, and which norms are used.
        flip: see `heatmaps`.
    """
    if not people:
        return []
    device = next(network.parameters()).device
    light = normalise(picture, lighting)
    affines = [crop_affine(person.bbox, network.input_size) for person in people]
    found: list[Detection] = []
    with torch.inference_mode():
        for first in range(0, len(people), BATCH):
            chosen = affines[first : first + BATCH]
            crops = np.stack([crop(light, affine, network.input_size) for affine in chosen])
            joints, scores = decode(heatmaps(network, torch.from_numpy(crops).to(device), lighting, flip))
            at = joints.cpu().numpy() * HEATMAP_STRIDE + (HEATMAP_STRIDE - 1) / 2
            for affine, points, peaks in zip(chosen, at, scores.cpu().numpy(), strict=True):
                there = (points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
                joined = np.column_stack([there, peaks])
                keypoints = tuple((float(x), float(y), float(s)) for x, y, s in joined)
                found.append(Detection(keypoints, float(peaks.mean())))
    return found
