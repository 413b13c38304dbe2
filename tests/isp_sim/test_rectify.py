"""One arm's picture on the other's pixels: map, warp, crop and labels; and that the kept arm is as it was."""

import cv2
import numpy as np
import pytest
from test_pair import misaligned, shot, sized, texture

from isp_sim.isp.codes import srgb_codes
from isp_sim.isp.develop import develop_raw
from isp_sim.pair import DualCamera
from isp_sim.rectify import ArmMap, common_box, crop, filled_box, people_on, plane_on, warp
from isp_sim.scenes import Person, Scene

SIZE = (300, 400)
TILTED = np.array([[1.004, -0.012, 6.3], [0.011, 1.003, -4.6], [2e-6, -3e-6, 1.0]])
BENT = ArmMap(TILTED, SIZE, (0.02, -0.004))


def ramp():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    return np.stack([x, y, x + 2 * y], axis=-1)


@pytest.mark.parametrize("resampling", ["linear", "cubic"])
@pytest.mark.parametrize("onto", ["low_light", "well_lit"])
def test_a_pixel_takes_the_light_of_the_point_it_is_mapped_to(onto, resampling):
    """A plane is reproduced by either resampling: the warped picture of the coordinates is the map itself."""
    box = (40, 40, 320, 220)
    seen = warp(ramp(), BENT, onto, box, resampling)
    pixels = np.stack(np.meshgrid(np.arange(40, 360), np.arange(40, 260)), axis=-1).reshape(-1, 2)
    other = "well_lit" if onto == "low_light" else "low_light"
    wanted = BENT.moved(pixels.astype(float), other).reshape(220, 320, 2)
    assert np.abs(seen[..., :2] - wanted).max() < 1e-3
    assert np.abs(seen[..., 2] - wanted @ (1, 2)).max() < 3e-3


def test_the_map_there_and_back_is_where_it_began():
    stream = np.random.default_rng(0)
    points = stream.uniform((0, 0), (399, 299), (500, 2))
    assert np.abs(BENT.moved(BENT.moved(points, "well_lit"), "low_light") - points).max() < 1e-6


def test_without_distortion_the_map_is_the_homography():
    points = np.array([[0.0, 0.0], [399.0, 0.0], [120.0, 250.0]])
    plain = ArmMap(TILTED, SIZE)
    assert np.allclose(plain.moved(points, "well_lit"), cv2.perspectiveTransform(points[None], TILTED)[0], atol=1e-9)


def test_whole_pixels_move_a_picture_and_change_no_value():
    picture = np.random.default_rng(1).random((*SIZE, 3)).astype(np.float32)
    shift = ArmMap(np.array([[1, 0, 4.0], [0, 1, -2.0], [0, 0, 1]]), SIZE)
    box = (10, 10, 100, 80)
    assert np.array_equal(warp(picture, shift, "low_light", box, "cubic"), picture[8:88, 14:114])
    assert np.array_equal(warp(picture, shift, "well_lit", box, "linear"), picture[12:92, 6:106])


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"an image of \(10, 20\) px: the map between the arms is of \(300, 400\) px"):
        warp(np.zeros((10, 20, 3), np.float32), BENT, "low_light", (0, 0, 16, 16), "linear")


@pytest.mark.parametrize(("shift", "low", "well"), [
    ((11.3, -8.6), (0, 10, 388, 290), (12, 0, 388, 290)),
    ((-3.0, 4.0), (4, 0, 396, 296), (0, 4, 396, 296)),
    ((0.0, 0.0), (0, 0, 400, 300), (0, 0, 400, 300)),
])  # fmt: skip
def test_the_common_box_is_filled_even_and_no_smaller_than_it_must_be(shift, low, well):
    arms = ArmMap(np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]), SIZE)
    assert common_box(arms, "low_light") == low
    assert common_box(arms, "well_lit") == well


