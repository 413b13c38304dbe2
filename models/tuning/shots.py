"""Low-light raws with labels: what an ISP under test develops, and how its picture comes under the labels."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from isp_sim.dataset import Run, read_manifest
from isp_sim.generate import generate, plan
from isp_sim.pair import RESAMPLING
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Person
from isp_sim.scenes.people.source import FROZEN
from isp_sim.studio import Job
from models.search_shots import covering


@dataclass(frozen=True)
class RawShot:
    """One low-light raw.

    Attributes:
        name: of the pair.
        raw: DNG of the low-light arm, as captured.
        picture: the rig's own development, aligned, 8 bits.
        well_lit: the other arm's picture.
        people: with a labelled joint, in the aligned picture's pixels.
        split: LL-N, LL-H or LL-E.
        size: (height, width) of the mosaic.
        low_to_well: 3×3, mosaic pixels → pixels of the well-lit arm.
        box: (x, y, width, height) of the aligned picture in the well-lit arm's frame.
        resampling: of the rig.
    """

    name: str
    raw: Path
    picture: Path
    well_lit: Path
    people: tuple[Person, ...]
    split: str
    size: tuple[int, int]
    low_to_well: tuple[tuple[float, ...], ...]
    box: tuple[int, int, int, int]
    resampling: str

    def aligned(self, picture: np.ndarray, whose: str) -> np.ndarray:
        """A developed raw warped and cropped as the pair was, so that the labels fit.

        Raises:
            ValueError: it is not of the mosaic's size, or holds a value that is no number.
        """
        height, width = self.size
        if picture.shape != (height, width, 3):
            raise ValueError(f"{whose}: gave {picture.shape} for {self.raw}; {(height, width, 3)} is needed")
        if not np.isfinite(picture).all():
            raise ValueError(f"{whose}: gave values that are no numbers for {self.raw}")
        x, y, w, h = self.box
        flags = RESAMPLING[self.resampling]
        warped = cv2.warpPerspective(picture, np.array(self.low_to_well), (width, height), flags=flags)
        return np.ascontiguousarray(warped[y : y + h, x : x + w])


def read_shots(folder: Path, count: int | None = None) -> tuple[RawShot, ...]:
    """Shots with people of a folder that `isp_sim.generate` wrote.

    Args:
        folder: holds manifest.jsonl, rig.yaml, raw/.
        count: at most so many, chosen for every split and exposure ratio to be among them (`models.search_shots`), in
            the order they were shot; None takes all.

    Raises:
        ValueError: no such folder, nobody in it, or a line lacks what is needed.
    """
    if not (folder / "manifest.jsonl").is_file():
        raise ValueError(f"{folder}: holds no manifest.jsonl; a finished folder of isp_sim.generate is needed")
    rig = load_rig(folder / "rig.yaml")
    shots = []
    for number, line in enumerate(read_manifest(folder), start=1):
        try:
            people = tuple(_person(one) for one in line["people"] if any(v > 0 for v in one["keypoints"][2::3]))
            shot = RawShot(
                name=Path(line["bright"]).name,
                raw=folder / line["raw_dark"],
                picture=folder / line["dark"],
                well_lit=folder / line["bright"],
                people=people,
                split=line["split"],
                size=(rig.height_px, rig.width_px),
                low_to_well=tuple(tuple(row) for row in line["low_to_well"]),
                box=tuple(line["crop"]),
                resampling=rig.resampling,
            )
        except (KeyError, TypeError) as fault:
            raise ValueError(f"{folder / 'manifest.jsonl'}:{number}: lacks {fault}") from None
        if shot.people:
            shots.append(shot)
    if not shots:
        raise ValueError(f"{folder}: nobody is labelled in it; the score of a shot is its people's")
    if count is None or count >= len(shots):
        return tuple(shots)
    taken = covering([shot.name for shot in shots], count)[:count]
    return tuple(shots[number] for number in sorted(taken))


def _person(said: dict[str, list[float]]) -> Person:
    flat = said["keypoints"]
    joints = tuple((x, y, int(v)) for x, y, v in zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    x, y, width, height = said["bbox"]
    return Person(joints, (x, y, width, height))


def shoot(folder: Path, rig: Rig, seed: int, count: int, of_a_scene: int, workers: int) -> None:
    """Shoot a folder of built-in scenes, or go on where it was stopped; one that is whole is left as it is.

    Args:
        folder: where.
        rig: whose.
        seed: of people and noise.
        count: of shots.
        of_a_scene: shots of each scene, drawn from its schedule.
        workers: processes.

    Raises:
        ValueError: the folder holds another run.
    """
    rig_json = rig.model_dump_json()
    digest = hashlib.blake2b(rig_json.encode(), digest_size=16).hexdigest()
    run = Run(
        rig=rig.name,
        rig_digest=digest,
        seed=seed,
        scenes="people",
        scene_files="",
        schedule=None,
        count=count,
        motion_samples=FROZEN,
        device="cpu",
        shots_per_scene=of_a_scene,
    )
    if (folder / "manifest.jsonl").is_file() and json.loads((folder / "run.json").read_text("utf-8")) == vars(run):
        return
    job = Job(
        rig_json=rig_json,
        scenes="people",
        annotations=None,
        seed=seed,
        motion_samples=FROZEN,
        device="cpu",
        out=folder,
        threads=1,
    )
    generate(job, run, plan(rig, None, count, seed, of_a_scene), workers, resume=True)


def digest(shots: tuple[RawShot, ...]) -> str:
    """Of the raws' bytes and the labels: what a score depends on beside ISP and network."""
    whole = hashlib.blake2b(digest_size=16)
    for shot in shots:
        whole.update(shot.raw.read_bytes())
        whole.update(repr((shot.people, shot.low_to_well, shot.box, shot.resampling)).encode())
    return whole.hexdigest()
