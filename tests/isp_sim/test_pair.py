"""Two arms, one scene: the meter, the alignment, the labels."""

import numpy as np
import pytest
from conftest import change

from isp_sim.pair import DualCamera
from isp_sim.scenes import Person, Scene
from isp_sim.schedule import Shot
from isp_sim.units import Radiance


def shot(ratio=1.0, base_us=10_000.0, gain_db=6.0, number=0):
    gain = gain_db + 20 * np.log10(ratio)
    return Shot(
        0, "0101", "sim", "000000", "000000", ratio, round(base_us / ratio), base_us, gain_db, float(gain), gain_db,
        number,
    )  # fmt: skip


def texture(height, width, seed=0, contrast=1.0):
    stream = np.random.default_rng(seed)
    coarse = stream.random((height // 20 + 2, width // 20 + 2, 3)).astype(np.float32)
    import cv2

    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return Radiance(np.clip(fine, 0.02, 1) ** contrast)


def person(x, y, size=20.0):
    joints = tuple((x + size * (j % 4) / 4, y + size * j / 14, 2) for j in range(14))
    return Person(joints, (x - 2, y - 2, size + 4, size + 4))


def sized(rig, height, width):
    return rig.model_copy(update={"height_px": height, "width_px": width})


@pytest.mark.parametrize("contrast", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("target", [40.0, 90.5, 150.0])
def test_the_meter_brings_the_well_lit_picture_to_its_target(ideal, contrast, target):
    rig = change(sized(ideal, 240, 320), meter_target=target)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(240, 320, contrast=contrast)), [shot()], 0)
    assert pair.well_lit.mean() == pytest.approx(target, abs=1.0)  # it looks at every sixth pixel


def test_gain_makes_up_for_exposure_in_the_well_lit_arm(ideal):
    rig = sized(ideal, 120, 160)
    shots = [shot(ratio, number=n) for n, ratio in enumerate((1, 2, 4, 8, 12))]
    means = [pair.well_lit.mean() for pair in DualCamera(rig).shoot(Scene("t", texture(120, 160)), shots, 0)]
    assert means == pytest.approx([means[0]] * 5, abs=0.1)


def test_the_low_light_arm_gets_a_hundredth_and_loses_with_the_exposure(ideal):
    rig = sized(ideal, 120, 160)
    rig = rig.model_copy(update={"sensor": change(rig.sensor, adc_bits=16, gain_dn_per_e=6.0)})
    shots = [shot(ratio, number=n) for n, ratio in enumerate((1, 4))]
    first, fourth = DualCamera(rig).shoot(Scene("t", texture(120, 160, contrast=0.3)), shots, 0)

    def light(raw):
        return raw.counts.astype(float).mean() - 64

    assert light(first.low_light_raw) / light(first.well_lit_raw) == pytest.approx(0.01, rel=0.01)
    assert light(fourth.low_light_raw) / light(first.low_light_raw) == pytest.approx(1 / 4, rel=0.02)


def test_a_black_scene_cannot_be_metered(ideal):
    rig = sized(ideal, 64, 64)
    with pytest.raises(ValueError, match=r"night: no light brings the picture to a mean of 90.5"):
        list(DualCamera(rig).shoot(Scene("night", Radiance(np.zeros((64, 64, 3), np.float32))), [shot()], 0))


def test_an_unmetered_white_fills_half_the_range(ideal):
    rig = sized(ideal, 64, 64)
    scene = Scene("flat", Radiance(np.ones((64, 64, 3), np.float32)), metered=False)
    (pair,) = DualCamera(rig).shoot(scene, [shot()], 0)
    raw = pair.well_lit_raw
    assert (raw.counts.max() - 64) / (raw.white_level_dn - 64) == pytest.approx(0.5, abs=0.001)


def misaligned(ideal):
    geometry = change(ideal.low_light.geometry, rotation_deg=0.5, shift_px=(6.3, -4.6), scale=1.004)
    low = ideal.low_light.model_copy(update={"geometry": geometry})
    bright_nd = change(ideal.nd_filter, transmittance=(1.0, 1.0, 1.0))
    return ideal.model_copy(update={"low_light": low, "nd_filter": bright_nd})


def test_the_aligned_pair_lies_on_itself_and_the_raws_do_not(ideal):
    rig = sized(misaligned(ideal), 300, 400)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(300, 400)), [shot()], 0)
    well, low = pair.well_lit.astype(float), pair.low_light.astype(float)
    x, y, w, h = pair.crop
    apart = np.abs(pair.well_lit_raw.counts.astype(float) - pair.low_light_raw.counts)[y : y + h, x : x + w].mean()
    assert np.abs(well - low).mean() < 0.6
    assert apart > 20
    assert well.shape == low.shape == (h, w, 3)


