"""Multi-scale retinex, without and with colour restoration (Jobson, Rahman & Woodell, IEEE TIP 1997)."""

import cv2
import numpy as np
from jaxtyping import Float32

from models.data.normalisation import Picture

SIGMAS_PX = (15.0, 80.0, 250.0)
SPREAD = 2.0
"""Standard deviations each side of the mean that fill the range, as GIMP's filter has it; the paper leaves gain and
offset to the display."""
SHRUNK_SIGMA_PX = 8.0
COLOUR_STRENGTH, COLOUR_GAIN = 125.0, 46.0
"""α and β of the colour restoration."""
FLAT = 1e-3
"""Standard deviation that rounding of the logarithms, without contrast, does not reach."""


def multi_scale_retinex(picture: Picture, sigmas_px: tuple[float, ...] = SIGMAS_PX) -> Picture:
    """`R = mean over scales of ln x − ln (G_σ ∗ x)`, then all channels together `(R − mean)/(2·2·std) + ½`.

    `x = (code + 1)/256`. A picture without contrast has R = 0 everywhere and becomes middle grey.

    Args:
        picture: uint8 `(height, width, 3)`.
        sigmas_px: of the surrounds.
    """
    return _displayed(_retinex(_light(picture), sigmas_px))


def retinex_with_colour_restoration(picture: Picture, sigmas_px: tuple[float, ...] = SIGMAS_PX) -> Picture:
    """MSRCR: `C·R`, R of `multi_scale_retinex`, `C_c = β·(ln(α·x_c) − ln Σ_c x_c)`; displayed in the same way.

    Args:
        picture: uint8 `(height, width, 3)`.
        sigmas_px: of the surrounds.
    """
    x = _light(picture)
    restoration = COLOUR_GAIN * (np.log(COLOUR_STRENGTH * x) - np.log(x.sum(axis=2, keepdims=True)))
    return _displayed(np.asarray(restoration * _retinex(x, sigmas_px), np.float32))


Planes = Float32[np.ndarray, "height width 3"]


def _light(picture: Picture) -> Planes:
    return np.asarray((picture.astype(np.float32) + 1) / np.float32(256))


def _retinex(x: Planes, sigmas_px: tuple[float, ...]) -> Planes:
    retinex = np.log(x)
    for sigma in sigmas_px:
        retinex -= np.log(blur(x, sigma)) / np.float32(len(sigmas_px))
    return np.asarray(retinex)


def _displayed(retinex: Planes) -> Picture:
    mean, spread = float(retinex.mean(dtype=np.float64)), float(retinex.std(dtype=np.float64))
    if spread < FLAT:
        return np.full(retinex.shape, 128, np.uint8)
    return np.asarray(np.clip(255 * ((retinex - mean) / (2 * SPREAD * spread) + 0.5) + 0.5, 0, 255).astype(np.uint8))


def blur(x: Float32[np.ndarray, "height width 3"], sigma_px: float) -> Float32[np.ndarray, "height width 3"]:
    """A Gaussian; a wide one on a picture shrunk so that σ is 8 px there. The rim is mirrored."""
    height, width = x.shape[:2]
    shrink = max(1.0, min(sigma_px / SHRUNK_SIGMA_PX, height / 8, width / 8))
    if shrink == 1.0:
        return np.asarray(cv2.GaussianBlur(x, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT))
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = cv2.resize(x, size, interpolation=cv2.INTER_AREA)
    sigma_x, sigma_y = sigma_px * size[0] / width, sigma_px * size[1] / height
    soft = cv2.GaussianBlur(small, (0, 0), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.maximum(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), 1 / 256))
