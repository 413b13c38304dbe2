"""Shots to learn from and to be judged on: one typed sample, from a folder or from a rig, rendered on demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from isp_sim.annotation_files import ANNOTATIONS
from isp_sim.isp.develop import UNCUT, develop_raw, unclipped_srgb
from isp_sim.manifest import PairRecord, read_manifest
from isp_sim.pair import DualCamera, Pair
from isp_sim.pair_files import decode_raw
from isp_sim.picture_files import read_picture
from isp_sim.progress import track
from isp_sim.raw import Raw, cropped
from isp_sim.rectify import Resampling, crop, warp
from isp_sim.rig import Isp, Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes import Person, SceneSource
from isp_sim.scenes.annotations import LabelledImage, check_size, read_keypoint_file
from isp_sim.scenes.people.source import People
from isp_sim.schedule import FILE_NAME, Shot, split_of
from isp_sim.units import LinearRgb
from models.data.normalisation import Picture


class Exposure(NamedTuple):
    """How the low-light arm's camera was set: exposure time, µs, and analogue gain, dB."""

    time_us: float
    gain_db: float

    @classmethod
    def named(cls, name: str) -> "Exposure | None":
        """What the name of a low-light picture says; None where it is of another form than ExLPose's."""
        parts = FILE_NAME.fullmatch(name)
        return cls(float(parts["exposure_us"]), float(parts["gain_db"])) if parts else None


@dataclass(frozen=True)
class PairSample:
    """One shot of both arms.

    Attributes:
        name: of the well-lit picture.
        low_light, well_lit: uint8 `(height, width, 3)`, R first, aligned.
        people: labels on both.
        split: LL-N, LL-H or LL-E, by the well-lit arm's gain.
        pre_quantisation: the low-light picture before 8 bits, float32, 1 is white; where there is a raw.
        semantic: class of each pixel, uint8, where the scene knows it.
        raw: of the low-light picture, on its pixels; where it is asked for.
        exposure: of the low-light arm, where it is known.
    """

    name: str
    low_light: Picture
    well_lit: Picture
    people: tuple[Person, ...]
    split: str
    pre_quantisation: np.ndarray | None = None
    semantic: np.ndarray | None = None
    raw: Raw | None = None
    exposure: Exposure | None = None

    @property
    def labelled(self) -> tuple[Person, ...]:
        """The people with a labelled joint."""
        return tuple(person for person in self.people if person.labelled)


class PairSource(Protocol):
    """Groups of shots by number: a group is what one look at the source gives."""

    def __len__(self) -> int:
        """How many groups there are."""
        ...

    def names(self, index: int) -> list[str]:
        """Names of the shots of group `index`, in their order; nothing is read or shot for it."""
        ...

    def group(self, index: int) -> list[PairSample]:
        """Shots of group `index`.

        Raises:
            ValueError: a file behind it cannot be used; the sentence names it.
        """
        ...


