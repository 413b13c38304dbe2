"""Frames of one setting → sums, one frame at a time: what photon transfer needs, in memory that does not grow.

A frame has four phases, the pixels of its 2×2 tile. Every sum is kept by band of rows and phase, `(BANDS, 4)`.
Temporal noise comes from differences of successive frames (EMVA 1288), spatial noise from the mean of all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.emva.confidence import BANDS, Array, replicates

TREND_ORDER = 4
"""Legendre polynomials up to this order in x and in y are shading, not nonuniformity."""
OUTLIER_SIGMA = 6.0
"""Pixels of a mean image beyond this many robust σ are outliers: hot, dead, dust. A normal law has 2 in 10⁹."""
BINS = 4096
SPECTRUM_FINENESS = 8
"""The power spectrum of row means is sampled this many times finer than its resolution."""

Frame = NDArray[np.uint16]
Image = NDArray[np.float32]
Plane = NDArray[np.floating]


@dataclass
class Spatial:
    """Sums over the mean image of a setting, by band and phase.

    Attributes:
        count: pixels.
        total, total_squares: of the image less the level's `offset`: EMVA's spatial variance, nothing removed.
        row_variance, column_variance: of the means of the image's rows and columns, nothing removed, within each phase
            and then in all of the image, with replicates: `(1 + BANDS, 5)`.
        clean: of the image with outliers replaced by the trend.
        within: squares about the row's and the column's mean in each phase, trend and outliers removed; its degrees of
            freedom.
        row_products: products of the two phases' means in a row: row pattern, `(BANDS,)`; its degrees of freedom.
        column_product, column_error2: mean product of the two phases' means in a column: column pattern, DN²; its
            variance.
        outliers: of each phase.
    """

    count: Array
    total: Array
    total_squares: Array
    row_variance: Array
    column_variance: Array
    clean: Array
    within: Array
    within_dof: Array
    row_products: Array
    row_dof: Array
    column_product: float
    column_error2: float
    outliers: NDArray[np.int64]
    image: Image | None


@dataclass
class Level:
    """Sums over the frames of a setting.

    Attributes:
        frames, pairs: how many.
        count: pixels in a band and phase.
        squares: Σ (A − B − mean)² over the pairs.
        within: the same about each row's mean in each phase; `within_dof` its degrees of freedom a pair.
        row_products: Σ of products of a row's two phases' mean differences, `(BANDS,)`; `rows` in a band.
        row_squares: Σ of squares of the rows' mean differences, both phases together, `(BANDS,)`.
        column_product, column_error2: mean product of a column's two phases' mean differences; its variance.
        column_variance: Σ over pairs of the variance of the columns' mean differences, in each phase and then in all of
            the image, `(5,)`.
        spectrum: power of the rows' mean differences, Σ over pairs.
        total: Σ of the mean image.
        stack_squares: Σ (y − offset)² over frames and pixels, for a stack's temporal variance.
        counts: histogram by band and phase from `first_bin`, `bin_width` DN wide; where requested.
        at_zero, at_top: share of pixels at 0 and at white, all phases and then each: of the first frame.
    """

    frames: int = 0
    pairs: int = 0
    count: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    squares: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    within: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    within_dof: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    row_products: Array = field(default_factory=lambda: np.zeros(BANDS))
    row_squares: Array = field(default_factory=lambda: np.zeros(BANDS))
    rows: Array = field(default_factory=lambda: np.zeros(BANDS))
    column_product: float = 0.0
    column_error2: float = 0.0
    column_variance: Array = field(default_factory=lambda: np.zeros(5))
    spectrum: Array = field(default_factory=lambda: np.zeros(0))
    height: int = 0
    width: int = 0
    total: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    offset: float = 0.0
    stack_squares: Array = field(default_factory=lambda: np.zeros((BANDS, 4)))
    counts: Array | None = None
    first_bin: int = 0
    bin_width: int = 1
    at_zero: Array = field(default_factory=lambda: np.zeros(4))
    at_top: Array = field(default_factory=lambda: np.zeros(4))
    spatial: Spatial | None = None


def measure(frames: Iterable[Frame], white_dn: int, lines: bool, spatial: bool, counts: bool, image: bool) -> Level:
    """Sums over frames of one setting and size.

    Args:
        frames: of even height and width; each is looked at once.
        white_dn: the ADC's top.
        lines: also columns and the rows' power spectrum.
        spatial: also the mean image's sums.
        counts: also the histogram.
        image: keep the mean image.
    """
    level, before, total = Level(), None, None
    for frame in frames:
        if total is None:
            total = np.zeros(frame.shape, np.uint32)
            _begin(level, frame, white_dn)
        total += frame
        level.frames += 1
        if spatial:
            centred = frame - np.float32(level.offset)
            level.stack_squares += by_band(_row_sums(centred * centred))
        if counts:
            _count(level, frame)
        if before is None:
            before = frame
        else:
            _add_pair(level, np.subtract(before, frame, dtype=np.float32), lines)
            before = None
    if total is not None:
        mean = total / level.frames
        level.total = by_band(_row_sums(mean))
        if spatial:
            level.spatial = _spatial(mean, level.offset, image)
    return level


def by_band(rows: Plane) -> Array:
    """`(height, 2)`, a row's two phases → sums by band and phase, `(BANDS, 4)`."""
    return np.asarray(np.add.reduceat(rows.reshape(-1, 4).astype(np.float64), _edges(len(rows)), axis=0))


