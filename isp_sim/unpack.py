"""Command: a run in tar shards → the same data set in ExLPose's folders.

python -m isp_sim.unpack out/shards --out out/folders
"""

import argparse
import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import folder, run

if TYPE_CHECKING:
    from isp_sim.dataset import DatasetWriter
    from isp_sim.shards import Shards


def work(args: argparse.Namespace) -> int:
    """Write every pair of the shards into folders, its digests checked; the folder appears whole or not at all.

    Raises:
        ValueError: no finished run in shards, a damaged one, or the folder is not empty.
    """
    from isp_sim.contact_sheet import contact_sheet
    from isp_sim.dataset import DatasetWriter
    from isp_sim.files import json_object
    from isp_sim.rigfile import from_json
    from isp_sim.run_spec import Unpacked, in_folders
    from isp_sim.shards import Shards

    shards = Shards(args.shards)
    _check_out(args.out)
    content, where = shards.store.read("run.json"), f"{shards.store}/run.json"
    run_json, rig_yaml = from_json(Unpacked, content, where), shards.store.read("rig.yaml")
    _check(shards)
    with _whole(args.out) as folder:
        writer = DatasetWriter(folder, run_json.raw)
        writer.enter(in_folders(json_object(content, where)), rig_yaml, run_json.subset)
        _copy(shards, writer)
        writer.close()
        writer.keep("contact_sheet.png", contact_sheet(writer.pictures, len(shards)))
    print(f"{len(shards)} pairs in {args.out}, contact sheet {args.out / 'contact_sheet.png'}")
    return 0


def _check_out(out: Path) -> None:
    """See that a folder may take this place.

    Raises:
        ValueError: it is not empty, or cannot be replaced.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: not an empty folder; give --out another")
    if out.is_mount():
        raise ValueError(f"{out}: a file system is mounted there; give --out a folder in it")


def _check(shards: "Shards") -> None:
    """See, before anything is written, that all shards are there and that no pair is twice in them.

    Raises:
        ValueError: a tar is missing or of another size, or two pairs have the same id or file.
    """
    from isp_sim.shards import INDEX

    if not len(shards):
        raise ValueError(f"{shards.store}/{INDEX}: has no shards; expected a pair at least")
    ids: set[int] = set()
    files: set[str] = set()
    for number, line in enumerate(shards.index.shards):
        index, where = shards.shard(number), f"{shards.store}/{line.tar}"
        try:
            size = shards.store.size(line.tar)
        except FileNotFoundError:
            raise ValueError(f"{where}: no such file; its index is there") from None
        if size != line.bytes:
            raise ValueError(
                f"{where}: {'truncated' if size < line.bytes else 'too long'}: {size} bytes, expected {line.bytes}"
            )
        for pair in index.pairs:
            if pair.record.id in ids:
                raise ValueError(f"{where}: {pair.key} is in the shards twice; expected each pair once")
            if twice := files.intersection(pair.record.files):
                raise ValueError(f"{where}: {pair.key} has the file {min(twice)}, as another pair; expected its own")
            ids.add(pair.record.id)
            files.update(pair.record.files)


def _copy(shards: "Shards", writer: "DatasetWriter") -> None:
    """Write the pairs' files.

    Raises:
        ValueError: a tar is damaged, or says of a pair something else than its index.
    """
    from isp_sim.manifest import to_line
    from isp_sim.progress import Progress
    from isp_sim.shards import members

    with Progress("pairs", len(shards)) as progress:
        for place in range(len(shards)):
            tar, pair = shards.pair(place)
            named = members(pair.record)
            files = shards.files(tar, pair, ["json", *named], check=True)
            if files.get("json") != to_line(pair.record).encode():
                raise ValueError(f"{shards.store}/{tar}: {pair.key}.json is not the record that the shard's index has")
            writer.write_files(pair.record.id - 1, pair.record, ((named[one], files[one]) for one in named))
            progress.advance()


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder to fill; it takes the place of `out` when the block ends well, and nothing of it is left else.

    Raises:
        ValueError: another process is filling such a folder.
    """
    from isp_sim.files import TEMPORARY, lock

    out = out.resolve()
    remnant = re.compile(f"{re.escape(TEMPORARY)}[0-9a-f]{{8}}-{re.escape(out.name)}")
    for path in out.parent.iterdir() if out.parent.is_dir() else ():
        if remnant.fullmatch(path.name) and path.is_dir():
            lock(path)  # which a process holds as long as it lives: of a killed one, nobody else removes it
            shutil.rmtree(path)
    part = out.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{out.name}")
    try:
        yield part
        if out.exists():
            out.rmdir()
        os.replace(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Unpack a run in tar shards into ExLPose's folders.")
    parser.add_argument("shards", type=Path, help="folder of isp-sim generate --format webdataset, or its address")
    parser.add_argument("--out", type=folder, required=True, help="empty folder of the data set")
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = "python -m isp_sim.unpack") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, kept="nothing of it was kept; start again")


if __name__ == "__main__":
    sys.exit(main())
