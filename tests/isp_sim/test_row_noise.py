"""Row noise: its spread found, its offsets found and taken off, edges left."""

import pytest
import torch

from isp_sim.isp.row_noise import LARGEST, noise_spread, row_offsets


def without_row_noise(mosaic):
    return mosaic - row_offsets(mosaic, noise_spread(mosaic))


def noisy(seed=0, height=240, width=600, spread=1.0, rows=0.0, batch=1):
    drawn = torch.Generator().manual_seed(seed)
    offsets = rows * torch.randn(batch, 1, height, 1, generator=drawn)
    return spread * torch.randn(batch, 1, height, width, generator=drawn) + offsets, offsets


@pytest.mark.parametrize("spread", [0.01, 1.0])
def test_the_spread_of_white_noise_on_a_slope_is_found(spread):
    mosaic, _ = noisy(spread=spread)
    slope = mosaic + spread * torch.linspace(0, 50, 600)
    # Four medians of 36,000 absolute values, each known to 1.17/√n.
    assert noise_spread(slope).item() == pytest.approx(spread, rel=4 * 1.17 / (4 * 36_000 / 3) ** 0.5)


def test_row_offsets_are_found_up_to_what_the_neighbours_share():
    mosaic, truth = noisy(rows=0.3)
    left = without_row_noise(mosaic).mean(dim=3) - (mosaic - truth).mean(dim=3)
    # (I − K²) finds white offsets but for their part in K²: Σ k⁴-wise 0.06 of the variance; a median of 600 px is
    # known to 1.25/√600, and the neighbours' mean adds a fifth.
    noise = 1.25**2 / 600 * 1.5
    assert left.var().item() < 0.3**2 * 0.12 + noise
    assert left.var().item() < 0.2 * truth.var().item()


def test_a_picture_without_row_noise_keeps_its_edges_and_its_light():
    mosaic, _ = noisy(spread=0.01)
    scene = mosaic.clone()
    scene[:, :, 100:, :300] += 1  # an edge through less than half of each row
    assert (without_row_noise(scene) - scene).abs().max() < 4 * 0.01 * 1.25 / 300**0.5 * 2
    scene = mosaic.clone()
    scene[:, :, 100:] += 1  # a horizon: bounded by the noise
    assert (without_row_noise(scene) - scene).abs().max() <= LARGEST * noise_spread(scene).item() * (1 + 1e-4)


def test_each_of_a_batch_has_its_own():
    both, _ = noisy(rows=0.2, batch=2)
    both[1] *= 7
    spread = noise_spread(both)
    one = torch.cat([row_offsets(both[n : n + 1], spread[n : n + 1]) for n in range(2)])
    assert torch.equal(row_offsets(both, spread), one)
