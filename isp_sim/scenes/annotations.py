"""People in pictures: COCO-style keypoint files (COCO, CrowdPose, ExLPose and their like) → `Person`s.

What real files do and this reader allows: annotation ids that start at 0, people without a single joint,
a `num_keypoints` that counts wrong (it is not read), file names with a folder before them, backslashes between folders,
joints by other names (`isp_sim.scenes.joint_names`), no `area`.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from isp_sim.files import json_object
from isp_sim.scenes import COCO_JOINTS, FACE, JOINTS, Person
from isp_sim.scenes.joint_names import read_names

FAULTS_SHOWN = 5


@dataclass(frozen=True)
class LabelledImage:
    """What a keypoint file says of one picture.

    Attributes:
        people: in its pixels.
        size: (width, height) its labels are for, px; None where the file does not say.
    """

    people: tuple[Person, ...]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class KeypointFile:
    """A keypoint file as read.

    Attributes:
        images: by file name, both as written (`"bright/x.png"`, backslashes read as `/`) and without its folder
            (`"x.png"`), the latter where only one picture has it.
        notes: a sentence for each thing the user should know was not read.
    """

    images: dict[str, LabelledImage]
    notes: tuple[str, ...]

    def of(self, path: Path) -> LabelledImage | None:
        """The labels of a picture: its name with as many of its folders as the file has; None: it has none."""
        parts = path.parts
        names = ("/".join(parts[-depth:]) for depth in range(len(parts), 0, -1))
        return next((self.images[name] for name in names if name in self.images), None)


def read_annotations(path: Path) -> dict[str, tuple[Person, ...]]:
    """People of every picture a keypoint file lists, by the picture's name as in `KeypointFile.images`.

    A picture without people has an empty tuple. Raises as `read_keypoint_file`.
    """
    return {name: image.people for name, image in read_keypoint_file(path).images.items()}


def read_keypoint_file(path: Path) -> KeypointFile:
    """Everything a keypoint file says.

    A category that names its keypoints gives the joints' order; otherwise as many as `JOINTS` has are those, 17 are
    COCO's. A joint the file does not have (COCO: head and neck) becomes (0, 0, 0), not labelled. Nose, eyes and ears
    become `Person.face`.

    Args:
        path: JSON with `images` (`id`, `file_name`, perhaps `width` and `height`) and `annotations` (`image_id`,
            `keypoints`, `bbox`).

    Raises:
        ValueError: the file cannot be used; one sentence names up to five faults and counts the rest.
    """
    return keypoint_document(json_object(path.read_bytes(), path), path)


def keypoint_document(document: dict[str, Any], path: object) -> KeypointFile:
    """As `read_keypoint_file`, of a file's content; `path` names it in the sentence."""
    _check_lists(document, path)
    faults: list[str] = []
    notes: list[str] = []
    orders = _joint_orders(document, faults, notes)
    names = _file_names(document, faults)
    sizes = _sizes(document, faults)
    people = _people(document, names, orders, faults)
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise ValueError(f"{path}: {'; '.join(faults[:FAULTS_SHOWN])}{more}")
    images = {name: LabelledImage(tuple(people[image_id]), sizes.get(image_id)) for image_id, name in names.items()}
    return KeypointFile(_by_name(images), tuple(f"{path}: {note}" for note in notes))


def check_size(picture: Path, labels_size: tuple[int, int] | None, *sizes: tuple[int, int]) -> None:
    """Refuse labels that were made for a picture of another size.

    Args:
        picture: its file, for the sentence.
        labels_size: (width, height) in the keypoint file, px; None where it has none, which fits any picture.
        sizes: (width, height) that fit, the picture's own first.

    Raises:
        ValueError: naming the picture and both sizes.
    """
    if labels_size is not None and labels_size not in sizes:
        raise ValueError(
            f"{picture}: its annotations say {labels_size[0]}×{labels_size[1]}, "
            f"the picture has {sizes[0][0]}×{sizes[0][1]} px; "
            "expected labels for the picture as it is: scale them, or give the picture they were drawn on"
        )


