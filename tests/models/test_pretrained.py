"""A public network with its batch norms put back: at the start it is the published one; its loss knows the truth."""

import math

import pytest
import torch

from isp_sim.scenes import JOINTS
from models.data.normalisation import LOW, WELL
from models.pose.backbone import LightingNorm
from models.pose.variants import VARIANTS, PoseLearner
from models.recognisers.loading import of_ours
from models.recognisers.movenet import Heads, SameConv2d, load_movenet, shipped_weights
from models.recognisers.pretrained import CHANNELS, HeadsOutput, PretrainedPose, unfolded
from models.recognisers.weights import load_network, save_network


def crops(people, seed=0):
    return torch.rand(people, 3, 192, 192, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def published():
    return load_movenet(shipped_weights("lightning"))


@pytest.mark.parametrize("lsbn", [False, True])
def test_with_its_norms_put_back_it_says_what_the_published_network_says(published, lsbn):
    before = torch.random.get_rng_state()
    network = unfolded(published, lsbn, [crops(4), crops(3, 1)]).eval()
    assert torch.equal(before, torch.random.get_rng_state())
    new = crops(2, 2)  # not what the statistics were measured on
    with torch.no_grad():
        for lighting in (LOW, WELL):
            for theirs, ours in zip(published(new), network(new, lighting).logits.probabilities(), strict=True):
                assert torch.allclose(theirs, ours, atol=1e-3)


def test_measured_statistics_are_those_of_a_training_batch(published):
    """Normalised by the batch itself, the very crops that were measured give the same again."""
    network = unfolded(published, False, [crops(6)])
    with torch.no_grad():
        trained = network.train()(crops(6), WELL).heatmaps.sigmoid()
        used = network.eval()(crops(6), WELL).heatmaps.sigmoid()
    # torch's running variance has n/(n − 1) where the batch's has 1: 36 cells of 6 crops at the coarsest
    assert (trained - used).abs().mean() < 2e-3


def test_nothing_to_measure_on_is_told(published):
    with pytest.raises(ValueError, match="no crops of people"):
        unfolded(published, True, [])


def test_lightings_learn_norms_of_their_own_and_share_the_convolutions(published):
    network = unfolded(published, True, [crops(2)]).train()
    before = {n: p.clone() for n, p in network.named_buffers() if "running_mean" in n}
    network(crops(2), LOW)
    after = dict(network.named_buffers())
    changed = {name.split("norms.")[1][0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {str(LOW)}
    assert sum(isinstance(module, LightingNorm) for module in network.modules()) == 52  # MobileNetV2's convolutions


def perfect(joints, cells=48):
    """Logits that are certain of the joints, `(batch, joints, 3)` in crop px."""
    batch = len(joints)
    heat = torch.full((batch, 17, cells, cells), -50.0)
    regression, offsets = (torch.zeros(batch, 17, 2, cells, cells) for _ in range(2))
    centre = torch.full((batch, 1, cells, cells), -50.0)
    centre[:, :, cells // 2, cells // 2] = 50
    for person in range(batch):
        for joint, channel in enumerate(CHANNELS):
            if channel is None:
                continue
            place = (joints[person, joint, :2] + 0.5) / 4
            x, y = place.floor().long().tolist()
            heat[person, channel, y, x] = 50
            offsets[person, channel, :, y, x] = place - place.floor()
            regression[person, channel, :, cells // 2, cells // 2] = place - cells // 2
    return HeadsOutput(Heads(heat, centre, regression, offsets), ())


def test_the_loss_is_nothing_at_the_truth_and_the_truth_is_decoded():
    joints = torch.cat([crops(2)[:, 0, : len(JOINTS), :2] * 190, torch.full((2, len(JOINTS), 1), 2.0)], dim=2)
    network = PretrainedPose("lightning")
    output = perfect(joints)
    assert network.loss(output, joints) < 1e-6
    places, scores = of_ours(network).decode(Heads(*_ordered(output.logits.probabilities())))
    known = [n for n, channel in enumerate(CHANNELS) if channel is not None]
    assert torch.allclose(places[:, known], joints[:, known, :2], atol=1e-4) and (scores[:, known] > 0.99).all()


def _ordered(heads):
    chosen = [channel or 0 for channel in CHANNELS]
    return heads.heatmaps[:, chosen], heads.centre, heads.regression[:, chosen], heads.offsets[:, chosen]


def test_the_loss_of_one_who_knows_nothing_is_that_of_a_guess():
    """Flat logits: `ln 2304` for a joint's cell, a tenth of it for the centre; nothing beside."""
    joints = torch.full((1, len(JOINTS), 3), 2.0)
    joints[..., :2] = 4 * 24 - 0.5  # the middle cell's corner: no offset, no regression
    flat = HeadsOutput(Heads(*(torch.zeros(1, *shape, 48, 48) for shape in ((17,), (1,), (17, 2), (17, 2)))), ())
    assert math.isclose(float(PretrainedPose("lightning").loss(flat, joints)), 1.1 * math.log(48 * 48), rel_tol=1e-5)


def test_joints_without_labels_do_not_count():
    joints = torch.full((1, len(JOINTS), 3), 50.0)
    joints[..., 2] = 0
    output = perfect(torch.full((1, len(JOINTS), 3), 100.0))
    assert PretrainedPose("lightning").loss(output, joints) < 1e-6


@pytest.mark.parametrize("name", ["lsbn+lupi", "baseline-all", "dann", "advent"])
def test_variants_train_it(published, name):
    network = unfolded(published, VARIANTS[name].lsbn, [crops(2)])
    learner = PoseLearner(name, network, 0).train()
    joints = torch.full((2, len(JOINTS), 3), 90.0)
    from models.pose.batches import CropPairs

    terms = learner.losses(CropPairs(crops(2), crops(2, 1), joints))
    torch.stack(list(terms.values())).sum().backward()
    assert all(term.isfinite() for term in terms.values())
    assert network.movenet.stem[0].weight.grad.abs().sum() > 0


def test_a_variant_refuses_a_network_with_other_norms():
    with pytest.raises(ValueError, match="a network with LSBN False, expected True"):
        PoseLearner("lsbn", PretrainedPose("lightning"), 0)


def test_it_comes_back_from_its_file_as_a_recogniser(published, tmp_path):
    network = unfolded(published, True, [crops(2)])
    save_network(network, tmp_path / "w.safetensors", {})
    back = of_ours(load_network(tmp_path / "w.safetensors"))
    assert torch.equal(back(crops(1), WELL), of_ours(network)(crops(1), WELL))
    assert not back.known[[JOINTS.index("head"), JOINTS.index("neck")]].any() and back.known.sum() == 12


def test_a_strided_depthwise_convolution_is_every_other_place_of_a_dense_one():
    for side in (12, 13):
        layer = SameConv2d(4, 4, 3, 2, groups=4)
        picture = torch.rand(1, 4, side, side + 1)
        assert torch.equal(layer(picture), layer._every_other(picture))
