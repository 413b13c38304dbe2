from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from isp_sim.dng import write_dng
from isp_sim.raw import Raw
from isp_sim.scenes.raws import Raws, Sidecar, develop_mosaic

DATA = Path(__file__).parents[3] / "shared" / "data"
NEUTRAL = (0.5, 1.0, 0.7)
BLACK, WHITE = 600, 15520
HUGE = 10_000
IDENTITY_D65 = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.204, 1.057))
"""XYZ → linear Rec. 709: the camera whose bands are Rec. 709's."""


def figure(value):
    return {"value": value, "status": "assumed", "source": "test"}


def sidecar(height, width, **changes):
    fields = {
        "width_px": width,
        "height_px": height,
        "dtype": "<u2",
        "cfa": "RGGB",
        "black_level_dn": figure(BLACK),
        "white_level_dn": figure(WHITE),
        "neutral": figure(list(NEUTRAL)),
    }
    return fields | changes


def mosaic_of(scene, cfa):
    """The counts of a scene, white-balanced RGB `(height, width, 3)`, behind a colour filter array."""
    camera = scene * np.array(NEUTRAL)
    counts = np.empty(scene.shape[:2])
    for place, colour in enumerate(cfa):
        tile = np.s_[place // 2 :: 2, place % 2 :: 2]
        counts[tile] = camera[tile][..., "RGB".index(colour)]
    return np.rint(BLACK + counts * (WHITE - BLACK)).astype(np.uint16)


def save(folder, counts, name="a", **changes):
    fields = sidecar(*counts.shape, **changes)
    counts.astype(fields["dtype"]).tofile(folder / f"{name}.raw")
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    return folder / f"{name}.raw"


def two_colours(height=24, width=40):
    scene = np.empty((height, width, 3))
    scene[:, : width // 2] = (0.8, 0.3, 0.1)
    scene[:, width // 2 :] = (0.05, 0.2, 0.6)
    return scene


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_a_coloured_mosaic_comes_back_in_its_colours(tmp_path, cfa, dtype):
    scene = two_colours()
    path = save(tmp_path, mosaic_of(scene, cfa), cfa=cfa, dtype=dtype)
    light = Raws(path, HUGE, HUGE).scene(0).radiance
    away_from_the_edge = np.r_[2:17, 23:38]
    np.testing.assert_allclose(light[2:-2, away_from_the_edge], scene[2:-2, away_from_the_edge], atol=1e-4)


def test_a_neutral_is_equal_in_red_green_and_blue_up_to_saturation(tmp_path):
    grey = np.broadcast_to(np.linspace(0, 1, 64)[None, :, None], (16, 64, 3))
    light = Raws(save(tmp_path, mosaic_of(grey, "RGGB")), HUGE, HUGE).scene(0).radiance[4:-4, 4:-4]
    assert np.ptp(light, axis=2).max() < 0.03  # a ramp of 1/63 a pixel seen through three offset grids
    assert np.abs(light.mean(axis=(0, 2)) - grey[0, 4:-4, 0]).max() < 0.01


def test_a_saturated_pixel_is_a_neutral_one(tmp_path):
    light = Raws(save(tmp_path, np.full((8, 8), 16383, np.uint16)), HUGE, HUGE).scene(0).radiance
    assert light == pytest.approx(1)


def test_black_noise_is_averaged_before_it_is_cut_at_zero(tmp_path):
    noise = np.random.default_rng(0).normal(BLACK, 40, (256, 256)).round().astype(np.uint16)
    path = save(tmp_path, noise)
    assert develop_mosaic(path, Sidecar.model_validate(sidecar(256, 256))).min() < 0
    light = Raws(path, 8, 8).scene(0).radiance
    assert light.min() >= 0
    assert light.mean() < 40 / (WHITE - BLACK) / 10


def test_the_colour_matrix_is_applied_and_keeps_grey(tmp_path):
    matrix = [[1.6, -0.4, -0.2], [-0.2, 1.6, -0.4], [0.0, -0.4, 1.4]]
    counts = mosaic_of(np.full((8, 8, 3), (0.4, 0.3, 0.2)), "RGGB")
    light = Raws(save(tmp_path, counts, camera_to_rec709=figure(matrix)), HUGE, HUGE).scene(0).radiance
    np.testing.assert_allclose(light[4, 4], np.array(matrix) @ (0.4, 0.3, 0.2), atol=1e-3)
    grey = mosaic_of(np.full((8, 8, 3), 0.4), "RGGB")
    light = Raws(save(tmp_path, grey, camera_to_rec709=figure(matrix)), HUGE, HUGE).scene(0).radiance
    np.testing.assert_allclose(light, 0.4, atol=1e-3)


def test_a_mosaic_of_another_size_is_refused_in_one_sentence(tmp_path):
    path = save(tmp_path, np.zeros((8, 8), np.uint16))
    path.write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"a\.raw is 100 bytes long, but .*a\.yaml says .*expected 128 bytes"):
        Raws(tmp_path, HUGE, HUGE)


def test_a_mosaic_without_a_sidecar_is_refused_at_once(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(128))
    with pytest.raises(ValueError, match=r"a\.raw has no header and no sidecar; .*a\.yaml or .*mosaics.a\.yaml"):
        Raws(tmp_path, HUGE, HUGE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width_pix": 3}, "width_pix: unknown field; did you mean 'width_px'"),
        ({"cfa": "RGBG"}, "cfa = 'RGBG': should be 'RGGB'"),
        ({"dtype": "u1"}, "dtype = 'u1': should be"),
        ({"width_px": 7}, "width_px = 7: should be a multiple of 2"),
        ({"neutral": figure([0.5, 1, 0])}, "neutral.value.2 = 0: should be greater than 0"),
        ({"neutral": {"value": [1, 1, 1]}}, r"neutral.status: missing.*\n.*neutral.source: missing"),
        ({"black_level_dn": figure(float("nan"))}, "black_level_dn.value = nan: "),
        ({"black_level_dn": figure(20000)}, "black_level_dn .* below white_level_dn"),
        ({"neutral": figure([0.5, 2.0, 0.7])}, "neutral: .*largest is 1"),
        ({"camera_to_rec709": figure([[1, 0, 0], [0, 1, 0], [0, 0, 2]])}, "camera_to_rec709: .*sum"),
    ],
)
def test_a_wrong_sidecar_is_refused_by_file_and_field(tmp_path, changes, told):
    with pytest.raises(ValueError, match=rf"a\.yaml:\d+: .*{told}"):
        Raws(save(tmp_path, np.zeros((8, 8), np.uint16), **({"dtype": "<u2"} | changes)), HUGE, HUGE)


def test_a_sidecar_that_is_not_yaml_is_refused(tmp_path):
    save(tmp_path, np.zeros((8, 8), np.uint16)).with_suffix(".yaml").write_text("a: [1")
    with pytest.raises(ValueError, match=r"a\.yaml:1: not YAML"):
        Raws(tmp_path, HUGE, HUGE)


def dng(path, scene):
    raw = Raw(
        counts=mosaic_of(scene, "RGGB"),
        cfa="RGGB",
        black_level_dn=(BLACK,) * 4,
        white_level_dn=WHITE,
        exposure_us=1000.0,
        gain_db=0.0,
        iso=100,
        neutral=NEUTRAL,
        xyz_to_camera=IDENTITY_D65,
        noise_profile=((1e-4, 1e-7),) * 3,
        make="maker",
        model="model",
        serial="1",
    )
    write_dng(path, raw)


@pytest.mark.parametrize("limit", [HUGE, 40])
def test_libraw_and_a_sidecar_agree_about_the_light(tmp_path, limit):
    scene = np.concatenate([two_colours(96, 80), np.full((96, 80, 3), 0.4)], axis=1)
    dng(tmp_path / "b.dng", scene)
    save(tmp_path, mosaic_of(scene, "RGGB"))
    raws = Raws(tmp_path, limit, limit)
    ours, librarys = (raws.scene(index).radiance for index in (0, 1))
    assert ours.shape == librarys.shape == ((96, 160, 3) if limit == HUGE else (24, 40, 3))
    step = ours.shape[1] // 8
    for column in (step, 3 * step, 6 * step):
        np.testing.assert_allclose(librarys[10, column], ours[10, column], atol=0.01)


def test_libraw_does_not_scale_by_what_is_in_the_picture(tmp_path):
    for name, level in (("dark", 0.05), ("light", 0.5)):
        dng(tmp_path / f"{name}.dng", np.full((64, 64, 3), level))
    raws = Raws(tmp_path, HUGE, HUGE)
    assert [raws.scene(index).radiance.mean() for index in (0, 1)] == pytest.approx([0.05, 0.5], rel=2e-3)


@pytest.mark.parametrize("kept", [100, 5000])
def test_a_truncated_raw_is_refused_by_name(tmp_path, kept):
    dng(tmp_path / "a.dng", np.full((64, 64, 3), 0.5))
    (tmp_path / "a.dng").write_bytes((tmp_path / "a.dng").read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"a\.dng cannot be read "):
        Raws(tmp_path, HUGE, HUGE).scene(0)


def test_an_empty_folder_and_a_missing_file_are_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="holds no raw files"):
        Raws(tmp_path, HUGE, HUGE)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dng"):
        Raws(tmp_path / "nowhere.dng", HUGE, HUGE)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_scene_that_is_not_there_is_an_index_error(tmp_path, index):
    with pytest.raises(IndexError, match="0 … 0"):
        Raws(save(tmp_path, np.zeros((8, 8), np.uint16)), HUGE, HUGE).scene(index)


def test_a_real_mosaic_finds_its_sidecar_and_is_a_red_rose_among_green_leaves():
    path = DATA / "raw" / "DSC_1339_768x512_rggb.raw"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    light = Raws(path, 1200, 1920).scene(0).radiance
    assert light.shape == (512, 768, 3)
    petal, leaf = (
        light[rows, columns].mean(axis=(0, 1)) for rows, columns in (np.s_[350:450, 180:280], np.s_[60:120, 90:120])
    )
    assert petal[0] > 5 * petal[1:].max()
    assert leaf[1] > 2 * leaf[2]
    assert cv2.cvtColor(leaf[None, None], cv2.COLOR_RGB2HSV)[0, 0, 0] == pytest.approx(70, abs=30)
