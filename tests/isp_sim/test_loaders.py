"""What generate writes, as the public loaders of ExLPose read it: the same keys, paths and arithmetic."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from isp_sim.annotation_files import AREA_SHARE, AUTHORS_NAMES, SPLITS, TRAIN_SPLITS, trans
from isp_sim.generate import main
from isp_sim.manifest import PersonRecord, read_manifest

RIG = "extends: exlpose\nname: tiny\nwidth_px: 96\nheight_px: 64\n"
COUNT = 7


def _readers():
    spec = importlib.util.spec_from_file_location("loaders", Path(__file__).parents[2] / "benchmarks" / "loaders.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READERS = _readers()
"""The two loaders of benchmarks/loaders.py, written after MMPose's and the authors'."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same photographs shot as a test set and as a training set; a person without joints stands in one."""
    folder = tmp_path_factory.mktemp("loaders")
    (folder / "tiny.yaml").write_text(RIG)
    photos = folder / "photos"
    photos.mkdir()
    stream = np.random.default_rng(3)
    images, people = [], []
    for n in range(3):
        coarse = stream.integers(0, 255, (5, 7, 3), np.uint8)
        cv2.imwrite(str(photos / f"{n}.png"), cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC))
        images.append({"file_name": f"{n}.png", "id": n, "width": 96, "height": 64})
        for m in range(2):
            joints = [v for j in range(14) for v in (20.0 + 20 * m + j, 20.0 + 2 * j, 2 if j % 3 else 1)]
            people.append({"image_id": n, "keypoints": joints, "bbox": [18.5 + 20 * m, 15.0, 20.0, 40.0]})
    people.append({"image_id": 0, "keypoints": [0, 0, 0] * 14, "bbox": [60, 10, 20, 30]})
    for n, person in enumerate(people):
        person |= {"id": n, "category_id": 1, "iscrowd": 0, "num_keypoints": 14}
    (photos / "people.json").write_text(json.dumps({"images": images, "annotations": people, "categories": []}))
    asked = ["--rig", str(folder / "tiny.yaml"), "--scenes", str(photos), "--count", str(COUNT), "--workers", "1"]
    for subset in ("test", "train"):
        assert main([*asked, "--split", subset, "--out", str(folder / subset)]) == 0
    return folder


def labelled(folder: Path, split: str) -> list[tuple[str, str, dict]]:
    return [
        (line.bright, line.dark, person)
        for line in read_manifest(folder)
        if split in ("LL", "LL-A", "WL", line.split)
        for person in line.people
        if any(person.keypoints[2::3])
    ]


@pytest.mark.parametrize(
    ("subset", "split"), [*(("test", split) for split in SPLITS), *(("train", split) for split in TRAIN_SPLITS)]
)
@pytest.mark.parametrize("where", ["Annotations", "annotations/ExLPose"])
def test_mmposes_loader_finds_every_person_and_picture(runs, where, subset, split):
    root = runs / subset
    found = READERS.mmpose_people(root, f"{where}/ExLPose_{subset}_{split}.json")
    expected = labelled(root, split)
    assert len(found) == len(expected)
    for one, (bright, dark, person) in zip(found, expected, strict=True):
        assert one["pictures"] == (root / (bright if split == "WL" else dark),)
        assert cv2.imread(str(one["pictures"][0])) is not None
        joints = np.array(person.keypoints).reshape(14, 3)
        np.testing.assert_allclose(one["joints"], joints[:, :2], atol=0.006)
        np.testing.assert_array_equal(one["visible"], joints[:, 2] > 0)
        assert one["id"] > 0


@pytest.mark.parametrize(
    ("subset", "split", "name"),
    [("test", split, f"ExLPose_test_{name}_trans.json") for split, name in AUTHORS_NAMES.items()]
    + [("train", "LL", "ExLPose_train_trans.json")],
)
def test_the_authors_loaders_find_every_person_and_both_pictures(runs, subset, split, name):
    root = runs / subset
    found = READERS.authors_people(root, name)
    expected = labelled(root, split)
    assert len(found) == len(expected)
    for one, (bright, dark, person) in zip(found, expected, strict=True):
        assert one["pictures"] == (root / bright, root / dark)
        pictures = [cv2.imread(str(path)) for path in one["pictures"]]
        assert pictures[0].shape == pictures[1].shape
        x, y, width, height = person.bbox
        corners = np.array((x, y, x + width, y + height))
        assert ((corners - one["box"] > -0.006) & (corners - one["box"] < 1.006)).all()  # whole pixels, rounded down
        np.testing.assert_allclose(one["joints"].ravel(), person.keypoints, atol=0.006)
        assert one["extra"] == (0 if subset == "train" else 1)


