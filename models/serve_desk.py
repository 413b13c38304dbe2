"""Command: the tuning desk, a page on loopback with sliders for an ISP and a rig before a frozen pose network.

python -m models.serve_desk --isp libraw
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim import command_line
from models.choices import LEARN_POSE, add_trust


def parser(prog: str = "python -m models.serve_desk") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve the tuning desk on loopback: sliders for an ISP and for the rig, pictures side by side, the "
        "poses a frozen network finds in them, figures, scores, and settings as files that the commands read. Without "
        "--data or raws the rig shoots a few built-in scenes.",
        epilog="docs/desk.md is a tutorial of ten minutes",
    )
    parser.add_argument("raws", nargs="*", type=Path, metavar="RAW", help="raw files of any camera, without labels")
    parser.add_argument("--data", type=Path, help="folder of isp-sim generate [the rig shoots one]")
    parser.add_argument("--scenes", type=Path, help="pictures that --data was made of, so that its rig can be moved")
    parser.add_argument("--rig", default="exlpose-small", help="rig that shoots if there is no --data [%(default)s]")
    parser.add_argument("--shots", type=int, default=6, help="shots on the desk [%(default)s]")
    parser.add_argument(
        "--isp", default="pipeline", help="pipeline (ours), libraw, a YAML file, module:factory [%(default)s]"
    )
    parser.add_argument("--pose", default=LEARN_POSE, help="frozen network, as models.evaluate takes it [%(default)s]")
    parser.add_argument(
        "--settings", type=Path, action="append", default=[],
        help="settings to begin with: a file the desk saved, or a search's settings.json; may come several times",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1 [a free one]")
    parser.add_argument("--seed", type=int, default=0, help="of the built-in scenes [%(default)s]")
    add_trust(parser)
    parser.add_argument(
        "--out", type=command_line.folder, default=Path("out/desk"), help="folder for shots and presets [%(default)s]"
    )
    return parser


def work(args: argparse.Namespace) -> int:
    """Put the shots on the desk and serve it until Ctrl-C.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    if not 0 <= args.port < 2**16:
        raise ValueError(f"--port {args.port}: expected 0 … 65535")
    from models.runs.desk import Desk, open_desk

    server = open_desk(Desk(**vars(args)))
    print(f"the desk: {server.address}\nCtrl-C ends it", flush=True)
    with server:
        server.serve_forever()
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.serve_desk") -> int:
    """Entry point; returns the exit status."""
    return command_line.run(parser(prog), work, arguments, "shots and presets are kept")


if __name__ == "__main__":
    sys.exit(main())
