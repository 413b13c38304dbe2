"""Losses of the enhancers against values worked out by hand."""

import math

import pytest
import torch
from torch import nn

from models.enhance.networks import ruas, sci, sdag, sllen_losses, zero_dce
from models.enhance.networks.gladnet import RGB_WEIGHTS, weighted_l1


def flat(*rgb, side=32):
    return torch.tensor(rgb, dtype=torch.float64)[None, :, None, None].expand(1, 3, side, side)


def test_gladnets_l1_weighs_r_g_b_in_the_papers_order_and_in_the_released_one():
    red = weighted_l1(flat(0.7, 0.2, 0.2), flat(0.2, 0.2, 0.2))
    assert red.item() == pytest.approx(0.5 * 0.29891)
    released = weighted_l1(flat(0.7, 0.2, 0.2), flat(0.2, 0.2, 0.2), RGB_WEIGHTS[::-1])
    assert released.item() == pytest.approx(0.5 * 0.11448)
    assert sum(RGB_WEIGHTS) == pytest.approx(1, abs=1e-4)


def test_exposure_of_a_flat_picture_is_its_squared_distance_from_the_level():
    assert zero_dce.exposure_loss(flat(0.2, 0.2, 0.2)).item() == pytest.approx(0.16)
    assert zero_dce.exposure_loss(flat(0.5, 0.6, 0.7)).item() == pytest.approx(0, abs=1e-12)


def test_colour_is_the_sum_of_squared_differences_of_channel_means():
    assert zero_dce.colour_loss(flat(0.1, 0.2, 0.4)).item() == pytest.approx(0.01 + 0.09 + 0.04)


def test_a_common_offset_costs_no_spatial_loss_and_a_step_costs_its_square():
    image = torch.zeros(1, 3, 8, 8)
    assert zero_dce.spatial_loss(image + 0.3, image).item() == 0
    stepped = image.clone()
    stepped[..., 4:] = 0.5  # two regions of two rows differ by 0.5: each of the 4 regions has one such neighbour
    assert zero_dce.spatial_loss(stepped, image).item() == pytest.approx(4 * 0.25 / 4)


def test_curves_that_rise_evenly_cost_their_squared_slope():
    ramp = (torch.arange(16.0) / 100).expand(1, 24, 16, 16)  # along x only
    assert zero_dce.smoothness_loss(ramp).item() == pytest.approx(2 * 24 * 1e-4)


def test_zero_dce_terms_carry_the_released_weights():
    image = flat(0.1, 0.1, 0.1)
    terms = zero_dce.zero_dce_losses(image, flat(0.2, 0.2, 0.2), torch.zeros(1, 24, 32, 32, dtype=torch.float64))
    assert terms["exposure"].item() == pytest.approx(10 * 0.16)
    assert set(terms) == {"spatial", "colour", "exposure", "smoothness"}


def test_scis_fidelity_is_the_mean_square():
    assert sci.fidelity_loss(flat(0.1, 0.1, 0.1), flat(0.4, 0.4, 0.4)).item() == pytest.approx(0.09)


