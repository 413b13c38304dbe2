"""Where light comes from: one protocol, `Scene` = radiance + labels; a source yields scenes by number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from isp_sim.units import Radiance

JOINTS = (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "head",
    "neck",
)
"""ExLPose's (and CrowdPose's) joints in their order; all that counts joints takes `len(JOINTS)`."""

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
"""What COCO's labels have beside the 12 joints of the limbs: carried along, never scored with `JOINTS`."""
COCO_JOINTS = (*FACE, *JOINTS[:12])
"""COCO's 17 joints in their order; no head, no neck."""

SKELETON = (
    (12, 13), (13, 0), (13, 1), (0, 2), (2, 4), (1, 3), (3, 5),
    (13, 7), (13, 6), (7, 9), (9, 11), (6, 8), (8, 10),
)  # fmt: skip
"""Pairs of joint indices that a limb joins, counted from 0."""


@dataclass(frozen=True)
class Person:
    """One labelled person in a scene.

    Attributes:
        keypoints: (x, y, v) of each of `JOINTS`, in their order, scene pixels, (0, 0) at the centre of the first pixel;
            v is COCO's visibility: 0 not labelled, 1 labelled but hidden, 2 visible.
        bbox: (x, y, width, height), scene pixels.
        iscrowd: COCO's flag.
        face: (x, y, v) of each of `FACE` likewise; empty where nothing in a face is labelled.
    """

    keypoints: tuple[tuple[float, float, int], ...]
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    face: tuple[tuple[float, float, int], ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether any joint is."""
        return any(v > 0 for _, _, v in self.keypoints)

    @property
    def coco(self) -> tuple[tuple[float, float, int], ...]:
        """(x, y, v) of each of `COCO_JOINTS`."""
        return (*(self.face or ((0.0, 0.0, 0),) * len(FACE)), *self.keypoints[:12])


@dataclass(frozen=True)
class Scene:
    """Light that reaches the lens, and what is known about it.

    Attributes:
        name: what the scene is, for the manifest: a file name, `"charts/colorchecker"`.
        radiance: float32 `(height, width, 3)`, linear Rec. 709, relative (1 = perfect diffuser). One scene
            pixel is one sensor pixel before the arm's geometry.
        people: labels in scene pixels.
        labels: whatever else is true of the scene (patch values, edge angle …), JSON-able.
        metered: the camera meters this scene; `False` keeps `radiance` absolute (dark frame, flat field).
        white_lx: illuminance under which a perfect diffuser has radiance 1, if that is known; nothing is metered then.
        planes: maps of the radiance's size, by the name of the folder they are written to: `semantic` (uint8 class),
            `instances` (uint16, 0 nobody), `depth` (uint16, mm, 0 unknown). Values are never interpolated.
        during: the mean radiance over an exposure of so many seconds, so many seconds after the moment of `radiance`
            and the labels (its middle); absent where nothing moves while the shutter is open.
        at: the scene so many seconds later; absent where nothing moves.
    """

    name: str
    radiance: Radiance
    people: tuple[Person, ...] = ()
    labels: dict[str, object] = field(default_factory=dict)
    metered: bool = True
    white_lx: float | None = None
    planes: dict[str, np.ndarray] = field(default_factory=dict)
    during: Callable[[float, float], Radiance] | None = None
    at: Callable[[float], "Scene"] | None = None


class SceneSource(Protocol):
    """Scenes by number: scene *n* is the same on every machine, in any order, for any worker."""

    def __len__(self) -> int:
        """How many different scenes there are."""
        ...

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """Scene `index` (0 ≤ index < len).

        Args:
            index: number.
            daylight: light on the scene over a sunlit one's, from its base exposure and gain
                (`Shot.daylight`); 0 is night. Scenes made to order heed it; what was photographed is as it was.

        Raises:
            ValueError: the file behind it cannot be used; the sentence names it.
        """
        ...
