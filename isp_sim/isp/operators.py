"""The ISP's steps as functions of an image and its parameters; parameters are per image, `(batch, size)`."""

import torch
from torch import Tensor

from isp_sim.units import LinearRgb, Mosaic


def white_balance(mosaic: Mosaic, gains: Tensor, cfa: str) -> Mosaic:
    """Scale each colour of a mosaic: `m_c · gain_c`, cut at 1 so that a clipped highlight stays white.

    Args:
        mosaic: `(batch, 1, height, width)`.
        gains: `(batch, 3)` for R, G, B.
        cfa: colours of the 2×2 tile, row by row.
    """
    rows = mosaic.shape[-2] // 2
    columns = mosaic.shape[-1] // 2
    tile = torch.stack([gains[:, "RGB".index(colour)] for colour in cfa], dim=1)
    grid = tile.reshape(-1, 1, 2, 2).repeat(1, 1, rows, columns)
    return Mosaic((mosaic * grid).clamp_max(1.0))


def colour_matrix(image: LinearRgb, matrix: Tensor) -> LinearRgb:
    """Mix the channels: `out_i = Σ_j matrix_ij · in_j`.

    Args:
        image: `(batch, 3, height, width)`.
        matrix: `(batch, 3, 3)`.
    """
    batch, _, height, width = image.shape
    return LinearRgb(torch.bmm(matrix, image.reshape(batch, 3, -1)).reshape(batch, 3, height, width))
