"""Colour, geometry and filter calibration give a simulated rig's own figures back."""

import cv2
import numpy as np
import pytest
from conftest import change

from calibration import arm_geometry, colour, colour_chart, filter, filter_ratios, geometry
from calibration.arms import linear, read_stack, tiles
from calibration.simulated_rig import chart_frames, filter_pairs, save, shoot, texture, textured_pair
from isp_sim import optics
from isp_sim.dng import read_dng
from isp_sim.pair import DualCamera
from isp_sim.rigfile import load_rig, load_sensor
from isp_sim.scenes.charts import colorchecker, patch_colours


@pytest.fixture(scope="module")
def rig():
    return load_rig("exlpose-small")


@pytest.fixture(scope="module")
def tilted(rig):
    """A rig whose arms differ by more than the shipped one's."""
    arm = change(
        rig.low_light.geometry, rotation_deg=0.8, shift_px=(14.0, -9.0), scale=1.004, perspective_per_px=(4e-7, -3e-7)
    )
    lens = change(rig.lens, distortion=(0.05, -0.01))
    return rig.model_copy(update={"low_light": rig.low_light.model_copy(update={"geometry": arm}), "lens": lens})


# Colour.


@pytest.fixture(scope="module")
def chart(rig, tmp_path_factory):
    files = chart_frames(rig, tmp_path_factory.mktemp("chart"), 0)
    raw, plane = read_stack(files, rig.sensor)
    return tiles(plane, raw.cfa)


def test_the_matrix_of_a_simulated_chart_is_the_sensors(rig, chart):
    seen = colour_chart.find_chart(chart)
    found = colour_chart.fit_colours(seen, "D65", rig.sensor.quantum_efficiency.value)
    shading = seen.rgb @ found.to_rec709.T / found.seen  # the picture is developed as the patches, less their shading
    assert np.allclose(shading, shading[:, :1]) and shading.min() > 0.5 and shading.max() < 1.2
    true = np.array(rig.sensor.rec709_to_camera.value)
    true /= true.sum(axis=1).max()
    # Nine intervals of 95 %, the cyan patch outside Rec. 709 shared by all: eight must hold.
    assert (np.abs(found.matrix - true) <= found.errors).sum() >= 8
    assert np.abs(found.matrix - true).max() < 0.03
    assert found.delta_e.mean() < 1
    white = np.array(rig.sensor.neutral())
    assert [e.value for e in found.neutral] == pytest.approx(white / white[1], rel=0.01)


@pytest.mark.parametrize("turn", [1, 2])
def test_a_chart_is_found_any_way_up(rig, chart, turn):
    upright = colour_chart.find_chart(chart).rgb
    turned = colour_chart.find_chart(np.ascontiguousarray(np.rot90(chart, turn))).rgb
    assert turned == pytest.approx(upright, rel=0.05, abs=0.005)


def test_shading_is_not_taken_for_colour():
    true = np.array([value for _, value in patch_colours("D65")])
    matrix = np.array([[0.8, 0.15, 0.05], [0.1, 0.75, 0.15], [0.05, 0.2, 0.75]])
    y, x = np.divmod(np.arange(24), 6)
    light = np.exp(-0.1 * ((x - 2.5) / 2.5) ** 2 + 0.05 * (y - 1.5) / 1.5)
    found = colour_chart.fit_colours(
        colour_chart.Chart(0.4 * light[:, None] * (true @ matrix.T), np.zeros((4, 2)), np.zeros((2, 3, 3))),
        "D65",
        (1.0, 1.0, 1.0),
    )
    assert found.matrix == pytest.approx(matrix, abs=1e-6)
    assert found.delta_e.max() < 1e-3


def test_colour_faults_are_told(chart):
    with pytest.raises(ValueError, match="no ColorChecker is found"):
        colour_chart.find_chart(np.full((200, 300, 3), 0.4))
    with pytest.raises(ValueError, match="saturated: expose less"):
        colour_chart.find_chart(np.minimum(chart * 4, 1.0))


