"""The ISP's steps as functions of an image and its parameters; parameters are per image, `(batch, size)`.

Beside each stands the spec of its parameters. A size of 1 is shared by the channels, 3 is one each for R, G, B.
Images are `(batch, 3, height, width)`, 1 is white; nothing is clipped unless said. All are differentiable.
"""

import torch
from torch import Tensor

from isp_sim.isp.bilateral import bilateral
from isp_sim.isp.params import ParamSpec
from isp_sim.transfer import REC709_LUMA, tone
from isp_sim.units import LinearRgb, Mosaic

GAIN = ParamSpec("gain", 2.0**-2, 2.0**10, 1.0, "log", "×", "−2 … +10 EV")
LINEAR_GAIN = ParamSpec("gain", 2.0**-2, 2.0**14, 1.0, "log", "×", "−2 … +14 EV")
"""Of linear light: sRGB's first 13 codes are on a straight line of slope 12.92."""


def exposure(image: Tensor, gain: Tensor) -> Tensor:
    """Brighten: `P·a`."""
    return image * gain[..., None, None]


GAMMA = ParamSpec("gamma", 0.2, 5.0, 1.0, "log", "", "below 1 lifts shadows")
GAMMA_KNEE = 1e-4
"""Below it the power is continued by a straight line: a fortieth of an 8-bit step."""


def gamma(image: Tensor, exponent: Tensor) -> Tensor:
    """Power curve `P^γ`, odd: `sign(P)·|P|^γ` for `|P| ≥ ε = 10⁻⁴`, the chord `P·ε^(γ−1)` below.

    So 0 stays 0, 1 stays 1, noise below black stays below black, and every gradient is finite.
    """
    power = exponent[..., None, None]
    slope = image.abs().clamp_min_(GAMMA_KNEE).pow_(power - 1)  # in place: two planes instead of four, or one
    return image * slope if slope.requires_grad else slope.mul_(image)


SIGMA_SPACE = ParamSpec("sigma_space", 0.2, 5.0, 0.8, "log", "px", "how far it reaches")
SIGMA_RANGE = ParamSpec("sigma_range", 0.005, 2.0, 0.05, "log", "of white", "higher contrasts stay")


def smoothing(image: Tensor, sigma_space: Tensor, sigma_range: Tensor, window: int) -> Tensor:
    """Bilateral filter of each channel: `isp_sim.isp.bilateral`."""
    return bilateral(image, sigma_space, sigma_range, window)


GAINS = ParamSpec("gains", 0.25, 4.0, 1.0, "log", "×", "white balance", 3, ("R", "G", "B"))


def channel_gains(image: Tensor, gains: Tensor) -> Tensor:
    """White balance of an image: `c_i · gain_i` for every channel i."""
    return image * gains[..., None, None]


def white_balance(mosaic: Mosaic, gains: Tensor, cfa: str) -> Mosaic:
    """White balance of a mosaic, `channel_gains` of its four colours, cut at 1 so that a clipped highlight stays white.

    Args:
        mosaic: `(batch, 1, height, width)`.
        gains: `(batch, 3)` for R, G, B.
        cfa: colours of the 2×2 tile, row by row.
    """
    tile = gains[:, ["RGB".index(colour) for colour in cfa]]
    balanced = channel_gains(torch.pixel_unshuffle(mosaic, 2), tile)
    return Mosaic(torch.pixel_shuffle(balanced, 2).clamp_max(1.0))


_ENTRIES = tuple(f"{out}{into}" for out in "RGB" for into in "RGB")
MATRIX = ParamSpec("matrix", -2.0, 3.0, (1, 0, 0, 0, 1, 0, 0, 0, 1), "linear", "", "colour mixing", 9, _ENTRIES)


def colour_matrix(image: LinearRgb, matrix: Tensor) -> LinearRgb:
    """Mix the channels: `out_i = Σ_j matrix_ij · in_j`.

    Args:
        image: `(batch, 3, height, width)`.
        matrix: `(batch, 3, 3)`, or its rows one after the other, `(batch, 9)`.
    """
    rows = matrix.reshape(-1, 3, 3, 1, 1)
    mixed = rows[:, :, 0] * image[:, :1]
    for channel in (1, 2):  # not a matrix product: autocast would round that to bfloat16
        mixed = mixed + rows[:, :, channel] * image[:, channel : channel + 1]
    return LinearRgb(mixed)


CONTRAST = ParamSpec("amount", -1.0, 1.0, 0.0, "linear", "", "1 is a camera's S-curve")


def contrast(image: Tensor, amount: Tensor) -> Tensor:
    """Tone curve `x + a·(tone(x) − x)` between black and white, the identity outside; tone is `transfer.tone`.

    Monotone for `−2 ≤ a ≤ 1`; black, mid-grey and white stay where they are.
    """
    inside = image.clamp(0, 1)
    return image + amount[..., None, None] * (tone(inside) - inside)


SHARPENING = ParamSpec("amount", -1.0, 3.0, 0.0, "linear", "×", "detail added, or taken away")
RADIUS = ParamSpec("radius", 0.3, 2.0, 1.0, "log", "px", "of what counts as detail")
FLAT = 1e6
"""A σr so wide that the bilateral filter is a Gaussian, with its border renormalised."""


def sharpening(image: Tensor, amount: Tensor, radius: Tensor, window: int) -> Tensor:
    """Unsharp mask: `P + a·(P − blur(P))`, the blur a Gaussian of `radius` px within the window."""
    blurred = bilateral(image, radius, torch.full_like(radius.detach(), FLAT), window)
    return image + amount[..., None, None] * (image - blurred)


SATURATION = ParamSpec("amount", 0.0, 2.0, 1.0, "linear", "×", "0 is grey, 1 as it was")


def saturation(image: Tensor, amount: Tensor) -> Tensor:
    """Distance from grey: `Y + s·(c − Y)`, Y the Rec. 709 luma."""
    weights = image.new_tensor(REC709_LUMA)[None, :, None, None]
    luma = (image * weights).sum(dim=1, keepdim=True)
    return luma + amount[..., None, None] * (image - luma)
