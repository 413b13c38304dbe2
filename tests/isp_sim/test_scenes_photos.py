import json
import os
import pickle
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import CameraCurve, Limits, Photos, expand_highlights, to_light
from isp_sim.scenes.sources import open_scenes
from isp_sim.transfer import srgb_encode, tone

DATA = Path(__file__).parents[3] / "shared" / "data"
CURVES = [
    CameraCurve(),
    CameraCurve(tone=False),
    CameraCurve(knee=0.95, headroom_ev=5),
    CameraCurve(headroom_ev=0),
]
HUGE = 10_000


def picture(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, rgb):
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def compress_highlights(light, curve):
    """Inverse of `expand_highlights`: `v = k + (1 − k)·t`, `t = 2e/(w + √(w² + 4(2^N − 1)·e))`.

    `e = L − k` is the light above the knee and `w = 1 − k`; below the knee `v = L`.
    """
    width, rise = 1 - curve.knee, 2**curve.headroom_ev - 1
    above = np.maximum(light - curve.knee, 0)
    t = 2 * above / (width + np.sqrt(width * width + 4 * rise * above))
    return np.where(above > 0, curve.knee + width * t, light)


def to_photo(light, curve):
    """Light → sRGB 0 … 1, the camera `to_light` undoes: roll off highlights, contrast curve, encode."""
    brightest = light.max(axis=2, keepdims=True)
    gain = compress_highlights(brightest, curve) / np.maximum(brightest, np.finfo(np.float32).tiny)
    linear = torch.from_numpy(light * gain.astype(np.float32))
    return np.asarray(srgb_encode(tone(linear) if curve.tone else linear))


def annotate(folder, name, keypoints, bbox=(0, 0, 10, 10)):
    document = {
        "images": [{"id": 1, "file_name": name}],
        "annotations": [{"id": 0, "image_id": 1, "keypoints": keypoints, "bbox": list(bbox)}],
    }
    (folder / "people.json").write_text(json.dumps(document))


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_photo_comes_back_from_light_within_half_a_code(curve, dtype):
    top = np.iinfo(dtype).max
    codes = np.random.default_rng(1).integers(0, top, (64, 64, 3), dtype=dtype, endpoint=True)
    codes[0, :, :] = np.linspace(0, top, 64).astype(dtype)[:, None]
    back = to_photo(to_light(codes, curve), curve)
    assert np.abs(255 * back - codes * (255 / top)).max() < 0.5


@pytest.mark.parametrize("curve", CURVES)
def test_highlights_expand_and_compress_to_where_they_were(curve):
    value = np.linspace(0, 1, 10_001)
    light = expand_highlights(value, curve)
    np.testing.assert_allclose(compress_highlights(light, curve), value, atol=1e-12)
    assert (np.diff(light) > 0).all()
    assert light[-1] == pytest.approx(2**curve.headroom_ev)
    np.testing.assert_array_equal(light[value <= curve.knee], value[value <= curve.knee])


def test_value_and_slope_are_continuous_at_the_knee():
    curve = CameraCurve()
    below, at, above = expand_highlights(curve.knee + np.array([-1e-6, 0, 1e-6]), curve)
    assert (above - at) / (at - below) == pytest.approx(1, abs=1e-3)


def test_a_lifted_highlight_keeps_its_hue():
    codes = np.array([[[255, 250, 240]]], np.uint8)
    lifted = to_light(codes, CameraCurve())[0, 0]
    plain = to_light(codes, CameraCurve(headroom_ev=0))[0, 0]
    assert lifted[0] == pytest.approx(4)
    np.testing.assert_allclose(lifted / lifted[0], plain / plain[0], rtol=1e-6)


def test_without_a_contrast_curve_mid_grey_is_18_percent_light():
    light = to_light(np.full((2, 2, 3), 118, np.uint8), CameraCurve(tone=False))
    assert light == pytest.approx(0.18, abs=0.002)


@pytest.mark.parametrize(("field", "value"), [("knee", 0.0), ("knee", 1.0), ("headroom_ev", -1), ("headroom_ev", 99)])
def test_a_curve_outside_its_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        CameraCurve(**{field: value})


def test_averaging_down_conserves_the_mean_light():
    light = np.random.default_rng(2).random((480, 640, 3), dtype=np.float32)
    for limits in (Limits(240, HUGE), Limits(HUGE, 200), Limits(300, 500)):
        smaller, _ = limits.fit(light, Path("x"))
        assert smaller.mean() == pytest.approx(light.mean(), rel=1e-5)


