"""Photons → electrons against closed forms; tolerances come from the sample size."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import change
from scipy import stats

from isp_sim import sensor, streams
from isp_sim.units import Photons

SIZE = (1000, 1000)


def flat_maps(size=SIZE):
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    return sensor.FixedMaps(ones, zeros, zeros)


def uniform(photons, size=SIZE):
    return Photons(np.full((*size, 3), photons, np.float32))


def electrons(quiet, mean, seed, torch_path=False):
    chip = sensor.numbers(change(quiet, quantum_efficiency=(1.0, 1.0, 1.0), full_well_e=1e9), 1000, 25)
    if torch_path:
        plane, maps = torch.from_numpy(uniform(mean)), flat_maps()
        stream = streams.torch_generator("cpu", (seed, 0), "electrons")
        gain, hot = torch.from_numpy(maps.gain), torch.from_numpy(maps.hot_e_per_s)
        return sensor.expose_torch(plane, gain, hot, chip, stream).numpy()
    return sensor.expose(uniform(mean), flat_maps(), chip, streams.key_words(seed, "test"))


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
@pytest.mark.parametrize("mean", [0.1, 0.7, 3.0, 9.9, 10.1, 30.0, 100.0, 2000.0])
def test_shot_noise_is_exactly_poisson(quiet, mean, torch_path):
    drawn = electrons(quiet, mean, seed=11, torch_path=torch_path).ravel().astype(int)
    mean = float(np.float32(mean))
    edges = np.unique(stats.poisson(mean).ppf(np.linspace(1e-5, 1 - 1e-5, 60)).astype(int))
    observed = np.array(
        [(drawn <= edges[0]).sum()]
        + [((drawn > a) & (drawn <= b)).sum() for a, b in itertools.pairwise(edges)]
        + [(drawn > edges[-1]).sum()]
    )
    below = np.concatenate([[0], stats.poisson(mean).cdf(edges), [1]])
    expected = np.diff(below) * drawn.size
    keep = expected >= 5
    rest_seen, rest_due = observed[~keep].sum(), expected[~keep].sum()
    seen, due = np.append(observed[keep], rest_seen), np.append(expected[keep], rest_due)
    if due[-1] < 1:
        seen, due = seen[:-1], due[:-1] * seen[:-1].sum() / due[:-1].sum()
    assert stats.chisquare(seen, due * seen.sum() / due.sum()).pvalue > 1e-4


def test_neighbouring_pixels_are_independent(quiet):
    drawn = electrons(quiet, 4.0, seed=1).astype(float) - 4
    for shifted in (drawn[1:] * drawn[:-1], drawn[:, 1:] * drawn[:, :-1]):
        assert abs(shifted.mean() / 4) < 5 / math.sqrt(drawn.size)


def test_another_key_gives_another_frame_with_no_correlation(quiet):
    one, two = (electrons(quiet, 50.0, seed=s) for s in (1, 2))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 5 / math.sqrt(one.size)


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_each_pixel_sees_the_band_of_its_filter(ideal, cfa):
    chip = sensor.numbers(change(ideal.sensor, cfa=cfa, quantum_efficiency=(0.5, 0.25, 1.0)), 1000, 25)
    photons = np.zeros((4, 4, 3), np.float32)
    photons[...] = (10, 100, 1000)
    seen = sensor.expose(Photons(photons), flat_maps((4, 4)), chip, (0, 0))
    due = {"R": 5.0, "G": 25.0, "B": 1000.0}
    for position, colour in enumerate(cfa):
        assert (seen[position // 2 :: 2, position % 2 :: 2] == due[colour]).all()


def test_dark_current_doubles_every_doubling_step(ideal):
    chip = change(ideal.sensor, dark_current_e_per_s=8.0, dark_current_reference_c=25.0, dark_current_doubling_k=7.0)
    at = {t: sensor.numbers(chip, 2e6, t).dark_e for t in (18, 25, 32, 39)}
    assert at[25] == pytest.approx(16.0)
    assert [at[18] * 2, at[32] / 2, at[39] / 4] == pytest.approx([16.0] * 3)


def test_the_full_well_cuts(quiet):
    chip = sensor.numbers(change(quiet, full_well_e=1000.0), 1000, 25)
    assert sensor.expose(uniform(1e5, (8, 8)), flat_maps((8, 8)), chip, (1, 1)).max() == 1000


def test_fixed_maps_have_their_spread_and_belong_to_the_serial(exlpose):
    chip = change(exlpose.sensor, dsnu_row_e=0.0)  # rows have a test of their own
    maps = sensor.fixed_maps(chip, "A", 1000, 1000)
    n = maps.gain.size
    for plane, sigma in (
        (maps.gain - 1, exlpose.sensor.prnu_percent.value / 100),
        (maps.offset_e, exlpose.sensor.dsnu_e.value),
    ):
        assert plane.std() == pytest.approx(sigma, rel=5 / math.sqrt(2 * n))
        assert abs(plane.mean()) < 5 * sigma / math.sqrt(n)
    hot = (maps.hot_e_per_s > 0).sum()
    due = exlpose.sensor.hot_pixels_per_million.value * n / 1e6
    assert abs(hot - due) < 5 * math.sqrt(due)
    again, other = (sensor.fixed_maps(chip, serial, 1000, 1000) for serial in "AB")
    assert (again.gain == maps.gain).all()
    assert abs(np.corrcoef(other.gain.ravel(), maps.gain.ravel())[0, 1]) < 5 / math.sqrt(n)


LINED = {
    "dsnu_e": 2.0, "dsnu_row_e": 0.7, "dsnu_column_e": 0.3,
    "prnu_percent": 1.0, "prnu_row_percent": 0.4, "prnu_column_percent": 0.2,
}  # fmt: skip


def test_maps_are_the_sum_of_pixel_row_and_column_parts(exlpose):
    height, width = 900, 1200
    maps = sensor.fixed_maps(change(exlpose.sensor, **LINED), "A", height, width)
    for plane, name, scale in ((maps.offset_e, "dsnu{}_e", 1.0), (maps.gain - 1, "prnu{}_percent", 0.01)):
        pixel, row, column = (scale * LINED[name.format(part)] for part in ("", "_row", "_column"))
        rows, columns = plane.mean(axis=1, dtype=float), plane.mean(axis=0, dtype=float)
        rest = plane - rows[:, None] - columns + plane.mean(dtype=float)
        for values, variance, dof in (
            (rows, row**2 + pixel**2 / width, height - 1),
            (columns, column**2 + pixel**2 / height, width - 1),
            (rest, pixel**2, (height - 1) * (width - 1)),
        ):
            low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], dof)
            assert low < ((values - values.mean()) ** 2).sum() / variance < high


def test_rows_and_columns_are_independent_of_each_other_and_of_other_cameras(exlpose):
    chip = change(exlpose.sensor, **{**LINED, "dsnu_e": 0.0, "prnu_percent": 0.0})
    one, again, other = (sensor.fixed_maps(chip, serial, 1000, 1000) for serial in "AAB")
    assert (one.offset_e == again.offset_e).all()
    assert (one.gain == again.gain).all()
    lines = [plane.mean(axis=a, dtype=float) for m in (one, other) for plane in (m.offset_e, m.gain) for a in (0, 1)]
    assert np.abs(np.corrcoef(lines)[~np.eye(8, dtype=bool)]).max() < 5 / math.sqrt(1000)


def test_maps_of_another_size_are_refused(quiet):
    with pytest.raises(ValueError, match=r"photons are \(8, 8\) pixels, the camera's maps \(4, 4\)"):
        sensor.expose(uniform(1, (8, 8)), flat_maps((4, 4)), sensor.numbers(quiet, 1, 25), (0, 0))


def test_dark_pixels_give_no_electrons(quiet):
    assert electrons(quiet, 0.0, seed=3).max() == 0
