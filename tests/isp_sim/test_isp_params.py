"""ParamSpec: scales, steering, faults."""

import math

import pytest
import torch

from isp_sim.isp import operators
from isp_sim.isp.params import ParamSpec

SPECS = [value for value in vars(operators).values() if isinstance(value, ParamSpec)]


def values_of(spec, count=7):
    shares = torch.linspace(0.01, 0.99, count, dtype=torch.float64)[:, None].expand(count, spec.size)
    return spec.from_unit(shares)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_unit_coordinates_go_there_and_back(spec):
    values = values_of(spec)
    assert torch.allclose(spec.from_unit(spec.to_unit(values)), values)
    ends = spec.from_unit(torch.tensor([[0.0], [1.0]], dtype=torch.float64)).flatten().tolist()
    assert ends == pytest.approx([spec.low, spec.high], rel=1e-12)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_a_residual_of_zero_is_the_base_and_steering_goes_there_and_back(spec):
    base, wanted = values_of(spec), values_of(spec).flip(0)
    assert torch.allclose(spec.steer(base, torch.zeros_like(base)), base)
    assert torch.allclose(spec.steer(base, spec.residual(base, wanted)), wanted)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_no_residual_leaves_the_range_and_gradients_live_at_its_ends(spec):
    for start in (spec.low, spec.high):
        base = torch.full((1, spec.size), start, dtype=torch.float64)
        residual = torch.zeros_like(base).requires_grad_()
        spec.steer(base, residual).sum().backward()
        assert (residual.grad > 0).all()
    far = spec.steer(torch.tensor([spec.initial]), torch.tensor([[-50.0], [50.0]]).expand(2, spec.size))
    assert (far >= spec.low).all() and (far <= spec.high).all() and far.isfinite().all()


def test_steering_is_differentiable_in_base_and_residual():
    spec = operators.GAIN
    base = torch.tensor([[0.5], [30.0], [900.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spec.steer, (base, torch.randn(3, 1, dtype=torch.float64, requires_grad=True)))


def test_the_middle_of_a_log_scale_is_the_geometric_mean():
    middle = operators.GAIN.from_unit(torch.tensor([[0.5]], dtype=torch.float64))
    assert math.log2(middle.item()) == pytest.approx((-2 + 10) / 2)


def test_a_residual_of_one_hundredth_is_about_a_hundredth_of_the_range_in_its_middle():
    spec = operators.GAIN
    middle = spec.from_unit(torch.tensor([[0.5]], dtype=torch.float64))
    moved = spec.to_unit(spec.steer(middle, torch.tensor([[0.01]], dtype=torch.float64)))
    assert moved.item() == pytest.approx(0.51, abs=1e-4)


def test_a_value_outside_names_image_channel_and_range():
    spec = operators.SIGMA_RANGE.for_channels()
    with pytest.raises(ValueError, match=r"sigma_range\.G of image 1 is 3 of white: expected 0\.005 … 2"):
        spec.check(torch.tensor([[0.1, 0.1, 0.1], [0.1, 3.0, 0.1]]))
    with pytest.raises(ValueError, match="image 0 is nan"):
        operators.GAMMA.check(torch.tensor([[math.nan]]))
    spec.check(torch.tensor([[0.005, 2.0, 1.0]]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"low": 0.0}, "low is 0.0; on a log scale it must be above 0"),
        ({"init": 9.0}, "init is 9.0; it must lie between 1.0 and 4.0"),
        ({"init": (2.0, 2.0)}, "init has 2 numbers; size is 1"),
        ({"size": 2}, "2 numbers need as many"),
    ],
)
def test_an_impossible_spec_is_refused(change, told):
    good = {"name": "a", "low": 1.0, "high": 4.0, "init": 2.0, "scale": "log", "unit": "", "says": ""}
    assert ParamSpec(**good).names == ("a",)
    with pytest.raises(ValueError, match=told):
        ParamSpec(**good | change)
