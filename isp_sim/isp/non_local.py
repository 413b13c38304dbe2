"""Noise of a mosaic taken off by averages of the mosaic itself, of places that look alike once noise is allowed for.

In the light of a tile (the mean f of its four pixels, whose noise has the variance v), two tiles p and q differ by

    D_pq = mean over patches of (f_p − f_q)² / (v_p + v_q)        1 where only noise tells them apart
    w_pq = exp(−max(D_pq − 1, 0)/h²),    x̂_p = Σ_q w_pq x_q / Σ_q w_pq

for each of the four pixels x (after Buades, Coll & Morel, CVPR 2005). Dividing by the variance does what a
root does that stabilises it (Anscombe), yet what is averaged is light: where read noise dominates, the mean of roots is
no root of a mean. Over several scales, the coarsest first: `x_k ← up(x̂_{k+1}) + x_k − up(down x_k)`, then the average.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from isp_sim.isp.params import ParamSpec
from isp_sim.units import Mosaic

REACH = 3
"""Tiles each way that are compared with a tile."""
PATCH = 1
"""Tiles each way round it that are compared."""
AROUND = 4
"""Tiles each way over which mean and noise of a place are measured."""
_FINEST = 8 / 9
"""Variance of white noise that is left when the mean of its 3×3 surroundings is taken off."""

STRENGTH = ParamSpec("strength", 0.05, 3.0, 0.5, "log", "σ", "differences beyond noise that are averaged away")


def denoise(mosaic: Mosaic, strength: Tensor, noise: Tensor, cfa: str, levels: int) -> Mosaic:
    """The mosaic without its noise; see the module.

    Args:
        mosaic: `(batch, 1, height, width)`, even sides.
        strength: h, `(batch, 1)`.
        noise: `(batch, 3, 2)`, S and O of R, G, B.
        cfa: colours of the 2×2 tile, row by row.
        levels: scales, each half of the one before.
    """
    height, width = mosaic.shape[2] // 2, mosaic.shape[3] // 2
    several = 1 << (levels - 1)
    tile = F.pixel_unshuffle(mosaic, 2)
    tile = F.pad(tile, (0, -width % several, 0, -height % several), mode="replicate")
    cleaned = _at_scale(tile, tile_variance(tile, noise, cfa), strength[..., None, None] ** 2, levels)
    return Mosaic(F.pixel_shuffle(cleaned[:, :, :height, :width], 2))


def halo(levels: int) -> int:
    """Pixels beyond a pixel that `denoise` looks at."""
    return 2 * (AROUND + 1 + (REACH + PATCH + 2) * ((1 << levels) - 1))


def tile_variance(tile: Tensor, noise: Tensor, cfa: str) -> Tensor:
    """Variance of the noise of a tile's mean, `(batch, 1, height, width)`: as the metadata say, or less as seen.

    `v = min(Σ (S·m + O)/16, 9/8 · mean (f − mean₃ₓ₃ f)²)`, m the mean of each pixel's surroundings: a sensor that clips
    its noise at black has less than its NoiseProfile says, and where there is more there is texture.

    Args:
        tile: `(batch, 4, height, width)`.
        noise: see `denoise`.
        cfa: see `denoise`.
    """
    of_pixel = noise[:, ["RGB".index(colour) for colour in cfa], :, None, None]
    mean = box(tile, AROUND).clamp_min(0)
    known = (of_pixel[:, :, 0] * mean + of_pixel[:, :, 1]).mean(dim=1, keepdim=True) / 4
    light = tile.mean(dim=1, keepdim=True)
    seen = box((light - box(light, 1)) ** 2, AROUND) / _FINEST
    return torch.minimum(known, seen)


def box(plane: Tensor, reach: int) -> Tensor:
    """Mean over a square of `2·reach + 1`; the border is continued."""
    size = 2 * reach + 1
    plane = F.avg_pool2d(F.pad(plane, (reach, reach, 0, 0), mode="replicate"), (1, size), 1)
    return F.avg_pool2d(F.pad(plane, (0, 0, reach, reach), mode="replicate"), (size, 1), 1)


def _at_scale(tile: Tensor, variance: Tensor, strength2: Tensor, levels: int) -> Tensor:
    """A scale after all that are coarser."""
    if levels > 1:
        coarse = F.avg_pool2d(tile, 2)
        cleaned = _at_scale(coarse, F.avg_pool2d(variance, 2) / 4, strength2, levels - 1)
        tile = tile + F.interpolate(cleaned - coarse, scale_factor=2, mode="bilinear")
    return _average(tile, variance, strength2)


def _average(tile: Tensor, variance: Tensor, strength2: Tensor) -> Tensor:
    """The weighted mean of each tile's neighbours; a weight serves the pair both ways.

    Planes reach `REACH` beyond the border on each side, and what a pair's other tile is beside them once more.
    """
    height, width = tile.shape[2:]
    rim = 2 * REACH + PATCH
    wide, noise = (F.pad(plane, (rim,) * 4, mode="replicate") for plane in (tile, variance + 1e-20))
    light = wide.mean(dim=1, keepdim=True)
    total, weights = tile, torch.ones_like(variance)
    for dy in range(REACH + 1):
        for dx in range(-REACH, REACH + 1):
            if dy == 0 and dx <= 0:
                continue
            here, there = _part(light, 0, 0, REACH + PATCH, tile), _part(light, dy, dx, REACH + PATCH, tile)
            patches = F.avg_pool2d((here - there) ** 2, 2 * PATCH + 1, 1)
            both = _part(noise, 0, 0, REACH, tile) + _part(noise, dy, dx, REACH, tile)
            weight = torch.exp(-(patches / both - 1).clamp_min(0) / strength2)
            ahead = weight[:, :, REACH : REACH + height, REACH : REACH + width]
            behind = weight[:, :, REACH - dy : REACH - dy + height, REACH - dx : REACH - dx + width]
            total = total + ahead * _part(wide, dy, dx, 0, tile) + behind * _part(wide, -dy, -dx, 0, tile)
            weights = weights + ahead + behind
    return total / weights


def _part(wide: Tensor, dy: int, dx: int, beyond: int, tile: Tensor) -> Tensor:
    """A padded plane shifted by (dy, dx), with `beyond` px more than the tile plane on each side."""
    rim = 2 * REACH + PATCH
    top, left = rim + dy - beyond, rim + dx - beyond
    return wide[:, :, top : top + tile.shape[2] + 2 * beyond, left : left + tile.shape[3] + 2 * beyond]
