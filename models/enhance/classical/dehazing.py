"""DeHZ (Dong et al., *Fast Efficient Algorithm for Enhancement of Low Lighting Video*, ICME 2011): an inverted dark
picture looks hazy; so it is inverted, dehazed and inverted back.
"""

import cv2
import numpy as np

from models.data.normalisation import Picture

OMEGA = 0.8
"""Share of the haze that is taken away."""
BRIGHTEST = 100
"""Pixels with the highest smallest channel, among which the airlight is the one with the largest sum."""
NEIGHBOURHOOD_PX = 9
LEAST = 0.1
"""Transmission that is divided by at least (He, Sun & Tang, CVPR 2009); the paper gives none."""


def dehz(picture: Picture) -> Picture:
    """`J = (R − A)/t + A` of `R = 255 − I`, `t = 1 − 0.8·min_{c, Ω} R_c/A_c`, `2t²` where `t < ½`; `255 − J`.

    Args:
        picture: uint8 `(height, width, 3)`.
    """
    hazy = 255 - picture.astype(np.float32)
    flat = hazy.reshape(-1, 3)
    count = min(BRIGHTEST, len(flat))
    likely = flat[np.argpartition(flat.min(axis=1), len(flat) - count)[-count:]]
    air = np.maximum(likely[np.argmax(likely.sum(axis=1))], 1)
    darkest = cv2.erode((hazy / air).min(axis=2), np.ones((NEIGHBOURHOOD_PX, NEIGHBOURHOOD_PX), np.uint8))
    t = 1 - OMEGA * darkest
    t = np.maximum(np.where(t < 0.5, 2 * t * t, t), LEAST)[..., None]
    return np.asarray(np.clip(255 - ((hazy - air) / t + air) + 0.5, 0, 255).astype(np.uint8))
