"""Data sets as tar shards, for many pairs and any storage: the files of a pair under one key, and an index.

    pairs-000000.tar     WebDataset's layout, uncompressed: 000000012.json, .dark.png, .bright.png, the scene's maps
                         (.semantic.png …), .dark.dng, .bright.dng; the key is the pair's number in the run
    pairs-000000.json    its index: where each file lies in the tar, its SHA-256, and the pair's record once more
    run.json, rig.yaml   what identifies the run, and the rig as used
    index.json           of all shards; its presence says that the run is finished

A shard's index is written after its tar: what has one is whole. `.json` is the line of the manifest that the pair has
in a folder (`isp_sim.dataset`), and the other files are the same bytes as there. A reader needs no index: the shards
are plain tar files. `isp_sim.shard_writer` writes all this.
"""

import bisect
import hashlib
import itertools
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from isp_sim.manifest import PairRecord, Record
from isp_sim.rigfile import from_json
from isp_sim.stores import Store

INDEX = "index.json"
TarName = Annotated[str, Field(pattern=r"^\w[\w.-]*\.tar$")]
"""Of a shard, in the run's folder."""
SHARD = re.compile(r"pairs-\d{6,}\.tar")
"""What `shard_name` gives, and `.tar`."""
SHARDS_HELD = 4
"""Indexes of shards that a reader keeps in memory, about 0.5 MB each."""


class Place(Record):
    """Where a file lies in a tar: its first byte and its size, and the SHA-256 of its content."""

    start: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=0)]
    sha256: str


class ShardPair(Record):
    """A pair in a shard: its key there, its record, and the places of its files by what follows the key's point."""

    key: str
    record: PairRecord
    files: dict[str, Place]


class ShardIndex(Record):
    """A shard: its tar's size and SHA-256, and its pairs in their order."""

    version: Literal[1] = 1
    tar: TarName
    bytes: int
    sha256: str
    pairs: tuple[ShardPair, ...]


class ShardLine(Record):
    """A shard in the run's index."""

    tar: TarName
    pairs: Annotated[int, Field(ge=0)]
    bytes: int
    sha256: str


class RunIndex(Record):
    """All shards of a finished run."""

    version: Literal[1] = 1
    pairs: int
    shards: tuple[ShardLine, ...]


def members(record: PairRecord) -> dict[str, str]:
    """A pair's files in a folder by what follows their key's point in a shard; what trainings read comes first."""
    named = {"dark.png": record.dark, "bright.png": record.bright}
    named |= {f"{name}.png": file for name, file in record.planes.items()}
    for arm, file in (("dark", record.raw_dark), ("bright", record.raw_bright)):
        if file is not None:
            named[f"{arm}.{file.rpartition('.')[2]}"] = file
    return named


def pair_key(number: int) -> str:
    """Of a pair's files in a tar, by its number in the run."""
    return f"{number:09d}"


def shard_name(number: int) -> str:
    """Of a shard, without `.tar` or `.json`."""
    return f"pairs-{number:06d}"


