"""Rig faults: shading and defects in, as they are stated; what the raws say of them; files without them as before."""

import numpy as np
import pytest
import yaml
from conftest import change

from isp_sim import light, optics, sensor
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.faults import DefectDensities, DefectList, ShadingTable
from isp_sim.raw import cropped, defect_mask, defects_within, turned
from isp_sim.rig import Figure, Light, Rig
from isp_sim.rigfile import load_rig
from isp_sim.shading import Shading, fitted, interpolated, positions
from isp_sim.units import Radiance

ABOUT = {"status": "assumed", "source": "made for a test"}
RED = ((0.5, 0.8, 0.6), (0.7, 1.0, 0.9))
GREEN = ((0.7, 0.9, 0.8), (0.8, 1.0, 0.9))
BLUE = ((0.9, 0.9, 0.9), (0.9, 1.0, 0.9))


def figure(value):
    return Figure(value=value, **ABOUT)


def table(temperature_k=6504.0, red=RED):
    return ShadingTable(colour_temperature_k=temperature_k, red=red, green=GREEN, blue=BLUE)


def shaded_rig(rig, **size):
    arm = rig.well_lit.model_copy(update={"shading": figure((table(),))})
    return rig.model_copy(update={"well_lit": arm, **size})


def sight(rig, height, width):
    camera = SimulatedArm(rig, rig.well_lit)
    camera.look_at(Radiance(np.ones((height, width, 3), np.float32)))
    return camera.sight


def counts(chip, listed, exposure_us=1000.0, photons=2000.0, binning=1):
    rig = load_rig("ideal").model_copy(update={"sensor": chip, "width_px": 64, "height_px": 64, "binning": binning})
    arm = rig.well_lit.model_copy(update={"defects": figure(listed)})
    camera = SimulatedArm(rig, arm)
    camera.look_at(Radiance(np.ones((64, 64, 3), np.float32)))
    camera.light, camera.next_frame = photons / exposure_us, Frame(0, 0, 0)
    return camera.grab(exposure_us, 0.0)


def test_a_rig_without_faults_is_written_as_it_was_before_there_were_any(exlpose):
    document = exlpose.model_dump(mode="json")
    assert "shading" not in document["well_lit"] and "defects" not in document["well_lit"]
    assert "defects" not in document["sensor"]
    raw = SimulatedArm(exlpose, exlpose.well_lit).describe(np.zeros((4, 4), np.uint16), 1.0, 0.0, {})
    assert raw.shading is None and raw.defects == ()


@pytest.mark.parametrize("size", [(96, 128), (32, 64)])
def test_shading_multiplies_each_band_by_its_table_at_the_pixels_middles(ideal, size):
    height, width = size
    plain, dimmed = (sight(rig, height, width) for rig in (
        ideal.model_copy(update={"height_px": 96, "width_px": 128}), shaded_rig(ideal, height_px=96, width_px=128)
    ))  # fmt: skip
    down, across = (np.arange(n) + 0.5 + (whole - n) / 2 for n, whole in ((height, 96), (width, 128)))
    share = dimmed / plain
    for band, rows in enumerate((RED, GREEN, BLUE)):
        upper, lower = (np.interp(across / 128, (0, 0.5, 1), row) for row in rows)
        due = upper + (lower - upper) * (down / 96)[:, None]
        assert share[..., band] == pytest.approx(due, rel=1e-5)


def test_between_colour_temperatures_tables_go_straight_over_one_over_t():
    tables = tuple(
        ShadingTable(colour_temperature_k=t, **dict.fromkeys(("red", "green", "blue"), ((share, share),) * 2))
        for t, share in ((2500.0, 0.4), (5000.0, 0.8))
    )
    assert optics.shading_at(tables, 10000 / 3)[0, 0, 0] == pytest.approx(0.6)  # 300 of 400 … 200 mired
    assert optics.shading_at(tables, 2000.0)[0, 0, 0] == 0.4 and optics.shading_at(tables, 9000.0)[0, 0, 0] == 0.8
    assert optics.shading_at(tables[:1], 9000.0)[0, 0, 0] == 0.4


