"""NIQE (Mittal, Soundararajan & Bovik, IEEE SPL 2013): how far a picture's local statistics are from well-lit ones'.

Features and distance are the paper's, the half-size scale is MATLAB's bicubic one. The pristine model is the published
one, of the authors' 125 photographs (`published_pristine`), so figures compare with published ones; or one that is
fitted on pictures that the caller names, and then they compare within one table alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from models.data.normalisation import Picture
from models.engine.weights_file import read_tensors

BLOCK_PX = 96
"""Side of a block at full size; half of it at the half size."""
SHARP_SHARE = 0.75
"""Pristine blocks are at least so sharp as this share of their picture's sharpest."""
FEATURES = 36
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = np.arange(0.2, 10.001, 0.001)
_AT = np.abs(np.arange(8) - 3.5) / 2
_CUBIC = np.where(_AT <= 1, 1.5 * _AT**3 - 2.5 * _AT**2 + 1, -0.5 * _AT**3 + 2.5 * _AT**2 - 4 * _AT + 2)
PUBLISHED = Path(__file__).parent / "niqe_pristine.safetensors"
_RATIO = np.exp(2 * gammaln(2 / _SHAPES) - gammaln(1 / _SHAPES) - gammaln(3 / _SHAPES))

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pristine:
    """A Gaussian over blocks of well-lit pictures.

    Attributes:
        mean: `(36,)`.
        covariance: `(36, 36)`.
        blocks: it was fitted on.
    """

    mean: Array
    covariance: Array
    blocks: int


def published_pristine() -> Pristine:
    """The authors' own, of 125 photographs; `blocks` is 0, because they do not say how many there were."""
    tensors, _ = read_tensors(PUBLISHED)
    return Pristine(tensors["mean"].numpy(), tensors["covariance"].numpy(), 0)


def fit_pristine(pictures: Iterable[Picture]) -> Pristine:
    """The Gaussian of the sharp blocks of well-lit pictures.

    Raises:
        ValueError: fewer blocks than features; too few for a covariance.
    """
    found: list[Array] = []
    for picture in pictures:
        features, sharpness = block_features(picture)
        found += list(features[sharpness >= SHARP_SHARE * sharpness.max()])
    if len(found) <= FEATURES:
        raise ValueError(f"NIQE: {len(found)} sharp blocks of {BLOCK_PX} px, expected over {FEATURES}")
    together = np.stack(found)
    return Pristine(together.mean(axis=0), np.cov(together, rowvar=False), len(found))


def niqe(picture: Picture, pristine: Pristine) -> float:
    """`√((μ − ν)ᵀ ((Σ + Ω)/2)⁻¹ (μ − ν))`; lower is more like the pristine pictures.

    Args:
        picture: uint8 `(height, width, 3)`, a block and more.
        pristine: ν, Ω.
    """
    features, _ = block_features(picture)
    covariance = np.cov(features, rowvar=False) if len(features) > 1 else np.zeros((FEATURES, FEATURES))
    apart = features.mean(axis=0) - pristine.mean
    between = np.linalg.pinv((covariance + pristine.covariance) / 2, hermitian=True)
    return float(np.sqrt(max(apart @ between @ apart, 0.0)))


def block_features(picture: Picture) -> tuple[Array, Array]:
    """The 36 features of each block, `(blocks, 36)`, and each block's sharpness (its mean local deviation).

    Raises:
        ValueError: smaller than a block.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    rows, columns = grey.shape[0] // BLOCK_PX, grey.shape[1] // BLOCK_PX
    if not rows or not columns:
        raise ValueError(f"NIQE: a picture of {grey.shape[1]}×{grey.shape[0]} px, expected {BLOCK_PX} a side")
    grey = grey[: rows * BLOCK_PX, : columns * BLOCK_PX]
    scales, sharpness = [], np.zeros(rows * columns)
    for scale in (1, 2):
        side = BLOCK_PX // scale
        normed, spread = mscn(grey)
        places = [(y * side, x * side) for y in range(rows) for x in range(columns)]
        scales.append(np.stack([_of_block(normed[y : y + side, x : x + side]) for y, x in places]))
        if scale == 1:
            sharpness = np.array([spread[y : y + side, x : x + side].mean() for y, x in places])
        grey = halved(halved(grey).T).T
    return np.concatenate(scales, axis=1), sharpness


def halved(plane: Array) -> Array:
    """Every second row: Keys' cubic (a = −½) stretched to 8 rows, the rim mirrored, as MATLAB's `imresize(·, 0.5)`."""
    taps = _CUBIC / _CUBIC.sum()
    padded = np.pad(plane, ((3, 4), (0, 0)), mode="symmetric")
    rows = plane.shape[0] // 2
    return np.asarray(sum(tap * padded[n : n + 2 * rows : 2] for n, tap in enumerate(taps)), np.float64)


def mscn(grey: Array) -> tuple[Array, Array]:
    """`(I − μ)/(σ + 1)` and σ, of a 7×7 Gaussian window of σ 7/6; I in 0 … 255."""
    mean = cv2.GaussianBlur(grey, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
    square = cv2.GaussianBlur(grey * grey, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
    spread = np.sqrt(np.abs(square - mean * mean))
    return (grey - mean) / (spread + 1), spread


def _of_block(normed: Array) -> Array:
    shape, left, right, _ = aggd(normed)
    features = [shape, (left + right) / 2]
    for dy, dx in _SHIFTS:
        shape, left, right, mean = aggd(normed * np.roll(normed, (dy, dx), axis=(0, 1)))
        features += [shape, mean, left, right]
    return np.array(features)


def aggd(x: Array) -> tuple[float, float, float, float]:
    """Asymmetric generalised Gaussian by moments: shape α, scales β_left, β_right, mean.

    Lasmar, Stitou & Berthoumieu, ICIP 2009. Values that are all 0 give the widest shape and scales of 0.
    """
    left = np.sqrt(np.mean(np.square(x[x < 0]))) if (x < 0).any() else 0.0
    right = np.sqrt(np.mean(np.square(x[x > 0]))) if (x > 0).any() else 0.0
    square = float(np.mean(x * x))
    if square < 1e-20:
        return float(_SHAPES[-1]), 0.0, 0.0, 0.0
    skew = left / right if right > 0 else 1e6
    ratio = np.mean(np.abs(x)) ** 2 / square
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = float(_SHAPES[np.argmin(np.square(_RATIO - ratio))])
    scale = np.exp((gammaln(1 / shape) - gammaln(3 / shape)) / 2)
    mean = (right - left) * scale * np.exp(gammaln(2 / shape) - gammaln(1 / shape))
    return shape, float(left * scale), float(right * scale), float(mean)
