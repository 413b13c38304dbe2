"""Command: a still scene or a chessboard seen by both arms → the low-light arm's geometry as a rig file.

python -m calibration.geometry --well-lit w*.dng --low-light l*.dng --rig exlpose
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import file_name, folder, run


def parser(prog: str = "python -m calibration.geometry") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Find how the low-light arm sits against the well-lit one, from a still scene full of detail or a "
        "chessboard seen by both (several frames of an arm are averaged), and the lens's distortion from a chessboard. "
        "Without files it simulates a still scene in front of the exlpose-small rig.",
        epilog="example: %(prog)s --well-lit w0.dng w1.dng --low-light l0.dng l1.dng l2.dng",
    )
    parser.add_argument("--well-lit", nargs="+", type=Path, help="DNG of one setting, or one picture")
    parser.add_argument("--low-light", nargs="+", type=Path, help="likewise, of the same scene")
    parser.add_argument("--board", type=int, nargs=2, metavar=("ACROSS", "DOWN"), help="inner corners of a chessboard")
    parser.add_argument("--rig", default="exlpose-small", help="rig file that is extended [%(default)s]")
    parser.add_argument("--name", type=file_name, help="of the new rig [<rig>-aligned]")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated frames [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/calibration"), help="folder [%(default)s]")
    return parser


def work(args: argparse.Namespace) -> int:
    """Calibrate, then print the low-light arm's geometry. Raises as `calibration.arm_geometry.calibrate`."""
    from rich.console import Console

    from calibration.arm_geometry import HEADINGS, calibrate, figures
    from calibration.output import print_written
    from isp_sim.tables import terminal_table

    board = tuple(args.board) if args.board else None
    file, page, found = calibrate(args.well_lit, args.low_light, board, args.rig, args.name, args.seed, args.out)
    Console().print(terminal_table("low-light arm", HEADINGS, figures(found)))
    print(f"{len(found.well)} points, residual {found.rms_px:.3f} px RMS")
    print_written({"rig": file}, page)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.geometry") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
