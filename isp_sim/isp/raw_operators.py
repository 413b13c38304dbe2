"""Steps before sRGB as functions: of the mosaic, and of linear RGB whose noise is known.

As those of `isp_sim.isp.operators`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from isp_sim.isp.non_local import box
from isp_sim.isp.params import ParamSpec
from isp_sim.transfer import REC709_LUMA
from isp_sim.units import LinearRgb, Mosaic

ROWS = ParamSpec("strength", 0.0, 1.5, 1.0, "linear", "×", "share of each row's offset that is taken off")


def without_rows(mosaic: Mosaic, strength: Tensor, rows: Tensor) -> Mosaic:
    """Row noise taken off: `m − s·r`, r the rows' offsets."""
    return Mosaic(mosaic - strength[..., None, None] * rows)


BLACK = ParamSpec("share", -0.5, 0.95, 0.5, "linear", "", "of the mean, where all is noise, that is taken for black")


def black_point(mosaic: Mosaic, share: Tensor, spread: Tensor, mean: Tensor) -> Mosaic:
    """What noise that was clipped at black adds, taken off; the mean M stays.

    `(m − b)·M/(M − b)` with `b = a·M·σ/(σ + M)`: next to nothing where a pixel's noise σ is small, `a·M` at most.

    Args:
        mosaic: `(batch, 1, height, width)`.
        share: a, `(batch, 1)`.
        spread: σ, `(batch, 1, 1, 1)`.
        mean: M, likewise; a picture whose mean is not above 0 stays as it is.
    """
    of_mean = share[..., None, None] * spread / (spread + mean.clamp_min(1e-9))
    shift = of_mean * mean.clamp_min(0)
    return Mosaic((mosaic - shift) / (1 - of_mean))


SHADING = ParamSpec("strength", 0.0, 1.5, 1.0, "linear", "×", "share of the lens's fall-off that is made up for")


def lens_shading(mosaic: Mosaic, strength: Tensor, gains: Tensor | None) -> Mosaic:
    """Light that the lens kept from a pixel, made up for: `m·(1 + s·(g − 1))`; without gains the mosaic stays.

    Args:
        mosaic: `(batch, 1, height, width)`.
        strength: s, `(batch, 1)`.
        gains: g, `(batch or 1, 1, height, width)`, as the raw states them.
    """
    return (
        mosaic
        if gains is None
        else Mosaic(mosaic * torch.addcmul(1 - strength[..., None, None], strength[..., None, None], gains))
    )


BALANCE = ParamSpec("strength", 0.0, 1.5, 1.0, "linear", "", "power of the estimated light's gains")


def auto_white_balance(mosaic: Mosaic, strength: Tensor, light: Tensor, neutral: Tensor, cfa: str) -> Mosaic:
    """Balance by the light that the raw shows: `m·g_c^s`, `g_c ∝ n_c/e_c`, the smallest gain 1.

    Developing then multiplies by `1/n_c`, so that at s = 1 what is neutral under the light e becomes grey.

    Args:
        mosaic: `(batch, 1, height, width)`.
        strength: s, `(batch, 1)`; 0 leaves the neutral that the raw states.
        light: e, `(batch, 3)`, camera RGB of the estimated light.
        neutral: n, `(batch, 3)` or `(1, 3)`, camera RGB of white as the raw states it.
        cfa: colours of the 2×2 tile, row by row.
    """
    gains = neutral / light
    gains = (gains / gains.amin(dim=1, keepdim=True)) ** strength
    tile = gains[:, ["RGB".index(colour) for colour in cfa]].view(-1, 1, 1, 2, 1, 2)
    rows, columns = mosaic.shape[2] // 2, mosaic.shape[3] // 2
    balanced = mosaic.reshape(-1, 1, rows, 2, columns, 2) * tile
    return Mosaic(balanced.view(-1, 1, 2 * rows, 2 * columns))


COARSE = 4
"""Pixels each way that become one where a step needs surroundings only."""


def surroundings(plane: Tensor, reach: int) -> Tensor:
    """Means over `COARSE` px, then over `2·reach + 1` of those each way: at `1/COARSE` of the resolution."""
    height, width = plane.shape[2:]
    plane = F.pad(plane, (0, -width % COARSE, 0, -height % COARSE), mode="replicate")
    return box(F.avg_pool2d(plane, COARSE), reach)


