"""All figures of image quality from pictures of one chart, whose layout is known: built-in, or a file's.

In a file:

    greys:                                # x, y, width, height in px; light 1 is a perfect diffuser's
      - {rectangle: [40, 60, 20, 20], light: 0.9}
    colours:
      - {rectangle: [40, 90, 20, 20], rec709: [0.17, 0.08, 0.05]}
    edges: [[200, 40, 90, 120]]
    textures: [[300, 40, 128, 128]]       # dead leaves, with a reference picture
    flat: [300, 200, 100, 60]
    trap: [420, 40, 10, 10]               # black, in a bright surround
    surround: [400, 40, 10, 40]
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from isp_sim.quality.colour import displayed_delta_e
from isp_sim.quality.edge import EdgeResponse, edge_response
from isp_sim.quality.noise import dynamic_range, noise_power_spectrum, patch_statistics, signal_to_noise
from isp_sim.quality.texture import acutance, texture_response
from isp_sim.quality.tone import ToneCurve, luma, veiling_glare
from isp_sim.rig import Finite, Model
from isp_sim.transfer import srgb_decode

Rectangle = tuple[int, int, int, int]
"""(x, y, width, height), px."""
NAN = float("nan")
MID_GREY = 0.18
"""Light of the grey at which SNR is stated."""
BELOW_BLACK = 0.01
"""Share of its surround's light by which a trap may seem blacker than black: beyond it, the curve is too flat there."""


class Grey(Model):
    """An even neutral patch: where, and its light, 1 a perfect diffuser's."""

    rectangle: Rectangle
    light: Finite = Field(gt=0)


class Colour(Model):
    """A coloured patch: where, and its linear Rec. 709."""

    rectangle: Rectangle
    rec709: tuple[Finite, Finite, Finite]


class ChartLayout(Model):
    """Where in a picture what is measured on lies; see the module."""

    greys: tuple[Grey, ...] = ()
    colours: tuple[Colour, ...] = ()
    edges: tuple[Rectangle, ...] = ()
    textures: tuple[Rectangle, ...] = ()
    flat: Rectangle | None = None
    trap: Rectangle | None = None
    surround: Rectangle | None = None


class Quality(NamedTuple):
    """Figures of a chart; NaN where the layout lacks what they need, or the picture does not show it.

    Attributes:
        snr_db: of the grey nearest to 18 %, its 20·log10, as light had it before the tone curve.
        dynamic_range_ev: between the lightest and the darkest grey of an SNR of 1.
        mtf50: of the edges, cycles/px; of those that are not clipped.
        overshoot: of the edges, over their step.
        texture: acutance of the dead leaves' response; of those that are not clipped.
        delta_e: mean ΔE2000 of the colours, brightness matched.
        grain: mean frequency of the flat's noise, cycles/px; white noise has 0.25.
        flare: light in the trap over its surround's; NaN where the greys do not tell the trap's.
    """

    snr_db: float
    dynamic_range_ev: float
    mtf50: float
    overshoot: float
    texture: float
    delta_e: float
    grain: float
    flare: float

    def known(self) -> dict[str, float | None]:
        """By name, None for NaN, which JSON does not have."""
        return {name: None if math.isnan(value) else value for name, value in self._asdict().items()}


def measure(
    pictures: Sequence[Float[np.ndarray, "height width 3"]], layout: ChartLayout,
    reference: Float[np.ndarray, "height width"] | None = None,
) -> Quality:  # fmt: skip
    """Every figure that the layout allows.

    Noise is each picture's own; all else is of their mean. The greys' tone curve makes the picture linear before edges,
    texture and flare are looked at; without greys the sRGB curve does.

    Args:
        pictures: of one still chart, developed alike, R first, 1 is white, not cut there.
        layout: of the chart in them.
        reference: luminance of the textures' target, on the pictures' pixels.

    Raises:
        ValueError: a rectangle leaves the picture, or a part of it cannot be measured.
    """
    height, width = pictures[0].shape[:2]
    for x, y, w, h in _rectangles(layout):
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise ValueError(f"rectangle {[x, y, w, h]}: expected one within {width}×{height} px")
    mean = np.mean(pictures, axis=0)
    light = linear_luma(mean, layout)
    snr, reach = _noise(pictures, layout)
    edges = [one for r in layout.edges if not _clipped(mean, layout, r) and (one := _edge(part(light, r)))]
    return Quality(
        snr_db=snr,
        dynamic_range_ev=reach,
        mtf50=_mean([one.mtf50 for one in edges]),
        overshoot=_mean([one.overshoot for one in edges]),
        texture=_mean(_textures(mean, light, layout, reference)),
        delta_e=_colour(mean, layout),
        grain=_mean([noise_power_spectrum(luma(part(one, layout.flat))).mean_frequency for one in pictures])
        if layout.flat
        else NAN,
        flare=_flare(light, layout),
    )


