"""`manifest.jsonl`: what is true of every pair of a data set, a typed record a line; its reader.

Lines are written by `isp_sim.dataset`, for simulated pairs, and by `capture.align`, for aligned ones.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from isp_sim.rectify import ArmMap, ArmName, Box
from isp_sim.rigfile import from_json
from isp_sim.scenes import Person
from isp_sim.schedule import Shot

VERSION: Literal[2] = 2
"""2: pictures lie on the pixels of the arm that `onto` names."""
FILE = "manifest.jsonl"


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.name or "\\" in path:
        raise ValueError(f"{path!r} must be a path inside the data set's folder")
    return path


Inside = Annotated[str, AfterValidator(_inside)]
"""A file's path, relative to the data set's folder and inside it."""
FolderName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
"""Of a folder in the data set's folder."""
Row = tuple[float, float, float]


class Record(BaseModel):
    """A block of a manifest's line: unknown fields are faults, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PersonRecord(Record):
    """A labelled person as COCO has them: `keypoints` is x, y, v of each joint; px of the pictures.

    `face` is likewise of `isp_sim.scenes.FACE`; None where the labels have no face.
    """

    keypoints: tuple[int | float, ...]
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    face: tuple[int | float, ...] | None = None

    @classmethod
    def of(cls, person: Person) -> "PersonRecord":
        """A person's labels as a record."""
        flat = tuple(value for joint in person.keypoints for value in joint)
        face = tuple(value for joint in person.face for value in joint) or None
        return cls(keypoints=flat, bbox=person.bbox, iscrowd=person.iscrowd, face=face)

    @property
    def person(self) -> Person:
        """The labels."""
        joints, face = (
            tuple((x, y, int(v)) for x, y, v in zip(flat[::3], flat[1::3], flat[2::3], strict=True))
            for flat in (self.keypoints, self.face or ())
        )
        return Person(joints, self.bbox, self.iscrowd, face)


class AlignmentRecord(Record):
    """What `capture.align` found: residual shift, its standard error (None: too dark to say), share of light."""

    residual_px: tuple[float, float]
    sigma_px: float | None = None
    share_of_light: float | None = None


class PairRecord(Record):
    """A line of the manifest.

    Attributes:
        version: of the format.
        id: image id in the annotation files, from 1.
        bright, dark, raw_bright, raw_dark: files; pairs made of pictures alone have no raws.
        scene: its name; `scene_number` is the schedule's.
        split: LL-N, LL-H or LL-E.
        width, height: of the pictures.
        frame_width, frame_height: of the frames as captured.
        session … low_light_gain_db: the shot, see `isp_sim.schedule.Shot`.
        key: what identifies the frames' random numbers or their source.
        photons_per_us_at_white: the scene's light, from the simulated meter.
        onto: the arm whose pixels the pictures lie on; the other arm's picture is warped onto them.
        crop: (x, y, width, height), px of arm `onto`.
        low_to_well: 3×3, low-light → well-lit pixels of the frames as captured.
        distortion: (k1, k2) before that homography, see `isp_sim.rectify.ArmMap`.
        mean_well_lit, mean_low_light: mean 8-bit level of the pictures.
        people: on the pictures.
        planes: files of maps on the pictures, by the name of their folder.
        labels: whatever else the scene knows of itself.
        aligned_as: session whose map aligned it, where `capture.align` did.
        alignment: what that found.
    """

    version: Literal[2] = VERSION
    id: Annotated[int, Field(ge=1)]
    bright: Inside
    dark: Inside
    raw_bright: Inside | None = None
    raw_dark: Inside | None = None
    scene: str
    scene_number: int
    split: str
    width: int
    height: int
    frame_width: int
    frame_height: int
    session: str
    place: str
    video: str
    frame: str
    ratio: float
    exposure_us: int
    base_exposure_us: float
    base_gain_db: float
    well_lit_gain_db: float
    low_light_gain_db: float
    at_s: float | None = None
    key: dict[str, Any] = {}
    photons_per_us_at_white: float | None = None
    onto: ArmName
    crop: Box
    low_to_well: tuple[Row, Row, Row]
    distortion: tuple[float, float] = (0.0, 0.0)
    mean_well_lit: float
    mean_low_light: float
    people: tuple[PersonRecord, ...]
    planes: dict[FolderName, Inside] = {}
    labels: dict[str, Any] = {}
    aligned_as: str | None = None
    alignment: AlignmentRecord | None = None

    @property
    def arm_map(self) -> ArmMap:
        """Where the low-light arm's pixels lie on the well-lit arm, frames as captured."""
        return ArmMap(np.array(self.low_to_well), (self.frame_height, self.frame_width), self.distortion)

    @property
    def persons(self) -> tuple[Person, ...]:
        """The labels on the pictures."""
        return tuple(record.person for record in self.people)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the pair."""
        raws = (name for name in (self.raw_bright, self.raw_dark) if name is not None)
        return (self.bright, self.dark, *raws, *self.planes.values())


def shot_fields(shot: Shot) -> dict[str, Any]:
    """A shot as a record's fields."""
    fields = {name: value for name, value in vars(shot).items() if name not in ("scene", "number", "night")}
    return fields | {"scene_number": shot.scene}


def to_line(record: PairRecord) -> str:
    """A record as a line of JSON, without the line's end; what is None is left out."""
    return record.model_dump_json(exclude_none=True)


def from_line(text: bytes, where: str) -> PairRecord:
    """A line as a record.

    Args:
        text: JSON, UTF-8.
        where: file and line, for the complaint.

    Raises:
        ValueError: not JSON, of another version, or a field is missing or wrong; one sentence.
    """
    try:
        return from_json(PairRecord, text, where)
    except ValueError as fault:
        lacks_it = str(fault).endswith("Field required") and b'"version":' not in text
        if lacks_it or str(fault).startswith(f"{where}: version: "):
            raise ValueError(
                f"{where}: not a line of manifest version {VERSION}; folders of earlier versions must be made again"
            ) from None
        raise


def read_manifest(folder: Path) -> Iterator[PairRecord]:
    """The records of a closed data set, in the order of their ids.

    Raises:
        ValueError: there is no line, or one that cannot be read; named by file and line.
        FileNotFoundError: the run is not closed, or the folder is no data set.
    """
    path = folder / FILE
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield from_line(line, f"{path}:{number}")
    if not number:
        raise ValueError(f"{path}: is empty; expected a line for each pair")
