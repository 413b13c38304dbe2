"""Pairs of a data set on disk or elsewhere, in folders or in shards: whichever lies at an address."""

from collections.abc import Sequence
from pathlib import Path

import cv2

from isp_sim.annotation_files import coco
from isp_sim.manifest import PairRecord
from isp_sim.picture_files import decode_picture
from isp_sim.rigfile import rig_of_yaml
from isp_sim.scenes import Person
from isp_sim.scenes.annotations import check_size, keypoint_document
from isp_sim.shards import INDEX, Shards
from isp_sim.stores import remote
from models.data.samples import (
    Exposure,
    FolderPairs,
    JoinedPairs,
    PairSample,
    PairSource,
    before_8_bits,
    how_developed,
    raw_of,
    read_whole,
)


class ShardPairs:
    """Pairs of a run in shards (`isp_sim.shards`), a group a pair, in the order of their numbers: as `FolderPairs`.

    A group is one read of a range of bytes, on a disk or wherever fsspec reads.

    Args:
        address: of the run, `out/run` or `s3://bucket/run`.
        pre_quantisation: whether the low-light pictures also come before quantisation to 8 bits.
        semantic: whether the maps of classes come too, where there are some.
        labelled: whether somebody must have a labelled joint.
        raw: whether the low-light raws come too, cropped to the pictures.

    Raises:
        ValueError: no finished run in shards; none of its pairs has a raw though they are asked for, or nobody is
            labelled though somebody must be.
    """

    def __init__(
        self,
        address: str | Path,
        pre_quantisation: bool = False,
        semantic: bool = False,
        labelled: bool = False,
        raw: bool = False,
    ) -> None:
        self.shards = Shards(address)
        store = self.shards.store
        if not len(self.shards):
            raise ValueError(f"{store}: no pair in {INDEX}")
        self._how = (
            how_developed(rig_of_yaml(store.read("rig.yaml"), f"{store}/rig.yaml")) if pre_quantisation else None
        )
        self._semantic, self._raw = semantic, raw
        if (raw or pre_quantisation) and self.shards.pair(0)[1].record.raw_dark is None:
            raise ValueError(f"{store}: its pairs have no raws (--raw none); expected raws")
        if labelled and not any(person.labelled for one in self.shards.records() for person in _people(one)):
            raise ValueError(f"{store}: nobody in {len(self)} pictures has a labelled joint; poses need one")

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.shards)

    def names(self, index: int) -> list[str]:
        """Name of the pair `index`, its well-lit picture's."""
        return [Path(self.shards.pair(index)[1].record.bright).name]

    def group(self, index: int) -> list[PairSample]:
        """The pair `index`."""
        tar, pair = self.shards.pair(index)
        record = pair.record
        suffix = (record.raw_dark or "").rpartition(".")[2]
        wanted = ["dark.png", "bright.png"]
        wanted += ["semantic.png"] if self._semantic else []
        wanted += [f"dark.{suffix}"] if self._raw or self._how else []
        files = self.shards.files(tar, pair, wanted)
        where = f"{self.shards.store}/{tar}: {pair.key}"
        low, well = (decode_picture(files[name], f"{where}.{name}") for name in ("dark.png", "bright.png"))
        if low.shape != well.shape:
            raise ValueError(f"{where}.dark.png: {low.shape[:2]} px, its partner has {well.shape[:2]}")
        check_size(Path(f"{where}.bright.png"), (record.width, record.height), (well.shape[1], well.shape[0]))
        classes = files.get("semantic.png")
        developed, raw = None, None
        if self._raw or self._how:
            whole = read_whole(_needed(files, f"dark.{suffix}", where), f"{where}.dark.{suffix}", record)
            developed = before_8_bits(whole, *self._how, record) if self._how else None
            raw = raw_of(whole, record, where) if self._raw else None
        return [
            PairSample(
                Path(record.bright).name,
                low,
                well,
                _people(record),
                record.split,
                developed,
                None if classes is None else decode_picture(classes, f"{where}.semantic.png", cv2.IMREAD_GRAYSCALE),
                raw,
                Exposure.named(Path(record.dark).name),
            )
        ]


def _people(record: PairRecord) -> tuple[Person, ...]:
    """A record's people as they come out of the keypoint file that a folder has."""
    return keypoint_document(coco([record], "bright"), record.bright).images[record.bright].people


def _needed(files: dict[str, bytes], name: str, where: str) -> bytes:
    if name not in files:
        raise ValueError(f"{where}: has no .{name}; expected its raw")
    return files[name]


def open_pairs(
    address: Path, pre_quantisation: bool = False, semantic: bool = False, labelled: bool = False, raw: bool = False
) -> PairSource:
    """Pairs of a data set: a folder in ExLPose's layout, or a run in shards on a disk or at an address of fsspec's.

    Args and what it raises: see `FolderPairs`, `ShardPairs`.
    """
    if remote(address) or (address / INDEX).is_file():
        return ShardPairs(address, pre_quantisation, semantic, labelled, raw)
    return FolderPairs(address, None, None, pre_quantisation, semantic, labelled, raw)


def poses_of(addresses: Sequence[Path], pre_quantisation: bool = False, raw: bool = False) -> JoinedPairs:
    """Data sets to learn poses from, in this order; see `open_pairs`."""
    return JoinedPairs([open_pairs(one, pre_quantisation, labelled=True, raw=raw) for one in addresses])