def test_averaging_happens_in_light_not_in_codes(tmp_path):
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 255
    save(tmp_path / "a.png", stripes)
    curve = CameraCurve(tone=False, headroom_ev=0)
    assert Photos(tmp_path, None, 4, 4, curve).scene(0).radiance == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((40, 60), (HUGE, HUGE), (40, 60)),
        ((41, 61), (HUGE, HUGE), (40, 60)),
        ((40, 60), (20, HUGE), (20, 30)),
        ((40, 60), (HUGE, 33), (22, 32)),
        ((30, 90), (29, 29), (10, 28)),
    ],
)
def test_a_picture_fits_is_even_and_is_never_enlarged(size, limits, expected):
    light = np.ones((*size, 3), np.float32)
    fitted, _ = Limits(*limits).fit(light, Path("x"))
    assert fitted.shape == (*expected, 3)
    assert fitted.flags.c_contiguous
    assert fitted.dtype == np.float32


@pytest.mark.parametrize(("max_height", "max_width"), [(100, 150), (77, HUGE), (HUGE, 91)])
def test_a_dot_drawn_at_a_joint_lies_at_the_label_after_averaging(tmp_path, max_height, max_width):
    codes = np.zeros((300, 450, 3), np.uint8)
    x, y = 311, 208
    codes[y - 4 : y + 5, x - 4 : x + 5] = 200
    save(tmp_path / "dot.png", codes)
    annotate(tmp_path, "dot.png", [x, y, 2] + [0, 0, 0] * 13, (x - 4, y - 4, 9, 9))
    scene = Photos(tmp_path, None, max_height, max_width).scene(0)
    (person,) = scene.people
    light = scene.radiance[..., 0]
    rows, columns = np.indices(light.shape)
    middle = ((columns * light).sum() / light.sum(), (rows * light).sum() / light.sum())
    assert person.keypoints[0][:2] == pytest.approx(middle, abs=0.05)
    assert person.keypoints[1] == (0, 0, 0)
    left, top, width, height = person.bbox  # edges: pixel n reaches from n to n + 1
    assert (left + width / 2 - 0.5, top + height / 2 - 0.5) == pytest.approx(middle, abs=0.05)
    assert width * height == pytest.approx(light.sum() / light.max(), rel=0.1)


def test_exif_orientation_is_obeyed(tmp_path):
    plain = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    entry = struct.pack(">HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + entry
    (tmp_path / "a.jpg").write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    assert Photos(tmp_path, None, HUGE, HUGE).scene(0).radiance.shape == (60, 40, 3)


def test_sixteen_bits_and_grey_pictures_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4, 3), 40_000, np.uint16))
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((4, 4), 40_000 // 257, np.uint8))
    deep, grey = (Photos(tmp_path, None, HUGE, HUGE).scene(index).radiance for index in (0, 1))
    assert deep.shape == grey.shape == (4, 4, 3)
    np.testing.assert_allclose(deep, grey, rtol=0.01)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("kept", [0, 1 / 2, 0.95, -1])
def test_a_truncated_picture_is_refused_by_name(tmp_path, suffix, kept):
    whole = cv2.imencode(suffix, cv2.GaussianBlur(picture(200, 300), (0, 0), 3))[1].tobytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: int(kept * len(whole)) if kept >= 0 else -1])
    with pytest.raises(ValueError, match=rf"cut{suffix}: not a readable picture of 8 or 16 bits"):
        Photos(tmp_path, None, HUGE, HUGE).scene(0)


