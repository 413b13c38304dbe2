"""MoveNet: the published graph's own answers, a drawn figure's sides, gradients, flips, joints it does not know."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_figure import figure

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import COCO_JOINTS, JOINTS, Person
from models.data.crops import FLIP
from models.data.normalisation import LOW, WELL
from models.data.samples import PairSample
from models.isp.grid_search import around
from models.isp.learned import LearnedIsp
from models.isp.learner import IspLearner, LowLightBatch, light_of, pose_loss
from models.isp.predictor import Predictor
from models.isp.trials import Search
from models.recognisers.decoding import decode, expectation, highest_pixel, mirrored, pick
from models.recognisers.inference import detect, heatmaps
from models.recognisers.loading import identity, load_recogniser
from models.recognisers.movenet import (
    KEYPOINTS,
    SIZES,
    STRIDE,
    Heads,
    MoveNet,
    SameConv2d,
    load_movenet,
    shipped_weights,
)

REFERENCE = np.load(Path(__file__).parent / "movenet_reference.npz")
"""What TensorFlow.js says of figures 0 to 3; benchmarks/movenet_parity.py made it."""
PAIRS = tuple(
    KEYPOINTS.index(
        name.replace("left", "right") if name.startswith("left") else name.replace("right", "left")
    )
    for name in KEYPOINTS
)  # fmt: skip
sizes = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(scope="module")
def networks():
    return {size: load_movenet(shipped_weights(size)) for size in SIZES}


def pictures(side, seeds):
    return torch.stack([torch.from_numpy(figure(side, seed)[0]).permute(2, 0, 1) for seed in seeds]).float() / 255


@sizes
def test_heatmaps_and_joints_are_those_of_the_published_graph(networks, size):
    network = networks[size]
    with torch.no_grad():
        heads = network(pictures(network.side, range(4)))
        places, scores = decode(heads)
    assert np.abs(heads.heatmaps.numpy()[..., ::4, ::4] - REFERENCE[f"{size}_heatmaps"]).max() < 1e-3
    expected = REFERENCE[f"{size}_joints"]
    apart = np.hypot(*(places.numpy() * STRIDE - expected[..., :2] * network.side).reshape(-1, 2).T)
    assert apart.max() < 0.1
    assert np.abs(scores.numpy() - expected[..., 2]).max() < 1e-3


@sizes
def test_a_drawn_figures_joints_are_found_with_the_left_ones_on_the_pictures_right(size):
    recogniser = load_recogniser(f"movenet-{size}")
    side = 300
    for seed in range(3):
        picture, joints = figure(side, seed)
        labels = tuple((float(x), float(y), 2) if np.isfinite(x) else (0.0, 0.0, 0) for x, y in joints)
        (found,) = detect(recogniser, picture, [Person(labels, (30.0, 20.0, 240.0, 270.0))], WELL, "none")
        apart = np.hypot(*(np.array(found.keypoints)[:12, :2] - joints[:12]).T)
        torso = np.hypot(*(joints[JOINTS.index("left_shoulder")] - joints[JOINTS.index("right_hip")]))
        assert np.mean(apart < 0.2 * torso) >= 11 / 12
        assert found.keypoints[0][0] > found.keypoints[1][0]


def test_same_padding_is_tensorflows():
    """Stride 2 over 4 px: TensorFlow's windows start at 0 and 2, and the last sees one column of nothing."""
    convolution = SameConv2d(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(convolution.weight)
    row = torch.tensor([1.0, 2, 4, 8]).expand(1, 1, 4, 4)
    assert convolution(row)[0, 0].tolist() == [[21, 36], [14, 24]]
    assert convolution(torch.ones(1, 1, 5, 5))[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_the_decoding_reads_the_person_in_the_middle():
    heads = Heads(
        torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 2, 8, 8), torch.zeros(1, 2, 2, 8, 8)
    )
    heads.centre[0, 0, 4, 3], heads.centre[0, 0, 0, 0] = 0.6, 0.9  # the surer one is far from the middle
    heads.regression[0, 0, :, 4, 3] = torch.tensor([-2.0, 1.0])  # joint 0 of the nearer: (1, 5)
    heads.heatmaps[0, 0, 5, 1], heads.heatmaps[0, 0, 0, 7] = 0.5, 0.9
    heads.offsets[0, 0, :, 5, 1] = torch.tensor([0.25, -0.5])
    heads.heatmaps[0, 1, 4, 3] = 1.0
    places, scores = decode(heads)
    assert places.tolist() == [[[1.25, 4.5], [3.0, 4.0]]]
    assert scores.tolist() == [[0.5, 1.0]]
    turned, _ = decode(pick(heads, (1, 0)))
    assert torch.equal(turned, places.flip(1))


@sizes
def test_a_mirrored_picture_says_the_same_of_the_other_side(networks, size):
    network = networks[size]
    crops = pictures(network.side, range(2))
    with torch.no_grad():
        places, scores = decode(network(crops))
        others, _ = decode(mirrored(network(crops.flip(-1)), PAIRS))
    apart = (places - others)[scores > 0.3].norm(dim=-1)
    assert apart.median() < 0.5  # cells; a wrong convention would be a whole cell off
    turned = mirrored(network(crops), PAIRS)
    for there, back in zip(network(crops), mirrored(turned, PAIRS), strict=True):
        assert torch.allclose(there, back, atol=1e-6)


@sizes
def test_gradients_to_the_input_are_those_of_finite_differences(networks, size):
    network = load_movenet(shipped_weights(size)).double()
    crops = (0.8 * pictures(64, [1]).double() + 0.1).requires_grad_()

    def total(image):
        return sum((head * head).sum() for head in network(image))

    (gradient,) = torch.autograd.grad(total(crops), crops)
    stream = np.random.default_rng(0)
    for channel, y, x in zip(*(stream.integers(0, top, 6) for top in (3, 64, 64)), strict=True):
        step = torch.zeros_like(crops)
        step[0, channel, y, x] = 1e-6
        with torch.no_grad():
            slope = (total(crops + step) - total(crops - step)) / 2e-6
        assert slope.item() == pytest.approx(gradient[0, channel, y, x].item(), rel=1e-4, abs=1e-6)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@sizes
def test_any_batch_gives_what_each_picture_gives_alone_and_any_side_of_32(networks, size):
    network = networks[size]
    crops = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    together = network(crops)
    for number in range(3):
        for whole, part in zip(together, network(crops[number : number + 1]), strict=True):
            assert torch.allclose(whole[number], part[0], atol=1e-3)
    assert network(crops[:0]).heatmaps.shape == (0, 17, 16, 24)
    with pytest.raises(ValueError, match="sides must be multiples of 32"):
        network(torch.rand(1, 3, 100, 64))


def test_what_is_beyond_black_and_white_is_cut(networks):
    crops = pictures(192, [0])
    beyond = torch.where(crops > 0.7, 3.0, torch.where(crops < 0.3, -1.0, crops))
    with torch.no_grad():
        for a, b in zip(networks["lightning"](beyond), networks["lightning"](beyond.clamp(0, 1)), strict=True):
            assert torch.equal(a, b)


def test_as_a_recogniser_it_knows_twelve_joints_and_the_flip_test_keeps_sides():
    recogniser = load_recogniser("movenet-lightning")
    assert recogniser.input_size == (192, 192) and recogniser.normalisation == {LOW: "mean-0.4", WELL: "none"}
    affine = recogniser.crop_affine((10.0, 20.0, 80.0, 160.0))  # a square of 200 px round (50, 100)
    assert affine[0, 0] == pytest.approx(192 / 200)
    assert affine @ (50 - 0.5, 100 - 0.5, 1) == pytest.approx([95.5, 95.5])
    crops = pictures(192, range(2))
    joints, scores = recogniser.decode(heatmaps(recogniser, crops, WELL, "none"))
    assert torch.equal(joints.isnan().any(dim=2), ~recogniser.known.expand(2, 14))
    assert (scores[:, 12:] == 0).all() and (scores[:, :12] > 0.2).all()
    flipped, _ = recogniser.decode(heatmaps(recogniser, crops, WELL, "right"))
    assert (flipped - joints)[:, :12].norm(dim=-1).median() < 2
    mirror, _ = recogniser.decode(heatmaps(recogniser, crops.flip(-1), WELL, "right"))
    apart = (191 - mirror[:, list(FLIP), 0] - flipped[..., 0])[:, :12].abs()
    assert apart.median() < 1e-2 and apart.max() < STRIDE  # the decoding's own distances break ties towards one side
    with pytest.raises(ValueError, match="does not know"):
        heatmaps(recogniser, crops, WELL, "released")


def test_a_loss_through_it_reaches_the_picture_and_leaves_head_and_neck_out():
    recogniser = load_recogniser("movenet-lightning")
    crops = pictures(192, [0]).requires_grad_()
    joints = torch.from_numpy(np.nan_to_num(figure(192, 0)[1])).float()[None]
    labels = torch.cat([joints, torch.full((1, 14, 1), 2.0)], dim=2)
    moved = labels.clone()
    moved[:, 12:, :2] += 20
    for kind in ("heatmaps", "spatial-cross-entropy"):
        loss = pose_loss(recogniser, crops, labels, kind)
        assert torch.equal(loss, pose_loss(recogniser, crops, moved, kind))
        (gradient,) = torch.autograd.grad(loss, crops)
        assert gradient.abs().max() > 0 and gradient.isfinite().all()
    assert (recogniser(crops)[:, 12:] == 0).all()


def test_settings_of_an_isp_before_it_are_chosen_by_the_joints_it_knows():
    recogniser, pipeline = load_recogniser("movenet-lightning"), Pipeline()
    picture, joints = figure(150, 1)
    labels = tuple((*joint, 2) for joint in np.nan_to_num(joints).tolist())
    dark = (picture // 12).astype(np.uint8)
    sample = PairSample("dark", dark, picture, (Person(labels, (15.0, 10.0, 120.0, 135.0)),), "LL-N")
    base = pipeline.base(light_of(sample, "picture", torch.device("cpu"))[None])
    values = around(pipeline, base, {"exposure.gain": (0.1, 1.0)})
    tried = Search(recogniser, pipeline, sample, "picture", "right").trial(values)
    assert np.isnan(tried.keypoints[:, :, 12:, :2]).all() and np.isfinite(tried.keypoints[:, :, :12]).all()
    gains = tried.mean_oks()
    assert gains[0] > 0.6 and gains[0] > gains[1]
    assert tried.selected().tolist() == [0]


@sizes
def test_an_isp_that_learns_before_it_leaves_every_bit_of_it(size):
    recogniser, pipeline = load_recogniser(f"movenet-{size}"), Pipeline()
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    isp = LearnedIsp(Predictor(pipeline, torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), pipeline)
    learner = IspLearner(isp, recogniser).train()
    picture, joints = figure(150, 1)
    labels = torch.from_numpy(np.nan_to_num(joints)).float()[None] * recogniser.input_size[0] / 150
    affine = recogniser.crop_affine((15.0, 10.0, 120.0, 120.0))
    light = torch.from_numpy(picture).permute(2, 0, 1).float() / 255 / 12
    batch = LowLightBatch((light,), ((affine,),), torch.cat([labels, torch.full((1, 14, 1), 2.0)], dim=2), (0, 0, 0))
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        learner.losses(batch)["pose"].backward()
        optimiser.step()
    assert learner.loss == "spatial-cross-entropy" and isp.predictor.head.weight.grad.abs().sum() > 0
    assert all(torch.equal(before[name], value) for name, value in recogniser.state_dict().items())


def test_it_stays_frozen_and_is_known_by_its_weights():
    recogniser = load_recogniser("movenet-lightning").train()
    assert not any(module.training for module in recogniser.modules())
    assert not any(parameter.requires_grad for parameter in recogniser.parameters())
    assert len({identity("movenet-thunder"), identity("movenet-lightning"), identity(), "movenet-thunder"}) == 4


def test_files_of_something_else_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_movenet(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match="names None as MoveNet's size"):
        load_movenet(Path(shipped_weights("thunder")).parent.parent / "pose" / "low_light.safetensors")


def test_the_networks_are_as_large_as_published():
    for size, parameters in (("thunder", 6_226_046), ("lightning", 2_317_974)):
        assert sum(p.numel() for p in MoveNet(size).parameters()) == parameters


@sizes
def test_its_face_is_there_beside_the_limbs_and_above_the_shoulders(size):
    recogniser = load_recogniser(f"movenet-{size}")
    with torch.no_grad():
        seen = recogniser.seen(pictures(recogniser.input_size[0], range(2)), WELL, COCO_JOINTS)
        places, scores = recogniser.decode(seen, COCO_JOINTS)
        limbs, _ = recogniser.decode(recogniser.seen(pictures(recogniser.input_size[0], range(2)), WELL))
    assert places.shape == (2, 17, 2) and torch.equal(places[:, 5:], limbs[:, :12])
    assert (places[:, :5, 1] < places[:, 5:7, 1].amin(dim=1, keepdim=True)).all()
    assert (scores > 0).all()


def test_other_decodings_read_a_map_as_they_say():
    maps = torch.zeros(1, 1, 4, 6)
    maps[0, 0, 2, 3], maps[0, 0, 2, 4] = 2.0, 1.0
    assert [part.tolist() for part in highest_pixel(maps)] == [[[[3.0, 2.0]]], [[2.0]]]
    sure = torch.full((1, 1, 4, 6), -50.0)
    sure[0, 0, 1, 2], sure[0, 0, 1, 4] = 10.0, 10.0  # half here, half there
    places, scores = expectation(sure)
    assert places[0, 0].tolist() == pytest.approx([3.0, 1.0]) and scores.item() == pytest.approx(0.5)