def as_chart(rgb):
    return colour_chart.Chart(rgb, np.zeros((4, 2)), np.zeros((2, 3, 3)))


@pytest.mark.parametrize("change", ["mirrored", "another", "hidden", "grey", "black"])
def test_what_is_no_colorchecker_is_refused_with_its_difference(rig, chart, change):
    """The camera's own patches, which fit with a mean of 0.2, in ways no camera turns them."""
    seen = colour_chart.find_chart(chart).rgb
    changed = {
        "mirrored": seen.reshape(4, 6, 3)[:, ::-1].reshape(24, 3),
        "another": np.random.default_rng(0).permutation(seen),
        "hidden": np.where((np.arange(24) % 6 < 2)[:, None], seen.mean(axis=0) * 0.2, seen),
        "grey": np.full((24, 3), 0.2),
        "black": np.zeros((24, 3)),
    }
    with pytest.raises(ValueError, match=r"^no ColorChecker Classic fits: ΔE2000|patches do not differ in colour"):
        colour_chart.fit_colours(as_chart(changed[change]), "D65", rig.sensor.quantum_efficiency.value)


def test_a_camera_that_is_far_from_linear_in_its_colours_is_still_fitted(rig, chart):
    seen = colour_chart.find_chart(chart).rgb
    far = as_chart(seen * np.random.default_rng(0).normal(1, 0.06, seen.shape))
    assert 2 < colour_chart.fit_colours(far, "D65", rig.sensor.quantum_efficiency.value).delta_e.mean() < 8


def test_a_picture_of_the_chart_is_judged_too(tmp_path):
    light = colorchecker(300, 480, "D65").radiance
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    cv2.imwrite(str(tmp_path / "chart.png"), (255 * np.clip(srgb, 0, 0.97))[..., ::-1].round().astype(np.uint8))
    assert colour.main([str(tmp_path / "chart.png"), "--out", str(tmp_path)]) == 0


def test_the_colour_command_writes_a_sensor_file_and_a_page(tmp_path, capsys):
    assert colour.main(["--out", str(tmp_path)]) == 0
    sensor = load_sensor(tmp_path / "imx392_colour.yaml")
    assert sensor.rec709_to_camera.status == "measured"
    assert sensor.read_noise == load_sensor("imx392").read_noise
    page = (tmp_path / "imx392_colour.html").read_text()
    assert "dark skin" in page
    assert "http" not in page
    assert "next: look at the page" in capsys.readouterr().out


# Geometry.


BOARD = (9, 6)


def board(height, width, square):
    """A chessboard of `BOARD` inner corners on white, squares of `square` px."""
    columns, rows = BOARD[0] + 1, BOARD[1] + 1
    light = np.full((height, width), 0.9, np.float32)
    top, left = (height - rows * square) // 2, (width - columns * square) // 2
    y, x = np.mgrid[: rows * square, : columns * square] // square
    light[top : top + rows * square, left : left + columns * square] = np.where((y + x) % 2, 0.9, 0.05)
    return light[..., None].repeat(3, axis=2)


