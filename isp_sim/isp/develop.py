"""Raw → sRGB: white balance, demosaic, colour matrix, sRGB curve."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import colour_matrix, white_balance
from isp_sim.rig import Isp, Sensor
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
    """

    cfa: str
    method: str
    gains: Tensor
    matrix: Tensor


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
    )


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


def develop(mosaic: Mosaic, params: DevelopParams) -> Srgb:
    """Mosaic → sRGB, `develop_linear` then `encode_srgb`; differentiable in the mosaic and every parameter."""
    return encode_srgb(develop_linear(mosaic, params))


def to_8bit(image: Srgb) -> np.ndarray:
    """One sRGB image as 8-bit codes `⌊255·x + ½⌋`, uint8 `(height, width, 3)`, R first."""
    return np.ascontiguousarray((image[0] * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy())
