"""SLLEN's five losses for the enhancer, and the segmenter's.

The paper names them; their weights, and which layers the perceptual and the distillation loss look at, are ours: all
levels of the decoder, and the frozen pose network's stem as the perceptual layer (it takes no VGG from elsewhere).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

VOID = 255
"""Class of pixels that no loss and no score looks at."""
WEIGHTS = {"fidelity": 1.0, "perceptual": 0.1, "distillation": 0.05, "illumination": 0.02, "gradient": 0.1}
"""Ours."""
DARKEST = 1e-2
"""Lowest reflectance that the picture is divided by for its illumination."""


def segmentation_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that have a class; 0 where none has.

    Args:
        logits: `(batch, classes, height, width)`.
        classes: `(batch, height, width)`, whole numbers; `VOID` is left out.
    """
    counted = (classes != VOID).sum().clamp_min(1)
    return F.cross_entropy(logits, classes.long(), ignore_index=VOID, reduction="sum") / counted


def fidelity_loss(enhanced: Tensor, target: Tensor) -> Tensor:
    """Smooth L1: mean of `d²/2` where `|d| < 1`, else `|d| − ½`."""
    return F.smooth_l1_loss(enhanced, target)


def perceptual_loss(enhanced: Tensor, target: Tensor, extract: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean squared difference of a frozen network's features."""
    with torch.no_grad():
        wanted = extract(target)
    return (extract(enhanced) - wanted).square().mean()


def distillation_loss(decoded: Sequence[Tensor], encoded: Sequence[Tensor]) -> Tensor:
    """Mean over levels of the mean `|decoder − encoder|`.

    Knowledge goes from the encoder to the decoder: what the encoder makes of the well-lit picture (the teacher,
    detached) is what the decoder should hold at the same level for the low-light one.

    Args:
        decoded: of the low-light picture.
        encoded: of the well-lit one, the same levels and order.
    """
    apart = [(ours - theirs.detach()).abs().mean() for ours, theirs in zip(decoded, encoded, strict=True)]
    return torch.stack(apart).mean()


def illumination_loss(image: Tensor, enhanced: Tensor) -> Tensor:
    """Total variation of the illumination `I / R`: mean `|∂y| + |∂x|`; R not below 0.01."""
    light = image / enhanced.clamp_min(DARKEST)
    return light.diff(dim=2).abs().mean() + light.diff(dim=3).abs().mean()


def gradient_loss(enhanced: Tensor, level: float) -> Tensor:
    """`|mean gradient − E|`: as much detail as well-lit pictures have, no more.

    Args:
        enhanced: `(batch, 3, height, width)`.
        level: E, the mean gradient of well-lit pictures (`mean_gradient`).
    """
    return (mean_gradient(enhanced) - level).abs()


def mean_gradient(image: Tensor) -> Tensor:
    """Mean of `(|∂y| + |∂x|) / 2` over neighbouring pixels."""
    return (image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()) / 2
