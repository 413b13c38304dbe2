"""Crops in torch, developed only where they look: the same as OpenCV's over the whole developed picture."""

import cv2
import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from models.data.crops import crop, crop_affine, mirrored
from models.isp.region_crops import developed_crop, developed_crops

SIZE = (192, 144)
PIPELINE = Pipeline()
VALUES = torch.tensor([[9.0, 0.8, 0.7, 0.8, 0.9, 0.1, 0.2, 0.3]])


def smooth_picture(height, width):
    """Structure no finer than a few pixels: OpenCV's warp rounds coordinates to 1/32 px."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + k) * np.cos(y / 7 - k) * 0.04 + 0.05 for k in range(3)]
    return np.stack(waves, -1).astype(np.float32)


BOXES = [
    (30.0, 20.0, 60.0, 110.0),
    (-20.0, -30.0, 90.0, 160.0),
    (100.0, 60.0, 300.0, 380.0),
    (180.0, 120.0, 20.0, 25.0),
]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("flip", [False, True])
def test_a_developed_crop_is_the_crop_of_the_developed_picture(box, flip):
    picture = smooth_picture(300, 280)
    affine = crop_affine(box, SIZE)
    affine = mirrored(affine, SIZE[1]) if flip else affine
    light = torch.from_numpy(picture).permute(2, 0, 1)[None]
    whole = PIPELINE(light, VALUES)[0].permute(1, 2, 0).numpy()
    due = crop(np.ascontiguousarray(whole), affine, SIZE)
    seen = developed_crop(PIPELINE, light, VALUES, affine, SIZE)[0].numpy()
    inside = cv2.erode((due[0] > 0).astype(np.uint8), np.ones((3, 3))) > 0  # at the rim OpenCV blends with black
    zoom = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    slope = np.abs(np.gradient(due, axis=(1, 2))).max() * max(zoom, 1)  # of the part that is warped, per pixel
    assert np.abs(seen - due)[:, inside].max() <= 2 * slope / 32  # OpenCV rounds both coordinates to 1/32 px


def test_gradients_reach_every_parameter_and_only_what_is_seen():
    values = VALUES.clone().requires_grad_()
    picture = torch.from_numpy(smooth_picture(200, 200)).permute(2, 0, 1)[None]
    noise = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0)) * 0.05
    picture = (picture + noise).requires_grad_()
    crops = developed_crops(PIPELINE, [picture], values, [[crop_affine((40.0, 40.0, 30.0, 50.0), SIZE)]], SIZE)
    crops.square().mean().backward()
    assert (values.grad != 0).all()
    assert picture.grad[..., 150:, 150:].abs().max() == 0


def test_several_pictures_of_several_sizes_keep_their_order():
    pictures = [torch.full((1, 3, 90, 80), 0.02), torch.full((1, 3, 120, 150), 0.04)]
    affine = crop_affine((20.0, 20.0, 30.0, 40.0), SIZE)
    crops = developed_crops(PIPELINE, pictures, VALUES.expand(3, -1), [[affine, affine], [affine]], SIZE)
    means = crops[:, :, 90:100, 70:80].mean(dim=(1, 2, 3))
    assert crops.shape == (3, 3, 192, 144)
    assert means[0] == means[1] < means[2]


def test_an_affine_that_turns_is_refused():
    picture = torch.full((1, 3, 90, 80), 0.02)
    with pytest.raises(ValueError, match="turns the picture; expected scale, shift and mirror alone"):
        developed_crop(PIPELINE, picture, VALUES, crop_affine(BOXES[0], SIZE, rotation_deg=7.0), SIZE)