@lru_cache
def _edges(height: int) -> NDArray[np.int64]:
    return np.linspace(0, height // 2, BANDS + 1).astype(np.int64)[:-1]


def _row_sums(plane: Plane) -> Array:
    """Sums of each phase of every row, `(height, 2)`. OpenCV: BLAS would start threads in every thread of ours."""
    sums = cv2.reduce(np.asarray(plane.reshape(len(plane), -1, 2)), 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F)
    return np.asarray(sums, np.float64).reshape(-1, 2)


def _columns(plane: Plane) -> Array:
    """Means over the even and over the odd rows of every column, `(2, width)`."""
    height, width = plane.shape
    paired = np.ascontiguousarray(plane).reshape(height // 2, 2 * width)
    sums: Array = np.asarray(cv2.reduce(paired, 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F), np.float64)
    return np.asarray(sums.reshape(2, width) / (height / 2))


def _begin(level: Level, frame: Frame, white_dn: int) -> None:
    height, width = level.height, level.width = frame.shape
    level.count = by_band(np.full((height, 2), width / 2))
    level.rows = by_band(np.full((height, 2), 0.5)).sum(axis=1)
    level.within_dof = by_band(np.full((height, 2), width / 2 - 1))
    level.offset = round(float(frame.mean()))
    level.spectrum = np.zeros(SPECTRUM_FINENESS * height // 2 + 1)
    for phase in range(4):
        plane = frame[phase // 2 :: 2, phase % 2 :: 2]
        level.at_zero[phase], level.at_top[phase] = np.mean(plane == 0), np.mean(plane >= white_dn)
    middle = np.percentile(frame[::3, ::7], [0.1, 50, 99.9])
    reach = 8 * max(middle[2] - middle[1], middle[1] - middle[0], 4.0)
    level.bin_width = max(1, int(2 ** np.ceil(np.log2(2 * reach / (BINS - 2)))))
    level.first_bin = max(0, int(middle[1]) - BINS // 2 * level.bin_width)


def _count(level: Level, frame: Frame) -> None:
    """The histogram; what lies outside falls into the end bins."""
    if level.counts is None:
        level.counts = np.zeros((BANDS, 4, BINS))
    height = len(frame)
    bins = (np.clip(frame.astype(np.int32) - level.first_bin, 0, None) // level.bin_width).clip(max=BINS - 1)
    for phase in range(4):
        plane = bins[phase // 2 :: 2, phase % 2 :: 2]
        starts = [*_edges(height), height // 2]
        for band in range(BANDS):
            part = plane[starts[band] : starts[band + 1]].ravel()
            level.counts[band, phase] += np.bincount(part, minlength=BINS)


def _add_pair(level: Level, difference: Image, lines: bool) -> None:
    """One more difference of two frames."""
    height, width = difference.shape
    half = width / 2
    sums, squares = _row_sums(difference), _row_sums(difference * difference)
    mean = np.tile(sums.reshape(-1, 4).sum(axis=0).reshape(2, 2) / (half * height / 2), (height // 2, 1))
    squares += -2 * mean * sums + mean * mean * half
    rows = sums / half - mean
    level.pairs += 1
    level.squares += by_band(squares)
    level.within += by_band(squares - rows * rows * half)
    together = (sums.sum(axis=1) - sums.sum() / height) / width
    of_rows = by_band(np.stack([rows[:, 0] * rows[:, 1], together * together], axis=1))
    level.row_products += of_rows[:, ::2].sum(axis=1)
    level.row_squares += of_rows[:, 1::2].sum(axis=1)
    if lines:
        power = np.abs(np.fft.rfft(rows.mean(axis=1), SPECTRUM_FINENESS * height)) ** 2
        level.spectrum += power
        columns = _columns(difference)
        product, error2 = _column_product(columns - np.tile(mean[:2], (1, width // 2)))
        level.column_product += product
        level.column_error2 += error2
        phases = [columns[i, j::2].var() for i in (0, 1) for j in (0, 1)]
        level.column_variance += np.array([*phases, columns.mean(axis=0).var()])


def _column_product(columns: Array) -> tuple[float, float]:
    """Mean product of the two phases' means in the columns, `(2, width)`, and its variance.

    `(σ₀²·σ₁² + c²) / width` for Gaussian means with variances σ² and covariance c.
    """
    (first, _), (_, second) = covariance = np.cov(columns, bias=True)
    product = float((columns[0] * columns[1]).mean())
    return product, float(first * second + covariance[0, 1] ** 2) / columns.shape[1]


@lru_cache
def _legendre(length: int) -> tuple[Array, Array]:
    """Polynomials on a line of pixels, `(length, order + 1)`, and their pseudo-inverse."""
    at = np.linspace(-1, 1, length)
    basis: Array = np.polynomial.legendre.legvander(at, min(TREND_ORDER, length - 1)).astype(np.float64)
    inverse: Array = np.linalg.pinv(basis).astype(np.float64)
    return basis, inverse


def trend(plane: Array) -> Array:
    """Least squares of a product of Legendre polynomials: the shading of a lamp and a lens."""
    (down, down_inverse), (across, across_inverse) = _legendre(plane.shape[0]), _legendre(plane.shape[1])
    inner = np.einsum("ih,hw->iw", down_inverse, plane)
    inner = np.einsum("iw,jw->ij", inner, across_inverse)
    return np.asarray(np.einsum("hi,iw->hw", down, np.einsum("ij,wj->iw", inner, across)))


def residual(plane: Array) -> tuple[Array, NDArray[np.bool_], Array]:
    """A mean image of one phase less its trend, outliers set to 0; which those are; the trend."""
    shading = trend(plane)
    wild = np.zeros(plane.shape, np.bool_)
    for _ in range(4):  # outliers bend the trend, so that it is fitted anew without them
        rest = plane - shading
        sample = np.abs(rest.ravel()[::5])
        scale = 1.4826 * float(np.median(sample)) or max(float(sample.std()), 1e-12)
        found = np.abs(rest) > OUTLIER_SIGMA * scale
        if np.array_equal(found, wild):
            break
        wild = found
        shading = trend(np.where(wild, shading, plane))
    return np.where(wild, 0.0, plane - shading), wild, shading


def _spatial(mean: Array, offset: float, keep: bool) -> Spatial:
    """Sums over the mean image."""
    height, width = mean.shape
    rest, outliers = np.empty_like(mean), np.zeros(4, np.int64)
    clean = mean.copy()
    for phase in range(4):
        at = (slice(phase // 2, None, 2), slice(phase % 2, None, 2))
        rest[at], wild, shading = residual(mean[at])
        outliers[phase] = wild.sum()
        clean[at] = np.where(wild, shading, mean[at])
    columns = _columns(rest)
    rest -= np.tile(columns, (height // 2, 1))
    sums, squares = _row_sums(rest), _row_sums(rest * rest)
    rows = sums / (width / 2)
    products = rows[:, 0] * rows[:, 1]
    # A phase has M rows and N columns; the trend takes a degrees of freedom from what rows share, b from columns, and
    # (a − 1)(b − 1) from what neither do.
    m, n = height / 2, width / 2
    a, b = _legendre(height // 2)[0].shape[1], _legendre(width // 2)[0].shape[1]
    centred = mean - offset
    centred_sums = _row_sums(centred)
    column_product, column_error2 = _column_product(columns)
    row_variance, column_variance = _line_variances(centred, centred_sums)
    return Spatial(
        count=by_band(np.full((height, 2), n)),
        total=by_band(centred_sums),
        total_squares=by_band(_row_sums(centred * centred)),
        row_variance=row_variance,
        column_variance=column_variance,
        clean=by_band(_row_sums(clean)),
        within=by_band(squares - rows * rows * n),
        within_dof=by_band(np.full((height, 2), ((m - 1) * (n - 1) - (a - 1) * (b - 1)) / m)),
        row_products=by_band(np.stack([products, 0 * products], axis=1)).sum(axis=1),
        row_dof=by_band(np.full((height, 2), 0.5 * (1 - a / m))).sum(axis=1),
        column_product=column_product / (1 - b / n),
        column_error2=column_error2 / (1 - b / n) ** 2,
        outliers=outliers,
        image=mean.astype(np.float32) if keep else None,
    )


def _line_variances(plane: Array, row_sums: Array) -> tuple[Array, Array]:
    """Variances of the means of rows and of columns in each phase and in all of a plane, `(1 + BANDS, 5)` each.

    Args:
        plane: `(height, width)`.
        row_sums: of each phase of every row, `(height, 2)`.
    """
    height, width = plane.shape
    edges = _edges(height)
    pairs = np.diff([*edges, height // 2])
    in_bands = np.add.reduceat(plane.reshape(height // 2, 2 * width), edges, axis=0).reshape(BANDS, 2, width)
    in_pairs = row_sums.reshape(-1, 2, 2)
    rows_of = [in_pairs[:, i, j, None] / (width / 2) for i in (0, 1) for j in (0, 1)]
    rows_of.append(in_pairs.sum(axis=2) / width)
    columns_of = [in_bands[:, i, j::2] for i in (0, 1) for j in (0, 1)]
    columns_of.append(in_bands.sum(axis=1))
    down, across = [], []
    for rows, columns in zip(rows_of, columns_of, strict=True):
        count = replicates(pairs * float(rows.shape[1]))
        first, second = (replicates(np.add.reduceat(r, edges).sum(axis=1)) / count for r in (rows, rows * rows))
        down.append(second - first**2)
        across.append((replicates(columns) / count[:, None]).var(axis=1))
    return np.stack(down, axis=1), np.stack(across, axis=1)