@pytest.mark.parametrize("onto", ["low_light", "well_lit"])
def test_every_pixel_of_the_common_box_sees_the_other_arm(onto):
    left, top, width, height = common_box(BENT, onto)
    pixels = np.stack(np.meshgrid(np.arange(left, left + width), np.arange(top, top + height)), axis=-1).reshape(-1, 2)
    seen = BENT.moved(pixels.astype(float), "well_lit" if onto == "low_light" else "low_light")
    assert seen.min() > -0.01 and (seen < np.array(SIZE[::-1]) - 1 + 0.01).all()
    assert width * height > 0.9 * 400 * 300


def test_a_box_keeps_within_a_crop_and_within_what_is_there():
    assert filled_box(lambda points: points, SIZE, within=(21, 10, 100, 101)) == (22, 10, 98, 100)
    assert filled_box(lambda points: points, SIZE, source=(21, 10, 100, 101)) == (22, 10, 98, 100)


def test_the_low_light_picture_is_the_developed_raw_cropped_and_nothing_more(exlpose):
    """As ExLPose's are: a warp would average the noise, differently at each place of the mosaic's tile."""
    rig = sized(misaligned(exlpose), *SIZE)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(*SIZE)), [shot()], 0)
    linear = develop_raw(pair.low_light_raw, rig.low_light.isp)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pair.low_light, srgb_codes(crop(np.ascontiguousarray(linear), pair.crop)))
    assert [side % 2 for side in pair.crop] == [0, 0, 0, 0]
    assert pair.onto == "low_light"


def test_labels_and_maps_lie_on_the_low_light_arm(ideal):
    """A dot of the scene is at the label in both pictures, and where the planes say, though the arms are apart."""
    scene = np.full((*SIZE, 3), 0.05, np.float32)
    plane = np.zeros(SIZE, np.uint8)
    scene[149:152, 219:222], plane[149:152, 219:222] = 1.0, 7
    someone = Person(((220.0, 150.0, 2),) * 14, (200.0, 100.0, 60.0, 80.0))
    rig = sized(misaligned(ideal), *SIZE)
    camera = DualCamera(rig)
    (pair,) = camera.shoot(Scene("dot", scene, (someone,), planes={"semantic": plane}), [shot()], 0)
    x, y, _ = pair.people[0].keypoints[0]
    yy, xx = np.mgrid[: pair.crop[3], : pair.crop[2]]
    for picture in (pair.well_lit, pair.low_light):
        light = np.maximum(picture.astype(float).mean(axis=2) - np.median(picture), 0) ** 2
        assert (light * xx).sum() / light.sum() == pytest.approx(x, abs=0.1)
        assert (light * yy).sum() / light.sum() == pytest.approx(y, abs=0.1)
    there = pair.planes["semantic"] == 7
    assert (xx[there].mean(), yy[there].mean()) == pytest.approx((x, y), abs=0.5)
    raw = pair.low_light_raw.counts.astype(float) - 64
    left, top = pair.crop[:2]
    at = np.unravel_index(np.argmax(cv2.GaussianBlur(raw, (0, 0), 1.5)), raw.shape)
    assert (at[1] - left, at[0] - top) == pytest.approx((x, y), abs=1.0)


def test_people_are_cut_at_the_crop():
    someone = Person(((5.0, 5.0, 2), (50.0, 50.0, 2), *((0.0, 0.0, 0),) * 12), (0.0, 0.0, 60.0, 60.0))
    (there,) = people_on([someone], lambda points: points + 1.0, (10, 20, 100, 80))
    assert there.keypoints[:2] == ((0.0, 0.0, 0), (41.0, 31.0, 2))
    assert there.bbox == (0.0, 0.0, 51.0, 41.0)


def test_a_map_is_never_interpolated():
    plane = np.random.default_rng(2).integers(0, 5, SIZE).astype(np.uint8)
    at = np.stack(np.meshgrid(np.arange(50) + 20.4, np.arange(40) + 9.6), axis=-1).astype(np.float32)
    assert np.array_equal(plane_on(plane, at), plane[10:50, 20:70])
