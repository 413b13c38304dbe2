"""Low-light raws with labels: what an ISP under test develops, and how its picture comes under the labels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isp_sim.files import read_json
from isp_sim.manifest import read_manifest
from isp_sim.rectify import Box, crop
from isp_sim.rig import Rig
from isp_sim.run import carry_out
from isp_sim.run_plan import plan
from isp_sim.run_spec import RunSpec
from isp_sim.scenes import Person
from models.data.search_shots import covering


@dataclass(frozen=True)
class RawShot:
    """One low-light raw.

    Attributes:
        name: of the pair.
        raw: DNG of the low-light arm, as captured.
        picture: the rig's own development, cropped, 8 bits.
        well_lit: the other arm's picture.
        people: with a labelled joint, in the cropped picture's pixels.
        split: LL-N, LL-H or LL-E.
        size: (height, width) of the mosaic.
        box: (x, y, width, height) of the picture, px of the mosaic.
    """

    name: str
    raw: Path
    picture: Path
    well_lit: Path
    people: tuple[Person, ...]
    split: str
    size: tuple[int, int]
    box: Box

    def cropped(self, picture: np.ndarray, whose: str) -> np.ndarray:
        """A developed raw cropped as the pair was, so that the labels fit.

        Raises:
            ValueError: it is not of the mosaic's size, or holds NaN or infinity.
        """
        height, width = self.size
        if picture.shape != (height, width, 3):
            raise ValueError(f"{whose}: gave {picture.shape} for {self.raw}, expected {(height, width, 3)}")
        if not np.isfinite(picture).all():
            raise ValueError(f"{whose}: gave NaN or infinity for {self.raw}")
        return crop(picture, self.box)


def read_shots(folder: Path, count: int | None = None) -> tuple[RawShot, ...]:
    """Shots with people of a folder that `isp_sim.generate` wrote.

    Args:
        folder: holds manifest.jsonl, raw/.
        count: at most so many, in the order they were shot, chosen so that every split and exposure ratio is among them
            (`models.data.search_shots`); None takes all.

    Raises:
        ValueError: no such folder, nobody in it, or pairs without raws or on the well-lit arm's pixels.
    """
    if not (folder / "manifest.jsonl").is_file():
        raise ValueError(f"{folder}: has no manifest.jsonl, expected a finished folder of isp_sim.generate")
    shots = []
    for number, record in enumerate(read_manifest(folder), start=1):
        where = f"{folder / 'manifest.jsonl'}:{number}"
        if record.raw_dark is None:
            raise ValueError(f"{where}: raw_dark: is missing: this pair is made of pictures, expected raws")
        if record.onto != "low_light":
            raise ValueError(
                f"{where}: onto: is {record.onto!r}, expected 'low_light': a raw is developed on its own pixels; align "
                "the captures with --onto low-light"
            )
        shot = RawShot(
            name=Path(record.bright).name,
            raw=folder / record.raw_dark,
            picture=folder / record.dark,
            well_lit=folder / record.bright,
            people=tuple(person for person in record.persons if person.labelled),
            split=record.split,
            size=(record.frame_height, record.frame_width),
            box=record.crop,
        )
        if shot.people:
            shots.append(shot)
    if not shots:
        raise ValueError(f"{folder}: nobody is labelled, expected people with labelled joints")
    if count is None or count >= len(shots):
        return tuple(shots)
    taken = covering([shot.name for shot in shots], count)[:count]
    return tuple(shots[number] for number in sorted(taken))


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
    spec = RunSpec(
        rig_json=rig.model_dump_json(),
        seed=seed,
        scenes="people",
        scene_files="",
        schedule=None,
        count=count,
        shots_per_scene=of_a_scene,
        out=folder,
        workers=workers,
    )
    if (folder / "manifest.jsonl").is_file() and read_json(folder / "run.json") == spec.identity:
        return
    carry_out(spec, plan(rig, None, count, seed, of_a_scene), resume=True)


def digest(shots: tuple[RawShot, ...]) -> str:
    """Of the raws' bytes and the labels: what a score depends on beside ISP and network."""
    whole = hashlib.blake2b(digest_size=16)
    for shot in shots:
        whole.update(shot.raw.read_bytes())
        whole.update(repr((shot.people, shot.box)).encode())
    return whole.hexdigest()
