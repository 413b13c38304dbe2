"""A data set of ours, read as the public loaders of ExLPose read theirs: are all people, pictures and partners there?

    python benchmarks/loaders.py [--pairs 200] [--split test] [--scenes PHOTOS] [--data FOLDER]

Shoots pairs with `rigs/exlpose-small.yaml` into a temporary folder (or takes a folder that is there) and opens every
annotation file as MMPose's `ExlposeDataset` and as the loaders of the ExLPose authors' repository do, every picture
included; then pycocotools' evaluator, as it comes, scores the labels against themselves. Counts stand beside those of
`manifest.jsonl`; the exit status is 1 where they differ. The readers are written after the two projects, from the keys
and paths they use; docs/loaders.md names the sources.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table

from isp_sim import generate
from isp_sim.annotation_files import AUTHORS, AUTHORS_NAMES, MMPOSE, PARTNERS, SPLITS, TRAIN_SPLITS, annotation_file
from isp_sim.manifest import read_manifest
from isp_sim.tables import terminal_table
from models.scoring.average_precision import SIGMAS


def mmpose_people(root: Path, ann_file: str) -> list[dict[str, Any]]:
    """What MMPose's `ExlposeDataset` makes of a file: a sample a person with a joint, its box within the picture."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(root / ann_file))
    people = []
    for image_id in coco.getImgIds():
        image = coco.loadImgs(image_id)[0]
        for person in coco.loadAnns(coco.getAnnIds(imgIds=image_id, iscrowd=False)):
            if max(person["keypoints"]) == 0:
                continue
            x, y, width, height = person["bbox"]
            left, right = np.clip((x, x + width), 0, image["width"] - 1)
            top, bottom = np.clip((y, y + height), 0, image["height"] - 1)
            joints = np.array(person["keypoints"], np.float32).reshape(14, 3)
            if person["num_keypoints"] == 0 or right <= left or bottom <= top:
                continue
            people.append(
                {
                    "pictures": (root / image["file_name"],),
                    "box": (left, top, right, bottom),
                    "joints": joints[:, :2],
                    "visible": np.minimum(1, joints[:, 2]),
                    "id": person["id"],
                }
            )
    return people


def authors_people(root: Path, name: str) -> list[dict[str, Any]]:
    """What the authors' loaders make of a `_trans.json`: a crop a person; the partner stands in the list of pairs."""
    lines = (root / AUTHORS / PARTNERS).read_text(encoding="utf-8").splitlines()
    partners = dict(line.split(" ") for line in lines)
    people = []
    for entry in json.loads((root / AUTHORS / name).read_text(encoding="utf-8")):
        unit, bright = entry["unit"], entry["imgInfo"]["img_paths"]
        people.append(
            {
                "pictures": (root / bright, root / partners[bright]),
                "image": int(entry["imgInfo"]["imgID"]),
                "box": tuple(np.array(unit["GT_bbox"]).reshape(4).astype(np.float32)),
                "joints": np.array(unit["keypoints"]).reshape(14, 3).astype(np.float32),
                "extra": entry["operation"] if "train" in name else float(entry["score"]),
            }
        )
    return people


def evaluated(path: Path) -> float:
    """AP of a file's labels against themselves, through pycocotools as it comes; only the sigmas are ExLPose's."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        found = [
            {"image_id": one["image_id"], "category_id": 1, "keypoints": one["keypoints"], "score": 0.9}
            for one in truth.dataset["annotations"]
            if one["num_keypoints"]
        ]
        if not found:
            return float("nan")
        judge = COCOeval(truth, truth.loadRes(found), "keypoints")
        judge.params.kpt_oks_sigmas = np.array(SIGMAS)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


def expected(root: Path, split: str) -> int:
    """People with a labelled joint in a split, out of the manifest."""
    return sum(
        any(person.keypoints[2::3])
        for line in read_manifest(root)
        if split in ("LL", "LL-A", "WL", line.split)
        for person in line.people
    )


def files_of(subset: str) -> list[tuple[str, str, str, Callable[[Path, str], list[dict[str, Any]]]]]:
    """(loader, split, file, reader) of every annotation file a loader opens."""
    if subset == "test":
        authors = [(split, f"ExLPose_test_{name}_trans.json") for split, name in AUTHORS_NAMES.items()]
    else:
        authors = [("LL", "ExLPose_train_trans.json")]
    splits = SPLITS if subset == "test" else TRAIN_SPLITS
    mmpose = [(split, f"{MMPOSE}/ExLPose_{subset}_{split}.json") for split in splits]
    return [("MMPose", split, file, mmpose_people) for split, file in mmpose] + [
        ("authors", split, file, authors_people) for split, file in authors
    ]


def report(root: Path, subset: str) -> tuple[Table, bool]:
    """The table, and whether every count is the manifest's, every picture opens and every AP is 1."""
    rows, good = [], True
    for loader, split, file, reader in files_of(subset):
        people, known = reader(root, file), expected(root, split)
        pictures = {path for person in people for path in person["pictures"]}
        opened = sum(cv2.imread(str(path)) is not None for path in pictures)
        ap = evaluated(annotation_file(root, split, "train" if subset == "train" else "test"))
        good &= len(people) == known and opened == len(pictures) and (known == 0 or ap == 1)
        counts = (len(people), known, len(pictures), opened)
        rows.append((loader, file, *counts, f"{ap:.3f}" if loader == "MMPose" else ""))
    headings = ("loader", "file", "people", "in the manifest", "pictures", "that open", "AP of the labels")
    return terminal_table(f"{sum(1 for _ in read_manifest(root))} pairs, {subset}", headings, rows), good


def main() -> int:
    """Shoot, read, print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--pairs", type=int, default=200)
    asked.add_argument("--split", default="test", choices=("train", "test"))
    asked.add_argument("--scenes", default="people")
    asked.add_argument("--data", type=Path, help="a folder that isp_sim.generate wrote, instead of shooting one")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.data or Path(temporary) / "pairs"
        if given.data is None:
            options = ["--rig", "exlpose-small", "--scenes", given.scenes, "--count", str(given.pairs)]
            if generate.main([*options, "--split", given.split, "--out", str(root)]):
                return 1
        table, good = report(root, given.split)
    Console(width=140).print(table)
    print("every count is the manifest's" if good else "counts differ")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
