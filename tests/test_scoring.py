"""OKS average precision: against pycocotools itself on the real annotations, against cases counted by hand."""

import json
import math

import numpy as np
import pytest

from isp_sim.scenes import JOINTS, Person
from isp_sim.scenes.annotations import read_annotations
from models.scoring.average_precision import SIGMAS, Detection, Protocol, oks, score
from models.scoring.pck import pck


def person(x=100.0, y=50.0, size=80.0, visible=14):
    joints = tuple((x + size * j / 14, y + size * (j % 5) / 5, 2 if j < visible else 0) for j in range(14))
    return Person(joints, (x, y, size, size))


def detect(someone, shift=0.0, confidence=1.0):
    return Detection(tuple((x + shift, y, 1.0) for x, y, _ in someone.keypoints), confidence)


def test_perfect_detections_score_100():
    truth = {"a": [person(), person(300)], "b": [person()]}
    found = {name: [detect(p) for p in people] for name, people in truth.items()}
    assert score(truth, found, Protocol()).ap == pytest.approx(100)


def test_a_uniform_shift_scores_what_its_oks_says():
    someone = person()
    area = 0.53 * 80 * 80
    for shift in (2.0, 5.0, 9.0):
        oks = np.mean([math.exp(-(shift**2) / (8 * area * s**2)) for s in SIGMAS])
        due = 100 * np.mean([oks >= t for t in np.arange(0.5, 0.96, 0.05)])
        assert score({"a": [someone]}, {"a": [detect(someone, shift)]}, Protocol()).ap == pytest.approx(due)


def test_unlabelled_people_and_joints_do_not_count():
    truth = {"a": [person(visible=7), person(500, visible=0)]}
    result = score(truth, {"a": [detect(person())]}, Protocol())
    assert result.ap == pytest.approx(100)
    assert result.people == 1


def test_joints_that_a_network_does_not_know_are_not_counted_and_the_protocol_names_the_rest():
    someone = person()
    away = [(x + 900, y, 1.0) for x, y, _ in someone.keypoints[:2]]
    whole = Detection((*away, *detect(someone).keypoints[2:]), 1.0)
    unknown = ((math.nan, math.nan, 0.0),) * 2
    part = Detection((*detect(someone).keypoints[:12], *unknown), 1.0)
    truth = {"a": [someone, person(500, visible=0)]}
    result = score(truth, {"a": [part]}, Protocol())
    assert result.ap == pytest.approx(100)
    assert result.protocol.joints == JOINTS[:12]
    assert score(truth, {"a": [whole]}, Protocol()).protocol.joints == JOINTS
    wrong = Detection((*away, *part.keypoints[2:]), 1.0)
    assert pck({"a": [someone]}, {"a": [part]}) == pytest.approx(100)
    assert pck({"a": [someone]}, {"a": [wrong]}) == pytest.approx(100 * 10 / 12)
    places = np.array([part.keypoints, wrong.keypoints])
    similar = oks(np.array([someone.keypoints] * 2), places, np.full(2, 6400.0))
    assert similar == pytest.approx([1, 10 / 12])
    heads = Person(tuple((x, y, v if j > 11 else 0) for j, (x, y, v) in enumerate(someone.keypoints)), someone.bbox)
    assert score({"a": [someone], "b": [heads]}, {"a": [part]}, Protocol()).people == 1


def test_nobody_found_is_0_and_nobody_there_is_nan():
    assert score({"a": [person()]}, {}, Protocol()).ap == 0
    assert math.isnan(score({"a": []}, {"a": [detect(person())]}, Protocol()).ap)


def test_detections_on_an_unknown_picture_are_refused():
    with pytest.raises(ValueError, match="detections on 'b', which the annotations do not list"):
        score({"a": [person()]}, {"b": [detect(person())]}, Protocol())


def test_every_score_carries_its_protocol():
    record = score({"a": [person()]}, {"a": [detect(person())]}, Protocol(seed=3)).record()
    assert record["protocol"]["sigmas"] == SIGMAS
    assert (record["protocol"]["area_share"], record["protocol"]["seed"]) == (0.53, 3)
    json.dumps(record)


def test_real_annotations_score_as_pycocotools_scores_them(shared, capsys):
    """Ids moved from 0 to 1 and area set by hand, then plain COCOeval; noisy synthetic detections on 491 pictures."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path = shared / "exlpose" / "annotations" / "ExLPose_test_LL-All.json"
    document = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    stream = np.random.default_rng(0)
    found, results = {name: [] for name in names.values()}, []
    for annotation in document["annotations"]:
        annotation["id"] += 1
        annotation["area"] = 0.53 * annotation["bbox"][2] * annotation["bbox"][3]
        joints = np.array(annotation["keypoints"], float).reshape(14, 3)
        annotation["num_keypoints"] = int((joints[:, 2] > 0).sum())
        annotation["ignore"] = int(annotation["num_keypoints"] == 0)
        noisy = joints[:, :2] + stream.normal(0, 0.15, (14, 2)) * math.sqrt(annotation["area"]) * stream.random()
        confidence = float(stream.random())
        found[names[annotation["image_id"]]].append(
            Detection(tuple((x, y, 1.0) for x, y in noisy.tolist()), confidence)
        )
        flat = [v for x, y in noisy.tolist() for v in (x, y, 1.0)]
        results.append({"image_id": annotation["image_id"], "category_id": 1, "keypoints": flat, "score": confidence})
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    judge = COCOeval(coco, coco.loadRes(results), "keypoints")
    judge.params.kpt_oks_sigmas = np.array(SIGMAS)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    truth = {name: people for name, people in read_annotations(path).items() if name in found}
    ours = score(truth, found, Protocol())
    assert [ours.ap, ours.ap50, ours.ap75] == pytest.approx([100 * v for v in judge.stats[:3]], abs=1e-6)
    assert 30 < ours.ap < 90
