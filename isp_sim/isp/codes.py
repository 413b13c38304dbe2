"""Linear light → 8-bit sRGB codes, exact and in one pass over the picture."""

import functools
import math

import numba
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from isp_sim.parallel_rows import in_rows
from isp_sim.transfer import srgb_decode, srgb_encode

STEPS = 4096
"""Of the first guess, even in the root of the light: each is under a third of a code wide."""


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """A first guess of the code by the root of the light, and the least light of each code."""
    guess = (255 * srgb_encode(torch.linspace(0, 1, STEPS, dtype=torch.float64) ** 2) + 0.5).numpy().astype(np.uint8)
    least = srgb_decode((torch.arange(257, dtype=torch.float64) - 0.5) / 255).numpy()
    least[0], least[256] = -math.inf, math.inf
    return guess, least


@numba.njit(nogil=True, cache=True)
def _code_rows(start, stop, image, guess, least, codes):  # type: ignore[no-untyped-def]
    for y in range(start, stop):
        for x in range(image.shape[1]):
            for c in range(image.shape[2]):
                light = min(image[y, x, c], 1.0)
                if not light > 0.0:  # NaN, too
                    codes[y, x, c] = 0
                    continue
                k = int(guess[int(math.sqrt(light) * (len(guess) - 1) + 0.5)])
                while light >= least[k + 1]:
                    k += 1
                while light < least[k]:
                    k -= 1
                codes[y, x, c] = k


def srgb_codes(image: Float32[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """8-bit sRGB codes of linear light: `⌊255·srgb_encode(l) + ½⌋`, by the light at which each code begins.

    Args:
        image: linear Rec. 709, 1 is white; clipped to 0 … 1. NaN becomes 0.

    Returns:
        uint8 of the same shape.
    """
    codes = np.empty(image.shape, np.uint8)
    in_rows(_code_rows, len(image), image, *_tables(), codes)
    return codes
