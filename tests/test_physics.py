"""The light path as a whole: conservation, closed forms, and what a photon-transfer measurement finds.

The photon transfer here is written for these tests alone and knows nothing of the simulator's inside: two flats
and two darks at each level, EMVA 1288 style.
"""

import math

import numpy as np
import pytest
import torch
from conftest import change
from scipy import stats

from isp_sim import optics, readout, sensor, streams
from isp_sim.camera import Frame, SimulatedArm, capture, capture_torch
from isp_sim.isp import develop as isp
from isp_sim.raw import normalise
from isp_sim.rig import NoiseSegment
from isp_sim.units import Photons, Radiance


def arm_of(rig, which="well_lit"):
    return SimulatedArm(rig, getattr(rig, which))


def staring(arm, photons_per_us, height, width):
    """The arm before a flat field that gives every band so many photons per µs."""
    arm.look_at(Radiance(np.ones((height, width, 3), np.float32)))
    arm._at_white = Photons(np.full((height, width, 3), photons_per_us, np.float32))
    arm.light = 1.0
    return arm


@pytest.fixture(scope="module")
def bench(exlpose):
    """A rig of 1000×1000 pixels with a pedestal, one colour response, and figures to find again."""
    chip = change(
        exlpose.sensor, black_level_dn=200.0, black_bias_dn=(0.0,) * 4, quantum_efficiency=(0.6,) * 3,
        hot_pixels_per_million=0.0, prnu_percent=1.5, dsnu_e=4.0, full_well_e=30000.0, adc_bits=14, gain_dn_per_e=0.8,
        read_noise=(NoiseSegment(ln_sigma_slope=1, ln_sigma_intercept=math.log(5.0)),), row_noise=(),
    )  # fmt: skip
    return exlpose.model_copy(update={"sensor": chip, "width_px": 1000, "height_px": 1000})


@pytest.mark.parametrize("gain_db", [0.0, 12.0])
def test_photon_transfer_gives_back_gain_noise_and_maps(bench, gain_db):
    k = 0.8 * 10 ** (gain_db / 20)
    arm = staring(arm_of(bench), 1.0, 1000, 1000)
    darks = [arm.grab(1e-3, gain_db).counts.astype(float) for _ in range(2)]
    dark_mean = np.mean(darks)
    dark_var = np.var(darks[0] - darks[1]) / 2
    means, variances = [], []
    for share in np.linspace(0.1, 0.8, 10):
        exposure = share * 14000 / k / 0.6
        one, two = (arm.grab(exposure, gain_db).counts.astype(float) for _ in range(2))
        means.append((one.mean() + two.mean()) / 2 - dark_mean)
        variances.append(np.var(one - two) / 2 - dark_var)
    means, variances = np.array(means), np.array(variances)
    found_k = (means * variances).sum() / (means**2).sum()
    assert found_k == pytest.approx(k, rel=0.005)
    read_e = math.sqrt(dark_var - 1 / 12) / found_k
    assert read_e == pytest.approx(5.0, rel=0.02)
    stack_light = np.mean([arm.grab(exposure, gain_db).counts.astype(float) for _ in range(16)], axis=0)
    stack_dark = np.mean([arm.grab(1e-3, gain_db).counts.astype(float) for _ in range(16)], axis=0)
    spatial_dark = stack_dark.var() - dark_var / 16
    assert math.sqrt(spatial_dark) / found_k == pytest.approx(4.0, rel=0.05)
    spatial_light = stack_light.var() - (variances[-1] + dark_var) / 16
    prnu = math.sqrt(spatial_light - spatial_dark) / (stack_light.mean() - stack_dark.mean())
    assert prnu == pytest.approx(0.015, rel=0.05)


def test_the_fused_kernel_is_the_two_stages_bit_for_bit(exlpose):
    rig = exlpose.model_copy(update={"width_px": 64, "height_px": 48})
    arm = arm_of(rig)
    photons = Photons(np.random.default_rng(0).gamma(1, 50, (48, 64, 3)).astype(np.float32))
    chip, out = sensor.numbers(rig.sensor, 1000, 40), readout.numbers(rig.sensor, 12.0, "S")
    lines = readout.line_noise(rig.sensor, 12.0, "S", 48, 64, streams.generator(0, "l"))
    key = streams.key_words(0, 1, 2, "S")
    staged = readout.digitise(sensor.expose(photons, arm.maps, chip, key), arm.maps.offset_e, lines, out, key)
    assert (capture(photons, arm.maps, lines, chip, out, key) == staged).all()


