"""Measures of an enhanced picture without its partner: lightness order error, and CEIQ's features."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.normalisation import Picture

LOE_SIDE_PX = 50
"""The shorter side of the pictures whose order is compared."""
CEIQ_LEVELS, CEIQ_BINS = 64, 128
"""Of the equalised picture, and of the histograms."""


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
    """The inputs of CEIQ's regression (Yan, Li & Fu, 2019), as its released code takes them; no score is made, because
    the regression's weights were not at hand.

    Attributes:
        similarity: SSIM of the grey picture and its equalised self: 1 if equalising changes nothing.
        entropy, equalised_entropy: bits of each histogram of 128 bins, over the bins that both fill.
        cross, equalised_cross: `−Σ p·log2 q` of the two histograms, in both directions, over the same.
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

    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    even = equalised(grey)
    p, q = (np.bincount(_bins(codes, CEIQ_BINS).ravel(), minlength=CEIQ_BINS) / codes.size for codes in (grey, even))
    three, even_three = (np.repeat(one[..., None], 3, axis=2).astype(np.uint8) for one in (grey, even))
    _, similarity = psnr_ssim(three, even_three)
    both = (p > 0) & (q > 0)
    p, q = p[both], q[both]
    return CeiqFeatures(similarity, _bits(p, p), _bits(q, q), _bits(p, q), _bits(q, p))


def equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Equalised to 64 levels as MATLAB's `histeq` does: of a code with n pixels up to it, m of them its own, the first
    level k whose share `(k + 1)/64` reaches `(n − m/2)/pixels`.
    """
    counts = np.bincount(grey.ravel(), minlength=256)
    own = counts / 2
    own[[0, -1]] = 0  # as there: the end codes count whole
    share = (counts.cumsum() - own) / grey.size
    level = np.clip(np.ceil(CEIQ_LEVELS * share - 1e-9) - 1, 0, CEIQ_LEVELS - 1)
    table = np.floor(level * 255 / (CEIQ_LEVELS - 1) + 0.5).astype(np.uint8)
    return np.asarray(table[grey])


def _bins(codes: NDArray[np.uint8], bins: int) -> NDArray[np.intp]:
    """The bin whose middle, one of `bins` from 0 to 255, is nearest to each code."""
    return np.asarray(np.floor(codes * ((bins - 1) / 255) + 0.5).astype(np.intp))


def _bits(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return float(-(p * np.log2(q)).sum()) + 0.0
