"""8-bit sRGB codes of linear light are those of the curve, to the last code."""

import numpy as np
import torch

from isp_sim.isp.codes import srgb_codes
from isp_sim.transfer import srgb_decode, srgb_encode


def exact(values):
    return np.floor(255 * srgb_encode(torch.from_numpy(values.astype(np.float64))).numpy() + 0.5).astype(np.uint8)


def test_codes_are_the_srgb_curve_rounded():
    values = np.linspace(-0.1, 1.1, 300_000, dtype=np.float32)
    image = np.ascontiguousarray(np.repeat(values.reshape(300, 1000, 1), 3, axis=2))
    assert np.array_equal(srgb_codes(image)[..., 1], exact(values).reshape(300, 1000))


def test_a_code_begins_where_the_curve_says():
    """The float32 below each code's least light has the code before."""
    edges = srgb_decode((torch.arange(1, 256, dtype=torch.float64) - 0.5) / 255).numpy()
    above = np.nextafter(edges.astype(np.float32), np.float32(2))
    below = np.nextafter(edges.astype(np.float32), np.float32(-1))
    image = np.stack([below, above, above])[:, None].transpose(1, 2, 0).copy()
    codes = srgb_codes(image)[0]
    assert np.array_equal(codes[:, 0], np.arange(255)) and np.array_equal(codes[:, 1], np.arange(1, 256))


def test_what_is_no_light_is_black_and_what_is_brighter_than_white_white():
    image = np.array([[[np.nan, -np.inf, np.inf]]], np.float32)
    assert srgb_codes(image).tolist() == [[[0, 0, 255]]]
