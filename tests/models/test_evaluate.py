"""The scoring command: what it writes, what it refuses; the page opens offline."""

import json
import re

import cv2
import numpy as np
import pytest
from test_train_isp import made_up_trials

from isp_sim import html_report
from isp_sim.scenes import JOINTS, Person
from models import evaluate
from models.data.samples import PairSample
from models.recognisers.detection import Detection
from models.recognisers.loading import load_recogniser
from models.recognisers.weights import SHIPPED
from models.runs import evaluation
from models.scoring.average_precision import Protocol
from models.scoring.drawing import LEFT, TRUE, draw_poses, lifted
from models.scoring.poses import Poses

FROZEN = "tests.models.test_train_isp:frozen"


def test_it_scores_draws_and_says_how(tmp_path, capsys):
    assert (
        evaluate.main(["--pose", FROZEN, "--count", "1", "--device", "cpu", "--out", str(tmp_path), "--extent", "1.2"])
        == 0
    )
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"LL-N", "LL-H", "LL-E", "LL-A", "WL"}
    assert scores["WL"]["protocol"]["flip"] == "right" and scores["WL"]["protocol"]["boxes"] == "true"
    assert scores["WL"]["protocol"]["extent"] == 1.2
    assert scores["WL"]["scenes"] == 1 and scores["LL-A"]["pictures"] == scores["WL"]["pictures"] > 1
    assert scores["WL"]["ap_standard_error"] is None  # one scene says nothing of others
    sheet = cv2.imread(str(tmp_path / "poses.jpg"))
    assert sheet.shape[1] > 1500 and sheet.std() > 10
    html = (tmp_path / "report.html").read_text()
    assert "data:image/jpeg;base64," in html and "src='http" not in html and "href" not in html
    assert "next: isp-sim train-isp" in capsys.readouterr().out


def test_movenet_comes_with_the_package_and_the_joints_that_count_are_named(tmp_path, capsys):
    asked = ["--pose", "movenet-lightning", "--count", "1", "--device", "cpu", "--out", str(tmp_path)]
    assert evaluate.main(asked) == 0
    assert "12 of 14 joints (no head, neck)" in " ".join(capsys.readouterr().out.split())
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["WL"]["protocol"]["joints"] == list(JOINTS[:12])
    assert scores["WL"]["pck_torso_0.2"] > 0


