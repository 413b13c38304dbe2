"""Command: a tunable ISP, low-light raws and a frozen pose network → the settings under which it sees most.

python -m models.tune_isp --isp libraw
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim import command_line
from models.choices import FLIPS, GOALS, LEARN_POSE, PROGRAMS, SEARCHES, add_trust


def parser(prog: str = "python -m models.tune_isp") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Tune an ISP in the loop: it develops low-light raws, a frozen pose network finds the people, the "
        "mean OKS over all of them is the score, CMA-ES proposes the next settings. Then held-out shots are scored (AP "
        "for each split) with the ISP's defaults and with what was found. Without --data a rig shoots a small set.",
        epilog="a device or program of yours: --isp my_module:my_isp, or a YAML file with its command line "
        "(docs/tuning.md)",
    )
    parser.add_argument(
        "--isp",
        default="libraw",
        help=f"libraw, pipeline (ours), {', '.join(PROGRAMS)}, YAML (program, board), module:factory [%(default)s]",
    )
    parser.add_argument(
        "--search", choices=(*SEARCHES, "both"), help="gradient: pipelines only [both for a pipeline, else cma]"
    )
    parser.add_argument("--goals", nargs="*", choices=GOALS, help="instead search for these at once, on the shots and "
                        "on a chart developed alike [none; where none is named: all but dynamic range]")  # fmt: skip
    parser.add_argument(
        "--start", type=Path, help="settings to begin with, as isp-sim desk saves them; not with --goals [the defaults]"
    )
    parser.add_argument("--evaluations", type=int, default=30, help="of each search, over all its shots [%(default)s]")
    parser.add_argument(
        "--pose", default=LEARN_POSE, help="frozen network, as models.evaluate takes it; board: its own [%(default)s]"
    )
    parser.add_argument("--device", default="auto", help="of the network: cpu, cuda, or auto [%(default)s]")
    parser.add_argument("--data", type=Path, help="folder of isp-sim generate to search on [the rig shoots one]")
    parser.add_argument("--held-out", type=Path, help="folder of isp-sim generate to judge on [the rig shoots one]")
    parser.add_argument("--images", type=int, default=10, help="shots of the search [%(default)s]")
    parser.add_argument("--judged", type=int, default=10, help="held-out shots [%(default)s]")
    parser.add_argument("--rig", default="exlpose-small", help="rig that shoots if there is no --data [%(default)s]")
    parser.add_argument("--flip", choices=FLIPS, default="none", help="test of all scores [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the search's draws [%(default)s]")
    add_trust(parser)
    parser.add_argument("--workers", type=int, help="processes; the result does not depend on it [cores; a board: 1]")
    parser.add_argument(
        "--out", type=command_line.folder, default=Path("out/tune"), help="folder of the search [%(default)s]"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a search that was stopped")
    return parser


def work(args: argparse.Namespace) -> int:
    """Tune, then print the held-out scores and where the settings lie. Raises as `models.runs.tuning.run`."""
    from rich.console import Console

    from isp_sim.tables import terminal_table
    from models.runs.goal_tuning import run_goals
    from models.runs.tuning import TUNED, Tuning, run
    from models.tuning.pareto_report import IN_TERMINAL, few_cells
    from models.tuning.report import HEADINGS, cells

    tuning = Tuning(**vars(args))
    if tuning.goals is None:
        found, report = run(tuning)
        table = terminal_table(f"{args.isp}, tuned for the network", HEADINGS, cells(found))
    else:
        points, report = run_goals(tuning)
        title = f"{args.isp}, tuned for several goals; PCK@0.2 of LL-A; more is in the report"
        table = terminal_table(title, tuple(IN_TERMINAL.values()), few_cells(points))
    console = Console()
    console.print(table)
    console.print(f"report {report}, settings {args.out / TUNED}", soft_wrap=True)
    more = f"--evaluations {4 * args.evaluations} --out {args.out} --resume"
    console.print(f"next: the same search for longer: add {more}", soft_wrap=True)
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.tune_isp") -> int:
    """Entry point; returns the exit status."""
    return command_line.run(parser(prog), work, arguments, "what was evaluated is kept: add --resume to go on")


if __name__ == "__main__":
    sys.exit(main())
