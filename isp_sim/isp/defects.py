"""Defective pixels of a mosaic: the listed, and those that stand out of their neighbours' range by more than noise.

A pixel p is compared with the eight nearest of its colour, whose largest is M, smallest m:

    u = (p − M)/σ,  or (m − p)/σ,    σ² = S·max(M, 0) + O + (c·(M − m))²
    d = u − k·max(v − 1, 0)          v the largest u of the four pixels beside p, which are of other colours
    w = 1 where listed, else clamp(d − t + ½, 0, 1)
    p ← p + w·(r − p)

S and O are the NoiseProfile's; the larger d of the two counts. Light that a lens has drawn reaches the pixels beside p,
a defect does not. r is the mean of the more alike pair of opposite neighbours, so that edges go on. Listed pixels are
mended first, from neighbours that are not listed, diagonal pairs included; of clusters, the rim first.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from isp_sim.isp.params import ParamSpec
from isp_sim.units import Mosaic

THRESHOLD = ParamSpec("threshold", 1.0, 100.0, 10.0, "log", "σ", "beyond its neighbours' range, a pixel is defective")
CONTRAST = 0.25
"""c: the share of the neighbours' range that counts as noise, so that detail is no defect."""
DETAIL = 4.0
"""k: so many σ less for each by which a pixel beside stands out, too."""
BAND = 128
"""Rows at a time, an even number: what is made of them stays in the processor's cache."""
PASSES = 4
"""A cluster is mended so many pixels of a colour deep from each side."""
HALO = 2 * (PASSES + 2)
"""Pixels beyond a pixel that the step looks at."""
_PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Of opposite neighbours: rows and columns of the colour's own plane to one of them."""


def mended(mosaic: Mosaic, threshold: Tensor, noise: Tensor, cfa: str, listed: Tensor | None = None) -> Mosaic:
    """The mosaic without defective pixels; see the module.

    Ordinary pixels stay to the bit. Gradients reach the mosaic, and the threshold where w is between 0 and 1.

    Args:
        mosaic: `(batch, 1, height, width)`, even sides of 8 and more.
        threshold: t, `(batch, 1)`.
        noise: `(batch, 3, 2)`, S and O of R, G, B.
        cfa: colours of the 2×2 tile, row by row.
        listed: `(batch or 1, 1, height, width)`, bool; None: no list.
    """
    if listed is not None and listed.any():
        mosaic = fill(mosaic, listed.expand_as(mosaic))
    # Beyond the border the next two tiles again, the nearest first.
    wide = torch.cat([mosaic[..., 4:6], mosaic[..., 2:4], mosaic, mosaic[..., -4:-2], mosaic[..., -6:-4]], dim=3)
    wide = torch.cat([wide[:, :, 4:6], wide[:, :, 2:4], wide, wide[:, :, -4:-2], wide[:, :, -6:-4]], dim=2)
    of_place = noise[:, ["RGB".index(colour) for colour in cfa]].view(-1, 1, 1, 2, 1, 2, 2)
    limit = threshold[..., None, None] - 0.5
    rows = mosaic.shape[2]
    bands = [
        _band(wide[:, :, top : min(top + BAND, rows) + 8], limit, of_place[..., 0], of_place[..., 1])
        for top in range(0, rows, BAND)
    ]
    return Mosaic(torch.cat(bands, dim=2))


def _band(wide: Tensor, limit: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    """Some rows of a mosaic, an even number; `wide` has two tiles more on each side, S and O are of a tile."""
    pixel = wide[:, :, 2:-2, 2:-2]
    lowest, highest = (_farthest(wide, which) for which in (torch.minimum, torch.maximum))
    batch, _, rows, columns = pixel.shape
    by_tile = highest.clamp_min(0).view(batch, 1, rows // 2, 2, columns // 2, 2)
    variance = torch.addcmul(offset + 1e-20, slope, by_tile).view(batch, 1, rows, columns)
    deviation = CONTRAST * (highest - lowest)
    per_sigma = variance.addcmul(deviation, deviation).rsqrt()
    above, below = (_alone(beyond * per_sigma) for beyond in (pixel - highest, lowest - pixel))
    doubt = (torch.maximum(above, below) - limit).clamp(0, 1)
    return torch.lerp(pixel[:, :, 2:-2, 2:-2], _between(pixel), doubt)


def _alone(beyond: Tensor) -> Tensor:
    """How far a pixel stands out, less where the pixels beside it do the same: a tile within the border."""
    rows, columns = beyond[:, :, :, 2:-2], beyond[:, :, 2:-2]
    beside = torch.maximum(
        torch.maximum(rows[:, :, 1:-3], rows[:, :, 3:-1]), torch.maximum(columns[..., 1:-3], columns[..., 3:-1])
    )
    return beyond[:, :, 2:-2, 2:-2] - DETAIL * (beside - 1).clamp_min(0)


def _farthest(wide: Tensor, which: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Smallest or largest of each pixel's eight neighbours: of the two above and below, of the columns beside."""
    above_below = which(wide[:, :, :-4], wide[:, :, 4:])
    column = which(above_below, wide[:, :, 2:-2])
    return which(above_below[..., 2:-2], which(column[..., :-4], column[..., 4:]))


def _between(wide: Tensor) -> Tensor:
    """Mean of the more alike two of opposite neighbours: left and right, or above and below."""
    left, right = wide[:, :, 2:-2, :-4], wide[:, :, 2:-2, 4:]
    above, below = wide[:, :, :-4, 2:-2], wide[:, :, 4:, 2:-2]
    along = (left - right).abs() < (above - below).abs()
    return torch.where(along, left + right, above + below) / 2


def fill(mosaic: Mosaic, listed: Tensor) -> Mosaic:
    """Listed pixels, each from the most alike two opposite neighbours that are not listed, else from those there are.

    Only they are touched: the others' number does not count. A pixel without any neighbour waits for the next pass;
    what is left after `PASSES` stays as it is.

    Args:
        mosaic: `(batch, 1, height, width)`.
        listed: likewise, bool.
    """
    height, width = mosaic.shape[2:]
    bad, image, y, x = (part for part in (listed.clone(), *listed.nonzero()[:, [0, 2, 3]].unbind(1)))
    for _ in range(PASSES):
        if not len(y):
            break
        values, known = [], []
        for down, across in (*_PAIRS, *((-a, -b) for a, b in _PAIRS)):
            row, column = y + 2 * down, x + 2 * across
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = image, torch.zeros_like(y), row.clamp(0, height - 1), column.clamp(0, width - 1)
            values.append(mosaic[at])
            known.append(inside & ~bad[at])
        value, found = _from_neighbours(torch.stack(values), torch.stack(known))
        here = image[found], torch.zeros_like(y[found]), y[found], x[found]
        mosaic = Mosaic(mosaic.index_put(here, value[found]))
        bad[here] = False
        image, y, x = image[~found], y[~found], x[~found]
    return mosaic


def _from_neighbours(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Of `(8, n)` neighbours, the second four opposite the first: values of n pixels, and which have any."""
    one, other = values.chunk(2)
    both = known[:4] & known[4:]
    apart = torch.where(both, (one - other).abs(), torch.inf)
    alike = ((one + other) / 2).gather(0, apart.argmin(dim=0, keepdim=True))[0]
    mean = (values * known).sum(dim=0) / known.sum(dim=0).clamp_min(1)
    return torch.where(both.any(dim=0), alike, mean), known.any(dim=0)
