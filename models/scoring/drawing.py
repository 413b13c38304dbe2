"""Poses drawn into pictures: true ones as white limbs, found ones in colour by the side of the body, dark-rimmed."""

from collections.abc import Sequence

import cv2
import numpy as np

from isp_sim.scenes import JOINTS, SKELETON, Person
from models.data.normalisation import LOW_LIGHT_MEAN, Picture
from models.recognisers.detection import Detection

LEFT, RIGHT, MIDDLE, TRUE = (255, 140, 40), (60, 170, 255), (120, 230, 120), (255, 255, 255)
RIM = (20, 20, 20)
"""Round every limb, so that it is seen on light ground too."""


def lifted(picture: Picture) -> Picture:
    """A low-light picture as a person can see it: each channel brought to a mean of 0.4, cut at white."""
    gain = 255 * LOW_LIGHT_MEAN / np.maximum(picture.reshape(-1, 3).mean(axis=0), 1e-3)
    return np.asarray(np.clip(picture * gain, 0, 255).astype(np.uint8))


def draw_poses(picture: Picture, truth: Sequence[Person], found: Sequence[Detection], zoom: int = 1) -> Picture:
    """A copy, `zoom` times as large, with poses on it.

    Args:
        picture: uint8 `(height, width, 3)`, R first.
        truth: labels; unlabelled joints are left out.
        found: detections; joints the network does not know are left out. A detected box is drawn, the fainter the less
            sure the detector was.
        zoom: whole number.
    """
    canvas = np.ascontiguousarray(np.repeat(np.repeat(picture, zoom, 0), zoom, 1))
    for person in truth:
        joints = np.array(person.keypoints, float)
        _limbs(canvas, joints[:, :2], joints[:, 2] > 0, zoom, TRUE)
    for detection in found:
        joints = np.array(detection.keypoints, float)
        _limbs(canvas, joints[:, :2], np.isfinite(joints[:, 0]), zoom, None)
        if detection.found_in:
            _frame(canvas, *detection.found_in, zoom)
    return canvas


def stacked(rows: Sequence[Picture], gap: int = 4) -> Picture:
    """Rows of pictures below each other, black where one is narrower, with a gap below each."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0))) for row in rows])


def caption(picture: Picture, words: str) -> None:
    """Words into the picture's lower left corner."""
    at = (6, picture.shape[0] - 8)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)


def _limbs(
    canvas: Picture, joints: np.ndarray, known: np.ndarray, zoom: int, colour: tuple[int, int, int] | None
) -> None:
    at = np.round((np.nan_to_num(joints) + 0.5) * zoom - 0.5).astype(int)
    for a, b in SKELETON:
        if known[a] and known[b]:
            ends = at[a].tolist(), at[b].tolist()
            cv2.line(canvas, *ends, RIM, zoom + 2, cv2.LINE_AA)
            cv2.line(canvas, *ends, colour or _side(a, b), zoom, cv2.LINE_AA)


def _frame(canvas: Picture, bbox: tuple[float, float, float, float], score: float, zoom: int) -> None:
    left, top, width, height = (round(zoom * value) for value in bbox)
    there = np.zeros(canvas.shape[:2], np.uint8)
    cv2.rectangle(there, (left, top), (left + width - 1, top + height - 1), 255, 1)
    share = 0.25 + 0.75 * min(score, 1.0)
    canvas[there > 0] = (canvas[there > 0] * (1 - share) + share * np.array(MIDDLE)).astype(np.uint8)


def _side(a: int, b: int) -> tuple[int, int, int]:
    names = JOINTS[a], JOINTS[b]
    if any(name.startswith("left") for name in names):
        return LEFT
    return RIGHT if any(name.startswith("right") for name in names) else MIDDLE
