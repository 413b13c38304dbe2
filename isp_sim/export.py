"""Command: a data set → the layouts that other tools open.

python -m isp_sim.export out/pairs --format yolo-pose --out out/yolo
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from isp_sim.choices import Arm, ExportFormat
from isp_sim.command_line import run


def parser(prog: str = "python -m isp_sim.export") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write a data set in the layout of other tools; pictures are hard links where the file system can.",
        epilog="example: %(prog)s out/pairs --format yolo-pose --out out/yolo; then yolo pose train "
        "data=out/yolo/data.yaml",
    )
    parser.add_argument("data", type=Path, help="data set of isp-sim generate or isp-sim align")
    parser.add_argument("--format", required=True, choices=get_args(ExportFormat), help="layout")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, empty or not there")
    parser.add_argument(
        "--arm", choices=get_args(Arm), default="dark", help="whose pictures; huggingface gets both [%(default)s]"
    )
    parser.add_argument(
        "--val-share", type=float, default=0.2, metavar="SHARE", help="of the scenes, for validation [%(default)s]"
    )
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = "python -m isp_sim.export") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), _export, arguments, kept="some files are there; delete the folder and start again")


def _export(options: argparse.Namespace) -> int:
    from isp_sim.exports import export

    if options.out.exists() and any(options.out.iterdir()):
        raise ValueError(f"{options.out}: is not empty; expected a new folder")
    count = export(options.data, options.out, options.format, options.arm, options.val_share)
    print(f"{options.out}: {count} pairs as {options.format}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
