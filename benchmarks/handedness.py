"""Left and right of the built-in people, checked by public networks: PCK as labelled and with the sides exchanged.

    python benchmarks/handedness.py [--scenes 20] [--rig exlpose]

Well-lit pictures of the built-in people (one shot a scene) with boxes at least 120 px high, and beside them the last
300 photographs of Leeds Sports Pose Extended as they are, if they are at hand. True boxes, no flip test, PCK@0.2 of the
torso over the joints a network knows; one row counts only joints in view, as ExLPose labels people, one has the people
with 10 joints or more in view; "better" is the share
of people of whom more joints are near than the other way. Processor time a person is that of crop, network, decoding.
The exit status is 1 if a network reads the built-in people better with left and right exchanged: then their labels are
mirrored, or their bodies are.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from isp_sim.progress import track
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import read_annotations
from isp_sim.tables import terminal_table
from models.choices import TEST_SEED
from models.data.crops import FLIP
from models.data.normalisation import WELL, Picture
from models.data.samples import RigPairs, shots
from models.recognisers.detection import Detection
from models.recognisers.inference import detect
from models.recognisers.loading import PUBLIC, load_recogniser
from models.recognisers.recogniser import Recogniser
from models.scoring.pck import pck

PHOTOS = Path("../shared/data/photos/lspet")
HELD_OUT = 300
MIN_HEIGHT_PX = 120.0
IN_VIEW = 10
Pictures = Iterable[tuple[Picture, tuple[Person, ...]]]


def exchanged(person: Person) -> Person:
    """The person with left and right labels exchanged."""
    return replace(person, keypoints=tuple(person.keypoints[joint] for joint in FLIP))


def as_exlpose(person: Person) -> Person:
    """The person with no label where a joint is hidden."""
    return replace(person, keypoints=tuple(joint if joint[2] == 2 else (0.0, 0.0, 0) for joint in person.keypoints))


def built_in(rig: str, scenes: int, seed: int) -> Iterator[tuple[Picture, tuple[Person, ...]]]:
    """Well-lit pictures, and who is tall enough in them."""
    for sample in shots(RigPairs(load_rig(rig), seed, scenes, shots_per_scene=1), shown=True):
        yield sample.well_lit, tuple(p for p in sample.people if p.labelled and p.bbox[3] >= MIN_HEIGHT_PX)


def photographs(folder: Path, count: int) -> Iterator[tuple[Picture, tuple[Person, ...]]]:
    """The last photographs by name, with their people."""
    people = {Path(name).name: found for name, found in read_annotations(folder / "annotations.json").items()}
    for path in track(sorted((folder / "images").iterdir())[-count:], "photographs"):
        picture = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        yield picture, tuple(p for p in people.get(path.name, ()) if p.labelled)


@dataclass
class Reading:
    """What a network found of people, one after another."""

    people: list[Person] = field(default_factory=list)
    found: list[Detection] = field(default_factory=list)
    processor_s: float = 0.0

    def pck(self) -> tuple[float, float]:
        """PCK as labelled and exchanged."""
        answer = {"": self.found}
        return pck({"": self.people}, answer), pck({"": map(exchanged, self.people)}, answer)

    def well_seen(self) -> "Reading":
        """Of the people with at least `IN_VIEW` joints in view: of the others the box shows mostly who hides them."""
        seen = [sum(v == 2 for _, _, v in person.keypoints) >= IN_VIEW for person in self.people]
        people, found = list(compress(self.people, seen)), list(compress(self.found, seen))
        return Reading(people, found, self.processor_s * len(people) / max(len(self.people), 1))

    def in_view(self) -> "Reading":
        """Of the joints in view: where others stand before somebody, a hidden one can only be guessed."""
        return Reading([as_exlpose(person) for person in self.people], self.found, self.processor_s)

    def better(self) -> tuple[float, float]:
        """Shares of the people, in per cent, that are read better as labelled and exchanged."""
        ways = [Reading([person], [found]).pck() for person, found in zip(self.people, self.found, strict=True)]
        as_labelled, other = np.array(ways).reshape(-1, 2).T
        counted = np.isfinite(as_labelled).sum()
        return 100 * float((as_labelled > other).sum() / counted), 100 * float((other > as_labelled).sum() / counted)


def read(recognisers: dict[str, Recogniser], pictures: Pictures) -> dict[str, Reading]:
    """What each network finds of everybody."""
    readings = {name: Reading() for name in recognisers}
    for picture, people in pictures:
        for name, recogniser in recognisers.items():
            start = time.process_time()
            readings[name].people += people
            readings[name].found += detect(recogniser, picture, people, WELL, "none")
            readings[name].processor_s += time.process_time() - start
    return readings


def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig", default="exlpose")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--photos", type=int, default=HELD_OUT)
    parser.add_argument("--seed", type=int, default=TEST_SEED)
    parser.add_argument("--pose", nargs="+", default=list(PUBLIC), help="networks, as models.evaluate takes them")
    args = parser.parse_args()
    recognisers = {name: load_recogniser(name) for name in args.pose}
    sets: dict[str, Pictures] = {"built-in": built_in(args.rig, args.scenes, args.seed)}
    if PHOTOS.is_dir() and args.photos:
        sets["photographs"] = photographs(PHOTOS, args.photos)
    rows, mirrored = [], []
    for title, pictures in sets.items():
        readings = [(title, name, reading) for name, reading in read(recognisers, pictures).items()]
        if title == "built-in":
            readings += [
                row
                for _, name, reading in readings
                for row in (
                    (f"{title}, joints in view", name, reading.in_view()),
                    (f"{title}, {IN_VIEW}+ in view", name, reading.well_seen()),
                )
            ]
        for heading, name, reading in readings:
            labelled, other = reading.pck()
            each_ms = 1000 * reading.processor_s / max(len(reading.people), 1)
            figures = (f"{value:.1f}" for value in (labelled, other, *reading.better(), each_ms))
            rows.append((heading, name, len(reading.people), *figures))
            if heading == "built-in" and other > labelled:
                mirrored.append(name)
    title = f"{args.scenes} built-in scenes through {args.rig}, seed {args.seed}; PCK@0.2 of the torso"
    headings = ("pictures", "network", "people", "labelled", "exchanged", "better labelled", "better exchanged", "ms")
    Console(width=120).print(terminal_table(title, headings, rows))
    if mirrored:
        print(f"WARNING: {', '.join(mirrored)} read the built-in people better with left and right exchanged")
    return 1 if mirrored else 0


if __name__ == "__main__":
    sys.exit(main())
