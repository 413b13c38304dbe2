"""The light's colour from a raw, and the step that balances by it."""

import pytest
import torch

from isp_sim.isp import illuminant, raw_operators
from isp_sim.isp.develop import UNCUT
from isp_sim.isp.illuminant import BIN, METHODS, angular_error_deg, estimate, histogram, thumbnail
from isp_sim.isp.pipeline import Entry, Pipeline
from isp_sim.isp.raw_light import raw_light
from isp_sim.pair import DualCamera
from isp_sim.raw import normalise
from isp_sim.rig import Figure, Light
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes.charts import colorchecker
from isp_sim.units import Mosaic

NEUTRAL = torch.tensor([[0.5, 1.0, 0.8]])
LIGHT = NEUTRAL * torch.tensor([[1.0, 0.77, 0.5]])  # about 4000 K


def grey_scene(rows=40, columns=60, seed=0):
    """Camera RGB of grey things under `LIGHT`, no two of a brightness."""
    grey = 0.05 + 0.4 * torch.rand(1, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
    return grey * LIGHT[..., None, None]


def as_mosaic(camera_rgb):
    """RGGB, each cell a tile."""
    red, green, blue = camera_rgb.unbind(dim=1)
    return Mosaic(torch.pixel_shuffle(torch.stack([red, green, green, blue], dim=1), 2))


@pytest.mark.parametrize("method", METHODS)
def test_grey_things_show_the_colour_of_the_light(method):
    found = estimate(thumbnail(as_mosaic(grey_scene()), "RGGB"), NEUTRAL, method)
    # What is learned answers in bins of 1/24 and with what it knows of lights.
    assert angular_error_deg(found, LIGHT).item() < (2.0 if method == "learned" else 1e-3)
    assert found.norm().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_brightness_and_batch_do_not_matter(method):
    scenes = torch.cat([thumbnail(as_mosaic(grey_scene(seed=seed)), "RGGB") for seed in (1, 2)])
    together = estimate(scenes, NEUTRAL, method)
    for place in range(2):
        alone = estimate(scenes[place : place + 1] / 7, NEUTRAL, method)
        assert angular_error_deg(alone, together[place : place + 1]).item() < 1e-2


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_thumbnail_knows_the_tile_and_leaves_out_what_is_clipped(cfa):
    tile = torch.tensor([{"R": 0.1, "G": 0.2, "B": 0.3}[colour] for colour in cfa]).view(1, 4, 1, 1)
    mosaic = torch.pixel_shuffle(tile.expand(1, 4, 384, 384).clone(), 2)
    mosaic[..., :8, :3] = 1.0  # a column and a half of the first block's four tiles
    seen = thumbnail(Mosaic(mosaic), cfa)
    assert seen.shape == (1, 3, 96, 96)
    assert torch.allclose(seen, torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand_as(seen))
    mosaic[..., :8, :6] = 1.0
    assert thumbnail(Mosaic(mosaic), cfa)[0, :, 0, 0].eq(0).all()


def test_a_light_shifts_the_histogram():
    colours = 0.1 + torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(3)) * 0.2
    shift = torch.tensor([-3.0, 0.0, 5.0]) * BIN  # R less, B more: u up by 3 bins, v down by 5
    moved = histogram(colours * shift.exp().view(1, 3, 1, 1))
    # At most a hundredth of the brightest counts, and a light changes which is brightest: here none is near.
    assert torch.allclose(moved, histogram(colours).roll((3, -5), dims=(1, 2)), atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_seen_leaves_the_neutral(method):
    found = estimate(torch.zeros(1, 3, 4, 4), NEUTRAL, method)
    assert torch.allclose(found, NEUTRAL / NEUTRAL.norm(), atol=1e-6)


def test_balanced_grey_is_grey_at_full_strength_and_nothing_changes_at_none():
    mosaic = as_mosaic(grey_scene())
    full = raw_operators.auto_white_balance(mosaic, torch.tensor([[1.0]]), LIGHT, NEUTRAL, "RGGB")
    tiles = torch.pixel_unshuffle(full, 2)
    red, green, blue = tiles[:, 0] / 0.5, tiles[:, 1], tiles[:, 3] / 0.8
    assert torch.allclose(red, green) and torch.allclose(green, blue)
    assert (full >= mosaic).all() and (full == mosaic).any()  # the smallest gain is 1
    none = raw_operators.auto_white_balance(mosaic, torch.tensor([[0.0]]), LIGHT, NEUTRAL, "RGGB")
    assert torch.equal(none, mosaic)


def test_what_compares_with_noise_comes_before():
    with pytest.raises(
        ValueError, match="denoising compares light with the raw's noise; expected it before auto_white"
    ):
        Pipeline(steps=tuple(Entry.model_validate(name) for name in ("auto_white_balance", "denoising")))


def tungsten_chart():
    """A ColorChecker under a light of the rig's, as the well-lit arm's raw, and the camera RGB of white there."""
    plain = load_rig("exlpose-small")
    colour = Figure(value=(1.0, 0.58, 0.21), status="assumed", source="a lamp of some 3400 K")
    camera = DualCamera(plain.model_copy(update={"light": Light(colour=colour)}))
    shot = drawn_shots(plain.schedule, 0, 0, 1)[0]
    camera.prepare(colorchecker(plain.height_px, plain.width_px, "D65"), shot, 0)
    raw = camera.well_lit.grab(shot.exposure_us, shot.well_lit_gain_db)
    sensor = plain.sensor
    lit = torch.tensor(sensor.rec709_to_camera.value) @ torch.tensor(colour.value)
    return raw, (lit * torch.tensor(sensor.quantum_efficiency.value))[None]


def test_a_chart_under_tungsten_becomes_neutral():
    raw, true = tungsten_chart()
    neutral = torch.tensor([raw.neutral])
    small = thumbnail(normalise(raw.counts, raw.black_level_dn, raw.white_level_dn), raw.cfa)
    stated, found = (
        angular_error_deg(neutral, true).item(),
        angular_error_deg(estimate(small, neutral, "learned"), true),
    )
    assert stated > 10 and found.item() <= 1.0
    pipeline, light = Pipeline(steps=(Entry.model_validate("auto_white_balance"),)), raw_light(raw, UNCUT)
    picture = pipeline(light, pipeline.base(light))
    backdrop = picture[0, :, 4:20, 4:20].mean(dim=(1, 2))
    assert (backdrop.amax() - backdrop.amin()).item() < 0.03 * backdrop.mean().item()


def test_the_shipped_weights_fit():
    weights = illuminant.shipped("cpu")
    assert {name: tuple(part.shape) for name, part in weights.items()} == {"filters": (2, 64, 64), "bias": (64, 64)}
