"""The pose network: counts, lighting, heatmaps, losses."""

import pytest
import torch

from models.data.normalisation import LOW, WELL
from models.pose import losses
from models.pose.backbone import LightingNorm, ResNet
from models.pose.heatmaps import SIGMAS, decode, encode
from models.pose.losses import PoseOutput
from models.pose.network import Cpn


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def small():
    torch.set_num_threads(1)
    return Cpn("small", lsbn=True)


def picture(batch=2, seed=0):
    return torch.rand(batch, 3, 192, 144, generator=torch.Generator().manual_seed(seed))


def test_the_papers_network_has_the_papers_parameters():
    network = Cpn("resnet50")
    parts = [count(part) for part in (network.backbone, network.pyramid, network.refine)]
    assert parts == [23_508_032, 1_576_560, 2_287_644]
    assert count(network) == 27_372_236
    assert count(Cpn("resnet50", lsbn=True)) - count(network) == 53_120  # a second pair for each norm channel


def test_heatmaps_are_a_quarter_of_the_input(small):
    output = small(picture())
    assert output.heatmaps.shape == (2, 14, 48, 36)
    assert [tuple(h.shape) for h in output.global_heatmaps] == [(2, 14, 48, 36)] * 4
    assert len(output.features) == 5


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="pose network size 'huge': expected one of resnet50, small, tiny"):
        Cpn("huge")


def statistics(network, lighting):
    return [norm.norms[lighting].running_mean.clone() for norm in network.modules() if isinstance(norm, LightingNorm)]


@pytest.mark.parametrize("lighting", [LOW, WELL])
def test_one_lighting_never_touches_the_others_statistics(lighting):
    network = ResNet((1, 1, 1, 1), False, 8, lsbn=True).train()
    before = statistics(network, LOW), statistics(network, WELL)
    network(torch.rand(2, 3, 64, 64), lighting)
    after = statistics(network, LOW), statistics(network, WELL)
    moved = [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in zip(before, after, strict=True)]
    assert moved == [lighting == LOW, lighting == WELL]


def test_gradients_of_one_lighting_reach_its_norms_alone():
    network = ResNet((1, 1, 1, 1), False, 8, lsbn=True).train()
    network(torch.rand(2, 3, 64, 64), WELL)[-1].square().mean().backward()
    for norm in network.lighting_norms():
        assert norm.norms[LOW].weight.grad is None
        assert norm.norms[WELL].weight.grad.abs().sum() > 0


def test_lupi_teaches_the_student_alone():
    student = [torch.rand(2, 4, 5, 5, requires_grad=True)]
    teacher = [torch.rand(2, 4, 5, 5, requires_grad=True)]
    for loss in (losses.lupi_loss, losses.feature_loss):
        loss(student, teacher).backward()
        assert student[0].grad.abs().sum() > 0
        assert teacher[0].grad is None


@pytest.mark.parametrize("channels", [4, 40])  # fewer and more than the pixels
def test_lupi_is_its_formula(channels):
    stream = torch.Generator().manual_seed(0)
    low, well = (torch.rand(3, channels, 5, 6, generator=stream, dtype=torch.float64) for _ in range(2))
    due = 0.0
    for a, b in zip(low, well, strict=True):
        ga, gb = (x.reshape(channels, 30) @ x.reshape(channels, 30).T for x in (a, b))
        due += ((ga - gb) ** 2).sum().item() / (4 * channels**2 * 30**2) / 3
    assert losses.lupi_loss([low.float()], [well.float()]).item() == pytest.approx(due, rel=1e-5)
    assert losses.lupi_loss([low], [low]).item() == 0


@pytest.mark.parametrize("kernel", SIGMAS)
def test_a_joint_comes_back_from_its_heatmap_within_half_a_pixel(kernel):
    stream = torch.Generator().manual_seed(1)
    joints = torch.rand(200, 14, 2, generator=stream) * torch.tensor([47.0 - 4, 63.0 - 4]) + 2
    found, scores = decode(encode(joints, torch.ones(200, 14), 64, 48, kernel))
    assert (found - joints).abs().max() <= 0.5
    assert (found - joints).abs().mean() < 0.13  # a quarter-pixel shift leaves ⅛ px on average
    assert scores.min() > 0.85


def test_unlabelled_joints_have_empty_targets_and_no_loss(small):
    joints = torch.full((2, 14, 2), 10.0)
    visible = torch.ones(2, 14)
    visible[:, 5] = 0
    targets = [encode(joints, visible, 48, 36, k) for k in SIGMAS]
    assert targets[0][:, 5].abs().max() == 0
    maps = torch.stack([t.clone() for t in targets])
    maps[:, :, 5] = 9.0
    output = PoseOutput(maps[-1], tuple(maps), ())
    assert losses.heatmap_loss(output, targets, visible).item() == pytest.approx(0)


def test_only_the_eight_hardest_joints_of_the_refined_map_count():
    visible, target = torch.ones(1, 14), torch.zeros(1, 14, 4, 4)
    errors = torch.arange(14.0)
    refined = errors.sqrt().reshape(1, 14, 1, 1).expand(1, 14, 4, 4)
    output = PoseOutput(refined, (target,), ())
    assert losses.heatmap_loss(output, [target], visible).item() == pytest.approx(errors[6:].mean().item(), rel=1e-5)


def test_decode_stays_inside_at_the_rim():
    maps = torch.zeros(1, 4, 8, 6)
    for joint, (y, x) in enumerate(((0, 0), (7, 5), (0, 3), (4, 5))):
        maps[0, joint, y, x] = 1
    found, _ = decode(maps)
    assert found[0].tolist() == [[0, 0], [5, 7], [3, 0], [5, 4]]


def test_every_input_gives_finite_maps(small):
    small.eval()
    for value in (0.0, 1.0, 1e4):
        assert small(torch.full((1, 3, 192, 144), value), WELL).heatmaps.isfinite().all()