def test_a_damaged_png_is_refused(tmp_path):
    whole = bytearray(cv2.imencode(".png", picture())[1].tobytes())
    whole[len(whole) // 2] ^= 0x55
    (tmp_path / "a.png").write_bytes(whole)
    with pytest.raises(ValueError, match=r"a\.png: not a readable picture"):
        Photos(tmp_path, None, HUGE, HUGE).scene(0)


def test_floating_point_pictures_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.ones((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"a\.tif: not a readable picture of 8 or 16 bits"):
        Photos(tmp_path, None, HUGE, HUGE).scene(0)


def test_files_come_by_name_and_from_the_folder_images(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("b.png", "A.JPG", "c.png", ".hidden.png"):
        save(tmp_path / "images" / name, picture())
    (tmp_path / "images" / "notes.txt").write_text("")
    photos = Photos(tmp_path, None, HUGE, HUGE)
    assert [photos.scene(index).name for index in range(len(photos))] == ["A.JPG", "b.png", "c.png"]


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_a_folder_without_photos_is_refused_at_once(tmp_path, name):
    with pytest.raises(ValueError, match="holds no photographs"):
        Photos(tmp_path / name, None, HUGE, HUGE)


def test_limits_that_hold_no_picture_are_refused_at_once(tmp_path):
    save(tmp_path / "a.png", picture())
    with pytest.raises(ValueError, match="max_height 0, max_width 9"):
        Photos(tmp_path, None, 0, 9)


def test_a_picture_too_narrow_for_the_limits_is_refused_by_name(tmp_path):
    save(tmp_path / "a.png", picture(4, 400))
    with pytest.raises(ValueError, match=r"a\.png would become 40×0 px"):
        Photos(tmp_path, None, 40, 40).scene(0)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_scene_that_is_not_there_is_an_index_error(tmp_path, index):
    save(tmp_path / "a.png", picture())
    with pytest.raises(IndexError, match="0 … 0"):
        Photos(tmp_path, None, HUGE, HUGE).scene(index)


def test_annotations_of_other_pictures_are_refused(tmp_path):
    save(tmp_path / "a.png", picture())
    annotate(tmp_path, "b.png", [0, 0, 0] * 14)
    with pytest.raises(ValueError, match="lists none of the 1 photographs"):
        Photos(tmp_path, None, HUGE, HUGE)


def test_a_person_beside_the_picture_is_refused(tmp_path):
    save(tmp_path / "a.png", picture(40, 60))
    annotate(tmp_path, "a.png", [0, 0, 0] * 14, (60, 5, 10, 10))
    with pytest.raises(ValueError, match=r"a\.png is 60×40, but a person's bbox"):
        Photos(tmp_path, None, HUGE, HUGE).scene(0)


def test_a_source_travels_to_a_worker(tmp_path):
    save(tmp_path / "a.png", picture())
    photos = Photos(tmp_path, None, HUGE, HUGE)
    copy = pickle.loads(pickle.dumps(photos))
    np.testing.assert_array_equal(copy.scene(0).radiance, photos.scene(0).radiance)


@pytest.mark.parametrize(("folder", "count", "people"), [("coco", 4, 14), ("crowdpose", 2, 5)])
def test_real_photos_come_with_their_people_and_pass_over_detections(folder, count, people):
    if not (DATA / "photos" / folder).is_dir():
        pytest.skip(f"{DATA / 'photos' / folder} is not here")
    photos = Photos(DATA / "photos" / folder, None, 1200, 1920)
    scenes = [photos.scene(index) for index in range(len(photos))]
    assert (len(scenes), sum(len(scene.people) for scene in scenes)) == (count, people)
    for scene in scenes:
        assert scene.radiance.dtype == np.float32
        assert np.isfinite(scene.radiance).all()
        assert scene.radiance.min() >= 0
        assert scene.radiance.max() <= 4


def test_linear_pictures_are_light_as_they_are(tmp_path):
    light = np.random.default_rng(0).uniform(0, 1, (24, 32, 3)).astype(np.float32)
    codes = np.round(65535 * light).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.tif"), codes[..., ::-1])
    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    assert cv2.imwrite(str(tmp_path / "b.exr"), 5 * light[..., ::-1])
    source = Photos(tmp_path, None, HUGE, HUGE, linear=True)
    np.testing.assert_allclose(source.scene(0).radiance, light, atol=1e-5)
    np.testing.assert_allclose(source.scene(1).radiance, 5 * light, rtol=1e-6)
    save(tmp_path / "c.png", picture())
    with pytest.raises(ValueError, match=r"c\.png: has 8 bits, too few"):
        Photos(tmp_path, None, HUGE, HUGE, linear=True).scene(2)


def test_pictures_of_formats_that_are_not_read_are_told_with_what_to_do(tmp_path):
    rig = load_rig("exlpose-small")
    for name in ("a.heic", "b.HEIC", "c.avif"):
        (tmp_path / name).write_bytes(b"")
    told = r"3 files ending in \.HEIC \.avif \.heic are not read; convert them to PNG"
    with pytest.raises(ValueError, match=told):
        open_scenes(str(tmp_path), None, rig, 0)
    save(tmp_path / "d.png", picture())
    (note,) = open_scenes(str(tmp_path), None, rig, 0).notes
    assert re.search(told, note)
    with pytest.raises(ValueError, match="--linear: --scenes people is no folder"):
        open_scenes("people", None, rig, 0, linear=True)
