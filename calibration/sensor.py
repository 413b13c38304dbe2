"""Command: flats and darks of a camera → a sensor file for rigs, and a page that shows where it comes from.

python -m calibration.sensor EMVA1288_Data.txt
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from calibration.emva.characterise import Results, characterise, kept_images
from calibration.emva.session import Reading, Session, check, read
from calibration.emva.session_files import open_session
from calibration.sensor_file import sensor_file
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_sensor

DEMONSTRATION = "imx392"
"""The camera that is simulated when nothing is asked for."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(
        prog="python -m calibration.sensor",
        description="Calibrate a sensor by EMVA 1288: K, quantum efficiency, noise, nonuniformity, dark current, hot "
        "pixels, each with its 95 % interval. Takes flats (an evenly lit screen, two frames at each of ten or more "
        "exposures from dark to saturation) and darks (the same, lens capped); stacks of 16 and more frames at half of "
        "saturation and in the dark tell the nonuniformity, darks at further gains the noise law. Without a session it "
        f"simulates one of {DEMONSTRATION}.",
        epilog="example: python -m calibration.sensor session/list.csv --cfa RGGB --name my_camera; then say "
        "`sensor: my_camera.yaml` in a rig file beside it.",
    )
    asked.add_argument(
        "session",
        nargs="?",
        type=Path,
        help="folder with raws in flats/ and darks/ (DNG, NEF …), CSV of pictures with columns file, kind, "
        "exposure_us, gain_db[, photons], or a text file in EMVA 1288's data format",
    )
    asked.add_argument(
        "--simulate", metavar="SENSOR", help="make a session of this sensor file's camera and calibrate it"
    )
    asked.add_argument("--cfa", default="", help="colours of the 2×2 tile of pictures, such as RGGB [monochrome]")
    asked.add_argument("--bits", type=int, help="of the ADC, for a CSV [the fewest that hold the brightest flat]")
    asked.add_argument("--like", default="ideal", help="sensor whose figures stand where nothing is told [%(default)s]")
    asked.add_argument("--max-gain-db", type=float, help="the camera's highest gain [the session's]")
    asked.add_argument("--temperature-c", type=float, help="of the sensor during the session [that of --like]")
    asked.add_argument("--name", help="of the sensor and its file [the session's]")
    asked.add_argument("--seed", type=int, default=0, help="which simulated camera [%(default)s]")
    asked.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="simulated px [640 480]"
    )
    asked.add_argument(
        "--out", type=Path, default=Path("out/calibration"), help="folder of file and page [%(default)s]"
    )
    return asked


def open_asked(given: argparse.Namespace) -> Session:
    """The session the command line asks for.

    Raises:
        ValueError: both a session and a simulation, or a size no session can have.
    """
    if given.session is not None and given.simulate:
        raise ValueError(f"{given.session} or --simulate {given.simulate}: one of them is allowed")
    if given.session is not None:
        return open_session(given.session, given.cfa, given.bits)
    from calibration.emva.simulated import simulated_session  # brings torch, 2 s

    width, height = given.size
    if width % 2 or height % 2 or width < 64 or height < 80:
        raise ValueError(f"--size {width} {height}: an even width from 64 and an even height from 80 are allowed")
    return simulated_session(load_sensor(given.simulate or DEMONSTRATION), given.seed, height, width)


def read_shown(session: Session) -> Reading:
    """Read a session before a progress bar."""
    check(session)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("frames", total=session.size)
        threads = min(4, len(os.sched_getaffinity(0)))
        return read(session, kept_images(session), threads, lambda frames: bar.advance(task, frames))


def calibrated(session: Session) -> Results:
    """Read a session and calibrate its camera.

    Raises:
        ValueError: it cannot be calibrated; names the session.
    """
    try:
        return characterise(session, read_shown(session))
    except ValueError as fault:
        raise ValueError(f"{session.path or session.name}: {fault}") from None


def shown(found: Results) -> Table:
    """The figures, for a terminal."""
    from calibration.sensor_page import figures

    table = Table(title=found.session.name, title_justify="left")
    for head in ("figure", "value", "95 % interval", "unit"):
        table.add_column(head, justify="left" if head in ("figure", "unit") else "right")
    for name, value, interval, unit, _ in figures(found):
        table.add_row(name, value, interval, unit)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        like = load_sensor(given.like if given.session is not None else given.simulate or DEMONSTRATION)
        session = open_asked(given)
        found = calibrated(session)
        name = given.name or (session.name if given.session is not None else f"{session.name}_calibrated")
        text = sensor_file(found, name, like, given.max_gain_db, given.temperature_c)
        from calibration.sensor_page import write_sensor_page  # brings matplotlib

        given.out.mkdir(parents=True, exist_ok=True)
        file, page = given.out / f"{name}.yaml", given.out / f"{name}.html"
        write_atomically(file, text.encode())
        write_sensor_page(page, found, name)
    except (ValueError, OSError) as fault:
        print(f"calibration.sensor: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("calibration.sensor: stopped; nothing was written", file=sys.stderr)
        return 130
    Console().print(shown(found))
    for what in found.dropped:
        print(f"dropped: {what}")
    print(f"sensor file {file}, page with plots {page}")
    print(f"next: look at the page; put {file.name} beside a rig file that says `sensor: {file.name}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
