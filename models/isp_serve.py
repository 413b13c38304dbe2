"""Command: any ISP under test as a board, which answers lines of JSON; `tune_isp --isp board.yaml` is its client.

python -m models.isp_serve --isp libraw
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim import command_line
from models.choices import DEPTHS, PROGRAMS, add_trust


def parser(prog: str = "python -m models.isp_serve") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Answer requests on standard input, a JSON object a line, until it ends: what may be set, a raw "
        "developed with settings, what a network of the board's own sees in it.",
        epilog="the protocol, and what it takes on a Raspberry Pi or a Rockchip board: docs/hardware.md",
    )
    names = f"libraw, pipeline (ours), {', '.join(PROGRAMS)}, a YAML file, module:factory"
    parser.add_argument("--isp", default="libraw", help=f"{names} [%(default)s]")
    parser.add_argument("--pose", help="the board's own network, as models.evaluate takes it [none]")
    parser.add_argument("--device", default="auto", help="of that network: cpu, cuda, or auto [%(default)s]")
    parser.add_argument("--depth", choices=DEPTHS, default="float32", help="of the pictures' codes [%(default)s]")
    parser.add_argument("--folder", type=Path, help="for files that are put and fetched [all travels in the lines]")
    parser.add_argument("--rig", help="that the raws come from; a pipeline of ours develops by it [unknown]")
    add_trust(parser)
    return parser


def work(args: argparse.Namespace) -> int:
    """Serve until standard input ends. Raises as what it loads."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    import torch

    from isp_sim.rigfile import load_rig
    from models.engine.distributed import pick_device
    from models.recognisers.loading import load_recogniser
    from models.tuning.boards.server import Board, serve
    from models.tuning.loading import load_isp

    torch.set_num_threads(1)
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    rig = load_rig(args.rig).model_dump_json() if args.rig else None  # JSON is YAML
    network = load_recogniser(args.pose).to(pick_device(args.device)) if args.pose else None
    name = args.isp if network is None else f"{args.isp} and {args.pose}"
    board = Board(load_isp(args.isp), name, network, args.depth, args.folder, rig)
    serve(board, sys.stdin.buffer, answers, lambda fault: print(fault, file=sys.stderr, flush=True))
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.isp_serve") -> int:
    """Entry point; returns the exit status."""
    return command_line.run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
