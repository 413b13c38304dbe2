"""How far a long job is: a bar on a terminal, elsewhere (a log, a pipe) a line every few seconds."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

FIRST_LINE_S, LINE_EVERY_S = 2.0, 5.0
"""Where there is no terminal: time before the first line, and between two."""
_open: list["Progress"] = []
"""What is under way, the innermost last."""

Item = TypeVar("Item")
Covariant = TypeVar("Covariant", covariant=True)


class Items(Sized, Iterable[Covariant], Protocol[Covariant]):
    """Things that can be counted before they are taken."""


class Progress:
    """The progress of one job on stderr, shown while the `with` block runs.

    Args:
        what: is counted, in the plural: "pairs".
        total: of all; a float is a share, shown in per cent.
        done: before the start, as after `--resume`; the time that is left is estimated from what follows.
    """

    def __init__(self, what: str, total: float, done: float = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self._before, self._start = done, time.monotonic()
        self._next = self._start + FIRST_LINE_S
        self._bar: RichProgress | None = None

    def __str__(self) -> str:
        """As "25 of 40 pairs", or "epoch 3, 45 %"."""
        if isinstance(self.total, float):
            return f"{self.what}, {100 * self.done / self.total:.0f} %"
        return f"{self.done} of {self.total} {self.what}"

    def __enter__(self) -> Self:
        """Start to show it."""
        if sys.stderr.isatty():
            from rich.console import Console  # 0.1 s, and only a terminal needs it
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(str(self), total=self.total)
            self._bar.update(self._task, completed=self.done)
            self._bar.start()
        _open.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away."""
        _open.remove(self)
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: float = 1) -> None:
        """So many more are done."""
        self.reach(self.done + count)

    def reach(self, done: float) -> None:
        """So many are done, or more: what a record gives back does not count twice."""
        self.done = max(self.done, done)
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, description=str(self))
        elif (now := time.monotonic()) >= self._next:
            self._next = now + LINE_EVERY_S
            print(f"{self}{self._left(now)}", file=sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        new = self.done - self._before
        if new <= 0 or self.done >= self.total:
            return ""
        seconds = (now - self._start) * (self.total - self.done) / new
        return f", about {timedelta(seconds=round(seconds))} left"


def track(items: Items[Item], what: str, done: int = 0) -> Iterator[Item]:
    """Items one by one; each counts as done when the next is asked for, the first `done` before they come."""
    with Progress(what, len(items), done) as progress:
        for number, item in enumerate(items, start=1):
            yield item
            progress.reach(number)


def reached() -> str:
    """How far the innermost job under way is, "25 of 40 pairs"; empty where none is shown."""
    return str(_open[-1]) if _open else ""
