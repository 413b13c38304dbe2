"""The rig's light: colour, flicker under a rolling shutter, level over time; each against its integral."""

import numpy as np
import pytest
import yaml

from isp_sim.light import begins, row_levels
from isp_sim.pair import DualCamera
from isp_sim.rig import Figure, Light, Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes.charts import Charts
from isp_sim.units import Radiance


def light_of(colour=None, frequency=None, depth=0.4, level=None):
    noted = {"status": "assumed", "source": "a test"}
    return Light.model_validate(
        {
            "colour": colour and {"value": colour, **noted},
            "flicker": frequency
            and {"frequency_hz": {"value": frequency, **noted}, "depth": {"value": depth, **noted}},
            "level": level and {"value": level, **noted},
        }
    )


def mean_of(function, begin, span, parts=20001):
    """By the midpoint rule."""
    return function(begin + (np.arange(parts) + 0.5) / parts * span).mean()


@pytest.mark.parametrize("row_time_us", [0.0, 15.0])
@pytest.mark.parametrize("exposure_us", [300.0, 10_000.0, 13_000.0])
def test_a_row_sees_the_mean_of_the_flicker(exposure_us, row_time_us):
    levels = row_levels(light_of(frequency=100.0), 0.0123, exposure_us, 200, row_time_us)
    for row in (0, 77, 199):
        begin = 0.0123 + row * row_time_us * 1e-6
        due = mean_of(lambda t: 1 + 0.4 * np.cos(2 * np.pi * 100 * t), begin, exposure_us * 1e-6)
        assert levels[row] == pytest.approx(due, abs=1e-6)
    if exposure_us == 10_000:  # a whole period
        assert np.allclose(levels, 1, atol=1e-6)
    if row_time_us == 0:
        assert np.ptp(levels) == 0


@pytest.mark.parametrize("begin", [-1.0, 0.05, 0.19, 0.25, 0.9, 3.0])
def test_a_row_sees_the_mean_of_the_level(begin):
    times, shares = (0.1, 0.2, 0.5), (1.0, 0.25, 0.5)
    levels = row_levels(light_of(level=list(zip(times, shares, strict=True))), begin, 150_000.0, 3, 0.0)
    due = mean_of(lambda t: np.interp(t, times, shares), begin, 0.15)
    assert levels == pytest.approx([due] * 3, abs=2e-5)


def test_moments_are_drawn_within_a_period_and_belong_to_the_shot():
    flickering = light_of(frequency=120.0)
    moments = [begins(flickering, None, 1, 2, shot) for shot in range(200)]
    assert min(moments) >= 0 and max(moments) < 1 / 120 and len(set(moments)) == 200
    assert moments[3] == begins(flickering, None, 1, 2, 3)
    assert begins(None, None, 1, 2, 3) == begins(light_of(colour=[1, 1, 1]), None, 1, 2, 3) == 0.0
    # A sequence's frames keep the phase of its first.
    assert [begins(flickering, n / 25, 1, 2, n) for n in (0, 3)] == [moments[0], moments[0] + 3 / 25]


def rolling(frequency, depth):
    rig = load_rig("ideal")
    row_time = Figure(value=40.0, status="assumed", source="a test")
    sensor = rig.sensor.model_copy(update={"row_time_us": row_time})
    return rig.model_copy(update={"sensor": sensor, "light": light_of(frequency=frequency, depth=depth)})


def test_both_arms_show_the_same_bands():
    rig = rolling(100.0, 0.5)
    camera = DualCamera(rig)
    scene = Charts(rig.height_px, rig.width_px).scene(4)  # the flat field
    shot = drawn_shots(rig.schedule, 0, 0, 1)[0]
    shot = type(shot)(**{**vars(shot), "exposure_us": 2000, "base_exposure_us": 2000.0, "base_gain_db": 0.0})
    camera.prepare(scene, shot, 5)
    start_s = begins(rig.light, None, 5, shot.scene, shot.number)
    rows = np.arange(rig.height_px)
    due = 1 + 0.5 * np.sinc(0.2) * np.cos(2 * np.pi * 100 * (start_s + rows * 40e-6 * rig.binning + 1e-3))
    centre = slice(rig.width_px // 2 - 8, rig.width_px // 2 + 8)
    for arm in (camera.well_lit, camera.low_light):
        photons = np.array(arm.sight[:, centre, 1].mean(axis=1))
        raw = arm.grab(2000.0, 0.0)
        seen = (raw.counts[:, centre] - raw.black_level_dn[0]).astype(float)
        green = seen[0::2, 1::2].mean(axis=1), photons[0::2]
        ratio = green[0] / green[1] / due[0::2]
        assert np.ptp(ratio / ratio.mean()) < 4 / green[0].min()  # counts are rounded to whole numbers


def test_the_colour_multiplies_the_radiance():
    rig = load_rig("ideal")
    camera = DualCamera(rig.model_copy(update={"light": light_of(colour=[1.0, 0.5, 0.25])}))
    plain = DualCamera(rig)
    scene = Charts(rig.height_px, rig.width_px).scene(0)
    shot = drawn_shots(rig.schedule, 0, 0, 1)[0]
    camera.prepare(scene, shot, 0)
    shaded = Radiance(scene.radiance * np.array([1, 0.5, 0.25], np.float32))
    plain.prepare(type(scene)(**{**vars(scene), "radiance": shaded}), shot, 0)
    assert np.array_equal(camera.well_lit.sight, plain.well_lit.sight)


def test_a_rig_without_the_parts_is_written_as_before():
    for name in ("exlpose", "ideal"):
        written = load_rig(name).model_dump(mode="json")
        assert "light" not in written and "row_time_us" not in written["sensor"]


def test_a_lit_rig_is_read_back_as_it_was():
    rig = rolling(120.0, 0.2)
    assert Rig.model_validate(yaml.safe_load(yaml.safe_dump(rig.model_dump(mode="json")))) == rig
    assert Rig.model_validate_json(rig.model_dump_json()) == rig


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"colour": [0.9, 0.5, 0.2]}, "expected its largest to be 1"),
        ({"level": [[0, 1], [0, 2]]}, "expected rising seconds"),
        ({"level": [[0, 1], [1, 0]]}, "greater than 0"),
        ({"frequency": -5.0}, "greater than 0"),
        ({"frequency": 100.0, "depth": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_light_that_cannot_be_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        light_of(**fields)
