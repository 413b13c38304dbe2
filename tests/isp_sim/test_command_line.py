"""Every command: help at once, one sentence where it ends early, and `isp-sim` among other people's packages."""

import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from isp_sim import command_line, progress
from isp_sim.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numba", "cv2", "scipy", "colour", "matplotlib", "pycocotools", "numpy", "pydantic", "rich")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PARSE_ALL = f"""
import importlib, json, sys
modules = {[module for module, _ in COMMANDS.values()]}
words = [importlib.import_module(module).parser("isp-sim x").format_help() for module in modules]
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def python(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=ENVIRONMENT, **more)


def test_no_heavy_module_is_imported_to_parse_a_command_line():
    assert json.loads(python("-c", PARSE_ALL, check=True).stdout) == []


def test_help_lists_every_command_in_a_line(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(
        any(line.strip().startswith(name) and says in line for line in lines) for name, (_, says) in COMMANDS.items()
    )
    assert main(["calibrate"]) == 0
    assert "calibrate sensor" in (text := capsys.readouterr().out) and "train-pose" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_it_as_it_was_called(name, capsys):
    for words, run in ((f"isp-sim {name}", main), (f"python -m {COMMANDS[name][0]}", None)):
        with pytest.raises(SystemExit) as end:
            run([*name.split(), "--help"]) if run else importlib.import_module(COMMANDS[name][0]).main(["--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: {words} ")


@pytest.mark.parametrize("words", [["generat"], ["calibrate", "color"], ["calibrate", "--wrong"]])
def test_an_unknown_command_is_named_and_the_known_ones_listed(words, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"unknown command {' '.join(words)}" in said and "usage: isp-sim" in said


def test_the_names_that_help_offers_are_those_the_libraries_know():
    from models import choices
    from models.pose.variants import VARIANTS
    from models.recognisers.inference import FLIPS
    from models.recognisers.person_detector import MULTIPOSE_NAME

    assert tuple(VARIANTS) == choices.VARIANTS and tuple(FLIPS) == choices.FLIPS
    assert choices.DETECTOR == MULTIPOSE_NAME and choices.BOXES[0] == "true"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with packages of the same names as ours, and the console script that pip would install."""
    for package in ("models", "capture", "calibration"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('the package of somebody else')\n")
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["isp-sim"].split(":")
    script = tmp_path / "bin" / "isp-sim"
    script.parent.mkdir()
    script.write_text(
        f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return tmp_path, script


@pytest.mark.parametrize("start", ["script", "-m"])
@pytest.mark.parametrize("name", ["evaluate", "align", "calibrate sensor"])
def test_it_runs_in_a_folder_with_packages_of_the_same_names(elsewhere, start, name):
    folder, script = elsewhere
    begin = [str(script)] if start == "script" else ["-m", "isp_sim"]
    run = python(*begin, *name.split(), "--help", cwd=folder)
    assert run.returncode == 0 and run.stdout.startswith(f"usage: isp-sim {name} "), run.stderr


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_it_shoots_in_such_a_folder(elsewhere, workers):
    folder, script = elsewhere
    words = ("generate", "--rig", "exlpose-small", "--count", "1", "--workers", workers, "--out", "pairs")
    run = python(str(script), *words, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert len(list((folder / "pairs" / "bright").iterdir())) == 1


# Stopped.

STOPPED = {
    "isp_sim.generate": (("--rig", "exlpose-small", "--count", "40", "--workers", "2"), r"\d+ of 40 pairs"),
    "capture.align": (("--workers", "2"), r"\d+ of \d+ pairs"),
    "models.train_isp": (("--device", "cpu",), r"epoch 1 of \d+, \d+ %"),
    "models.train_pose": (("--device", "cpu", "--workers", "1"), r"epoch 1 of \d+, \d+ %"),
    "models.evaluate": (("--device", "cpu",), r"\d+ of 16 groups of shots"),
    "models.tune_isp": (("--workers", "2"), r"\d+ of \d+ pairs"),
}  # fmt: skip
"""Commands that go on for long: arguments, and how far they say they came when they are stopped in the middle."""
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
IN_CI = {
    ("isp_sim.generate", signal.SIGINT),
    ("isp_sim.generate", signal.SIGTERM),
    ("models.train_pose", signal.SIGTERM),
}
EARLY = [
    pytest.param(module, number, marks=[] if (module, number) in IN_CI else pytest.mark.slow)
    for module in STOPPED
    for number in SIGNALS
]


SAYS_EVERY_STEP = """
import runpy, sys
from isp_sim import progress
progress.FIRST_LINE_S = progress.LINE_EVERY_S = 0.0
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""The arguments' command with a line of progress at every step, so that no machine is too fast to be stopped midway."""


def start(module, folder, begin=("-m",)):
    """A command in a session of its own, so that what it leaves behind is found."""
    words = [sys.executable, *begin, module, *STOPPED[module][0], "--out", str(folder / "out")]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT, cwd=folder, start_new_session=True
    )


def catches(process, number):
    """Whether the process has a handler of its own for a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1)


def descendants(group):
    """Processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def stopped(process, module, number, to_group=False):
    """Send the signal; the sentence that follows, when status, sentence and processes are as they must be."""
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == SIGNALS[number], error
    assert "Traceback" not in error and "leaked" not in error and "Exception ignored" not in error, error
    assert error.count("stopped") == 1, error
    sentence = error.splitlines()[-1]
    assert sentence.startswith(f"{module}: stopped"), error
    deadline = time.monotonic() + 10
    while left := descendants(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    return sentence


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(("module", "number"), EARLY)
@pytest.mark.parametrize("after_s", [0.0, 0.45])
def test_a_signal_ends_a_command_while_it_still_imports(module, number, after_s, tmp_path):
    """Python itself takes 0.02 s to start; then the first thing a command does is to take signals."""
    process, begin = start(module, tmp_path), time.monotonic()
    while not catches(process, signal.SIGTERM):
        assert time.monotonic() - begin < 10
        time.sleep(0.001)
    time.sleep(after_s)
    sentence = stopped(process, module, number)
    assert sentence == f"{module}: stopped; nothing was written"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "to_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["ctrl-c", "kill"]
)
@pytest.mark.parametrize("module", STOPPED)
def test_a_signal_in_the_middle_says_how_far_it_came(module, number, to_group, tmp_path):
    """A terminal's Ctrl-C goes to all processes of the group, kill to one."""
    process = start(module, tmp_path, ("-c", SAYS_EVERY_STEP))
    line = next(
        line for line in process.stderr if re.match(STOPPED[module][1], line)
    )  # progress; it ends if there is none
    assert not line.startswith("0 of")
    sentence = stopped(process, module, number, to_group)
    assert re.match(rf"{re.escape(module)}: stopped at {STOPPED[module][1]}; ", sentence), sentence


def test_what_is_wrong_is_one_sentence(tmp_path):
    run = python("-m", "isp_sim", "evaluate", "--data", str(tmp_path), "--device", "cpu")
    assert run.returncode == 1 and run.stdout == ""
    assert re.fullmatch(r"isp-sim evaluate: [^\n]*Annotations[^\n]*\n", run.stderr)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    "name", ["evaluate", "quality", "tune", "desk", "unpack", "calibrate faults", "calibrate sensor"]
)
def test_a_file_in_a_folders_place_is_seen_before_the_work(name, below, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--out", str(file / "x" if below else file)])
    assert ended.value.code == 2 and f"argument --out: {file}: is a file, expected a folder" in capsys.readouterr().err
    assert file.read_text() == "mine"


# Progress.


def test_without_a_terminal_progress_is_a_line_every_few_seconds(capsys, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    with progress.Progress("pairs", 40, 25) as shown:
        assert progress.reached() == "25 of 40 pairs"
        for _ in range(15):
            shown.advance()
    assert progress.reached() == ""
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6
    assert re.fullmatch(r"\d\d of 40 pairs, about 0:00:\d\d left", lines[0]) and int(lines[0][:2]) > 25


def test_what_a_record_gives_back_does_not_count_twice():
    with progress.Progress("evaluations", 30, 20) as shown:
        shown.reach(1)
        assert str(shown) == "20 of 30 evaluations"
        shown.reach(21)
        assert str(shown) == "21 of 30 evaluations"


def test_a_share_is_shown_in_per_cent():
    with progress.Progress("epoch 3 of 8", 1.0) as shown:
        shown.reach(0.456)
        assert str(shown) == "epoch 3 of 8, 46 %"


def test_on_a_terminal_there_is_a_bar_that_starts_where_the_run_goes_on():
    code = (
        "import sys\nsys.stderr.isatty = lambda: True\nfrom isp_sim.progress import Progress\n"
        "with Progress('pairs', 40, 25) as shown:\n    shown.advance()\n"
    )
    run = python("-c", code, check=True)
    assert "25 of 40 pairs" in run.stderr and " 0 of 40" not in run.stderr


LOST = """
import argparse, os, signal, sys, time
from isp_sim.command_line import run

class Loader:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def work(args):
    Loader()
    time.sleep(20)
    return 0

sys.exit(run(argparse.ArgumentParser("isp-sim x"), work, []))
"""


def test_a_signal_in_a_destructor_is_not_lost_and_not_shown():
    run = python("-c", LOST, timeout=15)
    assert run.returncode == 143 and run.stderr == "isp-sim x: stopped; nothing was written\n"


SERVED = """
import signal, time
from isp_sim.workers import prepare

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
try:
    prepare("slow")  # the server imports it, which takes a second
    time.sleep(20)
except KeyboardInterrupt:
    pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_while_the_server_of_processes_imports_shows_nothing_of_it(tmp_path):
    (tmp_path / "slow.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(1)\n")
    paths = ENVIRONMENT | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    run = subprocess.Popen(
        [sys.executable, "-c", SERVED],
        stderr=subprocess.PIPE,
        text=True,
        env=paths,
        cwd=tmp_path,
        start_new_session=True,
    )
    until = time.monotonic() + 20
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)
    assert run.communicate(timeout=20)[1] == "" and run.returncode == 0 and (tmp_path / "begun").exists()


def test_ctrl_c_while_a_process_is_started_is_not_lost(request):
    from isp_sim.workers import _left_alone_by_ctrl_c

    ignores = "import signal, time; time.sleep(0.5)"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(KeyboardInterrupt), _left_alone_by_ctrl_c():
        worker = subprocess.Popen([sys.executable, "-c", ignores])
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        worker.send_signal(signal.SIGINT)
        assert worker.wait(timeout=10) == 0


def test_a_missing_library_of_the_system_is_told(capsys):
    def work(_):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    assert command_line.run(argparse.ArgumentParser(prog="isp-sim x"), work, []) == 1
    said = capsys.readouterr().err
    assert said.startswith("isp-sim x: libGL.so.1: cannot open") and "libgl1" in said and "headless" in said
