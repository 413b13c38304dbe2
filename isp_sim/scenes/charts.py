"""Test charts, computed: every value is known before light leaves the scene, and stands in the labels.

A chart is what a perfect print of it reflects under the illuminant: 1 is a perfect diffuser, and nothing is
adapted, so a grey under illuminant A is as orange in Rec. 709 as it is to a camera balanced for daylight.
Rectangles are (x, y, width, height) in whole pixels, x and y those of the first pixel within.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from isp_sim.scenes import Scene
from isp_sim.units import Radiance

Rgb = tuple[float, float, float]

BACKDROP = 0.18
"""Reflectance of what surrounds a chart, and of the flat field: a mid-grey card."""

FRAME = 0.03
"""Reflectance of the black between a ColorChecker's patches."""

EDGE_DEG = 5.0
EDGE_LEVELS = (0.2, 0.8)
"""Slanted edge: angle to the columns, and reflectance left and right; 4:1 as in ISO 12233:2017."""

STAR_CYCLES = 36
STAR_LEVELS = (0.03, 0.9)

RAMP_EV = 16


class Charts:
    """The six charts, in the order colour, edge, star, ramp, flat field, dark.

    Args:
        height: pixels, even, 64 and more.
        width: pixels, even, 64 and more.
        illuminant: name of one of colour-science's spectra, `SDS_ILLUMINANTS`.
    """

    def __init__(self, height: int, width: int, illuminant: str = "D65") -> None:
        for name, value in (("height", height), ("width", width)):
            if value < 64 or value % 2:
                raise ValueError(f"a chart's {name} is {value} px; expected even numbers from 64")
        white(illuminant)
        self._size, self._illuminant = (height, width), illuminant
        self._charts: tuple[Callable[[int, int, str], Scene], ...] = (
            colorchecker,
            slanted_edge,
            siemens_star,
            grey_ramp,
            flat_field,
            dark,
        )

    def __len__(self) -> int:
        """How many charts there are."""
        return len(self._charts)

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """Chart `index`; its radiance is read-only."""
        if not 0 <= index < len(self):
            raise IndexError(f"chart {index}: expected 0 … {len(self) - 1}")
        return self._charts[index](*self._size, self._illuminant)


def colorchecker(height: int, width: int, illuminant: str) -> Scene:
    """The 24 patches of a ColorChecker Classic, from their measured reflectances.

    Labels: `patches`, each with name, rectangle and its true `rec709`; `clipped`, the names of patches with a
    negative value, which Rec. 709 light cannot have and which is 0 here.
    """
    light = np.full((height, width, 1), BACKDROP, np.float32) * np.array(white(illuminant), np.float32)
    side = int(min(width / 7.05, height / 4.75) * 0.9)
    gap = max(round(0.15 * side), 1)
    left = (width - 6 * side - 7 * gap) // 2
    top = (height - 4 * side - 5 * gap) // 2
    frame = light[top : top + 4 * side + 5 * gap, left : left + 6 * side + 7 * gap]
    frame *= np.float32(FRAME / BACKDROP)
    patches: list[dict[str, object]] = []
    clipped = []
    for place, (name, rec709) in enumerate(patch_colours(illuminant)):
        row, column = divmod(place, 6)
        x, y = left + gap + column * (side + gap), top + gap + row * (side + gap)
        value = np.maximum(np.array(rec709, np.float32), 0)
        light[y : y + side, x : x + side] = value
        patches.append({"name": name, "rectangle": [x, y, side, side], "rec709": value.tolist()})
        if min(rec709) < 0:
            clipped.append(name)
    return _scene("colorchecker", light, {"illuminant": illuminant, "patches": patches, "clipped": clipped})


def slanted_edge(height: int, width: int, illuminant: str) -> Scene:
    """A straight edge through the middle, dark left, bright right, 5° off the columns, its top to the right."""
    labels: dict[str, object] = {"angle_deg": EDGE_DEG, "levels": list(EDGE_LEVELS)}
    return _grey("slanted_edge", edge_levels(height, width), illuminant, labels)


def edge_levels(height: int, width: int, angle_deg: float = EDGE_DEG) -> NDArray[np.floating]:
    """Reflectances of a slanted edge through the middle.

    Exact: a pixel's value is the mean over its area, the unit square's share beyond the edge at distance `d`,
    `[P(d + p) − P(d + q) − P(d − q) + P(d − p)]/(c·s)` with `P(u) = max(u, 0)²/2`, `c`, `s` cosine and sine
    of the angle, `p = (c + s)/2`, `q = (c − s)/2`.
    """
    y, x = _centred(height, width)
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    distance = x * c + y * s
    p, q = (c + s) / 2, (c - s) / 2
    first, second, third, fourth = (np.maximum(distance + shift, 0) ** 2 / 2 for shift in (p, q, -q, -p))
    share = np.clip((first - second - third + fourth) / (c * s), 0, 1)
    return np.asarray(EDGE_LEVELS[0] + (EDGE_LEVELS[1] - EDGE_LEVELS[0]) * share)


