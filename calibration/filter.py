"""Command: pairs of the same scene at known exposures → the ND filter's transmittance and the splitter's ratio.

python -m calibration.filter pairs.csv --rig exlpose
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import add_anywhere, file_name, folder, run


def parser(prog: str = "python -m calibration.filter") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure the ND filter's transmittance and neutrality and the beam splitter's ratio from raw pairs "
        "of the same scene, and the leak of a missing IR-cut filter. Without a list it simulates pairs.",
        epilog="example: %(prog)s pairs.csv --rig exlpose; the CSV has columns well_lit, "
        "low_light, nd_filter (yes, no), light (all, visible, infrared). Pairs without the filter tell the splitter; "
        "let gain and exposure bring both arms well above black.",
    )
    parser.add_argument("pairs", nargs="?", type=Path, help="CSV of pairs of DNG")
    add_anywhere(parser)
    parser.add_argument("--rig", default="exlpose-small", help="rig file that is extended [%(default)s]")
    parser.add_argument("--name", type=file_name, help="of the new rig [<rig>-filter]")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated frames [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/calibration"), help="folder [%(default)s]")
    return parser


def work(args: argparse.Namespace) -> int:
    """Calibrate, then print the filters' figures. Raises as `calibration.filter_ratios.calibrate`."""
    from rich.console import Console

    from calibration.filter_ratios import HEADINGS, calibrate, figures
    from calibration.output import print_written
    from isp_sim.tables import terminal_table

    file, page, found = calibrate(args.pairs, args.rig, args.name, args.seed, args.out, args.anywhere)
    Console().print(terminal_table(f"filters of {args.rig}", HEADINGS, figures(found)))
    print_written({"rig": file}, page)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.filter") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
