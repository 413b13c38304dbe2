"""A detector's own scores, against what they must be; poses in detected boxes, whose scores multiply."""

import math

import numpy as np
import pytest

from isp_sim.scenes import JOINTS, Person
from models.data.normalisation import WELL, normalise
from models.data.samples import PairSample
from models.recognisers.crowd import poses, poses_in
from models.recognisers.detection import Box, Detection
from models.recognisers.inference import detect
from models.recognisers.loading import load_recogniser
from models.recognisers.person_detector import load_detector
from models.scoring.average_precision import Protocol, score
from models.scoring.boxes import score_boxes
from models.scoring.over_scenes import GAIN_RESAMPLES, WeightedAp, box_deviations
from models.scoring.poses import Poses, find_boxes
from tests.models.drawn_figure import figure

DETECTED = Protocol(boxes="somebody's")


def person(x, labelled=True):
    joints = tuple((x + 2.0 + joint, 5.0 + joint, 2 if labelled else 0) for joint in range(len(JOINTS)))
    return Person(joints, (x, 0.0, 20.0, 40.0))


def found(someone, wider=1.0, confidence=0.9):
    """The person's own pose in a box that is `wider` times as wide to the right: an IoU of 1 / wider."""
    x, y, width, height = someone.bbox
    box = Box((x, y, wider * width, height), confidence)
    return Detection(tuple((x, y, 1.0) for x, y, _ in someone.keypoints), 0.5 * confidence, box)


def test_boxes_that_are_the_labels_score_100_and_half_of_the_people_half():
    people = [person(40.0 * n) for n in range(4)]
    truth = {"a": people[:2], "b": people[2:]}
    whole = score_boxes(truth, {"a": [found(p) for p in people[:2]], "b": [found(p) for p in people[2:]]}, DETECTED)
    assert (whole.ap, whole.ap50, whole.recall50) == pytest.approx((100, 100, 100))
    half = score_boxes(truth, {"a": [found(people[0])], "b": [found(people[2])]}, DETECTED)
    assert half.recall50 == pytest.approx(50)
    assert half.ap == pytest.approx(100 * 51 / 101)  # precision 1 at recalls 0, .01 … .50


def test_a_box_of_iou_0_62_counts_at_three_of_ten_thresholds():
    someone = person(0.0)
    one = score_boxes({"a": [someone]}, {"a": [found(someone, wider=1 / 0.62)]}, DETECTED)
    assert (one.ap, one.ap50) == pytest.approx((30, 100))


def test_a_surer_box_on_nobody_halves_the_precision_but_not_on_somebody_without_labels():
    someone, unlabelled = person(0.0), person(100.0, labelled=False)
    wrong = found(unlabelled, confidence=0.95)
    alone = score_boxes({"a": [someone]}, {"a": [found(someone), wrong]}, DETECTED)
    assert alone.ap50 == pytest.approx(50)
    spared = score_boxes({"a": [someone, unlabelled]}, {"a": [found(someone), wrong]}, DETECTED)
    assert spared.ap50 == pytest.approx(100)
    assert score({"a": [someone, unlabelled]}, {"a": [found(someone), wrong]}, DETECTED).ap50 == pytest.approx(100)


def test_nobody_found_is_0_and_nobody_there_no_number():
    assert score_boxes({"a": [person(0.0)]}, {}, DETECTED).ap == 0
    nobody = score_boxes({"a": []}, {}, DETECTED)
    assert math.isnan(nobody.ap) and nobody.record() == {"box_ap": None, "box_ap50": None, "box_recall50": None}


def test_a_split_has_the_detectors_scores_and_no_pck_and_the_other_way_round_in_true_boxes():
    read = Poses()
    for n in range(4):
        people = (person(10.0), person(60.0))
        read.add("WL", shot_name(n), people, [found(people[0]), found(people[1], 1.0 + 0.2 * n)])
    detected = read.judged(DETECTED)["WL"]
    assert detected.score.ap == pytest.approx(100) and math.isnan(detected.pck)
    assert detected.boxes.ap < 100 and detected.boxes.recall50 == pytest.approx(100)
    assert detected.over.box_ap > 0 and math.isnan(detected.over.pck)
    record = detected.record()
    assert record["protocol"]["boxes"] == "somebody's" and record["box_ap_standard_error"] > 0
    true = read.judged(Protocol())["WL"]
    assert true.pck == pytest.approx(100) and true.boxes is None and "box_ap" not in true.record()


