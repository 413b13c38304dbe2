"""MoveNet: the published graph's own answers, its decoding, flips, joints it does not know."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_figure import figure

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models.data.crops import FLIP
from models.data.normalisation import LOW, WELL
from models.data.samples import PairSample
from models.isp.grid_search import around
from models.isp.learner import light_of
from models.isp.trials import Search
from models.recognisers.decoding import decode, expectation, highest_pixel, mirrored, pick
from models.recognisers.inference import heatmaps
from models.recognisers.loading import load_recogniser
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


def test_any_side_of_32_will_do(networks):
    assert networks["lightning"](torch.rand(1, 3, 64, 96)).heatmaps.shape == (1, 17, 16, 24)
    with pytest.raises(ValueError, match="sides must be multiples of 32"):
        networks["lightning"](torch.rand(1, 3, 100, 64))


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


def test_settings_of_an_isp_before_it_are_chosen_by_the_joints_it_knows():
    recogniser, pipeline = load_recogniser("movenet-lightning"), Pipeline()
    picture, joints = figure(150, 1)
    labels = tuple((*joint, 2) for joint in np.nan_to_num(joints).tolist())
    dark = (picture // 12).astype(np.uint8)
    sample = PairSample("dark", dark, picture, (Person(labels, (15.0, 10.0, 120.0, 135.0)),), "LL-N")
    base = pipeline.base(light_of(sample, "picture", torch.device("cpu")))
    values = around(pipeline, base, {"exposure.gain": (0.1, 1.0)})
    tried = Search(recogniser, pipeline, sample, "picture", "right").trial(values)
    assert np.isnan(tried.keypoints[:, :, 12:, :2]).all() and np.isfinite(tried.keypoints[:, :, :12]).all()
    gains = tried.mean_oks()
    assert gains[0] > 0.6 and gains[0] > gains[1]
    assert tried.selected().tolist() == [0]


def test_files_of_something_else_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_movenet(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match="names '' as MoveNet's size"):
        load_movenet(Path(shipped_weights("thunder")).parent.parent / "pose" / "low_light.safetensors")


def test_the_networks_are_as_large_as_published():
    for size, parameters in (("thunder", 6_226_046), ("lightning", 2_317_974)):
        assert sum(p.numel() for p in MoveNet(size).parameters()) == parameters


def test_other_decodings_read_a_map_as_they_say():
    maps = torch.zeros(1, 1, 4, 6)
    maps[0, 0, 2, 3], maps[0, 0, 2, 4] = 2.0, 1.0
    assert [part.tolist() for part in highest_pixel(maps)] == [[[[3.0, 2.0]]], [[2.0]]]
    sure = torch.full((1, 1, 4, 6), -50.0)
    sure[0, 0, 1, 2], sure[0, 0, 1, 4] = 10.0, 10.0  # half here, half there
    places, scores = expectation(sure)
    assert places[0, 0].tolist() == pytest.approx([3.0, 1.0]) and scores.item() == pytest.approx(0.5)
