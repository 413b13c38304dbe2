"""OKS average precision: against pycocotools itself on the real annotations, against cases counted by hand."""

import json
import math

import numpy as np
import pytest

from isp_sim.scenes import JOINTS, Person
from isp_sim.scenes.annotations import read_annotations
from models.recognisers.detection import Detection
from models.scoring.average_precision import SIGMAS, Protocol, oks, score
from models.scoring.over_scenes import RESAMPLES, WeightedAp, deviations, gain_text, over_scenes, pck_gain
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

    cocos = Person((*someone.keypoints[:12], (0.0, 0.0, 0), (0.0, 0.0, 0)), someone.bbox)
    assert score({"a": (cocos,)}, {"a": [whole]}, Protocol()).protocol.joints == JOINTS[:12]
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


def crowd(pictures=12, seed=0):
    """Pictures of one to three people, found with errors of many sizes; names end on the scene."""
    stream, truth, found = np.random.default_rng(seed), {}, {}
    for n in range(pictures):
        people = tuple(person(60 * k, 40 * k, 50 + 20 * k, 14 - k) for k in range(stream.integers(1, 4)))
        truth[f"{n:02d}-{n // 2}"] = people
        found[f"{n:02d}-{n // 2}"] = [detect(p, stream.exponential(6), stream.random()) for p in people]
    return truth, found


def test_a_weighted_ap_of_ones_is_the_evaluators_and_a_weight_of_two_is_the_picture_twice():
    truth, found = crowd()
    ap = WeightedAp(truth, found, Protocol())
    assert 20 < score(truth, found, Protocol()).ap < 90
    assert ap(np.ones(12)) == pytest.approx(score(truth, found, Protocol()).ap, abs=1e-9)
    weights = np.array([2, 0, 1, 3, 0, 1, 1, 2, 0, 0, 1, 1])
    often = [(f"{name}#{k}", name) for name, w in zip(truth, weights, strict=True) for k in range(w)]
    repeated = score({new: truth[old] for new, old in often}, {new: found[old] for new, old in often}, Protocol())
    assert ap(weights.astype(float)) == pytest.approx(repeated.ap, abs=1e-9)
    assert math.isnan(ap(np.zeros(12)))
    assert WeightedAp(truth, {}, Protocol())(np.ones(12)) == 0


def scene(name):
    return name.split("-")[-1]


def test_the_standard_error_of_a_mean_is_the_usual_one_and_scenes_are_what_is_drawn():
    """PCK of as many joints in each scene is a mean of the scenes' own: `s / √n`."""
    stream, truth, found = np.random.default_rng(1), {}, {}
    for n in range(60):  # 20 scenes of three pictures that are found alike
        share = np.random.default_rng(n // 3).random()
        guess = detect(person())
        moved = [(x + (500 if stream.random() > share else 0), y, s) for x, y, s in guess.keypoints]
        truth[f"{n:02d}-{n // 3}"], found[f"{n:02d}-{n // 3}"] = (person(),), [Detection(tuple(moved), 1.0)]
    over = over_scenes(truth, found, Protocol(), scene)
    each = [pck({n: truth[n] for n in truth if scene(n) == s}, found) for s in dict.fromkeys(scene(n) for n in truth)]
    due = np.std(each, ddof=1) / np.sqrt(20)
    assert (over.scenes, over.pictures) == (20, 60)
    assert over.pck == pytest.approx(due, rel=4 / np.sqrt(2 * RESAMPLES))
    apart = over_scenes(truth, found, Protocol(), lambda name: name)
    assert apart.scenes == 60 and apart.pck < 0.8 * over.pck  # pictures of a scene are not independent


def test_the_interval_of_a_gain_is_paired_and_scenes_are_what_is_drawn():
    """As many joints in each scene: a mean of the scenes' differences, ± 1.96 s / √n."""
    stream = np.random.default_rng(2)
    each = stream.integers(0, 9, 200)
    theirs = {f"{n}-{n // 2}": (int(each[n // 2]), 12) for n in range(400)}
    ours = {name: (near + (2 if int(scene(name)) % 2 else 0), 12) for name, (near, _) in theirs.items()}
    gain, low, high = pck_gain(ours, theirs, scene)
    due = 1.96 * np.std([0, 100 / 6] * 100, ddof=1) / np.sqrt(200)
    assert gain == pytest.approx(100 / 12)
    assert (gain - low, high - gain) == pytest.approx((due, due), rel=0.1)
    assert pck_gain(ours, ours, scene) == (0, 0, 0)
    with pytest.raises(ValueError, match="the same pictures"):
        pck_gain(ours, theirs | {"0-0": (1, 11)}, scene)


def test_the_error_of_ap_is_what_other_sets_of_scenes_show():
    """Mean of the bootstrap's standard errors against the spread of AP over sets drawn anew."""
    sets = [crowd(60, seed) for seed in range(24)]
    spread = np.std([score(*one, Protocol()).ap for one in sets], ddof=1)
    errors = [over_scenes(*one, Protocol(), scene).ap for one in sets[:6]]
    assert np.mean(errors) == pytest.approx(spread, rel=4 / np.sqrt(2 * 23))


def test_the_draws_of_two_networks_belong_together():
    """Against itself no error; of two that differ in some scenes that of the scenes' differences: `s / √n`."""
    truth = {f"{n:02d}-{n}": (person(),) for n in range(20)}
    found = {name: [detect(person(), 500.0 * (n % 2))] for n, name in enumerate(truth)}
    other = {name: [detect(person(), 500.0 * (n % 2 or n < 6))] for n, name in enumerate(truth)}
    first, same, second = (deviations(truth, one, Protocol(), scene) for one in (found, dict(found), other))
    assert np.array_equal(first, same)
    due = np.std(100.0 * np.isin(np.arange(20), (0, 2, 4)), ddof=1) / np.sqrt(20)
    assert (first - second)[:, 1].std(ddof=1) == pytest.approx(due, rel=4 / np.sqrt(2 * RESAMPLES))


def test_one_scene_has_no_standard_error_and_people_without_joints_are_no_picture():
    truth, found = crowd(2)
    truth["99-9"], found["99-9"] = (person(visible=0),), []
    over = over_scenes(truth, found, Protocol(), scene)
    assert (over.scenes, over.pictures) == (1, 2) and math.isnan(over.ap) and math.isnan(over.pck)
    assert over_scenes({}, {}, Protocol(), scene).pictures == 0
    for some in (truth, {}):
        moved = deviations(some, found, Protocol(), scene)
        assert moved.shape == (RESAMPLES, 2) and np.isnan(moved).all()


def test_a_gain_over_one_scene_has_no_interval():
    gain = pck_gain({"0-0": (3, 4), "1-0": (1, 4)}, {"0-0": (1, 4), "1-0": (1, 4)}, scene)
    assert gain[0] == 25 and np.isnan(gain[1:]).all() and gain_text(*gain) == "+25.0 (one scene)"
    assert gain_text(5.84, 2.6, 9.71) == "+5.8 (+2.6 … +9.7)"
    assert np.isnan(pck_gain({}, {}, scene)).all()


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
