"""Row noise: what each row of a mosaic is read too high or too low by, found in the picture and taken off.

A row's offset is small beside the noise of a pixel, but all its pixels share it, so that no blur along the row weakens
it: where a dark picture is averaged over many pixels, stripes are what stays.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isp_sim.units import Mosaic

REACH = 3
"""Rows of the same colours to each side that a row is compared with."""
LARGEST = 0.5
"""Of the spread of a pixel's noise: a larger offset is taken for a horizontal edge."""
ENOUGH = 2**17
"""Pixels of a plane from which a spread is known to 0.4 %; of a larger one rows are left out."""
_MEDIAN_OF_NORMAL = 0.6745


def noise_spread(mosaic: Mosaic) -> Tensor:
    """Standard deviation of the noise of a typical pixel, found in the picture, `(batch, 1, 1, 1)`.

    `σ = median |y_x − (y_{x−2} + y_{x+2})/2| / (0.6745·√1.5)`, the mean over the four planes of the 2×2 tile: exact for
    white Gaussian noise on slopes; edges are few, texture counts as noise (after Immerkær, CVIU 1996).

    Args:
        mosaic: `(batch, 1, height, width)`, even sides, 6 px wide at least.
    """
    tile = F.pixel_unshuffle(mosaic, 2)
    tile = tile[:, :, :: max(1, tile[0, 0].numel() // ENOUGH)]
    apart = (tile[..., 1:-1] - (tile[..., 2:] + tile[..., :-2]) / 2).abs()
    middle = apart.flatten(2).median(dim=2).values
    spread: Tensor = middle.mean(dim=1) / (_MEDIAN_OF_NORMAL * 1.5**0.5)
    return spread[:, None, None, None]


def row_offsets(mosaic: Mosaic, spread: Tensor) -> Tensor:
    """What each row lies above its neighbours, `(batch, 1, height, 1)`, at most half a pixel's noise.

    `e_i = median_x (y_ix − Σ_j k_j y_jx)` over the rows j of the same colours within `REACH`, k Gaussian without the
    middle; a second step takes off what the neighbours' own offsets did to it: `(I − K²)·offsets`. The median ignores
    edges that cross a row; what goes along it, such as a horizon, is bounded by the noise.

    Args:
        mosaic: `(batch, 1, height, width)`, even sides, the whole width of the sensor.
        spread: `(batch, 1, 1, 1)`, as `noise_spread` gives it.
    """
    batch, _, height, _ = mosaic.shape
    weights = [math.exp(-2 * (row / REACH) ** 2) if row else 0.0 for row in range(-REACH, REACH + 1)]
    weights = [weight / sum(weights) for weight in weights]
    offsets = mosaic.new_zeros(batch, 1, height, 1)
    for _ in range(2):
        tile = F.pixel_unshuffle(mosaic - offsets, 2).flatten(0, 1)[:, None]
        padded = F.pad(tile, (0, 0, REACH, REACH), mode="replicate")
        near = torch.zeros_like(tile)
        for place, weight in enumerate(
            weights
        ):  # one after the other: a convolution of one channel is four times as slow
            near.add_(padded[:, :, place : place + tile.shape[2]], alpha=weight)
        both = (tile - near).view(batch, 2, 2, height // 2, -1)  # row of the tile, column of the tile
        above = both.permute(0, 3, 1, 2, 4).reshape(batch, height, -1).median(dim=2).values
        offsets = (offsets + above[:, None, :, None]).clamp(-LARGEST * spread, LARGEST * spread)
    return offsets
