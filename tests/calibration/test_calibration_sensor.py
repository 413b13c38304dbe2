"""Sensor calibration: a real set's published results, simulated cameras' own figures, what bad sessions are told."""

import dataclasses
import math
import time

import cv2
import numpy as np
import pytest
from conftest import change

from calibration.emva import defect_pixels, figures, gain_law, session_files, simulated
from calibration.emva.characterise import calibrated
from calibration.emva.confidence import Estimate, around, jackknifed, replicates
from calibration.emva.frame_statistics import measure, residual
from calibration.emva.nonuniformity import emva_parts, even_parts
from calibration.emva.photon_transfer import phase_sums
from calibration.emva.row_noise import rows_of
from calibration.emva.session import Session, Setting, Source
from calibration.sensor import main
from calibration.sensor_file import sensor_file
from isp_sim import readout
from isp_sim.dng import write_dng
from isp_sim.generate import main as generate
from isp_sim.raw import Raw
from isp_sim.rigfile import load_rig, load_sensor
from isp_sim.units import Counts

HEIGHT, WIDTH = 120, 160


def calibrate(session):
    return calibrated(session, threads=1)


@pytest.fixture(scope="module")
def set001(shared_set):
    return calibrate(session_files.open_session(shared_set))


@pytest.fixture(scope="module")
def shared_set():
    from conftest import SHARED

    path = SHARED / "emva1288" / "set001" / "EMVA1288_Data.txt"
    if not path.is_file():
        pytest.skip(f"no development data at {path}")
    return path


def test_the_real_set_gives_the_published_results(set001):
    # EMVA 1288 reference set 001, as published with it.
    assert set001.gain_dn_per_e.value == pytest.approx(0.2808, rel=0.005)
    (channel,) = set001.channels
    assert channel.quantum_efficiency.value == pytest.approx(0.4514, rel=0.005)
    assert set001.temporal_dark_noise_e.value == pytest.approx(10.90, rel=0.005)
    assert channel.saturation_photons.value == pytest.approx(30957, rel=0.005)
    assert set001.emva_prnu_percent.total.value == pytest.approx(0.4327, rel=0.01)
    assert set001.emva_dsnu_e.total.value == pytest.approx(0.5518, rel=0.01)


def test_the_parts_of_the_real_sets_nonuniformity_add_up(set001):
    for one in (set001.emva_dsnu_e, set001.emva_prnu_percent, set001.dsnu_e, set001.prnu_percent):
        parts = one.row.value**2 + one.column.value**2 + one.pixel.value**2
        assert parts == pytest.approx(one.total.value**2, rel=1e-9)


def test_the_parts_of_the_real_sets_dsnu_are_what_two_halves_of_the_stack_share(set001, shared_set):
    # What two means of other frames have in common is fixed: an estimate that subtracts no temporal noise at all.
    session = session_files.open_session(shared_set)
    darks = max((s for s in session.frames if s.kind == "dark"), key=lambda s: len(session.frames[s]))
    frames = [source.read() / set001.gain_dn_per_e.value for source in session.frames[darks]]
    halves = [np.mean(frames[first::2], axis=0) for first in (0, 1)]
    shared = [np.mean(np.prod([h.mean(axis=a) - h.mean() for h in halves], axis=0)) for a in (1, 0)]
    rest = [h - h.mean(axis=1, keepdims=True) - h.mean(axis=0) + h.mean() for h in halves]
    shared.append(np.mean(rest[0] * rest[1]))
    height, width = halves[0].shape
    # The errors of the products: temporal noise of either half, 119 e⁻² of pixels and 3.3 e⁻² of rows over 25 frames.
    row, pixel = 3.3 / 25, 119 / 25
    errors = (
        (row + pixel / width) / math.sqrt(height),
        pixel / height / math.sqrt(width),
        pixel / math.sqrt(height * width),
    )
    found = set001.emva_dsnu_e
    for part, due, error in zip((found.row, found.column, found.pixel), shared, errors, strict=True):
        assert part.value**2 == pytest.approx(due, abs=3 * error + 0.01 * due)
    # A CCD: its columns are most of it.
    assert found.column.value == pytest.approx(math.sqrt(shared[1]), rel=0.01)
    assert found.column.value > 4 * found.row.value


