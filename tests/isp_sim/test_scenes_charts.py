import pickle
import time

import numpy as np
import pytest

from isp_sim.scenes.charts import BACKDROP, EDGE_DEG, EDGE_LEVELS, STAR_LEVELS, Charts, patch_colours, white

SIZE = (300, 480)
NAMES = ("colorchecker", "slanted_edge", "siemens_star", "grey_ramp", "flat_field", "dark")


@pytest.fixture(scope="module")
def charts():
    source = Charts(*SIZE)
    return {name: source.scene(index) for index, name in enumerate(NAMES)}


def inside(scene, rectangle):
    x, y, width, height = rectangle
    return scene.radiance[y : y + height, x : x + width]


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_is_light_of_the_size_asked_for(charts, name):
    scene = charts[name]
    assert scene.name == f"charts/{name}"
    assert scene.radiance.shape == (*SIZE, 3)
    assert scene.radiance.dtype == np.float32
    assert np.isfinite(scene.radiance).all()
    assert scene.radiance.min() >= 0
    assert scene.metered == (name not in ("flat_field", "dark"))


def test_a_chart_repeats_and_cannot_be_written_to():
    first, again = Charts(*SIZE).scene(0), Charts(*SIZE).scene(0)
    np.testing.assert_array_equal(first.radiance, again.radiance)
    with pytest.raises(ValueError, match="read-only"):
        first.radiance[:] = 0


def test_a_source_travels_to_a_worker():
    source = Charts(*SIZE)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).scene(3).radiance, source.scene(3).radiance)


def test_a_perfect_diffuser_under_d65_is_neutral():
    assert white("D65") == pytest.approx((1, 1, 1), abs=1.5e-3)


def test_a_perfect_diffuser_under_illuminant_a_has_its_published_chromaticity():
    from colour.models import RGB_COLOURSPACE_BT709

    x, y, z = RGB_COLOURSPACE_BT709.matrix_RGB_to_XYZ @ np.array(white("A"))
    assert y == pytest.approx(1, abs=1e-6)
    assert (x / (x + y + z), y / (x + y + z)) == pytest.approx((0.44757, 0.40745), abs=1e-3)


def test_the_grey_patches_are_neutral_and_as_light_as_their_densities_say():
    colours = dict(patch_colours("D65"))
    for name, density in (
        ("neutral 8 (.23 D)", 0.23),
        ("neutral 6.5 (.44 D)", 0.44),
        ("neutral 5 (.70 D)", 0.70),
    ):
        patch = np.array(colours[name])
        assert patch / patch.mean() == pytest.approx(1, abs=0.02)
        assert patch.mean() == pytest.approx(10**-density, rel=0.05)


def test_the_white_patch_reflects_nine_tenths_and_is_a_little_yellow_as_measured():
    red, green, blue = dict(patch_colours("D65"))["white 9.5 (.05 D)"]
    assert red == pytest.approx(green, rel=0.01)
    assert green == pytest.approx(10**-0.05, rel=0.03)
    assert blue / green == pytest.approx(0.95, abs=0.01)  # its titanium dioxide absorbs below 420 nm


@pytest.mark.filterwarnings("ignore::colour.utilities.ColourRuntimeWarning")
def test_patches_agree_with_colour_sciences_own_integration():
    import colour

    for name, rec709 in patch_colours("D65"):
        xyz = colour.sd_to_XYZ(
            colour.SDS_COLOURCHECKERS["BabelColor Average"][name], illuminant=colour.SDS_ILLUMINANTS["D65"]
        )
        expected = colour.models.RGB_COLOURSPACE_BT709.matrix_XYZ_to_RGB @ (xyz / 100)
        np.testing.assert_allclose(rec709, expected, atol=2e-3)


def test_every_patch_lies_in_its_rectangle_with_its_labelled_colour(charts):
    scene = charts["colorchecker"]
    patches = scene.labels["patches"]
    assert len(patches) == 24
    for patch in patches:
        assert inside(scene, patch["rectangle"]).size > 0
        np.testing.assert_array_equal(
            inside(scene, patch["rectangle"]),
            np.broadcast_to(np.float32(patch["rec709"]), inside(scene, patch["rectangle"]).shape),
        )


def test_only_cyan_is_outside_rec709_and_says_so(charts):
    assert charts["colorchecker"].labels["clipped"] == ["cyan"]


def test_the_edge_is_where_and_as_steep_as_its_labels_say(charts):
    labels = charts["slanted_edge"].labels
    low, high = labels["levels"]
    share = (charts["slanted_edge"].radiance[..., 1] / white("D65")[1] - low) / (high - low)
    place = SIZE[1] - share.sum(axis=1)  # exact: each row's area left of the edge
    rows = np.arange(SIZE[0]) - (SIZE[0] - 1) / 2
    expected = SIZE[1] / 2 - rows * np.tan(np.radians(labels["angle_deg"]))
    np.testing.assert_allclose(place, expected, atol=2e-4)


