"""Radiance → photons: conservation, closed forms, geometry there and back."""

import math

import numpy as np
import pytest
from conftest import change

from isp_sim import optics
from isp_sim.units import Radiance


def views(rig):
    parts = (rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor, rig.binning)
    return optics.view(rig.well_lit, *parts), optics.view(rig.low_light, *parts)


def grey(height, width, level=1.0):
    return Radiance(np.full((height, width, 3), level, np.float32))


def test_splitter_and_filter_conserve_energy(ideal):
    rig = ideal.model_copy(
        update={
            "beam_splitter": change(ideal.beam_splitter, transmittance=(0.7, 0.6, 0.5), reflectance=(0.3, 0.4, 0.5))
        }
    )
    rig = rig.model_copy(update={"nd_filter": change(rig.nd_filter, transmittance=(1.0, 1.0, 1.0))})
    scene = Radiance(np.random.default_rng(0).random((40, 60, 3), np.float32))
    well, low = (optics.photons_at_sensor(scene, view, 1000.0) for view in views(rig))
    alone = scene @ np.array(rig.sensor.rec709_to_camera.value).T * 1000
    assert well + low == pytest.approx(alone, rel=1e-5)


def test_the_filter_takes_its_share_of_each_band(ideal):
    rig = ideal.model_copy(update={"nd_filter": change(ideal.nd_filter, transmittance=(0.01, 0.02, 0.03))})
    well, low = (optics.photons_at_sensor(grey(8, 8), view, 1e4) for view in views(rig))
    assert (low / well)[4, 4] == pytest.approx([0.01, 0.02, 0.03], rel=1e-6)


def test_a_filter_that_leaks_infrared_lets_it_into_all_bands(ideal):
    lens = change(ideal.lens, near_infrared=0.3)
    leaky = change(ideal.nd_filter, transmittance=(0.01,) * 3, near_infrared_transmittance=0.5)
    rig = ideal.model_copy(update={"lens": lens, "nd_filter": leaky})
    _, low = (optics.photons_at_sensor(grey(8, 8), view, 1.0) for view in views(rig))
    due = 0.5 * (0.01 * np.array(rig.sensor.rec709_to_camera.value).sum(axis=1) + 0.5 * 0.3)
    assert low[4, 4] == pytest.approx(due, rel=1e-5)


def test_light_is_linear_in_exposure_and_radiance(exlpose):
    well, _ = views(exlpose)
    scene = Radiance(np.random.default_rng(1).random((40, 60, 3), np.float32))
    once = optics.photons_at_sensor(scene, well, 10.0)
    assert optics.photons_at_sensor(Radiance(scene * 2), well, 30.0) == pytest.approx(once * 6, rel=1e-5)


def test_fall_off_is_cos4(ideal):
    rig = ideal.model_copy(update={"lens": change(ideal.lens, focal_length_mm=4.0)})
    well, _ = views(rig)
    photons = optics.photons_at_sensor(grey(1200, 1920), well, 1.0)[..., 1]
    for y, x in ((0, 0), (600, 0), (100, 1500)):
        radius_mm = math.hypot(x - 959.5, y - 599.5) * 3.45e-3
        cos4 = math.cos(math.atan(radius_mm / 4.0)) ** 4
        assert photons[y, x] / photons[600, 960] == pytest.approx(cos4, rel=1e-4)


@pytest.mark.parametrize("band", [0, 1, 2])
def test_a_point_spread_makes_no_light(exlpose, band):
    kernel = optics.point_spread(exlpose.lens, 3.45, band)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-12)
    assert (kernel >= 0).all()
    assert kernel == pytest.approx(kernel[::-1, ::-1], abs=1e-9)


def test_the_airy_disc_holds_its_share(exlpose):
    # 83.8 % of an Airy pattern falls inside its first dark ring, at 1.22 λ N.
    lens = change(exlpose.lens, defocus_um=0.0, f_number=40.0)
    pitch_um = 1.22 * 0.54 * 40 / 10
    kernel = optics.point_spread(lens, pitch_um, 1)
    half = kernel.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    inside = kernel[np.hypot(x, y) <= 10].sum()
    total_reach = 1.5 * 40 / pitch_um  # what the window keeps of the pattern
    assert inside == pytest.approx(0.838 / (1 - 2 / (math.pi**2 * total_reach / 10 * 1.22)), abs=0.02)


