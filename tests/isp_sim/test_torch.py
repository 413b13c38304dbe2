"""`isp_sim.torch.LowLight`: the CPU path's distributions, one sample at a time, gradients, no hidden state."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from isp_sim import readout, sensor, streams, table_noise
from isp_sim.camera import Frame, SimulatedArm, capture
from isp_sim.isp.develop import develop_raw, encode_srgb
from isp_sim.light import begins, coloured
from isp_sim.metering import STRIDE_PX, meter
from isp_sim.optics import through_lens
from isp_sim.rig import Figure, Light
from isp_sim.scenes import Scene
from isp_sim.scenes.photos import CameraCurve, to_light
from isp_sim.torch import LowLight, undone
from tests.conftest import change

SIZE = (60, 96)


def without_geometry(rig):
    """The rig with every pixel of the low-light arm where the scene's is."""
    still = rig.well_lit.geometry
    lens = change(rig.lens, distortion=(0.0, 0.0))
    arm = rig.low_light.model_copy(update={"geometry": still})
    return rig.model_copy(update={"lens": lens, "low_light": arm, "height_px": 2 * SIZE[0], "width_px": 2 * SIZE[1]})


@pytest.fixture(scope="module")
def rig(exlpose):
    return without_geometry(exlpose)


@pytest.fixture(scope="module")
def pictures():
    """Smooth uint8 pictures with a bright and a dark end."""
    drawn = torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(drawn, SIZE, mode="bilinear")
    return (255 * smooth).to(torch.uint8)


def by_the_camera(rig, codes, key, shot):
    """The same shot by `SimulatedArm`: raw and developed picture."""
    dark, bright = SimulatedArm(rig, rig.low_light), SimulatedArm(rig, rig.well_lit)
    radiance = coloured(to_light(codes.permute(1, 2, 0).numpy(), CameraCurve()), rig.light)
    image = through_lens(radiance, rig.lens, rig.sensor.pixel_pitch_um.value * rig.binning)
    for arm in (dark, bright):
        arm.look_at(image)
    dark.light = meter(bright, Scene(name="a", radiance=radiance, people=(), labels={}), shot)
    dark.next_frame = Frame(key, 0, shot.number)
    dark.start_s = begins(rig.light, shot.at_s, key, 0, shot.number)
    raw = dark.grab(shot.exposure_us, shot.low_light_gain_db)
    return raw, encode_srgb(develop_raw(raw, rig.low_light.isp))