def test_the_crop_is_filled_by_both_arms(ideal):
    rig = sized(misaligned(ideal), 300, 400)
    camera = DualCamera(rig)
    x, y, w, h = camera.box(300, 400)
    (pair,) = camera.shoot(Scene("t", Radiance(np.ones((300, 400, 3), np.float32))), [shot()], 0)
    assert min(pair.low_light.min(), pair.well_lit.min()) > 80  # no black border came in
    assert [side % 2 for side in (x, y, w, h)] == [0, 0, 0, 0]  # the low-light mosaic's tile stays
    assert w > 370


def test_arms_that_see_nothing_in_common_are_refused(ideal):
    rig = sized(ideal, 64, 64)
    geometry = change(rig.low_light.geometry, shift_px=(60.0, 0.0))
    rig = rig.model_copy(update={"low_light": rig.low_light.model_copy(update={"geometry": geometry})})
    with pytest.raises(ValueError, match="of 64×64 px only 4×64 are seen by both arms; at least 16×16 must be"):
        list(DualCamera(rig).shoot(Scene("t", texture(64, 64)), [shot()], 0))


def test_the_crop_of_a_distorted_rig_holds_no_repeated_rim(exlpose):
    rig = sized(exlpose, 300, 400)
    rig = rig.model_copy(update={"lens": change(rig.lens, distortion=(0.4, 0.0))})
    stripes = np.repeat((np.indices((300, 400)).sum(axis=0) % 8 < 4)[..., None], 3, 2).astype(np.float32) * 0.8 + 0.1
    (pair,) = DualCamera(rig).shoot(Scene("stripes", Radiance(stripes)), [shot()], 0)
    picture = pair.well_lit.astype(float).mean(axis=2)
    for rim in (picture[:8], picture[-8:], picture[:, :8].T, picture[:, -8:].T):
        assert np.abs(np.diff(rim, axis=0)).mean() > 5  # a repeated rim has no structure across itself


def test_labels_lie_on_what_they_name(exlpose):
    rig = sized(exlpose, 400, 600)
    rig = rig.model_copy(update={"lens": change(rig.lens, distortion=(0.3, 0.0))})
    scene = np.full((400, 600, 3), 0.05, np.float32)
    someone = person(100.0, 80.0, 180.0)
    for x, y, _ in someone.keypoints:
        scene[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 1.0
    exact = Person(tuple((float(round(x)), float(round(y)), 2) for x, y, _ in someone.keypoints), someone.bbox)
    (pair,) = DualCamera(rig).shoot(Scene("dots", Radiance(scene), (exact,)), [shot()], 0)
    grey = pair.well_lit.astype(float).mean(axis=2)
    for x, y, v in pair.people[0].keypoints:
        assert v == 2
        top, left = round(y) - 5, round(x) - 5
        patch = grey[top : top + 11, left : left + 11]
        light = np.maximum(patch - np.percentile(patch, 60), 0)
        yy, xx = np.mgrid[top : top + 11, left : left + 11]
        assert (light * xx).sum() / light.sum() == pytest.approx(x, abs=0.3)
        assert (light * yy).sum() / light.sum() == pytest.approx(y, abs=0.3)


def test_joints_outside_the_crop_become_unlabelled(ideal):
    rig = sized(misaligned(ideal), 300, 400)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(300, 400), (person(-8.0, 100.0, 40.0),)), [shot()], 0)
    joints = pair.people[0].keypoints
    assert {v for _, _, v in joints} == {0, 2}
    assert all((x, y) == (0.0, 0.0) for x, y, v in joints if v == 0)
    x, _, _, _ = pair.people[0].bbox
    assert x == 0.0


def test_a_shot_does_not_depend_on_the_shots_before_it(exlpose):
    rig, scene = sized(exlpose, 120, 160), Scene("t", texture(120, 160))
    shots = [shot(ratio, number=n) for n, ratio in enumerate((1, 4, 8))]
    whole = list(DualCamera(rig).shoot(scene, shots, 5))
    (alone,) = DualCamera(rig).shoot(scene, shots[2:], 5)
    assert (alone.low_light_raw.counts == whole[2].low_light_raw.counts).all()
    assert (alone.well_lit == whole[2].well_lit).all()


def test_a_scene_shot_at_another_base_is_metered_anew(ideal):
    camera, scene = DualCamera(sized(ideal, 120, 160)), Scene("t", texture(120, 160))
    for base_us in (10_000.0, 2_000.0, 25_000.0):
        (pair,) = camera.shoot(scene, [shot(base_us=base_us)], 0)
        assert pair.well_lit.mean() == pytest.approx(90.5, abs=1.0)


def test_a_smaller_scene_is_a_region_of_the_sensor(exlpose):
    rig = sized(exlpose, 200, 300)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(120, 160)), [shot()], 0)
    assert pair.well_lit_raw.counts.shape == (120, 160)
