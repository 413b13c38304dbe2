"""Pictures → the network's input: one crop a person, augmented in training.

As the released ExLPose code does (Lee et al., CVPR 2023): the box grows 10 % to each side and 15 % up and down, then to
the network's aspect; in training by a drawn extent, at most 1.25. docs/pose.md compares the rest.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32

from isp_sim.scenes import JOINTS, Person
from models.data.normalisation import Levels

GROW = (0.10, 0.15)
WIDEST_EXTENT = 1.25
"""Of a training crop over the grown box: the released code cuts so much of the picture before it draws."""
FLIP = tuple(
    JOINTS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in JOINTS
)
"""Where each joint's value comes from when a picture is mirrored: left and right change places."""
RELEASED_FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 13)
"""What the released flip test swaps instead: COCO's pairs (1, 2) … (11, 12), wrong for these joints."""


Affine = Float[np.ndarray, "2 3"]


@dataclass(frozen=True)
class Augmentation:
    """What training draws for each crop.

    Attributes:
        scale: smallest and largest extent over that of the grown box, drawn evenly, then cut at `WIDEST_EXTENT`.
        rotation_deg: standard deviation, cut at twice that.
        flip: probability of a mirrored crop.
    """

    scale: tuple[float, float] = (0.7, 1.35)
    rotation_deg: float = 20.0
    flip: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            ValueError: scales that are not 0 < smallest ≤ largest, a rotation or probability out of range.
        """
        low, high = self.scale
        if not (0 < low <= high < math.inf and 0 <= self.rotation_deg < math.inf and 0 <= self.flip <= 1):
            raise ValueError(
                f"augmentation scale {self.scale}, rotation_deg {self.rotation_deg}, flip {self.flip}: expected "
                "0 < smallest ≤ largest, 0 ≤ rotation, 0 ≤ flip ≤ 1, all finite"
            )


def crop_affine(
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    extent: float = 1.0,
    rotation_deg: float = 0.0,
    grow: tuple[float, float] = GROW,
) -> Affine:
    """Picture pixels → crop pixels, both with (0, 0) at the centre of the first.

    Args:
        box: (x, y, width, height), picture px.
        size: (height, width) of the crop.
        extent: the crop's over that of the grown box; above 1 shows more.
        rotation_deg: the person turns by this much, counter-clockwise.
        grow: shares of its width and height that the box grows by on each side.
    """
    x, y, width, height = box
    centre_x, centre_y = x + width / 2 - 0.5, y + height / 2 - 0.5
    wide = max(width * (1 + 2 * grow[0]), height * (1 + 2 * grow[1]) * size[1] / size[0], 1.0) * extent
    zoom = size[1] / wide
    angle = np.deg2rad(rotation_deg)
    turn = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    target = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return np.column_stack([turn, target - turn @ (centre_x, centre_y)])


def mirrored(affine: Affine, width: int) -> Affine:
    """The affine followed by a mirror of the crop: `x → width − 1 − x`."""
    flipped = affine.copy()
    flipped[0] = -affine[0]
    flipped[0, 2] += width - 1
    return flipped


def drawn_affine(
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    drawn: Augmentation,
    stream: np.random.Generator,
    grow: tuple[float, float] = GROW,
) -> tuple[Affine, bool]:
    """A training crop's affine and whether it is mirrored.

    Its extent over the grown box is `min(1.25, a)`, a drawn evenly from `drawn.scale` (0.7 … 1.35: mean 1.02). The
    released code cuts the picture 1.25 wide, c px, and keeps `min(c, c/1.25 · a)` of it.
    """
    extent = min(WIDEST_EXTENT, stream.uniform(*drawn.scale))
    rotation = drawn.rotation_deg * float(np.clip(stream.standard_normal(), -2, 2))
    affine = crop_affine(box, size, extent, rotation, grow)
    flip = bool(stream.random() < drawn.flip)
    return (mirrored(affine, size[1]) if flip else affine), flip


class Part(NamedTuple):
    """What a crop sees of its picture, whole px, and the blur it needs, px."""

    left: int
    top: int
    width: int
    height: int
    sigma: float


def seen_part(affine: Affine, size: tuple[int, int], picture: tuple[int, ...]) -> Part:
    """The rectangle of the picture that a crop reads, its blur's reach included.

    A shrink by f is blurred first by a Gaussian of `σ = ½·√(f² − 1)` px; below 0.3 px it would not be seen: 0.

    Args:
        affine: picture px → crop px.
        size: (height, width) of the crop.
        picture: (height, width).
    """
    corners = np.array([(0, 0), (size[1] - 1, 0), (0, size[0] - 1), (size[1] - 1, size[0] - 1)], float)
    seen = (corners - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    shrink = 1 / np.sqrt(abs(np.linalg.det(affine[:, :2])))
    sigma = 0.5 * math.sqrt(max(shrink**2 - 1, 0.0))
    margin = 3 * sigma + 2
    height, width = picture
    left, top = np.clip(np.floor(seen.min(axis=0) - margin), 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.ceil(seen.max(axis=0) + margin).astype(int).tolist()
    right, bottom = min(max(right + 1, left + 1), width), min(max(bottom + 1, top + 1), height)
    return Part(left, top, right - left, bottom - top, sigma if sigma > 0.3 else 0.0)


def crop(
    image: np.ndarray, affine: Affine, size: tuple[int, int], lines: Levels | None = None
) -> Float32[np.ndarray, "3 h w"]:
    """One crop, channels first; outside the picture 0, after normalisation.

    A crop that shrinks is blurred first, so that no pixel of noise is skipped. Only the part of the picture that the
    crop sees is read (`seen_part`), and normalised if that was not done before.

    Args:
        image: `(height, width, 3)`, normalised float32, or codes with their `lines`.
        affine: picture px → crop px.
        size: (height, width) of the crop.
        lines: how codes are normalised.
    """
    left, top, wide, high, sigma = seen_part(affine, size, image.shape[:2])
    part = image[top : top + high, left : left + wide]
    if lines is not None:
        part = lines(part)
    if sigma > 0:
        part = cv2.GaussianBlur(part, (0, 0), sigma)
    shifted = affine.copy()
    shifted[:, 2] += affine[:, :2] @ (left, top)
    warped = cv2.warpAffine(part, shifted, (size[1], size[0]), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(warped.transpose(2, 0, 1))


def joints_in_crop(
    person: Person, affine: Affine, size: tuple[int, int], flip: bool
) -> Float32[np.ndarray, "joints 3"]:
    """Joints in crop pixels with COCO's visibility; those that left the crop are unlabelled.

    Args:
        person: in picture pixels.
        affine: picture → crop, the mirror included.
        size: (height, width) of the crop.
        flip: whether it mirrors, so that left and right change places.
    """
    joints = np.array(person.keypoints, np.float64)
    joints[:, :2] = joints[:, :2] @ affine[:, :2].T + affine[:, 2]
    if flip:
        joints = joints[list(FLIP)]
    inside = (joints[:, 0] >= -0.5) & (joints[:, 0] < size[1] - 0.5)
    inside &= (joints[:, 1] >= -0.5) & (joints[:, 1] < size[0] - 0.5)
    joints[~inside] = 0
    return joints.astype(np.float32)