def test_the_lens_keeps_the_light_of_a_point(exlpose):
    scene = np.zeros((41, 41, 3), np.float32)
    scene[20, 20] = 5.0
    image = optics.through_lens(Radiance(scene), exlpose.lens, 3.45)
    assert image.sum(axis=(0, 1)) == pytest.approx([5.0] * 3, rel=1e-5)
    assert image[20, 20, 1] < 5.0


def test_the_ideal_lens_changes_nothing(ideal):
    scene = Radiance(np.random.default_rng(2).random((30, 30, 3), np.float32))
    assert optics.through_lens(scene, ideal.lens, 3.45) == pytest.approx(scene, abs=1e-6)
    well, _ = views(ideal)
    due = scene @ well.bands.T
    assert optics.photons_at_sensor(scene, well, 1.0) == pytest.approx(due, rel=1e-5)


def bent(rig):
    geometry = change(
        rig.low_light.geometry, rotation_deg=0.8, shift_px=(12.3, -7.7), scale=1.008, perspective_per_px=(2e-6, -3e-6)
    )
    lens = change(rig.lens, distortion=(0.03, -0.01))
    return rig.model_copy(update={"lens": lens, "low_light": rig.low_light.model_copy(update={"geometry": geometry})})


def test_labels_go_where_the_light_goes(ideal):
    rig = bent(ideal)
    _, low = views(rig)
    height, width = 600, 800
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for px, py in ((400.0, 300.0), (100.0, 80.0), (700.0, 500.0)):
        spot = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 3.0**2))
        photons = optics.photons_at_sensor(Radiance(np.repeat(spot[..., None], 3, 2)), low, 1.0)[..., 1].astype(float)
        centre = np.array([(photons * x).sum(), (photons * y).sum()]) / photons.sum()
        due = optics.to_sensor(np.array([[px, py]]), low, height, width)[0]
        assert centre == pytest.approx(due, abs=0.01)


@pytest.mark.parametrize("k1", [-0.1, 0.02, 0.3])
def test_every_pixel_of_the_well_lit_frame_sees_scene_and_not_its_repeated_rim(exlpose, k1):
    rig = exlpose.model_copy(update={"lens": change(exlpose.lens, distortion=(k1, 0.0))})
    points = optics.scene_points(views(rig)[0], 1200, 1920).reshape(-1, 2)
    assert points.min() >= -1e-3
    assert (points.max(axis=0) <= (1919 + 1e-3, 1199 + 1e-3)).all()
    corner = optics.scene_points(views(rig)[0], 1200, 1920)[0, 0]
    if k1 > 0:
        assert corner == pytest.approx([0, 0], abs=0.7)  # the field of view is used to its corner


def test_one_homography_joins_the_arms(ideal):
    rig = bent(ideal)
    well, low = views(rig)
    points = np.array([[0.0, 0.0], [799, 0], [0, 599], [799, 599], [333, 222]])
    in_well, in_low = (optics.to_sensor(points, view, 600, 800) for view in (well, low))
    lifted = np.column_stack([in_low, np.ones(5)]) @ optics.between(low, well, 600, 800).T
    assert lifted[:, :2] / lifted[:, 2:] == pytest.approx(in_well, abs=1e-8)


def test_binning_keeps_the_picture_in_place(exlpose):
    rig = bent(exlpose)
    parts = (rig.beam_splitter, rig.nd_filter, rig.lens, rig.sensor)
    fine, coarse = (optics.view(rig.low_light, *parts, n) for n in (1, 4))
    points = np.array([[100.0, 200.0], [1500.0, 900.0]])
    coarse_points = (points + 0.5) / 4 - 0.5
    fine_at = optics.to_sensor(points, fine, 1200, 1920)
    coarse_at = optics.to_sensor(coarse_points, coarse, 300, 480)
    assert (fine_at + 0.5) / 4 - 0.5 == pytest.approx(coarse_at, abs=1e-6)
