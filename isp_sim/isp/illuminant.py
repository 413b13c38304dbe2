"""Colour of the light from a raw alone: grey world and its kin, and a learned filter of chroma histograms.

All of them look at a thumbnail of camera RGB, black 0, white 1, without what is clipped.
"""

import functools
import math
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from isp_sim.isp.demosaic import camera_rgb
from isp_sim.units import Mosaic

Method = Literal["grey_world", "shades_of_grey", "learned"]
METHODS: tuple[Method, ...] = get_args(Method)
WEIGHTS = Path(__file__).with_name("illuminant.safetensors")
"""Of `learned`; `benchmarks/white_balance.py --train` made them."""
ACROSS = 96
"""Cells of a thumbnail along its longer side, at most."""
ENOUGH = 8
"""Tiles of a block each way; of more, which a large sensor has, some are left out."""
CLIPPED = 0.98
"""A tile with a pixel above it tells nothing of colour."""
NORM = 6
"""Of shades of grey (Finlayson & Trezzi, CIC 2004)."""
BINS, BIN = 64, 1 / 24
"""Bins of a chroma histogram each way, and their width in ln; the middle is the neutral that the raw states."""


def thumbnail(mosaic: Mosaic, cfa: str) -> Tensor:
    """Mean camera RGB of blocks of tiles, `(batch, 3, rows, columns)`; tiles with a clipped pixel do not count.

    A block of which half is clipped is 0 in all three.

    Args:
        mosaic: `(batch, 1, height, width)`, even sides.
        cfa: colours of the 2×2 tile, row by row.
    """
    light = mosaic.detach()
    side = math.ceil(max(light.shape[2:]) / 2 / ACROSS)
    skip = 2 * max(1, side // ENOUGH)
    tiles = torch.cat([light[..., y::skip, x::skip] for y in (0, 1) for x in (0, 1)], dim=1)
    side = math.ceil(max(tiles.shape[2:]) / ACROSS)
    block = (min(side, tiles.shape[2]), min(side, tiles.shape[3]))
    counts = (tiles.amax(dim=1, keepdim=True) < CLIPPED).to(tiles.dtype)
    share = F.avg_pool2d(counts, block)
    mean = F.avg_pool2d(tiles * counts, block) / share.clamp_min(0.5) * (share >= 0.5)
    return camera_rgb(mean, cfa).clamp_min(0)


def estimate(light: Tensor, neutral: Tensor, method: Method) -> Tensor:
    """Camera RGB of a white under the scene's light, of length 1, `(batch, 3)`.

        grey_world      e_c = mean x_c                     (Buchsbaum 1980)
        shades_of_grey  e_c = (mean x_c⁶)^(1/6)
        learned         the mean of softmax(Σ_k F_k * N_k + B) over chroma; see `chroma_scores`

    Where nothing is to be seen it is the neutral.

    Args:
        light: `thumbnail`.
        neutral: camera RGB of white as the raw states it, `(batch, 3)` or `(1, 3)`.
        method: which.
    """
    if method == "grey_world":
        power = light.mean(dim=(2, 3))
    elif method == "shades_of_grey":
        top = light.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)  # so that a sixth power stays a number
        power = ((light / top) ** NORM).mean(dim=(2, 3)) ** (1 / NORM)
    else:
        power = learned(light, neutral, shipped(str(light.device)))
    stated = neutral.expand_as(power)
    seen = light.amin(dim=1).amax(dim=(1, 2)) > 0
    power = torch.where(seen[:, None], power, stated)
    return F.normalize(power, dim=1)


def _edges(light: Tensor) -> Tensor:
    """Length of the gradient between cells none of which is clipped."""
    if min(light.shape[2:]) < 2:
        return light
    seen = (light.sum(dim=1, keepdim=True) > 0).to(light.dtype)
    known = seen[:, :, 1:, 1:] * seen[:, :, 1:, :-1] * seen[:, :, :-1, 1:]
    across = light[:, :, 1:, 1:] - light[:, :, 1:, :-1]
    down = light[:, :, 1:, 1:] - light[:, :, :-1, 1:]
    return torch.hypot(across, down) * known


