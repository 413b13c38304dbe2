"""The planes light passes through, as types: what a function takes and gives is in its signature.

A plane is a `NewType` over a jaxtyping shape, so mypy refuses electrons where photons are wanted and a
reader sees shape, dtype and unit in one place. Arrays of the simulator are NumPy, `(height, width[, band])`;
arrays of the ISP are torch, `(batch, channel, height, width)`, because the ISP is also what learns.
"""

from typing import NewType

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from torch import Tensor

Radiance = NewType("Radiance", Float32[np.ndarray, "height width 3"])
"""Scene light in linear Rec. 709 bands, relative: 1 is a perfect diffuser under the scene's illuminant."""

Photons = NewType("Photons", Float32[np.ndarray, "height width 3"])
"""Mean photons a pixel receives during the exposure, in each of the sensor's three colour bands (R, G, B)."""

Electrons = NewType("Electrons", Float32[np.ndarray, "height width"])
"""Electrons in each pixel's well at the end of the exposure: whole numbers, behind the colour filter array."""

Counts = NewType("Counts", UInt16[np.ndarray, "height width"])
"""What the ADC wrote, in DN, the black level included."""

Mosaic = NewType("Mosaic", Float[Tensor, "batch 1 height width"])
"""Counts with black at 0 and white at 1, still one colour a pixel; noise goes below 0."""

LinearRgb = NewType("LinearRgb", Float[Tensor, "batch 3 height width"])
"""Linear Rec. 709, 1 is white; neither clipped above nor below."""

Srgb = NewType("Srgb", Float[Tensor, "batch 3 height width"])
"""Display-referred sRGB (IEC 61966-2-1), 0 … 1."""

Picture = UInt8[np.ndarray, "height width 3"]
"""8-bit sRGB codes, R first."""
