"""Shading and defects that a rig puts in come out of its flats and darks, into rig, sensor and libcamera files."""

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from calibration import faults, libcamera
from calibration.defect_list import defect_list
from calibration.fault_files import arm_document, measure, sensor_document, write
from calibration.fault_session import FaultSession, faulty, read_session, simulated_session, stacked
from calibration.shading_tables import evened, shading_tables
from isp_sim import readout, sensor
from isp_sim.camera import SimulatedArm
from isp_sim.dng import write_dng
from isp_sim.faults import DefectList
from isp_sim.rigfile import load_rig
from isp_sim.shading import edge_to_edge, interpolated, positions

HEIGHT, WIDTH = 192, 256


@pytest.fixture(scope="module")
def rig():
    """The shipped rig on a part of its sensor, black well above 0."""
    whole = load_rig("exlpose")
    chip = whole.sensor.model_copy(
        update={name: getattr(whole.sensor, name).model_copy(update={"value": value}) for name, value in (
            ("black_level_dn", 64.0), ("black_bias_dn", (0.0, 0.0, 0.0, 0.0)), ("hot_pixels_per_million", 500.0),
        )}
    )  # fmt: skip
    return whole.model_copy(update={"name": "part", "height_px": HEIGHT, "width_px": WIDTH, "sensor": chip})


@pytest.fixture(scope="module")
def bad(rig):
    return faulty(rig, "well_lit")


@pytest.fixture(scope="module")
def session(bad):
    return simulated_session(bad, bad.well_lit, 3)


@pytest.fixture(scope="module")
def found(session, rig):
    return measure(session, rig, rig.well_lit)


def test_the_tables_of_both_lights_are_those_put_in(bad, found):
    at = positions(HEIGHT, HEIGHT), positions(WIDTH, WIDTH)
    for put in bad.well_lit.shading.value:
        for colour, table in zip(("red", "green", "blue"), found.tables[put.colour_temperature_k], strict=True):
            ratio = interpolated(table, *at) / interpolated(np.array(getattr(put, colour)), *at)
            assert np.abs(ratio / ratio.mean() - 1).max() < 0.02  # a node of this small sensor has 64 pixels
    assert found.residual < 0.005


def test_every_defect_is_found_and_nothing_else(bad, found):
    serial = bad.well_lit.serial
    drawn, maps = (f(bad.sensor, serial, HEIGHT, WIDTH) for f in (sensor.drawn_defects, sensor.fixed_maps))
    got = found.defects
    assert (got.dead_rows, got.dead_columns) == (drawn.dead_rows, drawn.dead_columns)
    alone = {(x, y) for y, x in np.argwhere(maps.gain == 0) if y not in drawn.dead_rows and x not in drawn.dead_columns}
    assert {(x, y) for x, y, *_ in (*got.dead, *got.stuck)} == alone
    full = 4031 / bad.sensor.gain_dn_per_e.value / bad.sensor.full_well_e.value  # the ADC's top
    shares = {(x, y): share for x, y, share in drawn.stuck}
    assert all(
        share == pytest.approx(min(shares[x, y], full), abs=0.005) for x, y, share in got.stuck if (x, y) in shares
    )
    hot = {(x, y) for y, x in np.argwhere(maps.hot_e_per_s > 10)}
    assert hot - {(x, y) for x, y, _ in got.hot} <= alone | {p for p in hot if p[1] in drawn.dead_rows}
    for x, y, e_per_s in got.hot:
        assert e_per_s == pytest.approx(float(maps.hot_e_per_s[y, x]), rel=0.1, abs=8)


def test_black_and_noise_are_the_sensors_in_16_bits(rig, found):
    assert found.black_16 == pytest.approx(64 * 16, abs=16)
    k = readout.system_gain(rig.sensor, 0.0)
    constant, slope = found.noise  # σ² = K·x + read²: a line over √x lies a little above √K there
    assert slope == pytest.approx((16 * k) ** 0.5, rel=0.05) and 0 <= constant < 40


