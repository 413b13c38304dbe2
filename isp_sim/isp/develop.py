"""Raw → sRGB: white balance and demosaic in either order, colour matrix, sRGB curve."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import channel_gains, colour_matrix, white_balance
from isp_sim.raw import Raw, normalise
from isp_sim.rig import Isp, WhiteBalance
from isp_sim.transfer import REC709_TO_XYZ, SRGB_SLOPE, srgb_encode
from isp_sim.units import LinearRgb, Mosaic, Srgb

UNCUT = Isp(demosaic="malvar2004")
"""How a raw is developed whose rig is not known, or from which nothing may be lost: noise below black is kept."""


@dataclass(frozen=True)
class DevelopParams:
    """How a batch is developed; tensors may be parameters that learn.

    Attributes:
        cfa: colours of the 2×2 tile, row by row.
        method: demosaic method.
        gains: `(batch, 3)`, white balance of R, G, B.
        matrix: `(batch, 3, 3)`, white-balanced camera RGB → linear Rec. 709.
        balance: whether the mosaic is balanced or the demosaiced planes; see `isp_sim.rig.Isp`.
    """

    cfa: str
    method: str
    gains: Tensor
    matrix: Tensor
    balance: WhiteBalance = field(default="before_demosaic", kw_only=True)


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


def from_metadata(raw: Raw, isp: Isp, device: str = "cpu") -> DevelopParams:
    """How a raw is developed, batch 1: `balance` of its own metadata, and what no raw says.

    Args:
        raw: with its metadata.
        isp: demosaic, and where the white balance stands.
        device: of the tensors.
    """
    gains, matrix = balance(raw.neutral, raw.xyz_to_camera)
    at = {"dtype": torch.float32, "device": device}
    return DevelopParams(
        cfa=raw.cfa,
        method=isp.demosaic,
        gains=torch.tensor(gains[None], **at),  # type: ignore[arg-type]
        matrix=torch.tensor(matrix[None], **at),  # type: ignore[arg-type]
        balance=isp.white_balance,
    )


def develop_raw(raw: Raw, isp: Isp, device: str = "cpu") -> LinearRgb:
    """A raw by its own metadata → linear Rec. 709, `(1, 3, height, width)`; see `develop_linear` for what is cut.

    Args:
        raw: as captured.
        isp: what no raw says, see `from_metadata`.
        device: where it is developed.

    Raises:
        ValueError: a frame of odd sides, which no Bayer mosaic has, or too small to demosaic.
    """
    height, width = raw.counts.shape
    if height % 2 or width % 2 or min(height, width) < 4:
        raise ValueError(f"a frame of {width}×{height} px; expected even sides of 4 and more, as a Bayer mosaic has")
    with torch.no_grad():
        mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)
        return develop_linear(Mosaic(mosaic.to(device)), from_metadata(raw, isp, device))


def develop_linear(mosaic: Mosaic, params: DevelopParams) -> LinearRgb:
    """Mosaic → linear Rec. 709: white balance g, demosaic D, colour matrix M.

        before_demosaic:  M · D(min(g·m, 1))            nothing is cut at black
        after_demosaic:   M · min(max(g·D(m), 0), 1)    what the demosaic takes below black is lost

    Args:
        mosaic: `(batch, 1, height, width)`, black 0, white 1.
        params: for the batch, or for one image and broadcast.
    """
    batch = mosaic.shape[0]
    gains, matrix = params.gains.expand(batch, 3), params.matrix.expand(batch, 3, 3)
    if params.balance == "before_demosaic":
        planes = demosaic(white_balance(mosaic, gains, params.cfa), params.cfa, params.method)
    else:
        planes = LinearRgb(channel_gains(demosaic(mosaic, params.cfa, params.method), gains).clamp(0, 1))
    return colour_matrix(planes, matrix)


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
