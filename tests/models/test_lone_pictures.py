"""Low-light pictures without partners: the other cameras' files as published, ExLPose's own, scores of each."""

import json

import cv2
import numpy as np
import pytest
from drawn_figure import figure

from isp_sim.rigfile import load_rig
from isp_sim.scenes import Person
from models import evaluate
from models.data.lone_pictures import LonePictures, without_partners
from models.recognisers.detection import Detection
from models.runs.lone_evaluation import judge_lone
from models.scoring.average_precision import Protocol

SIDE = 150


def labels(joints):
    return [value for x, y in np.nan_to_num(joints).tolist() for value in (x, y, 2)]


def night(folder, camera, names, prefix="PID_"):
    """A camera's pictures and its keypoint file, as ExLPose-OCN has them."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    (folder / "ExLPose-OCN" / camera).mkdir(parents=True, exist_ok=True)
    images, people = [], []
    for number, name in enumerate(names):
        picture, joints = figure(SIDE, number)
        cv2.imwrite(str(folder / "ExLPose-OCN" / camera / name), (picture // 8)[..., ::-1])
        images.append({"file_name": f"{prefix}{camera}/{name}", "id": number, "height": SIDE, "width": SIDE})
        box = [15, 10, 120, 135]
        people.append({"id": number, "image_id": number, "category_id": 1, "keypoints": labels(joints), "bbox": box})
    file = folder / "Annotations" / f"ExLPose-OC_test_{camera}.json"
    file.write_text(json.dumps({"images": images, "annotations": people}))
    (file.parent / f"{file.stem}_trans.json").write_text("[]")
    return file


def test_a_cameras_file_finds_its_pictures_under_the_public_folders_name(tmp_path):
    file = night(tmp_path, "A7M3", ["0822_DSC1.JPG", "0822_DSC2.JPG"])
    assert without_partners(file) and without_partners(tmp_path)
    first, second = LonePictures(file)
    assert (first.name, first.split, first.low_light.shape) == ("PID_A7M3/0822_DSC1.JPG", "A7M3", (SIDE, SIDE, 3))
    assert len(first.labelled) == len(second.labelled) == 1
    night(tmp_path, "RICOH3", ["0825_R1.JPG"])
    assert [one.split for one in LonePictures(tmp_path)] == ["A7M3", "A7M3", "RICOH3"]
    (tmp_path / "Annotations" / "ExLPose_test_WL.json").write_text("{}")
    assert not without_partners(tmp_path)  # then it is pairs


def test_exlposes_own_low_light_file_names_the_well_lit_picture_and_means_the_dark_one(tmp_path):
    (tmp_path / "dark").mkdir()
    (tmp_path / "Annotations").mkdir()
    picture, joints = figure(SIDE, 0)
    name = "imgs_0212_hwangridan_vid000005_exp800_{}_000052__gain_{}_exposure_625.png"
    cv2.imwrite(str(tmp_path / "dark" / name.format("dark", "4.50")), picture[..., ::-1])
    images = [{"file_name": "bright/" + name.format("bright", "22.56"), "id": 38, "height": SIDE, "width": SIDE}]
    people = [{"id": 0, "image_id": 38, "keypoints": labels(joints), "bbox": [15, 10, 120, 135]}]
    file = tmp_path / "Annotations" / "ExLPose_test_LL-Hard.json"
    file.write_text(json.dumps({"images": images, "annotations": people}))
    (found,) = LonePictures(tmp_path)
    assert found.split == "LL-Hard" and np.array_equal(found.low_light, picture)


def test_what_is_not_there_or_not_inside_is_one_sentence(tmp_path):
    file = night(tmp_path, "A7M3", ["a.JPG"])
    (tmp_path / "ExLPose-OCN" / "A7M3" / "a.JPG").unlink()
    with pytest.raises(ValueError, match=r"A7M3.json: PID_A7M3/a.JPG is not there; looked in"):
        LonePictures(file)
    file.write_text(file.read_text().replace("PID_A7M3/a.JPG", "../a.JPG"))
    with pytest.raises(ValueError, match=r"'../a.JPG' must be a path inside"):
        LonePictures(file)
    file.write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(ValueError, match="nobody in 0 pictures has a labelled joint"):
        LonePictures(file)


def test_perfect_poses_score_100_in_each_split(tmp_path):
    night(tmp_path, "A7M3", ["a.JPG", "b.JPG"])
    night(tmp_path, "RICOH3", ["c.JPG", "d.JPG"])

    def read(_picture, people: tuple[Person, ...]):
        return [Detection(tuple((x, y, 1.0) for x, y, _ in one.keypoints), 1.0) for one in people]

    judged, sheet = judge_lone(LonePictures(tmp_path), read, Protocol())
    assert {split: one.score.ap for split, one in judged.items()} == pytest.approx({"A7M3": 100, "RICOH3": 100})
    assert all(one.pck == 100 and one.over.scenes == 2 for one in judged.values())
    assert sheet.shape[:2] == (4 * (SIDE + 4), SIDE)


def test_the_command_scores_them(tmp_path, capsys):
    file = night(tmp_path, "A7M3", ["a.JPG"])
    asked = ["--pose", "movenet-lightning", "--data", str(file), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert evaluate.main(asked) == 0
    said = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert list(said) == ["A7M3"] and said["A7M3"]["people"] == 1 and said["A7M3"]["pck_torso_0.2"] > 50
    assert "1 pictures without partners" in capsys.readouterr().out.replace("\n", " ")


def test_the_night_rigs_have_no_filter_and_meter_at_the_published_means():
    for name, mean in (("night-a7m3", 3.8), ("night-ricoh3", 5.6)):
        rig = load_rig(name)
        assert not rig.low_light.nd_filter and rig.meter_target.value == mean
        assert {mix.ratios for mix in rig.schedule.mixes.value} == {(1,)}
