"""Mosaic → three colours at every pixel, by linear filters of the mosaic."""

import torch
import torch.nn.functional as F
from torch import Tensor

from isp_sim.units import LinearRgb, Mosaic

_BILINEAR = {
    "green": [[0, 1, 0], [1, 0, 1], [0, 1, 0]],  # G at R and B
    "along": [[0, 0, 0], [2, 0, 2], [0, 0, 0]],  # R (B) at G, between two of them in its row
    "across": [[0, 2, 0], [0, 0, 0], [0, 2, 0]],  # R (B) at G, between two of them in its column
    "diagonal": [[1, 0, 1], [0, 0, 0], [1, 0, 1]],  # R at B, B at R
}  # over 4
_MALVAR = {
    "green": [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]],
    "along": [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]],
    "across": [[0, 0, -2, 0, 0], [0, -2, 8, -2, 0], [1, 0, 10, 0, 1], [0, -2, 8, -2, 0], [0, 0, -2, 0, 0]],
    "diagonal": [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]],
}  # over 16
FILTERS = {"bilinear": (_BILINEAR, 4), "malvar2004": (_MALVAR, 16)}
"""Kernels by method. Malvar, He & Cutler, *High-quality linear interpolation …*, ICASSP 2004, figure 2."""


def demosaic(mosaic: Mosaic, cfa: str, method: str) -> LinearRgb:
    """Three colours at every pixel; measured samples stay as they are.

    Args:
        mosaic: `(batch, 1, height, width)`, even height and width.
        cfa: colours of the 2×2 tile, row by row.
        method: `bilinear` or `malvar2004`.

    Returns:
        `(batch, 3, height, width)`, the camera's own R, G, B. The rim is mirrored, which keeps the tile's phase.

    Raises:
        ValueError: odd size, or an unknown method.
    """
    if method not in FILTERS:
        raise ValueError(f"demosaic {method!r}: allowed are {', '.join(FILTERS)}")
    height, width = mosaic.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"a mosaic of {height}×{width} pixels: both must be even")
    kernels, scale = FILTERS[method]
    bank = torch.tensor(list(kernels.values()), dtype=mosaic.dtype, device=mosaic.device) / scale
    margin = bank.shape[-1] // 2
    padded = F.pad(mosaic, (margin, margin, margin, margin), mode="reflect")
    green, along, across, diagonal = F.conv2d(padded, bank[:, None]).unbind(1)
    own = mosaic[:, 0]
    planes = torch.empty(mosaic.shape[0], 3, height, width, dtype=mosaic.dtype, device=mosaic.device)
    for position, colour in enumerate(cfa):
        at = (..., slice(position // 2, None, 2), slice(position % 2, None, 2))
        beside = cfa[position ^ 1]  # the tile's other pixel in this row
        for band, wanted in enumerate("RGB"):
            source = _source(colour, wanted, beside, own, green, along, across, diagonal)
            planes[:, band][at] = source[at]
    return LinearRgb(planes)


def _source(colour: str, wanted: str, beside: str, own: Tensor, *filtered: Tensor) -> Tensor:
    """Which filter gives `wanted` at a pixel of `colour` whose row neighbour is `beside`."""
    green, along, across, diagonal = filtered
    if colour == wanted:
        return own
    if wanted == "G":
        return green
    if colour == "G":
        return along if beside == wanted else across
    return diagonal
