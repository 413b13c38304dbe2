"""Time of `--help` of every sub-command of isp-sim, beside that of an empty Python.

    python benchmarks/help_speed.py [--runs 7]

Wall clock of a process of its own, the median of several runs in turn; the bound is 0.5 s on an idle machine.
"""

import argparse
import statistics
import subprocess
import sys
import time

from rich.console import Console

from isp_sim.__main__ import COMMANDS
from isp_sim.progress import track
from isp_sim.tables import terminal_table

BOUND_S = 0.5


def seconds(words: list[str]) -> float:
    """A process from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(args: argparse.Namespace) -> int:
    """Print a table; gives 1 if a command is over the bound."""
    cases = {"python -c pass": ["-c", "pass"], "isp-sim --help": ["-m", "isp_sim", "--help"]}
    cases |= {f"isp-sim {name} --help": ["-m", "isp_sim", *name.split(), "--help"] for name in COMMANDS}
    cases |= {f"python -m {module} --help": ["-m", module, "--help"] for module, _ in COMMANDS.values()}
    runs = [{name: seconds(words) for name, words in cases.items()} for _ in track(range(args.runs), "runs")]
    medians = {name: statistics.median(run[name] for run in runs) for name in cases}
    rows = [(name, f"{one:.3f}", f"{one / medians['python -c pass']:.1f} ×") for name, one in medians.items()]
    headings = ("command", "seconds", "over an empty Python")
    Console().print(terminal_table(f"median of {args.runs} runs", headings, rows))
    return int(max(medians.values()) > BOUND_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    sys.exit(main(parser.parse_args()))
