"""Every operator: what it leaves alone, gradients in float64, finite ones at 0, 1 and below 0."""

import pytest
import torch

from isp_sim import transfer
from isp_sim.isp import operators
from isp_sim.isp.bilateral import bilateral
from isp_sim.isp.pipeline import Entry

STEPS = {name: step for name in Entry.model_fields if (step := Entry.model_validate(name).step).plane == "srgb"}
NEUTRAL = ("exposure", "gamma", "white_balance", "colour_matrix", "contrast", "sharpening", "saturation", "local_tone")
BRIGHTENING = {"exposure", "white_balance", "colour_matrix", "local_tone"}


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def params_of(step, batch, seed=1, kind=torch.float64):
    """Values near where each parameter starts, another for each image."""
    shares = stream(seed)
    values = []
    for spec in step.specs:
        start = torch.tensor([spec.initial], dtype=kind).expand(batch, -1)
        values.append(spec.steer(start, 0.1 * torch.randn(start.shape, generator=shares, dtype=kind)))
    return [value.detach().requires_grad_() for value in values]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_gradients_of_image_and_parameters(name, per_channel):
    step = STEPS[name]
    if "per_channel" in type(step).model_fields:
        step = step.model_copy(update={"per_channel": per_channel})
    image = torch.rand(2, 3, 4, 5, generator=stream(), dtype=torch.float64) * 0.9 + 0.05
    assert torch.autograd.gradcheck(step, (image.requires_grad_(), *params_of(step, 2)))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("level", [0.0, 1.0, -0.01, 1e-9, 40.0])
def test_gradients_are_finite_at_every_level(name, level):
    step = STEPS[name]
    image = torch.full((1, 3, 5, 5), level, requires_grad=True)
    params = params_of(step, 1, kind=torch.float32)
    out = step(image, *params)
    out.sum().backward()
    assert out.isfinite().all() and image.grad.isfinite().all()
    assert all(param.grad.isfinite().all() for param in params)


@pytest.mark.parametrize("name", NEUTRAL)
def test_where_it_starts_a_step_changes_nothing(name):
    step = STEPS[name]
    image = torch.randn(2, 3, 6, 7, generator=stream())
    start = [torch.tensor([spec.initial]) for spec in step.specs]
    assert torch.allclose(step(image, *start), image, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in STEPS if n not in BRIGHTENING])
def test_black_and_white_of_a_grey_picture_stay(name):
    for level in (0.0, 1.0):
        image = torch.full((1, 3, 6, 6), level)
        assert torch.allclose(STEPS[name](image, *params_of(STEPS[name], 1, kind=torch.float32)), image, atol=1e-6)


@pytest.mark.parametrize("name", STEPS)
def test_an_image_does_not_know_its_batch(name):
    step = STEPS[name]
    image = torch.rand(3, 3, 6, 7, generator=stream())
    params = params_of(step, 3, kind=torch.float32)
    together = step(image, *params)
    for place in range(3):
        one = slice(place, place + 1)
        assert torch.equal(step(image[one], *(param[one] for param in params)), together[one])


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0, 2.2, 5.0])
def test_gamma_is_the_power_above_its_knee_odd_and_a_line_below(exponent):
    level = torch.tensor([1e-4, 1 / 255, 0.3, 1.0, 7.0], dtype=torch.float64).expand(1, 3, 1, 5)
    power = torch.tensor([[exponent]], dtype=torch.float64)
    assert torch.allclose(operators.gamma(level, power), level**exponent)
    assert torch.allclose(operators.gamma(-level, power), -(level**exponent))
    knee = operators.GAMMA_KNEE
    small = torch.full((1, 3, 1, 1), knee / 10, dtype=torch.float64)
    assert operators.gamma(small, power).flatten()[0].item() == pytest.approx(knee**exponent / 10)


def test_gamma_at_zero_after_exposure_gives_a_gradient_to_both():
    image = torch.tensor([0.0, 0.0, 0.02]).view(1, 3, 1, 1).requires_grad_()
    gain, power = torch.tensor([[100.0]], requires_grad=True), torch.tensor([[0.3]], requires_grad=True)
    operators.gamma(operators.exposure(image, gain), power).sum().backward()
    assert all(leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0 for leaf in (image, gain, power))


def test_full_contrast_is_the_cameras_tone_curve():
    image = torch.rand(1, 3, 8, 8, generator=stream(), dtype=torch.float64)
    assert torch.allclose(operators.contrast(image, torch.ones(1, 1, dtype=torch.float64)), transfer.tone(image))


@pytest.mark.parametrize("amount", [-1.0, -0.5, 0.5, 1.0])
def test_contrast_is_monotone(amount):
    ramp = torch.linspace(-0.5, 1.5, 999, dtype=torch.float64).expand(1, 3, 1, 999)
    toned = operators.contrast(ramp, torch.tensor([[amount]], dtype=torch.float64))
    assert (toned.diff(dim=-1) >= 0).all()


def test_no_saturation_is_grey_of_the_same_luma():
    image = torch.rand(1, 3, 4, 4, generator=stream())
    grey = operators.saturation(image, torch.zeros(1, 1))
    assert torch.allclose(grey[:, 0], grey[:, 1]) and torch.allclose(grey[:, 1], grey[:, 2])
    luma = (image[0] * torch.tensor(transfer.REC709_LUMA)[:, None, None]).sum(0)
    assert torch.allclose(grey[0, 0], luma, atol=1e-6)


def test_sharpening_of_minus_one_is_a_gaussian_blur():
    image = torch.rand(1, 3, 25, 25, generator=stream(), dtype=torch.float64)
    ones = torch.ones(1, 1, dtype=torch.float64)
    blurred = operators.sharpening(image, -ones, ones * 0.8, window=9)
    offset = torch.arange(-4, 5, dtype=torch.float64)
    line = torch.exp(-(offset**2) / (2 * 0.64))
    kernel = torch.outer(line, line) / line.sum() ** 2
    due = torch.nn.functional.conv2d(image.transpose(0, 1), kernel[None, None]).transpose(0, 1)
    assert torch.allclose(blurred[:, :, 4:-4, 4:-4], due, atol=1e-9)
    assert torch.allclose(blurred, bilateral(image, ones * 0.8, ones * operators.FLAT, 9))


def test_colour_matrix_takes_rows_or_a_square():
    image = torch.rand(2, 3, 4, 4, generator=stream())
    matrix = torch.randn(2, 3, 3, generator=stream(1))
    due = torch.einsum("bij,bjhw->bihw", matrix, image)
    assert torch.allclose(operators.colour_matrix(image, matrix), due, atol=1e-6)
    assert torch.equal(operators.colour_matrix(image, matrix), operators.colour_matrix(image, matrix.flatten(1)))
