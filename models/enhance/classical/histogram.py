"""Gamma and CLAHE through OpenCV, on 8 bits."""

import cv2
import numpy as np

from models.data.normalisation import Picture

GAMMA = 1 / 2.2
CLIP_LIMIT, GRID = 2.0, (8, 8)


def gamma(picture: Picture, exponent: float = GAMMA) -> Picture:
    """`255·(x/255)^exponent`, rounded, through a table."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def clahe(picture: Picture, clip_limit: float = CLIP_LIMIT, grid: tuple[int, int] = GRID) -> Picture:
    """Contrast-limited adaptive histogram equalisation of CIELAB's L; colours keep their a and b."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clip_limit, grid).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
