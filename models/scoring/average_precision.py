"""OKS average precision as ExLPose counts it, through pycocotools' evaluator.

`OKS = Σ_j exp(−d_j² / (8 s² σ_j²)) / labelled joints` with s² the person's area, here 0.53·w·h of the box as
CrowdPose has it, and AP the mean precision over OKS thresholds .50:.05:.95 at most 20 detections a picture.
"""

import contextlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from isp_sim.annotation_files import AREA_SHARE
from isp_sim.scenes import JOINTS, SKELETON, Person
from models.recognisers.detection import Detection

SIGMAS = (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079)
"""Spread of the annotators for each joint in ExLPose's order (CrowdPose, Li et al., CVPR 2019)."""
MAX_DETECTIONS = 20


@dataclass(frozen=True)
class Protocol:
    """How a score was made; it travels with every figure.

    Attributes:
        boxes: `true`, or the detector's name.
        flip: `none`, `right`, or `released`: the released code swaps joints by COCO's indices, which are wrong here.
        extent: of a person's crop over the grown box.
        bit_depth: of the pictures.
        seed: of the run.
        joints: that are counted: those both the labels' format and the network know.
    """

    boxes: str = "true"
    flip: str = "right"
    extent: float = 1.0
    bit_depth: int = 8
    seed: int = 0
    sigmas: tuple[float, ...] = SIGMAS
    area_share: float = AREA_SHARE
    max_detections: int = MAX_DETECTIONS
    joints: tuple[str, ...] = JOINTS


@dataclass(frozen=True)
class Score:
    """AP over the thresholds, at .50 and at .75, 0 … 100, and how it was made; NaN where nobody is labelled."""

    ap: float
    ap50: float
    ap75: float
    people: int
    protocol: Protocol

    def record(self) -> dict[str, Any]:
        """As JSON, where NaN is null."""
        return asdict(self) | {name: or_null(getattr(self, name)) for name in ("ap", "ap50", "ap75")}


def or_null(value: float) -> float | None:
    """A score for JSON, which has no NaN."""
    return None if math.isnan(value) else value