def test_a_rig_with_the_real_sets_sensor_makes_pairs(set001, tmp_path):
    text = sensor_file(set001, "ccd", load_sensor("ideal"), max_gain_db=30.0)
    (tmp_path / "ccd.yaml").write_text(text)
    chip = load_sensor(tmp_path / "ccd.yaml")
    assert chip.dsnu_column_e.value == pytest.approx(set001.dsnu_e.column.value, rel=1e-5)
    assert (chip.dsnu_row_e.value, chip.dsnu_row_e.status) == (0, "measured")  # not above its own error
    assert "none above its own error" in chip.dsnu_row_e.source
    rig = tmp_path / "rig.yaml"
    rig.write_text(
        "extends: exlpose\nname: ccd-rig\nwidth_px: 640\nheight_px: 480\nsensor: ccd.yaml\nschedule:\n  mixes:\n"
        "    {status: assumed, source: for a test, value: [{name: desk, ratios: [1, 2], bases: [[10000, 6.0]]}]}\n"
    )
    assert generate(["--rig", str(rig), "--count", "2", "--scenes", "charts", "--out", str(tmp_path / "set")]) == 0
    assert len(list((tmp_path / "set" / "raw").glob("*.dng"))) == 4


def test_dark_current_of_the_real_set_is_that_of_the_means(set001):
    assert set001.dark_current_e_per_s.holds(28.4)
    assert set001.dropped == ()


@pytest.fixture(scope="module")
def small_camera():
    """A colour camera with every kind of noise, calibrated at 120×160."""
    chip = load_sensor("canon_eos_70d")
    chip = change(
        chip,
        column_noise=({"ln_sigma_slope": 1.0, "ln_sigma_intercept": math.log(0.4)},),
        periodic_noise={"amplitude_dn": 1.5, "period_rows": 12.0},
        prnu_percent=0.8,
        prnu_row_percent=0.4,
        prnu_column_percent=0.3,
        dsnu_row_e=0.7,
        dsnu_column_e=0.6,
        hot_pixels_per_million=1500.0,
        dark_current_e_per_s=6.0,
    )
    chip = type(chip).model_validate_json(chip.model_dump_json(warnings=False))
    return chip, calibrate(simulated.simulated_session(chip, 3, HEIGHT, WIDTH))


def within(estimate: Estimate, truth: float) -> bool:
    """Four standard errors: what a test of one session may ask for."""
    return abs(estimate.value - truth) <= 4 * estimate.error


def test_a_simulated_camera_is_found_again(small_camera):
    chip, found = small_camera
    assert within(found.gain_dn_per_e, chip.gain_dn_per_e.value)
    assert within(found.prnu_percent.pixel, 0.8)
    assert within(found.prnu_percent.row, 0.4)
    assert within(found.prnu_percent.column, 0.3)
    assert within(found.dsnu_e.pixel, chip.dsnu_e.value)
    assert within(found.dsnu_e.row, 0.7)
    assert within(found.dsnu_e.column, 0.6)
    assert within(found.dark_current_e_per_s, 6.0)
    assert found.full_well_e.value == pytest.approx(chip.full_well_e.value, rel=0.01)
    assert found.hot.per_million.low < 1500 < found.hot.per_million.high
    for phase, black in enumerate(found.black_dn):
        assert within(black, chip.black_level_dn.value + chip.black_bias_dn.value[phase])
    for channel in found.channels:
        assert within(channel.quantum_efficiency, 0.5)


def test_each_kind_of_noise_is_told_from_the_others(small_camera):
    chip, found = small_camera
    serial = simulated.serial(chip, 3)
    assert found.tukey
    for point in found.points:
        out = readout.numbers(chip, point.gain_db, serial)
        row, _ = readout.noise_at(chip.row_noise.value, out.gain_dn_per_e, serial, "row noise")
        assert within(point.noise.scale_dn, out.sigma_dn)
        assert within(point.noise.shape, out.tukey_lambda)
        assert within(point.rows.row_dn, row) or row < point.rows.row_dn.high
        assert within(point.rows.column_dn, 0.4 * out.gain_dn_per_e)
    assert within(found.periodic.amplitude_dn, 1.5)
    assert found.periodic.period_rows.holds(12.0)