class FolderPairs:
    """Pairs of a folder in ExLPose's layout, a group a pair: the data set itself, or `isp_sim.generate`'s.

    The labels are those of the well-lit pictures, `Annotations/*WL.json`. A pair is two files whose names agree in
    all but arm and gain, so it does not matter that ExLPose's low-light annotations point to `bright/`.

    Args:
        folder: holds `bright/`, `dark/`, `Annotations/`.
        start: the first of the pairs, in the order of their names; as of a slice.
        stop: the one after the last.
        pre_quantisation: whether the low-light pictures also come before quantisation to 8 bits, developed from
            `raw/` by the `rig.yaml` that shot them, cropped (and warped, where the well-lit arm's pixels were kept) as
            `manifest.jsonl` says.
        semantic: whether the maps of `semantic/` come too, where there are some.
        labelled: whether somebody must have a labelled joint.
        raw: whether the low-light raws come too, cropped to the pictures.

    Raises:
        ValueError: nobody is labelled though somebody must be; no annotations, no pair, or a labelled picture without
            its partner; raws without a line in the manifest.
    """

    def __init__(
        self,
        folder: Path,
        start: int | None = None,
        stop: int | None = None,
        pre_quantisation: bool = False,
        semantic: bool = False,
        labelled: bool = False,
        raw: bool = False,
    ) -> None:
        files = sorted((folder / ANNOTATIONS).glob("*WL.json"))
        if not files:
            raise ValueError(f"{folder}: holds no {ANNOTATIONS}/*WL.json; expected ExLPose's layout")
        self.folder, self._semantic, self._raw = folder, semantic, raw
        self._how = how_developed(load_rig(str(folder / "rig.yaml"))) if pre_quantisation else None
        self._records = {Path(one.dark).name: one for one in read_manifest(folder)} if pre_quantisation or raw else None
        partners = {shot_of(path.name): path.name for path in sorted((folder / "dark").glob("*.png"))}
        self._pairs: list[tuple[str, str, float, LabelledImage]] = []
        for file in files:
            named = read_keypoint_file(file).images
            for name in sorted({Path(name).name for name in named}):
                parts = FILE_NAME.fullmatch(name)
                dark = partners.get(shot_of(name))
                if parts is None or dark is None:
                    raise ValueError(f"{file}: {name} has no low-light partner in {folder / 'dark'}")
                self._pairs.append((name, dark, float(parts["gain_db"]), named[name]))
        self._pairs = self._pairs[start:stop]
        if not self._pairs:
            raise ValueError(f"{folder}: no pair in {files[0]}, or none from {start} to {stop}")
        if labelled and not any(person.labelled for *_, image in self._pairs for person in image.people):
            raise ValueError(f"{files[0]}: nobody in {len(self._pairs)} pictures has a labelled joint; poses need one")

    def __len__(self) -> int:
        """How many pairs."""
        return len(self._pairs)

    def names(self, index: int) -> list[str]:
        """Name of the pair `index`, its well-lit picture's."""
        return [self._pairs[index][0]]

    def group(self, index: int) -> list[PairSample]:
        """The pair `index`."""
        bright, dark, gain_db, image = self._pairs[index]
        low, well = read_picture(self.folder / "dark" / dark), read_picture(self.folder / "bright" / bright)
        if low.shape != well.shape:
            raise ValueError(f"{self.folder / 'dark' / dark}: {low.shape[:2]} px, its partner has {well.shape[:2]}")
        check_size(self.folder / "bright" / bright, image.size, (well.shape[1], well.shape[0]))
        developed, raw = None, None
        if self._records is not None:
            record = self._records.get(dark)
            if record is None or record.raw_dark is None:
                raise ValueError(f"{self.folder / 'manifest.jsonl'}: has no raw_dark for {dark}, expected its raw")
            file = self.folder / record.raw_dark
            if not file.is_file():
                raise ValueError(f"{file}: no such file; expected the raw of {dark}")
            whole = read_whole(file.read_bytes(), file, record)
            developed = before_8_bits(whole, *self._how, record) if self._how else None
            raw = raw_of(whole, record, file) if self._raw else None
        split, classes, exposure = split_of(gain_db), self._classes(bright), Exposure.named(dark)
        return [PairSample(bright, low, well, image.people, split, developed, classes, raw, exposure)]

    def _classes(self, bright: str) -> np.ndarray | None:
        path = self.folder / "semantic" / bright
        return read_picture(path, cv2.IMREAD_GRAYSCALE) if self._semantic and path.is_file() else None


class RigPairs:
    """Pairs that a simulated rig shoots on demand, a group a scene; nothing is written.

    Args:
        rig: whose; given as JSON it travels between processes.
        seed: another seed, other scenes and other noise.
        scenes: how many.
        source: of the scenes; without it the built-in people.
        pre_quantisation: whether the low-light pictures also come before quantisation to 8 bits.
        shots_per_scene: of a scene's shots so many, drawn; None takes all.
        raw: whether the low-light raws come too, cropped to the pictures.
    """

    def __init__(
        self,
        rig: Rig | str,
        seed: int,
        scenes: int,
        source: SceneSource | None = None,
        pre_quantisation: bool = False,
        shots_per_scene: int | None = None,
        raw: bool = False,
    ) -> None:
        self._rig_json = rig if isinstance(rig, str) else rig.model_dump_json()
        self.seed, self.scenes, self._source, self.pre_quantisation = seed, scenes, source, pre_quantisation
        self.shots_per_scene, self.raw = shots_per_scene, raw
        self._camera: DualCamera | None = None

    def __getstate__(self) -> dict[str, object]:
        """Without the camera, which each process builds for itself."""
        return self.__dict__ | {"_camera": None}

    def __len__(self) -> int:
        """How many scenes."""
        return self.scenes

    def names(self, index: int) -> list[str]:
        """Names of the shots of scene `index`."""
        return [shot.file_name("bright") for shot in self._shots(self._built().rig, index)]

    def group(self, index: int) -> list[PairSample]:
        """All shots of scene `index`: a base drawn from the rig's schedule, then each of its ratios."""
        camera = self._built()
        rig = camera.rig
        source = self._source or People(rig.height_px, rig.width_px, self.seed)
        shots = self._shots(rig, index)
        scene = source.scene(index % len(source), shots[0].daylight)
        return [
            PairSample(
                pair.shot.file_name("bright"),
                pair.low_light,
                pair.well_lit,
                pair.people,
                split_of(pair.shot.well_lit_gain_db),
                before_8_bits(pair.low_light_raw, *how_developed(rig), pair) if self.pre_quantisation else None,
                pair.planes.get("semantic"),
                raw_of(pair.low_light_raw, pair, pair.scene) if self.raw else None,
                Exposure(pair.low_light_raw.exposure_us, pair.low_light_raw.gain_db),
            )
            for pair in camera.shoot(scene, shots, self.seed)
        ]

    def _built(self) -> DualCamera:
        if self._camera is None:
            self._camera = DualCamera(Rig.model_validate_json(self._rig_json))
        return self._camera

    def _shots(self, rig: Rig, index: int) -> list[Shot]:
        return drawn_shots(rig.schedule, index, self.seed, self.shots_per_scene)


