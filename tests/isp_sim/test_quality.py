"""Image quality against closed forms, and MTF50 against a reference implementation's figures."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from isp_sim.quality import edge, texture
from isp_sim.quality.chart import ChartLayout, measure
from isp_sim.quality.colour import delta_e_2000, displayed_delta_e
from isp_sim.quality.edge import edge_response, falls_to
from isp_sim.quality.noise import dynamic_range, noise_power_spectrum, patch_statistics, signal_to_noise
from isp_sim.quality.texture import acutance, texture_response
from isp_sim.quality.tone import ToneCurve, luma, veiling_glare
from isp_sim.scenes.charts import edge_levels, patch_colours
from isp_sim.scenes.quality_chart import dead_leaves, quality_chart
from isp_sim.transfer import srgb_encode

SIZE = (160, 120)
F = edge.CYCLES_PX


def blurred_edge(angle_deg, sigma):
    """Cut out of a larger one: a blur bends an edge at the rim."""
    return gaussian_filter(edge_levels(SIZE[0] + 40, SIZE[1], angle_deg), sigma)[20:-20]


def true_response(angle_deg, sigma):
    """The pixel's aperture across the edge, times the Gaussian."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.abs(np.sinc(F * c) * np.sinc(F * s)) * np.exp(-2 * (np.pi * sigma * F) ** 2)


@pytest.mark.parametrize("angle", [3, 5, 8])
@pytest.mark.parametrize("sigma", [1, 1.5, 2, 3])
def test_an_edges_response_is_that_of_its_closed_form(angle, sigma):
    found, true = edge_response(blurred_edge(angle, sigma)), true_response(angle, sigma)
    assert found.mtf50 == pytest.approx(falls_to(F, true, 0.5), rel=0.003)
    assert found.sfr[:101] == pytest.approx(true[:101], abs=0.012)
    assert found.angle_deg == pytest.approx(angle, abs=0.01)
    assert found.overshoot == pytest.approx(0, abs=1e-6)


# VIGRA 1.11.1, unsmoothed: benchmarks/edge_parity.py
@pytest.mark.parametrize(
    ("angle", "sigma", "vigra"), [(3, 1.5, 0.1228), (4, 2, 0.0929), (5, 1, 0.1790), (5, 3, 0.0624)]
)
def test_mtf50_is_within_a_per_cent_of_the_reference_implementations(angle, sigma, vigra):
    assert edge_response(gaussian_filter(edge_levels(*SIZE, angle), sigma)).mtf50 == pytest.approx(vigra, rel=0.01)


def test_an_edge_is_the_same_turned_mirrored_and_in_any_unit():
    picture = gaussian_filter(edge_levels(*SIZE), 1.5)
    mtf50 = edge_response(picture).mtf50
    for other in (picture.T, picture[:, ::-1], picture[::-1], 1 - picture, 100 * picture + 7):
        assert edge_response(other).mtf50 == pytest.approx(mtf50, rel=1e-6)


def test_noise_moves_mtf50_little_and_sharpening_is_told_as_overshoot():
    soft = gaussian_filter(edge_levels(300, 120), 1.5)
    noisy = soft + 0.03 * np.random.default_rng(1).standard_normal(soft.shape)
    assert edge_response(noisy).mtf50 == pytest.approx(edge_response(soft).mtf50, rel=0.05)
    sharp = edge_response(soft + 1.5 * (soft - gaussian_filter(soft, 2)))
    assert sharp.mtf50 > 1.3 * edge_response(soft).mtf50 and 0.1 < sharp.overshoot < 0.5


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        (np.full((40, 40), 0.3), "no edge is seen"),
        (edge_levels(8, 40), "expected 12×16 or more"),
        (np.repeat(np.arange(40.0)[None] > 20, 40, 0).astype(float), "0.00° off: expected it to cross a column"),
        (edge_levels(160, 18), "the edge leaves the picture"),
        (np.random.default_rng(0).standard_normal((60, 60)), "drowns in noise|leaves the picture|no edge|not|off"),
    ],
)
def test_what_is_no_slanted_edge_is_told(picture, fault):
    with pytest.raises(ValueError, match=fault):
        edge_response(picture)


