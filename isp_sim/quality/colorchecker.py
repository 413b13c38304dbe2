"""A ColorChecker Classic found in a picture: where it lies, its patches, and the chart taken out upright."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from isp_sim.quality.chart import ChartLayout
from isp_sim.quality.tone import luma
from isp_sim.scenes.charts import patch_colours

Array = NDArray[np.float64]

INNER = 0.5
"""Share of a patch's width that is looked at, in its middle."""
EVEN = 0.8
"""Share that is to be even when the corners are refined."""
SAMPLES = 24
DETECTOR_WIDTH = 1440
"""The detector scales pictures to this width; its corners are in them."""
SATURATED = 0.98


@dataclass(frozen=True)
class Chart:
    """What a camera saw of the 24 patches, `(24, 3)`, in their order.

    Attributes:
        rgb: means of the patches' middles.
        corners: of the chart in `picture`, `(4, 2)`, x before y, the dark skin's first.
        picture: linear, wider than high.
    """

    rgb: Array
    corners: Array
    picture: Array


def find_chart(rgb: Array, saturated: float = SATURATED) -> Chart:
    """A ColorChecker Classic in a linear picture, in any orientation.

    Args:
        rgb: the picture, 1 is white.
        saturated: level from which its brightest patch is refused.

    Raises:
        ValueError: none is found, or a patch is saturated.
    """
    from colour_checker_detection import detect_colour_checkers_segmentation  # takes 2 s

    if rgb.shape[0] > rgb.shape[1]:  # the detector would turn it, and give corners in the turned one
        rgb = np.ascontiguousarray(np.rot90(rgb))
    white = np.percentile(rgb.reshape(-1, 3), 99, axis=0)
    shown = np.clip(rgb / np.maximum(white, 1e-9), 0, 1) ** (1 / 2.2)
    found = detect_colour_checkers_segmentation(shown.astype(np.float32), additional_data=True)
    if not found:
        raise ValueError(
            "no ColorChecker is found: it should fill a third of the picture or more, evenly lit and sharp"
        )
    corners = np.asarray(found[0].quadrilateral, np.float64) * rgb.shape[1] / DETECTOR_WIDTH
    charts = [Chart(_patches(rgb, turned), turned, rgb) for turned in (np.roll(corners, n, axis=0) for n in range(4))]
    best = max(charts, key=lambda chart: _likeness(chart.rgb))
    if best.rgb.max() >= saturated:
        raise ValueError("the ColorChecker's brightest patch is saturated: expose less")
    return best


def _likeness(rgb: Array) -> float:
    """How well the patches' logarithms go with the reference's, to find the chart's orientation."""
    true = np.log(np.maximum([value for _, value in patch_colours("D65")], 1e-3))
    seen = np.log(np.maximum(rgb, 1e-5))
    return float(np.mean([np.corrcoef(seen[:, band], true[:, band])[0, 1] for band in range(3)]))


def _patches(rgb: Array, corners: Array) -> Array:
    """Means of the 24 patches' middles, between the chart's corners taken clockwise from the dark skin's."""
    return np.asarray(_patch_pixels(rgb, corners, INNER).mean(axis=1), np.float64)


def _patch_pixels(rgb: Array, corners: Array, inner: float) -> Array:
    """24×24 nearest pixels in the middle of each patch, `(24, 576, 3)`."""
    unit = np.array([[0, 0], [6, 0], [6, 4], [0, 4]], np.float32)
    place = cv2.getPerspectiveTransform(unit, corners.astype(np.float32))
    grid = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * inner
    row, column = np.divmod(np.arange(24), 6)
    x = (column + 0.5)[:, None, None] + grid + 0 * grid[:, None]
    y = (row + 0.5)[:, None, None] + 0 * grid + grid[:, None]
    points = cv2.perspectiveTransform(np.stack([x, y], axis=-1).reshape(24, -1, 2).astype(np.float32), place)
    return np.asarray(cv2.remap(rgb.astype(np.float32), points[..., 0], points[..., 1], cv2.INTER_NEAREST), np.float64)


def refined(picture: Array, corners: Array) -> Array:
    """Corners moved until the patches are evenest: the detector's quadrilateral does not follow perspective.

    Nelder and Mead's simplex over the eight coordinates, from 3 % of the chart's width, on the mean variance within
    the middle 80 % of each patch.

    Args:
        picture: which the corners lie in.
        corners: `(4, 2)`, clockwise from the dark skin's.
    """
    step = 0.03 * float(np.linalg.norm(corners[1] - corners[0]))

    def unevenness(moved: Array) -> float:
        return float(np.mean(_patch_pixels(picture, corners + step * moved.reshape(4, 2), EVEN).var(axis=1)))

    simplex = np.vstack([np.zeros(8), np.eye(8)])
    found = minimize(unevenness, np.zeros(8), method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 0.01})
    return np.asarray(corners + step * found.x.reshape(4, 2))


CELL_PX = 48
"""Side of a patch in the chart taken out."""


def taken_out(picture: Array, corners: Array) -> Array:
    """The chart between its corners, upright, 6×4 cells of 48 px; each pixel is the nearest one's, so noise stays.

    Args:
        picture: which the corners lie in.
        corners: `(4, 2)`, clockwise from the dark skin's.
    """
    unit = CELL_PX * np.array([[0, 0], [6, 0], [6, 4], [0, 4]], np.float32) - np.float32(0.5)
    place = cv2.getPerspectiveTransform(corners.astype(np.float32), unit)
    size = (6 * CELL_PX, 4 * CELL_PX)
    return np.asarray(cv2.warpPerspective(picture.astype(np.float32), place, size, flags=cv2.INTER_NEAREST), np.float64)


def layout(illuminant: str = "D65") -> ChartLayout:
    """Of the chart taken out: its colours, the last row of them also as greys."""
    inner = round(CELL_PX * INNER)
    cells = []
    for place, (_, rec709) in enumerate(patch_colours(illuminant)):
        row, column = divmod(place, 6)
        x, y = (CELL_PX * cell + (CELL_PX - inner) // 2 for cell in (column, row))
        cells.append({"rectangle": (x, y, inner, inner), "rec709": tuple(max(value, 0.0) for value in rec709)})
    greys = [{"rectangle": cell["rectangle"], "light": float(luma(np.array(cell["rec709"])))} for cell in cells[18:]]
    return ChartLayout.model_validate({"colours": cells, "greys": greys})
