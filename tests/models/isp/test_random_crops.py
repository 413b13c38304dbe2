"""Ono et al.'s evaluation with random crops: what is drawn depends on (draw, shot) alone; the score is the mean."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isp_sim import streams
from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models import train_isp
from models.data.samples import PairSample
from models.isp import random_crops
from models.isp.learned import LearnedIsp
from models.isp.predictor import Predictor
from models.isp.random_crops import random_crop_lines, random_crop_poses
from models.pose.network import Cpn
from models.recognisers.detection import Detection
from models.recognisers.loading import of_ours
from models.runs import isp_training
from models.scoring.average_precision import Protocol
from models.scoring.poses import Poses

SOMEONE = Person(tuple((60.0 + 9 * j, 80.0 + 30 * (j % 5), 2) for j in range(14)), (55.0, 70.0, 140.0, 150.0))


def speaking():
    """An ISP whose predictor says something of what it sees."""
    generator = torch.Generator().manual_seed(0)
    predictor = Predictor(Pipeline(), generator, "random", "whole")
    with torch.no_grad():
        predictor.head.weight.normal_(0, 1, generator=generator)
    return LearnedIsp(predictor, Pipeline()).eval()


def shot(number, people=(SOMEONE,)):
    """Dark, brighter to the right, so that crops differ; 288×320."""
    ramp = np.linspace(1, 12, 320) * np.ones((288, 320))
    low = np.random.default_rng(number).poisson(ramp[..., None] * (1.0, 0.7, 0.4)).astype(np.uint8)
    return PairSample(f"imgs_{number}_bright.png", low, low, people, "LL-N")


@pytest.fixture(scope="module")
def recogniser():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return of_ours(Cpn("tiny", lsbn=True))


@pytest.fixture
def developed(monkeypatch):
    """What the recogniser is shown, picture by picture."""
    seen = []

    def detect_in(recogniser, images, people, lighting, flip):
        seen.extend(images)
        return [Detection(person.keypoints, 1.0) for person in people]

    monkeypatch.setattr(random_crops, "detect_in", detect_in)
    return seen


def test_each_draw_develops_by_its_own_crop_of_each_shot(developed, recogniser):
    isp, shots = speaking(), [shot(0), shot(1)]
    found = random_crop_poses(isp, recogniser, shots, "picture", "none", 3)
    assert [list(poses.truth["LL-A"]) for poses in found] == [[one.name for one in shots]] * 3
    assert isp.predictor.crop == "whole"  # as it was
    isp.predictor.crop = "random"
    order = [(number, draw) for number in range(2) for draw in range(3)]
    for (number, draw), picture in zip(order, developed, strict=True):
        image = torch.from_numpy(shots[number].low_light / np.float32(255)).permute(2, 0, 1)[None]
        drawn = streams.torch_generator("cpu", streams.key_words(draw, number), "evaluation crop")
        with torch.inference_mode():
            due = isp(image, generator=drawn)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(picture, due)
    assert all(np.abs(developed[0] - other).max() > 1e-4 for other in developed[1:3])


def test_more_draws_and_the_global_generator_change_no_earlier_one(developed, recogniser):
    random_crop_poses(speaking(), recogniser, [shot(0)], "picture", "none", 2)
    torch.rand(3)
    random_crop_poses(speaking(), recogniser, [shot(0)], "picture", "none", 3)
    first, second = developed[:2], developed[2:4]
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_a_shot_without_labels_is_left_out_and_keeps_its_number(developed, recogniser):
    random_crop_poses(speaking(), recogniser, [shot(0), shot(1)], "picture", "none", 1)
    random_crop_poses(speaking(), recogniser, [shot(0, ()), shot(1)], "picture", "none", 1)
    both, alone = developed[:2], developed[2:]
    assert len(alone) == 1 and np.array_equal(alone[0], both[1])


def test_lines_have_the_mean_and_the_deviation_of_the_draws():
    """One person, of whose 14 joints all, then half, then half are found: PCK 100, 50, 50."""
    draws = []
    for right in (14, 7, 7):
        joints = tuple((x + (0 if j < right else 900), y, 1.0) for j, (x, y, _) in enumerate(SOMEONE.keypoints))
        draws.append(Poses())
        draws[-1].add_low_light("LL-H", "a", (SOMEONE,), [Detection(joints, 1.0)])
    half = draws[1].scores(Protocol(), ["LL-H"])["LL-H"].ap
    (hard, every) = random_crop_lines(draws, Protocol())
    ap, spread = np.mean([100, half, half]), np.std([100, half, half], ddof=1)
    assert hard == f"LL-H: AP {ap:.1f} ± {spread:.1f}, PCK@0.2 66.7 ± 28.9"
    assert every == hard.replace("LL-H", "LL-A")
    assert random_crop_lines(draws[:1], Protocol())[0] == "LL-H: AP 100.0, PCK@0.2 100.0"


def test_an_isp_that_looks_at_no_crop_of_the_picture_is_refused(recogniser):
    isp = LearnedIsp(None, Pipeline())
    with pytest.raises(ValueError, match="expected a predictor of one setting a picture"):
        random_crop_poses(isp, recogniser, [shot(0)], "picture", "none")


def test_the_command_refuses_pictures_smaller_than_a_crop_before_it_trains(tmp_path, monkeypatch, capsys):
    small = replace(shot(0), low_light=shot(0).low_light[:, :192])

    class Source:
        def group(self, index):
            return [small]

    monkeypatch.setattr(train_isp, "sources", lambda args, recipe: (Source(), Source(), {}))
    monkeypatch.setattr(isp_training, "train", lambda *_: pytest.fail("trained"))
    assert train_isp.main(["--random-crops", "3", "--out", str(tmp_path / "isp")]) == 1
    assert "random crops: imgs_0_bright.png has 192×288 px, expected 256×256 and more" in capsys.readouterr().err


def test_people_with_parameters_of_their_own_are_refused():
    with pytest.raises(ValueError, match="expected a predictor of one setting a picture"):
        random_crops.check_croppable(shot(0), per_person=True)
    random_crops.check_croppable(shot(0), per_person=False)