@pytest.mark.parametrize("binning", [1, 2])
def test_the_torch_path_has_the_same_mean_and_variance(exlpose, binning):
    height, width = 400, 400
    rig = exlpose.model_copy(update={"width_px": width, "height_px": height, "binning": binning})
    arm = arm_of(rig)
    photons = Photons(np.full((height, width, 3), 40.0 * binning**2, np.float32))
    chip, out = sensor.numbers(rig.sensor, 1000, 40), readout.numbers(rig.sensor, 12.0, "S")
    lines = readout.line_noise(rig.sensor, 12.0, "S", height * binning, width * binning, streams.generator(0, "l"))
    key = streams.key_words(0, 1)
    ours = capture(photons, arm.maps, lines, chip, out, key, binning).astype(float)
    theirs = capture_torch(photons, arm.maps, lines, chip, out, key, binning, "cpu").astype(float)
    for at in (np.s_[0::2, 0::2], np.s_[0::2, 1::2], np.s_[1::2, 1::2]):
        n = ours[at].size
        sigma = ours[at].std()
        assert theirs[at].mean() == pytest.approx(ours[at].mean(), abs=5 * sigma * math.sqrt(2 / n))
        assert theirs[at].var() == pytest.approx(ours[at].var(), rel=5 * math.sqrt(4 / n))


ROW_E, COLUMN_E, TEMPORAL_ROW_E = 1.2, 0.8, 1.5


@pytest.fixture(scope="module")
def lined(bench):
    """The bench's rig with fixed rows and columns beside temporal row noise."""
    law = (NoiseSegment(ln_sigma_slope=1, ln_sigma_intercept=math.log(TEMPORAL_ROW_E)),)
    return bench.model_copy(
        update={"sensor": change(bench.sensor, dsnu_row_e=ROW_E, dsnu_column_e=COLUMN_E, row_noise=law)}
    )


def dark(rig, which, shot, torch_path=False):
    """A dark of one arm, e⁻ above black, by the kernels or by torch."""
    arm, chip = arm_of(rig, which), rig.sensor
    key = streams.key_words(0, 0, shot, arm.serial)
    lines = readout.line_noise(chip, 0.0, arm.serial, 1000, 1000, streams.generator(0, 0, shot, arm.serial, "lines"))
    photons = Photons(np.zeros((1000, 1000, 3), np.float32))
    told = (photons, arm.maps, lines, sensor.numbers(chip, 1.0, 25.0), readout.numbers(chip, 0.0, arm.serial), key, 1)
    counts = capture_torch(*told, "cpu") if torch_path else capture(*told)
    return (counts.astype(float) - chip.black_level_dn.value) / chip.gain_dn_per_e.value


def pixels_in_a_mean_of_1000(rig):
    """Variance that single pixels leave in the mean of a row or column, e⁻²: (fixed, temporal)."""
    read = 5.0**2 + 1 / 12 / rig.sensor.gain_dn_per_e.value**2
    return rig.sensor.dsnu_e.value**2 / 1000, read / 1000


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
def test_row_means_of_two_frames_correlate_as_the_fixed_share_of_their_variance(lined, torch_path):
    # Closed form: fixed / (fixed + temporal), in variances. Fisher's z of a correlation has the error 1/√(n − 3).
    one, two = (dark(lined, "low_light", shot, torch_path).mean(axis=1) for shot in (0, 1))
    fixed, temporal = np.add((ROW_E**2, TEMPORAL_ROW_E**2), pixels_in_a_mean_of_1000(lined))
    z = math.atanh(np.corrcoef(one, two)[0, 1]) - math.atanh(fixed / (fixed + temporal))
    assert abs(z) < 4.5 / math.sqrt(997)
    # What differs is temporal alone: the fixed part goes, frame by frame the rows are new.
    low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], 999)
    assert low < np.var(one - two) * 1000 / (2 * temporal) < high


@pytest.mark.parametrize("torch_path", [False, True], ids=["numba", "torch"])
def test_the_mean_of_many_frames_shows_the_rows_and_columns_of_the_camera(lined, torch_path):
    count = 6
    mean = np.mean([dark(lined, "low_light", shot, torch_path) for shot in range(count)], axis=0)
    drawn = arm_of(lined, "low_light").maps.offset_e.astype(float)
    pixel = pixels_in_a_mean_of_1000(lined)[1]
    low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], 999)
    for axis, temporal in ((1, TEMPORAL_ROW_E**2 + pixel), (0, pixel)):
        assert low < np.var((mean - drawn).mean(axis=axis)) * 1000 / (temporal / count) < high


def test_rows_of_the_two_arms_have_nothing_in_common(lined):
    well, low = (dark(lined, which, 0).mean(axis=1) for which in ("well_lit", "low_light"))
    assert abs(np.corrcoef(well, low)[0, 1]) < 4.5 / math.sqrt(997)


def test_fixed_rows_are_the_sensors_own_under_binning(quiet, exlpose):
    # Without noise and light a pixel is ⌊K·offset + 64 + ½⌋; a frame pixel adds up two rows and columns of its colour.
    chip = change(quiet, dsnu_row_e=9.0, dsnu_column_e=5.0)
    rig = exlpose.model_copy(update={"sensor": chip, "binning": 2, "width_px": 64, "height_px": 48})
    arm = staring(arm_of(rig), 0.0, 48, 64)
    each = np.floor(arm.maps.offset_e.astype(float) * 0.383 + 64.5)
    binned = each.reshape(24, 2, 2, 32, 2, 2).sum(axis=(1, 4)).reshape(48, 64)
    assert arm.maps.offset_e.shape == (96, 128)
    assert (arm.grab(1.0, 0.0).counts == binned).all()


