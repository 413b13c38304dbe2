"""A data set's pictures and labels in the layouts that other tools open; docs/loaders.md says which file is for what.

| format | files | opened by |
|---|---|---|
| `yolo-pose` | `images/<train, val>/`, `labels/<train, val>/*.txt`, `data.yaml` | Ultralytics |
| `coco` | `images/`, `annotations/person_keypoints_<train, val>.json` | pycocotools, Detectron2 |
| `fiftyone` | `<train, val>/data/`, `<train, val>/labels.json` | FiftyOne's `COCODetectionDataset` |
| `huggingface` | `<train, val>/metadata.jsonl`, `<train, val>/<low_light, well_lit>/` | `datasets`' `imagefolder` |
| `mmpose` | `isp_sim_exlpose.py`, a config that reads the data set where it is | MMPose 1.x |

Scenes, not pictures, are divided into train and val: the shots of one scene resemble each other.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isp_sim.annotation_files import MMPOSE, coco, coco17
from isp_sim.choices import Arm, ExportFormat
from isp_sim.files import write_atomically
from isp_sim.manifest import FILE, PairRecord, PersonRecord, read_manifest
from isp_sim.scenes import COCO_JOINTS, JOINTS
from isp_sim.stores import remote

Part = tuple[str, list[PairRecord]]
"""`train` or `val`, and its pairs."""


def export(folder: Path, out: Path, form: ExportFormat, arm: Arm = "dark", val_share: float = 0.2) -> int:
    """Write a data set in another layout; pictures are hard links where the file system can.

    Args:
        folder: a closed data set of `isp_sim.generate` or `capture.align`.
        out: a folder that is empty or not there.
        form: the layout.
        arm: whose pictures; Hugging Face and MMPose get both.
        val_share: of the scenes, the last ones, that are `val`; 0 … 1.

    Returns:
        How many pairs there are.

    Raises:
        ValueError: the share is out of range, the manifest is faulty, or the pairs lie in shards.
        FileNotFoundError: no manifest, or a picture is missing.
    """
    if not 0 <= val_share <= 1:
        raise ValueError(f"a val share of {val_share}; expected 0 … 1")
    if remote(folder) or (not (folder / FILE).exists() and any(folder.glob("pairs-*.tar"))):
        shards = remote(folder) or folder
        raise ValueError(f"{shards}: pairs in tar shards; expected them in folders: isp-sim unpack {shards} --out …")
    records = list(read_manifest(folder))
    for record in records:
        for name in (record.bright, record.dark):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name}: no such file; manifest.jsonl names it")
    parts = divided(records, val_share)
    out.mkdir(parents=True, exist_ok=True)
    if form == "mmpose":
        _mmpose(folder, out)
    elif form == "yolo-pose":
        _yolo(folder, out, parts, arm)
    elif form == "huggingface":
        _huggingface(folder, out, parts)
    else:
        _coco(folder, out, parts, arm, form)
    return len(records)


def divided(records: Sequence[PairRecord], val_share: float) -> list[Part]:
    """Pairs by whole scenes: the last `val_share` of them (at least one where it is above 0) are `val`."""
    scenes = sorted({record.scene_number for record in records})
    held = max(round(len(scenes) * val_share), 1 if val_share > 0 and len(scenes) > 1 else 0)
    val = set(scenes[len(scenes) - held :])
    parts = [
        ("train", [record for record in records if record.scene_number not in val]),
        ("val", [record for record in records if record.scene_number in val]),
    ]
    return [(name, chosen) for name, chosen in parts if chosen]


def _seventeen(parts: Sequence[Part]) -> bool:
    """Whether labels have faces, so that they are COCO's 17 joints rather than ExLPose's 14."""
    return any(person.face for _, records in parts for record in records for person in record.people)


def _yolo(folder: Path, out: Path, parts: Sequence[Part], arm: Arm) -> None:
    """A line a person, `0 x y w h` of the box and `x y v` of each joint, lengths in shares of the picture's sides.

    Joints count from the centre of the first pixel, YOLO's from its corner: `(x + ½)/width`. People marked as a crowd
    are left out, because the format has no such mark.
    """
    seventeen = _seventeen(parts)
    for part, records in parts:
        for record in records:
            picture = Path(getattr(record, arm)).name
            _place(folder / getattr(record, arm), out / "images" / part / picture)
            lines = [_yolo_line(person, record, seventeen) for person in record.people if not person.iscrowd]
            _write(out / "labels" / part / f"{Path(picture).stem}.txt", "".join(lines))
    names = [part for part, _ in parts]
    joints = COCO_JOINTS if seventeen else JOINTS
    flip = [joints.index(_mirrored(joint)) for joint in joints]
    _write(
        out / "data.yaml",
        f"path: {json.dumps(str(out.resolve()))}\ntrain: images/{names[0]}\nval: images/{names[-1]}\n"
        f"kpt_shape: [{len(joints)}, 3]\nflip_idx: {flip}\nnames:\n  0: person\n"
        f"kpt_names:\n  0: {json.dumps(list(joints))}\n",
    )


def _yolo_line(person: PersonRecord, record: PairRecord, seventeen: bool) -> str:
    x, y, width, height = person.bbox
    box = (
        (x + width / 2) / record.width,
        (y + height / 2) / record.height,
        width / record.width,
        height / record.height,
    )
    joints = person.person.coco if seventeen else person.person.keypoints
    flat = [
        f"{(px + 0.5) / record.width if v else 0:.6f} {(py + 0.5) / record.height if v else 0:.6f} {v}"
        for px, py, v in joints
    ]
    return " ".join(["0", *(f"{min(max(value, 0.0), 1.0):.6f}" for value in box), *flat]) + "\n"


def _mirrored(joint: str) -> str:
    side, _, rest = joint.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, joint)


def _coco(folder: Path, out: Path, parts: Sequence[Part], arm: Arm, form: ExportFormat) -> None:
    """COCO keypoints; FiftyOne wants each part in a folder of its own, and file names relative to its `data`."""
    document_of = coco17 if _seventeen(parts) else coco
    for part, records in parts:
        pictures = out / part / "data" if form == "fiftyone" else out / "images"
        document: dict[str, Any] = document_of(records, arm)
        for image in document["images"]:
            name = Path(image["file_name"]).name
            _place(folder / image["file_name"], pictures / name)
            image["file_name"] = name
        where = out / part / "labels.json" if form == "fiftyone" else out / f"annotations/person_keypoints_{part}.json"
        _write(where, json.dumps(document, separators=(",", ":")))


def _huggingface(folder: Path, out: Path, parts: Sequence[Part]) -> None:
    """A line of `metadata.jsonl` a pair; `<name>_file_name` becomes the picture `<name>` when it is loaded."""
    for part, records in parts:
        lines = []
        for record in records:
            row: dict[str, Any] = {}
            for column, name in (("low_light", record.dark), ("well_lit", record.bright)):
                row[f"{column}_file_name"] = f"{column}/{Path(name).name}"
                _place(folder / name, out / part / row[f"{column}_file_name"])
            people = [person for person in record.people if not person.iscrowd]
            row |= {
                "scene": record.scene_number,
                "split": record.split,
                "exposure_us": record.exposure_us,
                "low_light_gain_db": record.low_light_gain_db,
                "boxes": [list(person.bbox) for person in people],
                "keypoints": [[float(value) for value in person.keypoints] for person in people],
            }
            lines.append(json.dumps(row) + "\n")
        _write(out / part / "metadata.jsonl", "".join(lines))


def _mmpose(folder: Path, out: Path) -> None:
    """The lines of an MMPose config that differ from its own for ExLPose, for the annotation files that are there."""
    files = sorted((folder / MMPOSE).glob("ExLPose_*_L*.json"))
    train = next((file.name for file in files if "_train_" in file.name), None)
    tests = [file.name for file in files if "_test_" in file.name]
    lines = [
        "# Put this after `_base_ = [...]`, or give it to Config.merge_from_dict; the rest is MMPose's own config.",
        f"data_root = {str(folder.resolve())!r}",
        "data_mode = 'topdown'",
    ]
    for loader, name, test in (("train", train, False), *(("test", name, True) for name in tests[:1])):
        if name:
            lines += [
                f"{loader}_dataset = dict(type='ExlposeDataset', data_root=data_root, data_mode=data_mode,",
                f"    ann_file='{MMPOSE}/{name}', data_prefix=dict(img=''), test_mode={test})",
                f"{loader}_dataloader = dict(dataset={loader}_dataset)",
            ]
    if tests:
        lines += [
            "test_evaluator = dict(type='CocoMetric', use_area=False,",
            f"    ann_file=data_root + '/{MMPOSE}/{tests[0]}')",
            f"test_files = {tests!r}",
        ]
    _write(out / "isp_sim_exlpose.py", "\n".join(lines) + "\n")


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