def test_noise_of_a_patch_is_its_own_without_shading():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :90]
    grey = 0.4 + 0.02 * rng.standard_normal((80, 90)) + 0.002 * x - 0.001 * y
    found = patch_statistics(np.repeat(grey[..., None], 3, axis=2))
    assert found.noise == pytest.approx(0.02, rel=0.03) and found.level == pytest.approx(grey.mean())
    colours = 0.4 + 0.02 * rng.standard_normal((200, 200, 3))
    w = np.array([0.2126, 0.7152, 0.0722])  # σ_Y² = σ²Σw², σ_(R−Y)² = σ²((1 − w_R)² + w_G² + w_B²)
    y2, r2, b2 = (w**2).sum(), (1 - w[0]) ** 2 + w[1] ** 2 + w[2] ** 2, w[0] ** 2 + w[1] ** 2 + (1 - w[2]) ** 2
    expected = 0.02 * np.sqrt(y2 + 0.279 * r2 + 0.088 * b2)
    assert patch_statistics(colours).noise == pytest.approx(expected, rel=0.01)


def test_snr_does_not_depend_on_the_tone_curve():
    """Shot noise σ_L = √(L/n): SNR = √(L·n), under any smooth curve D = c·L^γ, whose noise is σ_L·dD/dL."""
    light = 2.0 ** -np.arange(0, 8, 0.25)
    for gamma, gain in ((1, 1), (1 / 2.2, 0.7), (1.6, 3)):
        slope = gain * gamma * light ** (gamma - 1)
        snr = signal_to_noise(light, gain * light**gamma, np.sqrt(light / 1000) * slope)
        assert snr[1:-1] == pytest.approx(np.sqrt(1000 * light[1:-1]), rel=0.015)  # sinh(1.6·ln 2/4)/… = 1.013
    clipped = signal_to_noise(light, np.minimum(light, 0.25), 0.01 + 0 * light)
    assert (clipped[:8] == 0).all() and (clipped[10:-1] > 0).all()


def test_dynamic_range_is_the_stops_between_clipping_and_an_snr_of_one():
    """Read noise alone: SNR = L/σ is 1 at L = σ; with white at 1 the range is −log2 σ."""
    light = 2.0 ** -np.arange(0, 12, 0.5)
    for sigma in (1 / 50, 1 / 700):
        assert dynamic_range(light, light / sigma) == pytest.approx(-np.log2(sigma), abs=1e-6)
    snr = np.where(light > 0.3, 0, light / 0.01)
    assert dynamic_range(light, snr) == pytest.approx(np.log2(0.25 / 0.01), abs=1e-6)
    assert dynamic_range(light, 0 * light) == 0


def test_the_noise_spectrum_of_white_noise_is_flat_and_of_a_blur_is_its_response_squared():
    white = 3 * np.random.default_rng(0).standard_normal((256, 300))
    found = noise_power_spectrum(white)
    assert found.power == pytest.approx(9, rel=0.12) and found.variance == pytest.approx(white.var(), rel=1e-3)
    assert found.mean_frequency == pytest.approx(0.25, abs=0.01)
    soft = noise_power_spectrum(gaussian_filter(white, 1.0, mode="wrap"))
    assert soft.power[1:8] == pytest.approx(9 * np.exp(-4 * (np.pi * found.frequency[1:8]) ** 2), rel=0.15)


