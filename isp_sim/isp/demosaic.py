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


def camera_rgb(tiles: Tensor, cfa: str) -> Tensor:
    """Camera RGB of tiles, at half the resolution: the mean of each colour's pixels.

    Args:
        tiles: `(batch, 4, rows, columns)`, the pixels of the 2×2 tile, row by row.
        cfa: their colours.

    Returns:
        `(batch, 3, rows, columns)`.
    """
    colours = [tiles[:, [place for place, one in enumerate(cfa) if one == colour]].mean(dim=1) for colour in "RGB"]
    return torch.stack(colours, dim=1)


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
        raise ValueError(f"demosaic {method!r}: expected one of {', '.join(FILTERS)}")
    height, width = mosaic.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"a mosaic of {height}×{width} pixels: both must be even")
    kernels, scale = FILTERS[method]
    margin = 2  # even, so that the padded mosaic's tile begins where the mosaic's does
    padded = F.pad(mosaic, (margin,) * 4, mode="reflect")[:, 0]
    phases = [[padded[:, y::2, x::2].contiguous() for x in (0, 1)] for y in (0, 1)]
    planes = torch.empty(mosaic.shape[0], 3, height, width, dtype=mosaic.dtype, device=mosaic.device)
    for position, colour in enumerate(cfa):
        y, x = divmod(position, 2)
        beside = cfa[position ^ 1]  # the tile's other pixel in this row
        for band, wanted in enumerate("RGB"):
            name = _filter(colour, wanted, beside)
            if name is None:
                planes[:, band, y::2, x::2] = mosaic[:, 0, y::2, x::2]
            else:
                planes[:, band, y::2, x::2] = _filtered(
                    phases, kernels[name], scale, y + margin, x + margin, height, width
                )
    return LinearRgb(planes)


def _filtered(
    phases: list[list[Tensor]], kernel: list[list[int]], scale: int, y: int, x: int, height: int, width: int
) -> Tensor:
    """A kernel's sum over the pixels of one phase of the tile, `(batch, height/2, width/2)`.

    Reads the four phases of the padded mosaic, each contiguous, in place of every second pixel of the whole.
    """
    half = len(kernel) // 2
    total = None
    for dy, row in enumerate(kernel):
        for dx, weight in enumerate(row):
            if weight:
                at_y, at_x = y + dy - half, x + dx - half
                plane = phases[at_y % 2][at_x % 2]
                tap = plane[:, at_y // 2 : at_y // 2 + height // 2, at_x // 2 : at_x // 2 + width // 2]
                share = weight / scale
                total = tap * share if total is None else torch.add(total, tap, alpha=share)
    assert total is not None
    return total


def _filter(colour: str, wanted: str, beside: str) -> str | None:
    """Which kernel gives `wanted` at a pixel of `colour` whose row neighbour is `beside`; None: it is measured."""
    if colour == wanted:
        return None
    if wanted == "G":
        return "green"
    if colour == "G":
        return "along" if beside == wanted else "across"
    return "diagonal"
