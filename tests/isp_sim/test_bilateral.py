"""The bilateral filter: one definition, three kernels, two other libraries."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from bilateral_reference import bilateral_reference, case, largest_difference
from torch.autograd.gradcheck import GradcheckError

from isp_sim.isp import bilateral_numba
from isp_sim.isp.bilateral import WINDOWS, bilateral


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("kind", "allowed"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["fp32", "fp64"])
def test_numba_equals_the_reference_with_all_gradients(window, kind, allowed):
    leaves, gradient = case(kind)
    ours, due = bilateral(*leaves, window), bilateral_reference(*leaves, window)
    assert (ours - due).abs().max() < allowed
    for found, expected in zip(
        torch.autograd.grad(ours, leaves, gradient), torch.autograd.grad(due, leaves, gradient), strict=True
    ):
        assert largest_difference(found, expected) < allowed


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_images_smaller_than_the_window(size):
    leaves, gradient = case(torch.float64, size)
    ours, due = bilateral(*leaves, 7), bilateral_reference(*leaves, 7)
    assert torch.allclose(ours, due, atol=1e-12)
    pairs = zip(torch.autograd.grad(ours, leaves, gradient), torch.autograd.grad(due, leaves, gradient), strict=True)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in pairs)


def test_gradcheck_raises_on_a_wrong_gradient_and_passes_ours():
    leaves, _ = case(torch.float64, (5, 6))
    assert torch.autograd.gradcheck(lambda *a: bilateral(*a, 5), leaves, raise_exception=True)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda image, s, r: bilateral(image, s, r.detach(), 5) + 0 * r.sum(), leaves)


def test_sigmas_shared_by_the_channels():
    (image, _, _), _ = case(torch.float64, (5, 6))
    shared = [torch.full((2, 1), value, dtype=torch.float64, requires_grad=True) for value in (0.9, 0.2)]
    assert torch.autograd.gradcheck(lambda *a: bilateral(*a, 5), (image, *shared))
    each = [sigma.expand(2, 3) for sigma in shared]
    assert torch.equal(bilateral(image, *shared, 5), bilateral(image, *each, 5))


def test_a_second_derivative_is_refused_in_words():
    leaves, _ = case(torch.float64, (4, 4))
    with pytest.raises(NotImplementedError, match="a second derivative is not offered"):
        torch.autograd.gradgradcheck(lambda *a: bilateral(*a, 3), leaves)


def test_it_keeps_the_image_the_result_and_the_weights_alone():
    leaves, _ = case(size=(32, 32))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        bilateral(*leaves, 15)
    assert sorted(kept) == [6, 6] + [leaves[0].numel()] * 3


def test_a_flat_image_stays_and_an_edge_higher_than_sigma_range_too():
    flat = torch.full((1, 3, 9, 9), 0.3)
    sigma = torch.ones(1, 1)
    assert torch.allclose(bilateral(flat, sigma, sigma * 0.1), flat, atol=1e-6)
    edge = torch.zeros(1, 1, 9, 10)
    edge[..., 5:] = 1
    assert torch.allclose(bilateral(edge, sigma, sigma * 0.05), edge, atol=1e-6)
    assert bilateral(edge, sigma, sigma * 5)[0, 0, 4, 4] > 0.1


def test_the_result_does_not_depend_on_threads():
    leaves, gradient = case(size=(40, 33))

    def run():
        out = bilateral(*leaves, 7)
        return [out, *torch.autograd.grad(out, leaves, gradient)]

    before = torch.get_num_threads()
    alone = run()
    try:
        torch.set_num_threads(3)
        shared = run()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_channels_last_and_slices_are_read_right():
    (image, *sigmas), _ = case()
    due = bilateral(image, *sigmas)
    assert torch.equal(bilateral(image.contiguous(memory_format=torch.channels_last), *sigmas), due)
    wide = torch.cat([image, image], dim=3)
    assert torch.equal(bilateral(wide[..., : image.shape[3]], *sigmas), due)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_exponential_is_accurate_to_a_millionth(kind):
    from numba import njit

    @njit
    def over(values):
        return np.array([bilateral_numba.exp2(value) for value in values])

    exponents = np.linspace(-40, 0, 4001).astype(kind)
    assert over(exponents) == pytest.approx(2.0 ** exponents.astype(np.float64), rel=1e-6)
    assert 0 <= over(np.array([-1e9, -126.5], kind)).max() < 1e-37


def test_kornias_filter_agrees_inside_the_rim():
    """kornia mirrors the border where we renormalise, and adds up the channels' differences: so one at a time."""
    kornia = pytest.importorskip("kornia", reason="kornia is not installed (extra 'bench')")
    leaves, gradient = case(torch.float64, (24, 26))
    image, window, rim = leaves[0], 7, 3
    for channel, (sigma_space, sigma_range) in enumerate([(1.0, 0.1), (2.0, 0.3), (0.6, 0.05)]):
        one = image[:, channel : channel + 1]
        theirs = kornia.filters.bilateral_blur(one, (window, window), sigma_range, (sigma_space, sigma_space))
        ours = bilateral(one, *(torch.full((2, 1), s, dtype=torch.float64) for s in (sigma_space, sigma_range)), window)
        inner = (..., slice(rim, -rim), slice(rim, -rim))
        assert torch.allclose(ours[inner], theirs[inner], atol=1e-10)
        deep = gradient[:, :1].clone()
        deep[..., : 2 * rim, :] = deep[..., -2 * rim :, :] = deep[..., : 2 * rim] = deep[..., -2 * rim :] = 0
        found, due = (torch.autograd.grad(o, one, deep, retain_graph=True)[0] for o in (ours, theirs))
        assert torch.allclose(found, due, atol=1e-9)