def test_a_pixel_on_the_edge_is_the_mean_over_its_area(charts):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    offsets = (np.arange(16) - 7.5) / 16
    slope = np.tan(np.radians(EDGE_DEG))
    share = np.zeros(SIZE)
    for dy in offsets:
        for dx in offsets:
            share += (x + dx - (SIZE[1] - 1) / 2) > -(y + dy - (SIZE[0] - 1) / 2) * slope
    level = EDGE_LEVELS[0] + (EDGE_LEVELS[1] - EDGE_LEVELS[0]) * share / 256
    rendered = charts["slanted_edge"].radiance[..., 1] / white("D65")[1]
    assert np.abs(rendered - level).max() < 0.02


def test_the_star_turns_half_its_disc_dark_and_has_its_cycles(charts):
    scene = charts["siemens_star"]
    level = scene.radiance[..., 1] / white("D65")[1]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] - np.array([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2])[:, None, None]
    radius = scene.labels["radius_px"]
    disc = np.hypot(x, y) < radius - 1
    assert level[disc].mean() == pytest.approx(np.mean(STAR_LEVELS), abs=2e-3)
    assert level[np.hypot(x, y) > radius + 1] == pytest.approx(BACKDROP)
    angle = np.linspace(0, 2 * np.pi, 7200, endpoint=False)
    ring = level[
        np.rint((SIZE[0] - 1) / 2 + 0.9 * radius * np.sin(angle)).astype(int),
        np.rint((SIZE[1] - 1) / 2 + 0.9 * radius * np.cos(angle)).astype(int),
    ]
    assert np.abs(np.fft.rfft(ring - ring.mean())).argmax() == scene.labels["cycles"]


def test_the_stars_middle_has_no_false_pattern(charts):
    middle = charts["siemens_star"].radiance[
        SIZE[0] // 2 - 2 : SIZE[0] // 2 + 2, SIZE[1] // 2 - 2 : SIZE[1] // 2 + 2, 1
    ]
    assert np.abs(middle - np.mean(STAR_LEVELS)).max() < 0.15


def test_the_ramp_spans_sixteen_stops_and_each_step_is_half_of_one(charts):
    scene = charts["grey_ramp"]
    ramp = inside(scene, scene.labels["ramp"]["rectangle"])[0, :, 1]
    slope = np.diff(np.log2(ramp.astype(float)))
    assert slope == pytest.approx(-16 / SIZE[1], abs=1e-5)
    steps = scene.labels["steps"]
    assert [step["ev"] for step in steps] == [-n / 2 for n in range(32)]
    for step in steps:
        patch = inside(scene, step["rectangle"])[..., 1] / white("D65")[1]
        assert patch == pytest.approx(2 ** step["ev"], rel=1e-6)


def test_the_flat_field_is_flat_and_the_dark_is_dark(charts):
    level = charts["flat_field"].labels["level"]
    np.testing.assert_allclose(charts["flat_field"].radiance, level, rtol=1.5e-3)
    assert np.ptp(charts["flat_field"].radiance, axis=(0, 1)).max() == 0
    assert not charts["dark"].radiance.any()


def test_a_grey_under_tungsten_has_the_colour_of_tungsten():
    red, green, blue = Charts(64, 64, "A").scene(4).radiance[0, 0]
    assert red > 1.5 * green > 4 * blue


@pytest.mark.parametrize(("height", "width", "told"), [(62, 64, "height is 62"), (64, 65, "width is 65")])
def test_a_size_that_does_not_do_is_refused_by_name(height, width, told):
    with pytest.raises(ValueError, match=told):
        Charts(height, width)


def test_an_illuminant_that_is_not_known_or_not_measured_far_enough_is_refused():
    for name in ("D66", "ISO 7589 Photoflood"):
        with pytest.raises(ValueError, match=f"illuminant is '{name}'; expected one of A, .*D65"):
            Charts(64, 64, name)


@pytest.mark.parametrize("index", [-1, 6])
def test_a_chart_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match="0 … 5"):
        Charts(64, 64).scene(index)


def test_even_the_smallest_chart_holds_all_its_patches():
    scene = Charts(64, 64).scene(0)
    for patch in scene.labels["patches"]:
        assert inside(scene, patch["rectangle"]).shape[:2] == tuple(patch["rectangle"][2:])


@pytest.mark.slow
def test_a_full_size_chart_takes_under_three_seconds():
    source = Charts(1200, 1920)
    for index in range(len(source)):
        start = time.perf_counter()
        source.scene(index)
        assert time.perf_counter() - start < 3
