"""A data set in other tools' layouts, read back by those tools' libraries or by their documented rules."""

import json
import os
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from isp_sim.__main__ import main
from isp_sim.exports import divided, export
from isp_sim.manifest import read_manifest
from isp_sim.scenes import COCO_JOINTS, JOINTS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "data"
    run = ["generate", "--rig", "exlpose-small", "--scene-count", "2", "--shots-per-scene", "2", "--seed", "4"]
    assert main([*run, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def records(data):
    return list(read_manifest(data))


@pytest.fixture(scope="module")
def with_faces(data, tmp_path_factory):
    """The same pictures, labelled with noses, eyes and ears."""
    folder = tmp_path_factory.mktemp("faces")
    for name in ("bright", "dark"):
        (folder / name).symlink_to(data / name)
    lines = [json.loads(line) for line in (data / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        for person in line["people"]:
            person["face"] = [*person["keypoints"][36:39], *person["keypoints"][36:39], 0, 0, 0, 9.5, 8.5, 2, 0, 0, 0]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return folder


def exported(data, out, form, *more):
    assert main(["export", str(data), "--format", form, "--out", str(out), *more]) == 0
    return out


def test_no_scene_is_in_train_and_in_val(records):
    parts = dict(divided(records, 0.3))
    assert len(parts["train"]) == 2 and len(parts["val"]) == 2
    scenes = [{record.scene_number for record in part} for part in parts.values()]
    assert not scenes[0] & scenes[1]
    assert [name for name, _ in divided(records, 0.0)] == ["train"]


@pytest.mark.parametrize("names", [JOINTS, COCO_JOINTS], ids=["14", "17"])
def test_yolo_pose_by_its_documented_rules(names, request, tmp_path):
    """Ultralytics finds labels by exchanging images for labels, and checks columns, shares and flip_idx as here."""
    data = request.getfixturevalue("data" if names is JOINTS else "with_faces")
    records = list(read_manifest(data))
    out = exported(data, tmp_path / "yolo", "yolo-pose", "--arm", "bright")
    config = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))
    joints, columns = config["kpt_shape"]
    assert (joints, columns) == (len(names), 3) and config["names"] == {0: "person"}
    assert [config["flip_idx"][n] for n in config["flip_idx"]] == list(range(joints))
    assert names[config["flip_idx"][names.index("left_wrist")]] == "right_wrist"
    people, by_name = 0, {Path(record.bright).name: record for record in records}
    for part in ("train", "val"):
        for picture in sorted((Path(config["path"]) / config[part]).iterdir()):
            label = Path(str(picture).replace("/images/", "/labels/")).with_suffix(".txt")
            record = by_name[picture.name]
            rows = np.array([line.split() for line in label.read_text(encoding="utf-8").splitlines()], float)
            rows = rows.reshape(-1, 5 + 3 * joints)
            assert ((rows[:, 1:5] >= 0) & (rows[:, 1:5] <= 1)).all() and (rows[:, 0] == 0).all()
            height, width = cv2.imread(str(picture)).shape[:2]
            for row, person in zip(rows, record.persons, strict=True):
                x, y, w, h = row[1:5] * (width, height, width, height)
                np.testing.assert_allclose((x - w / 2, y - h / 2, w, h), person.bbox, atol=1e-3)
                for (px, py, v), (fx, fy, fv) in zip(
                    person.coco if joints == 17 else person.keypoints, row[5:].reshape(-1, 3), strict=True
                ):
                    assert v == fv and (not v or abs(fx * width - 0.5 - px) + abs(fy * height - 0.5 - py) < 2e-3)
            people += len(rows)
    assert people == sum(len(record.people) for record in records) > 0


@pytest.mark.parametrize("names", [JOINTS, COCO_JOINTS], ids=["14", "17"])
def test_coco_is_read_by_pycocotools(names, request, records, tmp_path):
    from pycocotools.coco import COCO

    data = request.getfixturevalue("data" if names is JOINTS else "with_faces")
    out = exported(data, tmp_path / "coco", "coco")
    found = 0
    for part in ("train", "val"):
        coco = COCO(str(out / "annotations" / f"person_keypoints_{part}.json"))
        assert coco.cats[1]["keypoints"] == list(names)
        assert all((out / "images" / image["file_name"]).is_file() for image in coco.imgs.values())
        found += len(coco.anns)
    assert found == sum(len(record.people) for record in records)


def test_huggingface_is_read_by_datasets(data, records, tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    out = exported(data, tmp_path / "hf", "huggingface")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    split = {"train": "train", "val": "validation"}
    for part, chosen in divided(records, 0.2):
        rows = loaded[split[part]]
        assert len(rows) == len(chosen)
        for row, record in zip(rows, chosen, strict=True):
            assert row["low_light"].size == row["well_lit"].size == (record.width, record.height)
            assert np.mean(row["low_light"]) == pytest.approx(record.mean_low_light, abs=1e-2)
            assert row["exposure_us"] == record.exposure_us and len(row["keypoints"]) == len(record.people)
            np.testing.assert_allclose(row["boxes"], [person.bbox for person in record.people])


def test_fiftyone_reads_its_coco_layout(data, records, tmp_path):
    out = exported(data, tmp_path / "fo", "fiftyone")
    for part in ("train", "val"):
        labels = json.loads((out / part / "labels.json").read_text(encoding="utf-8"))
        assert sorted(image["file_name"] for image in labels["images"]) == sorted(os.listdir(out / part / "data"))
    importer = pytest.importorskip("fiftyone.utils.coco").COCODetectionDatasetImporter
    with importer(str(out / "val"), label_types=["detections", "keypoints"]) as samples:
        found = {Path(path).name: labels for path, _, labels in samples}
    for record in dict(divided(records, 0.2))["val"]:
        labels = found[Path(record.dark).name]
        assert len(labels["detections"].detections) == len(labels["keypoints"].keypoints) == len(record.people)


def test_mmpose_s_config_leads_to_files_that_are_there(data, tmp_path):
    config = runpy.run_path(str(exported(data, tmp_path / "mm", "mmpose") / "isp_sim_exlpose.py"))
    dataset = config["test_dataloader"]["dataset"]
    assert dataset["type"] == "ExlposeDataset" and dataset["test_mode"]
    assert Path(config["test_evaluator"]["ann_file"]) == Path(dataset["data_root"]) / dataset["ann_file"]
    for name in config["test_files"]:
        document = json.loads((data / "annotations" / "ExLPose" / name).read_text(encoding="utf-8"))
        for image in document["images"]:
            assert (data / dataset["data_prefix"]["img"] / image["file_name"]).is_file()


def test_what_is_wrong_is_a_sentence(data, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for out, more, says in (("full", (), "is not empty"), ("new", ("--val-share", "2"), "expected 0 … 1")):
        assert main(["export", str(data), "--format", "coco", "--out", str(tmp_path / out), *more]) == 1
        assert says in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--format", "coco", "--out", str(tmp_path / "new")]) == 1
    with pytest.raises(FileNotFoundError, match="No such file"):
        export(tmp_path / "nowhere", tmp_path / "n", "coco")
