"""Raw → sRGB: demosaic against a reference library, white stays white, gradients flow."""

import numpy as np
import pytest
import torch
from colour_demosaicing import demosaicing_CFA_Bayer_bilinear, demosaicing_CFA_Bayer_Malvar2004

from isp_sim.camera import SimulatedArm
from isp_sim.isp import develop as isp
from isp_sim.isp.demosaic import demosaic
from isp_sim.isp.operators import colour_matrix, white_balance
from isp_sim.raw import normalise
from isp_sim.units import Counts, LinearRgb, Mosaic

REFERENCE = {"bilinear": demosaicing_CFA_Bayer_bilinear, "malvar2004": demosaicing_CFA_Bayer_Malvar2004}


@pytest.mark.parametrize("method", REFERENCE)
@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_demosaic_agrees_with_colour_demosaicing_inside_the_rim(method, cfa):
    mosaic = np.random.default_rng(0).random((24, 32))
    ours = demosaic(Mosaic(torch.from_numpy(mosaic)[None, None]), cfa, method)[0].permute(1, 2, 0).numpy()
    theirs = REFERENCE[method](mosaic, cfa)
    assert ours[3:-3, 3:-3] == pytest.approx(theirs[3:-3, 3:-3], abs=1e-12)


@pytest.mark.parametrize("method", REFERENCE)
def test_a_flat_mosaic_stays_flat_to_the_rim(method):
    flat = demosaic(Mosaic(torch.full((1, 1, 8, 8), 0.3, dtype=torch.float64)), "RGGB", method)
    assert flat.numpy() == pytest.approx(np.full((1, 3, 8, 8), 0.3), abs=1e-12)


def test_measured_samples_stay_as_they_are():
    mosaic = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    planes = demosaic(Mosaic(mosaic), "GRBG", "malvar2004")
    assert torch.equal(planes[:, 1, 0::2, 0::2], mosaic[:, 0, 0::2, 0::2])
    assert torch.equal(planes[:, 0, 0::2, 1::2], mosaic[:, 0, 0::2, 1::2])
    assert torch.equal(planes[:, 2, 1::2, 0::2], mosaic[:, 0, 1::2, 0::2])


def test_an_unknown_method_and_an_odd_size_are_refused():
    with pytest.raises(ValueError, match="demosaic 'ahd': expected one of bilinear, malvar2004"):
        demosaic(Mosaic(torch.zeros(1, 1, 4, 4)), "RGGB", "ahd")
    with pytest.raises(ValueError, match="5×4 pixels: both must be even"):
        demosaic(Mosaic(torch.zeros(1, 1, 5, 4)), "RGGB", "bilinear")


def test_normalise_puts_black_at_0_and_white_at_1_and_keeps_the_negatives():
    counts = Counts(np.array([[60, 64], [4095, 66]], np.uint16))
    seen = normalise(counts, (64, 64, 64, 66), 4095)[0, 0]
    range_dn = 4095 - 64.5
    assert seen.numpy() == pytest.approx(np.array([[-4, 0], [4031, 0]]) / range_dn)


def test_normalise_refuses_white_below_black():
    with pytest.raises(ValueError, match="white level 50 DN must lie above the black level"):
        normalise(Counts(np.zeros((2, 2), np.uint16)), (64, 64, 64, 64), 50)


def params_of(rig):
    """As a raw of the rig's says; its counts do not matter."""
    arm = SimulatedArm(rig.model_copy(update={"width_px": 64, "height_px": 64}), rig.well_lit)
    raw = arm.describe(Counts(np.zeros((2, 2), np.uint16)), 1000.0, 0.0, {})
    return isp.from_metadata(raw, rig.well_lit.isp)


def test_white_is_white_and_clipped_light_too(exlpose):
    params = params_of(exlpose)
    neutral = torch.tensor(exlpose.sensor.neutral())
    for level in (0.4, 1.0, 5.0):
        tile = torch.tensor([[neutral[0], neutral[1]], [neutral[1], neutral[2]]]) * level
        picture = isp.develop(Mosaic(tile.clamp_max(1).repeat(8, 8)[None, None]), params)[0]
        assert (picture.amax(0) - picture.amin(0)).max() < 1e-5
    assert picture.min() == pytest.approx(1.0, abs=1e-6)


