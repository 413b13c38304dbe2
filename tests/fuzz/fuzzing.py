"""Runs readers and commands on damaged files in this process, with limited time and memory, and judges the end."""

import contextlib
import dataclasses
import io
import math
import random
import resource
import shutil
import signal
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mutations import Mutation, mutated
from pydantic import BaseModel

from isp_sim.command_line import _sentence
from isp_sim.files import TEMPORARY

TIME_S = 10.0
"""Of the processor's; ten times as long by the clock."""
MEMORY = 4 * 2**30
"""A reader may take, bytes of address space."""
LONGEST = 1000
"""Line of a sentence."""


@dataclass(frozen=True)
class Subject:
    """What reads a file.

    Attributes:
        name: of the subject.
        folder: of whole files; copied before each mutation.
        file: that is damaged, relative to it.
        kind: of that file, see `mutations.mutated`.
        read: folder → what was read.
        free: whether numbers that are not finite may come out.
        also: names of files that a sentence may name instead: what does not fit the damaged one.
    """

    name: str
    folder: Path
    file: str
    kind: str
    read: Callable[[Path], Any]
    free: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A whole command on a folder.

    Attributes:
        name, folder, file, kind: as of `Subject`.
        main: the command's.
        arguments: its arguments; `FOLDER` is the folder.
        out: what it writes, relative to the folder; empty after a refusal where `nothing_left`.
        also: as of `Subject`.
        passes: exit statuses after which a broken file was passed over, and named.
    """

    name: str
    folder: Path
    file: str
    kind: str
    main: Callable[[list[str]], int]
    arguments: str
    out: str = "out"
    nothing_left: bool = True
    also: tuple[str, ...] = ()
    passes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What went wrong: a traceback, a hang, a file not named …, and where."""

    kind: str
    subject: str
    mutation: str
    detail: str


class Hung(BaseException):
    """Longer than `TIME_S`."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Time and memory are limited in here."""

    def hung(*_: Any) -> None:
        raise Hung

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    timers = {signal.SIGPROF: (signal.ITIMER_PROF, TIME_S), signal.SIGALRM: (signal.ITIMER_REAL, 10 * TIME_S)}
    handlers = {number: signal.signal(number, hung) for number in timers}
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, handlers[number])
        resource.setrlimit(resource.RLIMIT_AS, before)


def finite(value: Any) -> bool:
    """Whether all numbers in a value are finite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return all(map(finite, vars(value).values()))
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(finite, value))
    return True


def faults(subject: Subject | Command, work: Path, count: int, seed: int) -> Iterator[Fault]:
    """Damage a subject's file so many times; what went wrong.

    Args:
        subject: to try.
        work: a folder for its files.
        count: of mutations.
        seed: of them; the same count of the same seed is the same damage.
    """
    for number in range(count):
        stream = random.Random(f"{seed} {subject.name} {number}")
        mutation = mutated((subject.folder / subject.file).read_bytes(), subject.kind, stream)
        folder = work / f"{zlib.crc32(subject.name.encode()):08x}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(subject.folder, folder)
        (folder / subject.file).write_bytes(mutation.content)
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stderr(io.StringIO()) as complaints:
            warnings.simplefilter("always")
            tried = _tried if isinstance(subject, Subject) else _commanded
            found = tried(subject, folder, mutation, complaints)
        if found is None and warned:
            found = (
                "warning",
                f"{warned[0].category.__name__}: {warned[0].message} ({warned[0].filename}:{warned[0].lineno})",
            )
        if found is not None:
            yield Fault(found[0], subject.name, f"{number}: {mutation.name}", found[1])


def _tried(subject: Subject, folder: Path, mutation: Mutation, complaints: io.StringIO) -> tuple[str, str] | None:
    try:
        with limited():
            result = subject.read(folder)
    except (ValueError, OSError, FloatingPointError) as fault:
        return _unclear(_sentence(fault), subject)
    except Hung:
        return "hang", traceback.format_exc()
    except Exception:
        return "traceback", traceback.format_exc()
    if mutation.broken:
        return "accepted", f"{result!r:.200}"
    return None if subject.free or finite(result) else ("not finite", f"{result!r:.1000}")


def _unclear(sentence: str, subject: Subject | Command) -> tuple[str, str] | None:
    file = Path(subject.file)
    if not any(name in sentence for name in (file.name, f"rig {file.stem}", *subject.also)):
        return "file not named", sentence
    if max(map(len, sentence.splitlines())) > LONGEST:
        return "long sentence", sentence[:300]
    return None


def _commanded(command: Command, folder: Path, mutation: Mutation, complaints: io.StringIO) -> tuple[str, str] | None:
    before = {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
    try:
        with limited(), contextlib.redirect_stdout(io.StringIO()) as printed:
            status = command.main(command.arguments.replace("FOLDER", str(folder)).split())
    except SystemExit as end:
        return "argparse", f"{end.code}: {complaints.getvalue()}"
    except Hung:
        return "hang", traceback.format_exc()
    except Exception:
        return "traceback", traceback.format_exc()
    said = complaints.getvalue()
    if "Traceback" in said or "Exception ignored" in said:
        return "traceback", said
    halves = [str(path) for path in folder.rglob(f"{TEMPORARY}*")]
    if halves:
        return "half-written", ", ".join(halves)
    if status in command.passes and (status or mutation.broken):
        return _unclear(printed.getvalue() + said, command)
    if status == 0:
        return ("accepted", said) if mutation.broken else None
    lost = [str(path) for path, content in before.items() if path.is_file() and path.read_bytes() != content]
    lost += [str(path) for path in before if not path.exists()]
    if lost:
        return "lost", ", ".join(lost)
    left = {path for path in (folder / command.out).rglob("*")} - set(before)
    if command.nothing_left and left:
        return "files left", ", ".join(map(str, sorted(left)))
    return _unclear(said, command)
