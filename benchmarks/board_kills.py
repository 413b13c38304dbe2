"""Does a search over a board that is killed ten times end with the bytes of the same search in process?

    python benchmarks/board_kills.py [--isp libraw] [--kills 10] [--evaluations 22] [--shots 6]

The board is `isp-serve` in a process of its own; a thread sends it SIGKILL once it has been asked so many times more,
each time drawn anew, at a random moment of a request. Prints the kills, the seconds, and whether the records are the
same; exit status 1 where they are not. Built-in scenes of `exlpose-small`, MoveNet Lightning, one core.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

from isp_sim.rigfile import load_rig
from models.choices import LEARN_POSE
from models.tuning.boards.client import BoardIsp
from models.tuning.judge import Judge, Task
from models.tuning.loop import tune
from models.tuning.record import Record
from models.tuning.search import CmaSearch
from models.tuning.shots import RawShot, read_shots, shoot


def searched(isp: str, record: Path, shots: tuple[RawShot, ...], evaluations: int, kills: int) -> int:
    """Search over an ISP into a record; gives how often its board was killed."""
    judge, killed, over = Judge(Task(isp, LEARN_POSE, "cpu", "none", shots)), 0, threading.Event()

    def kill() -> None:
        nonlocal killed
        stream = random.Random(0)
        while killed < kills and not over.is_set():
            wanted = stream.randint(1, max(1, len(shots) * evaluations // (2 * kills)))
            session = None
            while not over.is_set() and (session is None or session.number < 1 + wanted):  # hello is the first
                session = judge.isp._session
                time.sleep(0.001)
            time.sleep(stream.uniform(0, 0.05))
            if session is not None and session is judge.isp._session and not over.is_set():
                os.kill(session.link._process.pid, signal.SIGKILL)
                killed += 1
                while session is judge.isp._session and not over.is_set():
                    time.sleep(0.001)

    parameters = judge.isp.parameters  # a board says hello in a run of its own
    if isinstance(judge.isp, BoardIsp):
        threading.Thread(target=kill).start()
    try:
        numbers = range(len(shots))
        judging = lambda asked: ([judge.see(one, n) for n in numbers] for one in asked)  # noqa: E731
        tune(CmaSearch(parameters, 0), Record(record), judging, shots, evaluations)
    finally:
        over.set()
    return killed


def main(given: argparse.Namespace) -> int:
    """Both searches."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shoot(folder / "shots", load_rig("exlpose-small"), 5, given.shots, 2, 1)
        shots = read_shots(folder / "shots")
        command = [sys.executable, "-m", "models.isp_serve", "--isp", given.isp]
        (folder / "board.yaml").write_text(yaml.safe_dump({"board": command, "pause_s": 0.0, "start_s": 600.0}))
        start = time.monotonic()
        searched(given.isp, folder / "here.jsonl", shots, given.evaluations, 0)
        middle = time.monotonic()
        kills = searched(str(folder / "board.yaml"), folder / "there.jsonl", shots, given.evaluations, given.kills)
        end = time.monotonic()
        same = (folder / "here.jsonl").read_bytes() == (folder / "there.jsonl").read_bytes()
    result = "the same" if same else "different"
    print(f"{given.evaluations} evaluations of {len(shots)} shots over {given.isp}: {middle - start:.0f} s in process,")
    print(f"{end - middle:.0f} s over a board that was killed {kills} times; the records are {result}")
    return 0 if same and kills == given.kills else 1


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--isp", default="libraw")
    words.add_argument("--kills", type=int, default=10)
    words.add_argument("--evaluations", type=int, default=22)
    words.add_argument("--shots", type=int, default=6)
    sys.exit(main(words.parse_args()))
