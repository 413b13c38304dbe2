"""Scores without a partner against closed forms: NIQE's statistics, lightness order, CEIQ's features."""

import cv2
import numpy as np
import pytest

from models.scoring.niqe import BLOCK_PX, aggd, block_features, fit_pristine, halved, mscn, niqe, published_pristine
from models.scoring.no_reference import ceiq_features, equalised, lightness_order_error


def scene(seed, side=3 * BLOCK_PX):
    """Something like a picture: shapes of many sizes, slightly blurred."""
    stream = np.random.default_rng(seed)
    picture = np.full((side, side, 3), 90, np.uint8)
    for _ in range(120):
        at = tuple(int(v) for v in stream.integers(0, side, 2))
        colour = tuple(int(v) for v in stream.integers(20, 235, 3))
        cv2.circle(picture, at, int(stream.integers(3, 40)), colour, -1)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8).astype(float) + stream.normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_a_gaussians_shape_is_two():
    """10⁵ draws: the moment ratio 2/π has a relative standard error of √((π/2 − 1)·4/n + …) < 1 %; shape within 5 %."""
    drawn = np.random.default_rng(0).normal(0, 3, 100_000)
    shape, left, right, mean = aggd(drawn)
    assert shape == pytest.approx(2, rel=0.05)
    assert left == pytest.approx(3 * np.sqrt(2), rel=0.05) and right == pytest.approx(left, rel=0.05)
    assert abs(mean) < 0.1


def test_a_laplacians_shape_is_one():
    drawn = np.random.default_rng(0).laplace(0, 1, 100_000)
    shape, left, _, _ = aggd(drawn)
    assert shape == pytest.approx(1, rel=0.05) and left == pytest.approx(1, rel=0.05)


def test_an_asymmetric_law_is_told_by_its_sides():
    stream = np.random.default_rng(0)
    drawn = np.abs(stream.normal(0, 1, 100_000))
    sides = np.where(stream.random(100_000) < 1 / 4, -drawn, 3 * drawn)  # sides carry weight as their scales: 1 : 3
    shape, left, right, mean = aggd(sides)
    assert shape == pytest.approx(2, rel=0.05)
    assert right / left == pytest.approx(3, rel=0.05)
    assert mean == pytest.approx(sides.mean(), rel=0.05)


def test_normalised_contrast_of_a_flat_picture_is_zero():
    normed, spread = mscn(np.full((40, 40), 77.0))
    assert np.abs(normed).max() < 1e-6 and spread.max() < 1e-3


def test_niqe_rises_with_blur_and_with_noise_and_is_never_no_number():
    pristine = fit_pristine(scene(seed) for seed in range(14))
    clean = [niqe(scene(seed), pristine) for seed in range(20, 24)]
    blurred = [niqe(cv2.GaussianBlur(scene(seed), (0, 0), 3), pristine) for seed in range(20, 24)]
    grain = np.random.default_rng(0).normal(0, 40, scene(0).shape)
    noisy = [niqe(np.clip(scene(seed) + grain, 0, 255).astype(np.uint8), pristine) for seed in range(20, 24)]
    assert max(clean) < min(blurred) and max(clean) < min(noisy)
    for level in (0, 128, 255):
        assert np.isfinite(niqe(np.full((BLOCK_PX, BLOCK_PX, 3), level, np.uint8), pristine))


def test_niqe_gives_the_common_implementations_figures():
    """BasicSR's `niqe` (1.4.2) on these pictures' grey, with its pristine parameters, gives these."""
    pristine = published_pristine()
    found = [niqe(scene(seed, 480), pristine) for seed in (20, 21, 22)]
    assert found == pytest.approx([13.211194, 12.207077, 11.903207], abs=2e-4)


def test_halving_is_the_published_kernel():
    """Keys' cubic at half scale, MATLAB's antialiasing: eight taps of −3, −9, 29 and 111 of 256."""
    impulse = np.zeros((16, 1))
    impulse[8] = 256
    assert halved(impulse)[:, 0].tolist() == pytest.approx([0, 0, -3, 29, 111, -9, 0, 0])
    assert np.allclose(halved(np.full((10, 2), 7.0)), 7)


def test_too_few_blocks_are_told():
    with pytest.raises(ValueError, match="expected over 36"):
        fit_pristine([scene(0, BLOCK_PX)])
    with pytest.raises(ValueError, match="expected 96 a side"):
        block_features(np.zeros((50, 200, 3), np.uint8))


def test_a_rising_curve_keeps_the_order_and_a_negative_turns_it():
    picture = scene(1)
    lifted = (255 * np.sqrt(picture / 255)).round().astype(np.uint8)  # strictly rising from code to code above 63 only
    assert lightness_order_error(picture, picture) == 0
    ramp = np.arange(50 * 50, dtype=np.float64).reshape(50, 50) / 2500 * 255
    ramp = ramp.astype(np.uint8)[..., None].repeat(3, axis=2)
    codes = ramp[..., 0].ravel().astype(int)
    wrong = np.mean([np.sum(codes != code) for code in codes])  # a negative swaps every pair of unequal codes
    assert lightness_order_error(255 - ramp, ramp) == pytest.approx(wrong)
    assert lightness_order_error(lifted, picture) < 0.2 * lightness_order_error(255 - picture, picture)


def test_contrast_features_of_a_picture_of_one_colour_and_of_every_code_equally_often():
    """Every code: 128 bins of 1/128, of which the 64 levels of the equalised one fill 64, each by 1/64."""
    flat = ceiq_features(np.full((32, 32, 3), 9, np.uint8))
    assert flat.entropy == flat.equalised_entropy == 0
    every = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (32, 1, 3))
    found = ceiq_features(every)
    wanted = (64 / 128 * 7, 6, 64 / 128 * 6, 7)
    assert (found.entropy, found.equalised_entropy, found.cross, found.equalised_cross) == pytest.approx(wanted)
    assert found.similarity > 0.9


def test_four_codes_equally_often_are_equalised_to_the_middles_of_four_quarters():
    """Shares 1/8, 3/8, 5/8, 7/8 are reached by levels 7, 23, 39, 55 of 0 … 63."""
    grey = np.repeat(np.array([50, 60, 70, 80], np.uint8), 8).reshape(4, 8)
    assert np.unique(equalised(grey)).tolist() == [28, 93, 158, 223]
