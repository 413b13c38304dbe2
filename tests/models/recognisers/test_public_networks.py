"""What holds for every public network: gradients, any batch, frozen to the bit, the sides of a drawn figure."""

import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import COCO_JOINTS, JOINTS, Person
from models.data.normalisation import WELL
from models.isp.learned import LearnedIsp
from models.isp.learner import IspLearner, LowLightBatch
from models.isp.predictor import Predictor
from models.recognisers.inference import detect
from models.recognisers.loading import PUBLIC, identity, load_recogniser
from models.recognisers.losses import pose_loss
from models.recognisers.multipose import load_multipose
from models.recognisers.person_detector import MULTIPOSE_NAME
from tests.models.drawn_figure import figure

EVERY = (*PUBLIC, MULTIPOSE_NAME)

names = pytest.mark.parametrize("name", PUBLIC)
networks = pytest.mark.parametrize(("name", "side"), [(n, 256 if n == "blazepose-full" else 64) for n in EVERY])
"""Each with the smallest picture it takes, px."""


def network_of(name):
    return load_multipose() if name == MULTIPOSE_NAME else load_recogniser(name).network


def pictures(side, seeds):
    return torch.stack([torch.from_numpy(figure(side, seed)[0]).permute(2, 0, 1) for seed in seeds]).float() / 255


def parts(said):
    """All tensors of what a network says."""
    return [said] if isinstance(said, torch.Tensor) else [tensor for part in said for tensor in parts(part)]


@networks
def test_gradients_to_the_input_are_those_of_finite_differences(name, side):
    network = network_of(name).double()
    crops = (0.8 * pictures(side, [1]).double() + 0.1).requires_grad_()

    def total(image):
        return sum((part * part).mean() for part in parts(network(image)))

    (gradient,) = torch.autograd.grad(total(crops), crops)
    stream = np.random.default_rng(0)
    largest = gradient.abs().max().item()
    for channel, y, x in zip(*(stream.integers(0, top, 6) for top in (3, side, side)), strict=True):
        step = torch.zeros_like(crops)
        step[0, channel, y, x] = 1e-6
        with torch.no_grad():
            slope = (total(crops + step) - total(crops - step)) / 2e-6
        assert slope.item() == pytest.approx(gradient[0, channel, y, x].item(), rel=1e-4, abs=1e-6 * largest)
    assert largest > 0 and not any(parameter.requires_grad for parameter in network.parameters())


@networks
def test_any_batch_gives_what_each_picture_gives_alone(name, side):
    network = network_of(name)
    crops = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    together = parts(network(crops))
    for number in range(3):
        for whole, part in zip(together, parts(network(crops[number : number + 1])), strict=True):
            assert torch.allclose(whole[number], part[0], atol=1e-3)
    assert all(len(part) == 0 for part in parts(network(crops[:0])))


@names
def test_a_drawn_figures_joints_are_found_with_the_left_ones_on_the_pictures_right(name):
    recogniser = load_recogniser(name)
    for seed in range(3):
        picture, joints = figure(300, seed)
        labels = tuple((float(x), float(y), 2) if np.isfinite(x) else (0.0, 0.0, 0) for x, y in joints)
        (found,) = detect(recogniser, picture, [Person(labels, (30.0, 20.0, 240.0, 270.0))], WELL, "none")
        apart = np.hypot(*(np.array(found.keypoints)[:12, :2] - joints[:12]).T)
        torso = np.hypot(*(joints[JOINTS.index("left_shoulder")] - joints[JOINTS.index("right_hip")]))
        assert np.mean(apart < 0.2 * torso) >= 11 / 12
        assert found.keypoints[0][0] > found.keypoints[1][0]


@names
def test_its_face_is_there_beside_the_limbs_and_above_the_shoulders(name):
    recogniser = load_recogniser(name)
    crops = pictures(recogniser.input_size[0], range(2))
    with torch.no_grad():
        places, scores = recogniser.decode(recogniser.seen(crops, WELL, COCO_JOINTS), COCO_JOINTS)
        limbs, _ = recogniser.decode(recogniser.seen(crops, WELL))
    assert places.shape == (2, 17, 2) and torch.equal(places[:, 5:], limbs[:, :12])
    assert (places[:, :5, 1] < places[:, 5:7, 1].amin(dim=1, keepdim=True)).all()
    assert (scores > 0).all()


@names
def test_a_loss_through_it_reaches_the_picture_and_leaves_head_and_neck_out(name):
    recogniser = load_recogniser(name)
    side = recogniser.input_size[0]
    crops = pictures(side, [0]).requires_grad_()
    joints = torch.from_numpy(np.nan_to_num(figure(side, 0)[1])).float()[None]
    labels = torch.cat([joints, torch.full((1, 14, 1), 2.0)], dim=2)
    moved = labels.clone()
    moved[:, 12:, :2] += 20
    for kind in ("heatmaps", "spatial-cross-entropy", "decoded-cross-entropy"):
        loss = pose_loss(recogniser, crops, labels, kind)
        assert torch.equal(loss, pose_loss(recogniser, crops, moved, kind))
        (gradient,) = torch.autograd.grad(loss, crops)
        assert gradient.abs().max() > 0 and gradient.isfinite().all()
    assert (recogniser(crops)[:, 12:] == 0).all()


@names
def test_an_isp_that_learns_before_it_leaves_every_bit_of_it(name):
    recogniser, pipeline = load_recogniser(name), Pipeline()
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    isp = LearnedIsp(Predictor(pipeline, torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), pipeline)
    learner = IspLearner(isp, recogniser).train()
    picture, joints = figure(150, 1)
    labels = torch.from_numpy(np.nan_to_num(joints)).float()[None] * recogniser.input_size[0] / 150
    affine = recogniser.crop_affine((15.0, 10.0, 120.0, 120.0))
    light = torch.from_numpy(picture).permute(2, 0, 1).float() / 255 / 12
    batch = LowLightBatch(
        (light[None],), ((affine,),), torch.cat([labels, torch.full((1, 14, 1), 2.0)], dim=2), (0, 0, 0)
    )
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        learner.losses(batch)["pose"].backward()
        optimiser.step()
    assert learner.loss == "decoded-cross-entropy" and isp.predictor.head.weight.grad.abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in recogniser.state_dict().items())


def test_they_stay_frozen_and_are_known_by_their_weights():
    for name in PUBLIC:
        recogniser = load_recogniser(name).train()
        assert not any(module.training for module in recogniser.modules())
        assert not any(parameter.requires_grad for parameter in recogniser.parameters())
    assert len({*map(identity, PUBLIC), identity(), *PUBLIC}) == 2 * len(PUBLIC) + 1
