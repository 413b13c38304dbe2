"""One chart with everything image quality is measured on: colour patches, greys, an edge, dead leaves, a flat, a trap.

So all figures come from one picture, developed once: its own greys undo its tone curve, whatever the ISP made of it.
"""

import numpy as np
from numpy.typing import NDArray

from isp_sim import streams
from isp_sim.scenes import Scene
from isp_sim.scenes.charts import BACKDROP, edge_levels, patch_colours, white
from isp_sim.units import Radiance

Rectangle = tuple[int, int, int, int]

LEAST = (160, 240)
"""Height and width of the smallest, px."""
GREYS = 20
"""Half-EV steps from a perfect diffuser: 9½ EV."""
LEAF_LEVELS = (0.05, 0.75)
"""Reflectances of the leaves, even between them: more contrast than ISO/TS 19567-2's low-contrast target."""
LEAF_RADIUS_PX = 1.5
"""Of the smallest; the largest is a fifth of the target's shorter side, densities fall as r⁻³ (scale-free)."""
FINE = 3
"""Samples across a pixel of the leaves."""


def quality_chart(height: int, width: int, illuminant: str) -> Scene:
    """The chart; its parts lie at fixed shares of the picture.

    Labels: `layout`, as `isp_sim.quality.chart.ChartLayout` reads it. The leaves' reference is the radiance itself.

    Raises:
        ValueError: a smaller picture than its parts can be measured in.
    """
    if height < LEAST[0] or width < LEAST[1]:
        raise ValueError(f"the quality chart in {width}×{height} px: expected {LEAST[1]}×{LEAST[0]} or more")
    light = np.full((height, width), BACKDROP, np.float32)[..., None] * np.array(white(illuminant), np.float32)
    colours, greys = [], []
    for place, (_, rec709) in enumerate(patch_colours(illuminant)):
        rectangle = _cell(height, width, (0.02, 0.03, 0.40, 0.50), (6, 4), place)
        value = np.maximum(np.array(rec709, np.float32), 0)
        _fill(light, rectangle, value)
        colours.append({"rectangle": _inner(rectangle), "rec709": value.tolist()})
    for place in range(GREYS):
        rectangle = _cell(height, width, (0.02, 0.55, 0.40, 0.97), (5, 4), place)
        level = 2.0 ** (-place / 2)
        _fill(light, rectangle, level * np.array(white(illuminant), np.float32))
        greys.append({"rectangle": _inner(rectangle), "light": level})
    edge = _cell(height, width, (0.43, 0.03, 0.70, 0.97), (1, 1), 0)
    _paint(light, edge, edge_levels(edge[3], edge[2]), illuminant)
    leaves = _cell(height, width, (0.73, 0.03, 0.98, 0.55), (1, 1), 0)
    _paint(light, leaves, dead_leaves(leaves[3], leaves[2]), illuminant)
    flat = _cell(height, width, (0.73, 0.58, 0.98, 0.78), (1, 1), 0)
    field = _cell(height, width, (0.73, 0.81, 0.98, 0.97), (1, 1), 0)
    trap = _share(field, 0.3)
    _fill(light, field, np.array(white(illuminant), np.float32))
    _fill(light, trap, np.zeros(3, np.float32))
    layout = {
        "colours": colours, "greys": greys, "edges": [_share(edge, 0.9)], "textures": [leaves],
        "flat": flat, "trap": _share(trap, 0.5), "surround": _beside(field),
    }  # fmt: skip
    light.flags.writeable = False
    return Scene(name="charts/quality", radiance=Radiance(light), labels={"illuminant": illuminant, "layout": layout})


def dead_leaves(height: int, width: int) -> NDArray[np.float32]:
    """Discs that hide each other, radii r⁻³-distributed, greys even in `LEAF_LEVELS`: natural pictures' statistics
    (Lee, Mumford & Huang, *Occlusion Models for Natural Images*, IJCV 41, 2001); the same for a size, always.

    Painted from the back; a pixel is the mean of 3×3 points.
    """
    stream = streams.generator(0, "dead leaves", height, width)
    small, large = LEAF_RADIUS_PX * FINE, min(height, width) * FINE / 5
    mean_area = 2 * np.pi * np.log(large / small) / (small**-2 - large**-2)
    count = int(6 * height * width * FINE**2 / mean_area)
    radii = 1 / np.sqrt(small**-2 - stream.random(count) * (small**-2 - large**-2))
    x, y = stream.random((2, count)) * [[width * FINE], [height * FINE]]
    greys = stream.uniform(*LEAF_LEVELS, count).astype(np.float32)
    canvas = np.full((height * FINE, width * FINE), np.mean(LEAF_LEVELS), np.float32)
    for r, u, v, grey in zip(radii, x, y, greys, strict=True):
        top, left = max(int(v - r), 0), max(int(u - r), 0)
        part = canvas[top : int(v + r) + 2, left : int(u + r) + 2]
        rows = np.arange(top, top + part.shape[0])[:, None] - v
        columns = np.arange(left, left + part.shape[1]) - u
        part[rows**2 + columns**2 <= r * r] = grey
    return np.asarray(canvas.reshape(height, FINE, width, FINE).mean(axis=(1, 3)))


def _cell(
    height: int, width: int, area: tuple[float, float, float, float], grid: tuple[int, int], place: int
) -> Rectangle:
    """Cell `place`, row by row, of a grid of (columns, rows) in an area (left, top, right, bottom as shares)."""
    left, top, right, bottom = area
    row, column = divmod(place, grid[0])
    xs, ys = np.linspace(left, right, grid[0] + 1) * width, np.linspace(top, bottom, grid[1] + 1) * height
    x, y = round(xs[column]), round(ys[row])
    return x, y, round(xs[column + 1]) - x, round(ys[row + 1]) - y


def _share(rectangle: Rectangle, share: float) -> Rectangle:
    """The middle of a rectangle, that share of its width and height."""
    x, y, width, height = rectangle
    inner = max(round(width * share), 1), max(round(height * share), 1)
    return x + (width - inner[0]) // 2, y + (height - inner[1]) // 2, *inner


def _inner(rectangle: Rectangle) -> Rectangle:
    """Of a patch, what neighbours do not reach."""
    return _share(rectangle, 0.6)


def _beside(field: Rectangle) -> Rectangle:
    """Of a field with a trap in its middle, a strip on its left."""
    x, y, width, height = field
    return x + width // 16, y + height // 5, width // 5, height * 3 // 5


def _fill(light: NDArray[np.float32], rectangle: Rectangle, value: NDArray[np.float32]) -> None:
    x, y, width, height = rectangle
    light[y : y + height, x : x + width] = value


def _paint(light: NDArray[np.float32], rectangle: Rectangle, level: NDArray[np.floating], illuminant: str) -> None:
    _fill(light, rectangle, level.astype(np.float32)[..., None] * np.array(white(illuminant), np.float32))
