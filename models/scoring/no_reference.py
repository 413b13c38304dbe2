"""Measures of an enhanced picture without its partner: lightness order error, and CEIQ's features."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.normalisation import Picture

LOE_SIDE_PX = 50
"""The shorter side of the pictures whose order is compared."""


def lightness_order_error(enhanced: Picture, original: Picture) -> float:
    """LOE (Wang et al., *Naturalness Preserved Enhancement*, IEEE TIP 2013): pairs of pixels whose order changed.

    `mean_x Σ_y [L(x) ≥ L(y)] ≠ [L'(x) ≥ L'(y)]`, L the largest of R, G, B, both pictures taken at the nearest pixels of
    a grid whose shorter side is 50 px. 0 is best; the most is the number of pixels of the grid.

    Args:
        enhanced: uint8 `(height, width, 3)`.
        original: what was enhanced.

    Raises:
        ValueError: of different sizes.
    """
    if enhanced.shape != original.shape:
        raise ValueError(f"a picture of {enhanced.shape}, its original of {original.shape}: expected equal sizes")
    height, width = original.shape[:2]
    share = min(1.0, LOE_SIDE_PX / min(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    ours, theirs = (
        cv2.resize(p.max(axis=2), size, interpolation=cv2.INTER_NEAREST).ravel() for p in (enhanced, original)
    )
    changed = sum(int(((a >= ours) != (b >= theirs)).sum()) for a, b in zip(ours, theirs, strict=True))
    return changed / len(ours)


class CeiqFeatures(NamedTuple):
    """The inputs of CEIQ's regression (Yan, Li & Fu, 2019); its weights are not ours, so no score is made.

    Attributes:
        similarity: SSIM of the grey picture and its equalised self: 1 if equalising changes nothing.
        entropy, equalised_entropy: bits of each histogram.
        cross, equalised_cross: `−Σ p·log2 q` of the two histograms, in both directions, over the codes that both hold.
    """

    similarity: float
    entropy: float
    equalised_entropy: float
    cross: float
    equalised_cross: float


def ceiq_features(picture: Picture) -> CeiqFeatures:
    """The five features of a picture's contrast.

    Args:
        picture: uint8 `(height, width, 3)`, 11 px a side and up.
    """
    from models.scoring.picture_quality import psnr_ssim

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    even = cv2.equalizeHist(grey)
    p, q = (np.bincount(codes.ravel(), minlength=256) / codes.size for codes in (grey, even))
    three, even_three = (np.repeat(one[..., None], 3, axis=2).astype(np.uint8) for one in (grey, even))
    _, similarity = psnr_ssim(three, even_three)
    return CeiqFeatures(similarity, _bits(p, p), _bits(q, q), _bits(p, q), _bits(q, p))


def _bits(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    both = (p > 0) & (q > 0)
    return float(-(p[both] * np.log2(q[both])).sum()) + 0.0