def test_scis_smoothness_of_a_step_counts_the_pairs_across_it():
    """A step of h between columns of a wide grey picture, in all three channels: in 5×5 a pixel sees over it 5·(1 + 2)
    pairs, both ways."""
    side, h = 64, 0.2
    light = torch.zeros(1, 3, side, side)
    light[..., side // 2 :] = h
    image = torch.full_like(light, 0.5)
    found = sci.smooth_illumination_loss(image, light).item()
    wanted = 0.0
    for dx in (-2, -1, 1, 2):
        wanted += 5 * abs(dx) * 3 * h / (side - abs(dx))  # |dx| columns of the side − |dx| that have a neighbour there
    assert found == pytest.approx(wanted, rel=1e-5)


def test_scis_light_may_change_where_the_picture_does():
    light = torch.zeros(1, 3, 16, 16)
    light[..., 8:] = 0.2
    even = sci.smooth_illumination_loss(torch.full_like(light, 0.5), light)
    edge = sci.smooth_illumination_loss((light > 0).float(), light, sigma=0.1)
    grey_step = math.exp(-((0.257 + 0.564 + 0.098) ** 2) / (2 * 0.1**2))  # Y of white; Cb and Cr of grey are near 0
    assert edge.item() == pytest.approx(even.item() * grey_step, rel=0.02, abs=1e-12)
    released = sci.smooth_illumination_loss((light > 0).float(), light)  # σ of 10: no weight is below 0.995
    assert released.item() == pytest.approx(even.item(), rel=0.005)


def test_sci_weighs_fidelity_by_one_and_a_half_over_all_stages():
    one = (flat(0.1, 0.1, 0.1), flat(0.4, 0.4, 0.4))
    assert sci.sci_losses([one, one])["fidelity"].item() == pytest.approx(2 * 1.5 * 0.09)


def test_ruass_losses_are_half_the_square_and_sums_of_mean_weight_times_mean_difference():
    """As released a weight is multiplied by the mean of all differences: of a step of h = 0.4 in the light and of a
    picture with a step elsewhere."""
    side, h = 24, 0.4
    light, image = (torch.zeros(2, 3, side, side, dtype=torch.float64) for _ in range(2))
    light[..., 12:] = h
    image[..., 6:] = 0.5
    image[1] = 0.2  # the second picture is even: all weights are 1
    luma = 0.5 * sum(sci.TO_YCBCR[0])  # of a grey step, without chroma
    found = [0.0, 0.0]
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            if (dy, dx) != (0, 0):
                across = abs(dx) / (side - abs(dx))  # of the pairs that exist
                weight = 1 + across * (math.exp(-(luma**2) / (2 * 0.1**2)) - 1)
                found[0] += weight * across * h
                found[1] += across * h
    terms = ruas.ruas_losses(image, light, sigma=0.1)
    assert abs(sum(map(sum, zip(*sci.TO_YCBCR[1:], strict=True)))) < 1e-9
    assert terms["smoothness"].item() == pytest.approx(sum(found) / 2)
    assert terms["fidelity"].item() == pytest.approx(0.5 * (light - image).square().mean().item())


def test_ruass_denoiser_loses_by_squared_differences_and_hardly_by_what_it_takes_away():
    ramp = (torch.arange(16.0, dtype=torch.float64) / 100).expand(1, 3, 16, 16)  # along x only
    assert ruas.denoise_loss(ramp, ramp).item() == pytest.approx(2 * 1e-4)
    assert ruas.denoise_loss(ramp, ramp + 0.5).item() == pytest.approx(2 * 1e-4 + 1e-7 * 0.25)
    assert pytest.approx(1) == 750 * ruas.DENOISE_SHARE


def test_smooth_l1_is_half_the_square_below_one():
    assert sllen_losses.fidelity_loss(flat(0.2, 0.2, 0.2), flat(0.6, 0.6, 0.6)).item() == pytest.approx(0.08)


def test_the_perceptual_loss_is_the_mean_square_of_features_and_spares_the_target():
    enhanced = flat(0.2, 0.2, 0.2).clone().requires_grad_()
    target = flat(0.5, 0.5, 0.5).clone().requires_grad_()
    loss = sllen_losses.perceptual_loss(enhanced, target, lambda x: 2 * x)
    assert loss.item() == pytest.approx(0.36)
    loss.backward()
    assert enhanced.grad.abs().sum() > 0 and target.grad is None


def test_distillation_moves_the_decoder_alone():
    decoded, encoded = torch.zeros(1, 2, 4, 4, requires_grad=True), torch.ones(1, 2, 4, 4, requires_grad=True)
    loss = sllen_losses.distillation_loss([decoded, decoded], [encoded, 3 * encoded])
    assert loss.item() == 2
    loss.backward()
    assert decoded.grad.abs().sum() > 0 and encoded.grad is None


def test_illumination_of_an_even_gain_has_no_variation():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.1
    assert sllen_losses.illumination_loss(image, 1.5 * image).item() == pytest.approx(0, abs=1e-6)
    ramp = (torch.arange(1, 9.0) / 8).expand(1, 3, 8, 8)
    assert sllen_losses.illumination_loss(ramp, torch.ones_like(ramp)).item() == pytest.approx(1 / 8)


def test_the_gradient_level_of_a_ramp():
    ramp = (torch.arange(8.0) / 8).expand(1, 3, 8, 8)
    assert sllen_losses.mean_gradient(ramp).item() == pytest.approx(1 / 16)
    assert sllen_losses.gradient_loss(ramp, 0.1).item() == pytest.approx(0.1 - 1 / 16)


def test_segmentation_of_even_logits_is_ln_classes_and_void_is_left_out():
    logits = torch.zeros(1, 7, 4, 4)
    classes = torch.full((1, 4, 4), sllen_losses.VOID, dtype=torch.uint8)
    assert sllen_losses.segmentation_loss(logits, classes).item() == 0
    classes[0, 0, 0] = 3
    assert sllen_losses.segmentation_loss(logits, classes).item() == pytest.approx(math.log(7))


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


class Mixed(nn.Module):
    def forward(self, x):
        return x.flip(1)


def test_sdags_terms_of_a_network_that_doubles():
    """|2x − x| = mean |x|; the cosine is 1 of every picture, so each rank costs the whole margin."""
    image = flat(0.5, 0.5, 0.5)
    terms = sdag.sdag_losses(Twice(), image, torch.Generator().manual_seed(0))
    noise = image + sdag.NOISE * torch.randn(image.shape, generator=torch.Generator().manual_seed(0)).double()
    dark = 0.5 ** (1 / 0.3)
    assert terms["rebuilt"].item() == pytest.approx(0.5)
    assert terms["degraded"].item() == pytest.approx(0.1 * (dark + noise.abs().mean().item()), rel=1e-5)
    assert terms["ranking"].item() == pytest.approx(2 * sdag.MARGIN, abs=1e-4)


def test_the_margin_holds_at_every_pixel_by_itself():
    """A network that rebuilds the picture, and of its degraded ones the negative at half of the pixels: cosines of 1,
    and of 1 and −1 by halves; each pixel's rank costs 0.5 or nothing, their mean 0.25, twice."""
    image = flat(0.5, 0.5, 0.5)
    half = torch.ones_like(image)
    half[..., 16:] = -1

    class Turned(nn.Module):
        def forward(self, x):
            return x if x is image else x * half

    terms = sdag.sdag_losses(Turned(), image, torch.Generator().manual_seed(0))
    assert terms["ranking"].item() == pytest.approx(2 * 0.25, abs=1e-3)


def test_the_cosine_runs_over_the_batch_and_over_channels_only_if_named():
    image = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])[:, :, None, None].expand(2, 3, 4, 4)
    assert sdag.likeness(Mixed()(image), image, "channels").mean().item() == 0
    assert sdag.likeness(image, image, "channels").mean().item() == pytest.approx(1)
    released = sdag.likeness(image, image).mean().item()
    assert released == pytest.approx(1 / 3)  # two of three channels are black throughout the batch
    with pytest.raises(ValueError, match="channels or batch"):
        sdag.likeness(image, image, "pixels")


def test_a_darkened_picture_keeps_black_and_white_and_finite_gradients():
    image = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1).requires_grad_()
    dark = sdag.darkened(image)
    assert dark.flatten().tolist() == pytest.approx([0, 0.5 ** (1 / 0.3), 1])
    dark.sum().backward()
    assert image.grad.isfinite().all()
