"""Every command's smallest run, from a wheel in a bare environment, in a folder that has nothing of ours.

    python benchmarks/wheel_commands.py                        # an environment of this Python, made for it
    python benchmarks/wheel_commands.py --python python3.13    # of another one
    python benchmarks/wheel_commands.py --environment ENV      # one that has the wheel already

Exits with 1 where a command fails. `convert` and `calibrate published` need files from elsewhere: they must say so in a
sentence. Minutes.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console

from isp_sim.__main__ import COMMANDS
from isp_sim.tables import terminal_table

ROOT = Path(__file__).resolve().parent.parent
LEARN = ("--data", "pairs", "--judge", "held", "--epochs", "1", "--out")
RUNS: dict[str, tuple[str, ...]] = {
    "generate": ("--rig", "exlpose-small", "--scene-count", "3", "--shots-per-scene", "3", "--workers", "1",
                 "--out", "pairs"),
    "unpack": ("shards", "--out", "unpacked"),
    "export": ("pairs", "--format", "yolo-pose", "--out", "yolo"),
    "grab": ("--rig", "exlpose-small", "--count", "2", "--out", "session"),
    "align": ("pairs", "--out", "aligned"),
    "calibrate sensor": ("--size", "96", "80", "--out", "sensor"),
    "calibrate colour": ("--out", "colour"),
    "calibrate geometry": ("--out", "geometry"),
    "calibrate faults": ("--out", "faults"),
    "calibrate filter": ("--out", "filter"),
    "calibrate published": ("--noise", "absent.json", "--spectral", "absent", "--out", "sensors"),
    "train-isp": (*LEARN, "isp"),
    "train-pose": (*LEARN, "pose"),
    "train-detector": ("--data", "pairs", "--epochs", "1", "--out", "detector"),
    "train-enhancer": ("--model", "zero-dce", *LEARN, "enhancer"),
    "train-raw-stage": (*LEARN, "raw-stage"),
    "evaluate": ("--data", "pairs", "--pose", "movenet-lightning", "--out", "scores"),
    "quality": ("--out", "quality"),
    "tune": ("--data", "pairs", "--held-out", "held", "--evaluations", "4", "--images", "1", "--judged", "1",
             "--pose", "movenet-lightning", "--workers", "1", "--out", "tune"),
    "isp-serve": (),
    "desk": ("--data", "pairs", "--shots", "1", "--pose", "movenet-lightning"),
    "develop": ("pairs", "--rig", "exlpose-small", "--weights", "isp/isp.safetensors", "--out", "lit.png"),
    "convert": ("--package", "absent.tgz", "--out", "weights"),
}  # fmt: skip
"""The smallest run of each; `develop` takes the first low-light raw of the folder, and what `train-isp` learned."""
SHOOT = ("generate", "--rig", "exlpose-small", "--workers", "1")
NEEDS: dict[str, tuple[str, ...]] = {
    "pairs": ("generate", *RUNS["generate"]),
    "held": (*SHOOT, "--scene-count", "1", "--shots-per-scene", "2", "--seed", "9", "--out", "held"),
    "shards": (*SHOOT, "--scenes", "charts", "--count", "1", "--format", "webdataset", "--out", "shards"),
}
"""Folders that commands read, and how they are made where they are not there yet."""
REFUSE = ("calibrate published", "convert")
LIMIT_S = 1200


def environment(python: str, folder: Path) -> Path:
    """A virtual environment with the wheel and what it depends on."""
    subprocess.run([python, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "-c", str(ROOT / "constraints.txt"), "torch==2.13.0", str(wheel)], check=True)
    return folder / "env"


def served(command: list[str], folder: Path) -> tuple[int, str]:
    """Start the desk, ask for the page at the address that it prints, and end it; 0 where the page came."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said, status = "", 1
    for line in process.stdout:
        said += line
        if line.startswith("the desk: "):
            with urllib.request.urlopen(line.split()[2], timeout=30) as answer:
                status = int(b"<html" not in answer.read())
            process.send_signal(signal.SIGTERM)
    process.wait()
    return status, said


def outcome(name: str, env: Path, folder: Path) -> tuple[str, ...]:
    """Run a command; its name, what came of it, seconds, and the last line it said where it failed."""
    words, program = list(RUNS[name]), str(env / "bin" / "isp-sim")
    for need, how in NEEDS.items():
        if name != "generate" and need in words[0:-1] and not (folder / need).exists():
            subprocess.run([program, *how], cwd=folder, capture_output=True, timeout=LIMIT_S)
    if name == "develop":
        words[0] = str(next((folder / "pairs" / "raw").glob("*_dark_*.dng"), Path("absent.dng")))
    command = [program, *name.split(), *words]
    start = time.perf_counter()
    if name == "desk":
        status, said = served(command, folder)
    else:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT_S
        )
        status, said = run.returncode, run.stdout + run.stderr
    sentence = said.strip().splitlines()[-1] if said.strip() else ""
    fine = status == (1 if name in REFUSE else 0) and "Traceback" not in said
    return name, "ok" if fine else f"failed ({status})", f"{time.perf_counter() - start:.1f}", "" if fine else sentence


def main() -> int:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="whose environment is made")
    parser.add_argument("--environment", type=Path, help="one that has the wheel")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="of the commands")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "elsewhere"
        folder.mkdir()
        env = args.environment.resolve() if args.environment else environment(args.python, Path(place))
        rows = []
        for name in args.only:
            rows.append(outcome(name, env, folder))
            print(*rows[-1], flush=True)
    Console().print(terminal_table("commands of the wheel", ("command", "outcome", "s", "said"), rows))
    return int(any(row[1] != "ok" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
