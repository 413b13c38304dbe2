"""Raw → sRGB: white balance, demosaic, colour matrix, sRGB curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import colour_matrix, white_balance
from isp_sim.raw import Raw, normalise
from isp_sim.transfer import REC709_TO_XYZ, SRGB_SLOPE, srgb_encode
from isp_sim.units import LinearRgb, Mosaic, Srgb

DEMOSAIC = "malvar2004"
"""Of a raw whose rig is not known."""


@dataclass(frozen=True)
class DevelopParams:
    """What the developing of a batch is told; tensors may be parameters that learn.

    Attributes:
        cfa: colours of the 2×2 tile, row by row.
        method: demosaic method.
        gains: `(batch, 3)`, white balance of R, G, B.
        matrix: `(batch, 3, 3)`, white-balanced camera RGB → linear Rec. 709.
    """

    cfa: str
    method: str
    gains: Tensor
    matrix: Tensor


def balance(
    neutral: Sequence[float], xyz_to_camera: Sequence[Sequence[float]]
) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, "3 3"]]:
    """White balance of R, G, B, and the matrix from balanced camera RGB to linear Rec. 709.

    Neutral becomes equal R, G, B, `gain_c = max neutral / neutral_c`; the matrix undoes the camera's mixing,
    `(diag(gain) · xyz_to_camera · rec709_to_xyz)⁻¹`, each row scaled to a sum of 1, so that white stays white.

    Args:
        neutral: camera RGB of a neutral grey (DNG AsShotNeutral).
        xyz_to_camera: CIE XYZ (D65) → camera RGB (DNG ColorMatrix1).
    """
    gains = max(neutral) / np.asarray(neutral, np.float64)
    matrix = np.linalg.inv(gains[:, None] * np.asarray(xyz_to_camera) @ np.array(REC709_TO_XYZ))
    return gains, matrix / matrix.sum(axis=1, keepdims=True)


def from_metadata(raw: Raw, method: str, device: str = "cpu") -> DevelopParams:
    """How a raw says it is developed, batch 1: `balance` of its own metadata.

    Args:
        raw: with its metadata.
        method: demosaic method, which no raw tells.
        device: of the tensors.
    """
    gains, matrix = balance(raw.neutral, raw.xyz_to_camera)
    at = {"dtype": torch.float32, "device": device}
    return DevelopParams(
        cfa=raw.cfa,
        method=method,
        gains=torch.tensor(gains[None], **at),  # type: ignore[arg-type]
        matrix=torch.tensor(matrix[None], **at),  # type: ignore[arg-type]
    )


def develop_raw(raw: Raw, method: str, device: str = "cpu") -> LinearRgb:
    """A raw by its own metadata → linear Rec. 709, `(1, 3, height, width)`; nothing is clipped.

    Args:
        raw: as captured.
        method: demosaic method.
        device: where it is developed.
    """
    with torch.no_grad():
        mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)
        return develop_linear(Mosaic(mosaic.to(device)), from_metadata(raw, method, device))


def develop_linear(mosaic: Mosaic, params: DevelopParams) -> LinearRgb:
    """Mosaic → linear Rec. 709: white balance, demosaic, colour matrix; nothing is cut at black.

    Args:
        mosaic: `(batch, 1, height, width)`, black 0, white 1.
        params: for the batch, or for one image and broadcast.
    """
    batch = mosaic.shape[0]
    balanced = white_balance(mosaic, params.gains.expand(batch, 3), params.cfa)
    return colour_matrix(demosaic(balanced, params.cfa, params.method), params.matrix.expand(batch, 3, 3))


def encode_srgb(image: LinearRgb) -> Srgb:
    """Linear Rec. 709 → sRGB, cut to 0 … 1 (IEC 61966-2-1)."""
    return Srgb(srgb_encode(image))


def unclipped_srgb(image: LinearRgb) -> Srgb:
    """Linear Rec. 709 → sRGB before quantisation: cut at white, below black the curve's straight part goes on,
    `s = 12.92·l` for `l < 0`, so that noise keeps its mean.
    """
    return Srgb(srgb_encode(image) + SRGB_SLOPE * image.clamp_max(0))


def develop(mosaic: Mosaic, params: DevelopParams) -> Srgb:
    """Mosaic → sRGB, `develop_linear` then `encode_srgb`; differentiable in the mosaic and every parameter."""
    return encode_srgb(develop_linear(mosaic, params))


def to_8bit(image: Srgb) -> np.ndarray:
    """One sRGB image as 8-bit codes `⌊255·x + ½⌋`, uint8 `(height, width, 3)`, R first."""
    return np.ascontiguousarray((image[0] * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy())
