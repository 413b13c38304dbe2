"""Writes a run's pairs into tar shards (`isp_sim.shards`), a shard at a time, each streamed to where it shall lie."""

import contextlib
import hashlib
import json
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import yaml

from isp_sim.choices import RawFormat
from isp_sim.files import json_object, lock, refuse_different, refuse_other, remove_remnants
from isp_sim.manifest import PairRecord, to_line
from isp_sim.pair import Pair
from isp_sim.pair_files import Content, encoded, record_of
from isp_sim.picture_files import decode_picture
from isp_sim.run_spec import ABSENT, RunSpec
from isp_sim.shards import (
    INDEX,
    Place,
    RunIndex,
    ShardIndex,
    ShardLine,
    ShardPair,
    Shards,
    members,
    pair_key,
    read_index,
    shard_name,
)
from isp_sim.stores import Store
from isp_sim.units import Picture


class ShardWriter:
    """Writes pairs into shards; shards that a killed run finished are kept and skipped.

    Args:
        out: path or address of the folder.
        raw: what the pairs' raws are kept as.
    """

    def __init__(self, out: Path, raw: RawFormat = "dng") -> None:
        self.store, self._raw = Store(out), raw

    def open(self, spec: RunSpec, resume: bool, among: Collection[int] | None = None) -> set[int]:
        """Make or re-enter the folder. As `isp_sim.dataset.DatasetWriter.open`, whatever the address.

        Raises:
            ValueError: the folder holds something else, or the same run and not `resume`.
        """
        shared = among is not None
        if self.store.remote is None:
            folder = spec.out
            refuse_other(folder, "run.json", spec.choices, "run", resume or shared, absent=ABSENT)
            folder.mkdir(parents=True, exist_ok=True)
            lock(folder, shared)
            if not shared:
                remove_remnants(folder)
        else:
            self._refuse_other(spec, resume or shared)
        names = self.store.names()
        if INDEX in names:
            if shared:
                raise ValueError(f"{self.store}: this run is finished; a part (--part) has nothing to add to it")
            self.store.remove(INDEX)
        self.store.write("run.json", json.dumps(spec.identity, indent=1).encode())
        text = yaml.safe_dump(spec.rig.model_dump(mode="json"), sort_keys=False, width=110)
        self.store.write("rig.yaml", text.encode())
        whole = (index for index in self._indexes(names) if index.tar in names)
        found = {pair.record.id - 1 for index in whole if self._has(index) for pair in index.pairs}
        return found if among is None else found.intersection(among)

    def _refuse_other(self, spec: RunSpec, resume: bool) -> None:
        """As `isp_sim.files.refuse_other`, where there are no folders."""
        names = self.store.names()
        if "run.json" not in names:
            if names:
                raise ValueError(f"{self.store}: not empty and no run of this program; give --out an empty folder")
            return
        there = json_object(self.store.read("run.json"), f"{self.store}/run.json")
        refuse_different({**ABSENT, **there}, spec.choices, str(self.store), "run.json", "run")
        if not resume:
            raise ValueError(f"{self.store}: holds this same run; add --resume to finish it")

    def _has(self, index: ShardIndex) -> bool:
        """Whether a shard's tar is as large as its index says."""
        return self.store.size(index.tar) == index.bytes

    def _indexes(self, names: Collection[str]) -> Iterator[ShardIndex]:
        """Of the shards among files of these names, in their order."""
        for name in sorted(names):
            if name.startswith("pairs-") and name.endswith(".json"):
                yield read_index(self.store, name.removesuffix(".json") + ".tar")

    @contextlib.contextmanager
    def batch(self, number: int) -> Iterator[Callable[[int, Pair], None]]:
        """What writes pairs (number in the run, pair) into the shard `number`, which is there when the block ends well.

        A shard without a pair is not written.
        """
        pairs: list[ShardPair] = []
        name = shard_name(number)
        with contextlib.ExitStack() as stack:
            tar: list[_Tar] = []

            def write(pair_number: int, pair: Pair) -> None:
                if not tar:
                    tar.append(_Tar(stack.enter_context(self.store.opened(f"{name}.tar"))))
                pairs.append(self._written(tar[0], pair_number, pair))

            yield write
            if tar:
                tar[0].finish()
        if tar:
            index = ShardIndex(tar=f"{name}.tar", bytes=tar[0].size, sha256=tar[0].sha256, pairs=tuple(pairs))
            self.store.write(f"{name}.json", index.model_dump_json(exclude_none=True).encode())

    def _written(self, tar: "_Tar", number: int, pair: Pair) -> ShardPair:
        record = record_of(number, pair, self._raw)
        content, key = encoded(pair, record), pair_key(number)
        files = {"json": tar.add(f"{key}.json", to_line(record).encode())}
        files |= {member: tar.add(f"{key}.{member}", content[name]) for member, name in members(record).items()}
        return ShardPair(key=key, record=record, files=files)

    def count(self) -> int:
        """How many pairs lie in shards."""
        return sum(len(index.pairs) for index in self._indexes(self.store.names()))

    def close(self) -> None:
        """Write the index of all shards; may be called again after a kill at any moment."""
        lines = [
            ShardLine(tar=index.tar, pairs=len(index.pairs), bytes=index.bytes, sha256=index.sha256)
            for index in self._indexes(self.store.names())
        ]
        index = RunIndex(pairs=sum(line.pairs for line in lines), shards=tuple(lines))
        self.store.write(INDEX, index.model_dump_json(indent=1).encode())

    def records(self) -> Iterator[PairRecord]:
        """Of a closed run, in the order of the pairs' numbers."""
        return Shards(self.store.address).records()

    def pictures(self, place: int) -> tuple[PairRecord, Picture, Picture]:
        """A pair of a closed run by its place in it: its record, well-lit and low-light picture."""
        shards = Shards(self.store.address)
        tar, pair = shards.pair(place)
        files = shards.files(tar, pair, ("bright.png", "dark.png"))
        well, low = (decode_picture(files[name], f"{tar}: {pair.key}.{name}") for name in ("bright.png", "dark.png"))
        return pair.record, well, low

    def keep(self, name: str, content: bytes) -> str:
        """Write a file about a closed run beside its shards; gives its address."""
        self.store.write(name, content)
        return f"{self.store}/{name}"


class _Tar:
    """A tar archive, written in order, that knows its size and its digest; the same files give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size, self._digest = file, 0, hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, name: str, content: Content) -> Place:
        entry = tarfile.TarInfo(name)  # of nobody, and of 1970
        entry.size = len(content)
        self._write(entry.tobuf(tarfile.USTAR_FORMAT))
        start = self.size
        self._write(content)
        self._write(bytes(-len(content) % tarfile.BLOCKSIZE))
        return Place(start=start, size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def finish(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self.size % tarfile.RECORDSIZE))

    def _write(self, data: Content) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)