def test_a_raws_gains_make_an_even_scene_even_cos4_included(exlpose):
    rig = shaded_rig(exlpose)
    even = sight(rig, rig.height_px, rig.width_px)
    camera = SimulatedArm(rig, rig.well_lit)
    raw = camera.describe(np.zeros((1200, 1920), np.uint16), 1.0, 0.0, {})
    seen = np.choose(
        np.array([[0, 1], [1, 2]])[np.ix_(np.arange(1200) % 2, np.arange(1920) % 2)], np.moveaxis(even, 2, 0)
    )
    flat = raw.shading.over(1200, 1920) * seen
    for band, places in ((0, [0]), (1, [1, 2]), (2, [3])):
        for place in places:
            plane = flat[place // 2 :: 2, place % 2 :: 2]
            assert np.abs(plane / even[..., band].max() - 1).max() < 0.005
            assert abs(plane.mean() / even[..., band].max() - 1) < 0.002


def test_shading_is_that_of_the_rigs_light_and_the_raws_gains_stay_daylights(exlpose):
    colour = (1.0, 0.448, 0.126)  # CIE illuminant A, 2856 K
    warm = light.colour_temperature_k(Light(colour=figure(colour)))
    assert warm == pytest.approx(2856, rel=0.01) and light.colour_temperature_k(None) == 6504
    assert light.colour_temperature_k(Light(colour=figure((1.0, 1.0, 1.0)))) == pytest.approx(6504, rel=0.002)
    even, dim = dict.fromkeys(("red", "green", "blue"), ((1.0,) * 2,) * 2), ((0.5,) * 2,) * 2
    tables = (
        ShadingTable(colour_temperature_k=warm, **even | {"red": dim}),
        ShadingTable(colour_temperature_k=6504, **even),
    )
    arm = exlpose.well_lit.model_copy(update={"shading": figure(tables)})
    day = exlpose.model_copy(update={"well_lit": arm, "height_px": 96, "width_px": 128})
    night = day.model_copy(update={"light": Light(colour=figure(colour))})
    share = sight(night, 96, 128) / sight(day, 96, 128)  # of the same radiance: its colour is the scene's affair
    assert share[..., 0] == pytest.approx(0.5, rel=1e-5) and share[..., 1:] == pytest.approx(1, rel=1e-5)
    raws = [SimulatedArm(r, arm).describe(np.zeros((96, 128), np.uint16), 1.0, 0.0, {}) for r in (day, night)]
    assert raws[0].shading == raws[1].shading


def test_a_part_and_a_turn_of_a_frame_keep_the_gain_of_every_pixel():
    drawn = np.random.default_rng(0)
    shading = Shading(tuple(tuple(map(tuple, t.tolist())) for t in drawn.random((4, 5, 7))), (0.0, 0.0), (0.25, 1 / 6))
    raw = SimulatedArm(load_rig("exlpose"), load_rig("exlpose").well_lit)
    raw = raw.describe(np.zeros((40, 60), np.uint16), 1.0, 0.0, {})
    raw = raw.__class__(**{**vars(raw), "shading": shading, "defects": ((1, 2, 2, 3), (0, 5, 40, 6))})
    whole, bad = shading.over(40, 60), defect_mask(raw.defects, 40, 60)
    part = cropped(raw, 4, 6, 20, 30)
    assert part.shading.over(30, 20) == pytest.approx(whole[6:36, 4:24], rel=1e-5)
    assert (defect_mask(part.defects, 30, 20) == bad[6:36, 4:24]).all()
    for flip in range(8):
        result, due, due_bad = (
            turned(raw, flip),
            *(p[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1] for p in (whole, bad)),
        )
        due, due_bad = (p.T if flip & 4 else p for p in (due, due_bad))
        assert result.shading.over(*result.counts.shape) == pytest.approx(due, rel=1e-5)
        assert (defect_mask(result.defects, *result.counts.shape) == due_bad).all()


def test_the_fitted_table_of_an_interpolated_one_is_that_one():
    down, across = positions(60, 60), positions(90, 90)
    table = np.random.default_rng(0).random((5, 6))
    assert fitted(interpolated(table, down, across), down, across, (5, 6)) == pytest.approx(table)


def test_dead_stuck_and_hot_pixels_and_lines_read_what_they_are_said_to(quiet):
    chip = change(quiet, full_well_e=10_000.0)
    listed = DefectList(
        dead=((3, 5),), stuck=((8, 6, 0.25),), hot=((11, 10, 5e5),), dead_rows=(20,), dead_columns=(31,)
    )
    black, k = chip.black_level_dn.value, chip.gain_dn_per_e.value
    short, long = (counts(chip, listed, exposure).counts.astype(float) - black for exposure in (1000.0, 4000.0))
    ordinary = np.median(short[1::2, 1::2])
    assert ordinary > 50 * k
    for frame in (short, long):
        assert frame[5, 3] == 0 and frame[20].max() == 0 and frame[:, 31].max() == 0
        assert frame[6, 8] == pytest.approx(2500 * k, abs=1)
    extra = (long[10, 11] - short[10, 11]) / k
    assert extra == pytest.approx(5e5 * 3e-3, abs=6 * (5e5 * 5e-3 + 2 * ordinary / k) ** 0.5)
    good = np.ones_like(short, bool)
    good[20], good[:, 31], good[5, 3], good[6, 8], good[10, 11] = False, False, False, False, False
    assert short[good].min() > 0


def test_defects_are_drawn_with_their_density_from_the_serial(exlpose):
    densities = DefectDensities(dead_per_million=2000, stuck_per_million=1000, dead_rows=2, dead_columns=3)
    chip = exlpose.sensor.model_copy(update={"defects": figure(densities)})
    drawn, again, other = (sensor.drawn_defects(chip, serial, 500, 600) for serial in "AAB")
    assert drawn == again != other
    assert abs(len(drawn.dead) - 600) < 5 * 600**0.5 and abs(len(drawn.stuck) - 300) < 5 * 300**0.5
    assert len(drawn.dead_rows) == 2 and len(drawn.dead_columns) == 3
    maps = sensor.fixed_maps(chip, "A", 500, 600)
    blind = maps.gain == 0
    assert all(blind[y, x] for x, y, *_ in (*drawn.dead, *drawn.stuck)) and blind[list(drawn.dead_rows)].all()
    listed = sensor.fixed_maps(chip, "A", 500, 600, DefectList(dead=((0, 0),)))
    assert (listed.gain == 0).sum() == 1 and listed.hot_e_per_s.max() == 0  # a list is the whole truth


def test_a_binned_raw_lists_the_sums_that_a_defect_is_part_of(quiet):
    listed = DefectList(dead=((9, 2), (13, 2)), dead_rows=(17,))
    raw = counts(quiet, listed, binning=4)
    assert raw.defects == ((0, 3, 1, 4), (5, 0, 6, 64))  # x 9 and 13 are of one colour and one sum
    brightest = raw.counts.max()
    assert (raw.counts[0::2, 1::2][0, 1] < raw.counts[0::2, 1::2][0, 2]) and raw.counts[5].max() < brightest


def grids(temperature_k, share=1):
    tables = dict.fromkeys(("red", "green", "blue"), [[share, 1]] * 2)
    return {"colour_temperature_k": temperature_k, **tables}


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"defects": {"value": {"dead": [[300, 2]]}, **ABOUT}}, r"well_lit.defects.value.dead.0 is \(300, 2\)"),
        ({"defects": {"value": {"dead_rows": [96]}, **ABOUT}}, r"dead_rows.0 is 96: .*frame before binning, 128×96"),
        ({"shading": {"value": [], **ABOUT}}, "at least 1 item"),
        ({"shading": {"value": [grids(5000) | {"green": [[1, 1]] * 3}], **ABOUT}}, "expected one grid of nodes"),
        ({"shading": {"value": [grids(5000), grids(4000)], **ABOUT}}, "expected rising ones"),
        ({"shading": {"value": [grids(5000, 0)], **ABOUT}}, "greater than or equal to 0.01"),
    ],
)
def test_faults_that_cannot_be_are_told_by_file_and_field(tmp_path, block, told):
    (tmp_path / "rig.yaml").write_text(
        yaml.safe_dump({"extends": "exlpose", "name": "x", "width_px": 128, "height_px": 96, "well_lit": block})
    )
    with pytest.raises(ValueError, match=rf"rig.yaml:\d+: .*{told}"):
        load_rig(tmp_path / "rig.yaml")


def test_a_rig_with_faults_goes_through_its_own_yaml(exlpose):
    rig = shaded_rig(exlpose)
    arm = rig.well_lit.model_copy(update={"defects": figure(DefectList(stuck=((1, 2, 0.5),), dead_columns=(3,)))})
    rig = rig.model_copy(update={"well_lit": arm})
    assert Rig.model_validate(yaml.safe_load(yaml.safe_dump(rig.model_dump(mode="json")))) == rig


def test_defects_within_a_part_are_cut_to_it():
    assert defects_within(((0, 0, 1, 1), (2, 0, 3, 10), (4, 5, 6, 7)), 2, 4, 3, 2) == ((0, 0, 1, 2), (2, 1, 3, 2))