def test_fixed_rows_do_not_depend_on_threads(lined):
    one, before = dark(lined, "low_light", 0), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert (dark(lined, "low_light", 0) == one).all()
    finally:
        torch.set_num_threads(before)


def test_binning_is_the_sum_of_the_pixels_it_bins(ideal):
    # Without noise every pixel gives ⌊K·QE·photons/n² + 64 + ½⌋, and n² of them add up.
    rig = ideal.model_copy(update={"binning": 4, "width_px": 40, "height_px": 40})
    arm = staring(arm_of(rig), 1600.0, 40, 40)
    raw = arm.grab(1.0, 0.0)
    each = np.floor(0.383 * np.array(rig.sensor.quantum_efficiency.value) * 100 + 64.5)
    assert raw.counts[0, 0] == 16 * each[0]
    assert raw.counts[0, 1] == raw.counts[1, 0] == 16 * each[1]
    assert raw.counts[1, 1] == 16 * each[2]
    assert (raw.black_level_dn, raw.white_level_dn) == ((1024,) * 4, 65520)


def test_the_noise_profile_is_the_noise(bench):
    arm = staring(arm_of(bench), 1.0, 1000, 1000)
    for exposure, gain_db in ((1e-3, 0.0), (4000.0, 0.0), (1500.0, 18.0)):
        one, two = arm.grab(exposure, gain_db), arm.grab(exposure, gain_db)
        a, b = (normalise(r.counts, r.black_level_dn, r.white_level_dn).numpy() for r in (one, two))
        slope, offset = one.noise_profile[1]
        due = slope * max(float(a.mean()), 0.0) + offset
        assert np.var(a - b) / 2 == pytest.approx(due, rel=5 * math.sqrt(2 / a.size) + 0.001)


def test_the_ideal_rig_is_the_closed_form(ideal):
    """Scene → counts → picture without noise: every stage by hand."""
    rig = ideal.model_copy(update={"width_px": 32, "height_px": 32})
    arm = arm_of(rig)
    colour = np.array([0.2, 0.5, 0.1])
    arm.look_at(Radiance(np.broadcast_to(colour.astype(np.float32), (32, 32, 3)).copy()))
    arm.light = 20.0
    raw = arm.grab(1000.0, 6.0)
    k = 0.383 * 10 ** (6 / 20)
    mixed = np.array(rig.sensor.rec709_to_camera.value) @ colour
    electrons = 0.5 * mixed * 20 * 1000 * np.array(rig.sensor.quantum_efficiency.value)
    due = np.floor(electrons * k + 64.5)
    assert [raw.counts[0, 0], raw.counts[0, 1], raw.counts[1, 1]] == due.tolist()
    linear = isp.develop_raw(raw, rig.well_lit.isp)
    # White balanced and unmixed, the picture is the scene again, up to one common factor and the ADC's step.
    seen = linear[0, :, 16, 16].numpy()
    assert seen / seen.sum() == pytest.approx(colour / colour.sum(), abs=2e-3)


def test_both_arms_of_the_ideal_rig_see_the_same_place(ideal):
    well, low = (
        optics.view(arm, ideal.beam_splitter, ideal.nd_filter, ideal.lens, ideal.sensor, 1)
        for arm in (ideal.well_lit, ideal.low_light)
    )
    assert optics.between(low, well, 300, 480) == pytest.approx(np.eye(3))


def test_frames_repeat_by_key_and_differ_by_shot(exlpose):
    rig = exlpose.model_copy(update={"width_px": 64, "height_px": 64})
    arm = staring(arm_of(rig), 0.05, 64, 64)
    arm.next_frame = Frame(3, 1, 0)
    first, second = arm.grab(1000, 10.0), arm.grab(1000, 10.0)
    arm.next_frame = Frame(3, 1, 1)
    assert (arm.grab(1000, 10.0).counts == second.counts).all()
    assert (first.counts != second.counts).mean() > 0.5


def test_a_camera_that_looks_at_nothing_says_so(exlpose):
    with pytest.raises(ValueError, match=r"has no scene set: call look_at\(\) first"):
        arm_of(exlpose.model_copy(update={"width_px": 64, "height_px": 64})).grab(1000, 0.0)


def test_a_scene_larger_than_the_sensor_is_refused(exlpose):
    arm = arm_of(exlpose.model_copy(update={"width_px": 64, "height_px": 64}))
    with pytest.raises(ValueError, match=r"a scene of 66×64 px: rig exlpose takes even sizes up to 64×64"):
        arm.look_at(Radiance(np.ones((64, 66, 3), np.float32)))
