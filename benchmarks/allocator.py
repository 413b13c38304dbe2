"""A training step of the pose network with memory given back to the kernel as glibc does, and with it kept.

    python benchmarks/allocator.py [--steps 5]

Each way in a process of its own: MoveNet Lightning as LSBN + LUPI, 16 pairs of 192×192 random crops, bfloat16, one
thread. Processor time a step (user and system), pages that were mapped anew, and the most memory held.
"""

import argparse
import resource
import subprocess
import sys

import torch
from rich.console import Console
from rich.table import Table

from models.engine.allocator import keep_freed_memory
from models.pose.batches import CropPairs
from models.pose.variants import PoseLearner
from models.recognisers.movenet import load_movenet, shipped_weights
from models.recognisers.pretrained import unfolded


def measured(kept: bool, steps: int) -> None:
    """Print user and system seconds and faults of a step, and the most MB held."""
    if kept and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt")
    torch.set_num_threads(1)
    drawn = torch.Generator().manual_seed(0)
    low, well = (torch.rand(16, 3, 192, 192, generator=drawn) for _ in range(2))
    joints = torch.cat([torch.rand(16, 14, 2, generator=drawn) * 192, torch.full((16, 14, 1), 2.0)], dim=-1)
    network = unfolded(load_movenet(shipped_weights("lightning")), True, [well])
    learner = PoseLearner("lsbn+lupi", network, 0)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner.train()
    batch = CropPairs(low, well, joints).to(torch.device("cpu"))
    for step in range(steps + 1):
        if step == 1:  # the first one warms up
            before = resource.getrusage(resource.RUSAGE_SELF)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = torch.stack(list(learner.losses(batch).values())).sum()
        loss.backward()
        learner.zero_grad()
    after = resource.getrusage(resource.RUSAGE_SELF)
    each = [(getattr(after, name) - getattr(before, name)) / steps for name in ("ru_utime", "ru_stime", "ru_minflt")]
    print(*each, after.ru_maxrss / 1024)


def main() -> None:
    """Both ways, a table, the ratio."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--steps", type=int, default=5)
    asked.add_argument("--way", choices=("given back", "kept"))
    given = asked.parse_args()
    if given.way:
        measured(given.way == "kept", given.steps)
        return
    table = Table("freed memory is", "user s", "system s", "pages mapped", "most MB", title="a training step")
    times = []
    for way in ("given back", "kept"):
        words = [sys.executable, __file__, "--steps", str(given.steps), "--way", way]
        user, system, pages, most = map(float, subprocess.check_output(words, text=True).split())
        table.add_row(way, f"{user:.2f}", f"{system:.2f}", f"{pages:,.0f}", f"{most:,.0f}")
        times.append(user + system)
    console = Console()
    console.print(table)
    console.print(f"kept takes {times[1] / times[0]:.2f} of the processor time")


if __name__ == "__main__":
    main()
