"""Figures of a picture and of a marked patch: histogram, what is cut, noise."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from isp_sim.raw import Raw, normalise

BINS = 128
RANGE = (-0.1, 1.1)
"""Of the histogram: noise below black and what lies above white are in it."""
Patch = tuple[int, int, int, int]
"""(x, y, width, height), px of the cropped picture."""
LEAST_PATCH_PX = 4


@dataclass(frozen=True)
class PictureFigures:
    """Of a whole picture, 1 is white.

    Attributes:
        histogram: pixels of R, G and B in each of `BINS` bins over `RANGE`.
        mean: of each channel.
        below, above: share of values at or below black, at or above white.
    """

    histogram: tuple[tuple[int, ...], ...]
    mean: tuple[float, ...]
    below: float
    above: float


def picture_figures(picture: Float32[np.ndarray, "height width 3"], stride: int = 2) -> PictureFigures:
    """Figures of every `stride`-th pixel each way."""
    seen = picture[::stride, ::stride]
    low, high = RANGE
    places = ((seen - low) * (BINS / (high - low))).clip(0, BINS - 1).astype(np.int64)
    return PictureFigures(
        tuple(tuple(np.bincount(places[..., c].ravel(), minlength=BINS).tolist()) for c in range(3)),
        tuple(seen.mean(axis=(0, 1), dtype=np.float64).tolist()),
        float((seen <= 0).mean()),
        float((seen >= 1).mean()),
    )


@dataclass(frozen=True)
class PatchFigures:
    """Of an evenly lit patch of a picture, in codes of 255.

    Attributes:
        mean, deviation: of R, G and B; a plane was taken out of each channel, so that shading is no noise.
        snr_db: of luma (Rec. 709's weights): 20·log10(mean / deviation).
        chroma: standard deviation of R − G and B − G, their root mean square.
        rows, columns: standard deviation of the luma's row and column means beyond what white noise would give.
        correlation: of luma with its right neighbour: 0 is white noise, demosaicing and smoothing give more.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    snr_db: float
    chroma: float
    rows: float
    columns: float
    correlation: float


LUMA = np.array([0.2126, 0.7152, 0.0722])


def patch_figures(picture: Float32[np.ndarray, "height width 3"], patch: Patch) -> PatchFigures:
    """Noise of a patch.

    Raises:
        ValueError: it does not lie in the picture, or is too small.
    """
    seen = 255 * _cut(picture, patch).astype(np.float64)
    flat = np.stack([detrended(seen[..., c]) for c in range(3)], axis=2)
    luma = flat @ LUMA
    mean, deviation = seen.mean(axis=(0, 1)), flat.std(axis=(0, 1))
    variance = float(luma.var())
    chroma = np.array([(flat[..., c] - flat[..., 1]).std() for c in (0, 2)])
    rows, columns = (
        max(float(luma.mean(axis=axis).var()) - variance / luma.shape[axis], 0.0) ** 0.5 for axis in (1, 0)
    )
    pairs = float((luma[:, 1:] * luma[:, :-1]).mean())
    level = float(mean @ LUMA)
    return PatchFigures(
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
        20 * float(np.log10(max(level, 1e-6) / max(variance**0.5, 1e-6))),
        float((chroma**2).mean() ** 0.5),
        rows,
        columns,
        pairs / variance if variance > 0 else 0.0,
    )


@dataclass(frozen=True)
class RawFigures:
    """Of a patch of a raw, DN above black, a plane taken out of each of the tile's four colours.

    Attributes:
        colours: of the tile, row by row.
        mean, deviation: of each.
    """

    colours: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def raw_figures(raw: Raw, patch: Patch) -> RawFigures:
    """Noise of a patch of the mosaic; the patch begins at the even pixel before it.

    Raises:
        ValueError: see `patch_figures`.
    """
    x, y, width, height = patch
    mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)[0, 0].numpy()
    seen = _cut(mosaic, (x // 2 * 2, y // 2 * 2, width // 2 * 2, height // 2 * 2)).astype(np.float64)
    seen = seen * (raw.white_level_dn - float(np.mean(raw.black_level_dn)))
    planes = [seen[row::2, column::2] for row in range(2) for column in range(2)]
    return RawFigures(raw.cfa, tuple(float(p.mean()) for p in planes), tuple(float(detrended(p).std()) for p in planes))


def detrended(plane: np.ndarray) -> np.ndarray:
    """A plane without its mean and its slopes: the residual of least squares on 1, x and y."""
    height, width = plane.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    about = plane - plane.mean()
    return np.asarray(about - x * (about * x).sum() / (x * x).sum() - y * (about * y).sum() / (y * y).sum())


def _cut(picture: np.ndarray, patch: Patch) -> np.ndarray:
    x, y, width, height = patch
    there_height, there_width = picture.shape[:2]
    if min(width, height) < LEAST_PATCH_PX or min(x, y) < 0 or x + width > there_width or y + height > there_height:
        raise ValueError(
            f"patch {patch} (x, y, width, height): expected {LEAST_PATCH_PX} px and more each way, within "
            f"{there_width}×{there_height}"
        )
    return picture[y : y + height, x : x + width]
