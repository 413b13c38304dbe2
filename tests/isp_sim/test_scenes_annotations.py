import json
from pathlib import Path

import pytest

from isp_sim.scenes import COCO_JOINTS, JOINTS
from isp_sim.scenes.annotations import find_annotations, read_annotations, read_keypoint_file

DATA = Path(__file__).parents[3] / "shared" / "data"


def person(joints=14, **changes):
    keypoints = [number for joint in range(joints) for number in (10 * joint, 10 * joint + 1, 2)]
    return {"id": 0, "image_id": 7, "keypoints": keypoints, "bbox": [1, 2, 30, 40]} | changes


def write(folder, annotations, images=None, **more):
    path = folder / "people.json"
    images = images or [{"id": 7, "file_name": "bright/x.png"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, **more}))
    return path


def test_a_picture_is_found_with_and_without_its_folder(tmp_path):
    people = read_annotations(write(tmp_path, [person(), person(id=1)]))
    assert people["bright/x.png"] is people["x.png"]
    assert len(people["x.png"]) == 2


def test_a_short_name_that_two_pictures_share_names_neither(tmp_path):
    images = [{"id": 7, "file_name": "bright/x.png"}, {"id": 8, "file_name": "dark/x.png"}]
    assert set(read_annotations(write(tmp_path, [person()], images))) == {"bright/x.png", "dark/x.png"}


def test_a_picture_without_people_has_none(tmp_path):
    assert read_annotations(write(tmp_path, []))["x.png"] == ()


def test_fourteen_joints_are_taken_as_they_stand(tmp_path):
    (found,) = read_annotations(write(tmp_path, [person(iscrowd=1)]))["x.png"]
    assert found.keypoints == tuple((10.0 * joint, 10.0 * joint + 1, 2) for joint in range(14))
    assert (found.bbox, found.iscrowd) == ((1.0, 2.0, 30.0, 40.0), 1)


def test_cocos_seventeen_joints_keep_the_face_apart_and_have_no_head_or_neck(tmp_path):
    (found,) = read_annotations(write(tmp_path, [person(17)]))["x.png"]
    assert found.face == tuple((10.0 * place, 10.0 * place + 1, 2) for place in range(5))
    assert found.coco == tuple((10.0 * place, 10.0 * place + 1, 2) for place in range(17))
    for place, joint in enumerate(COCO_JOINTS[5:], start=5):
        assert found.keypoints[JOINTS.index(joint)] == (10 * place, 10 * place + 1, 2)
    assert found.keypoints[12:] == ((0, 0, 0), (0, 0, 0))


def test_a_category_that_names_its_joints_gives_their_order(tmp_path):
    backwards = {"id": 1, "keypoints": JOINTS[::-1]}
    path = write(tmp_path, [person(category_id=1)], categories=[backwards])
    (found,) = read_annotations(path)["x.png"]
    assert found.keypoints[0] == (130, 131, 2)
    assert found.keypoints[13] == (0, 1, 2)


def test_an_unlabelled_joint_is_zero_whatever_its_coordinates(tmp_path):
    (found,) = read_annotations(write(tmp_path, [person(keypoints=[3, 4, 0] * 14)]))["x.png"]
    assert found.keypoints == ((0, 0, 0),) * 14


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"keypoints": [1, 2]}, r"annotation 0: keypoints has 2 numbers; expected 42 .* or 51 "),
        ({"keypoints": [float("nan")] * 42}, r"annotation 0: keypoints\[0\] is nan; expected finite numbers"),
        ({"keypoints": [1, 2, "x"] * 14}, r"keypoints\[2\] is 'x'; expected finite numbers"),
        ({"keypoints": [1, 2, True] * 14}, r"keypoints\[2\] is True; expected finite numbers"),
        ({"keypoints": [1, 2, 5] * 14}, r"visibility \[5.0\]; expected 0, 1 or 2"),
        ({"keypoints": None}, "keypoints is None; expected a list of numbers"),
        ({"bbox": [1, 2, 3]}, "bbox is .*; expected x, y, width ≥ 0 and height ≥ 0"),
        ({"bbox": [1, 2, 3, -4]}, "bbox is .*-4"),
        ({"bbox": [1, 2, 0, 4]}, "round labelled joints; expected a width and a height > 0"),
        ({"bbox": [1, 2, float("inf"), 4]}, r"bbox\[2\] is inf"),
        ({"image_id": 8}, "image_id is 8; expected an id listed under images"),
        ({"image_id": [8]}, r"image_id is \[8\]; expected a whole number or a string"),
        ({"category_id": {}}, "category_id is {}; expected a whole number or a string"),
        ({"iscrowd": 3}, "iscrowd is 3; expected 0 or 1"),
    ],
)
def test_a_fault_names_file_annotation_field_and_what_was_expected(tmp_path, changes, told):
    with pytest.raises(ValueError, match=told) as fault:
        read_annotations(write(tmp_path, [person(**changes)]))
    assert "people.json" in str(fault.value)


@pytest.mark.parametrize("field", ["image_id", "keypoints", "bbox"])
def test_a_missing_field_is_named(tmp_path, field):
    broken = person()
    del broken[field]
    with pytest.raises(ValueError, match=f"annotation 0: has no field {field}"):
        read_annotations(write(tmp_path, [broken]))


