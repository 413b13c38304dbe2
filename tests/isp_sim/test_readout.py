"""Electrons → counts against closed forms."""

import math

import numpy as np
import pytest
import torch
from conftest import change
from scipy import stats

from isp_sim import readout, streams
from isp_sim.rig import NoiseSegment, PeriodicNoise
from isp_sim.units import Electrons

SIZE = (1000, 1000)


def law(sigma_e, **more):
    return (NoiseSegment(ln_sigma_slope=1, ln_sigma_intercept=math.log(sigma_e), **more),)


def dark(sensor, gain_db=0.0, seed=1, size=SIZE, torch_path=False, level_e=0.0):
    out = readout.numbers(sensor, gain_db, "S")
    lines = readout.line_noise(sensor, gain_db, "S", *size, streams.generator(seed, "lines"))
    electrons, offset = np.full(size, level_e, np.float32), np.zeros(size, np.float32)
    if torch_path:
        stream = streams.torch_generator("cpu", (seed, 0), "counts")
        made = readout.digitise_torch(torch.from_numpy(electrons), torch.from_numpy(offset), lines, out, stream)
        return made.numpy().astype(float)
    return readout.digitise(Electrons(electrons), offset, lines, out, streams.key_words(seed, "px")).astype(float)


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
@pytest.mark.parametrize("shape", [-0.24, -0.05, 0.0, 0.14, 0.5])
def test_tukey_noise_has_its_quantiles(quiet, shape, torch_path):
    wide = change(quiet, read_noise=law(40.0, tukey_lambda=((0.0, shape),)), gain_dn_per_e=1.0, adc_bits=16)
    wide = change(wide, black_level_dn=30000.0)
    noise = np.sort(dark(wide, torch_path=torch_path).ravel() - 30000)
    n = noise.size
    for p in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        due = 40 * (math.log(p / (1 - p)) if shape == 0 else (p**shape - (1 - p) ** shape) / shape)
        density = 1 / (40 * (p ** (shape - 1) + (1 - p) ** (shape - 1)))
        error = math.sqrt(p * (1 - p) / n) / density
        assert noise[int(p * n)] == pytest.approx(due, abs=5 * error + 0.5)  # 0.5: the ADC's step
    spread = 40 * readout.tukey_std(shape)
    kurtosis = max(stats.kurtosis(noise), 0)
    assert noise.std() == pytest.approx(spread, rel=5 * math.sqrt((2 + kurtosis) / 4 / n) + 1e-3)


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
def test_gaussian_noise_passes_chi_square(quiet, torch_path):
    noisy = change(quiet, read_noise=law(5.0), gain_dn_per_e=2.0)
    seen = dark(noisy, torch_path=torch_path).ravel() - 64
    edges = np.arange(-30, 31)
    observed, _ = np.histogram(seen, bins=np.concatenate([[-1e9], edges + 0.5, [1e9]]))
    expected = np.diff(np.concatenate([[0], stats.norm(0, 10).cdf(edges + 0.5), [1]])) * seen.size
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_the_normal_quantile_agrees_with_scipy():
    p = np.concatenate([np.logspace(-10, -0.4, 200), 1 - np.logspace(-10, -0.4, 200)])
    ours = np.array([streams.normal_quantile(x) for x in p])
    assert ours == pytest.approx(stats.norm.ppf(p), rel=3e-7)


def test_variance_splits_into_pixels_rows_and_columns(quiet):
    noisy = change(quiet, read_noise=law(4.0), row_noise=law(3.0), column_noise=law(2.0), gain_dn_per_e=4.0)
    noisy = change(noisy, black_level_dn=500.0)
    frame = dark(noisy)
    height, width = frame.shape
    grand = frame.mean()
    rows, columns = frame.mean(axis=1), frame.mean(axis=0)
    rest = frame - rows[:, None] - columns + grand
    pixel_var = 16.0**2 + 1 / 12
    assert rest.var() * height * width / ((height - 1) * (width - 1)) == pytest.approx(
        pixel_var, rel=5 * math.sqrt(2 / (height * width))
    )
    assert rows.var(ddof=1) == pytest.approx(12.0**2 + pixel_var / width, rel=5 * math.sqrt(2 / height))
    assert columns.var(ddof=1) == pytest.approx(8.0**2 + pixel_var / height, rel=5 * math.sqrt(2 / width))


