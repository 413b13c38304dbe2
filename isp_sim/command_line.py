"""How every command begins and ends: arguments, one sentence for what is wrong, Ctrl-C and SIGTERM.

Nothing here imports more than Python's own: `--help` answers at once, and a signal is understood while torch loads.
"""

import argparse
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from isp_sim import files, progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)
POSIX = os.name == "posix"
LIBRARY = (
    "a library of the system is missing; for OpenCV in a container: apt-get install libgl1 libglib2.0-0, or "
    "pip uninstall opencv-python and pip install opencv-python-headless"
)
"""How to go on where a shared library cannot be opened: opencv-python wants libGL, of which nothing here has need."""
LONGEST = 1000
"""Characters of a line of a sentence: a file's own words may be in it, which may be a whole file."""
IMPORTS = "<frozen importlib._bootstrap>"
"""Where Python's frames lie while it imports."""


class Stopped(KeyboardInterrupt):
    """A signal has come that ends the command."""


def file_name(name: str) -> str:
    """The name of a rig or sensor, which its files get, from a command line.

    Raises:
        argparse.ArgumentTypeError: it could lead out of a folder.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise argparse.ArgumentTypeError(f"{name!r}: expected letters, digits, '_', '-' and '.', no folder")
    return name


def folder(name: str) -> Path:
    """A folder to write into, from a command line: seen before the work, not after it.

    Raises:
        argparse.ArgumentTypeError: it, or a folder on the way to it, is a file.
    """
    for path in (Path(name), *Path(name).parents):
        if path.exists() and not path.is_dir():
            raise argparse.ArgumentTypeError(f"{path}: is a file, expected a folder")
    return Path(name)


def add_anywhere(parser: argparse.ArgumentParser) -> None:
    """The option `--anywhere`, of commands that read lists of files (`files.listed`)."""
    parser.add_argument(
        "--anywhere", action="store_true", help="a list may name files outside its own folder, to which it is confined"
    )


def run(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
    kept: str = "what was written is whole",
) -> int:
    """Parse the arguments and do the work; what is wrong becomes one sentence on stderr, after the command's name.

    A signal ends processes that were started and unwinds the work, so that no semaphore is left; before there is
    anything to unwind (Python still imports), it ends the program at once.

    Args:
        parser: of the command line; its `prog` names the command.
        work: what the command does; gives the exit status.
        arguments: instead of the program's.
        kept: what is there and how to go on where the command was stopped after it had written something.

    Returns:
        The work's status; 1 for ValueError, OSError and FloatingPointError, and
        for a missing shared library; 130 after Ctrl-C, 143 after SIGTERM.
    """
    name = parser.prog.removeprefix("python -m ")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: names of folders need not be UTF-8
    stopped: list[str] = []

    def left() -> str:
        return kept if files.anything_written() else "nothing was written"

    def stop(number: int, frame: FrameType | None) -> None:
        reached = progress.reached()
        stopped[:] = [str(128 + number), f"{name}: stopped{f' at {reached}' if reached else ''}; {left()}"]
        children = sys.modules["multiprocessing"].active_children() if "multiprocessing" in sys.modules else []
        if not children and not reached and _importing(frame):  # raised in an import, it could be caught or half-done
            print(stopped[1], file=sys.stderr, flush=True)
            os._exit(128 + number)

        def ignored(what: "sys.UnraisableHookArgs") -> None:  # in a destructor: faults of a clean-up are not shown
            if what.exc_type is Stopped:  # it was lost there: once more, from outside
                threading.Timer(0.01, _again, (number,)).start()

        sys.unraisablehook = ignored
        if POSIX:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's loaders raise there when their processes end
        for child in children:
            child.kill()  # its files appear whole or not at all
        raise Stopped

    before = _handle(stop)
    try:
        return work(parser.parse_args(arguments))
    except (ValueError, OSError, FloatingPointError) as fault:
        if not stopped:
            print(f"{name}: {_sentence(fault)}", file=sys.stderr)
            return 1
    except ImportError as fault:
        if ".so" not in str(fault):
            raise
        print(f"{name}: {fault}; {LIBRARY}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    except BaseException:  # such as torch's, when its processes end with the command
        if not stopped:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopped else handler)  # nothing disturbs the end
    status, sentence = stopped or ("130", f"{name}: stopped; {left()}")
    print(sentence, file=sys.stderr)
    return int(status)


def _again(number: int) -> None:
    """The signal once more, to the main thread where the system can say to which."""
    if POSIX:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _sentence(fault: Exception) -> str:
    """What is wrong; of the system's own errors the file and the reason, without a number."""
    if isinstance(fault, OSError) and fault.filename is not None and fault.strerror:
        return f"{fault.filename}: {fault.strerror}"
    return "\n".join(
        line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 3 :]}"
        for line in str(fault).split("\n")
    )


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[signal.Signals, Any]:
    """Install a handler where Python takes signals, in the main thread; gives those that were there."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTS:
            return True
        frame = frame.f_back
    return False
