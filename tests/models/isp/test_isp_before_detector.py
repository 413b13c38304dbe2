"""An ISP before a frozen detector: boxes as it sees them, gradients to the predictor, a training and its table."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import JOINTS, Person
from models import train_isp
from models.data.samples import Exposure, PairSample
from models.isp.detector_learner import DetectorIspLearner, boxes_seen, compare_boxes
from models.isp.learned import LearnedIsp
from models.isp.learner import LowLightPictures
from models.isp.predictor import Predictor
from models.isp.table import Method
from models.recognisers.person_detector import load_detector
from tests.models.drawn_figure import figure


def crowd(name="imgs_0101_sim_vid000000_exp100_bright_000000__gain_4.30_exposure_4000.png"):
    """Two drawn people side by side, dark in the low-light picture."""
    picture = np.hstack([figure(160, seed)[0] for seed in range(2)])
    people = []
    for place in range(2):
        joints = np.nan_to_num(figure(160, place)[1]) + np.array([160 * place, 0])
        keypoints = tuple((float(x), float(y), 2) for x, y in joints)
        people.append(Person(keypoints, (160.0 * place + 30, 12.0, 100.0, 140.0)))
    return PairSample(name, (picture // 10).astype(np.uint8), picture, tuple(people), "LL-N")


class Source:
    def __len__(self):
        return 1

    def names(self, index):
        return [crowd().name]

    def group(self, index):
        return [crowd()]


def test_boxes_are_where_the_detector_sees_them():
    someone = Person(tuple((0.0, 0.0, 2) for _ in JOINTS), (10.0, 20.0, 60.0, 100.0))
    (box,) = boxes_seen([someone], (300, 480), 240)
    assert box.tolist() == pytest.approx([0, 10 / 8, 20 / 8, 70 / 8, 120 / 8, 0])


def test_the_loss_reaches_the_predictor_and_a_brighter_picture_has_a_smaller_one():
    isp = LearnedIsp(Predictor(Pipeline(), torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), Pipeline())
    detector = load_detector(side=320)
    learner = DetectorIspLearner(isp, detector)
    pictures = LowLightPictures(Source(), (32, 32), 1, 8, 0, torch.device("cpu"))
    ((_, batch),) = list(pictures(0))
    losses = learner.losses(batch)
    total = sum(losses.values())
    total.backward()
    gradients = [p.grad for p in isp.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients) and any(g.abs().max() > 0 for g in gradients)
    assert all(p.grad is None for p in detector.parameters()) and not list(learner.buffers(recurse=False))
    assert not any("detector" in name or "network" in name for name in learner.state_dict())
    dark = LearnedIsp(Predictor(Pipeline(), torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), Pipeline())
    with torch.no_grad():
        dark.predictor.head.bias[0] -= 6  # many stops below a mean of 0.4
        darker = sum(DetectorIspLearner(dark, detector).losses(batch).values())
    assert total.item() < darker.item()


def test_its_table_compares_with_what_was_not_learned():
    isp = LearnedIsp(Predictor(Pipeline(), torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), Pipeline())
    rows = compare_boxes(isp, load_detector(side=320), "picture", [crowd()])
    assert set(rows) == {Method.NONE, Method.MEAN_SCALED, Method.LEARNED}
    assert rows[Method.MEAN_SCALED]["LL-A"].recall50 == 100
    assert np.isnan(rows[Method.NONE]["LL-E"].ap)


def test_bad_arguments_get_one_sentence(tmp_path, capsys):
    for more, told in (
        (
            ["--detector", "movenet-multipose", "--pose", "low-light"],
            "--pose low-light: with --detector no pose network",
        ),
        (["--detector", "nobody"], "detector nobody: expected movenet-multipose"),
    ):
        assert train_isp.main(["--device", "cpu", "--out", str(tmp_path / "out"), *more]) == 1
        said = capsys.readouterr().err
        assert told in said and "Traceback" not in said and not (tmp_path / "out").exists()


def test_its_table_tells_an_informed_predictor_the_exposure():
    predictor = Predictor(Pipeline(), torch.Generator().manual_seed(0), "thumbnail", "thumbnail", informed=True)
    shot = replace(crowd(), exposure=Exposure(2000.0, 12.0))
    rows = compare_boxes(LearnedIsp(predictor, Pipeline()), load_detector(side=320), "picture", [shot])
    assert len(rows[Method.LEARNED]) == 4