def at_full_size(coarse: Tensor, like: Tensor) -> Tensor:
    """A plane of `surroundings` at every pixel, bilinear."""
    fine = F.interpolate(coarse, scale_factor=COARSE, mode="bilinear")
    return fine[:, :, : like.shape[2], : like.shape[3]]


def luma_of(image: LinearRgb) -> Tensor:
    """Rec. 709 luma, `(batch, 1, height, width)`."""
    weights = image.new_tensor(REC709_LUMA)[None, :, None, None]
    return (image * weights).sum(dim=1, keepdim=True)


CHROMA = ParamSpec("contrast", 0.01, 10.0, 1.0, "log", "of luma", "colour follows edges of luma above it")
CHROMA_REACH = 3


def chroma_denoising(image: LinearRgb, contrast: Tensor) -> LinearRgb:
    """Colour smoothed along luma, which stays: a guided filter of the colour differences (He, Sun & Tang, TPAMI 2013).

    With Y the luma and C = R, G, B − Y, in each square `C ≈ a·Y + b`, `a = cov(Y, C)/(var Y + ε)`, `b = C̄ − a·Ȳ`; the
    result is `Y + ā·Y + b̄`. `ε = (contrast · Ȳ)²`, so that the same contrast counts in light and shade. a and b are
    found at a quarter of the resolution (He & Sun, *Fast guided filter*, 2015).

    Args:
        image: `(batch, 3, height, width)`.
        contrast: `(batch, 1)`.
    """
    luma = luma_of(image)
    colour = image - luma
    mean, chroma = surroundings(luma, CHROMA_REACH), surroundings(colour, CHROMA_REACH)
    shared = surroundings(luma * colour, CHROMA_REACH) - mean * chroma
    varies = (surroundings(luma**2, CHROMA_REACH) - mean**2).clamp_min(0)
    slope = shared / (varies + (contrast[..., None, None] * mean) ** 2 + 1e-12)
    offset = chroma - slope * mean
    slope, offset = (at_full_size(box(part, CHROMA_REACH), image) for part in (slope, offset))
    return LinearRgb(luma + slope * luma + offset)


DOUBT = ParamSpec("noise", 0.01, 100.0, 1.0, "log", "σ", "light of so many σ keeps half of its colour")
DOUBT_REACH = 1


def desaturation(image: LinearRgb, doubt: Tensor, noise: Tensor) -> LinearRgb:
    """Colour by signal to noise: `Y + s·(c − Y)`, `s = Ȳ²/(Ȳ² + k²·(S·Ȳ + O))`.

    Args:
        image: `(batch, 3, height, width)`, white balanced and otherwise as exposed.
        doubt: k, `(batch, 1)`.
        noise: `(batch, 3, 2)`, S and O of a raw pixel; G's are taken, since G is what luma is made of.
    """
    luma = luma_of(image)
    mean = surroundings(luma, DOUBT_REACH).clamp_min(0)
    slope, offset = (noise[:, 1, n, None, None, None] for n in (0, 1))
    variance = doubt[..., None, None] ** 2 * (slope * mean + offset)
    share = mean**2 / (mean**2 + variance + 1e-20)
    return LinearRgb(luma + at_full_size(share, image) * (image - luma))


TONE = ParamSpec("amount", -0.5, 0.9, 0.0, "linear", "", "above 0 lifts dark surroundings, dims light ones")
MID_GREY = 0.18
TONE_FLOOR = 0.01
"""Of white: darker surroundings are lifted no further."""
TONE_REACH = 8


def local_tone(image: Tensor, amount: Tensor) -> Tensor:
    """Brightness by the surroundings: `c·((Ȳ + ε)/(0.18 + ε))^(−a)`; mid-grey surroundings stay, and near ratios do.

    Args:
        image: `(batch, 3, height, width)`, exposed.
        amount: a, `(batch, 1)`.
    """
    mean = box(surroundings(luma_of(LinearRgb(image)), TONE_REACH), TONE_REACH).clamp_min(0)
    gain = ((mean + TONE_FLOOR) / (MID_GREY + TONE_FLOOR)) ** -amount[..., None, None]
    return image * at_full_size(gain, image)
