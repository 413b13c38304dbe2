"""Low-light pictures that have no well-lit partner: of another camera at night, or of a set without its bright half.

ExLPose-OCN (Lee et al., CVPR 2023) comes as one keypoint file a camera, `ExLPose-OC_test_A7M3.json`, whose names begin
with `PID_A7M3/` while the pictures lie in `A7M3/`; ExLPose's own low-light files name the well-lit pictures. Both are
read.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isp_sim.annotation_files import ANNOTATIONS
from isp_sim.picture_files import read_picture
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import LabelledImage, check_size, read_keypoint_file
from models.data.normalisation import Picture
from models.data.samples import shot_of

OCN, OCN_PREFIX = "ExLPose-OCN", "PID_"
"""Folder of the other cameras' pictures in the public set, and what its files put before the cameras' names."""
LISTS = "_trans"
"""Ends the names of the authors' lists, which are no keypoint files."""
UP = 3
"""How many folders above a keypoint file its pictures are looked for."""


@dataclass(frozen=True)
class LonePicture:
    """One low-light picture.

    Attributes:
        name: as its keypoint file has it.
        low_light: uint8 `(height, width, 3)`, R first.
        people: labels on it.
        split: what the keypoint file is called behind its last underscore: `A7M3`, `LL-All`.
    """

    name: str
    low_light: Picture
    people: tuple[Person, ...]
    split: str

    @property
    def labelled(self) -> tuple[Person, ...]:
        """The people with a labelled joint."""
        return tuple(person for person in self.people if person.labelled)


def without_partners(data: Path) -> bool:
    """Whether `--data` names pictures without partners: a keypoint file, or a folder that has no `*WL.json`."""
    return data.suffix == ".json" or (data.is_dir() and bool(_files(data)) and not _well_lit(data))


class LonePictures:
    """The pictures that one keypoint file lists, or all those of a folder's `Annotations/`.

    Args:
        data: the file, or the folder.

    Raises:
        ValueError: a keypoint file cannot be used, lists nobody with a labelled joint, or a picture is not there.
    """

    def __init__(self, data: Path) -> None:
        self._places: list[tuple[str, str, Path, LabelledImage]] = []
        for file in [data] if data.suffix == ".json" else _files(data):
            images = read_keypoint_file(file).images
            full = sorted(name for name in images if "/" in name or not any(o.endswith(f"/{name}") for o in images))
            if not any(person.labelled for name in full for person in images[name].people):
                raise ValueError(f"{file}: nobody in {len(full)} pictures has a labelled joint; poses need one")
            split = file.stem.rpartition("_")[2]
            self._places += [(split, name, _picture_of(file, name), images[name]) for name in full]

    def __len__(self) -> int:
        """How many pictures; one that several files list counts in each."""
        return len(self._places)

    def __iter__(self) -> Iterator[LonePicture]:
        """Every picture, read when its turn comes.

        Raises:
            ValueError: not a readable picture, or of another size than its labels are for.
        """
        for split, name, path, image in self._places:
            picture = read_picture(path)
            check_size(path, image.size, (picture.shape[1], picture.shape[0]))
            yield LonePicture(name, picture, image.people, split)


def _well_lit(folder: Path) -> list[Path]:
    return sorted((folder / ANNOTATIONS).glob("*WL.json"))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / ANNOTATIONS).glob("*.json")) if not path.stem.endswith(LISTS)]


def _picture_of(file: Path, name: str) -> Path:
    """The low-light picture that a keypoint file's name means."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"{file}: file_name {name!r} must be a path inside the data set's folder")
    folders = [folder for above in file.parents[: UP + 1] for folder in (above, above / OCN)]
    for folder in folders:
        if pure.parts[0] == "bright" and (folder / "dark").is_dir():
            dark = _partners(folder / "dark").get(shot_of(pure.name))
            if dark is not None:
                return dark
        elif (path := folder / name).is_file() or (path := folder / name.removeprefix(OCN_PREFIX)).is_file():
            return path
    if (beside := file.parent / pure.name).is_file():  # the folder is that of another machine
        return beside
    raise ValueError(f"{file}: {name} is not there; looked in {folders[0]} and {UP} folders above, and {OCN} in them")


@functools.cache
def _partners(dark: Path) -> dict[tuple[str, ...], Path]:
    return {shot_of(path.name): path for path in dark.glob("*.png")}
