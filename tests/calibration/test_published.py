"""Sensor files say what the published tables say, and the command is where they come from."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from calibration.bodies import ELD_BODIES
from calibration.emva.noise_tables import NATIVE_ISO, STEP_ISO, read_tables
from calibration.published import main
from calibration.spectral import rec709_to_camera
from isp_sim import readout
from isp_sim.rigfile import load_sensor, rigs_folder

DATA = Path(__file__).parents[3] / "shared" / "data" / "sensors"
NOISE, SPECTRAL = DATA / "noise_params.json", DATA / "spectral"
SHIPPED = rigs_folder() / "sensors"
MADE = sorted([*ELD_BODIES, "sony_a7s2"])

needs_data = pytest.mark.skipif(not NOISE.is_file() or not SPECTRAL.is_dir(), reason=f"{DATA} is absent")


@pytest.fixture(scope="module")
def tables():
    return read_tables(NOISE)


@pytest.fixture(scope="module")
def published():
    return json.loads(NOISE.read_text())


def unscattered(sensor):
    """The sensor on its lines: the scatter about them belongs to a camera, not to the file."""
    laws = {}
    for name in ("read_noise", "row_noise"):
        law = tuple(part.model_copy(update={"ln_sigma_spread": 0.0}) for part in getattr(sensor, name).value)
        laws[name] = getattr(sensor, name).model_copy(update={"value": law})
    return sensor.model_copy(update=laws)


def read_law(sensor, iso):
    """Scale (DN), λ and standard deviation (e⁻) of the read noise at an ISO, as the readout takes them."""
    numbers = readout.numbers(unscattered(sensor), 20 * math.log10(iso / sensor.iso_at_0db.value), "any")
    std_e = numbers.sigma_dn * readout.tukey_std(numbers.tukey_lambda) / numbers.gain_dn_per_e
    return numbers.sigma_dn, numbers.tukey_lambda, std_e


def test_two_thirds_of_the_a7s2_read_noise_go_where_its_conversion_gain_rises():
    sensor = load_sensor("sony_a7s2")
    assert read_law(sensor, 1600)[2] == pytest.approx(4.12, rel=0.11)
    assert read_law(sensor, 2000)[2] == pytest.approx(1.39, rel=0.06)
    assert [part.from_k_dn_per_e for part in sensor.read_noise.value] == [0, 1.9126]
    assert [part.from_k_dn_per_e for part in sensor.row_noise.value] == [0, 1.9126]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_sensor_loads(path):
    assert load_sensor(path) == load_sensor(path.stem)
    assert load_sensor(path).name == path.stem


@pytest.mark.parametrize("name", MADE)
def test_white_balance_is_that_of_a_camera_under_daylight(name):
    red, green, blue = load_sensor(name).neutral()
    assert green == 1
    assert 2 < 1 / red < 3
    assert 1.1 < 1 / blue < 1.5


@needs_data
@pytest.mark.parametrize("name", MADE)
def test_file_is_what_the_command_writes(name, tmp_path_factory):
    out = tmp_path_factory.getbasetemp() / "made"
    if not out.is_dir():
        assert main(["--noise", str(NOISE), "--spectral", str(SPECTRAL), "--out", str(out)]) == 0
    assert (SHIPPED / f"{name}.yaml").read_text() == (out / f"{name}.yaml").read_text()
    assert sorted(path.stem for path in out.iterdir()) == MADE


@needs_data
def test_the_table_holds_the_figures_of_the_step(published):
    table = published["PMN_SonyA7S2_per_iso"]
    for iso, gaussian_e in (("1600", 4.12), ("2000", 1.39)):
        row = table[iso]
        assert row["sigGs"] / row["Kmax"] == pytest.approx(gaussian_e, abs=0.005)
        # Both laws describe the same frames: their standard deviations agree.
        assert row["sigTL"] * readout.tukey_std(row["lam"]) == pytest.approx(row["sigGs"], rel=0.01)


@needs_data
def test_one_line_through_both_gains_is_wrong_by_up_to_a_factor_of_1_8_and_two_are_not(published, tables):
    table = published["PMN_SonyA7S2_per_iso"].values()
    ln_k, ln_sigma = np.log([row["Kmax"] for row in table]), np.log([row["sigGs"] for row in table])
    one_line = np.exp(np.polyval(np.polyfit(ln_k, ln_sigma, 1), ln_k) - ln_sigma)
    at_the_step = [list(tables.a7s2).index(iso) for iso in (1600, 2000)]
    assert one_line[at_the_step] == pytest.approx([0.68, 1.81], abs=0.005)

    sensor = load_sensor("sony_a7s2")
    two_lines = [read_law(sensor, iso)[0] / tables.a7s2[iso].read for iso in (1600, 2000)]
    assert two_lines == pytest.approx([0.90, 0.945], abs=0.01)


@needs_data
def test_noise_at_each_iso_of_the_table_is_within_three_spreads(tables):
    sensor = load_sensor("sony_a7s2")
    native = tables.native()
    assert len(native) == 25
    for iso, row in native.items():
        part = iso >= STEP_ISO
        sigma_dn, shape, _ = read_law(sensor, iso)
        assert shape == pytest.approx(row.shape, abs=1e-6)
        assert abs(math.log(sigma_dn / row.read)) < 3 * sensor.read_noise.value[part].ln_sigma_spread
        row_dn, _ = readout.noise_at(unscattered(sensor).row_noise.value, row.k, "any")
        assert abs(math.log(row_dn / row.row)) < 3 * sensor.row_noise.value[part].ln_sigma_spread


@needs_data
@pytest.mark.parametrize("name", sorted(ELD_BODIES))
def test_eld_body_has_the_line_and_the_shapes_of_its_profile(name, published):
    body, sensor = ELD_BODIES[name], load_sensor(name)
    camera = published["ELD"][body.eld]
    profile = camera[f"Profile-{body.profile}"]
    for octave in range(7):
        k = camera["Kmin"] * 2**octave
        assert k <= camera["Kmax"] * 1.000001
        sigma_dn, shape, _ = read_law(sensor, 100 * 2**octave)
        line = profile["G_scale"]
        assert math.log(sigma_dn) == pytest.approx(line["slope"] * math.log(k) + line["bias"], abs=3e-5)
        assert shape == pytest.approx(np.mean(camera["lambda"][2 * octave : 2 * octave + 2]), abs=1e-6)
        row_dn, _ = readout.noise_at(unscattered(sensor).row_noise.value, k, "any")
        line = profile["R_scale"]
        assert math.log(row_dn) == pytest.approx(line["slope"] * math.log(k) + line["bias"], abs=3e-5)
    assert sensor.read_noise.value[0].ln_sigma_spread == pytest.approx(profile["G_scale"]["sigma"], rel=1e-5)


@needs_data
def test_eld_shapes_taken_an_octave_apart_run_beside_pmns(tables):
    eld = np.array(tables.eld["SonyA7S2"].shapes_over_gain())
    pmn = [tables.a7s2[100 * 2**octave].shape for octave in range(7)]
    assert len(eld) == 7
    assert np.all((np.array(pmn) - eld[:, 1] > 0.02) & (np.array(pmn) - eld[:, 1] < 0.06))
    assert tables.eld["SonyA7S2"].k_min == pytest.approx(tables.a7s2[100].k, rel=0.02)


@needs_data
def test_below_the_native_range_the_table_halves_k_but_repeats_the_noise(tables):
    for iso, twice in ((50, 100), (64, 125), (80, 160)):
        pulled, native = tables.a7s2[iso], tables.a7s2[twice]
        assert iso < NATIVE_ISO
        assert pulled.k / native.k == pytest.approx(iso / twice, rel=1e-6)
        assert (pulled.read, pulled.row) == pytest.approx((native.read, native.row), rel=0.08)


@needs_data
def test_the_d850_profiles_differ_as_its_file_says(tables):
    camera = tables.eld["NikonD850"]
    first, second = camera.profile_1.read, camera.profile_2.read
    ratios = [
        math.exp((first.slope - second.slope) * math.log(k) + first.bias - second.bias)
        for k in (camera.k_min, camera.k_max)
    ]
    assert ratios == pytest.approx([5.2, 0.41], rel=0.02)
    sensor = load_sensor("nikon_d850")
    assert read_law(sensor, 100)[2] == pytest.approx(0.6, abs=0.05)
    assert read_law(sensor, 400)[2] == pytest.approx(0.9, abs=0.05)


def curves_file(path, values, wavelengths=range(380, 785, 5)):
    main_curves = {str(nm): list(row) for nm, row in zip(wavelengths, values, strict=True)}
    path.write_text(json.dumps({"spectral_data": {"data": {"main": main_curves}}}))
    return path


def test_a_camera_that_sees_as_the_eye_does_has_the_matrix_of_xyz(tmp_path):
    import colour

    grid = np.arange(380, 785, 5)
    observer = np.array(colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"][grid])
    matrix = rec709_to_camera(curves_file(tmp_path / "eye.json", observer))
    to_xyz = colour.models.RGB_COLOURSPACE_BT709.matrix_RGB_to_XYZ
    np.testing.assert_allclose(matrix, to_xyz / to_xyz.sum(axis=1).max(), atol=1e-3)
    assert matrix.sum(axis=1).max() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "KeyError: 'spectral_data'"),
        ("[1]", "a JSON list; expected an object"),
        ("no json", "not whole JSON"),
        ('{"spectral_data": {"data": {"main": {"380": [1, 1, 1]}}}}', "KeyError: '390'"),
    ],
)
def test_a_broken_curve_is_told_with_its_file(tmp_path, text, told):
    path = tmp_path / "curve.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"curve\.json: .* at 380, 390 … 730 nm") as fault:
        rec709_to_camera(path)
    assert told in str(fault.value)


def test_a_dark_curve_is_a_fault(tmp_path):
    with pytest.raises(ValueError, match="not all zero"):
        rec709_to_camera(curves_file(tmp_path / "dark.json", np.zeros((81, 3))))


@needs_data
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda noise: noise["ELD"].pop("NikonD850"), "ELD.NikonD850"),
        (lambda noise: noise["ELD"]["NikonD850"].pop("Profile-2"), "Profile-2"),
        (lambda noise: noise["ELD"]["NikonD850"].pop("Kmin"), "ELD.NikonD850.Kmin: missing"),
        (lambda noise: noise["ELD"]["CanonEOS70D"]["lambda"].pop(), "lambda holds 15 numbers"),
        (
            lambda noise: noise["ELD"]["CanonEOS70D"].update({"lambda": [9] * 16}),
            "canon_eos_70d: read_noise.value.0.tukey",
        ),
        (lambda noise: noise.update(PMN_SonyA7S2_per_iso={}), "two ISO from 100 and two from 2000"),
    ],
)
def test_a_fault_in_the_tables_is_told_and_nothing_is_written(tmp_path, capsys, published, change, told):
    noise = json.loads(json.dumps(published))
    change(noise)
    (tmp_path / "noise.json").write_text(json.dumps(noise))
    out = tmp_path / "out"
    assert main(["--noise", str(tmp_path / "noise.json"), "--spectral", str(SPECTRAL), "--out", str(out)]) == 1
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_an_absent_file_is_told(tmp_path, capsys):
    assert main(["--noise", str(tmp_path / "none.json"), "--spectral", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "none.json" in capsys.readouterr().err
