"""Scores of a frozen recogniser over low-light pictures without partners, and what `models.evaluate` shows of them."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

import cv2
import numpy as np

from isp_sim.scenes import Person
from models.data.lone_pictures import LonePicture
from models.data.normalisation import Picture
from models.data.samples import scene_of
from models.recognisers.detection import Detection
from models.scoring.average_precision import Protocol, score
from models.scoring.drawing import caption, draw_poses, lifted, stacked
from models.scoring.over_scenes import over_scenes
from models.scoring.pck import pck
from models.scoring.poses import SplitScore

SHOWN, SHOWN_WIDTH_PX = 3, 960
"""Pictures of each split that are drawn, and how wide at most."""
Last = TypeVar("Last", int, float)
Reader = Callable[[Picture, tuple[Person, ...]], list[Detection]]
"""How a low-light picture becomes poses of people whose boxes are known."""


def judge_lone(
    pictures: Iterable[LonePicture], read: Reader, protocol: Protocol
) -> tuple[dict[str, SplitScore], Picture]:
    """Scores of each split, and a sheet of poses. A picture whose name is not ExLPose's counts as a scene.

    Args:
        pictures: with people.
        read: network, and whatever stands before it.
        protocol: of the scores.
    """
    truth: dict[str, dict[str, tuple[Person, ...]]] = {}
    found: dict[str, dict[str, list[Detection]]] = {}
    tiles: list[Picture] = []
    drawn: Counter[str] = Counter()
    for picture in pictures:
        split, people = picture.split, picture.labelled
        truth.setdefault(split, {})[picture.name] = people
        found.setdefault(split, {})[picture.name] = read(picture.low_light, people)
        if people and drawn[split] < SHOWN:
            drawn[split] += 1
            tiles.append(_tile(picture, found[split][picture.name]))
    judged = {
        split: SplitScore(
            score(truth[split], found[split], protocol),
            pck(truth[split], found[split]),
            over_scenes(truth[split], found[split], protocol, _scene),
        )
        for split in truth
    }
    return judged, stacked(tiles)


def _scene(name: str) -> Hashable:
    return scene_of(PurePosixPath(name).name)


def _tile(picture: LonePicture, found: Sequence[Detection]) -> Picture:
    """A picture with its poses: a large one is shrunk before they are drawn, so that lines keep their width."""
    seen = lifted(picture.low_light)
    share = min(1.0, SHOWN_WIDTH_PX / seen.shape[1])
    small = np.asarray(cv2.resize(seen, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)
    people = [replace(one, keypoints=tuple(_scaled(k, share) for k in one.keypoints)) for one in picture.labelled]
    poses = [replace(one, keypoints=tuple(_scaled(k, share) for k in one.keypoints)) for one in found]
    tile = draw_poses(small, people, poses)
    caption(tile, f"{picture.split}, channels scaled to mean 0.4   white: true, orange: left, blue: right")
    return tile


def _scaled(joint: tuple[float, float, Last], share: float) -> tuple[float, float, Last]:
    x, y, last = joint
    return (x + 0.5) * share - 0.5, (y + 0.5) * share - 0.5, last
