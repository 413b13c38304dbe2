"""What a network gives → joints: MoveNet's heads as its published graph reads them, BlazePose's, heatmaps as others do.

MoveNet: the person nearest the middle, then of each joint the place that fits that person. Places are in cells: an
index plus an offset; a cell is 4 crop px. (`models.pose.heatmaps.decode` is the quarter pixel.)
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.recognisers.blazepose import Landmarks
from models.recognisers.movenet import Heads

SOFTENING = 1.8
"""Cells added to a distance before something is divided by it."""
AROUND = 3
"""Cells to each side of a heatmap's highest over which places are averaged, as in MediaPipe."""
LEAST_PEAK = 0.1
"""Of a heatmap that says where its joint is."""


def decode(seen: Heads | Landmarks) -> tuple[Tensor, Tensor]:
    """Joints of one person.

    Args:
        seen: of a batch.

    Returns:
        Places `(batch, joints, 2)` as x and y in cells, the first cell's index being 0, and scores `(batch, joints)`.
    """
    return sharpest(seen) if isinstance(seen, Landmarks) else in_the_middle(seen)


def in_the_middle(heads: Heads) -> tuple[Tensor, Tensor]:
    """Joints of the person in the middle.

    `c = argmax_p centre(p) / (|p − middle| + 1.8)` and `g = c + regression(c)`; for each joint
    `q = argmax_p heatmap(p) / (|p − g| + 1.8)`; its place is `q + offset(q)`, its score `heatmap(q)`.

    Args:
        heads: of a batch.

    Returns:
        Places `(batch, joints, 2)` as x and y in cells, the first cell's index being 0, and scores `(batch, joints)`.
    """
    cells = compared(heads).flatten(2).argmax(dim=2)  # (batch, joints)
    scores = heads.heatmaps.flatten(2).gather(2, cells[..., None])[..., 0]
    return _cell(cells, heads.heatmaps.shape[-1]) + _at(heads.offsets, cells), scores


def compared(heads: Heads) -> Tensor:
    """What of each joint's cells is compared: `heatmap(p) / (|p − g| + 1.8)`, with g of `in_the_middle`."""
    height, width = heads.heatmaps.shape[-2:]
    y = torch.arange(height, device=heads.heatmaps.device, dtype=heads.heatmaps.dtype)[:, None]
    x = torch.arange(width, device=heads.heatmaps.device, dtype=heads.heatmaps.dtype)
    middle = heads.centre / (torch.hypot(x - width / 2, y - height / 2) + SOFTENING)
    centre = middle.flatten(1).argmax(dim=1)[:, None]  # (batch, 1)
    guess = _cell(centre, width) + _at(heads.regression, centre.expand(-1, heads.heatmaps.shape[1]))
    x, y = x - guess[..., 0, None, None], y - guess[..., 1, None, None]
    return heads.heatmaps / ((x**2 + y**2 + 1e-12).sqrt() + SOFTENING)  # a root that has a slope at 0


def sharpest(landmarks: Landmarks) -> tuple[Tensor, Tensor]:
    """The mean place of each joint's heatmap round its highest cell, or where that is below 0.1 the regressed place.

    `Σ_p p·heatmap(p) / Σ_p heatmap(p)` over the 7×7 cells round the highest, cut at the edge. MediaPipe takes the same
    mean round the regressed place, which suits crops that are turned until the person stands upright; in ours it reads
    less (`blazepose.md`).

    Args:
        landmarks: of a batch.

    Returns:
        As `decode`; a score is the heatmap's peak.
    """
    height, width = landmarks.heatmaps.shape[-2:]
    scores, cells = landmarks.heatmaps.flatten(2).max(dim=2)
    x, y = (torch.arange(n, device=cells.device) for n in (width, height))
    near_x, near_y = ((x - (cells % width)[..., None]).abs(), (y - (cells // width)[..., None]).abs())
    around = landmarks.heatmaps * ((near_y <= AROUND)[..., :, None] & (near_x <= AROUND)[..., None, :])
    total = around.sum(dim=(2, 3)).clamp_min(torch.finfo(around.dtype).tiny)
    mean = torch.stack([around.sum(dim=2) @ x.to(around), around.sum(dim=3) @ y.to(around)], dim=2) / total[..., None]
    return torch.where((scores >= LEAST_PEAK)[..., None], mean, landmarks.places), scores


def pick(seen: Heads | Landmarks, joints: Sequence[int]) -> Heads | Landmarks:
    """What it says of these joints, in this order."""
    chosen = list(joints)
    if isinstance(seen, Landmarks):
        return Landmarks(*(one[:, chosen] for one in seen))
    return Heads(seen.heatmaps[:, chosen], seen.centre, seen.regression[:, chosen], seen.offsets[:, chosen])


def mirrored(seen: Heads | Landmarks, pairs: Sequence[int]) -> Heads | Landmarks:
    """What it says of mirrored pictures, as if the pictures had not been mirrored.

    A place x becomes `width − x`, a cell's index n `width − 1 − n`; so what is counted from a cell, regression and
    offset, becomes `1 − x`.

    Args:
        seen: of the mirrored pictures.
        pairs: for each joint the one it changes places with.
    """
    back = pick(seen, pairs)
    if isinstance(back, Landmarks):
        width = back.heatmaps.shape[-1]
        maps = F.pad(back.heatmaps.flip(-1)[..., :-1], (1, 0))  # an index counts from the crop's edge: n → width − n
        return Landmarks(maps, torch.stack([width - back.places[..., 0], back.places[..., 1]], dim=2))
    back = Heads(*(head.flip(-1) for head in back))
    turned = (torch.stack([1 - points[:, :, 0], points[:, :, 1]], dim=2) for points in (back.regression, back.offsets))
    return Heads(back.heatmaps, back.centre, *turned)


def highest_pixel(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Places `(batch, joints, 2)` of the highest pixels of `(batch, joints, height, width)`, and their values."""
    scores, cells = heatmaps.flatten(2).max(dim=2)
    return _cell(cells, heatmaps.shape[-1]).to(heatmaps.dtype), scores


def expectation(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean place under the softmax, `Σ_p p·softmax(h)_p`, and the softmax's peak.

    Sun et al., *Integral Human Pose Regression*, ECCV 2018.

    Args:
        heatmaps: `(batch, joints, height, width)`.

    Returns:
        Places `(batch, joints, 2)`, scores `(batch, joints)`.
    """
    height, width = heatmaps.shape[-2:]
    shares = heatmaps.flatten(2).softmax(dim=2)
    cells = _cell(torch.arange(height * width, device=heatmaps.device), width).to(shares.dtype)
    return shares @ cells, shares.amax(dim=2)


def _cell(index: Tensor, width: int) -> Tensor:
    """Of a cell x and y, `(…, 2)`."""
    return torch.stack([index % width, index // width], dim=-1)


def _at(points: Tensor, cells: Tensor) -> Tensor:
    """`(batch, joints, 2, height, width)` at a cell for each joint, `(batch, joints)` → `(batch, joints, 2)`."""
    flat = points.flatten(3)
    return flat.gather(3, cells[..., None, None].expand(-1, -1, 2, 1))[..., 0]
