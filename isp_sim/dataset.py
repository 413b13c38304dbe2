"""ExLPose's layout on disk: write it pair by pair, close it, read it back.

    bright/  dark/        8-bit sRGB PNG on the low-light arm's pixels, ExLPose's file names
    raw/                  DNG of both arms as captured, neither warped nor cropped
    Annotations/, annotations/   COCO JSON in the files that loaders open (isp_sim/annotation_files.py)
    semantic/  instances/  depth/   maps on the pictures, where the scenes have them: class, person, mm; PNG
    manifest.jsonl        every true parameter and key of every shot, a line a pair (`isp_sim.manifest`)
    run.json, rig.yaml    what identifies the run, and the rig as used

While a run goes on, `.pairs/` holds the manifest lines of finished pairs: a pair's line is written after its
files, so whatever has a line is whole. Closing the run gathers them.
"""

import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import yaml

from isp_sim.annotation_files import ANNOTATION_FOLDERS, write_annotations
from isp_sim.dng import write_dng
from isp_sim.files import lock, refuse_other, remove_remnants, write_atomically
from isp_sim.manifest import FILE, PairRecord, PersonRecord, from_line, read_manifest, shot_fields, to_line
from isp_sim.pair import Pair
from isp_sim.run_spec import RunSpec
from isp_sim.schedule import split_of
from isp_sim.units import Picture

FOLDERS = ("bright", "dark", "raw", *ANNOTATION_FOLDERS, ".pairs")
PLANES = ("semantic", "instances", "depth")
"""Folders of a scene's planes; made when the first one comes."""


class DatasetWriter:
    """Writes pairs into a folder; what a killed run finished is kept and skipped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, spec: RunSpec, resume: bool) -> set[int]:
        """Make or re-enter the folder.

        Returns:
            Numbers of the pairs that are already whole.

        Raises:
            ValueError: the folder holds something else, or the same run and not `resume`.
        """
        self._subset = spec.subset
        identity = spec.identity
        refuse_other(self.folder, "run.json", identity, "run", resume)
        self.folder.mkdir(parents=True, exist_ok=True)
        lock(self.folder)
        # First: with it the folder is ours, whatever fails next.
        write_atomically(self.folder / "run.json", json.dumps(identity, indent=1).encode())
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            remove_remnants(self.folder / name)
        for name in PLANES:
            if (self.folder / name).is_dir():
                remove_remnants(self.folder / name)
        remove_remnants(self.folder)
        text = yaml.safe_dump(spec.rig.model_dump(mode="json"), sort_keys=False, width=110)
        write_atomically(self.folder / "rig.yaml", text.encode())
        return self._whole_pairs(spec.count)

    def _whole_pairs(self, count: int) -> set[int]:
        """Numbers of the pairs whose files are all there; a closed run that lacks some is opened again.

        Raises:
            ValueError: the manifest is damaged; it stays as it is.
        """
        pairs, manifest = self.folder / ".pairs", self.folder / FILE
        if manifest.exists():
            records = list(read_manifest(self.folder))  # all of them first: one that cannot be read loses nothing
            last = max((record.id for record in records), default=0)
            if last > count:
                raise ValueError(
                    f"{manifest}: has a pair of id {last}; expected at most {count}, the pairs of this run"
                )
            for record in records:
                write_atomically(_pair_file(self.folder, record.id - 1), to_line(record).encode())
            manifest.unlink()
        whole = set()
        for path in pairs.glob("*.json"):
            record = _read_record(path)
            if all((self.folder / name).is_file() and (self.folder / name).stat().st_size for name in record.files):
                whole.add(int(path.stem))
            else:
                path.unlink()
        return whole

    def write(self, number: int, pair: Pair) -> None:
        """Write one pair: two PNG, two DNG, the planes, then its manifest line.

        Args:
            number: of the pair in the run, from 0; its image id is one more.
            pair: what the rig gave.
        """
        bright, dark = pair.shot.file_name("bright"), pair.shot.file_name("dark")
        write_png(self.folder / "bright" / bright, pair.well_lit)
        write_png(self.folder / "dark" / dark, pair.low_light)
        write_dng(self.folder / "raw" / Path(bright).with_suffix(".dng").name, pair.well_lit_raw)
        write_dng(self.folder / "raw" / Path(dark).with_suffix(".dng").name, pair.low_light_raw)
        for name, plane in pair.planes.items():
            (self.folder / name).mkdir(exist_ok=True)
            write_plane(self.folder / name / bright, plane)
        self.record(number, record_of(number, pair))

    def record(self, number: int, record: PairRecord) -> None:
        """Note that a pair's files are whole.

        Args:
            number: of the pair in the run, from 0.
            record: its line of the manifest.
        """
        write_atomically(_pair_file(self.folder, number), to_line(record).encode())

    def count(self) -> int:
        """How many pairs an open run has finished."""
        return sum(1 for _ in (self.folder / ".pairs").glob("*.json"))

    def recorded(self, number: int) -> PairRecord:
        """The record of a whole pair while the run is open."""
        return _read_record(_pair_file(self.folder, number))

    def abandon(self) -> None:
        """Take back what `open` made of a run in which no pair came to be; the folder stays. Else nothing is done."""
        if self.count():
            return
        for name in (*FOLDERS, *PLANES):
            shutil.rmtree(self.folder / Path(name).parts[0], ignore_errors=True)
        for name in ("run.json", "rig.yaml"):
            (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Gather the manifest and the annotation files; may be called again after a kill at any moment."""
        pairs = sorted((self.folder / ".pairs").glob("*.json"))
        manifest = self.folder / FILE
        if not manifest.exists():
            lines = [path.read_bytes() for path in pairs]
            write_annotations(self.folder, [_read_record(path) for path in pairs], self._subset)
            write_atomically(manifest, b"\n".join(lines) + b"\n")
        for path in pairs:
            path.unlink()
        (self.folder / ".pairs").rmdir()


