"""Command: a run in tar shards → the same data set in ExLPose's folders.

python -m isp_sim.unpack out/shards --out out/folders
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import run


def work(args: argparse.Namespace) -> int:
    """Write every pair of the shards into folders, its digests checked.

    Raises:
        ValueError: no finished run in shards, a damaged one, or the folder is not empty.
    """
    from isp_sim.contact_sheet import contact_sheet
    from isp_sim.dataset import DatasetWriter
    from isp_sim.files import json_object
    from isp_sim.progress import Progress
    from isp_sim.run_spec import in_folders
    from isp_sim.shards import Shards, members

    shards = Shards(args.shards)
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise ValueError(f"{args.out}: not an empty folder; give --out another")
    run_json = json_object(shards.store.read("run.json"), f"{shards.store}/run.json")
    writer = DatasetWriter(args.out, run_json.get("raw", "dng"))
    writer.enter(in_folders(run_json), shards.store.read("rig.yaml"), run_json["subset"])
    with Progress("pairs", len(shards)) as progress:
        for place in range(len(shards)):
            tar, pair = shards.pair(place)
            named = members(pair.record)
            files = shards.files(tar, pair, named, check=True)
            if lacking := named.keys() - files.keys():
                raise ValueError(f"{shards.store}/{tar}: {pair.key} has no .{min(lacking)}; expected it by its record")
            content = ((named[member], content) for member, content in files.items())
            writer.write_files(pair.record.id - 1, pair.record, content)
            progress.advance()
    writer.close()
    sheet = writer.keep("contact_sheet.png", contact_sheet(writer.pictures, len(shards)))
    print(f"{len(shards)} pairs in {args.out}, contact sheet {sheet}")
    return 0


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Unpack a run in tar shards into ExLPose's folders.")
    parser.add_argument("shards", type=Path, help="folder of isp-sim generate --format webdataset, or its address")
    parser.add_argument("--out", type=Path, required=True, help="empty folder of the data set")
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = "python -m isp_sim.unpack") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
