"""The detector's training: targets and losses by hand, windows that agree with their boxes, a training that resumes."""

import math

import cv2
import numpy as np
import pytest
import torch

from isp_sim.scenes import JOINTS, Person
from models import train_detector
from models.data.samples import PairSample
from models.detector.batches import WindowPairs, boxes_in_window
from models.detector.learner import DetectorLearner, balanced
from models.detector.losses import SPREAD, detection_losses, targets
from models.engine.training import load_recipe
from models.recognisers.movenet import Heads
from models.recognisers.multipose import CrowdHeads, load_multipose, peaks
from models.recognisers.person_detector import load_detector
from models.runs.detector_training import DetectorRecipe, save
from models.train_detector import KNOWN

PLAIN = {0: "none", 1: "none"}


def shot(boxes, height=300, width=480, labelled=True):
    """A pair whose both pictures are black but for white boxes."""
    picture = np.zeros((height, width, 3), np.uint8)
    people = []
    for x, y, w, h in boxes:
        picture[y : y + h, x : x + w] = 255
        people.append(Person(tuple((x, y, 2 * labelled) for _ in JOINTS), (float(x), float(y), float(w), float(h))))
    name = "imgs_0101_sim_vid000000_exp100_bright_000000__gain_4.30_exposure_4000.png"
    return PairSample(name, picture, picture // 2, tuple(people), "LL-N")


class Shots:
    def __init__(self, *groups):
        self.groups = groups

    def __len__(self):
        return len(self.groups)

    def names(self, index):
        return [one.name for one in self.groups[index]]

    def group(self, index):
        return list(self.groups[index])


def test_a_target_peaks_at_the_cell_of_the_middle_and_falls_as_a_gaussian_of_the_box():
    wanted = targets(torch.tensor([[1.0, 10, 4, 30, 34, 0]]), 40, 48, 2)
    assert wanted.centre[0].max() == 0
    assert wanted.centre[1, 0, 19, 20] == 1 and (wanted.centre == 1).sum() == 1
    assert wanted.centre[1, 0, 19, 23].item() == pytest.approx(math.exp(-0.5 * (3 / (SPREAD * 20)) ** 2))
    assert wanted.centre[1, 0, 16, 20].item() == pytest.approx(math.exp(-0.5 * (3 / (SPREAD * 30)) ** 2))
    assert wanted.people.tolist() == [[1, 19, 20]] and (wanted.counted == 1).all()
    assert wanted.sizes.tolist() == [[20, 30]] and wanted.offsets.tolist() == [[0, 0]]


def test_who_need_not_be_found_is_neither_right_nor_wrong():
    wanted = targets(torch.tensor([[0.0, 2, 2, 6, 6, 1], [0, 8, 8, 10, 11, 0]]), 12, 12, 1)
    assert wanted.people.tolist() == [[0, 9, 9]]
    assert wanted.counted[0, 0, 2:6, 2:6].sum() == 0 and wanted.counted[0, 0, 7:].min() == 1
    assert wanted.offsets.tolist() == [[0.0, 0.5]]


def heads_of(centre, sizes=0.0, offsets=0.0):
    batch, _, height, width = centre.shape
    points = torch.zeros(batch, 1, 2, height, width)
    return CrowdHeads(
        Heads(torch.zeros(batch, 1, height, width), centre, points, points),
        torch.full((batch, 2, height, width), sizes),
        torch.full((batch, 2, height, width), offsets),
    )


def test_losses_are_those_of_the_paper_by_hand():
    wanted = targets(torch.tensor([[0.0, 2, 2, 4, 4, 0]]), 6, 6, 1)
    losses = detection_losses(heads_of(torch.full((1, 1, 6, 6), 0.5), sizes=5.0, offsets=0.25), wanted)
    away = (1 - wanted.centre[wanted.centre < 1]) ** 4
    assert losses["centre"].item() == pytest.approx(0.25 * math.log(2) * (1 + away.sum().item()), rel=1e-5)
    assert losses["size"].item() == pytest.approx(0.1 * (3 + 3))
    assert losses["offset"].item() == pytest.approx(0.25 + 0.25)


def test_heads_as_the_targets_say_give_the_boxes_back():
    boxes = torch.tensor([[0.0, 2.5, 2, 8.5, 12, 0], [0, 20, 5, 26, 19, 0]])
    wanted = targets(boxes, 24, 32, 1)
    heads = heads_of(wanted.centre.clone())
    for (_, y, x), size, offset in zip(wanted.people.tolist(), wanted.sizes, wanted.offsets, strict=True):
        heads.box_sizes[0, :, y, x], heads.box_offsets[0, :, y, x] = size, offset
    found = peaks(heads, 2)
    assert sorted(found.corners[0].tolist()) == sorted(boxes[:, 1:5].tolist())
    losses = detection_losses(heads, wanted)
    assert losses["size"] == losses["offset"] == 0


def test_a_windows_boxes_lie_on_what_it_shows():
    pairs = Shots(*[[shot([(60 + 10 * n, 40, 40, 90), (300, 100, 80, 150)])] for n in range(6)])
    windows = WindowPairs(pairs, 3, (224, 256), 480, PLAIN, 0, torch.device("cpu"))
    batches = [batch for epoch in range(2) for _, batch in windows(epoch)]
    assert len(batches) == 4 and batches[0].pictures.shape == (6, 3, 224, 256)
    seen = 0
    for batch in batches:
        for number, picture in enumerate(batch.pictures):
            drawn = np.zeros(picture.shape[1:], np.float32)
            for left, top, right, bottom in 4 * batch.boxes[batch.boxes[:, 0] == number][:, 1:5].numpy():
                corners = np.round([left, top, right, bottom]).astype(int)
                drawn[corners[1] : corners[3], corners[0] : corners[2]] = 1
                seen += 1
            wrong = np.abs((picture[1].numpy() > (0.25 if number % 2 else 0.5)) - drawn)
            assert cv2.erode(wrong.astype(np.float32), np.ones((3, 3))).max() == 0  # but for a rim of a pixel
    assert seen > 20
    again = WindowPairs(pairs, 3, (224, 256), 480, PLAIN, 0, torch.device("cpu"))
    assert torch.equal(next(iter(again(1)))[1].pictures, batches[2].pictures)
    assert not torch.equal(batches[0].pictures, batches[2].pictures)


def test_somebody_half_outside_or_unlabelled_or_tiny_is_not_asked_for():
    affine = np.array([[1.0, 0, -100], [0, 1, 0]])
    boxes = [(60, 0, 60, 100), (96, 0, 60, 100), (150, 0, 4, 40), (0, 0, 50, 50), (200, 0, 80, 100)]
    found = boxes_in_window(shot(boxes).people, affine, (128, 128))
    assert found[:, 4].tolist() == [1, 0, 1, 1]
    assert found[1, :4].tolist() == [0, 0, 14, 25]
    assert boxes_in_window(shot(boxes, labelled=False).people, affine, (128, 128))[:, 4].tolist() == [1, 1, 1, 1]


def pairs_folder(tmp_path):
    from isp_sim import generate

    folder = tmp_path / "pairs"
    arguments = ["--rig", "exlpose-small", "--scene-count", "1", "--shots-per-scene", "1", "--seed", "5"]
    assert generate.main([*arguments, "--workers", "1", "--out", str(folder)]) == 0
    return folder


RECIPE = """
pairs_a_batch: 1
window: [288, 480]
training: {epochs: 2, learning_rate: 1.0e-3, weight_decay: 0.0, decay: cosine, bf16: false}
"""


def test_a_training_writes_weights_that_detect_and_goes_on_only_if_told(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    folder = pairs_folder(tmp_path)
    common = ["--recipe", str(recipe), "--data", str(folder), "--device", "cpu"]
    assert train_detector.main([*common, "--out", str(tmp_path / "whole")]) == 0
    assert "next: isp-sim evaluate --boxes detected --detector" in capsys.readouterr().out
    made = load_detector(tmp_path / "whole" / "weights.safetensors").network.state_dict()
    published = {name: value.half().float() for name, value in balanced(load_multipose()).state_dict().items()}
    changed = {name.split(".")[0] for name in made if not torch.equal(made[name], published[name])}
    assert {"stem", "centre", "box_sizes", "box_offsets"} <= changed
    assert not changed & {"heatmaps", "regression", "offsets"}
    assert train_detector.main([*common, "--out", str(tmp_path / "whole")]) == 1
    assert "add --resume" in capsys.readouterr().err
    assert train_detector.main([*common, "--out", str(tmp_path / "whole"), "--resume"]) == 0
    again = load_detector(tmp_path / "whole" / "weights.safetensors").network.state_dict()
    assert all(torch.equal(made[name], again[name]) for name in made)


def test_bad_arguments_get_one_sentence(tmp_path, capsys):
    out = tmp_path / "out"
    for more, told in (
        (["--start-from", "nobody"], "detector nobody: expected movenet-multipose"),
        (["--data", "nowhere"], "nowhere: holds no Annotations"),
        (["--recipe", "nowhere"], "--recipe nowhere: no such file"),
        (["--epochs", "0"], "--epochs 0: expected a whole number from 1"),
    ):
        assert train_detector.main(["--device", "cpu", "--out", str(out), *more]) == 1
        said = capsys.readouterr().err
        assert told in said and "Traceback" not in said
        assert not out.exists()


def test_recipes_that_come_along_are_read_and_weights_keep_what_they_are(tmp_path):
    for name in KNOWN:
        assert load_recipe(DetectorRecipe, name, KNOWN).training.epochs > 0
    network = load_multipose()
    save(network, tmp_path / "same.safetensors", {"data": "nothing"})
    again = load_detector(tmp_path / "same.safetensors").network
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_a_balanced_network_says_the_same_and_learns_from_one_batch():
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    published, learner = load_multipose(), DetectorLearner(load_multipose())
    with torch.no_grad():
        before, after = published(picture), learner.network(picture)
    for a, b in zip((*before.pose, *before[1:]), (*after.pose, *after[1:]), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)
    assert balanced(learner.network) is learner.network  # once is enough
    again = learner.network(picture)
    assert torch.equal(again.box_sizes, after.box_sizes)
    windows = WindowPairs(Shots([shot([(60, 40, 40, 90)])]), 1, (128, 128), 480, PLAIN, 0, torch.device("cpu"))
    ((_, batch),) = list(windows(0))
    optimiser = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=5e-5)
    losses = []
    for _ in range(5):
        loss = sum(learner.losses(batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