def test_figures_intervals_hold_the_truth_as_often_as_they_say():
    # A reduced run of benchmarks/calibration_coverage.py: 5 cameras, the figures every one of them has.
    held = []
    chip = load_sensor("sony_a7s2")
    for seed in range(5):
        found = calibrate(simulated.simulated_session(chip, seed, 96, 128))
        serial = simulated.serial(chip, seed)
        held += [found.gain_dn_per_e.holds(chip.gain_dn_per_e.value), found.dsnu_e.pixel.holds(0.5)]
        held += [found.prnu_percent.pixel.holds(0.5)]
        for point in found.points:
            out = readout.numbers(chip, point.gain_db, serial)
            held += [point.noise.scale_dn.holds(out.sigma_dn), point.noise.shape.holds(out.tukey_lambda)]
    # 135 of them; at 95 % fewer than 0.88 come by chance once in 1,000, correlation within a session aside.
    assert len(held) == 5 * (3 + 24)
    assert sum(held) / len(held) >= 0.88


def test_the_second_conversion_gain_is_found_where_it_is():
    chip = load_sensor("sony_a7s2")
    found = calibrate(simulated.simulated_session(chip, 0, 96, 128))
    assert len(found.read_lines) == 2
    assert found.read_lines[1].from_k.holds(chip.read_noise.value[1].from_k_dn_per_e)


def test_one_line_stays_one_line():
    # 100 cameras of one segment with scatter: a second line would be false.
    rng = np.random.default_rng(7)
    ln_k = np.linspace(-2, 3, 12)
    gains = [around(math.exp(x), 1e-3 * math.exp(x)) for x in ln_k]
    wrong = 0
    for _ in range(100):
        sigma = np.exp(0.5 * ln_k + 1 + 0.3 * rng.standard_normal(12))
        wrong += len(gain_law.lines(gains, [around(s, 0.003 * s) for s in sigma])) > 1
    assert wrong <= 5


def test_a_camera_cut_at_zero_is_calibrated_all_the_same():
    chip = load_sensor("imx392")
    found = calibrate(simulated.simulated_session(chip, 1, 160, 240))
    assert found.cut
    assert not found.tukey
    assert within(found.gain_dn_per_e, chip.gain_dn_per_e.value)
    noise = [p for p in found.points if p.noise]
    assert len(noise) >= 8
    errors = [p.noise.std_dn.value / readout.numbers(chip, p.gain_db, "any").sigma_dn - 1 for p in noise]
    assert abs(np.mean(errors)) < 0.01
    assert within(found.black_dn[0], chip.black_bias_dn.value[0])


# The sums.


def frames_of(rng, count, row=0.0, column=0.0, noise=3.0, fixed=2.0, fixed_row=0.0, fixed_column=0.0):
    offset = 200 + fixed * rng.standard_normal((HEIGHT, WIDTH))
    offset += fixed_row * rng.standard_normal((HEIGHT, 1)) + fixed_column * rng.standard_normal((1, WIDTH))
    for _ in range(count):
        lines = row * rng.standard_normal((HEIGHT, 1)) + column * rng.standard_normal((1, WIDTH))
        yield np.rint(offset + lines + noise * rng.standard_normal((HEIGHT, WIDTH))).astype(np.uint16)