@pytest.mark.parametrize("binning", [1, 2])
def test_counts_are_those_of_the_camera(rig, pictures, binning, monkeypatch):
    """Same words, same laws, same meter of the same pixels: what differs hangs on the rounding of sums."""
    monkeypatch.setattr("isp_sim.torch.METERED_PX", SIZE[0] * SIZE[1] // STRIDE_PX**2)
    binned = rig.model_copy(update={"binning": binning})
    shoot = LowLight(binned)
    for key, codes in enumerate(pictures):
        shot = shoot.shot(key)
        raw, picture = by_the_camera(binned, codes, key, shot)
        made = shoot(codes[None], [key], [shot])
        black, white = raw.black_level_dn[0], raw.white_level_dn
        counts = torch.round(made.raw[0, 0] * (white - black) + black).numpy()
        assert np.mean(counts != raw.counts) < 3e-4
        assert (made.srgb - picture).abs().mean() < 1e-3


def test_the_rig_s_light_and_codes_are_the_camera_s(rig, pictures, monkeypatch):
    monkeypatch.setattr("isp_sim.torch.METERED_PX", SIZE[0] * SIZE[1] // STRIDE_PX**2)
    noted = {"status": "assumed", "source": "a test"}
    flicker = {"frequency_hz": {"value": 100.0, **noted}, "depth": {"value": 0.5, **noted}}
    lamp = Light.model_validate({"colour": {"value": [1.0, 0.6, 0.3], **noted}, "flicker": flicker})
    codes = Figure(value=((0, 0), (256, 256), (511, 4095)), **noted)
    chip = rig.sensor.model_copy(update={"row_time_us": Figure(value=50.0, **noted), "companding": codes})
    lit = rig.model_copy(update={"light": lamp, "sensor": chip})
    shoot = LowLight(lit)
    shot = shoot.shot(5)
    raw, _ = by_the_camera(lit, pictures[0], 5, shot)
    black, white = raw.black_level_dn[0], raw.white_level_dn
    mosaic = shoot(pictures[:1], [5], [shot]).raw
    counts = torch.round(mosaic[0, 0] * (white - black) + black).numpy()
    assert np.mean(counts != raw.counts) < 3e-4
    assert set(np.unique(counts).astype(int)) <= set(raw.linearization)
    assert not torch.equal(mosaic, LowLight(rig)(pictures[:1], [5], [shot]).raw)
    shaded = lit.model_copy(update={"low_light": lit.low_light.model_copy(update={"shading": "any"})})
    with pytest.raises(ValueError, match="LowLight knows no shading"):
        LowLight(shaded)


@pytest.mark.parametrize("electrons", [0.3, 6.0, 9.9, 10.0, 40.0])
@pytest.mark.parametrize("tukey", [False, True])
def test_table_noise_has_the_camera_s_distribution(rig, electrons, tukey):
    """χ² of the counts against the camera's, with other keys, and mean and variance."""
    shape = (256, 400)
    chip = sensor.numbers(rig.sensor, 5000.0, 40.0)._replace(dark_e=0.0, efficiency=(1.0, 1.0, 1.0))
    out = readout.numbers(rig.sensor, 0.0, "S")._replace(
        gain_dn_per_e=1.0,
        sigma_dn=1.5,
        pedestal_dn=(64.0,) * 4,
        gaussian=not tukey,
        tukey_lambda=-0.1 if tukey else 0.0,
    )
    still = sensor.FixedMaps(np.ones(shape, np.float32), *np.zeros((2, *shape), np.float32))
    lines = readout.LineNoise(np.zeros(shape[0], np.float32), np.zeros(shape[1], np.float32))
    light = np.full((3, *shape), electrons, np.float32)
    weights = np.eye(3)[list(chip.band)]
    ours = table_noise.capture(light, weights, still, lines, chip, out, (1, 2)).astype(float)
    theirs = capture(np.ascontiguousarray(light.transpose(1, 2, 0)), still, lines, chip, out, (3, 4)).astype(float)
    edges = np.quantile(theirs, np.linspace(0, 1, 21)[1:-1])
    bins = np.unique(edges)
    table = [np.bincount(np.searchsorted(bins, frame.ravel()), minlength=len(bins) + 1) for frame in (ours, theirs)]
    assert stats.chi2_contingency(np.array(table)[:, np.sum(table, axis=0) > 0]).pvalue > 1e-3
    error = math.sqrt(2 * theirs.var() / theirs.size)
    assert abs(ours.mean() - theirs.mean()) < 4 * error
    assert abs(ours.var() / theirs.var() - 1) < 4 * math.sqrt(2 * (stats.kurtosis(theirs.ravel()) + 2) / theirs.size)


def test_table_noise_and_camera_draw_the_same_numbers(rig):
    """One key: not one count in 10,000 differs, at any mean."""
    arm, shape = SimulatedArm(rig, rig.low_light), (rig.height_px, rig.width_px)
    light = np.geomspace(1e-3, 1e4, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    planes = np.stack([light] * 3)
    chip, out = sensor.numbers(rig.sensor, 5000.0, 40.0), readout.numbers(rig.sensor, 10.0, "S")
    lines = readout.line_noise(rig.sensor, 10.0, "S", *shape, streams.generator(0, "l"))
    weights = np.eye(3)[list(chip.band)] * np.array(chip.efficiency)
    ours = table_noise.capture(planes, weights, arm.maps, lines, chip, out, (5, 6))
    theirs = capture(np.ascontiguousarray(planes.transpose(1, 2, 0)), arm.maps, lines, chip, out, (5, 6))
    assert np.mean(ours != theirs) < 1e-4
    still = table_noise.capture(planes, weights, arm.maps, lines, chip._replace(shot_noise=False), out, (5, 6))
    assert abs(float(still.mean()) / float(ours.mean()) - 1) < 0.01


def test_torch_s_own_numbers_have_the_same_moments(rig, pictures, monkeypatch):
    """What other devices do, on the CPU: mean and spread of raws of one picture agree with the tables'."""
    shoot, keys = LowLight(rig), list(range(24))
    images = pictures[:1].expand(24, -1, -1, -1)
    shots = [shoot.shot(3)] * 24
    tables = shoot(images, keys, shots).raw
    monkeypatch.setattr(LowLight, "_by_table", lambda self, light: False)
    torchs = shoot(images, keys, shots).raw
    assert not torch.equal(tables, torchs)
    assert torch.equal(torchs[5:6], shoot(images[:1], [5], shots[:1]).raw)
    spread = tables.std() * math.sqrt(2 / tables.numel())
    assert abs(tables.mean() - torchs.mean()) < 5 * spread
    assert abs(tables.std(dim=0).mean() / torchs.std(dim=0).mean() - 1) < 0.02


def test_a_sample_depends_on_itself_alone(rig, pictures):
    shoot = LowLight(rig)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    together = shoot(pictures, torch.tensor([7, 8, 9]))
    for index in range(3):
        alone = LowLight(rig)(pictures[index : index + 1], [7 + index])
        for one, many in zip(alone, together, strict=True):
            assert torch.equal(one[0], many[index])
    assert not torch.equal(shoot(pictures[:1], [7]).raw, shoot(pictures[:1], [8], [shoot.shot(7)]).raw)
    assert torch.equal(state[0], torch.get_rng_state()) and np.array_equal(state[1], np.random.get_state()[1])  # noqa: NPY002


def test_no_tensor_is_made_elsewhere(rig, pictures):
    """A tensor made without the images' device would lie on `meta` and fail."""
    shoot = LowLight(rig)
    with torch.device("meta"):
        shoot((pictures[:1].float() / 255).requires_grad_(), [1])


def test_uint8_float_and_linear_pictures_are_one_light(rig, pictures):
    shoot, as_float = LowLight(rig), pictures.float() / 255
    linear = undone(as_float, CameraCurve())
    for made in (shoot(as_float, [1, 2, 3]), LowLight(rig, curve=None)(linear, [1, 2, 3])):
        for ours, theirs in zip(made, shoot(pictures, [1, 2, 3]), strict=True):
            assert (ours - theirs).abs().mean() < 1e-3
    light = to_light(pictures[0].permute(1, 2, 0).numpy(), CameraCurve())
    torch.testing.assert_close(linear[0].permute(1, 2, 0), torch.from_numpy(light), rtol=1e-4, atol=1e-6)


def test_truth_is_as_bright_as_the_meter_wants(rig, pictures):
    truth = LowLight(rig)(pictures, [1, 2, 3]).truth
    assert (255 * truth.mean(dim=(1, 2, 3)) - rig.meter_target.value).abs().max() < 1.5


def test_gradients_are_those_of_the_mean(ideal):
    """d mean raw / d light by finite differences of many noisy frames; with a pedestal nothing is clipped."""
    rig = without_geometry(ideal)
    shoot = LowLight(rig, curve=None)
    light = torch.full((1, 3, 8, 8), 0.3).requires_grad_()
    made = shoot(light, [0])
    made.raw.sum().backward(retain_graph=True)
    assert light.grad is not None and (light.grad > 0).all()
    slope = light.grad.sum() / light.numel()
    # A flat picture is metered to the same mean, so light is compared at the light that the meter found: raw ∝ light.
    level = shoot(light.detach().expand(40, -1, -1, -1), list(range(40)), [shoot.shot(0)] * 40).raw.mean()
    assert abs(float(slope * 3 * 0.3 / level) - 1) < 0.02
    for plane in (made.srgb, made.truth):
        gradient = torch.autograd.grad(plane.sum(), light, retain_graph=True)[0]
        assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_gradient_of_undone_is_right():
    image = torch.rand(1, 3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    assert torch.autograd.gradcheck(lambda x: undone(x, CameraCurve()), image.requires_grad_())


@pytest.mark.parametrize(
    ("images", "keys", "words"),
    [
        (torch.zeros(1, 3, 5, 6), [1], "even sides"),
        (torch.zeros(3, 4, 6), [1], "even sides"),
        (torch.zeros(0, 3, 4, 6), [], "even sides of 4 and more"),
        (torch.zeros(1, 3, 2, 2), [1], "even sides of 4 and more"),
        (np.zeros((1, 3, 4, 6), np.float32), [1], "expected a torch.Tensor"),
        (torch.zeros(1, 3, 4, 6), [1.5], "a key is 1.5; expected whole numbers"),
        (torch.zeros(1, 3, 4, 6), torch.tensor([1.0]), "expected whole numbers"),
        (torch.zeros(1, 3, 4, 6), [1, 2], "as many of each"),
        (torch.zeros(1, 3, 4, 4000), [1], "takes up to"),
        (torch.zeros(1, 3, 4, 6, dtype=torch.int64), [1], "expected floating point"),
        (torch.zeros(1, 3, 4, 6), [1], "all black"),
        (torch.full((1, 3, 4, 6), math.nan), [1], "NaN"),
    ],
)
def test_bad_input_is_a_sentence(rig, images, keys, words):
    with pytest.raises(ValueError, match=words):
        LowLight(rig)(images, keys)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_has_the_same_moments(rig, pictures):
    shoot = LowLight(rig)
    cpu, cuda = shoot(pictures, [1, 2, 3]), shoot(pictures.cuda(), [1, 2, 3])
    for ours, theirs in zip(cpu, cuda, strict=True):
        assert theirs.is_cuda and abs(float(ours.mean() / theirs.mean().cpu()) - 1) < 0.02