class Shards:
    """A finished run in shards, to read any pair of: a group's files lie side by side, so one read gives them.

    Args:
        address: of its folder.

    Raises:
        ValueError: it has no index: no run in shards, or not a finished one; or the index is damaged, or its shards
            are not those in the folder.
    """

    def __init__(self, address: str | Path) -> None:
        self.store = Store(address)
        try:
            content = self.store.read(INDEX)
        except FileNotFoundError:
            raise ValueError(f"{self.store}: has no {INDEX}; expected a finished run of --format webdataset") from None
        self.index = from_json(RunIndex, content, f"{self.store}/{INDEX}")
        self._ends = list(itertools.accumulate(line.pairs for line in self.index.shards))
        self._held: OrderedDict[int, ShardIndex] = OrderedDict()
        self._check()

    def _check(self) -> None:
        """See that the index agrees with itself and, where that costs nothing, with the folder."""
        where, tars = f"{self.store}/{INDEX}", [line.tar for line in self.index.shards]
        first: dict[str, int] = {}
        for number, tar in enumerate(tars):
            if (before := first.setdefault(tar, number)) < number:
                raise ValueError(f"{where}: shards.{number}.tar is {tar}, as shards.{before}.tar; expected each once")
        if self.store.remote is None and (others := {*filter(SHARD.fullmatch, self.store.names())}.difference(tars)):
            raise ValueError(f"{where}: shards lack {min(others)}; expected every shard of the folder")
        if self.index.pairs != len(self):
            for number in range(len(tars)):
                self.shard(number)  # says which line is wrong
            raise ValueError(f"{where}: pairs is {self.index.pairs}; expected {len(self)}, those of its shards")

    def __len__(self) -> int:
        """Pairs of all shards."""
        return self._ends[-1] if self._ends else 0

    def shard(self, number: int) -> ShardIndex:
        """A shard's index, by its place in the run's.

        Raises:
            ValueError: it is missing or damaged, or the run's index says otherwise.
        """
        if number not in self._held:
            line = self.index.shards[number]
            index = read_index(self.store, line.tar)
            own = ShardLine(tar=index.tar, pairs=len(index.pairs), bytes=index.bytes, sha256=index.sha256)
            for field, expected in own:
                if (found := getattr(line, field)) != expected:
                    raise ValueError(
                        f"{self.store}/{INDEX}: shards.{number}.{field} is {found}; "
                        f"expected {expected}, as the index of {line.tar} has it"
                    )
            self._held[number] = index
            if len(self._held) > SHARDS_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return self._held[number]

    def pair(self, place: int) -> tuple[str, ShardPair]:
        """The name of a pair's tar, and the pair, by its place in the run."""
        number = bisect.bisect_right(self._ends, place)
        index = self.shard(number)
        return index.tar, index.pairs[place - (self._ends[number] - len(index.pairs))]

    def records(self) -> Iterator[PairRecord]:
        """Of every pair, in the order of their numbers."""
        for number in range(len(self.index.shards)):
            for pair in self.shard(number).pairs:
                yield pair.record

    def files(self, tar: str, pair: ShardPair, names: Collection[str], check: bool = False) -> dict[str, bytes]:
        """The content of some of a pair's files, in one read.

        Args:
            tar: its tar's name.
            pair: of that.
            names: of files, as `members` has them; those that it lacks are left out.
            check: whether the digests must agree.

        Raises:
            ValueError: the tar is missing or shorter than its index says, or a digest is another.
        """
        places = {name: pair.files[name] for name in names if name in pair.files}
        if not places:
            return {}
        first = min(place.start for place in places.values())
        last = max(place.start + place.size for place in places.values())
        try:
            content = self.store.read(tar, first, last)
        except FileNotFoundError:
            raise ValueError(f"{self.store}/{tar}: no such file; its index is there") from None
        if len(content) < last - first:
            raise ValueError(f"{self.store}/{tar}: truncated: {pair.key} should end at byte {last}")
        found = {name: content[one.start - first : one.start - first + one.size] for name, one in places.items()}
        for name, one in places.items():
            if check and hashlib.sha256(found[name]).hexdigest() != one.sha256:
                raise ValueError(f"{self.store}/{tar}: {pair.key}.{name} is damaged: its SHA-256 is not the index's")
        return found


def read_index(store: Store, tar: str) -> ShardIndex:
    """The index of a shard, by the name of its tar.

    Raises:
        ValueError: it is missing or damaged, or contradicts itself.
    """
    name = tar.removesuffix(".tar") + ".json"
    try:
        index = from_json(ShardIndex, store.read(name), f"{store}/{name}")
    except FileNotFoundError:
        raise ValueError(f"{store}/{name}: no such file; expected the index of {tar}") from None
    if index.tar != tar:
        raise ValueError(f"{store}/{name}: tar is {index.tar}; expected {tar}")
    for place, pair in enumerate(index.pairs):
        where, number = f"{store}/{name}: pairs.{place}", pair.record.id
        if pair.key != pair_key(number - 1):
            raise ValueError(f"{where}.record.id is {number}; expected one more than its key, {pair.key}")
        if lacking := members(pair.record).keys() - pair.files.keys():
            raise ValueError(f"{where}.files lack {min(lacking)}; expected it by the pair's record")
        for member, file in pair.files.items():
            if file.start + file.size > index.bytes:
                raise ValueError(f"{where}.files.{member} ends behind the tar; expected at most {index.bytes} bytes")
    return index