def figure(value: float) -> str:
    """A score as a table has it: one decimal, "-" where nobody is there to be scored."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def score(truth: Mapping[str, Iterable[Person]], found: Mapping[str, Iterable[Detection]], protocol: Protocol) -> Score:
    """Average precision of detections against labels.

    Args:
        truth: people of each picture; those without a labelled joint are not counted, as in CrowdPose.
        found: detections of each picture.
        protocol: sigmas, area and number of detections; the rest is only recorded. Its joints become those that both
            labels and detections have; others are ignored.

    Raises:
        ValueError: detections on a picture that has no truth.
    """
    truth = {name: tuple(people) for name, people in truth.items()}
    protocol = of_known_joints(protocol, truth, found)
    people = sum(labelled_in(one, protocol.joints) for several in truth.values() for one in several)
    judge = evaluated(truth, found, protocol)
    if judge is None:
        empty = float("nan") if not people else 0.0
        return Score(empty, empty, empty, people, protocol)
    with contextlib.redirect_stdout(io.StringIO()):
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, 0, 0]
    return Score(_mean(precision), _mean(precision[0]), _mean(precision[5]), people, protocol)


def evaluated(
    truth: Mapping[str, Iterable[Person]], found: Mapping[str, Iterable[Detection]], protocol: Protocol
) -> Any | None:
    """Pycocotools' evaluator with people and detections matched picture by picture; None without either of them.

    Pictures are numbered from 1 in the order of their names. Arguments and errors as of `score`.
    """
    unknown = sorted(set(found) - set(truth))
    if unknown:
        raise ValueError(f"detections on {unknown[0]!r}, which the annotations do not list")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ids = {name: n for n, name in enumerate(sorted(truth), start=1)}
    protocol = of_known_joints(protocol, truth, found)
    annotations = [_annotation(person, ids[name], protocol) for name in ids for person in truth[name]]
    for n, annotation in enumerate(annotations, start=1):
        annotation["id"] = n  # from 1: pycocotools loses id 0
    results = [_result(d, ids[name]) for name in sorted(found) for d in found[name]]
    if not results or not any(a["num_keypoints"] for a in annotations):
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n} for n in ids.values()],
            "annotations": annotations,
            "categories": [_PERSON],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "keypoints")
        judge.params.kpt_oks_sigmas = np.array(protocol.sigmas)
        judge.params.maxDets = [protocol.max_detections]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
    return judge


def of_known_joints(
    protocol: Protocol, truth: Mapping[str, Iterable[Person]], found: Mapping[str, Iterable[Detection]]
) -> Protocol:
    """The protocol with the joints that both sides have: labelled on somebody, and known to the network."""
    labelled = np.array([[v > 0 for _, _, v in one.keypoints] for people in truth.values() for one in people], bool)
    there = [bool(column.any()) for column in labelled.T] if labelled.any() else [True] * len(JOINTS)
    known = known_joints(d for name in sorted(found) for d in found[name])
    return replace(
        protocol, joints=tuple(j for j, is_there in zip(JOINTS, there, strict=True) if is_there and j in known)
    )


def labelled_in(person: Person, joints: Sequence[str]) -> bool:
    """Whether one of these joints of a person is labelled."""
    return any(v > 0 for joint, (_, _, v) in zip(JOINTS, person.keypoints, strict=True) if joint in joints)


def known_joints(detections: Iterable[Detection]) -> tuple[str, ...]:
    """The joints a network knows, by what it found; all where it found nobody."""
    places = np.array([detection.keypoints for detection in detections], float).reshape(-1, len(JOINTS), 3)
    known = np.isfinite(places[..., 0]).any(axis=0) if len(places) else np.ones(len(JOINTS), bool)
    return tuple(joint for joint, is_known in zip(JOINTS, known, strict=True) if is_known)


_PERSON = {"id": 1, "name": "person", "keypoints": list(JOINTS), "skeleton": [list(bone) for bone in SKELETON]}


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return 100 * float(known.mean()) if known.size else float("nan")


def _annotation(person: Person, image: int, protocol: Protocol) -> dict[str, Any]:
    keypoints = [
        joint if name in protocol.joints else (0.0, 0.0, 0)
        for name, joint in zip(JOINTS, person.keypoints, strict=True)
    ]
    labelled = sum(v > 0 for _, _, v in keypoints)
    return {
        "image_id": image,
        "category_id": 1,
        "iscrowd": person.iscrowd,
        "ignore": int(labelled == 0),
        "num_keypoints": labelled,
        "keypoints": [float(value) for joint in keypoints for value in joint],
        "bbox": list(person.bbox),
        "area": protocol.area_share * person.bbox[2] * person.bbox[3],
    }


def _result(detection: Detection, image: int) -> dict[str, Any]:
    flat = np.nan_to_num(np.array(detection.keypoints, float)).ravel().tolist()
    return {"image_id": image, "category_id": 1, "keypoints": flat, "score": detection.score}


def oks(
    truth: Float[np.ndarray, "people joints 3"],
    found: Float[np.ndarray, "people joints 3"],
    areas: Float[np.ndarray, " people"],
    joints: Sequence[int] = tuple(range(len(SIGMAS))),
) -> Float[np.ndarray, " people"]:
    """Object keypoint similarity of each person with the detection of the same place; NaN if no joint is labelled.

    Args:
        truth: x, y, COCO visibility.
        found: x, y, score; a joint whose x is NaN is not counted.
        areas: of the boxes, w·h px²; 0.53 of it counts.
        joints: which of `JOINTS` these are.
    """
    sigmas = np.array(SIGMAS)[list(joints)]
    d2 = ((truth[..., :2] - found[..., :2]) ** 2).sum(axis=2)
    close = np.exp(-d2 / (8 * AREA_SHARE * np.maximum(areas, 1.0)[:, None] * sigmas**2))
    labelled = (truth[..., 2] > 0) & np.isfinite(d2)
    count = labelled.sum(axis=1)
    return np.where(count > 0, np.where(labelled, close, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
