"""MultiPose: the published graph's own answers, boxes of drawn crowds; the detector over a picture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.data.normalisation import WELL
from models.recognisers.movenet import STRIDE, Heads
from models.recognisers.multipose import (
    MULTIPOSE,
    Boxes,
    CrowdHeads,
    MultiPose,
    joints_in,
    load_multipose,
    peaks,
    people_scores,
)
from models.recognisers.person_detector import load_detector, resized
from tests.models.drawn_figure import figure

REFERENCE = np.load(Path(__file__).parent.parent / "movenet_reference.npz")
"""What TensorFlow.js says of crowds 0 to 3; benchmarks/movenet_parity.py made it."""
SIDE = 160


@pytest.fixture(scope="module")
def network():
    return load_multipose()


def crowd(number):
    """Two drawn figures side by side, uint8 `(160, 320, 3)`: pictures of benchmarks/movenet_parity.py."""
    return np.hstack([figure(SIDE, 2 * number + place)[0] for place in range(2)])


def batch(pictures):
    return torch.stack([torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]).float() / 255


def test_heatmaps_joints_and_boxes_are_those_of_the_published_graph(network):
    with torch.no_grad():
        heads = network(batch([crowd(n) for n in range(4)]))
        boxes = peaks(heads)
        places, scores = joints_in(heads, boxes)
        people = people_scores(boxes, scores)
    maps = torch.cat([heads.pose.centre, heads.pose.heatmaps], dim=1)[..., ::4, ::4]
    assert np.abs(maps.numpy() - REFERENCE["multipose_maps"]).max() < 1e-3
    expected = REFERENCE["multipose_people"]
    seen = expected[..., -1] > 0.1
    assert seen.sum() == 8
    joints = expected[..., :51].reshape(4, 6, 17, 3)
    apart = places.numpy() * STRIDE - joints[..., :2] * (2 * SIDE, SIDE)
    assert np.hypot(*apart[seen].reshape(-1, 2).T).max() < 0.1
    edges = boxes.corners.numpy() * STRIDE - expected[..., 51:55] * (2 * SIDE, SIDE, 2 * SIDE, SIDE)
    assert np.abs(edges[seen]).max() < 0.5
    assert np.abs(scores.numpy() - joints[..., 2])[seen].max() < 1e-3
    assert np.abs(people.numpy() - expected[..., 55])[seen].max() < 1e-3


def empty(height=8, width=12):
    zeros = [torch.zeros(1, *shape, height, width) for shape in ((2,), (1,), (2, 2), (2, 2), (2,), (2,))]
    return CrowdHeads(Heads(*zeros[:4]), *zeros[4:])


def test_a_peak_is_the_highest_of_5_by_5_and_its_box_is_cut_to_the_picture():
    heads = empty()
    for (y, x), score in {(3, 2): 0.9, (3, 4): 0.8, (3, 5): 0.7, (7, 11): 0.6}.items():
        heads.pose.centre[0, 0, y, x] = score
    heads.box_sizes[0, :, 3, 2] = torch.tensor([2.0, 4.0])
    heads.box_offsets[0, :, 3, 2] = torch.tensor([0.5, 0.25])
    heads.box_sizes[0, :, 7, 11] = torch.tensor([6.0, -1.0])
    boxes = peaks(heads, people=3)
    assert boxes.scores[0].tolist() == pytest.approx([0.9, 0.6, 0.0])  # the other two stand beside a higher one
    assert boxes.cells[0, :2].tolist() == [3 * 12 + 2, 7 * 12 + 11]
    assert boxes.corners[0, :2].tolist() == [[1.5, 1.25, 3.5, 5.25], [8.0, 7.0, 12.0, 7.0]]


def test_joints_stay_in_their_persons_box_and_near_the_guess():
    heads = empty()
    heads.pose.heatmaps[0, 0, 2, 3], heads.pose.heatmaps[0, 0, 2, 9] = 0.5, 0.9  # the surer one is outside
    heads.pose.offsets[0, 0, :, 2, 3] = torch.tensor([0.25, -0.5])
    heads.pose.regression[0, 0, :, 3, 3] = torch.tensor([0.0, -1.0])
    boxes = Boxes(torch.tensor([[[1.0, 1, 6, 6]]]), torch.tensor([[0.8]]), torch.tensor([[3 * 12 + 3]]))
    places, scores = joints_in(heads, boxes)
    assert places[0, 0, 0].tolist() == [3.25, 1.5] and scores[0, 0, 0].item() == 0.5
    assert people_scores(boxes, scores).item() == pytest.approx(0.8 * 0.5)


@pytest.mark.parametrize("side", [320, 480])
def test_the_detector_finds_both_drawn_people_where_they_are(side):
    detector = load_detector(side=side)
    for number in range(2):
        found = [box for box in detector.find(crowd(number), WELL) if box.score > 0.3]
        assert len(found) == 2
        for box in found:
            left, top, width, height = box.bbox
            place = int(left + width / 2 >= SIDE)
            joints = figure(SIDE, 2 * number + place)[1][:12] + np.array([SIDE * place, 0])
            inside = (joints > (left - 4, top - 4)) & (joints < (left + width + 4, top + height + 4))
            assert inside.all()
            assert height < 1.25 * np.ptp(joints[:, 1]) + 0.3 * SIDE


def test_a_picture_of_any_size_is_resized_to_the_side_and_filled_up_with_black():
    seen = resized(torch.ones(1, 3, 30, 48), 96)
    assert seen.shape == (1, 3, 64, 96) and (seen[:, :, 60:] == 0).all() and (seen[:, :, :60] == 1).all()
    assert resized(torch.full((1, 3, 300, 192), 2.0), 150).max() == 1  # cut at white
    checks = torch.arange(64).remainder(2).expand(1, 3, 64, 64).float()
    assert resized(checks, 16)[..., :16, :16].sub(0.5).abs().max() < 0.1  # every pixel counts


def test_it_stays_frozen_and_gradients_reach_the_picture():
    detector = load_detector(side=96).train()
    assert not any(module.training for module in detector.modules())
    assert not any(parameter.requires_grad for parameter in detector.parameters())
    picture = torch.rand(1, 3, 60, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(detector(picture).pose.centre.sum(), picture)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_bad_names_get_a_sentence_and_the_file_is_as_large_as_published():
    with pytest.raises(ValueError, match="detector nobody: expected movenet-multipose or weights"):
        load_detector("nobody")
    with pytest.raises(ValueError, match="not a MultiPose network by its metadata"):
        load_detector(MULTIPOSE.parent / "movenet-thunder.safetensors")
    assert MULTIPOSE.stat().st_size < 10 * 2**20
    assert sum(p.numel() for p in MultiPose().parameters()) == 4_723_346