def corner_error_px(found, rig, height, width):
    """How far the found homography moves the frame's corners from where the true one does."""
    both = DualCamera(rig)
    true = optics.between(both.low_light.view, both.well_lit.view, height, width)
    corners = np.array([[[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]], float)
    a, b = (cv2.perspectiveTransform(corners, h)[0] for h in (found.arms.low_to_well, true))
    return np.hypot(*(a - b).T).max()


@pytest.mark.parametrize("name", ["rig", "tilted"])
def test_a_still_scene_aligns_the_arms_to_a_tenth_of_a_pixel(name, request, tmp_path):
    rig = request.getfixturevalue(name)
    well, low = (arm_geometry.grey(read_stack(files)[1]) for files in textured_pair(rig, tmp_path, 3))
    found = arm_geometry.align(*arm_geometry.matched(well, low), well.shape, rig.binning)
    assert corner_error_px(found, rig, *well.shape) < 0.1
    truth = rig.low_light.geometry
    for field, parts in found.geometry.items():
        values = np.atleast_1d(getattr(truth, field).value)
        for estimate, value in zip(parts, values, strict=True):
            assert abs(estimate.value - value) < 5 * estimate.error  # a feature's errors are no normal ones


def test_a_chessboard_gives_geometry_and_distortion(tilted, tmp_path):
    light = board(tilted.height_px, tilted.width_px, 40)
    gain = 26.0
    well = save(shoot(tilted, tilted.well_lit, light, 4, 1), tmp_path, "w")
    low = save(shoot(tilted, tilted.low_light, light, 4, 1, gain), tmp_path, "l")
    pictures = [arm_geometry.grey(read_stack(files)[1]) for files in (well, low)]
    corners = [arm_geometry.board_corners(picture, BOARD) for picture in pictures]
    found = arm_geometry.align(*corners, pictures[0].shape, tilted.binning)
    assert corner_error_px(found, tilted, *pictures[0].shape) < 0.1
    k1, k2, rms = arm_geometry.distortion(corners[0], BOARD, pictures[0].shape)
    assert abs(k1.value - 0.05) < 5 * k1.error
    assert abs(k2.value + 0.01) < 5 * k2.error
    assert k1.error < 0.01
    assert rms < 0.1


def test_the_geometry_command_writes_a_rig_that_loads(tmp_path, capsys):
    assert geometry.main(["--out", str(tmp_path)]) == 0
    aligned = load_rig(tmp_path / "exlpose-small-aligned.yaml")
    assert aligned.low_light.geometry.shift_px.status == "measured"
    assert aligned.low_light.geometry.shift_px.value == pytest.approx((0.8, -1.3), abs=0.2)
    page = (tmp_path / "exlpose-small-aligned.html").read_text()
    assert "Pictures are valid in" in page and "of the low-light frame on" in page
    assert "<td>shift_px x</td>" in page and "<td>perspective_per_px y</td>" in page
    assert "px RMS" in capsys.readouterr().out


def test_geometry_faults_are_told(tmp_path, rig, capsys):
    flat = np.full((rig.height_px, rig.width_px, 3), 0.5, np.float32)
    for side, arm in (("w", rig.well_lit), ("l", rig.low_light)):
        save(shoot(rig, arm, flat, 1, 0, 24.0 if side == "l" else 0.0), tmp_path, side)
    asked = [
        "--well-lit",
        str(tmp_path / "w_00.dng"),
        "--low-light",
        str(tmp_path / "l_00.dng"),
        "--out",
        str(tmp_path),
    ]
    assert geometry.main(asked) == 1
    assert geometry.main([*asked, "--board", "9", "6"]) == 1
    assert geometry.main(asked[:2]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert [("match" in t, "chessboard of 9×6" in t, "go together" in t).index(True) for t in told] == [0, 1, 2]


# Filter.


def test_filter_and_splitter_of_a_simulated_rig_come_back(rig, tmp_path):
    nd = change(rig.nd_filter, transmittance=(0.012, 0.010, 0.009))
    splitter = change(rig.beam_splitter, transmittance=(0.52, 0.50, 0.47), reflectance=(0.44, 0.46, 0.49))
    made = rig.model_copy(update={"nd_filter": nd, "beam_splitter": splitter})
    found = filter_ratios.characterise(filter_ratios.read_pairs(filter_pairs(made, tmp_path, 5), made), rig)
    # Four pairs: t₃ is 3.2, so the interval is 3.2 standard errors; twice that is what one test may ask for.
    for n in range(3):
        split = splitter.reflectance.value[n] / splitter.transmittance.value[n]
        for one, true in ((found.transmittance[n], nd.transmittance.value[n]), (found.splitter[n], split)):
            assert abs(one.value - true) < one.high - one.low + 1e-3 * true  # 0.1 %: black and dark current, rounded
    assert found.neutrality[0].value == pytest.approx(1.2, rel=0.003)
    assert found.neutrality[1].value == pytest.approx(0.9, rel=0.003)
    assert found.leak is None


def test_light_beyond_red_is_told_by_frames_with_and_without_a_cut_filter(rig, tmp_path):
    leaky = rig.model_copy(update={
        "lens": change(rig.lens, near_infrared=0.2),
        "nd_filter": change(rig.nd_filter, near_infrared_transmittance=0.05),
    })  # fmt: skip
    card = np.full((rig.height_px, rig.width_px, 3), 0.6, np.float32)
    lines = ["well_lit,low_light,nd_filter,light"]
    for light, made in (("all", leaky), ("visible", rig)):
        for n in range(3):
            # The same lamp: `shoot` sets its light by the rig's response, so the leak's share is given back.
            bands = optics.arm_bands(made.well_lit, made.beam_splitter, made.nd_filter, made.lens, made.sensor)
            # Four times as bright: blue of the low-light arm, 4 e⁻ otherwise, has to lie clear of the raw's cut at 0.
            share = 4 * (bands.sum(axis=1) * made.sensor.quantum_efficiency.value).max()
            files = [
                save(shoot(made, arm, card, 1, 10 * n, gain, share), tmp_path, f"{light}{n}{side}")[0].name
                for side, arm, gain in (("w", made.well_lit, 0.0), ("l", made.low_light, 24.0))
            ]
            lines.append(f"{files[0]},{files[1]},yes,{light}")
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines))
    found = filter_ratios.characterise(filter_ratios.read_pairs(path, rig), rig)
    assert found.leak.value == pytest.approx(0.2, rel=0.01)
    assert [e.value for e in found.transmittance] == pytest.approx([0.01] * 3, rel=0.01)