def test_periodic_noise_stands_at_its_frequency(quiet):
    wave = change(quiet, periodic_noise=PeriodicNoise(amplitude_dn=6.0, period_rows=20.0))
    rows = dark(wave).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(rows - rows.mean())) / len(rows) * 2
    assert np.argmax(spectrum) == len(rows) // 20
    assert spectrum.max() == pytest.approx(6.0, abs=0.2)


def test_line_noise_is_new_in_every_frame(quiet):
    noisy = change(quiet, row_noise=law(30.0))
    one, two = (dark(noisy, seed=s).mean(axis=1) for s in (1, 2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / math.sqrt(len(one))


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
def test_gain_black_level_and_adc_are_the_closed_form(quiet, torch_path):
    for gain_db, level_e in ((0.0, 100.0), (6.0206, 100.0), (20.0, 37.0), (0.0, 1e6)):
        k = quiet.gain_dn_per_e.value * 10 ** (gain_db / 20)
        due = min(math.floor(level_e * k + 64 + 0.5), 4095)
        assert (dark(quiet, gain_db, size=(4, 4), level_e=level_e, torch_path=torch_path) == due).all()


def test_clipping_black_at_zero_gives_the_known_bias(quiet):
    # A Gaussian of 3 DN cut at 0 has mean σ/√(2π) = 1.197 DN; rounding the cut half adds less than 0.01.
    cut = change(quiet, read_noise=law(3.0), gain_dn_per_e=1.0, black_level_dn=0.0)
    seen = dark(cut)
    assert seen.mean() == pytest.approx(3 / math.sqrt(2 * math.pi), abs=0.01 + 5 * 1.75 / 1000)
    kept = change(cut, black_level_dn=64.0)
    assert dark(kept).mean() - 64 == pytest.approx(0, abs=5 * 3 / 1000)


def test_the_bias_of_each_colour_stays(quiet):
    biased = change(quiet, black_bias_dn=(1.0, -2.0, 3.0, 5.0))
    frame = dark(biased, size=(8, 8)) - 64
    assert [frame[0, 0], frame[0, 1], frame[1, 0], frame[1, 1]] == [1, -2, 3, 5]


def test_two_gain_segments_meet_at_their_step(quiet):
    low = NoiseSegment(ln_sigma_slope=1, ln_sigma_intercept=math.log(4.0))
    high = NoiseSegment(from_k_dn_per_e=2.0, ln_sigma_slope=1, ln_sigma_intercept=math.log(1.5))
    assert readout.noise_at((low, high), 1.99, "S", "r")[0] / 1.99 == pytest.approx(4.0)
    assert readout.noise_at((low, high), 2.0, "S", "r")[0] / 2.0 == pytest.approx(1.5)
    assert readout.noise_at((), 2.0, "S", "r") == (0.0, None)


def test_scatter_about_the_line_belongs_to_camera_and_gain():
    segment = (NoiseSegment(ln_sigma_slope=0.5, ln_sigma_intercept=0.1, ln_sigma_spread=0.2),)
    one = readout.noise_at(segment, 3.0, "A", "r")
    assert one == readout.noise_at(segment, 3.0, "A", "r")
    assert one != readout.noise_at(segment, 3.0, "B", "r")
    logs = [math.log(readout.noise_at(segment, 3.0, str(n), "r")[0]) for n in range(2000)]
    assert np.mean(logs) == pytest.approx(0.5 * math.log(3) + 0.1, abs=5 * 0.2 / math.sqrt(2000))
    assert np.std(logs) == pytest.approx(0.2, rel=5 / math.sqrt(4000))


def test_a_gain_out_of_reach_is_refused(exlpose):
    with pytest.raises(ValueError, match=r"gain 48.5 dB: imx392 allows 0 to 47.99 dB"):
        readout.numbers(exlpose.sensor, 48.5, "S")