def test_the_colour_matrix_undoes_the_sensors_mixing(exlpose):
    params = params_of(exlpose)
    colour = np.array([0.3, 0.1, 0.2])
    camera = np.array(exlpose.sensor.quantum_efficiency.value) * (exlpose.sensor.rec709_to_camera.value @ colour)
    balanced = torch.tensor(camera * params.gains[0].numpy(), dtype=torch.float32).reshape(1, 3, 1, 1)
    back = colour_matrix(LinearRgb(balanced), params.matrix).flatten().numpy()
    assert back / back.sum() == pytest.approx(colour / colour.sum(), rel=1e-4)


def test_a_batch_is_its_images(exlpose):
    params = params_of(exlpose)
    mosaics = torch.rand(3, 1, 12, 16, generator=torch.Generator().manual_seed(1))
    together = isp.develop(Mosaic(mosaics), params)
    for one, picture in zip(mosaics, together, strict=True):
        assert torch.allclose(isp.develop(Mosaic(one[None]), params)[0], picture, atol=1e-7)


@pytest.mark.parametrize("balance", ["before_demosaic", "after_demosaic"])
def test_gradients_reach_the_mosaic_and_every_parameter(exlpose, balance):
    params = params_of(exlpose)
    stream = torch.Generator().manual_seed(2)
    mosaic = torch.rand(2, 1, 6, 6, generator=stream, dtype=torch.float64) * 0.6 + 0.05
    gains = params.gains.double().repeat(2, 1).requires_grad_()
    matrix = params.matrix.double().repeat(2, 1, 1).requires_grad_()

    def run(mosaic, gains, matrix):
        return isp.develop_linear(mosaic, isp.DevelopParams("RGGB", "malvar2004", gains, matrix, balance=balance))

    assert torch.autograd.gradcheck(run, (mosaic.requires_grad_(), gains, matrix))


LONE = {  # colour: codes about a single count of 1 in the dark, as 61 to 93 places of a real ExLPose picture show them
    "R": ([[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3, [[0, 0, 0], [0, 2, 0], [0, 0, 0]]),
    "G": ([[0] * 3] * 3, [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "B": ([[0] * 3] * 3, [[0] * 3] * 3, [[1, 1, 1], [1, 2, 1], [1, 1, 1]]),
}


@pytest.mark.parametrize("colour", LONE)
def test_a_lone_count_gives_the_codes_of_the_real_picture(exlpose, colour):
    params = params_of(exlpose)
    mosaic = torch.zeros(1, 1, 12, 12)
    y, x = divmod("RGGB".index(colour), 2)
    mosaic[0, 0, 6 + y, 6 + x] = 1 / exlpose.sensor.white_level_dn
    codes = isp.to_8bit(isp.develop(Mosaic(mosaic), params)).transpose(2, 0, 1)
    due = np.zeros((3, 12, 12), int)
    due[:, 5 + y : 8 + y, 5 + x : 8 + x] = LONE[colour]
    assert np.array_equal(codes, due)


def test_the_order_of_white_balance_and_demosaic_matters_only_where_colours_mix_or_something_is_cut():
    mosaic = Mosaic(torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.3)
    gains = torch.tensor([[2.0, 1.0, 1.5]], dtype=torch.float64)
    unmixed = torch.eye(3, dtype=torch.float64)[None]
    first, after = (
        {
            method: isp.develop_linear(mosaic, isp.DevelopParams("RGGB", method, gains, unmixed, balance=balance))
            for method in REFERENCE
        }
        for balance in ("before_demosaic", "after_demosaic")
    )
    assert torch.allclose(first["bilinear"], after["bilinear"], atol=1e-12)
    assert (first["malvar2004"] - after["malvar2004"]).abs().max() > 0.01
    by_hand = demosaic(mosaic, "RGGB", "malvar2004") * gains[..., None, None]
    assert by_hand.min() < 0
    assert torch.equal(after["malvar2004"], by_hand.clamp(0, 1))


def test_white_balance_knows_every_tile():
    gains = torch.tensor([[2.0, 1.0, 3.0]])
    for cfa in ("RGGB", "BGGR", "GRBG", "GBRG"):
        out = white_balance(Mosaic(torch.full((1, 1, 2, 2), 0.1)), gains, cfa)[0, 0].flatten()
        due = [0.1 * {"R": 2, "G": 1, "B": 3}[c] for c in cfa]
        assert out.tolist() == pytest.approx(due)


def test_8_bit_codes_round_to_nearest():
    image = torch.tensor([0.0, 0.49 / 255, 0.51 / 255, 1.0]).reshape(1, 1, 2, 2).repeat(1, 3, 1, 1)
    assert isp.to_8bit(image)[..., 0].flatten().tolist() == [0, 0, 1, 255]
