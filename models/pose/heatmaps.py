"""Joints ↔ heatmaps. Coordinates: heatmap pixels, (0, 0) at the centre of the first."""

import torch
from torch import Tensor

HEATMAP_STRIDE = 4
"""Crop pixels a heatmap pixel."""
SIGMAS = (15, 11, 9, 7)
"""Widths of the Gaussian targets of the four pyramid levels, coarse to fine: kernel sizes of the released code."""


def encode(joints: Tensor, visible: Tensor, height: int, width: int, kernel: int) -> Tensor:
    """Gaussian targets `255·exp(−d²/2σ²)/255`, σ that of a Gaussian blur of this kernel size.

    OpenCV's rule for a blur of kernel size n, which the released code uses: `σ = 0.3·((n − 1)/2 − 1) + 0.8`.

    Args:
        joints: `(batch, joints, 2)`, x and y.
        visible: `(batch, joints)`, above 0 where labelled; other targets are empty.
        height: of the heatmap.
        width: of the heatmap.
        kernel: odd.

    Returns:
        `(batch, joints, height, width)`, peak 1 at the joint.
    """
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    y = torch.arange(height, device=joints.device, dtype=joints.dtype)
    x = torch.arange(width, device=joints.device, dtype=joints.dtype)
    dx2 = (x - joints[..., 0:1]) ** 2
    dy2 = (y - joints[..., 1:2]) ** 2
    target = torch.exp(-(dy2[..., :, None] + dx2[..., None, :]) / (2 * sigma**2))
    return target * (visible > 0)[..., None, None]


def targets(joints: Tensor, height: int, width: int) -> list[Tensor]:
    """Heatmaps for each pyramid level, coarse to fine: `heatmap = (crop − 1.5) / 4` between pixel centres.

    Args:
        joints: `(people, joints, 3)`: x, y in crop px, COCO visibility.
        height: of a heatmap, px.
        width: of a heatmap, px.
    """
    at = (joints[..., :2] - (HEATMAP_STRIDE - 1) / 2) / HEATMAP_STRIDE
    return [encode(at, joints[..., 2], height, width, kernel) for kernel in SIGMAS]


def decode(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Highest pixel of each map, moved a quarter pixel towards the higher neighbour on each axis.

    Args:
        heatmaps: `(batch, joints, height, width)`.

    Returns:
        Joints `(batch, joints, 2)` as x and y, and the peaks' values `(batch, joints)`.
    """
    batch, joints, height, width = heatmaps.shape
    scores, where = heatmaps.flatten(2).max(dim=2)
    y, x = where // width, where % width
    padded = torch.nn.functional.pad(heatmaps, (1, 1, 1, 1), value=float("-inf"))
    rows = torch.arange(batch, device=heatmaps.device)[:, None]
    columns = torch.arange(joints, device=heatmaps.device)
    right, left = padded[rows, columns, y + 1, x + 2], padded[rows, columns, y + 1, x]
    below, above = padded[rows, columns, y + 2, x + 1], padded[rows, columns, y, x + 1]
    # At the rim there is one neighbour only: no step outwards, and none inwards.
    step_x = torch.where((x > 0) & (x < width - 1), torch.sign(right - left), 0.0)
    step_y = torch.where((y > 0) & (y < height - 1), torch.sign(below - above), 0.0)
    return torch.stack([x + 0.25 * step_x, y + 0.25 * step_y], dim=-1), scores
