"""Registration: the map's own mathematics, accuracy against the truth, honesty of its error bars, refusals."""

import math

import numpy as np
import pytest
from conftest import change

from capture.registration import coarse, geometry, kernels, register, residuals, tone_transfer
from capture.registration.geometry import Alignment
from capture.registration.observation import Observation, of_pictures, of_raws
from isp_sim.pair import DualCamera
from isp_sim.rectify import ArmMap, warp
from isp_sim.scenes import Scene
from isp_sim.schedule import Shot
from isp_sim.units import Radiance

HEIGHT, WIDTH = 400, 640
MIDDLE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])


def fractal(seed, height=HEIGHT, width=WIDTH):
    """Light with structure at every scale, its amplitude falling with frequency as a photograph's does."""
    stream = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    spectrum = np.fft.rfft2(stream.standard_normal((height, width))) / np.maximum(np.hypot(fy, fx), 1 / width)
    noise = np.fft.irfft2(spectrum, s=(height, width))
    grey = np.exp(0.8 * noise / noise.std()) * 0.2
    tint = 1 + 0.3 * stream.uniform(-1, 1, 3)
    return Radiance((grey[..., None] * tint).clip(0.005, 3).astype(np.float32))


def misaligned(rig, **geometry_values):
    values = {"rotation_deg": 0.7, "shift_px": (11.3, -8.6), "scale": 1.006, "perspective_per_px": (8e-7, -5e-7)}
    arm = rig.low_light.model_copy(update={"geometry": change(rig.low_light.geometry, **values | geometry_values)})
    return rig.model_copy(update={"low_light": arm, "height_px": HEIGHT, "width_px": WIDTH})


def shot(ratio=1.0, base_us=5000.0, gain_db=5.2):
    well = gain_db + 20 * math.log10(ratio)
    return Shot(0, "0101", "sim", "000000", "000000", ratio, round(base_us / ratio), base_us, gain_db, well, gain_db)


def shoot(rig, seed, **settings):
    (pair,) = DualCamera(rig).shoot(Scene(f"fractal {seed}", fractal(seed)), [shot(**settings)], seed)
    return pair


def from_matrix(matrix, height, width):
    """The map whose homography between pixels counted from the first one's centre this is."""
    radius = math.hypot(height, width) / 2
    m = ArmMap(matrix, (height, width)).centred
    m = m / m[2, 2]
    e, a = radius * ((m[0, 0] + m[1, 1]) / 2 - 1), radius * (m[0, 0] - m[1, 1]) / 2
    r, s = radius * (m[1, 0] - m[0, 1]) / 2, radius * (m[1, 0] + m[0, 1]) / 2
    return Alignment(np.array([m[0, 2], m[1, 2], e, r, a, s, *(m[2, :2] * radius**2), 0, 0]), radius)