def _rectangles(layout: ChartLayout) -> list[Rectangle]:
    patches = [*(one.rectangle for one in layout.greys), *(one.rectangle for one in layout.colours)]
    fields = [one for one in (layout.flat, layout.trap, layout.surround) if one]
    return [*patches, *layout.edges, *layout.textures, *fields]


def part(plane: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """Of a picture."""
    x, y, width, height = rectangle
    return plane[y : y + height, x : x + width]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else NAN


def linear_luma(picture: np.ndarray, layout: ChartLayout) -> np.ndarray:
    """Luminance of a picture of the chart, by its greys, or by the sRGB curve where there are fewer than two."""
    curve = _curve(picture, layout)
    if curve is None:
        return luma(srgb_decode(torch.from_numpy(np.maximum(picture, 0))).numpy())
    return curve.linear(luma(picture))


def _curve(picture: np.ndarray, layout: ChartLayout) -> ToneCurve | None:
    """Of the greys; None where there are fewer than two."""
    if len(layout.greys) < 2:
        return None
    levels = [luma(part(picture, one.rectangle)).mean() for one in layout.greys]
    return ToneCurve.of(np.array([one.light for one in layout.greys]), np.array(levels))


def _noise(pictures: Sequence[np.ndarray], layout: ChartLayout) -> tuple[float, float]:
    """SNR of the grey nearest to 18 %, dB, and the dynamic range, EV."""
    if len(layout.greys) < 2:
        return NAN, NAN
    light, ratio = snr_of_greys(pictures, layout)
    middle = float(ratio[np.abs(np.log(light / MID_GREY)).argmin()])
    return 20 * math.log10(middle) if 0 < middle < math.inf else NAN, dynamic_range(light, ratio)


def snr_of_greys(pictures: Sequence[np.ndarray], layout: ChartLayout) -> tuple[np.ndarray, np.ndarray]:
    """Light of the layout's greys, and their SNR over several pictures."""
    seen = [[patch_statistics(part(one, grey.rectangle)) for grey in layout.greys] for one in pictures]
    table = np.array(seen)  # pictures, greys, (level, noise)
    light = np.array([grey.light for grey in layout.greys])
    level, noise = table[..., 0].mean(axis=0), np.sqrt((table[..., 1] ** 2).mean(axis=0))
    return light, signal_to_noise(light, level, noise)


def _clipped(picture: np.ndarray, layout: ChartLayout, rectangle: Rectangle) -> bool:
    """Whether a part's lighter side is where the tone curve is flat: what is cut off looks sharp, whatever it was."""
    curve = _curve(picture, layout)
    if curve is None or curve.clips_at == math.inf:
        return False
    top = np.interp(curve.clips_at, curve.light, curve.level)
    reach = float(curve.level[-1] - curve.level[0])
    return bool(np.percentile(luma(part(picture, rectangle)), 95) >= top - 0.02 * reach)


def _edge(plane: np.ndarray) -> EdgeResponse | None:
    """None where a picture shows no edge: that is a finding about the ISP, not a fault of the input."""
    try:
        return edge_response(plane)
    except ValueError:
        return None


def _textures(mean: np.ndarray, light: np.ndarray, layout: ChartLayout, reference: np.ndarray | None) -> list[float]:
    if reference is None:
        return []
    shown = [one for one in layout.textures if not _clipped(mean, layout, one)]
    return [acutance(texture_response(part(light, one), part(reference, one))) for one in shown]


def _colour(mean: np.ndarray, layout: ChartLayout) -> float:
    if not layout.colours:
        return NAN
    seen = np.array([part(mean, one.rectangle).mean(axis=(0, 1)) for one in layout.colours])
    return float(displayed_delta_e(seen, np.array([one.rec709 for one in layout.colours])).mean())


def _flare(light: np.ndarray, layout: ChartLayout) -> float:
    if not (layout.trap and layout.surround):
        return NAN
    trap, field = (float(part(light, one).mean()) for one in (layout.trap, layout.surround))
    if field <= 0 or trap < -BELOW_BLACK * field:
        return NAN
    return veiling_glare(trap, field)