def test_faults_are_told_together_five_and_a_count(tmp_path):
    with pytest.raises(ValueError, match=r"annotation 4: .*; and 3 more$") as fault:
        read_annotations(write(tmp_path, [person(id=n, bbox=[]) for n in range(8)]))
    assert str(fault.value).count("annotation") == 5


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ([{"id": 7}], "image number 0: has no field file_name"),
        ([{"id": 7, "file_name": "a"}, {"id": 7, "file_name": "b"}], "id is 7, which another image has"),
        ([{"id": 7, "file_name": "a"}, {"id": 8, "file_name": "a"}], "file_name a is listed more than once"),
        (["a.png"], "image number 0: is 'a.png'; expected an object"),
    ],
)
def test_a_fault_in_the_list_of_images_is_named(tmp_path, images, told):
    with pytest.raises(ValueError, match=told):
        read_annotations(write(tmp_path, [], images))


@pytest.mark.parametrize("categories", [5, [3], [{"id": 1, "keypoints": ["nose"]}]])
def test_a_fault_in_the_categories_is_named(tmp_path, categories):
    with pytest.raises(ValueError, match="categor"):
        read_annotations(write(tmp_path, [], categories=categories))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"images": [{"id": 1,', "not whole JSON: .* in line 1, column .*truncated"),
        ("", "not whole JSON"),
        ("[]", "people.json: a JSON list"),
        ("[" * 100_000, "people.json: not JSON that can be read: .*recursion"),
        ('{"images": []}', "has no list annotations"),
    ],
)
def test_a_file_that_is_no_keypoint_file_is_refused(tmp_path, text, told):
    (tmp_path / "people.json").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_annotations(tmp_path / "people.json")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "people.json").write_bytes(b'{"\xff\xfa": 1}')
    with pytest.raises(ValueError, match="not UTF-8"):
        read_annotations(tmp_path / "people.json")


def test_the_one_keypoint_file_of_a_folder_is_found_among_other_json(tmp_path):
    assert find_annotations(tmp_path) is None
    (tmp_path / "detections.json").write_text('[{"keypoints": 1, "annotations": 2}]')
    (tmp_path / "manifest.json").write_text('{"annotations": 2}')
    assert find_annotations(tmp_path) is None
    path = write(tmp_path, [person()])
    assert find_annotations(tmp_path) == path
    path.with_name("more.json").write_text(path.read_text())
    with pytest.raises(ValueError, match=r"2 keypoint files \(more.json, people.json\)"):
        find_annotations(tmp_path)


@pytest.mark.parametrize(
    ("name", "pictures", "people", "without_joints"),
    [
        ("exlpose/annotations/ExLPose_test_LL-All.json", 491, 2810, 21),
        ("photos/lspet/annotations.json", 5303, 5303, 0),
        ("photos/crowdpose/test_crowdpose.json", 2, 5, 1),
        ("photos/coco/test_coco.json", 4, 14, 2),
    ],
)
def test_real_annotations_are_read_whole(name, pictures, people, without_joints):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    by_name = read_annotations(path)
    found = {id(persons): persons for persons in by_name.values() if persons}
    everyone = [person for persons in found.values() for person in persons]
    assert len({Path(name).name for name in by_name}) == pictures
    assert len(everyone) == people
    assert sum(not any(v for *_, v in person.keypoints) for person in everyone) == without_joints


def test_a_backslash_parts_folders(tmp_path):
    images = [{"id": 7, "file_name": "train\\day 1\\x.png"}, {"id": 8, "file_name": "val\\y.png"}]
    known = read_keypoint_file(write(tmp_path, [person()], images))
    assert set(known.images) == {"train/day 1/x.png", "x.png", "val/y.png", "y.png"}
    with pytest.raises(ValueError, match=r"file_name a/x\.png is listed more than once"):
        write(tmp_path, [], [{"id": 1, "file_name": "a\\x.png"}, {"id": 2, "file_name": "a/x.png"}])
        read_annotations(tmp_path / "people.json")


def test_a_picture_is_found_by_as_many_of_its_folders_as_the_file_has(tmp_path):
    images = [
        {"id": 7, "file_name": "train\\x.png"},
        {"id": 8, "file_name": "val\\x.png"},
        {"id": 9, "file_name": "y.png"},
    ]
    known = read_keypoint_file(write(tmp_path, [person()], images))
    assert len(known.of(Path("/data/train/x.png")).people) == 1
    assert known.of(Path("/data/val/x.png")).people == ()
    assert known.of(Path("/data/x.png")) is None
    assert known.of(Path("/data/train/y.png")) is known.images["y.png"]


@pytest.mark.parametrize(
    ("sides", "size"),
    [({}, None), ({"width": None, "height": 4}, None), ({"width": 6}, None), ({"width": 6, "height": 4.0}, (6, 4))],
)
def test_a_size_is_read_where_both_sides_are_told(tmp_path, sides, size):
    known = read_keypoint_file(write(tmp_path, [], [{"id": 7, "file_name": "x.png"} | sides]))
    assert known.images["x.png"].size == size


@pytest.mark.parametrize("width", [0, -6, 6.5, "6", True, [6]])
def test_a_size_that_is_none_is_a_fault(tmp_path, width):
    with pytest.raises(ValueError, match=r"image number 0: width and height are .*; expected whole numbers from 1"):
        read_annotations(write(tmp_path, [], [{"id": 7, "file_name": "x.png", "width": width, "height": 4}]))