def test_texture_is_the_blurs_response_whatever_the_noise():
    leaves = dead_leaves(160, 160).astype(float)
    f = texture.CYCLES_PX
    for grain in (0, 0.05):
        seen = gaussian_filter(leaves, 1.0) + grain * np.random.default_rng(0).standard_normal(leaves.shape)
        found = texture_response(seen, leaves)
        assert found[4:60] == pytest.approx(np.exp(-2 * (np.pi * f[4:60]) ** 2), abs=0.02 + grain)
    assert texture_response(0.5 * leaves + 0.2, leaves) == pytest.approx(0.5, abs=1e-9)
    assert acutance(np.ones_like(f)) == pytest.approx(1) and acutance(0.3 * np.ones_like(f)) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="expected equal sizes"):
        texture_response(leaves, leaves[:-1])
    with pytest.raises(ValueError, match="no texture"):
        texture_response(leaves, 0 * leaves)


def test_delta_e_2000_is_colour_sciences_and_that_of_published_pairs():
    import colour

    lab = np.array([[50, 2.6772, -79.7751], [50, 2.5, 0], [60.2574, -34.0099, 36.2677]])
    other = np.array([[50, 0, -82.7485], [73, 25, -18], [60.4626, -34.1751, 39.4387]])
    published = [2.0425, 27.1492, 1.2644]  # Sharma, Wu & Dalal, Color Research & Application 30, 2005, table 1
    assert colour.delta_E(lab, other, method="CIE 2000") == pytest.approx(published, abs=1e-4)
    true = np.maximum([rgb for _, rgb in patch_colours("D65")], 0)
    white = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    darker = [
        colour.XYZ_to_Lab(colour.RGB_to_XYZ(rgb, "ITU-R BT.709", apply_cctf_decoding=False), white)
        for rgb in (0.8 * true, true)
    ]
    assert delta_e_2000(0.8 * true, true) == pytest.approx(colour.delta_E(*darker, method="CIE 2000"))
    coded = srgb_encode(torch.from_numpy(0.8 * true)).numpy()
    assert displayed_delta_e(coded, true) == pytest.approx(0, abs=0.01)  # brightness alone is matched
    assert displayed_delta_e(coded * [1, 0.9, 1], true).mean() > 3


def test_a_tone_curve_is_undone_and_noise_keeps_its_mean_beyond_its_ends():
    light = 2.0 ** -np.arange(0, 8, 0.5)
    curve = ToneCurve.of(light, light**0.5)
    assert curve.linear(light**0.5) == pytest.approx(light)
    line = ToneCurve.of(light, 3 * light + 0.1)
    assert line.linear(np.array([-1.0, 0.1, 4.0])) == pytest.approx([-1.1 / 3, 0, 1.3])
    assert line.clips_at == curve.clips_at == np.inf
    clipped = ToneCurve.of(light, np.minimum(light, 0.3))
    assert clipped.clips_at == pytest.approx(2**-1.5)
    assert curve.linear(np.array([9.0])) == 2  # no further
    with pytest.raises(ValueError, match="two or more that differ"):
        ToneCurve.of(np.array([0.5, 0.5]), np.array([0.1, 0.2]))


def test_an_edge_whose_light_side_is_clipped_has_no_sharpness():
    """Cut at 0.5, where its step is steepest, an edge of 0.2 and 0.8 would look sharper."""
    scene = quality_chart(300, 480, "D65")
    layout = ChartLayout.model_validate(scene.labels["layout"]).model_copy(update={"colours": ()})
    soft = gaussian_filter(np.asarray(scene.radiance, float), (1.5, 1.5, 0))
    assert measure([soft], layout).mtf50 == pytest.approx(0.1227, rel=0.01)
    assert np.isnan(measure([np.minimum(soft, 0.5)], layout).mtf50)
    reference = luma(scene.radiance)
    assert np.isnan(measure([np.minimum(soft, 0.5)], layout, reference).texture)  # its leaves reach 0.75
    assert 0.2 < measure([np.minimum(soft, 0.9)], layout, reference).texture < 0.6


