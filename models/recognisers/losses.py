"""What a frozen pose network's output lacks: the loss of whatever makes its pictures."""

import torch
from torch import Tensor

from models.data.normalisation import LOW
from models.pose.heatmaps import SIGMAS, encode
from models.pose.losses import hardest_joints
from models.recognisers.decoding import compared
from models.recognisers.movenet import Heads
from models.recognisers.recogniser import Loss, Recogniser

SHARPNESS = 20.0


def pose_loss(recogniser: Recogniser, crops: Tensor, joints: Tensor, kind: Loss) -> Tensor:
    """What the frozen network says of the joints it knows, against where they are; any recogniser has heatmaps.

    `heatmaps`: mean over people of the squared error of their 8 hardest joints (as CPN was trained). Where the network
    is unsure, a fainter map has the smaller error, so an ISP can win by showing less.
    `all-heatmaps`: the same over all labelled joints (Ono et al., Eq. 4).
    `spatial-cross-entropy`: `−Σ_p t_p · ln softmax(20·h)_p` of each labelled joint, t the four pixels around it: what
    counts is how far a map's right place rises above all others (ours; a full peak rises by e²⁰).
    `decoded-cross-entropy`: `−Σ_p t_p · ln(s_p / Σ_q s_q)`, s what the network's own decoding takes the highest of: a
    heatmap, for MoveNet over its distance from where the person's centre says the joint is (ours). It has a slope where
    a map is nearly 0 everywhere, as in the dark.

    Args:
        recogniser: frozen; the gradient passes through it to the crops.
        crops: `(people, 3, height, width)`.
        joints: `(people, joints, 3)` in crop px.
        kind: which of them.
    """
    crops = crops.contiguous(memory_format=torch.channels_last)
    at = (joints[..., :2] - recogniser.first_px) / recogniser.stride
    labels = joints[..., 2] * recogniser.known
    if kind == "decoded-cross-entropy":
        seen = recogniser.seen(crops, LOW)
        said = compared(Heads(*(head.float() for head in seen))) if isinstance(seen, Heads) else recogniser(crops, LOW)
        return _cross_entropy(said.float().clamp_min(1e-8).log(), at, labels)
    maps = recogniser(crops, LOW).float()
    if kind in ("heatmaps", "all-heatmaps"):
        target = encode(at, labels, maps.shape[2], maps.shape[3], SIGMAS[-1])
        return hardest_joints(maps, target, labels) if kind == "heatmaps" else _every_joint(maps, target, labels > 0)
    return _cross_entropy(SHARPNESS * maps, at, labels)


def _every_joint(maps: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    return ((maps - target).square().mean(dim=(2, 3)) * labelled).sum() / labelled.sum().clamp_min(1)


def _cross_entropy(logits: Tensor, at: Tensor, labels: Tensor) -> Tensor:
    """Of the four pixels round each labelled joint, over all places of its map; the mean over joints."""
    height, width = logits.shape[2:]
    x = (1 - (torch.arange(width, device=at.device) - at[..., 0:1]).abs()).clamp_min(0)
    y = (1 - (torch.arange(height, device=at.device) - at[..., 1:2]).abs()).clamp_min(0)
    share = (y[..., :, None] * x[..., None, :]).flatten(2)
    wrong = -(share * torch.log_softmax(logits.flatten(2), dim=2)).sum(dim=2)
    labelled = labels > 0
    return (wrong * labelled).sum() / labelled.sum().clamp_min(1)