def test_the_filter_command_writes_a_rig_that_loads(tmp_path, capsys):
    assert filter.main(["--out", str(tmp_path)]) == 0
    made = load_rig(tmp_path / "exlpose-small-filter.yaml")
    assert made.nd_filter.transmittance.status == "measured"
    assert made.nd_filter.transmittance.value == pytest.approx((0.01,) * 3, rel=0.005)
    assert made.beam_splitter.transmittance.value == pytest.approx((0.5,) * 3, rel=0.005)
    assert "http" not in (tmp_path / "exlpose-small-filter.html").read_text()
    assert "near infrared" in capsys.readouterr().out


def test_filter_faults_name_file_and_line(rig, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("well_lit,low_light\n")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) nd_filter"):
        filter_ratios.read_pairs(path, rig)
    path.write_text("well_lit,low_light,nd_filter\na.dng,b.dng,maybe\n")
    with pytest.raises(ValueError, match=r"pairs.csv:2: nd_filter = 'maybe': expected yes or no"):
        filter_ratios.read_pairs(path, rig)
    bright = save(shoot(rig, rig.well_lit, texture(rig.height_px, rig.width_px, 0) * 100, 1, 0), tmp_path, "x")[0].name
    path.write_text(f"well_lit,low_light,nd_filter\n{bright},{bright},yes\n")
    with pytest.raises(ValueError, match="neither dark nor near saturation"):
        filter_ratios.read_pairs(path, rig)


def test_black_bias_and_dark_current_are_taken_off(rig, tmp_path):
    dark = np.zeros((rig.height_px, rig.width_px, 3), np.float32)
    sensor = change(load_sensor("imx392"), black_level_dn=64.0, black_bias_dn=(3.0, 2.0, 1.0, 0.0))
    lifted = rig.model_copy(update={"sensor": sensor})
    raw = read_dng(save(shoot(lifted, rig.well_lit, dark, 1, 0, 24.0), tmp_path, "d")[0])
    level = linear(raw, sensor, rig.temperature_c.value)
    spread = level.std() / np.sqrt(level.size)
    assert abs(level.mean()) < 5 * spread + 0.02 / 4095  # hot pixels: 0.01 e⁻/s at 40 °C and 6 DN/e⁻ for 10 ms
    assert linear(raw).mean() > 10 * spread