def error(fit, pair):
    return geometry.corner_error(fit.alignment.low_to_well(HEIGHT, WIDTH), pair.low_to_well, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def pair(exlpose):
    return shoot(misaligned(exlpose), 1)


@pytest.fixture(scope="module")
def observation(pair):
    return of_raws(pair.well_lit_raw, pair.low_light_raw)


# The map


def test_a_matrix_and_its_parameters_are_the_same_map():
    matrix = np.array([[1.01, -0.02, 13.0], [0.018, 0.995, -7.0], [2e-6, -1e-6, 1]])
    alignment = from_matrix(matrix, HEIGHT, WIDTH)
    assert np.allclose(alignment.low_to_well(HEIGHT, WIDTH), matrix, rtol=0, atol=1e-9)


def test_the_jacobian_is_the_derivative():
    theta = np.array([12.0, -7, 3, 5, 0.3, -0.2, 1.5, -0.8, 0.6, -0.4])
    points = np.array([(-300.0, -190), (250, -20), (10, 170), (310, 190)])
    exact = geometry.jacobian(Alignment(theta, 377.0), points, geometry.DISTORTED)
    for n in range(geometry.DISTORTED):
        step = np.zeros(10)
        step[n] = 1e-4
        ahead, behind = (Alignment(theta + s * step, 377.0).displaced(points) for s in (1, -1))
        # Products of distortion and displacement, of the order θ/R = 3 %, are left out of the two last columns.
        assert np.allclose(exact[..., n], (ahead - behind) / 2e-4, rtol=0, atol=0.05 if n >= 8 else 0.006)


def test_the_warp_moves_a_picture_to_where_the_map_says():
    """A plane x + 2y is reproduced exactly by a cubic: the warped one is that plane at the low-light points."""
    theta = np.array([3.3, -2.1, 1.0, 2.0, 0.1, 0.1, 0.4, 0.3, 0.5, 0.2])
    alignment = Alignment(theta, math.hypot(HEIGHT, WIDTH) / 2)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    box = (40, 40, WIDTH - 80, HEIGHT - 80)
    for resampler in ("cubic", "linear"):
        seen = warp(np.stack([x, y, x + 2 * y], axis=-1), alignment.arm_map(HEIGHT, WIDTH), "well_lit", box, resampler)
        low = seen[..., :2].reshape(-1, 2).astype(float) - MIDDLE
        there = alignment.displaced(low) + MIDDLE
        wanted = np.stack(np.meshgrid(np.arange(40, WIDTH - 40), np.arange(40, HEIGHT - 40)), axis=-1).reshape(-1, 2)
        assert np.abs(there - wanted).max() < 2e-3  # float32 pictures of 640 px
        assert np.allclose(seen[..., 2], seen[..., 0] + 2 * seen[..., 1], atol=1e-3)


def test_the_sampled_gradient_is_the_derivative_of_the_sampled_value(observation):
    level = observation.level(2)
    alignment = geometry.start((4.2, 3.1), HEIGHT, WIDTH)
    here = register.sample(level, alignment)
    for axis, name in enumerate(("slope_x", "slope_y")):
        moved = [
            register.sample(
                level, geometry.start(tuple(np.array((4.2, 3.1)) + s * np.eye(2)[axis]), HEIGHT, WIDTH)
            ).value
            for s in (0.01, -0.01)
        ]
        both = np.isfinite(moved[0]) & np.isfinite(moved[1]) & np.isfinite(here.value)
        wanted = (moved[0].astype(float) - moved[1])[both] / 0.02
        assert np.abs(getattr(here, name)[both] - wanted).max() < 2e-3 * np.abs(wanted).max() + 1e-4


# Accuracy


def test_the_base_ratio_is_registered_to_a_tenth_of_a_pixel(pair, observation):
    fit = register.register([observation])
    assert fit.converged
    assert error(fit, pair) < 0.10


def test_errors_are_what_the_fit_says(exlpose):
    """χ² of the eight parameters over six scenes: 48 degrees of freedom give 48 ± 10; a model of noise is not exact,
    so a third either way of σ is allowed."""
    total = 0.0
    for seed in range(6):
        one = shoot(misaligned(exlpose), 10 + seed)
        fit = register.register([of_raws(one.well_lit_raw, one.low_light_raw)])
        off = fit.alignment.theta[:8] - from_matrix(one.low_to_well, HEIGHT, WIDTH).theta[:8]
        total += float(off @ np.linalg.solve(fit.covariance, off))
    assert 48 / 1.8 < total < 48 * 1.8 + 20


def test_pairs_of_a_session_add_up(exlpose):
    """Four dark pairs together lie closer to the truth than the mean of each alone."""
    pairs = [shoot(misaligned(exlpose), 20 + n, ratio=12.0) for n in range(4)]
    seen = [of_raws(p.well_lit_raw, p.low_light_raw) for p in pairs]
    alone = np.mean([error(register.register([one]), pairs[0]) for one in seen])
    together = register.register(seen)
    assert error(together, pairs[0]) < alone
    assert together.corner_sigma_px(HEIGHT, WIDTH) < register.register(seen[:1]).corner_sigma_px(HEIGHT, WIDTH)


def test_developed_pictures_are_registered_too(exlpose, pair):
    camera = DualCamera(misaligned(exlpose))
    bright, dark = (
        camera.develop(pair.well_lit_raw, camera.well_lit),
        camera.develop(pair.low_light_raw, camera.low_light),
    )
    fit = register.register([of_pictures(bright, dark)])
    assert error(fit, pair) < 0.3


def test_distortion_of_one_arm_is_found(observation):
    """The well-lit picture against itself bent by (k1, k2): a low-light pixel is taken at W of it."""
    truth = Alignment(np.array([3.0, -2, 1, 2, 0, 0, 0.5, -0.3, 1.5, 0.0]), math.hypot(HEIGHT, WIDTH) / 2)
    light_seen = fractal(30)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    centred = np.stack([x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2], axis=-1).reshape(-1, 2)
    at = truth.displaced(centred) + MIDDLE
    import cv2

    maps = [at[:, n].reshape(HEIGHT, WIDTH).astype(np.float32) for n in (0, 1)]
    bent = cv2.remap(light_seen, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    codes = [(255 * np.clip(a, 0, 1) ** 0.5 + 0.5).astype(np.uint8) for a in (light_seen, bent)]
    seen = of_pictures(codes[0], codes[1])
    plain, fit = register.register([seen]), register.register([seen], geometry.DISTORTED)
    points = geometry.corners(HEIGHT, WIDTH)

    def off(found):
        return float(np.abs(found.alignment.displaced(points) - truth.displaced(points)).max())

    assert off(fit) < 0.15
    assert off(plain) > 3 * off(fit)


# Honesty


def test_the_light_curve_tells_gain_and_cut(observation, pair):
    """At the truth the curve rises all along, and its variance grows with the light, as shot noise does."""
    level = observation.level(2)
    alignment = from_matrix(pair.low_to_well, HEIGHT, WIDTH)
    curve = tone_transfer.measure(level, register.sample(level, alignment))
    assert (np.diff(curve.value[0][8:200]) > -1e-9).mean() > 0.95
    variance = 1 / curve.weight[0]
    assert variance[150] > variance[10]


def test_a_shift_off_the_map_is_seen_and_the_map_itself_is_not(observation, pair):
    alignment = from_matrix(pair.low_to_well, HEIGHT, WIDTH)
    found = residuals.check(observation, alignment)
    assert found.agrees(0.5)
    assert found.length_px < 5 * found.sigma_px + 0.05
    for shift in ((1.0, 0.0), (0.0, -1.5), (25.0, 10.0)):
        moved = Alignment(alignment.theta + np.array([*shift, *[0.0] * 8]), alignment.radius)
        off = residuals.check(observation, moved)
        assert not off.agrees(0.5)


def test_residuals_over_the_grid_fall_from_the_displacement_to_the_noise(observation, pair):
    alignment = from_matrix(pair.low_to_well, HEIGHT, WIDTH)
    grid = residuals.grid([observation], alignment)
    assert grid.known.all()
    assert grid.rms_px(grid.before) == pytest.approx(math.hypot(11.3, 8.6), rel=0.1)
    assert grid.rms_px(grid.left) < 0.4
    assert grid.excess_px < 0.2


@pytest.mark.parametrize(
    ("flip", "told"),
    [(np.s_[:, ::-1], "left to right"), (np.s_[::-1], "top to bottom"), (np.s_[::-1, ::-1], "by half a turn")],
)
def test_a_mirrored_arm_is_known(observation, flip, told):
    turned = Observation(observation.bright, np.ascontiguousarray(observation.dark[flip]), observation.cfa, (1, 1, 1))
    assert coarse.mirrored(turned.level(coarse.step_for((HEIGHT, WIDTH)))) == told
    assert coarse.mirrored(observation.level(coarse.step_for((HEIGHT, WIDTH)))) is None


def test_noise_has_no_peak():
    stream = np.random.default_rng(0)
    planes = [stream.random((HEIGHT, WIDTH)).astype(np.float32) for _ in range(2)]
    heights = [
        coarse.correlate(
            Observation(planes[0], np.roll(planes[1], n, axis=0), "", (1, 1, 1)).level(coarse.step_for((HEIGHT, WIDTH)))
        ).height
        for n in range(0, 160, 16)
    ]
    assert max(heights) < coarse.SIGNIFICANT


def test_arms_of_two_sizes_are_refused(pair):
    from dataclasses import replace

    small = replace(pair.low_light_raw, counts=pair.low_light_raw.counts[:-2])
    with pytest.raises(ValueError, match=r"frames differ: .*both need one size"):
        of_raws(pair.well_lit_raw, small)


def test_the_same_pair_gives_the_same_map_for_any_number_of_threads(observation):
    import torch

    fits = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        fits.append(register.register([observation]).alignment.theta)
    torch.set_num_threads(1)
    assert (fits[0] == fits[1]).all()


def test_cells_are_whole():
    assert kernels.CELL % 2 == 0  # a tile never straddles two cells
