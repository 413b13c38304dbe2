"""Command: an ISP before a chart of the rig, or pictures of a real chart → SNR, MTF50, ΔE2000, texture, flare.

python -m models.measure_quality --isp libraw
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import folder, run


def parser(prog: str = "python -m models.measure_quality") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Image quality: signal-to-noise ratio and dynamic range of greys (ISO 15739), MTF50 of slanted "
        "edges (ISO 12233), ΔE2000 of a ColorChecker, texture of dead leaves, flare. Without pictures the rig's "
        "low-light arm shoots a chart with all of them, and an ISP develops it.",
        epilog="example: %(prog)s my_chart.png   # a ColorChecker in it is found",
    )
    parser.add_argument("pictures", nargs="*", type=Path, help="of a still chart, developed alike [the rig shoots one]")
    parser.add_argument(
        "--layout", type=Path, help="YAML: what lies where in them (docs/quality.md) [a ColorChecker is looked for]"
    )
    parser.add_argument("--reference", type=Path, help="picture of the dead leaves as printed, of --layout's textures")
    parser.add_argument(
        "--isp",
        help="for the rig's chart: libraw, pipeline, YAML file, module:factory [of --settings, if built in; libraw]",
    )
    parser.add_argument(
        "--settings", type=Path, help="of isp-sim desk (YAML), or settings.json of isp-sim tune [defaults]"
    )
    parser.add_argument("--point", help="which of a settings.json's [the first that differs from the defaults]")
    parser.add_argument("--rig", default="exlpose-small", help="that shoots the chart [%(default)s]")
    parser.add_argument("--out", type=folder, default=Path("out/quality"), help="folder of the page [%(default)s]")
    return parser


def work(args: argparse.Namespace) -> int:
    """Measure, write the page, print the figures. Raises as `models.runs.chart_quality`."""
    from rich.console import Console

    from isp_sim.tables import terminal_table
    from models.runs.chart_quality import figures, measure_isp, measure_pictures
    from models.tuning.settings_file import named_isp

    if args.pictures and (args.isp or args.settings):
        raise ValueError("--isp, --settings: develop the rig's chart, expected no pictures")
    if args.point and not args.settings:
        raise ValueError(f"--point {args.point}: is one of a settings.json, expected --settings as well")
    if args.pictures:
        found, page = measure_pictures(args.pictures, args.layout, args.reference, args.out)
        what = args.pictures[0].name
    else:
        if args.layout or args.reference:
            raise ValueError("--layout, --reference: are of pictures, expected one or more")
        named = args.settings is not None and args.settings.suffix != ".json"
        isp = args.isp or (named_isp(args.settings) if named else "libraw")
        found, page = measure_isp(isp, args.settings, args.point, args.rig, args.out)
        what = f"{isp} before the chart of {args.rig}"
    Console().print(terminal_table(what, ("figure", "value", ""), figures(found)))
    print(f"page with curves {page}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.measure_quality") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