def test_a_trap_blacker_than_the_greys_tell_has_no_flare():
    """Two darkest greys all but alike: what lies below them is any light."""
    scene = quality_chart(300, 480, "D65")
    layout = ChartLayout.model_validate(scene.labels["layout"]).model_copy(update={"colours": ()})
    light = np.asarray(scene.radiance, float)
    assert measure([light], layout).flare == pytest.approx(0, abs=1e-6)
    x, y, width, height = layout.greys[-2].rectangle
    light[y : y + height, x : x + width] = 1.0001 * layout.greys[-1].light
    assert np.isnan(measure([light], layout).flare)


@pytest.fixture(scope="module")
def chart():
    scene = quality_chart(300, 480, "D65")
    return scene, ChartLayout.model_validate(scene.labels["layout"])


def test_a_perfect_picture_of_the_chart_has_perfect_figures(chart):
    scene, layout = chart
    light = np.asarray(scene.radiance, float)
    found = measure([srgb_encode(torch.from_numpy(light)).numpy()], layout, luma(light))
    assert found.mtf50 > 0.5 and found.overshoot < 1e-6 and found.delta_e < 0.01
    assert found.texture == pytest.approx(1, abs=0.01) and found.flare == pytest.approx(0, abs=1e-6)
    assert found.dynamic_range_ev == 9.5  # of the greys: no noise


def test_known_faults_of_a_picture_of_the_chart_are_found(chart):
    """Noise σ on light: SNR = 18 %/σ; glare g·mean: (1 − g)·0 + g·mean in the trap; a blur: its own MTF50."""
    scene, layout = chart
    light, rng = np.asarray(scene.radiance, float), np.random.default_rng(0)
    reference = luma(light)
    grey = min((one.light for one in layout.greys), key=lambda one: abs(np.log(one / 0.18)))
    noisy = [light + 0.01 * rng.standard_normal((300, 480, 1)) for _ in range(4)]
    found = measure(noisy, layout.model_copy(update={"colours": ()}), reference)
    assert found.snr_db == pytest.approx(20 * np.log10(grey * np.log(2) ** -1 * (2**0.5 - 2**-0.5) / 0.01), abs=0.5)
    assert found.dynamic_range_ev == pytest.approx(np.log2(1 / 0.01), abs=0.3)
    assert found.grain == pytest.approx(0.25, abs=0.01) and np.isnan(found.delta_e)
    glare = 0.95 * light + 0.05 * light.mean(axis=(0, 1))
    trap = measure([glare], layout.model_copy(update={"greys": ()}), reference)
    known = ChartLayout(trap=layout.trap, surround=layout.surround)
    assert np.isnan(trap.snr_db)
    shown = srgb_encode(torch.from_numpy(glare)).numpy()
    expected = 0.05 * reference.mean() / (0.95 + 0.05 * reference.mean())
    assert measure([shown], known).flare == pytest.approx(expected, rel=1e-3)
    assert veiling_glare(0.02, 1.0) == 0.02
    soft = gaussian_filter(light, (1.5, 1.5, 0))
    blurred = measure([soft], layout.model_copy(update={"colours": ()}), reference)
    assert blurred.mtf50 == pytest.approx(falls_to(F, true_response(5, 1.5), 0.5), rel=0.01)
    assert 0.2 < blurred.texture < 0.6


def test_a_rectangle_outside_is_told_and_a_black_picture_has_no_figures(chart):
    scene, layout = chart
    with pytest.raises(ValueError, match=r"rectangle \[470, 0, 20, 20\]: expected one within 480×300 px"):
        measure([scene.radiance], ChartLayout(edges=((470, 0, 20, 20),)))
    found = measure([np.zeros((300, 480, 3))], layout, luma(scene.radiance))
    assert np.isnan([found.snr_db, found.mtf50, found.texture, found.flare]).all() and found.dynamic_range_ev == 0
    assert found.delta_e > 20
    assert found.known()["flare"] is None and found.known()["delta_e"] == found.delta_e


def test_the_chart_is_the_same_always_and_its_leaves_fill_their_range():
    leaves = dead_leaves(96, 128)
    assert (leaves == dead_leaves(96, 128)).all() and 0.05 <= leaves.min() < 0.1 and 0.7 < leaves.max() <= 0.75
