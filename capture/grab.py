"""Command: two cameras and a schedule → a session of raw pairs, which capture.align and calibration read.

python -m capture.grab --rig rigs/mine.yaml --bright basler:SERIAL --dark basler:SERIAL --schedule shots.csv
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import run


def parser(prog: str = "python -m capture.grab") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Take pairs with two cameras triggered together, through a schedule of exposures and gains: a "
        "session folder of DNGs with the settings the cameras had. Lost, late and wrongly set frames are taken again.",
        epilog="Without arguments: ten pairs of the simulated rig. Hardware in the loop without hardware: "
        "PYLON_CAMEMU=2 %(prog)s --bright basler:0815-0000 --dark basler:0815-0001 --frames out/captures",
    )
    parser.add_argument(
        "--rig", help="rig file or name: frame size, sensor, schedule [the rig.yaml of --frames, or exlpose-misaligned]"
    )
    kinds = "simulated, replay, basler:SERIAL or aravis:SERIAL"
    parser.add_argument("--bright", default="simulated", help=f"the well-lit arm's camera: {kinds} [%(default)s]")
    parser.add_argument("--dark", default="simulated", help=f"the low-light arm's camera: {kinds} [%(default)s]")
    parser.add_argument("--line", help="input that triggers the low-light arm's camera, as Line1 [by software]")
    parser.add_argument("--frames", type=Path, help="folder with raw/*.dng that replaying and emulated cameras see")
    parser.add_argument(
        "--scenes", default="people", help="what simulated cameras see: as isp-sim generate [%(default)s]"
    )
    parser.add_argument(
        "--schedule", type=Path, help="CSV of shots, as isp-sim generate [the rig's, or that of --frames]"
    )
    parser.add_argument("--count", type=int, help="pairs to take [10, or all of --schedule or --frames]")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the schedule's draw and simulated cameras [%(default)s]"
    )
    parser.add_argument("--apart-ms", type=float, default=5.0, help="longest time between the triggers [%(default)s]")
    parser.add_argument("--tries", type=int, default=5, help="how often a moment is tried [%(default)s]")
    parser.add_argument("--out", type=Path, default=Path("out/session"), help="the session's folder [%(default)s]")
    parser.add_argument("--resume", action="store_true", help="go on with a session that was stopped")
    return parser


def work(args: argparse.Namespace) -> int:
    """Take the session, then print how many pairs it holds. Raises as `capture.take_session.grab`."""
    from capture.take_session import SessionOptions, grab

    taken, again = grab(SessionOptions(**vars(args)))
    print(f"{taken} pairs in {args.out}/raw, {again} tries taken again; session.json says why")
    print(f"next: isp-sim align {args.out} --out out/aligned")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m capture.grab") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments, "the pairs that are taken are whole: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