def test_boxes_of_a_detector_are_named_in_the_protocol_and_scored_beside_the_poses(tmp_path, capsys):
    asked = ["--pose", "movenet-lightning", "--count", "1", "--flip", "none", "--device", "cpu", "--out", str(tmp_path)]
    assert evaluate.main([*asked, "--boxes", "detected"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["WL"]["protocol"]["boxes"] == "movenet-multipose, longer side 480 px"
    assert scores["WL"]["box_recall50"] > scores["LL-A"]["box_recall50"] and scores["WL"]["pck_torso_0.2"] is None
    assert "boxes movenet-multipose" in " ".join(capsys.readouterr().out.split())
    assert "box AP50" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--boxes", "detected", "--detector", "nobody"], "detector nobody: expected movenet-multipose"),
        (["--count", "0"], "--count 0: expected a whole number from 1"),
        (["--extent", "nan"], "--extent nan: expected a number from 0.5 to 3"),
        (["--extent", "0.1"], "--extent 0.1: expected a number from 0.5 to 3"),
        (["--data", "nowhere"], "nowhere: holds no Annotations"),
        (["--rig", "nowhere"], "nowhere"),
        (["--scenes", "nowhere"], "neither 'people' nor 'charts' nor an existing file or folder"),
    ],
)
def test_bad_arguments_get_one_sentence(tmp_path, capsys, more, told):
    assert evaluate.main(["--pose", FROZEN, "--device", "cpu", "--out", str(tmp_path / "out"), *more]) == 1
    said = capsys.readouterr().err
    assert told in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_table_says_of_how_many_scenes_it_is_and_its_standard_errors():
    poses = Poses()
    for n in range(6):
        sample = shot(n // 2, 100 + 300 * (n % 2), "LL-N")
        joints = tuple((5.0 + (n == 0), 5.0, 1.0) for _ in range(14))
        for split in ("LL-N", "LL-A", "WL"):
            poses.add(split, sample.name, sample.people, [Detection(joints, 1.0)])
    lines = {line[0]: line for line in evaluation.rows(poses.judged(Protocol()))}
    assert lines["LL-A"][:4] == ("LL-A", "3", "6", "6")
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", lines["LL-A"][4]) and not lines["LL-A"][4].endswith("± 0.0")
    assert lines["LL-E"] == ("LL-E", "0", "0", "0", "- ± -", "-", "-", "- ± -")
    assert len(lines["WL"]) == len(evaluation.TRUE_BOX_HEADINGS)


def test_the_shipped_network_is_there_small_and_two_lightings():
    assert SHIPPED.stat().st_size <= 10e6
    recogniser = load_recogniser()
    assert recogniser.network.lsbn and recogniser.input_size == (192, 192)
    assert SHIPPED.with_suffix(".md").is_file()


def test_poses_are_drawn_where_they_are():
    (person,) = made_up_trials().people
    blank = np.zeros((110, 100, 3), np.uint8)
    drawn = draw_poses(blank, [person], [], zoom=2)
    assert drawn.shape == (220, 200, 3) and (blank == 0).all()
    assert (drawn == np.array(TRUE)).all(axis=2).any()
    found = Detection(tuple((x, y, 1.0) for x, y, _ in person.keypoints), 1.0)
    assert (np.abs(draw_poses(blank, [], [found]).astype(int) - np.array(LEFT)).sum(axis=2) < 60).any()
    unknown = Detection(((float("nan"), float("nan"), 0.0),) * 14, 1.0)
    assert (draw_poses(blank, [], [unknown]) == 0).all()


def test_a_lifted_picture_has_a_mean_of_0_4_and_black_stays():
    dark = np.random.default_rng(0).poisson(4, (64, 64, 3)).astype(np.uint8)
    assert lifted(dark).mean() == pytest.approx(0.4 * 255, abs=2)
    assert lifted(np.zeros((4, 4, 3), np.uint8)).max() == 0


def test_a_page_escapes_what_it_is_told():
    html = html_report.page(
        "a < b",
        [html_report.table(("x",), [("<script>",)]), html_report.text("&", "h"), html_report.verbatim("{'a': 1}")],
    )
    assert b"<script>" not in html and b"a &lt; b" in html


def shot(scene, ratio, split, labelled=True):
    joints = tuple((5.0, 5.0, 2 if labelled else 0) for _ in range(14))
    dark = np.zeros((20, 20, 3), np.uint8)
    name = f"imgs_0101_sim_vid{scene:06d}_exp{ratio}_bright_000000__gain_4.30_exposure_4000.png"
    return PairSample(name, dark, dark, (Person(joints, (1.0, 1.0, 9.0, 9.0)),), split)


def test_the_shots_to_look_at_are_of_other_scenes_and_splits_and_there_is_always_one():
    shown = []
    for scene in range(4):
        for ratio, split in ((100, "LL-N"), (400, "LL-H"), (1200, "LL-E")):
            evaluation.show(shot(scene, ratio, split), shown)
    assert [one.split for one in shown] == ["LL-N", "LL-H", "LL-E", "LL-N"]
    assert len({one.name[:25] for one in shown}) == 4
    dark = []
    for scene in range(9):  # a set of one split alone
        evaluation.show(shot(scene, 1200, "LL-E"), dark)
    assert len(dark) == evaluation.SHOWN
    evaluation.show(shot(99, 100, "LL-N", labelled=False), nobody := [])
    assert nobody == []


def test_scenes_without_people_get_a_sentence(tmp_path, capsys):
    asked = ["--pose", FROZEN, "--scenes", "charts", "--count", "1", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert evaluate.main(asked) == 1
    assert "charts: nobody has a labelled joint" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
