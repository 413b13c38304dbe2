"""Raw → sRGB: white balance and demosaic in either order, colour matrix, sRGB curve."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import channel_gains, colour_matrix, white_balance
from isp_sim.rig import Isp, Sensor, WhiteBalance
from isp_sim.transfer import srgb_encode
from isp_sim.units import LinearRgb, Mosaic, Srgb


@dataclass(frozen=True)
class DevelopParams:
    """What the developing of a batch is told; tensors may be parameters that learn.

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


def camera_params(isp: Isp, sensor: Sensor, near_infrared: float, device: str = "cpu") -> DevelopParams:
    """A camera's own numbers, batch 1.

    White balance brings neutral to equal R, G, B: `gain_c = max neutral / neutral_c`; the matrix then undoes the
    sensor's mixing of Rec. 709: `(diag(gain · QE) · M)⁻¹`, each row summing to 1, so that white stays white.
    """
    neutral = np.array(sensor.neutral(near_infrared))
    gains = neutral.max() / neutral
    mixing = gains[:, None] * np.array(sensor.quantum_efficiency.value)[:, None] * sensor.rec709_to_camera.value
    inverse = np.linalg.inv(mixing)
    inverse /= inverse.sum(axis=1, keepdims=True)
    at = {"dtype": torch.float32, "device": device}
    return DevelopParams(
        cfa=sensor.cfa,
        method=isp.demosaic,
        gains=torch.tensor(gains[None], **at),  # type: ignore[arg-type]
        matrix=torch.tensor(inverse[None], **at),  # type: ignore[arg-type]
        balance=isp.white_balance,
    )


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


def develop(mosaic: Mosaic, params: DevelopParams) -> Srgb:
    """Mosaic → sRGB, `develop_linear` then `encode_srgb`; differentiable in the mosaic and every parameter."""
    return encode_srgb(develop_linear(mosaic, params))


def to_8bit(image: Srgb) -> np.ndarray:
    """One sRGB image as 8-bit codes `⌊255·x + ½⌋`, uint8 `(height, width, 3)`, R first."""
    return np.ascontiguousarray((image[0] * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy())
