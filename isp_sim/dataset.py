"""ExLPose's layout on disk: write it pair by pair, close it, read it back.

    bright/  dark/        8-bit sRGB PNG on the low-light arm's pixels, ExLPose's file names
    raw/                  DNG (or .npz) of both arms as captured, neither warped nor cropped
    Annotations/, annotations/   COCO JSON in the files that loaders open (isp_sim/annotation_files.py)
    semantic/  instances/  depth/   maps on the pictures, where the scenes have them: class, person, mm; PNG
    manifest.jsonl        every true parameter and key of every shot, a line a pair (`isp_sim.manifest`)
    run.json, rig.yaml    what identifies the run, and the rig as used

While a run goes on, `.pairs/` holds the manifest lines of finished pairs: a pair's line is written after its
files, so whatever has a line is whole. Closing the run gathers them.
"""

import contextlib
import itertools
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import yaml

from isp_sim.annotation_files import ANNOTATION_FOLDERS, write_annotations
from isp_sim.choices import RawFormat, Subset
from isp_sim.files import lock, refuse_other, remove_remnants, write_atomically
from isp_sim.manifest import FILE, PairRecord, from_line, read_manifest, to_line
from isp_sim.pair import Pair
from isp_sim.pair_files import encoded, record_of
from isp_sim.picture_files import png, read_picture
from isp_sim.run_spec import ABSENT, RunSpec
from isp_sim.units import Picture

FOLDERS = ("bright", "dark", "raw", *ANNOTATION_FOLDERS, ".pairs")
PLANES = ("semantic", "instances", "depth")
"""Folders of a scene's planes; made when the first one comes."""


class DatasetWriter:
    """Writes pairs into a folder; what a killed run finished is kept and skipped.

    Args:
        folder: of the data set.
        raw: what the raws of `write`'s pairs are kept as.
    """

    def __init__(self, folder: Path, raw: RawFormat = "dng") -> None:
        self.folder, self._raw = folder, raw

    def open(self, spec: RunSpec, resume: bool, among: Collection[int] | None = None) -> set[int]:
        """Make or re-enter the folder.

        Args:
            spec: of the run.
            resume: whether it may be there.
            among: numbers of the pairs that are asked about, by a part of a run, which shares the folder; None: the
                whole run, which has it for itself.

        Returns:
            Numbers of the pairs that are already whole.

        Raises:
            ValueError: the folder holds something else, or the same run and not `resume`.
        """
        shared = among is not None
        refuse_other(self.folder, "run.json", spec.choices, "run", resume or shared, absent=ABSENT)
        text = yaml.safe_dump(spec.rig.model_dump(mode="json"), sort_keys=False, width=110)
        self.enter(spec.identity, text.encode(), spec.subset, shared)
        if among is None:
            return self._whole_pairs(spec.count)
        if (self.folder / FILE).exists():
            raise ValueError(f"{self.folder}: this run is finished; a part (--part) has nothing to add to it")
        return {number for number in among if self._is_whole(_pair_file(self.folder, number))}

    def enter(self, identity: dict[str, object], rig_yaml: bytes, subset: Subset, shared: bool = False) -> None:
        """Make the folder and what stands in it before the first pair.

        Raises:
            ValueError: another process is writing there.
        """
        self._subset = subset
        self.folder.mkdir(parents=True, exist_ok=True)
        lock(self.folder, shared)
        # First: with it the folder is ours, whatever fails next.
        write_atomically(self.folder / "run.json", json.dumps(identity, indent=1).encode())
        for name in FOLDERS:
            if name != "raw" or self._raw != "none":
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not shared:
            for name in ("", *FOLDERS, *PLANES):
                if (self.folder / name).is_dir():
                    remove_remnants(self.folder / name)
        write_atomically(self.folder / "rig.yaml", rig_yaml)

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
            if self._is_whole(path):
                whole.add(int(path.stem))
            else:
                path.unlink()
        return whole

    def _is_whole(self, line: Path) -> bool:
        if not line.is_file():
            return False
        files = [self.folder / name for name in _read_record(line).files]
        return all(file.is_file() and file.stat().st_size for file in files)

    @contextlib.contextmanager
    def batch(self, number: int) -> Iterator[Callable[[int, Pair], None]]:
        """What writes pairs (number in the run, pair) of a batch; each is there as soon as it is written."""
        yield self.write

    def write(self, number: int, pair: Pair) -> None:
        """Write one pair: two PNG, the raws, the planes, then its manifest line.

        Args:
            number: of the pair in the run, from 0; its image id is one more.
            pair: what the rig gave.
        """
        record = record_of(number, pair, self._raw)
        self.write_files(number, record, encoded(pair, record).items())

    def write_files(self, number: int, record: PairRecord, files: Iterable[tuple[str, bytes | memoryview]]) -> None:
        """Write one pair's files, (name in the record, content), then its manifest line."""
        for name in record.planes:
            (self.folder / name).mkdir(exist_ok=True)
        for name, content in files:
            write_atomically(self.folder / name, content)
        self.record(number, record)

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

    def records(self) -> Iterator[PairRecord]:
        """Of a closed run, in the order of the pairs' numbers."""
        return read_manifest(self.folder)

    def pictures(self, place: int) -> tuple[PairRecord, Picture, Picture]:
        """A pair of a closed run by its place in it: its record, well-lit and low-light picture."""
        record = next(itertools.islice(read_manifest(self.folder), place, None))
        return record, read_picture(self.folder / record.bright), read_picture(self.folder / record.dark)

    def keep(self, name: str, content: bytes) -> str:
        """Write a file about a closed run beside its pairs; gives its path."""
        write_atomically(self.folder / name, content)
        return str(self.folder / name)

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
    write_atomically(path, png(plane, path))


def _read_record(path: Path) -> PairRecord:
    return from_line(path.read_bytes(), str(path))
