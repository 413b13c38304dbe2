"""Steps before sRGB: closed forms, order of planes, a region equals the whole, gradients, another device."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isp_sim.isp import non_local, raw_operators
from isp_sim.isp.develop import UNCUT, develop_raw, unclipped_srgb
from isp_sim.isp.pipeline import Box, Entry, Pipeline
from isp_sim.isp.raw_light import RawLight, raw_light
from isp_sim.raw import Raw
from isp_sim.transfer import REC709_TO_XYZ
from isp_sim.units import Counts, Mosaic

WHOLE = (
    "row_noise", "denoising", "black_point", "auto_white_balance", "chroma_denoising", "desaturation",
    {"exposure": {"plane": "linear"}}, {"local_tone": {"plane": "linear"}}, "gamma",
)  # fmt: skip
SLOPE, OFFSET = 2e-4, 1e-6


def pipeline_of(*names):
    return Pipeline(steps=tuple(Entry.model_validate(name) for name in names))


def a_raw(height=96, width=128, seed=0, level=0.02):
    """A ramp with an edge under the noise that its NoiseProfile says, 12 bits, black at 64 DN."""
    drawn = np.random.default_rng(seed)
    light = level * np.linspace(0.5, 1.5, width)[None].repeat(height, 0)
    light[:, width // 2 :] *= 3
    noisy = light + np.sqrt(SLOPE * light + OFFSET) * drawn.standard_normal(light.shape)
    counts = Counts((64 + (4095 - 64) * noisy).round().clip(0, 4095).astype(np.uint16))
    to_camera = tuple(tuple(row) for row in np.linalg.inv(REC709_TO_XYZ).tolist())
    return Raw(
        counts,
        "RGGB",
        (64.0,) * 4,
        4095,
        1000.0,
        0.0,
        100,
        (0.5, 1.0, 0.8),
        to_camera,
        ((SLOPE, OFFSET),) * 3,
        "",
        "",
        "",
    )


def in_double(raw):
    develop = replace(raw.develop, gains=raw.develop.gains.double(), matrix=raw.develop.matrix.double())
    parts = {name: getattr(raw, name).double() for name in ("mosaic", "noise", "rows", "spread", "mean", "thumbnail")}
    return replace(raw, develop=develop, **parts)


def test_steps_of_srgb_after_a_raw_are_those_of_its_picture():
    raw, pipeline = a_raw(), pipeline_of("exposure", "contrast", "gamma")
    light, picture = raw_light(raw, UNCUT), unclipped_srgb(develop_raw(raw, UNCUT))
    assert not pipeline.takes_raw
    values = pipeline.base(picture)
    assert torch.equal(pipeline.base(light), values) and torch.equal(pipeline(light, values), pipeline(picture, values))


def test_linear_exposure_starts_at_srgb_two_fifths():
    light, pipeline = raw_light(a_raw(), UNCUT), pipeline_of({"exposure": {"plane": "linear"}})
    mean = (light.light() * pipeline.base(light)[..., None, None]).mean().item()
    assert mean == pytest.approx(0.133, rel=1e-5)
    assert torch.equal(
        pipeline(light, pipeline.base(light)), unclipped_srgb(light.light() * pipeline.base(light)[..., None, None])
    )


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("exposure", "denoising"), "denoising acts on mosaic, exposure before it on srgb; expected the order mosaic"),
        (("desaturation", "row_noise"), "row_noise acts on mosaic, desaturation before it on linear"),
        (({"exposure": {"plane": "linear"}}, "chroma_denoising", "desaturation"), "expected it before exposure"),
        (({"denoising": {"levels": 9}},), "less than or equal to 5"),
    ],
)
def test_an_order_that_light_does_not_take_is_refused(names, told):
    with pytest.raises(ValueError, match=told):
        pipeline_of(*names)


def test_a_picture_is_refused_where_a_raw_is_needed():
    pipeline = pipeline_of("denoising", "gamma")
    with pytest.raises(ValueError, match="denoising acts on mosaic: the pipeline takes a raw, and got a picture"):
        pipeline(torch.zeros(1, 3, 16, 16), torch.ones(1, 2))


@pytest.mark.parametrize(
    ("change", "told"),
    [({"noise_profile": ()}, "expected S and O"), ({"counts": np.zeros((9, 16), np.uint16)}, "16×9 px; expected even")],
)
def test_a_raw_without_noise_or_of_odd_sides_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        raw_light(replace(a_raw(), **change), UNCUT)


@pytest.mark.parametrize("box", [Box(40, 31, 17, 9), Box(0, 0, 5, 5), Box(303, 190, 50, 40), Box(0, 0, 354, 230)])
def test_a_region_equals_the_whole(box):
    pipeline = pipeline_of("row_noise", {"denoising": {"levels": 2}}, *WHOLE[2:])
    light = raw_light(a_raw(230, 354), UNCUT)
    values = pipeline.steer(pipeline.base(light), torch.full((1, pipeline.size), 0.1))
    inside = (..., slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    assert torch.allclose(pipeline.region(light, values, box), pipeline(light, values)[inside], atol=2e-5, rtol=1e-4)


def test_gradients_of_mosaic_and_parameters():
    pipeline = pipeline_of("row_noise", {"denoising": {"levels": 2}}, *WHOLE[2:])
    light = in_double(raw_light(a_raw(8, 12), UNCUT))
    values = pipeline.steer(pipeline.base(light), torch.full((1, pipeline.size), 0.05)).detach().requires_grad_()

    def developed(mosaic, values):
        return pipeline(replace(light, mosaic=Mosaic(mosaic)), values)

    assert torch.autograd.gradcheck(developed, (light.mosaic.requires_grad_(), values), atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("level", [0.0, -0.01, 1.0])
def test_gradients_are_finite_at_every_level(level):
    pipeline, light = pipeline_of(*WHOLE), raw_light(a_raw(16, 24), UNCUT)
    mosaic = torch.full_like(light.mosaic, level).requires_grad_()
    values = pipeline.base(light).requires_grad_()
    out = pipeline(replace(light, mosaic=mosaic), values)
    out.sum().backward()
    assert out.isfinite().all() and mosaic.grad.isfinite().all() and values.grad.isfinite().all()


def test_an_image_does_not_know_its_batch_and_one_serves_many():
    pipeline, light = pipeline_of(*WHOLE), raw_light(a_raw(32, 48), UNCUT)
    values = pipeline.steer(pipeline.base(light), torch.tensor([[0.0], [0.2]]).expand(-1, pipeline.size))
    together = pipeline(light, values)
    for place in range(2):
        assert torch.allclose(pipeline(light, values[place : place + 1]), together[place : place + 1], atol=1e-6)


def test_white_noise_is_averaged_and_an_edge_above_it_stays():
    raw = raw_light(a_raw(160, 240, level=0.05), UNCUT)
    clean = non_local.denoise(raw.mosaic, torch.tensor([[0.7]]), raw.noise, "RGGB", 2)
    flat, edge = (..., slice(20, -20), slice(20, 100)), (..., slice(20, -20), slice(100, 140))
    truth = 0.05 * torch.linspace(0.5, 1.5, 240).expand(160, 240).clone()
    truth[:, 120:] *= 3
    before, after = ((some - truth)[flat].var().sqrt().item() for some in (raw.mosaic, clean))
    assert after < before / 4  # 49 tiles of one scale, fewer where they differ: √49 = 7 at best
    # The step is 20 times the noise there: it must not be smeared by more than a third of that noise.
    noise = (raw.mosaic - truth)[edge].std().item()
    assert (clean - truth)[edge].mean(dim=2).abs().max().item() < noise / 3 + 3 * noise / 120**0.5


def test_noise_is_known_from_the_metadata_and_less_where_black_clipped_it():
    drawn = torch.Generator().manual_seed(0)
    noise = torch.tensor([[[0.0, 1.0]] * 3])
    tile = torch.randn(1, 4, 120, 160, generator=drawn)
    inside = (..., slice(8, -8), slice(8, -8))
    full = non_local.tile_variance(tile, noise, "RGGB")[inside].mean().item()
    assert full == pytest.approx(0.25, rel=0.1) and full <= 0.25
    clipped = non_local.tile_variance(tile.clamp_min(0), noise, "RGGB")[inside].mean().item()
    assert clipped == pytest.approx((0.5 - 1 / (2 * np.pi)) / 4, rel=0.05)  # of a Gaussian cut at its mean
    texture = tile + torch.tensor([3.0, -3.0]).repeat(80)  # every second tile: no noise, by the metadata
    assert non_local.tile_variance(texture, noise, "RGGB").max().item() <= 0.25


def test_rows_are_taken_off_by_their_share():
    light, pipeline = raw_light(a_raw(), UNCUT), pipeline_of("row_noise")
    step = pipeline.steps[0].step
    half, none = (step(light.mosaic, torch.tensor([[share]]), raw=light) for share in (0.5, 0.0))
    assert torch.equal(none, light.mosaic) and torch.allclose(light.mosaic - half, 0.5 * light.rows.expand_as(half))


def test_the_black_point_keeps_the_mean_and_does_nothing_where_nothing_is_noise():
    mosaic = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, share = mosaic.mean().view(1, 1, 1, 1), torch.tensor([[0.8]])
    for spread in (0.0, 0.1, 10.0):
        out = raw_operators.black_point(Mosaic(mosaic), share, torch.full_like(mean, spread), mean)
        assert out.mean().item() == pytest.approx(mean.item(), rel=1e-5)
        due = 1 - 0.8 * spread / (spread + mean.item())  # contrast grows by one over it
        assert (mosaic.std() / out.std()).item() == pytest.approx(due, rel=1e-5)


def test_colour_that_follows_luma_stays_and_colour_without_luma_is_averaged():
    ramp = torch.linspace(0.2, 1.0, 64).expand(1, 1, 64, 64)
    image = ramp * torch.tensor([1.2, 1.0, 0.4]).view(1, 3, 1, 1)
    kept = raw_operators.chroma_denoising(image, torch.tensor([[0.01]]))
    assert torch.allclose(kept, image, atol=2e-3)
    drawn = torch.Generator().manual_seed(0)
    noisy = 0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=drawn)
    smooth = raw_operators.chroma_denoising(noisy, torch.tensor([[3.0]]))
    assert torch.allclose(raw_operators.luma_of(smooth), raw_operators.luma_of(noisy), atol=1e-5)
    before, after = ((some - raw_operators.luma_of(some)).std() for some in (noisy, smooth))
    assert after < before / 8


def test_colour_is_halved_where_light_is_as_many_sigma_as_asked():
    noise = torch.tensor([[[1e-3, 4e-4]] * 3])
    for doubt in (0.5, 3.0):
        k2 = doubt**2  # Y² = k²·(S·Y + O)
        level = (k2 * 1e-3 + (k2**2 * 1e-6 + 4 * k2 * 4e-4) ** 0.5) / 2
        tint = torch.tensor([1.0, -0.2126 / 0.7152, 0.0]).view(1, 3, 1, 1) * 0.3 * level  # of no luma
        image = (level + tint).expand(1, 3, 16, 16)
        out = raw_operators.desaturation(image, torch.tensor([[doubt]]), noise)
        assert torch.allclose(out - level, (image - level) / 2, atol=1e-6)


def test_local_tone_leaves_mid_grey_and_lifts_an_even_shade_by_its_power():
    for level in (0.18, 0.02, 0.9):
        out = raw_operators.local_tone(torch.full((1, 3, 32, 32), level), torch.tensor([[0.5]]))
        due = level * ((level + 0.01) / 0.19) ** -0.5
        assert torch.allclose(out, torch.full_like(out, due), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in Entry.model_fields])
def test_every_step_runs_on_another_device(name):
    """No tensor made on the CPU inside: the meta device would refuse it."""
    if name in {"smoothing", "sharpening"}:
        pytest.skip("an operator with kernels of its own: tests of the bilateral filter")
    light = raw_light(a_raw(16, 24), UNCUT)
    step = Entry.model_validate(name).step
    image = {"mosaic": light.mosaic, "linear": light.light(), "srgb": light.picture()}[step.plane]
    meta = torch.device("meta")
    there = RawLight(
        Mosaic(light.mosaic.to(meta)),
        replace(light.develop, gains=light.develop.gains.to(meta), matrix=light.develop.matrix.to(meta)),
        *(getattr(light, n).to(meta) for n in ("noise", "rows", "spread", "mean", "thumbnail")),
    )
    params = [torch.tensor([spec.initial]).to(meta) for spec in step.specs]
    assert step(image.to(meta), *params, raw=there).device == meta
