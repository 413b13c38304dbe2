"""Sharpness: spatial frequency response of a slanted edge (e-SFR, ISO 12233:2017 Annex D)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BINS = 4
"""Of the edge spread function, a pixel: the standard's oversampling."""
REACH_PX = 32
"""The edge spread function is taken so far on both sides, or as far as the picture goes."""
MIN_ROWS, MIN_COLUMNS = 16, 12
CYCLES_PX = np.linspace(0, 1, 201)
"""Frequencies at which a response is given; what the pixels alias, beyond Nyquist's 0.5, an edge still shows."""


class EdgeResponse(NamedTuple):
    """Response of an edge.

    Attributes:
        frequency: cycles/px, across the edge.
        sfr: 1 at 0.
        angle_deg: of the edge to the columns (to the rows where it is flatter), its top to the right positive.
        overshoot: how far the edge spread function goes beyond either side, the larger, over the step: 0 without
            sharpening.
    """

    frequency: Float[np.ndarray, " n"]
    sfr: Float[np.ndarray, " n"]
    angle_deg: float
    overshoot: float

    @property
    def mtf50(self) -> float:
        """Lowest frequency at which the response falls to a half, cycles/px; 1 where it does not below that."""
        return falls_to(self.frequency, self.sfr, 0.5)


def falls_to(frequency: np.ndarray, response: np.ndarray, level: float) -> float:
    """Lowest frequency at which a response is down to a level, by straight lines; the last where it never is."""
    below = np.flatnonzero(response <= level)
    if not len(below):
        return float(frequency[-1])
    n = int(below[0])
    if n == 0:
        return float(frequency[0])
    share = (response[n - 1] - level) / (response[n - 1] - response[n])
    return float(frequency[n - 1] + share * (frequency[n] - frequency[n - 1]))


def edge_response(picture: Float[np.ndarray, "height width"]) -> EdgeResponse:
    """e-SFR of a picture that shows one straight edge from rim to rim, a few degrees off its columns or rows.

    1. In each row the centroid of the windowed derivative is the edge's place; a line is fitted to the places.
    2. Pixels are binned by their distance across that line, ¼ px a bin: the edge spread function.
    3. Its central difference, through a Tukey window about the edge (flat over its inner half), is the line spread
       function.
    4. SFR is the modulus of its Fourier transform over that at 0, divided by the transforms of the difference,
       `sinc(f/2)`, and of the bin, `sinc(f/4)` (`sinc x = sin πx/πx`).

    Args:
        picture: linear in light, any unit.

    Raises:
        ValueError: too small, no edge in it, or one that is not slanted.
    """
    plane = np.asarray(picture, float)
    across, down = (np.abs(np.diff(plane.mean(axis=axis))).max() for axis in (0, 1))
    if down > across:
        plane = plane.T
    height, width = plane.shape
    if height < MIN_ROWS or width < MIN_COLUMNS:
        raise ValueError(f"an edge in {width}×{height} px: expected {MIN_COLUMNS}×{MIN_ROWS} or more")
    slope, middle = _line(plane)
    cosine = 1 / np.hypot(1, slope)
    at = middle + slope * (np.arange(height) - (height - 1) / 2)
    if at.min() < 4 or at.max() > width - 5:
        raise ValueError("the edge leaves the picture: expected one that runs from rim to rim, 4 px off the sides")
    if abs(slope) * height < 1:
        raise ValueError(f"the edge is {np.degrees(np.arctan(slope)):.2f}° off: expected it to cross a column or more")
    distance = (np.arange(width) - at[:, None]) * cosine
    reach = int(min(REACH_PX, at.min() * cosine, (width - 1 - at.max()) * cosine))
    spread = _binned(plane, distance, reach)
    line = np.convolve(spread, [0.5, 0, -0.5], mode="valid")
    place = (np.arange(len(spread)) - (len(spread) - 1) / 2) / BINS
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip(2 * np.abs(place[1:-1]) / reach - 1, 0, 1))
    waves = np.exp(-2j * np.pi * CYCLES_PX[:, None] * place[1:-1])
    response = np.abs(waves @ (line * window))
    if response[0] <= 0:
        raise ValueError("no edge is seen: both sides are alike")
    sfr = response / response[0] / (np.sinc(CYCLES_PX / 2) * np.sinc(CYCLES_PX / BINS))
    return EdgeResponse(CYCLES_PX, sfr, float(-np.degrees(np.arctan(slope))), _overshoot(spread))


def _line(plane: np.ndarray) -> tuple[float, float]:
    """Columns a row and the column in mid-height of the edge: a second round looks only near the first's line."""
    height, width = plane.shape
    derivative = np.gradient(plane, axis=1)
    if plane[:, : width // 2].mean() > plane[:, width // 2 :].mean():
        derivative = -derivative
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width)
    profile = np.maximum(derivative.mean(axis=0), 0)
    if profile.sum() <= 0:
        raise ValueError("no edge is seen: both sides are alike")
    slope, middle = 0.0, float((profile * columns).sum() / profile.sum())
    for half in (width / 2, width / 2, width / 4, 10.0, 10.0):
        off = columns - (middle + slope * rows)[:, None]
        near = np.where(np.abs(off) < half, 0.54 + 0.46 * np.cos(np.pi * off / half), 0)
        mass = (derivative * near).sum(axis=1)
        usable = mass > 0.25 * np.median(mass)
        if usable.sum() < MIN_ROWS / 2 or np.median(mass) <= 0:
            raise ValueError("no edge is seen: its contrast drowns in noise")
        places = (derivative * near * columns).sum(axis=1)[usable] / mass[usable]
        slope, middle = np.polyfit(rows[usable], places, 1).tolist()
    return slope, middle


def _binned(plane: np.ndarray, distance: np.ndarray, reach: int) -> np.ndarray:
    """Mean of the pixels in each ¼ px of distance, from −reach to +reach; empty ones lie between their neighbours."""
    size = 2 * reach * BINS + 1
    index = np.rint((distance + reach) * BINS).astype(int)
    inside = (index >= 0) & (index < size)
    count = np.bincount(index[inside], minlength=size)
    total = np.bincount(index[inside], plane[inside], minlength=size)
    filled = np.flatnonzero(count)
    return np.interp(np.arange(size), filled, total[filled] / count[filled])


def _overshoot(spread: np.ndarray) -> float:
    """Of the edge spread function smoothed over a pixel, against the mean of each side's outer half."""
    smooth = np.convolve(spread, np.full(BINS, 1 / BINS), mode="valid")
    quarter = len(smooth) // 4
    left, right = float(smooth[:quarter].mean()), float(smooth[-quarter:].mean())
    low, high = min(left, right), max(left, right)
    return max(float(smooth.max()) - high, low - float(smooth.min()), 0.0) / (high - low) if high > low else 0.0
