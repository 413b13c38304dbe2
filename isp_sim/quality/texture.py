"""Texture: what a picture keeps of a dead-leaves target (ISO/TS 19567-2), and acutance as the eye weights it."""

import numpy as np
from jaxtyping import Float

CYCLES_PX = np.linspace(0, 0.5, 101)
"""Frequencies at which a response is given, up to Nyquist."""
MIN_SIDE_PX = 32
PIXELS_PER_DEGREE = 42.0
"""A pixel of 0.25 mm from 60 cm: a picture at 100 % on a monitor."""


def texture_response(
    picture: Float[np.ndarray, "height width"], reference: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, " n"]:
    """Texture SFR against the known target: `|Σ Y·X*| / Σ |X|²` over each ring of frequencies, at `CYCLES_PX`.

    X and Y are the transforms of target and picture, less their means and through a Hann window. Noise does not go with
    the target, so it leaves the mean alone, as it would not with a quotient of power spectra (Kirk et al., *Dead leaves
    cross*, SPIE 9014, 2014); invented detail does not count either. 1 where all of a frequency is kept.

    Args:
        picture: linear, in the reference's unit, on its pixels.
        reference: the target's luminance.

    Raises:
        ValueError: of different sizes, too small, or a reference without texture.
    """
    if picture.shape != reference.shape or min(picture.shape) < MIN_SIDE_PX:
        raise ValueError(
            f"texture of {picture.shape}, its reference of {reference.shape}: expected equal sizes, {MIN_SIDE_PX} px "
            "a side or more"
        )
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in picture.shape))
    y, x = (np.fft.fft2(window * (one - np.average(one, weights=window))) for one in (picture, reference))
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in picture.shape[::-1])))
    width = 1 / min(picture.shape)
    ring = np.minimum(np.rint(radius / width).astype(int), int(0.5 / width) + 1)
    cross = np.bincount(ring.ravel(), (y * x.conj()).real.ravel()) + 1j * np.bincount(
        ring.ravel(), (y * x.conj()).imag.ravel()
    )
    power = np.bincount(ring.ravel(), (np.abs(x) ** 2).ravel())
    if not power[1:].sum() > 0:
        raise ValueError("the reference has no texture: it is one grey")
    rings = np.arange(1, int(0.5 / width) + 1)
    return np.interp(CYCLES_PX, rings * width, np.abs(cross[rings]) / power[rings])


def acutance(response: Float[np.ndarray, " n"], pixels_per_degree: float = PIXELS_PER_DEGREE) -> float:
    """`∫ R·C df / ∫ C df` up to Nyquist, C the eye's contrast sensitivity `75·ν^0.8·e^(−0.2·ν)/34.05`, ν in cycles a
    degree (IEEE 1858, CPIQ): 1 for a response of 1.

    Args:
        response: at `CYCLES_PX`.
        pixels_per_degree: of the viewer.
    """
    degrees = CYCLES_PX * pixels_per_degree
    sensitivity = 75 * degrees**0.8 * np.exp(-0.2 * degrees) / 34.05
    return float(np.trapezoid(response * sensitivity) / np.trapezoid(sensitivity))
