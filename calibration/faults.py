"""Command: flats and darks of a rig's camera → its lens shading and defective pixels, for the rig, DNGs, libcamera.

python -m calibration.faults session --rig my_rig.yaml
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import file_name, folder, run


def parser(prog: str = "python -m calibration.faults") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure an arm's lens shading, at one or several colour temperatures, and the defective pixels of "
        "its camera. Writes a rig file, whose raws carry both as DNG opcodes, a sensor file with the densities, and "
        "black level, noise and shading as a libcamera tuning file. Without a session it simulates one with faults.",
        epilog="example: %(prog)s session --rig my_rig.yaml; the folder has unbinned raws of one gain: an evenly lit "
        "screen in flats_2856K/, flats_6500K/ … (flats/ alone: daylight), lens capped in darks/, at the flats' "
        "exposure and at some seconds.",
    )
    parser.add_argument("session", nargs="?", type=Path, help="folder of raws")
    parser.add_argument("--rig", default="exlpose", help="rig file that is extended [%(default)s]")
    parser.add_argument("--arm", choices=("well_lit", "low_light"), default="well_lit", help="[%(default)s]")
    parser.add_argument("--name", type=file_name, help="of the new rig [<rig>-faults]")
    parser.add_argument("--target", choices=("bcm2835", "pisp"), default="bcm2835", help="of libcamera [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated frames [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/calibration"), help="folder [%(default)s]")
    return parser


def work(args: argparse.Namespace) -> int:
    """Calibrate, then print the figures. Raises as `calibration.fault_session.read_session`."""
    from rich.console import Console

    from calibration.fault_files import HEADINGS, figures, measure, write
    from calibration.fault_session import faulty, read_session, simulated_session
    from calibration.output import print_written
    from isp_sim.rigfile import load_rig
    from isp_sim.tables import terminal_table

    rig = load_rig(args.rig)
    arm = getattr(rig, args.arm)
    if args.session is not None:
        session = read_session(args.session, rig)
    else:
        bad = faulty(rig, args.arm)
        session = simulated_session(bad, getattr(bad, args.arm), args.seed)
    found = measure(session, rig, arm)
    written = write(found, session, rig, args.rig, args.arm, args.name or f"{rig.name}-faults", args.target, args.out)
    Console().print(terminal_table(f"{args.arm} arm of {args.rig}", HEADINGS, figures(found)))
    files = {"rig": written.rig, "sensor": written.sensor, "libcamera tuning": written.tuning}
    print_written(files, written.page)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.faults") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
