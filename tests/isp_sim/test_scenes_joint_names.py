import json

import pytest

from isp_sim.scenes import JOINTS
from isp_sim.scenes.annotations import read_keypoint_file
from isp_sim.scenes.joint_names import joint_of, read_names

MPII = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "upper neck", "head top",
    "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "joint"),
    [
        *((joint, joint) for joint in JOINTS),
        ("Left Shoulder", "left_shoulder"), ("leftShoulder", "left_shoulder"), ("LShoulder", "left_shoulder"),
        ("l_shoulder", "left_shoulder"), ("shoulder_left", "left_shoulder"), ("lshoulder", "left_shoulder"),
        ("rightknee", "right_knee"), ("R-Knee", "right_knee"), ("knee.r", "right_knee"),
        ("head top", "head"), ("head_top", "head"), ("top_head", "head"), ("Top of Head", "head"), ("headTop", "head"),
        ("Nose", "nose"), ("leftEye", "left_eye"), ("r_ear", "right_ear"),
        ("upper neck", "neck"), ("upper_neck", "neck"), ("Neck", "neck"),
    ],
)  # fmt: skip
def test_a_joint_goes_by_many_names(name, joint):
    assert joint_of(name) == joint


@pytest.mark.parametrize(
    "name",
    [
        "noses", "eye", "rear", "left_chin", "chin", "face", "head_center", "head bottom", "forehead",
        "thorax", "chest", "sternum", "spine", "neck_base", "pelvis", "hip", "shoulder", "left_hand", "left_foot",
        "left_toe", "left", "", "lip", "relbow_left",
    ],
)  # fmt: skip
def test_what_is_another_place_of_the_body_is_no_joint(name):
    assert joint_of(name) is None


def test_a_joints_own_name_goes_before_its_other_names():
    limbs = list(JOINTS[:12])
    order, unread = read_names([*limbs, "upper_neck", "head_top", "head", "neck"])
    assert order == (*limbs, None, None, "head", "neck")
    assert unread == ["upper_neck", "head_top"]
    order, unread = read_names([*limbs, "top_head", "head_top", "left_hip"])
    assert order[12:] == (None, "head", None) and unread == ["top_head", "left_hip"]


def test_a_limb_without_a_name_is_a_fault():
    with pytest.raises(ValueError, match="keypoints does not name left_hip, right_ankle"):
        read_names([joint for joint in JOINTS if joint not in ("left_hip", "right_ankle")])


def test_mpiis_joints_come_in_their_places_and_what_is_left_over_is_told_once(tmp_path):
    joints = [v for place in range(16) for v in (place, 100 + place, 2)]
    people = [{"id": n, "image_id": 1, "category_id": 1, "keypoints": joints, "bbox": [0, 0, 9, 9]} for n in range(3)]
    document = {
        "images": [{"id": 1, "file_name": "x.png"}],
        "annotations": people,
        "categories": [{"id": 1, "name": "human", "keypoints": MPII}],
    }
    path = tmp_path / "people.json"
    path.write_text(json.dumps(document))
    known = read_keypoint_file(path)
    person = known.images["x.png"].people[0]
    assert person.keypoints[JOINTS.index("head")] == (9, 109, 2)
    assert person.keypoints[JOINTS.index("neck")] == (8, 108, 2)
    assert person.keypoints[JOINTS.index("left_shoulder")] == (13, 113, 2)
    assert known.notes == (f"{path}: category human: joints that are not read: pelvis, thorax",)


def test_joints_that_are_not_there_are_told(tmp_path):
    document = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "keypoints": [*JOINTS[:12], "leftEar", "chin"]}],
    }
    path = tmp_path / "people.json"
    path.write_text(json.dumps(document))
    assert read_keypoint_file(path).notes == (
        f"{path}: category 1: joints that are not read: chin; "
        "joints that it lacks and nobody is labelled with: head, neck",
    )
    path.write_text(json.dumps(document | {"categories": [{"id": 1, "keypoints": JOINTS}]}))
    assert read_keypoint_file(path).notes == ()
