"""A data set's pose labels, in the files that ExLPose's loaders open.

| file | arm in its paths | opened by |
|---|---|---|
| `Annotations/ExLPose_test_<LL-N …, WL>.json`, `…_train_<LL, WL>.json` | dark, WL bright | most users of the set |
| `annotations/ExLPose/` with the same names | dark, WL bright | MMPose's `ExlposeDataset` |
| `Annotations/ExLPose/ExLPose_test_<LL-Normal …>.json` | bright | the authors' evaluator |
| `Annotations/ExLPose/ExLPose_test_<…>_trans.json`, `ExLPose_train_trans.json` | bright | the authors' loaders |
| `Annotations/ExLPose/brightPath2darkPath.txt` | both, a pair a line | what finds a picture's partner |
| `Annotations/COCO/` with the first row's names | dark, WL bright | COCO's 17 joints, where a face is labelled |

docs/loaders.md says what of this is known from which source.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isp_sim.choices import Subset
from isp_sim.files import write_atomically
from isp_sim.manifest import PairRecord, PersonRecord
from isp_sim.scenes import COCO_JOINTS, JOINTS, SKELETON

SPLITS = ("LL-N", "LL-H", "LL-E", "LL-A", "WL")
"""ExLPose's test splits, by the well-lit arm's gain; LL-A is all of the low light, WL the well-lit pictures."""
TRAIN_SPLITS = ("LL", "WL")
AUTHORS_NAMES = {"LL-N": "LL-Normal", "LL-H": "LL-Hard", "LL-E": "LL-Extreme", "LL-A": "LL-All"}
"""What the authors' repository calls the low-light test splits."""

ANNOTATIONS = "Annotations"
AUTHORS, MMPOSE = "Annotations/ExLPose", "annotations/ExLPose"
COCO_FOLDER = "Annotations/COCO"
ANNOTATION_FOLDERS = (ANNOTATIONS, AUTHORS, MMPOSE)
PARTNERS = "brightPath2darkPath.txt"

AREA_SHARE = 0.53
"""A person's area over that of the box: what the CrowdPose and ExLPose evaluators take, which have no masks."""


def annotation_file(folder: Path, split: str, subset: Subset = "test") -> Path:
    """Where a split's COCO JSON lies in a data set."""
    return folder / ANNOTATIONS / f"ExLPose_{subset}_{split}.json"


def write_annotations(folder: Path, records: Sequence[PairRecord], subset: Subset) -> None:
    """Write every annotation file of a data set.

    Args:
        folder: the data set; `ANNOTATION_FOLDERS` are there.
        records: of its pairs.
        subset: test files by split, or training files.
    """
    seventeen = any(person.face for record in records for person in record.people)
    for split in SPLITS if subset == "test" else TRAIN_SPLITS:
        chosen, arm = _of_split(records, split), "bright" if split == "WL" else "dark"
        document = coco(chosen, arm)
        for path in (annotation_file(folder, split, subset), folder / MMPOSE / f"ExLPose_{subset}_{split}.json"):
            _write(path, document)
        if seventeen:
            path = folder / COCO_FOLDER / f"ExLPose_{subset}_{split}.json"
            path.parent.mkdir(exist_ok=True)
            _write(path, coco17(chosen, arm))
    if subset == "test":
        for split, name in AUTHORS_NAMES.items():
            chosen = _of_split(records, split)
            _write(folder / AUTHORS / f"ExLPose_test_{name}.json", coco(chosen, "bright"))
            _write(folder / AUTHORS / f"ExLPose_test_{name}_trans.json", trans(chosen))
    else:
        people = [entry | {"operation": 0} for entry in trans(records)]
        _write(folder / AUTHORS / "ExLPose_train_trans.json", people)
    partners = "".join(f"{record.bright} {record.dark}\n" for record in records)
    write_atomically(folder / AUTHORS / PARTNERS, partners.encode())


def _of_split(records: Sequence[PairRecord], split: str) -> list[PairRecord]:
    return [record for record in records if split in ("LL", "LL-A", "WL", record.split)]


def _write(path: Path, document: object) -> None:
    write_atomically(path, json.dumps(document, separators=(",", ":")).encode())


def coco(records: Sequence[PairRecord], arm: str) -> dict[str, Any]:
    """COCO keypoints on one arm's pictures.

    Annotation ids begin at 1, because pycocotools loses id 0; `area` is 0.53·w·h of the box (`AREA_SHARE`), which
    pycocotools' evaluator cannot do without.

    Args:
        records: of its pairs.
        arm: `bright` or `dark`, whose pictures.
    """
    annotations: list[dict[str, Any]] = []
    for record in records:
        for person in record.people:
            box = [round(v, 2) for v in person.bbox]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": record.id,
                    "category_id": 1,
                    "iscrowd": person.iscrowd,
                    "num_keypoints": _labelled(person),
                    "keypoints": [round(v, 2) for v in person.keypoints],
                    "bbox": box,
                    "area": round(AREA_SHARE * box[2] * box[3], 2),
                }
            )
    images = [
        {"file_name": getattr(one, arm), "id": one.id, "height": one.height, "width": one.width, "crowdIndex": 0}
        for one in records
    ]
    category = {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(JOINTS),
        "skeleton": [list(bone) for bone in SKELETON],
    }
    info = {"description": "isp-sim, simulated; ExLPose layout"}
    return {"info": info, "categories": [category], "images": images, "annotations": annotations}


def coco17(records: Sequence[PairRecord], arm: str) -> dict[str, Any]:
    """As `coco`, with COCO's 17 joints: the face and no head and neck.

    Args:
        records: of its pairs.
        arm: `bright` or `dark`, whose pictures.
    """
    document = coco(records, arm)
    people = (one.person.coco for record in records for one in record.people)
    for annotation, joints in zip(document["annotations"], people, strict=True):
        annotation["keypoints"] = [round(value, 2) for joint in joints for value in joint]
        annotation["num_keypoints"] = sum(v > 0 for _, _, v in joints)
    bones = [[COCO_JOINTS.index(JOINTS[joint]) for joint in bone] for bone in SKELETON if max(bone) < 12]
    document["categories"][0] |= {"keypoints": list(COCO_JOINTS), "skeleton": bones}
    return document


def trans(records: Sequence[PairRecord]) -> list[dict[str, Any]]:
    """The authors' list: an entry a person with a labelled joint, its box as whole-pixel corners, rounded down.

    Args:
        records: of its pairs.
    """
    people: list[dict[str, Any]] = []
    for record in records:
        for person in record.people:
            if person.iscrowd or not _labelled(person):
                continue
            x, y, width, height = (round(v, 2) for v in person.bbox)
            unit = {
                "num_keypoints": _labelled(person),
                "keypoints": [round(v, 2) for v in person.keypoints],
                "GT_bbox": [int(x), int(y), int(x + width), int(y + height)],
            }
            image = {"imgID": record.id, "img_paths": record.bright}
            people.append({"unit": unit, "imgInfo": image, "score": 1})
    return people


def _labelled(person: PersonRecord) -> int:
    return sum(v > 0 for v in person.keypoints[2::3])