def find_annotations(folder: Path) -> Path | None:
    """The one keypoint file in a folder; None where there is none.

    Lists of detections, manifests and other JSON are passed over: a keypoint file is an object that speaks
    of `"annotations"` and of `"keypoints"`.

    Raises:
        ValueError: there are several, so the caller has to choose.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        text = path.read_bytes()
        if text.lstrip()[:1] == b"{" and b'"annotations"' in text and b'"keypoints"' in text:
            found.append(path)
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise ValueError(f"{folder} holds {len(found)} keypoint files ({listed}); name the one to use as annotations")
    return found[0] if found else None


def _check_lists(document: dict[str, list[object]], path: object) -> None:
    expected = "expected a JSON object with the lists images and annotations"
    for field in ("images", "annotations"):
        if not isinstance(document.get(field), list):
            raise ValueError(f"{path} has no list {field}; {expected}")
    if not isinstance(document.setdefault("categories", []), list):
        raise ValueError(f"{path}: categories is {document['categories']!r}; expected a list")


def _record(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"is {value!r}; expected an object")
    return value


def _field(record: dict[str, object], name: str) -> object:
    if name not in record:
        raise ValueError(f"has no field {name}")
    return record[name]


def _identity(record: dict[str, object], name: str) -> int | str:
    value = _field(record, name)
    if not isinstance(value, int | str):
        raise ValueError(f"{name} is {value!r}; expected a whole number or a string")
    return value


def _file_names(document: dict[str, list[object]], faults: list[str]) -> dict[object, str]:
    """File names by image id."""
    names: dict[object, str] = {}
    for number, image in enumerate(document["images"]):
        try:
            record = _record(image)
            image_id, name = _identity(record, "id"), _field(record, "file_name")
            if not isinstance(name, str) or not name:
                raise ValueError(f"file_name is {name!r}; expected a file's name")
            if image_id in names:
                raise ValueError(f"id is {image_id!r}, which another image has; expected each id once")
            names[image_id] = name.replace("\\", "/")  # written under Windows
        except ValueError as fault:
            faults.append(f"image number {number}: {fault}")
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    faults.extend(f"file_name {name} is listed more than once; expected once" for name in twice)
    return names


def _sizes(document: dict[str, list[object]], faults: list[str]) -> dict[object, tuple[int, int]]:
    """(width, height) by image id, of the images that have both."""
    sizes: dict[object, tuple[int, int]] = {}
    for number, image in enumerate(document["images"]):
        if not isinstance(image, dict) or image.get("width") is None or image.get("height") is None:
            continue
        sides = image["width"], image["height"]
        if any(type(side) not in (int, float) or side < 1 or side != int(side) for side in sides):
            faults.append(f"image number {number}: width and height are {sides}; expected whole numbers from 1")
        elif isinstance(image.get("id"), int | str):
            sizes[image["id"]] = (int(sides[0]), int(sides[1]))
    return sizes


def _joint_orders(
    document: dict[str, list[object]], faults: list[str], notes: list[str]
) -> dict[object, tuple[str | None, ...]]:
    """The joints each category names, in its order; categories that name none are left out."""
    orders: dict[object, tuple[str | None, ...]] = {}
    for number, category in enumerate(document["categories"]):
        try:
            record = _record(category)
            names = record.get("keypoints")
            if not names:
                continue
            if not isinstance(names, list):
                raise ValueError(f"keypoints is {names!r}; expected a list of joint names")
            order, unread = read_names([str(name) for name in names])
            orders[_identity(record, "id")] = order
            absent = [joint for joint in JOINTS if joint not in order]
            if unread or absent:
                left = f"joints that are not read: {', '.join(unread)}" if unread else ""
                lacking = f"joints that it lacks and nobody is labelled with: {', '.join(absent)}" if absent else ""
                called = record.get("name", record["id"])
                notes.append(f"category {called}: {'; '.join(part for part in (left, lacking) if part)}")
        except ValueError as fault:
            faults.append(f"category number {number}: {fault}")
    return orders


def _person(annotation: dict[str, object], order: tuple[str | None, ...] | None) -> Person:
    values = _numbers(annotation, "keypoints")
    if order is None:
        order = {3 * len(JOINTS): JOINTS, 3 * len(COCO_JOINTS): COCO_JOINTS}.get(len(values))
    if order is None or len(values) != 3 * len(order):
        known = f"{3 * len(JOINTS)} ({len(JOINTS)} joints) or {3 * len(COCO_JOINTS)} (COCO's {len(COCO_JOINTS)} joints)"
        raise ValueError(f"keypoints has {len(values)} numbers; expected {3 * len(order) if order else known}")
    if not set(values[2::3]) <= {0, 1, 2}:
        raise ValueError(f"keypoints has visibility {sorted(set(values[2::3]) - {0, 1, 2})}; expected 0, 1 or 2")
    keypoints = {
        joint: (values[3 * place], values[3 * place + 1], int(values[3 * place + 2]))
        for place, joint in enumerate(order)
        if joint is not None and values[3 * place + 2]
    }
    x, y, width, height = _box(annotation)
    if keypoints and min(width, height) <= 0:
        raise ValueError(f"bbox is {[x, y, width, height]} round labelled joints; expected a width and a height > 0")
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise ValueError(f"iscrowd is {crowd!r}; expected 0 or 1")
    labelled, face = (tuple(keypoints.get(joint, (0.0, 0.0, 0)) for joint in names) for names in (JOINTS, FACE))
    labelled_face = face if any(v for _, _, v in face) else ()
    return Person(keypoints=labelled, bbox=(x, y, width, height), iscrowd=1 if crowd else 0, face=labelled_face)


def _box(annotation: dict[str, object]) -> list[float]:
    box = _numbers(annotation, "bbox")
    if len(box) != 4 or min(box[2:]) < 0:
        raise ValueError(f"bbox is {box}; expected x, y, width ≥ 0 and height ≥ 0")
    return box


def _numbers(annotation: dict[str, object], name: str) -> list[float]:
    values = _field(annotation, name)
    if not isinstance(values, list):
        raise ValueError(f"{name} is {values!r}; expected a list of numbers")
    for place, value in enumerate(values):
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{name}[{place}] is {value!r}; expected finite numbers")
    return [float(value) for value in values]


def _people(
    document: dict[str, list[object]],
    names: dict[object, str],
    orders: dict[object, tuple[str | None, ...]],
    faults: list[str],
) -> dict[object, list[Person]]:
    """People by image id."""
    people: dict[object, list[Person]] = {image_id: [] for image_id in names}
    for number, annotation in enumerate(document["annotations"]):
        called = f"annotation number {number}"
        try:
            record = _record(annotation)
            called = f"annotation {record.get('id', f'number {number}')}"
            image_id = _identity(record, "image_id")
            if image_id not in people:
                raise ValueError(f"image_id is {image_id!r}; expected an id listed under images")
            order = orders.get(_identity(record, "category_id")) if "category_id" in record else None
            people[image_id].append(_person(record, order))
        except ValueError as fault:
            faults.append(f"{called}: {fault}")
    return people


def _by_name(by_name: dict[str, LabelledImage]) -> dict[str, LabelledImage]:
    base = {name: PurePosixPath(name).name for name in by_name}
    count = Counter(base.values())
    short = {base[name]: image for name, image in by_name.items() if count[base[name]] == 1}
    return short | by_name