def test_sums_are_those_of_the_definitions():
    rng = np.random.default_rng(0)
    frames = [rng.integers(90, 110, (HEIGHT, WIDTH)).astype(np.uint16) for _ in range(6)]
    level = measure(iter(frames), 4095, lines=True, spatial=True, counts=True, image=True)
    pairs = [a.astype(float) - b for a, b in zip(frames[::2], frames[1::2], strict=True)]
    for phase in range(4):
        at = (slice(phase // 2, None, 2), slice(phase % 2, None, 2))
        mean, variance = phase_sums(level, [phase])
        assert mean[0] == pytest.approx(np.mean([f[at] for f in frames]), rel=1e-9)
        assert variance[0] == pytest.approx(np.mean([d[at].var() / 2 for d in pairs]), rel=1e-5)
    assert level.counts.sum() == 6 * HEIGHT * WIDTH
    assert level.counts.sum(axis=(0, 1))[100 - level.first_bin] == sum((f == 100).sum() for f in frames)
    assert np.array_equal(level.spatial.image, np.mean(frames, axis=0, dtype=np.float64).astype(np.float32))


def test_rows_and_columns_are_told_from_pixels():
    level = measure(frames_of(np.random.default_rng(1), 40, row=1.0, column=0.5), 4095, True, True, False, False)
    rows, wave = rows_of(level)
    assert rows.row_dn.holds(1.0)
    assert rows.column_dn.holds(0.5)
    assert wave is None


def test_white_noise_has_no_rows_or_waves():
    alarms = 0
    for seed in range(20):
        level = measure(frames_of(np.random.default_rng(seed), 4), 4095, True, False, False, False)
        rows, wave = rows_of(level)
        alarms += (rows.row_dn.low > 0) + (wave is not None)
    assert alarms <= 3  # 20 × 2.5 % = 0.5 are expected


@pytest.mark.parametrize("phases", [(0, 1, 2, 3), (2,)], ids=["mono", "one colour"])
def test_the_split_is_that_of_its_definition(phases):
    # EMVA 1288 release 4 in NumPy, by differences of frames; nothing here is banded, summed or cached.
    frames = list(frames_of(np.random.default_rng(3), 16, row=1.5, column=0.5, fixed_row=1.0, fixed_column=0.7))
    level = measure(iter(frames), 4095, lines=True, spatial=True, counts=False, image=False)
    at = np.s_[1::2, ::2] if phases == (2,) else np.s_[:, :]
    stack = np.array([frame[at] for frame in frames], float)
    count, m, n = stack.shape
    mean, pairs = stack.mean(axis=0), stack[::2] - stack[1::2]
    total = mean.var() - stack.var(axis=0, ddof=1).mean() / count
    rows, columns = (
        mean.mean(axis=a).var() - np.mean([p.mean(axis=a).var() / 2 for p in pairs]) / count for a in (1, 0)
    )
    pixel = m * n / (m * n - m - n) * (total - rows - columns)
    parts = emva_parts(level, phases)
    seen = (parts.total[0], parts.row[0], parts.column[0], parts.pixel[0])
    assert seen == pytest.approx((total, rows - pixel / n, columns - pixel / m, pixel), rel=1e-4)


@pytest.mark.parametrize("split", [emva_parts, even_parts])
def test_fixed_rows_and_columns_are_told_from_temporal_ones(split):
    # Temporal noise of rows leaves 3²/16 in a mean of 16 frames, more than the fixed rows have: it is taken off.
    told = []
    for seed in range(24):
        frames = frames_of(np.random.default_rng(seed), 16, row=3.0, column=1.0, fixed_row=0.6, fixed_column=0.4)
        parts = split(measure(frames, 4095, True, True, False, False), (0, 1, 2, 3))
        told.append((parts.row[0], parts.column[0], parts.pixel[0]))
    error = np.std(told, axis=0, ddof=1) / math.sqrt(len(told))
    # Rounding to whole counts adds nothing to a fixed part under 3 DN of noise.
    assert (np.abs(np.mean(told, axis=0) - (0.36, 0.16, 4.0)) < 4 * error).all()


@pytest.mark.parametrize("split", [emva_parts, even_parts])
def test_no_fixed_rows_are_found_where_all_are_temporal(split):
    alarms = 0
    for seed in range(40):
        frames = frames_of(np.random.default_rng(seed), 16, row=2.0, column=1.0)
        found = split(measure(frames, 4095, True, True, False, False), (0, 1, 2, 3)).root()
        alarms += (found.row.low > 0) + (found.column.low > 0)
    assert alarms <= 7  # 80 × 2.5 % = 2 are expected, more than 7 come by chance once in 1,000


def test_shading_and_outliers_do_not_count_as_nonuniformity():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[-1:1:60j, -1:1:80j]
    plane = 1000 * (1 - 0.1 * (x**2 + y**2) + 0.03 * x * y) + 5 * rng.standard_normal((60, 80))
    plane[3, 4], plane[50, 60] = 4000, 0
    rest, wild, _ = residual(plane)
    assert wild.sum() == 2
    assert wild[3, 4]
    assert wild[50, 60]
    assert rest.std() == pytest.approx(5, rel=4 / math.sqrt(2 * 4800) + 25 / 4800)


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(3).standard_normal((20, 400))
    estimate = jackknifed(replicates(values.sum(axis=1)) / replicates(np.full(20, 400.0)))
    assert estimate.value == pytest.approx(values.mean())
    by_bands = values.mean(axis=1).std(ddof=1) / math.sqrt(20)
    assert (estimate.high - estimate.low) / 2 == pytest.approx(2.093 * by_bands, rel=1e-3)


def test_threshold_is_where_the_signal_equals_its_noise():
    least = figures.threshold_e(2.0, 0.5)  # SNR = s / √(s + σ²): s² = s + 8
    assert least**2 == pytest.approx(least + 8)


def test_memory_does_not_grow_with_the_frames():
    def held(count):
        level = measure(frames_of(np.random.default_rng(0), count), 4095, True, True, True, False)
        return sum(a.nbytes for a in vars(level).values() if isinstance(a, np.ndarray))

    few, many = held(4), held(40)
    assert few == many


# Sessions on disk.


def flat_field(mean, rng, shape=(HEIGHT, WIDTH), k=0.5, read=4.0, black=100):
    electrons = rng.poisson(mean, shape)
    return np.clip(np.rint(black + k * electrons + read * rng.standard_normal(shape)), 0, 4095).astype(np.uint16)


def session_of(levels, shape=(HEIGHT, WIDTH), darks=2, change_frame=None, leak=0.0, seed=0):
    rng = np.random.default_rng(seed)
    frames: dict[Setting, tuple[Source, ...]] = {}

    def source(name, frame):
        if change_frame:
            frame = change_frame(name, frame)
        return Source(name, lambda: frame)

    for index, mean in enumerate(levels):
        flat = Setting("flat", 0.0, 10.0 * (index + 1), mean * 2.0)
        frames[flat] = tuple(source(f"flat{index}-{n}", flat_field(mean, rng, shape)) for n in range(2))
        dark = Setting("dark", 0.0, 10.0 * (index + 1))
        glow = leak * mean
        frames[dark] = tuple(source(f"dark{index}-{n}", flat_field(glow, rng, shape)) for n in range(darks))
    return Session("test", frames, 4095, 12, "RGGB")


GOOD = tuple(np.linspace(200, 9500, 12))


def test_a_session_of_pairs_alone_is_enough_for_the_photon_transfer():
    found = calibrate(session_of(GOOD))
    assert within(found.gain_dn_per_e, 0.5)
    assert all(within(c.quantum_efficiency, 0.5) for c in found.channels)
    assert within(found.temporal_dark_noise_e, 8.0)


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (session_of([9e4] * 1 + [1e5, 2e5, 3e5]), "saturated pixels"),
        (session_of(GOOD[:1]), "1 exposure with two or more frames"),
        (session_of(GOOD, leak=0.05), "light leaks into them"),
        (Session("none", {Setting("flat", 0, 1): (Source("a", lambda: None),)}, 4095, 12), "expected both: "),
        (session_of([5000] * 12), "does not rise with the light|below 70 %"),
        (session_of(GOOD, shape=(40, 60)), "expected at least 16×80"),
    ],
)  # fmt: skip
def test_a_bad_session_is_told_in_one_sentence(session, told):
    with pytest.raises(ValueError, match=told) as fault:
        calibrate(session)
    assert "\n" not in str(fault.value)