def test_opencvs_filter_is_ours_on_a_disc_up_to_its_table():
    """OpenCV looks at a disc instead of a square and reads the exponential off a table of 4096 steps.

    So ours equals it where the disc's missing corners weigh nothing, and the reference on a disc everywhere.
    """
    plane = torch.rand(1, 1, 40, 44, generator=torch.Generator().manual_seed(3))
    inner = (..., slice(5, -5), slice(5, -5))
    for sigma_space, sigma_range in [(0.6, 0.1), (2.0, 0.1), (3.0, 0.4)]:
        theirs = torch.from_numpy(cv2.bilateralFilter(plane[0, 0].numpy(), 11, sigma_range, sigma_space))
        sigmas = (torch.full((1, 1), s) for s in (sigma_space, sigma_range))
        disc = bilateral_reference(plane, *sigmas, 11, disc=True)[0, 0]
        assert (disc - theirs)[inner].abs().max() < 2e-4
        if sigma_space < 1:
            ours = bilateral(plane, *(torch.full((1, 1), s) for s in (sigma_space, sigma_range)), 11)[0, 0]
            assert (ours - theirs)[inner].abs().max() < 2e-4


def test_autocast_computes_in_float32():
    (image, *sigmas), _ = case()
    due = bilateral(image.bfloat16().float(), *sigmas)
    with torch.autocast("cpu", torch.bfloat16):
        out = bilateral(image.bfloat16(), *sigmas)
        op = torch.ops.isp_sim.bilateral(image.bfloat16(), *(s.bfloat16().float() for s in sigmas), 7)[0]
    assert out.dtype is op.dtype is torch.float32
    assert torch.equal(out, due)


def test_the_operator_keeps_torchs_rules():
    leaves, _ = case(torch.float64, (6, 7))
    torch.library.opcheck(torch.ops.isp_sim.bilateral.default, (*leaves, 5))


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
def test_compiled_without_a_break_it_is_the_same():
    leaves, gradient = case()
    compiled = torch.compile(lambda image, s, r: bilateral(image * 2, s, r) + 1, fullgraph=True)
    ours, due = compiled(*leaves), bilateral(leaves[0] * 2, *leaves[1:]) + 1
    assert torch.allclose(ours, due, atol=1e-6)
    pairs = zip(torch.autograd.grad(ours, leaves, gradient), torch.autograd.grad(due, leaves, gradient), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in pairs)


def test_nan_stays_in_reach_of_its_window():
    image = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    image[0, 0, 10, 10] = torch.nan
    out = bilateral(image, torch.ones(1, 1), torch.ones(1, 1) * 0.1, 5)
    assert out[0, 0, 8:13, 8:13].isnan().all() and out.isnan().sum() == 25


@pytest.mark.parametrize(
    ("image", "sigma_space", "sigma_range", "window", "told"),
    [
        ((1, 3, 8, 8), (1, 1), (1, 1), 4, "bilateral window 4: expected one of 3, 5, 7, 9, 11, 13, 15 pixels"),
        ((1, 3, 8, 8), (1, 1), (1, 1), 17, "bilateral window 17"),
        ((3, 8, 8), (1, 1), (1, 1), 7, r"image of shape \(3, 8, 8\)"),
        ((2, 3, 8, 8), (3, 1), (1, 1), 7, r"sigma_space of shape \(3, 1\): \(2, 3\) or \(2, 1\) is expected"),
        ((2, 3, 8, 8), (2, 1), (2,), 7, r"sigma_range of shape \(2,\)"),
    ],
)
def test_what_does_not_fit_is_told(image, sigma_space, sigma_range, window, told):
    with pytest.raises(ValueError, match=told):
        bilateral(torch.zeros(image), torch.ones(sigma_space), torch.ones(sigma_range), window)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_a_sigma_that_is_not_above_zero_names_image_and_channel(wrong):
    sigma = torch.ones(2, 3)
    sigma[1, 2] = wrong
    with pytest.raises(ValueError, match=r"sigma_range of image 1, channel 2 is .*: must be above 0"):
        bilateral(torch.zeros(2, 3, 8, 8), torch.ones(1, 1), sigma)
