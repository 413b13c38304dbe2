"""Command: a ColorChecker in a raw or a picture → white balance and colour matrix of a sensor file, and ΔE2000.

python -m calibration.colour chart.dng --sensor my_camera.yaml
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import file_name, folder, run


def parser(prog: str = "python -m calibration.colour") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Find a ColorChecker Classic in raws (DNG, several of one setting are averaged) or in an sRGB "
        "picture, fit the camera's colour matrix and white balance, report ΔE2000. Without files it simulates a chart "
        "in front of the exlpose-small rig.",
        epilog="example: %(prog)s chart.dng --sensor my_camera.yaml --out out/colour",
    )
    parser.add_argument("files", nargs="*", type=Path, help="DNG of one setting, or one picture")
    parser.add_argument("--sensor", default="imx392", help="sensor file that gets the matrix [%(default)s]")
    parser.add_argument("--illuminant", default="D65", help="the chart's light, one of colour-science's [%(default)s]")
    parser.add_argument("--name", type=file_name, help="of the new sensor file [<sensor>_colour]")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated frames [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/calibration"), help="folder [%(default)s]")
    return parser


def work(args: argparse.Namespace) -> int:
    """Calibrate, then print the matrix and ΔE2000. Raises as `calibration.colour_chart.calibrate`."""
    from rich.console import Console

    from calibration.colour_chart import calibrate, matrix_rows
    from calibration.output import print_written
    from isp_sim.tables import terminal_table

    file, page, found = calibrate(args.files, args.sensor, args.illuminant, args.name, args.seed, args.out)
    rows = [(*row, found.neutral[n]) for n, row in enumerate(matrix_rows(found))]
    Console().print(terminal_table("linear Rec. 709 → camera", ("", "R", "G", "B", "white over G"), rows))
    print(f"ΔE2000 of patches left out: mean {found.delta_e.mean():.2f}, worst {found.delta_e.max():.2f}")
    print_written({"sensor": file}, page)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.colour") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
