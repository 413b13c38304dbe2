"""A first shift between the arms by correlation at an eighth of the size, and whether the low-light arm is mirrored."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import fft

from capture.registration.observation import SATURATED, Level

STEP = 8
"""Pixels of the full frame a pixel of the correlation spans; fewer in small frames."""
FEWEST_ROWS = 40
REACH = 0.25
"""Shifts up to this share of the frame's sides are looked for."""
SIGNIFICANT = 7.0
"""Height of the correlation's peak, in its own standard deviations, from which it is not by chance: of 20,000 Gaussian
numbers one in 10⁷ draws has a larger one."""


class Peak(NamedTuple):
    """A correlation's highest point.

    Attributes:
        shift: (x, y), px of the full frame, low-light → well-lit.
        height: in standard deviations of the correlation elsewhere.
    """

    shift: tuple[float, float]
    height: float


def step_for(size: tuple[int, int]) -> int:
    """The coarsest step at which a frame of (height, width) still has `FEWEST_ROWS` each way, at most `STEP`."""
    step = STEP
    while step > 1 and min(size) < FEWEST_ROWS * step:
        step //= 2
    return step


def correlate(level: Level) -> Peak:
    """Correlate the arms at a coarse level.

    Both planes are brought to constant noise (square root), freed of slow changes and windowed; the product of
    their spectra is divided by the well-lit amplitude alone, since the other one's is mostly noise.
    """
    bright, dark = _flattened(unmasked(level).bright[0]), _flattened(level.dark)
    height, width = dark.shape
    ours, theirs = fft.rfft2(dark), fft.rfft2(bright)
    amplitude = np.abs(theirs)
    surface = fft.irfft2(np.conj(ours) * theirs / np.sqrt(amplitude**2 + np.mean(amplitude**2)), s=dark.shape)
    reach_y, reach_x = int(height * REACH), int(width * REACH)
    near = np.roll(surface, (reach_y, reach_x), axis=(0, 1))[: 2 * reach_y + 1, : 2 * reach_x + 1]
    y, x = np.unravel_index(int(near.argmax()), near.shape)
    spread = 1.4826 * float(np.median(np.abs(near - np.median(near)))) + 1e-30
    peak = float(near[y, x] - np.median(near)) / spread
    dx, dy = _vertex(near, int(y), int(x))
    return Peak(((x + dx - reach_x) * level.step, (y + dy - reach_y) * level.step), peak)


def unmasked(level: Level) -> Level:
    """Saturated pixels at their top instead of unknown: an eighth of the size has few others beside a window."""
    return level._replace(bright=np.nan_to_num(level.bright, nan=SATURATED))


def mirrored(level: Level) -> str | None:
    """How the low-light arm is mirrored, if its mirror image fits the well-lit arm and it itself does not."""
    plain = correlate(level).height
    mirrors = {
        "left to right": level.dark[:, ::-1],
        "top to bottom": level.dark[::-1],
        "by half a turn": level.dark[::-1, ::-1],
    }
    heights = {
        name: correlate(level._replace(dark=np.ascontiguousarray(dark))).height for name, dark in mirrors.items()
    }
    best = max(heights, key=heights.__getitem__)
    return best if heights[best] > max(SIGNIFICANT, 1.5 * plain) else None


def _flattened(plane: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(plane - plane.min(), 0))
    detail = root - cv2.GaussianBlur(root, (0, 0), 6)
    limit = 4 * detail.std() + 1e-12  # a lamp must not speak for the whole picture
    window = cv2.createHanningWindow(plane.shape[::-1], cv2.CV_32F)
    return np.asarray(np.clip(detail, -limit, limit) * window)


def _vertex(surface: np.ndarray, y: int, x: int) -> tuple[float, float]:
    """Where the parabola through a peak and its neighbours has its top, −½ … ½ about it."""

    def along(before: float, at: float, after: float) -> float:
        bend = before - 2 * at + after
        return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0

    if not (0 < y < len(surface) - 1 and 0 < x < surface.shape[1] - 1):
        return 0.0, 0.0
    return along(*surface[y, x - 1 : x + 2]), along(*surface[y - 1 : y + 2, x])
