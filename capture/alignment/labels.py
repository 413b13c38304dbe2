"""Labels of captured frames: where they are found, and how they come onto the pictures."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from isp_sim.manifest import FILE as MANIFEST
from isp_sim.manifest import PairRecord, PersonRecord, read_manifest
from isp_sim.picture_files import read_picture
from isp_sim.rectify import ArmMap, ArmName, Box, Points, common_box, filled_box, people_on, plane_on
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import find_annotations, read_keypoint_file


@dataclass(frozen=True)
class Labels:
    """What is known of one pair's frames.

    Attributes:
        people: in the pixels of arm `onto`.
        onto: the arm that was labelled.
        box: the part of its frame that may be used; None: all of it.
        planes: files of maps that cover `box`, by the name of their folder.
        labels: whatever else.
        truth: 3×3 low-light → well-lit, where a simulated rig made the frames.
        size: (width, height) of the frame, as the keypoint file has it; None: not stated.
    """

    people: tuple[Person, ...] = ()
    onto: ArmName = "well_lit"
    box: Box | None = None
    planes: dict[str, Path] = field(default_factory=dict)
    labels: dict[str, object] = field(default_factory=dict)
    truth: np.ndarray | None = None
    size: tuple[int, int] | None = None


def read_labels(where: Path, annotations: Path | None) -> dict[str, Labels]:
    """Labels by the stem of the well-lit file's name.

    Args:
        where: folder of captures; the manifest of a run of ours there, else a keypoint file in it or in its
            `Annotations`, on the well-lit frames as captured.
        annotations: the keypoint file to take instead, or the folder of the run of ours that the frames come from.

    Raises:
        ValueError: a file cannot be used.
    """
    run, file = _sources(where, annotations)
    if run is not None:
        return {Path(record.bright).stem: _of_record(run, record) for record in read_manifest(run)}
    if file is None:
        return {}
    images = read_keypoint_file(file).images
    return {Path(name).stem: Labels(image.people, size=image.size) for name, image in images.items()}


def labels_digest(where: Path, annotations: Path | None) -> str | None:
    """Hash of the file that labels the frames; None: none does. Arguments and faults as of `read_labels`."""
    run, file = _sources(where, annotations)
    source = run / MANIFEST if run is not None else file
    return None if source is None else hashlib.blake2b(source.read_bytes(), digest_size=16).hexdigest()


def joints_unread(where: Path, annotations: Path | None) -> tuple[str, ...]:
    """Sentences about joints of the keypoint file that are not read; arguments and faults as of `read_labels`."""
    file = _sources(where, annotations)[1]
    return () if file is None else read_keypoint_file(file).notes


def _sources(where: Path, annotations: Path | None) -> tuple[Path | None, Path | None]:
    """The run of ours that labels the frames, or the keypoint file that does."""
    if annotations is not None and not annotations.exists():
        raise ValueError(f"--annotations {annotations}: no such file or folder")
    folder = annotations if annotations and annotations.is_dir() else where if where.is_dir() else where.parent
    if folder == annotations and not (folder / MANIFEST).is_file():
        raise ValueError(
            f"--annotations {folder}: not a finished run of isp_sim.generate; expected such a folder or a keypoint file"
        )
    if (annotations is None or folder == annotations) and (folder / MANIFEST).is_file():
        return folder, None
    inner = folder / "Annotations"
    return None, annotations or find_annotations(folder) or (find_annotations(inner) if inner.is_dir() else None)


def _of_record(folder: Path, record: PairRecord) -> Labels:
    left, top, _, _ = record.crop
    size = (record.frame_height, record.frame_width)
    people = people_on(record.persons, lambda points: points + np.array([left, top]), (0, 0, size[1], size[0]))
    planes = {name: folder / file for name, file in record.planes.items()}
    return Labels(people, record.onto, record.crop, planes, record.labels, np.array(record.low_to_well))


def common_crop(labels: Labels, arms: ArmMap, onto: ArmName) -> Box:
    """The crop of arm `onto` that both arms fill and the labels' maps cover.

    Raises:
        ValueError: hardly anything is left.
    """
    within = None
    if labels.box is not None:
        within = filled_box(lambda points: _moved(points, labels, arms, onto), arms.size, source=labels.box)
    return common_box(arms, onto, within)


def placed(labels: Labels, arms: ArmMap, onto: ArmName, box: Box) -> tuple[PersonRecord, ...]:
    """People on a crop of arm `onto`, as the manifest has them; those cut to less than a pixel are left out."""
    people = people_on(labels.people, lambda points: _moved(points, labels, arms, onto), box)
    return tuple(PersonRecord.of(person) for person in people if min(person.bbox[2:]) >= 1)


def placed_plane(path: Path, labels: Labels, arms: ArmMap, onto: ArmName, box: Box) -> np.ndarray:
    """A map of the labels on a crop of arm `onto`; values are never interpolated.

    Raises:
        ValueError: not a readable map of the labels' size.
    """
    plane = read_picture(path, cv2.IMREAD_UNCHANGED)
    assert labels.box is not None
    known_x, known_y, known_width, known_height = labels.box
    if plane.shape[:2] != (known_height, known_width):
        raise ValueError(f"{path}: not a map of {known_width}×{known_height} px")
    left, top, width, height = box
    pixels = np.stack(np.meshgrid(np.arange(width) + left, np.arange(height) + top), axis=-1).reshape(-1, 2)
    seen = pixels if labels.onto == onto else arms.moved(pixels, labels.onto)
    at = (seen - (known_x, known_y)).reshape(height, width, 2).astype(np.float32)
    return plane_on(plane, at)


def _moved(points: Points, labels: Labels, arms: ArmMap, onto: ArmName) -> Points:
    return points if labels.onto == onto else arms.moved(points, onto)
