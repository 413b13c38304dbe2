"""What other annotation files call `JOINTS` and `isp_sim.scenes.FACE`.

Sides come before or after, spelt out or as a letter: `left_hip`, `Left Hip`, `leftHip`, `l_hip`, `lhip`, `hip_left`.

**Head** is the top of the head: in ExLPose's test annotations it lies 0.18 (median) of the distance from head to
neck below the box's upper edge. A nose, an eye, an ear, a chin or a head's centre is not that.

**Neck** lies 0.29 (median; 0.19 to 0.41 for nine tenths) of the way from the middle of the shoulders to the top of the
head: MPII's upper neck. Its thorax, and a chest, sternum or spine, lie on the shoulders' line or below: not read.
"""

import re
from collections.abc import Sequence

from isp_sim.scenes import JOINTS

ALIASES = {
    "head": ("head", "head_top", "top_head", "headtop", "tophead", "top_of_head", "head_vertex", "crown"),
    "neck": ("neck", "upper_neck", "neck_upper", "upperneck"),
}
"""Names of the joints that have no side; where a file has several of them, the first here is taken."""

_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_FACE = ("eye", "ear")
_GLUED = re.compile(rf"(left|right|l|r)({'|'.join(_LIMBS)})|(left|right)({'|'.join(_FACE)})")
"""Sides before a name without a gap; `rear` is not an ear."""


def joint_of(name: str) -> str | None:
    """Which of `JOINTS` or `FACE` a name means; None where it means none of them."""
    words = _words(name)
    if words == ["nose"]:
        return "nose"
    for joint, names in ALIASES.items():
        if "_".join(words) in names:
            return joint
    if len(words) == 1 and (glued := _GLUED.fullmatch(words[0])):
        words = [part for part in glued.groups() if part]
    if len(words) == 2:
        for side, limb in (words, words[::-1]):
            if side in _SIDES and limb in (*_LIMBS, *_FACE):
                return f"{_SIDES[side]}_{limb}"
    return None


def read_names(names: Sequence[str]) -> tuple[tuple[str | None, ...], list[str]]:
    """The joint each of a category's names stands for, each joint once, and the names that are left over.

    Raises:
        ValueError: a joint of a limb has no name.
    """
    taken: dict[str, int] = {}
    for place, name in enumerate(names):
        joint = joint_of(name)
        if joint is not None and (joint not in taken or _rank(joint, name) < _rank(joint, names[taken[joint]])):
            taken[joint] = place
    if missing := [joint for joint in JOINTS if joint not in ALIASES and joint not in taken]:
        raise ValueError(f"keypoints does not name {', '.join(missing)}")
    joints = {place: joint for joint, place in taken.items()}
    order = tuple(joints.get(place) for place in range(len(names)))
    return order, [name for place, name in enumerate(names) if place not in joints]


def _words(name: str) -> list[str]:
    split = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[\W_]+", split.lower()) if word]


def _rank(joint: str, name: str) -> int:
    """How early a name stands among a joint's."""
    return ALIASES[joint].index("_".join(_words(name))) if joint in ALIASES else 0