def siemens_star(height: int, width: int, illuminant: str) -> Scene:
    """Black and white sectors around the middle; `r` px from it a cycle is `2π·r/36` px wide.

    A pixel's value is the mean of 4×4 points in it.
    """
    y, x = _centred(height, width)
    radius = 0.45 * min(height, width)
    disc = np.s_[
        int((height - 1) / 2 - radius) : int((height - 1) / 2 + radius) + 2,
        int((width - 1) / 2 - radius) : int((width - 1) / 2 + radius) + 2,
    ]
    x, y = x[:, disc[1]], y[disc[0]]
    level = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    offsets = (np.arange(4) - 1.5) / 4
    dark_level, bright_level = STAR_LEVELS
    for dy in offsets:
        for dx in offsets:
            sector = np.floor(np.arctan2(y + dy, x + dx) * np.float32(STAR_CYCLES / np.pi))
            values = np.where(sector % 2 == 0, np.float32(bright_level), np.float32(dark_level))
            outside = (x + dx) ** 2 + (y + dy) ** 2 > radius * radius
            values[outside] = BACKDROP
            level += values / 16
    whole = np.full((height, width), BACKDROP, np.float32)
    whole[disc] = level
    labels: dict[str, object] = {"cycles": STAR_CYCLES, "radius_px": radius, "levels": list(STAR_LEVELS)}
    return _grey("siemens_star", whole, illuminant, labels)


def grey_ramp(height: int, width: int, illuminant: str) -> Scene:
    """16 EV from white, left, to near black: above without steps, `2^(−16·x/width)`, below in half-EV steps.

    Labels: `ramp`, its rectangle and range; `steps`, each with rectangle, ev and level.
    """
    column = (np.arange(width) + 0.5) / width
    level = np.empty((height, width), np.float32)
    level[: height // 2] = 2 ** (-RAMP_EV * column)
    edges = np.rint(np.linspace(0, width, 2 * RAMP_EV + 1)).astype(int)
    steps: list[dict[str, object]] = []
    for step, (start, stop) in enumerate(pairwise(edges.tolist())):
        ev = -step / 2
        level[height // 2 :, start:stop] = 2**ev
        rectangle = [start, height // 2, stop - start, height - height // 2]
        steps.append({"rectangle": rectangle, "ev": ev, "level": 2**ev})
    ramp = {"rectangle": [0, 0, width, height // 2], "ev": [0, -RAMP_EV]}
    return _grey("grey_ramp", level, illuminant, {"ramp": ramp, "steps": steps})


def flat_field(height: int, width: int, illuminant: str) -> Scene:
    """A mid-grey that fills the picture; not metered."""
    level = np.full((height, width), BACKDROP, np.float32)
    return _grey("flat_field", level, illuminant, {"level": BACKDROP}, metered=False)


def dark(height: int, width: int, illuminant: str) -> Scene:
    """No light at all, the cap on the lens; not metered."""
    return _grey("dark", np.zeros((height, width), np.float32), illuminant, {"level": 0.0}, metered=False)


@lru_cache(maxsize=8)
def patch_colours(illuminant: str) -> tuple[tuple[str, Rgb], ...]:
    """Names of the 24 patches and their linear Rec. 709, unclipped.

    `XYZ = Σ R·S·(x̄, ȳ, z̄)/Σ S·ȳ` over the wavelengths all of them are measured at (380 … 730 nm by 10 nm):
    reflectance R (BabelColor's average of 30 charts), illuminant S, CIE 1931 2° observer.
    """
    import colour

    reflectances = colour.SDS_COLOURCHECKERS["BabelColor Average"]
    weights = _rec709_weights(illuminant)
    return tuple((name, _rgb(weights @ sd.values)) for name, sd in reflectances.items())


@lru_cache(maxsize=8)
def white(illuminant: str) -> Rgb:
    """Linear Rec. 709 of a perfect diffuser under the illuminant, negatives clipped: (1, 1, 1) under D65."""
    red, green, blue = np.maximum(_rec709_weights(illuminant).sum(axis=1), 0)
    return float(red), float(green), float(blue)


def _rec709_weights(illuminant: str) -> NDArray[np.float64]:
    """3 × wavelengths: what a reflectance of 1 at each wavelength adds to linear Rec. 709."""
    import colour  # takes 0.9 s

    grid = colour.SDS_COLOURCHECKERS["BabelColor Average"]["white 9.5 (.05 D)"].wavelengths
    usable = {name: sd for name, sd in colour.SDS_ILLUMINANTS.items() if set(grid) <= set(np.round(sd.wavelengths, 6))}
    if illuminant not in usable:
        raise ValueError(f"illuminant is {illuminant!r}; expected one of {', '.join(usable)}")
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    weights = np.array(usable[illuminant][grid]) * np.array(observer[grid]).T
    to_rgb = np.array(colour.models.RGB_COLOURSPACE_BT709.matrix_XYZ_to_RGB)
    return np.asarray(to_rgb @ (weights / weights[1].sum()))


def _rgb(values: NDArray[np.float64]) -> Rgb:
    red, green, blue = values.tolist()
    return red, green, blue


def _centred(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixel centres from the picture's middle, a column of y and a row of x."""
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32((height - 1) / 2)
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32((width - 1) / 2)
    return y, x


def _grey(
    name: str, level: NDArray[np.floating], illuminant: str, labels: dict[str, object], metered: bool = True
) -> Scene:
    """A chart without colour of its own: reflectance × the illuminant's white."""
    rgb = white(illuminant)
    light = np.asarray(level, np.float32)[..., None] * np.array(rgb, np.float32)
    return _scene(name, light, {"illuminant": illuminant, "white": list(rgb), **labels}, metered)


def _scene(name: str, light: NDArray[np.float32], labels: dict[str, object], metered: bool = True) -> Scene:
    light.flags.writeable = False
    return Scene(name=f"charts/{name}", radiance=Radiance(light), labels=labels, metered=metered)