class JoinedPairs:
    """Several sources one after another.

    Args:
        sources: in this order.
    """

    def __init__(self, sources: Sequence[PairSource]) -> None:
        self._places = [(source, index) for source in sources for index in range(len(source))]

    def __len__(self) -> int:
        """Groups of all together."""
        return len(self._places)

    def names(self, index: int) -> list[str]:
        """Names of group `index`, counted through all sources."""
        source, place = self._places[index]
        return source.names(place)

    def group(self, index: int) -> list[PairSample]:
        """Group `index`, counted through all sources."""
        source, place = self._places[index]
        return source.group(place)


class HeldPairs:
    """A small source whose groups stay in memory once they were shot or read.

    Args:
        source: behind it.
    """

    def __init__(self, source: PairSource) -> None:
        self._source = source
        self._held: dict[int, list[PairSample]] = {}

    def __len__(self) -> int:
        """Groups of the source."""
        return len(self._source)

    def names(self, index: int) -> list[str]:
        """Names of group `index`."""
        return self._source.names(index)

    def group(self, index: int) -> list[PairSample]:
        """Group `index`."""
        if index not in self._held:
            self._held[index] = self._source.group(index)
        return self._held[index]


def shots(source: PairSource, shown: bool = False) -> Iterator[PairSample]:
    """Every shot of a source, one at a time; with its progress over the groups if that is to be shown."""
    for index in track(range(len(source)), "groups of shots") if shown else range(len(source)):
        yield from source.group(index)


def uncut(rig: Rig) -> Isp:
    """How a rig's low-light raws are developed with nothing cut: demosaiced as they are for its pictures."""
    return Isp(demosaic=rig.low_light.isp.demosaic)


def uncut_in(folder: Path) -> Isp:
    """As `uncut`, by the `rig.yaml` of a folder of raws; without one as raws of an unknown rig.

    Raises:
        ValueError: faults of the rig.
    """
    file = folder / "rig.yaml"
    return uncut(load_rig(str(file))) if file.is_file() else UNCUT


def how_developed(rig: Rig) -> tuple[Isp, Resampling]:
    """How a rig's low-light raws are developed with nothing cut, and resampled where the well-lit arm is kept."""
    return uncut(rig), rig.resampling


def before_8_bits(
    raw: Raw, isp: Isp, resampling: Resampling, pair: Pair | PairRecord
) -> Float32[np.ndarray, "height width 3"]:
    """A low-light raw as its pair's picture before quantisation: sRGB, 1 is white, noise below black kept.

    Args:
        raw: of the low-light arm.
        isp: how it is developed.
        resampling: where the pair lies on the well-lit arm's pixels.
        pair: its crop and the arm whose pixels were kept.
    """
    light = np.ascontiguousarray(develop_raw(raw, isp)[0].permute(1, 2, 0).numpy())
    if pair.onto == "low_light":
        light = crop(light, pair.crop)
    else:
        light = warp(light, pair.arm_map, pair.onto, pair.crop, resampling)
    return np.asarray(unclipped_srgb(LinearRgb(torch.from_numpy(light))))


def read_whole(content: bytes, file: object, record: PairRecord) -> Raw:
    """The low-light raw of a pair from its file's content, as captured.

    Raises:
        ValueError: it cannot be read, or is of another size than its record says; `file` names it in the sentence.
    """
    raw = decode_raw(content, str(file))
    height, width = raw.counts.shape
    if (height, width) != (record.frame_height, record.frame_width):
        expected = f"expected {record.frame_width}×{record.frame_height} by its record"
        raise ValueError(f"{file}: {width}×{height} px; {expected}")
    return raw


def raw_of(raw: Raw, pair: Pair | PairRecord, name: object) -> Raw:
    """A low-light raw on its pair's pixels.

    Args:
        raw: of the low-light arm.
        pair: its crop and the arm whose pixels were kept.
        name: of the raw, for the sentence.

    Raises:
        ValueError: the pair lies on the well-lit arm's pixels, where the low-light mosaic is warped.
    """
    if pair.onto != "low_light":
        raise ValueError(f"{name}: its pair is on arm {pair.onto}; a mosaic is not warped, expected low_light")
    return cropped(raw, *pair.crop)


def shot_of(name: str) -> tuple[str, ...]:
    """What both pictures of a pair share in their names; a name of another form stands for itself."""
    parts = FILE_NAME.fullmatch(name)
    return parts.group("place", "video", "ratio", "frame", "exposure_us") if parts else (name,)


def scene_of(name: str) -> tuple[str, ...]:
    """What all pictures of a scene share in their names: place and video."""
    return shot_of(name)[:2]