@functools.lru_cache(maxsize=4)
def shipped(device: str) -> dict[str, Tensor]:
    """The weights that come with the package."""
    return {name: part.to(device) for name, part in load_file(str(WEIGHTS)).items()}


def learned(light: Tensor, neutral: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Camera RGB of the light by a learned filter, largest 1; differentiable in the weights.

    After Barron, *Convolutional color constancy*, ICCV 2015: with `u = ln(G/R)`, `v = ln(G/B)` of balanced camera
    RGB, a light shifts the histogram N(u, v) of a scene, so a filter that finds where it lies finds the light.

    Args:
        light: `thumbnail`.
        neutral: camera RGB of white as the raw states it: what balances.
        weights: `filters` `(2, bins, bins)` of the histograms of cells and of edges, `bias` `(bins, bins)`.
    """
    scores = chroma_scores(light, neutral, weights)
    share = torch.softmax(scores.flatten(1), dim=1).view_as(scores)
    place = (torch.arange(BINS, device=light.device, dtype=light.dtype) - BINS // 2) * BIN
    u, v = (share.sum(dim=2) * place).sum(dim=1), (share.sum(dim=1) * place).sum(dim=1)
    balanced = torch.stack([-u, torch.zeros_like(u), -v], dim=1).exp()
    return balanced * neutral / (balanced * neutral).amax(dim=1, keepdim=True)


def chroma_scores(light: Tensor, neutral: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """`Σ_k F_k * N_k + B`, circular, `(batch, bins, bins)`: N the root of the share of cells and of edges of a chroma.

    Arguments as `learned`.
    """
    balanced = light / neutral[..., None, None]
    maps = [histogram(part) for part in (balanced, _edges(balanced))]
    wave = torch.fft.rfft2(torch.stack(maps, dim=1))
    summed = (wave * torch.fft.rfft2(weights["filters"])).sum(dim=1)
    scores: Tensor = torch.fft.irfft2(summed, s=(BINS, BINS)) + weights["bias"]
    return scores


def histogram(balanced: Tensor) -> Tensor:
    """Root of the share of cells of each (u, v), `(batch, bins, bins)`, each cell shared by the four bins around it.

    Cells below a hundredth of the brightest do not count.

    Args:
        balanced: `(batch, 3, rows, columns)`, a white is equal in all three.
    """
    batch = balanced.shape[0]
    flat = balanced.flatten(2)
    floor = 0.01 * flat.amax(dim=(1, 2), keepdim=True)
    counts = (flat.amin(dim=1) > floor[:, 0]).to(flat.dtype)
    logs = flat.clamp_min(1e-9).log()
    places = [
        ((logs[:, 1] - logs[:, other]) / BIN + BINS // 2).clamp(0, BINS - 1.001) * (counts > 0) for other in (0, 2)
    ]
    whole = [place.floor() for place in places]
    part = [place - low for place, low in zip(places, whole, strict=True)]
    total = balanced.new_zeros(batch, BINS * BINS)
    for du in (0, 1):
        for dv in (0, 1):
            share = (part[0] if du else 1 - part[0]) * (part[1] if dv else 1 - part[1]) * counts
            at = (whole[0] + du) * BINS + whole[1] + dv
            total = total.scatter_add(1, at.long().clamp_max(BINS * BINS - 1), share)
    return (total / counts.sum(dim=1, keepdim=True).clamp_min(1)).sqrt().view(batch, BINS, BINS)


def angular_error_deg(estimated: Tensor, true: Tensor) -> Tensor:
    """Angle between two lights' camera RGB, degrees, `(batch,)` (Hordley & Finlayson, ICPR 2004)."""
    cross = torch.linalg.cross(estimated.double(), true.double()).norm(dim=1)
    return torch.rad2deg(torch.atan2(cross, (estimated.double() * true.double()).sum(dim=1)))
