import pytest
import torch

from isp_sim.transfer import SRGB_KNEE, SRGB_SLOPE, inverse_tone, srgb_decode, srgb_encode, tone

RAMP = torch.linspace(0, 1, 100_001, dtype=torch.float64)
AWKWARD = [-1.0, -1e-30, -0.0, 0.0, 1e-38, 1e-10, SRGB_KNEE, 0.04045, 0.5, 1 - 1e-7, 1.0, 1.0 + 1e-6, 7.0]


@pytest.mark.parametrize(
    ("there", "back"),
    [(srgb_encode, srgb_decode), (srgb_decode, srgb_encode), (tone, inverse_tone), (inverse_tone, tone)],
)
def test_each_curve_and_its_inverse_cancel(there, back):
    assert torch.allclose(back(there(RAMP)), RAMP, rtol=0, atol=1e-9)


def test_the_srgb_pair_cancels_on_both_sides_of_its_joint():
    around = SRGB_KNEE * (1 + torch.linspace(-1e-3, 1e-3, 2001, dtype=torch.float64))
    assert torch.allclose(srgb_decode(srgb_encode(around)), around, rtol=1e-14, atol=0)
    around = around * SRGB_SLOPE
    assert torch.allclose(srgb_encode(srgb_decode(around)), around, rtol=1e-14, atol=0)


def test_srgb_agrees_with_colour_science():
    import colour

    ours, theirs = srgb_encode(RAMP).numpy(), colour.models.eotf_inverse_sRGB(RAMP.numpy())
    assert abs(ours - theirs).max() < 1e-12
    ours, theirs = srgb_decode(RAMP).numpy(), colour.models.eotf_sRGB(RAMP.numpy())
    assert abs(ours - theirs).max() < 1e-7  # the standard's own gap at 0.04045


def test_mid_grey_is_code_118():
    assert round(255 * srgb_encode(torch.tensor(0.18)).item()) == 118


def test_encode_clips_and_decode_does_not():
    assert srgb_encode(torch.tensor([-1.0, 2.0])).tolist() == pytest.approx([0.0, 1.0], abs=1e-7)
    assert srgb_decode(torch.tensor(-12.92)).item() == pytest.approx(-1)
    assert srgb_decode(torch.tensor(1.5)).item() > 1.5


def test_the_tone_curve_keeps_its_ends_and_its_middle():
    ends = torch.tensor([0.0, 0.5, 1.0])
    assert torch.allclose(tone(ends), ends, atol=1e-7)
    assert torch.allclose(inverse_tone(ends), ends, atol=1e-7)
    assert tone(torch.tensor(0.25)).item() == pytest.approx(0.15625)


def test_inverse_tone_is_the_published_formula():
    y = RAMP[1:-1]
    assert torch.allclose(inverse_tone(y), 0.5 - torch.sin(torch.asin(1 - 2 * y) / 3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("curve", [srgb_encode, srgb_decode, tone, inverse_tone])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_everywhere(curve, dtype):
    x = torch.tensor(AWKWARD, dtype=dtype, requires_grad=True)
    y = curve(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("curve", [srgb_encode, srgb_decode, tone, inverse_tone])
def test_gradients_are_those_of_the_curve(curve):
    x = torch.linspace(0.01, 0.99, 23, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(curve, (x,))