def test_the_authors_evaluator_finds_the_pictures_of_its_list(runs):
    folder = runs / "test" / "Annotations" / "ExLPose"
    for name in AUTHORS_NAMES.values():
        document = json.loads((folder / f"ExLPose_test_{name}.json").read_text())
        names = {image["id"]: image["file_name"] for image in document["images"]}
        for entry in json.loads((folder / f"ExLPose_test_{name}_trans.json").read_text()):
            assert names[entry["imgInfo"]["imgID"]] == entry["imgInfo"]["img_paths"]


def test_training_files_are_not_split_by_gain(runs):
    assert sorted(path.name for path in (runs / "train").rglob("ExLPose_*.json")) == [
        "ExLPose_train_LL.json", "ExLPose_train_LL.json", "ExLPose_train_WL.json", "ExLPose_train_WL.json",
        "ExLPose_train_trans.json",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Annotations/ExLPose_test_LL-A.json", "annotations/ExLPose/ExLPose_test_WL.json"])
def test_pycocotools_scores_the_labels_themselves_with_one(runs, name):
    assert READERS.evaluated(runs / "test" / name) == 1


def test_the_area_is_the_crowdpose_evaluators(runs):
    document = json.loads((runs / "test" / "Annotations" / "ExLPose_test_LL-A.json").read_text())
    assert document["annotations"]
    for person in document["annotations"]:
        _, _, width, height = person["bbox"]
        assert person["area"] == pytest.approx(AREA_SHARE * width * height, abs=0.006)


def test_the_real_files_are_read_by_the_same_loaders(shared):
    """Counts of the paper and of the files: 491 pictures, 2,810 people of whom 21 have no joint."""
    folder = shared / "exlpose" / "annotations"
    people = READERS.mmpose_people(folder, "ExLPose_test_LL-All.json")
    assert len(people) == 2810 - 21
    assert len({one["pictures"] for one in people}) <= 491


def test_the_list_of_the_real_normal_split_is_the_authors_own(shared):
    """From the real annotations: as many characters as the authors' `ExLPose_test_LL-Normal_trans.json`, 470,398, and
    its first entry; with the file's own `num_keypoints`, which are wrong for 15 people and which we count ourselves."""
    real = json.loads((shared / "exlpose" / "annotations" / "ExLPose_test_LL-Normal.json").read_text())
    names = {image["id"]: image["file_name"] for image in real["images"]}
    people = {}
    for person in real["annotations"]:
        record = PersonRecord(**{name: person[name] for name in ("keypoints", "bbox", "iscrowd")})
        people.setdefault(person["image_id"], []).append(record)
    entries = trans([SimpleNamespace(id=n, bright=names[n], people=of_image) for n, of_image in people.items()])
    counted = [person["num_keypoints"] for person in real["annotations"] if any(person["keypoints"])]
    assert len(entries) == len(counted) == 1020
    assert sum(entry["unit"]["num_keypoints"] != n for entry, n in zip(entries, counted, strict=True)) == 15
    for entry, n in zip(entries, counted, strict=True):
        entry["unit"]["num_keypoints"] = n
    assert len(json.dumps(entries)) == 470_398
    first = real["annotations"][0]
    assert entries[0] == {
        "unit": {"num_keypoints": 10, "keypoints": first["keypoints"], "GT_bbox": [794, 299, 1163, 929]},
        "imgInfo": {"imgID": 40, "img_paths": names[40]},
        "score": 1,
    }


@pytest.mark.parametrize("subset", ["test", "train"])
def test_the_benchmark_counts_what_is_there_and_notices_what_is_not(runs, subset, tmp_path):
    root = tmp_path / subset
    shutil.copytree(runs / subset, root)
    assert READERS.report(root, subset)[1]
    next((root / "dark").iterdir()).unlink()
    assert not READERS.report(root, subset)[1]
