"""COCO's 17 joints: a face goes with its person through crops and turns and comes back from the files written."""

import json

import numpy as np
import pytest

from isp_sim.annotation_files import COCO_FOLDER, coco17, write_annotations
from isp_sim.manifest import PersonRecord
from isp_sim.rectify import people_on
from isp_sim.scenes import COCO_JOINTS, FACE, JOINTS, Person
from isp_sim.scenes.annotations import read_annotations
from isp_sim.scenes.orientation import Header, turned

LIMBS = tuple((10.0 * n, 5.0 * n, 2) for n in range(12)) + ((0.0, 0.0, 0),) * 2
SEEN = Person(LIMBS, (0.0, 0.0, 120.0, 60.0), 0, tuple((3.0 + n, 4.0, 1 + n % 2) for n in range(5)))
BACK = Person(LIMBS, (0.0, 0.0, 120.0, 60.0))


class Record:
    """What the writer asks of a pair."""

    id, bright, dark, width, height, split = 1, "bright/a.png", "dark/a.png", 200, 100, "LL-N"

    def __init__(self, *people):
        self.people = tuple(PersonRecord.of(person) for person in people)


def test_cocos_order_is_face_then_limbs():
    assert COCO_JOINTS[:5] == FACE and COCO_JOINTS[5:] == JOINTS[:12] and len(COCO_JOINTS) == 17
    assert SEEN.coco == (*SEEN.face, *LIMBS[:12]) and BACK.coco[:5] == ((0.0, 0.0, 0),) * 5


def test_what_is_written_with_seventeen_joints_is_read_back(tmp_path):
    for folder in ("Annotations/ExLPose", "annotations/ExLPose"):
        (tmp_path / folder).mkdir(parents=True)
    write_annotations(tmp_path, [Record(SEEN, BACK)], "test")
    path = tmp_path / COCO_FOLDER / "ExLPose_test_WL.json"
    assert read_annotations(path)["a.png"] == (SEEN, BACK)
    (category,) = json.loads(path.read_text())["categories"]
    assert category["keypoints"] == list(COCO_JOINTS)
    assert [COCO_JOINTS[n] for n in category["skeleton"][0]] == ["left_shoulder", "left_elbow"]
    fourteen = json.loads((tmp_path / "Annotations" / "ExLPose_test_WL.json").read_text())
    assert len(fourteen["annotations"][0]["keypoints"]) == 42
    assert [one["num_keypoints"] for one in coco17([Record(SEEN, BACK)], "dark")["annotations"]] == [17, 12]


def test_labels_without_a_face_write_no_such_file(tmp_path):
    for folder in ("Annotations/ExLPose", "annotations/ExLPose"):
        (tmp_path / folder).mkdir(parents=True)
    write_annotations(tmp_path, [Record(BACK)], "test")
    assert not (tmp_path / COCO_FOLDER).exists()


def test_a_face_is_moved_cut_and_turned_like_the_limbs():
    (there,) = people_on([SEEN], lambda points: points + np.array([1.0, 2.0]), (5, 0, 100, 50))
    assert there.face[:2] == ((0.0, 0.0, 0), (0.0, 6.0, 2))  # the nose is left of the crop: 3 + 1 − 5 = −1
    assert [x for x, _, _ in there.face[2:]] == [1.0, 2.0, 3.0]
    assert people_on([BACK], lambda points: points, (0, 0, 100, 50))[0].face == ()
    quarter = turned(SEEN, Header((200, 100), 6))  # x' = h − 1 − y, y' = x
    assert quarter.face[0] == pytest.approx((95.0, 3.0, 1)) and len(quarter.keypoints) == 14
    assert np.array(quarter.keypoints)[1] == pytest.approx((94.0, 10.0, 2))


def test_a_manifests_line_keeps_it_and_is_as_before_without():
    assert PersonRecord.of(SEEN).person == SEEN and PersonRecord.of(BACK).person == BACK
    assert "face" not in PersonRecord.of(BACK).model_dump_json(exclude_none=True)
