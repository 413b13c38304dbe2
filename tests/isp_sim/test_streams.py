"""Counter-based random numbers: known answers, independence of order, uniformity."""

import random

import numba
import numpy as np
import torch
from scipy import stats

from isp_sim import streams


@numba.njit
def _words(count, key0, key1):
    out = np.empty((count, 4), np.uint64)
    for pixel in range(count):
        out[pixel, 0], out[pixel, 1], out[pixel, 2], out[pixel, 3] = streams.philox(pixel, 0, key0, key1)
    return out


@numba.njit
def _one(pixel, draw, key0, key1):
    return streams.philox(pixel, draw, key0, key1)


def test_philox_gives_the_published_answer_for_zeros():
    # Random123's kat_vectors: philox4x32 10 rounds, counter 0, key 0.
    assert [hex(int(w)) for w in _one(0, 0, 0, 0)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_words_are_uniform_and_uncorrelated():
    words = _words(200_000, *streams.key_words(7, "uniform")).astype(float) / 2**32
    for column in words.T:
        counts, _ = np.histogram(column, bins=100, range=(0, 1))
        assert stats.chisquare(counts).pvalue > 1e-4
    correlation = np.corrcoef(words.T) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(words))
    assert abs(np.corrcoef(words[1:, 0], words[:-1, 0])[0, 1]) < 5 / np.sqrt(len(words))


def test_a_pixel_does_not_know_which_pixels_came_before():
    key = streams.key_words(3, 1, "a")
    assert tuple(map(int, _one(41, 0, *key))) == tuple(map(int, _words(64, *key)[41]))


def test_keys_differ_in_every_part():
    keys = {streams.key_words(*parts) for parts in ((0, 1, 2), (1, 1, 2), (0, 2, 1), (0, 12), (0, "1", 2), (0, 1, "2"))}
    assert len(keys) == 6


def test_generators_repeat():
    first, again = streams.generator(1, 2, "x").random(3), streams.generator(1, 2, "x").random(3)
    assert (first == again).all()
    ours = [streams.torch_generator("cpu", (1, 2), "electrons") for _ in range(2)]
    assert torch.equal(*(torch.rand(3, generator=g) for g in ours))


def test_global_generators_are_untouched():
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    streams.generator(0, "a").normal(size=10)
    torch.rand(10, generator=streams.torch_generator("cpu", (1, 2), "a"))
    _words(100, 1, 2)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    assert before[0] == after[0]
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])