def _pair_file(folder: Path, number: int) -> Path:
    return folder / ".pairs" / f"{number:09d}.json"


def write_png(path: Path, picture: Picture) -> None:
    """Write an 8-bit RGB picture."""
    write_plane(path, picture[..., ::-1])


def write_plane(path: Path, plane: np.ndarray) -> None:
    """Write a map of 8 or 16 bits, or three of them in the order B, G, R."""
    whole, data = cv2.imencode(".png", plane)
    if not whole:
        raise OSError(f"{path}: could not be encoded as PNG")
    write_atomically(path, data.tobytes())


def _read_record(path: Path) -> PairRecord:
    return from_line(path.read_bytes(), str(path))


def record_of(number: int, pair: Pair) -> PairRecord:
    """A simulated pair's line of the manifest; people cut to less than a pixel are left out."""
    shot = pair.shot
    height, width = pair.well_lit.shape[:2]
    frame_height, frame_width = pair.low_light_raw.counts.shape
    light = pair.photons_per_us_at_white
    return PairRecord(
        id=number + 1,
        bright=f"bright/{shot.file_name('bright')}",
        dark=f"dark/{shot.file_name('dark')}",
        raw_bright=f"raw/{Path(shot.file_name('bright')).stem}.dng",
        raw_dark=f"raw/{Path(shot.file_name('dark')).stem}.dng",
        scene=pair.scene,
        split=split_of(shot.well_lit_gain_db),
        width=width,
        height=height,
        frame_width=frame_width,
        frame_height=frame_height,
        **shot_fields(shot),
        key=pair.well_lit_raw.provenance,
        photons_per_us_at_white=light if math.isfinite(light) else None,
        onto=pair.onto,
        crop=pair.crop,
        low_to_well=pair.low_to_well.tolist(),
        mean_well_lit=float(np.mean(pair.well_lit)),
        mean_low_light=float(np.mean(pair.low_light)),
        people=tuple(PersonRecord.of(p) for p in pair.people if p.bbox[2] >= 1 and p.bbox[3] >= 1),
        planes={name: f"{name}/{shot.file_name('bright')}" for name in pair.planes},
        labels=pair.labels,
    )