def test_poses_are_read_in_the_detectors_boxes_and_scores_multiply():
    picture = np.hstack([figure(160, seed)[0] for seed in range(2)])
    recogniser, detector = load_recogniser("movenet-lightning"), load_detector(side=320)
    boxes = detector.find(picture, WELL)
    read = poses(recogniser, picture, [], WELL, "none", detector)
    assert [one.found_in for one in read] == boxes and len(boxes) >= 2
    alone = detect(recogniser, picture, [Person((), box.bbox) for box in boxes], WELL, "none")
    for one, other in zip(read, alone, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
    assert [one.score for one in read] == pytest.approx([a.score * b.score for a, b in zip(alone, boxes, strict=True)])
    same = poses_in(recogniser, picture.astype(np.float32) / 255, [], WELL, "none", detector)
    for one, box in zip(same, boxes, strict=True):
        np.testing.assert_allclose(one.found_in.bbox, box.bbox, atol=1e-2)  # codes are scaled in another order
    known = poses(recogniser, picture, [person(10.0)], WELL, "none")
    assert len(known) == 1 and known[0].found_in is None


def shot_name(n):
    return f"imgs_0101_sim_vid{n:06d}_exp100_bright_000000__gain_4.30_exposure_4000.png"


def test_a_detectors_boxes_are_those_of_what_it_is_shown():
    well = np.hstack([figure(160, seed)[0] for seed in range(2)])
    shot = PairSample(shot_name(0), (well // 10).astype(np.uint8), well, (person(30.0),), "LL-H")
    detector = load_detector(side=320)
    found = find_boxes(detector, [shot], lambda one: normalise(one.well_lit, "none"))
    assert found.truth["LL-H"] == found.truth["LL-A"] == {shot.name: shot.people} and not found.truth["WL"]
    (boxes,) = found.found["LL-A"].values()
    assert [one.found_in for one in boxes] == detector.find(well, WELL) and len(boxes) >= 2
    (scaled,) = find_boxes(detector, [shot]).found["LL-H"].values()
    assert [one.found_in for one in scaled] == detector.find_in(normalise(shot.low_light, "mean-0.4"))


def crowd(pictures, seed=0):
    """Pictures of one to three people, boxes too wide by many amounts, and boxes on nobody."""
    stream, truth, boxes = np.random.default_rng(seed), {}, {}
    for n in range(pictures):
        people = tuple(person(60.0 * k) for k in range(stream.integers(1, 4)))
        truth[f"{n:02d}-{n // 2}"] = people
        nobody = found(person(300.0), 1.0, stream.random())
        boxes[f"{n:02d}-{n // 2}"] = [*(found(p, 1 + stream.exponential(0.4), stream.random()) for p in people), nobody]
    return truth, boxes


def test_box_ap_is_what_pycocotools_says_of_the_same_boxes(capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, boxes = crowd(12)
    ids = {name: n for n, name in enumerate(truth, start=1)}
    coco = COCO()
    people = [(ids[name], one.bbox) for name, several in truth.items() for one in several]
    annotations = [
        {"id": n, "image_id": image, "category_id": 1, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
        for n, (image, box) in enumerate(people, start=1)
    ]
    coco.dataset = {"images": [{"id": n} for n in ids.values()], "annotations": annotations, "categories": [{"id": 1}]}
    coco.createIndex()
    results = [
        {"image_id": ids[name], "category_id": 1, "bbox": list(one.found_in.bbox), "score": one.found_in.score}
        for name, several in boxes.items() for one in several
    ]  # fmt: skip
    judge = COCOeval(coco, coco.loadRes(results), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    ours = score_boxes(truth, boxes, DETECTED)
    assert 20 < ours.ap < 80
    assert (ours.ap, ours.ap50) == pytest.approx((100 * judge.stats[0], 100 * judge.stats[1]))
    each = WeightedAp(truth, boxes, DETECTED, "bbox").at_thresholds(np.ones(12))
    assert (each.mean(), each[0]) == pytest.approx((ours.ap, ours.ap50))


def test_the_errors_of_box_ap_are_the_scenes_own_and_paired():
    """One person a scene, found or not, a box of IoU 0.62 or exact: means of scenes, `s / √n`."""
    truth = {f"{n:02d}-{n}": (person(0.0),) for n in range(40)}
    wide = {name: [found(person(0.0), 1 / 0.62 if n % 4 else 1.0)] if n % 2 else [] for n, name in enumerate(truth)}
    exact = {name: [found(person(0.0))] if n % 2 else [] for n, name in enumerate(truth)}

    def moved(boxes):
        return box_deviations(truth, boxes, DETECTED, lambda name: name.split("-")[1])

    first, second = moved(wide), moved(exact)
    assert first.shape == (GAIN_RESAMPLES, 2) and np.array_equal(first, moved(dict(wide)))
    due = 100 * np.std([0, 1] * 20, ddof=1) / np.sqrt(40)
    assert second.std(axis=0, ddof=1) == pytest.approx([due, due], rel=0.08)
    assert np.array_equal(first[:, 1], second[:, 1])  # at IoU .50 all boxes are right in both
    assert first[:, 0].std(ddof=1) < 0.5 * due  # 30 % of the AP is left