def test_frames_of_two_sizes_are_refused():
    def odd(name, frame):
        return frame[:100] if name == "flat5-1" else frame

    with pytest.raises(ValueError, match=r"flat5-1 has 160×100 px, frames before it 160×120"):
        calibrate(session_of(GOOD, change_frame=odd))


def test_bad_frames_are_dropped_and_named():
    def spoil(name, frame):
        return np.full_like(frame, 7) if name in ("flat4-1", "dark3-2") else frame

    session = session_of(GOOD, darks=5, change_frame=spoil)

    def broken():
        raise OSError("truncated")

    dark = Setting("dark", 0.0, 10.0)
    frames = {**session.frames, dark: (*session.frames[dark], Source("torn", broken))}
    found = calibrate(dataclasses.replace(session, frames=frames))
    assert len(found.dropped) == 3
    assert any("torn: cannot be read" in what for what in found.dropped)
    assert any(what.startswith("dark3-2: mean 7.0") for what in found.dropped)
    assert any(what.startswith("both frames of flat at 0 dB, 50 µs") for what in found.dropped)
    assert within(found.gain_dn_per_e, 0.5)


@pytest.mark.parametrize("wrong", [2, 5])
def test_the_majority_of_a_settings_frames_counts_not_the_first(wrong):
    def mislabelled(name, frame):
        setting, _, number = name.partition("-")
        return np.minimum(frame + 400, 4095) if setting == "dark0" and int(number) < wrong else frame

    found = calibrate(session_of(GOOD, darks=9, change_frame=mislabelled))
    if wrong == 2:
        assert sum(what.startswith("dark0-") for what in found.dropped) == 2
        assert within(found.gain_dn_per_e, 0.5)
    else:
        assert sum(what.startswith("dark0-") for what in found.dropped) == 4  # they have the majority, and are it


