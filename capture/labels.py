"""Labels of captured frames: where they are found, and how they follow the crop.

The well-lit arm is cropped and not resampled, so its labels move by whole pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from capture.develop import Box
from isp_sim.dataset import read_manifest
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import find_annotations, read_keypoint_file


@dataclass(frozen=True)
class Labels:
    """What is known of one well-lit frame.

    Attributes:
        people: in the frame's pixels.
        box: the part of the frame that may be used; None: all of it.
        planes: files of maps that cover `box`, by the name of their folder.
        labels: whatever else.
        truth: 3×3 low-light → well-lit, where a simulated rig made the frames.
        size: (width, height) of the frame that the keypoint file speaks of; None: it does not say.
    """

    people: tuple[Person, ...] = ()
    box: Box | None = None
    planes: dict[str, Path] = field(default_factory=dict)
    labels: dict[str, object] = field(default_factory=dict)
    truth: np.ndarray | None = None
    size: tuple[int, int] | None = None


def read_labels(where: Path, annotations: Path | None) -> dict[str, Labels]:
    """Labels by the stem of the well-lit file's name.

    Args:
        where: folder of captures; a manifest of ours there tells all it knows, else a keypoint file in it or in its
            `Annotations`, on the well-lit frames as captured.
        annotations: the keypoint file to take instead, or the folder of the run of ours that the frames come from.

    Raises:
        ValueError: a file cannot be used.
    """
    run, file = _sources(where, annotations)
    if run is not None:
        return {Path(line["bright"]).stem: _of_line(run, line) for line in read_manifest(run)}
    if file is None:
        return {}
    images = read_keypoint_file(file).images
    return {Path(name).stem: Labels(image.people, size=image.size) for name, image in images.items()}


def joints_unread(where: Path, annotations: Path | None) -> tuple[str, ...]:
    """Sentences about joints of the keypoint file that are not read; arguments and faults as of `read_labels`."""
    file = _sources(where, annotations)[1]
    return () if file is None else read_keypoint_file(file).notes


def _sources(where: Path, annotations: Path | None) -> tuple[Path | None, Path | None]:
    """The run of ours that labels the frames, or the keypoint file that does."""
    if annotations is not None and not annotations.exists():
        raise ValueError(f"--annotations {annotations}: no such file or folder")
    folder = annotations if annotations and annotations.is_dir() else where if where.is_dir() else where.parent
    if folder == annotations and not (folder / "manifest.jsonl").is_file():
        raise ValueError(
            f"--annotations {folder}: is no finished run of isp_sim.generate; a keypoint file will do as well"
        )
    if (annotations is None or folder == annotations) and (folder / "manifest.jsonl").is_file():
        return folder, None
    inner = folder / "Annotations"
    return None, annotations or find_annotations(folder) or (find_annotations(inner) if inner.is_dir() else None)


def _of_line(folder: Path, line: dict[str, Any]) -> Labels:
    left, top, width, height = line["crop"]
    people = []
    for person in line["people"]:
        joints = np.array(person["keypoints"], float).reshape(-1, 3)
        keypoints = tuple((x + left, y + top, int(v)) if v else (0.0, 0.0, 0) for x, y, v in joints.tolist())
        x, y, w, h = person["bbox"]
        people.append(Person(keypoints, (x + left, y + top, w, h), person["iscrowd"]))
    planes = {name: folder / file for name, file in line["planes"].items()}
    truth = np.array(line["low_to_well"]) if "low_to_well" in line else None
    return Labels(tuple(people), (left, top, width, height), planes, line["labels"], truth)


def placed(people: Sequence[Person], box: Box) -> list[dict[str, Any]]:
    """People on a crop, as a manifest's line has them; joints outside become unlabelled, boxes are cut."""
    left, top, width, height = box
    found: list[dict[str, Any]] = []
    for person in people:
        joints: list[float] = []
        for x, y, v in person.keypoints:
            inside = v and -0.5 <= x - left < width - 0.5 and -0.5 <= y - top < height - 0.5
            joints += [x - left, y - top, v] if inside else [0.0, 0.0, 0]
        x, y, w, h = person.bbox
        x0, y0 = max(x - left, 0.0), max(y - top, 0.0)
        x1, y1 = min(x + w - left, width), min(y + h - top, height)
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            found.append({"keypoints": joints, "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": person.iscrowd})
    return found


def cropped_plane(path: Path, known: Box, box: Box) -> np.ndarray:
    """A map that covers `known`, cut to `box` inside it.

    Raises:
        ValueError: no readable map of that size.
    """
    plane = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if plane is None or plane.shape[:2] != (known[3], known[2]):
        raise ValueError(f"{path}: is no map of {known[2]}×{known[3]} px")
    left, top = box[0] - known[0], box[1] - known[1]
    return np.ascontiguousarray(plane[top : top + box[3], left : left + box[2]])
