"""Command: flats and darks of a camera → a sensor file for rigs, and a page that shows where it comes from.

python -m calibration.sensor EMVA1288_Data.txt
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isp_sim.command_line import add_anywhere, file_name, folder, run
from isp_sim.progress import Progress

if TYPE_CHECKING:
    from calibration.emva.characterise import Results
    from calibration.emva.session import Session

DEMONSTRATION = "imx392"
"""The camera that is simulated when nothing is asked for."""


def parser(prog: str = "python -m calibration.sensor") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Calibrate a sensor by EMVA 1288: K, quantum efficiency, noise, nonuniformity, dark current, hot "
        "pixels, each with its 95 % interval. Takes flats (an evenly lit screen, two frames at each of ten or more "
        "exposures from dark to saturation) and darks (the same, lens capped); stacks of 16 and more frames at half of "
        "saturation and in the dark give the nonuniformity, darks at further gains the noise law. Without a session it "
        f"simulates one of {DEMONSTRATION}.",
        epilog="example: %(prog)s session/list.csv --cfa RGGB --name my_camera; then say "
        "`sensor: my_camera.yaml` in a rig file beside it.",
    )
    parser.add_argument(
        "session",
        nargs="?",
        type=Path,
        help="folder with raws in flats/ and darks/ (DNG, NEF …), CSV of pictures with columns file, kind, "
        "exposure_us, gain_db[, photons], or a text file in EMVA 1288's data format",
    )
    parser.add_argument(
        "--simulate", metavar="SENSOR", help="make a session of this sensor file's camera and calibrate it"
    )
    parser.add_argument("--cfa", default="", help="colours of the 2×2 tile of pictures, such as RGGB [monochrome]")
    parser.add_argument("--bits", type=int, help="of the ADC, for a CSV [by the bits its codes use]")
    add_anywhere(parser)
    parser.add_argument(
        "--like", default="ideal", help="sensor whose figures stand where nothing is measured [%(default)s]"
    )
    parser.add_argument("--max-gain-db", type=float, help="the camera's highest gain [the session's]")
    parser.add_argument("--temperature-c", type=float, help="of the sensor during the session [that of --like]")
    parser.add_argument("--name", type=file_name, help="of the sensor and its file [the session's]")
    parser.add_argument("--seed", type=int, default=0, help="which simulated camera [%(default)s]")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="simulated px [640 480]"
    )
    parser.add_argument(
        "--out", type=folder, default=Path("out/calibration"), help="folder of file and page [%(default)s]"
    )
    return parser


def open_requested(args: argparse.Namespace) -> "Session":
    """The session the command line asks for.

    Raises:
        ValueError: both a session and a simulation, or a size no session can have.
    """
    from isp_sim.rigfile import load_sensor

    if args.session is not None and args.simulate:
        raise ValueError(f"{args.session} or --simulate {args.simulate}: expected one of them")
    if args.session is not None:
        from calibration.emva.session_files import open_session

        return open_session(args.session, args.cfa, args.bits, args.anywhere)
    from calibration.emva.simulated import simulated_session

    width, height = args.size
    if width % 2 or height % 2 or width < 64 or height < 80:
        raise ValueError(f"--size {width} {height}: expected an even width from 64 and an even height from 80")
    return simulated_session(load_sensor(args.simulate or DEMONSTRATION), args.seed, height, width)


def with_progress(session: "Session") -> "Results":
    """Read a session, with its progress, and calibrate its camera.

    Raises:
        ValueError: it cannot be calibrated; names the session.
    """
    from calibration.emva.characterise import calibrated
    from isp_sim.workers import cores

    try:
        with Progress("frames", session.size) as progress:
            return calibrated(session, min(4, cores()), progress.advance)
    except ValueError as fault:
        raise ValueError(f"{session.path or session.name}: {fault}") from None


def work(args: argparse.Namespace) -> int:
    """Calibrate, write sensor file and page, print the figures.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    from rich.console import Console

    from calibration.output import print_written, write_result
    from calibration.sensor_file import sensor_file
    from calibration.sensor_page import HEADINGS, figures, page_blocks
    from isp_sim.rigfile import load_sensor
    from isp_sim.tables import terminal_table

    like = load_sensor(args.like if args.session is not None else args.simulate or DEMONSTRATION)
    session = open_requested(args)
    found = with_progress(session)
    name = args.name or (session.name if args.session is not None else f"{session.name}_calibrated")
    text = sensor_file(found, name, like, args.max_gain_db, args.temperature_c)
    file, page = write_result(args.out, name, text, "Sensor calibration", page_blocks(found))
    Console().print(terminal_table(session.name, HEADINGS[:-1], [row[:-1] for row in figures(found)]))
    for what in found.dropped:
        print(f"dropped: {what}")
    print_written({"sensor": file}, page)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m calibration.sensor") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