def test_a_run_that_drops_most_of_its_frames_fails():
    torn = session_of(GOOD)
    frames = {
        s: (sources[0], *(Source(f"torn{n}", lambda: (_ for _ in ()).throw(OSError("truncated"))) for n in range(9)))
        for s, sources in torn.frames.items()
    }
    with pytest.raises(ValueError, match=r"only \d+ of \d+ frames can be used; .* torn0: cannot be read"):
        calibrate(dataclasses.replace(torn, frames=frames))


@pytest.fixture
def listed(tmp_path):
    lines = ["file,kind,exposure_us,gain_db,photons"]
    for setting, sources in session_of(GOOD).frames.items():
        for source in sources:
            cv2.imwrite(str(tmp_path / f"{source.name}.png"), source.read())
            photons = "" if setting.photons is None else setting.photons
            lines.append(f"{source.name}.png,{setting.kind},{setting.exposure_us},0,{photons}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines))
    return path


def test_the_command_writes_a_sensor_file_that_makes_pairs_and_a_page_that_opens_offline(listed, tmp_path, capsys):
    out = tmp_path / "out"
    asked = [str(listed), "--cfa", "RGGB", "--bits", "12", "--name", "cam", "--out", str(out), "--max-gain-db", "24"]
    assert main(asked) == 0
    assert "next: look at the page" in capsys.readouterr().out
    page = (out / "cam.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page
    sensor = load_sensor(out / "cam.yaml")
    assert sensor.gain_dn_per_e.status == "measured"
    assert "…" in sensor.gain_dn_per_e.source
    assert sensor.dark_current_doubling_k.status == "assumed"
    rig = out / "rig.yaml"
    rig.write_text(
        "extends: exlpose\nname: calibrated\nwidth_px: 160\nheight_px: 120\nsensor: cam.yaml\nschedule:\n  mixes:\n"
        "    {status: assumed, source: for a test, value: [{name: one, ratios: [1, 2], bases: [[5000, 3.0]]}]}\n"
    )
    assert load_rig(rig).sensor == sensor
    assert generate(["--rig", str(rig), "--count", "2", "--scenes", "charts", "--out", str(tmp_path / "set")]) == 0
    assert len(list((tmp_path / "set" / "raw").glob("*.dng"))) == 4


def test_the_command_simulates_a_camera_and_finds_its_file_again(tmp_path, capsys):
    asked = ["--simulate", "sony_a7s2", "--size", "128", "96", "--seed", "2", "--out", str(tmp_path)]
    assert main(asked) == 0
    truth, found = load_sensor("sony_a7s2"), load_sensor(tmp_path / "sony_a7s2_calibrated.yaml")
    assert found.gain_dn_per_e.value == pytest.approx(truth.gain_dn_per_e.value, rel=0.02)
    assert len(found.read_noise.value) == 2
    assert found.cfa == truth.cfa
    assert found.max_gain_db.value == pytest.approx(truth.max_gain_db.value)
    assert "a second conversion gain from" in (tmp_path / "sony_a7s2_calibrated.html").read_text()
    assert "sensor file" in capsys.readouterr().out
    assert main(["--simulate", "ideal", "--size", "128", "96", "--out", str(tmp_path)]) == 1
    assert "does not rise with the light" in capsys.readouterr().err


def test_the_command_tells_faults_in_one_line(listed, tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert main([str(listed), "--simulate", "imx392"]) == 1
    assert main([str(listed), "--cfa", "RGBG"]) == 1
    (tmp_path / "flat0-0.png").unlink()
    assert main([str(listed)]) == 1
    assert main(["--size", "3", "3"]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 5
    assert all(line.startswith("calibration.sensor: ") for line in told)
    assert "1 of its files are missing" in told[-2]
    assert told[-1].endswith("--size 3 3: expected an even width from 64 and an even height from 80")


def test_a_folder_at_fault_is_named_as_it_was_given(tmp_path, capsys):
    for part in ("flats", "darks"):
        (tmp_path / "session" / part).mkdir(parents=True)
    (tmp_path / "session" / "flats" / "a.dng").write_text("no DNG")
    assert main([str(tmp_path / "session")]) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path / 'session' / 'flats' / 'a.dng'} cannot be read by LibRaw: " in told and "b'" not in told
    (sources,) = list(session_of(GOOD[:1]).frames.values())[:1]
    how = (100.0, 0.0, 100, (1.0, 1.0, 1.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), (), "maker", "model", "1")
    write_dng(
        tmp_path / "session" / "flats" / "a.dng", Raw(Counts(sources[0].read()), "GRBG", (100.0,) * 4, 4095, *how)
    )
    assert main([str(tmp_path / "session")]) == 1
    assert f"calibration.sensor: {tmp_path / 'session'}: 1 settings of flats and 0 of darks" in capsys.readouterr().err
    (tmp_path / "session" / "dark").mkdir()
    assert main([str(tmp_path / "session")]) == 1
    assert "session/dark: a folder that is no part of a session; expected flats/ and darks/" in capsys.readouterr().err


def test_lists_and_emva_files_name_the_line_at_fault(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file,kind,exposure_us,gain_db\na.png,bright,1,0\n")
    with pytest.raises(ValueError, match=r"list.csv:2: kind = 'bright': expected flat or dark"):
        session_files.open_session(path)
    path.write_text("file,kind\n")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) exposure_us, gain_db"):
        session_files.open_session(path)
    text = tmp_path / "data.txt"
    text.write_text("v 3.0\nn 12 640 480\nb fast 120\n")
    with pytest.raises(ValueError, match=r"data.txt:3: 'b fast 120' is not a line"):
        session_files.open_session(text)


def test_a_folder_of_dng_is_a_session(tmp_path):
    for part in ("flats", "darks"):
        (tmp_path / part).mkdir()
    matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    for setting, sources in session_of(GOOD[::2]).frames.items():
        for source in sources:
            how = (setting.exposure_us, 0.0, 100, (1.0, 1.0, 1.0), matrix, (), "maker", "model", "1")
            raw = Raw(Counts(source.read()), "GRBG", (100.0,) * 4, 4095, *how)
            write_dng(tmp_path / f"{setting.kind}s" / f"{source.name}.dng", raw)
    session = session_files.open_session(tmp_path)
    assert (session.cfa, session.white_level_dn, session.make) == ("GRBG", 4095, "maker")
    found = calibrate(session)
    assert within(found.gain_dn_per_e, 0.5)
    assert [c.name for c in found.channels] == ["R", "G1", "G2", "B"]


def test_a_session_is_calibrated_as_fast_as_it_is_read(shared_set):
    """300 frames of 640×480 in 3 s on two cores: under 6 s of processor time, reading included."""
    session = session_files.open_session(shared_set)
    start = time.process_time()
    calibrate(session)
    assert time.process_time() - start < 6.0


def test_a_single_faint_hot_pixel_does_not_stand_for_millions():
    """A hair above the threshold: its excess says nothing of how many lie below."""
    stream = np.random.default_rng(0)
    short = np.zeros((100, 100))
    long = stream.normal(0, 0.5, (100, 100)).clip(-1, 1)
    threshold = defect_pixels.hot_pixels(short, long, 10.0, 0.1, 10_000, 0.5)
    assert threshold.found == 0 and threshold.per_million.value == 0
    long[50, 50] = max(defect_pixels.HOT_SIGMA * 0.5, 3.0) + float(np.median(long)) + 1e-3
    hot = defect_pixels.hot_pixels(short, long, 10.0, 0.1, 10_000, 0.5)
    assert hot.found == 1 and hot.brightest == ((50, 50),)
    assert hot.per_million.low <= hot.per_million.value <= 100 / defect_pixels.SEEN_AT_LEAST
    assert hot.per_million.value < hot.per_million.high < math.inf
