"""What lies between linear light and a display's numbers: the sRGB curve, its primaries, a photograph's tone curve.

Each forward function stands beside its inverse. All are elementwise, so any shape will do.
"""

import torch
from torch import Tensor

# IEC 61966-2-1: slope of the straight part, where it ends (linear), offset and exponent of the power part.
SRGB_SLOPE = 12.92
SRGB_KNEE = 0.0031308
SRGB_OFFSET = 0.055
SRGB_EXPONENT = 2.4

D65_K = 6504.0
"""Correlated colour temperature of Rec. 709's white, with which scenes are lit unless a rig says otherwise."""

REC709_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear Rec. 709 → CIE XYZ under D65 (IEC 61966-2-1)."""
REC709_LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G, B in brightness (ITU-R BT.709-6): of linear light CIE Y, of encoded values luma."""
REC601_LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G, B in luma (ITU-R BT.601-7)."""


def srgb_encode(linear: Tensor) -> Tensor:
    """From linear Rec. 709 to sRGB: `s = 12.92·l` for `l ≤ 0.0031308`, else `1.055·l^(1/2.4) − 0.055`.

    Args:
        linear: linear light, 1 is white; clipped to 0 … 1 first.

    Returns:
        Display-referred sRGB, 0 … 1, of the same shape. Gradients are finite everywhere and 0 where clipped.
    """
    clipped = linear.clamp(0, 1)
    curved = clipped > SRGB_KNEE
    power = torch.where(curved, clipped, 1.0) ** (1 / SRGB_EXPONENT)
    return torch.where(curved, (1 + SRGB_OFFSET) * power - SRGB_OFFSET, SRGB_SLOPE * clipped)


def srgb_decode(srgb: Tensor) -> Tensor:
    """From sRGB to linear Rec. 709: `l = s/12.92` for `s ≤ 12.92·0.0031308`, else `((s + 0.055)/1.055)^2.4`.

    The standard rounds the joint to 0.04045; here it is where `srgb_encode` puts it, so that the two are
    inverses of each other on both sides of it.

    Args:
        srgb: display-referred sRGB, 0 … 1; not clipped.

    Returns:
        Linear light of the same shape, 1 is white.
    """
    curved = srgb > SRGB_SLOPE * SRGB_KNEE
    power = ((torch.where(curved, srgb, 1.0) + SRGB_OFFSET) / (1 + SRGB_OFFSET)) ** SRGB_EXPONENT
    return torch.where(curved, power, srgb / SRGB_SLOPE)


def tone(x: Tensor) -> Tensor:
    """A camera's contrast curve, the smoothstep `y = 3x² − 2x³` (Brooks et al., Unprocessing, CVPR 2019).

    Args:
        x: linear light, 1 is white; clipped to 0 … 1, outside of which the curve turns back.

    Returns:
        Toned light of the same shape, 0 … 1.
    """
    clipped = x.clamp(0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def inverse_tone(y: Tensor) -> Tensor:
    """Inverse of `tone`: `x = 0.5 − sin(asin(1 − 2y)/3)` (Brooks et al., Unprocessing, CVPR 2019).

    Computed from the distance `d` to the nearer end as `0.5 − sin(π/6 − ⅔·asin √d)`, the same thing without
    the cancellation in `1 − 2y`. The slope is infinite at 0 and 1; there the gradient is given as 1.

    Args:
        y: toned light, clipped to 0 … 1.

    Returns:
        Linear light of the same shape, 0 … 1.
    """
    clipped = y.clamp(0, 1)
    upper = clipped > 0.5
    distance = torch.where(upper, 1 - clipped, clipped)
    inside = distance > 0
    root = torch.where(inside, distance, 0.5).sqrt()
    x = torch.where(inside, 0.5 - torch.sin(torch.pi / 6 - torch.asin(root) * (2 / 3)), distance)
    return torch.where(upper, 1 - x, x)
