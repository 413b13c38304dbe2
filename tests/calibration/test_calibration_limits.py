"""What a calibration does not know: a response that bends, codes that do not begin at bit 0, too many digits."""

from functools import partial

import cv2
import numpy as np
import pytest

from calibration.emva import session_files
from calibration.emva.characterise import calibrated
from calibration.emva.confidence import Estimate
from calibration.emva.fixed_waves import fixed_waves, without_waves
from calibration.emva.nonuniformity import Nonuniformity
from calibration.emva.photon_transfer import Curve
from calibration.emva.session import Session, Setting, Source
from calibration.sensor_yaml import within

K, QE = 0.25, 0.6


def curve(bend, photons=None):
    """A channel whose signal is `K·e·(1 − bend·(e/16000)²)`; its variance goes with the slope's square."""
    photons = np.linspace(500, 18000, 24) if photons is None else photons
    electrons = QE * photons
    share = bend * (electrons / 16000) ** 2
    signal, variance = K * electrons * (1 - share), K * K * electrons * (1 - 3 * share) ** 2
    both = [np.tile(one, (21, 1)) for one in (signal, variance)]
    rest = np.zeros(21)
    fitted = signal <= 0.7 * signal.max()
    return Curve(photons, photons, *both, both[0], rest, rest, len(photons) - 1, fitted, False)


@pytest.mark.parametrize("bend", [0.0, 0.005, 0.02, -0.02])
def test_the_gain_of_faint_light_is_the_cameras_however_its_response_bends(bend):
    seen = curve(bend)
    assert seen.gain_at_origin == pytest.approx(np.full(21, K), rel=1e-6)
    assert seen.response.terms[0] / seen.gain_at_origin == pytest.approx(np.full(21, QE), rel=1e-6)
    light = 9000.0
    share = bend * (QE * light / 16000) ** 2
    assert seen.response.contrast(light) == pytest.approx((1 - 3 * share) / (1 - share), rel=1e-6)
    signal = K * QE * light * (1 - share)
    assert seen.response.linearised(np.full(21, signal)) == pytest.approx(np.full(21, K * QE * light), rel=1e-6)
    assert abs(seen.gain[0] / K - 1) >= abs(bend) / 2  # EMVA's slope to 70 % is off


def test_three_levels_give_a_line_and_no_curvature():
    seen = curve(0.02, np.array([2000.0, 4000.0, 6000.0, 18000.0]))
    assert np.all(seen.response.terms[1:] == 0)
    assert seen.gain_at_origin == pytest.approx(seen.gain, rel=0.02)


def test_intervals_hold_a_camera_whose_response_bends_by_two_percent():
    """A full pixel of 16,000 e⁻ lies 2 % below the line; EMVA's K, kept as the value, is some per cent off."""
    stream, frames = np.random.default_rng(0), {}

    def taken(electrons):
        seen = stream.poisson(electrons, (120, 160)) + 8 * stream.standard_normal((120, 160))
        counts = (100 + K * seen * (1 - 0.02 * (seen / 16000) ** 2)).round().clip(0, 4095)
        return counts.astype(np.uint16)

    for n, electrons in enumerate(np.linspace(300, 17000, 24)):
        for kind in ("flat", "dark"):
            light = (kind == "flat") * electrons
            setting = Setting(kind, 0.0, 10.0 * (n + 1), light / QE if light else None)
            frames[setting] = tuple(Source(f"{kind}{n}-{i}", partial(taken, light)) for i in range(2))
    found = calibrated(Session("bent", frames, 4095, 12), threads=1)
    assert found.gain_dn_per_e.value < 0.985 * K
    assert found.gain_dn_per_e.holds(K) and found.gain_dn_per_e.half < 0.03 * K
    assert found.channels[0].quantum_efficiency.holds(QE)
    assert found.temporal_dark_noise_e.holds(8.0)


def session(folder, shift, stated=None):
    """Frames of an ADC of 12 bits, stored `shift` bits up."""
    stream, lines = np.random.default_rng(0), ["file,kind,exposure_us,gain_db"]
    for exposure, level in ((1, 200), (2, 1000), (3, 2500), (4, 4095)):
        for kind in ("flat", "dark"):
            mean = level if kind == "flat" else 100
            frame = stream.normal(mean, 6, (80, 64)).clip(0, 4095).round().astype(np.uint16) << shift
            cv2.imwrite(str(folder / f"{kind}{exposure}.png"), frame)
            lines.append(f"{kind}{exposure}.png,{kind},{exposure},0")
    (folder / "list.csv").write_text("\n".join(lines))
    return session_files.open_session(folder / "list.csv", bits=stated)


@pytest.mark.parametrize(("shift", "stated"), [(0, None), (4, None), (4, 12), (0, 12)])
def test_bits_of_the_adc_are_found_by_how_codes_lie(tmp_path, shift, stated):
    found = session(tmp_path, shift, stated)
    assert (found.adc_bits, found.white_level_dn) == (12, 4095)
    brightest = max(found.frames, key=lambda s: (s.kind, s.exposure_us))
    assert found.frames[brightest][0].read().max() == 4095


def test_codes_that_need_more_bits_than_stated_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"list\.csv: its codes need 12 bits; expected the ADC's 10 at most"):
        session(tmp_path, 0, 10)


@pytest.mark.parametrize(
    ("value", "half", "written"),
    [
        (24567.8912, 100, 24567.9),
        (24567.8912, 0.001, 24567.891),
        (24567.8912, 0, 24567.8912),
        (-0.12345678, 1, -0.123457),
    ],
)
def test_a_figure_is_never_rounded_out_of_its_interval(value, half, written):
    assert within(value, Estimate.within(value, half)) == written
    assert within(value / 2, Estimate.within(value, half)) == pytest.approx(
        value / 2, abs=max(half / 2, 1e-12) + 5e-7 * abs(value)
    )


def test_offsets_that_repeat_are_told_with_their_period_and_are_not_drawn_as_white_columns():
    stream = np.random.default_rng(3)
    white = stream.normal(0, 0.4, (240, 320)) + stream.normal(0, 0.1, 320)
    assert fixed_waves(white) == ()
    (wave,) = fixed_waves(white + 0.3 * np.sin(2 * np.pi * np.arange(320) / 8 + 1))
    assert wave.along == "columns" and wave.period.holds(8)
    assert wave.amplitude_dn.holds(0.3) and wave.amplitude_dn.half < 0.05
    hot = white + (stream.random(white.shape) < 1e-3) * 500 + np.linspace(0, 5, 240)[:, None] ** 2
    assert fixed_waves(hot) == (), "hot pixels and glow are no waves"
    parts = [Estimate.within(value, 0.01) for value in (0.5, 0.1, np.hypot(0.2, 0.3 / np.sqrt(2)), 0.4)]
    left = without_waves(Nonuniformity(*parts), (wave,), 1.0)
    assert left.column.value == pytest.approx(0.2, abs=0.01) and left.row == parts[1] and left.pixel == parts[3]