def test_the_files_are_read_and_their_raws_undo_the_fault(rig, bad, session, found, tmp_path):
    (tmp_path / "part.yaml").write_text(yaml.safe_dump(rig.model_dump(mode="json")))
    written = write(found, session, rig, str(tmp_path / "part.yaml"), "well_lit", "mine", "pisp", tmp_path)
    good = load_rig(written.rig)
    assert good.well_lit.defects.value == found.defects and good.low_light.defects is None
    assert good.sensor.defects.value.dead_columns == 2 and b"<img" in written.page.read_bytes()
    known = SimulatedArm(good, good.well_lit).describe(np.zeros((HEIGHT, WIDTH), np.uint16), 1.0, 0.0, {})
    flat = session.flats[6504.0].mean - session.darks[10_000.0].mean
    even = flat * known.shading.over(HEIGHT, WIDTH)
    for place in range(4):
        plane = even[place // 2 :: 2, place % 2 :: 2]
        cells = [np.median(cell) for rows in np.array_split(plane, 6) for cell in np.array_split(rows, 8, axis=1)]
        assert np.abs(cells / np.mean(cells) - 1).max() < 0.01
    tuning = json.loads(written.tuning.read_text())
    assert tuning["version"] == 2.0 and tuning["target"] == "pisp"
    blocks = {name: block for algorithm in tuning["algorithms"] for name, block in algorithm.items()}
    assert set(blocks) == {"rpi.black_level", "rpi.noise", "rpi.alsc"}
    assert blocks["rpi.black_level"]["black_level"] == round(found.black_16)
    assert [one["ct"] for one in blocks["rpi.alsc"]["calibrations_Cr"]] == [2856, 6504]
    assert len(blocks["rpi.alsc"]["luminance_lut"]) == 32 * 32


def test_libcameras_tables_are_gains_in_the_middles_of_cells():
    down, across = positions(12, 12)[:, None], positions(16, 16)
    falls = [np.array([[1.0, 0.5], [1.0, 0.5]]), np.array([[1.0, 0.8], [1.0, 0.8]]), np.ones((2, 2))]
    block = libcamera.alsc({3000.0: falls}, 12, 16)
    green, red = 1 - 0.2 * across + 0 * down, 1 - 0.5 * across + 0 * down
    assert block["luminance_lut"] == pytest.approx((green.max() / green).ravel(), abs=1e-4)
    (cr,), (cb,) = block["calibrations_Cr"], block["calibrations_Cb"]
    assert cr["table"] == pytest.approx((green / red / (green / red).min()).ravel(), abs=1e-4)
    assert cb["table"] == pytest.approx((green / green.min()).ravel(), abs=1e-4) and cb["ct"] == 3000


def test_noise_is_a_line_over_the_root_of_the_mean():
    means = np.linspace(100, 40_000, 50)
    assert libcamera.noise_line(means, 7 + 2.5 * means**0.5) == pytest.approx((7, 2.5))
    constant, slope = libcamera.noise_line(means, 2.5 * means**0.5 - 7)
    assert constant == 0 and 2.3 < slope < 2.5


def test_shading_is_fitted_past_a_dead_line_and_pixels():
    table = np.array([[0.5, 0.8, 0.6], [0.7, 1.0, 0.8], [0.6, 0.9, 0.7]])
    truth = edge_to_edge([table] * 4).over(96, 128).astype(float)
    flat = 1000 * truth
    flat[31] = flat[:, 50] = 0
    flat[np.random.default_rng(0).random(flat.shape) < 1e-3] = 4000
    for one in shading_tables(flat, "RGGB", (3, 3)):
        assert one == pytest.approx(table, rel=1e-5)
    assert np.median(np.abs(evened(flat, (3, 3)) - 1)) < 1e-6


def test_kinds_of_defects_by_what_they_see_and_hold():
    even, dark, extra = np.ones((40, 40)), np.zeros((40, 40)), np.zeros((40, 40))
    even[5, 6], even[7, 8], even[9, 9], even[20], even[:, 30] = 0.1, 0.0, 1.8, 0.0, 0.0
    dark[7, 8], extra[2, 3], extra[20, 3] = 2500, 80.0, 80.0
    assert defect_list(even, dark, extra, 50.0, 10_000) == DefectList(
        dead=((6, 5), (9, 9)), stuck=((8, 7, 0.25),), hot=((3, 2, 80.0),), dead_rows=(20,), dead_columns=(30,)
    )


def test_one_exposure_of_darks_tells_no_hot_pixels(rig, session):
    short = FaultSession(session.flats, dict([next(iter(session.darks.items()))]), "one")
    found = measure(short, rig, rig.well_lit)
    assert found.hot is None and not found.defects.hot
    document = sensor_document(found, rig, "x")
    assert document["hot_pixels_per_million"] == rig.sensor.model_dump(mode="json")["hot_pixels_per_million"]
    assert arm_document(found, short)["shading"]["status"] == "measured"


def test_the_command_makes_its_files_from_raws_on_disk(rig, session, tmp_path, capsys):
    folder, stacks = tmp_path / "session", {"flats_2856K": session.flats[2856.0], "darks": session.darks[10_000.0]}
    (tmp_path / "part.yaml").write_text(yaml.safe_dump(rig.model_dump(mode="json")))
    for name, stack in stacks.items():
        (folder / name).mkdir(parents=True)
        counts = stack.mean.round().astype(np.uint16)
        for number in range(2):
            write_dng(folder / name / f"{number}.dng", replace(stack.raw, counts=counts + np.uint16(number)))
    arguments = [str(folder), "--rig", str(tmp_path / "part.yaml"), "--out", str(tmp_path)]
    assert faults.main(arguments) == 0
    assert "dead rows, columns" in capsys.readouterr().out
    assert set(load_rig(tmp_path / "part-faults.yaml").well_lit.shading.value[0].model_dump()) > {
        "red",
        "green",
        "blue",
    }
    (folder / "darks" / "1.dng").unlink()
    assert faults.main(arguments) != 0 and "a stack of one frame" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"flats": None}, r"0 stacks of flats and 1 of darks; expected raws in darks/ and in flats/"),
        ({"width": 128}, "frames of 128×192 px; expected 256×192, part's unbinned"),
        ({"gain_db": 6.0}, "expected one gain"),
        ({"level": 70}, "flats at 6504 K are at 0% of the range; expected 5% to 90%"),
        ({"level": 4000}, "98% of the range"),
        ({"exposure_us": 5.0}, r"1\.dng has \(size, tile, µs, dB\)"),
    ],
)
def test_sessions_that_tell_nothing_are_refused_in_a_sentence(rig, session, tmp_path, change, told):
    raw = session.darks[10_000.0].raw
    for name, level in (("darks", 64), ("flats", change.get("level", 2000))):
        if name == "flats" and "flats" in change:
            continue
        (tmp_path / name).mkdir()
        counts = np.full((HEIGHT, change.get("width", WIDTH)), level, np.uint16)
        for number in range(2):
            more = {"gain_db": change["gain_db"]} if name == "flats" and "gain_db" in change else {}
            more |= {"exposure_us": 5.0} if number and "exposure_us" in change and name == "flats" else {}
            write_dng(tmp_path / name / f"{number}.dng", replace(raw, counts=counts, **more))
    with pytest.raises(ValueError, match=told):
        read_session(tmp_path, rig)


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (("flat_2856K",), r"flat_2856K: a folder that is no part of a session; expected darks/, and flats/ or flats_"),
        (("flats_2856k",), r"flats_2856k: a folder that is no part"),
        (("darks/long",), r"long: a folder within darks/; expected its raws in darks/ itself"),
        (("flats", "flats_6504K"), r"flats_6504K: flats at 6504 K twice; expected one folder"),
        (("flats_02856K", "flats_2856K"), r"flats_2856K: flats at 2856 K twice"),
        ((".thumbnails", "flats_3000K"), r"flats_3000K: holds no raws"),
    ],
)  # fmt: skip
def test_a_folder_that_would_be_passed_over_is_refused(rig, session, tmp_path, folders, told):
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
        for number in range(2) if name.startswith(("flats_0", "flats_2", "flats_6")) or name == "flats" else ():
            write_dng(tmp_path / name / f"{number}.dng", session.flats[6504.0].raw)
    (tmp_path / "readme.txt").write_text("a file beside the folders is none of the session's")
    with pytest.raises(ValueError, match=told):
        read_session(tmp_path, rig)


def test_a_stack_needs_frames():
    with pytest.raises(ValueError, match="without frames"):
        stacked(())


@pytest.mark.parametrize("command", ["colour", "faults", "filter", "geometry", "sensor"])
def test_a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_read(command, tmp_path, capsys):
    module = importlib.import_module(f"calibration.{command}")
    with pytest.raises(SystemExit) as stopped:
        module.main(["--name", "../evil", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2 and not list(tmp_path.iterdir())
    assert "'../evil': expected letters, digits, '_', '-' and '.', no folder" in capsys.readouterr().err
