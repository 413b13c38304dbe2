"""Command: published noise parameters and spectral curves → sensor files.

python -m calibration.published --noise noise_params.json --spectral spectral/ --out rigs/sensors
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from calibration.bodies import ELD_BODIES
from isp_sim.command_line import folder, run


def parser(prog: str = "python -m calibration.published") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Turn published noise parameters and spectral curves into sensor files for rigs: "
        f"{', '.join([*ELD_BODIES, 'sony_a7s2'])}. Every number in them carries its status and source.",
        epilog="example: %(prog)s --noise noise_params.json --spectral spectral/ --out "
        "rigs/sensors; then say `sensor: sony_a7s2` in a rig file. Files of the same names are overwritten.",
    )
    parser.add_argument(
        "--noise",
        type=Path,
        required=True,
        help="JSON with ELD's cameras and PMN's table of the A7S2: {ELD: {<camera>: {Kmin, Kmax, lambda, color_bias, "
        "Profile-1: {G_scale, R_scale}}}, PMN_SonyA7S2_per_iso: {<ISO>: {Kmax, lam, sigTL, sigR, bl, bias}}}",
    )
    parser.add_argument(
        "--spectral",
        type=Path,
        required=True,
        help=f"folder with physlight's {', '.join(sorted({body.curves[0] for body in ELD_BODIES.values()}))}",
    )
    parser.add_argument("--out", type=folder, required=True, help="folder for the sensor files, made if absent")
    return parser


def work(args: argparse.Namespace) -> int:
    """Write the sensor files and print their paths. Raises as `calibration.published_sensors.sensor_files`."""
    from calibration.emva.noise_tables import read_tables
    from calibration.published_sensors import sensor_files
    from isp_sim.files import write_atomically

    texts = sensor_files(read_tables(args.noise), args.spectral)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(args.out / name, text.encode())
        print(args.out / name)
    print("next: name one of them in a rig file: `sensor: sony_a7s2`")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.published") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
