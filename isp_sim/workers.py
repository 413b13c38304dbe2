"""Processes that share work out: each has an object of its own, which does one task after another.

They are forked from a server that has imported what they need and done nothing else: a fork of this process would hang
once LibRaw has developed, and a spawned one would import torch again, 2 s of a core each.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
TASKS_UNDER_WAY = 2
"""For each process: one that is done and one that waits, so memory does not grow with the work."""

_do: Callable[[Any], Any]


def cores() -> int:
    """How many cores this process may use; where the system does not say, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def spawned(
    count: int, start: Callable[[], Callable[[TaskT], ResultT]]
) -> Iterator[Callable[[Iterable[TaskT]], Iterator[tuple[int, ResultT]]]]:
    """Processes that end with the block, or with this process, also when that is killed; Ctrl-C is left to this one.

    Args:
        count: of processes.
        start: called once in each of them (it travels there by pickle); gives what does a task.

    Yields:
        A function: tasks → (number of the task, its result) as they are done, in any order. What a task raises comes
        out of it; OSError: a process was killed.
    """
    prepare(getattr(start, "func", start).__module__)
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(start,))

    def carry_out(tasks: Iterable[TaskT]) -> Iterator[tuple[int, ResultT]]:
        numbers: dict[Future[ResultT], int] = {}
        try:
            for number, task in enumerate(tasks):
                if len(numbers) >= TASKS_UNDER_WAY * count:
                    finished, _ = wait(numbers, return_when=FIRST_COMPLETED)
                    yield from ((numbers.pop(future), future.result()) for future in finished)
                with _left_alone_by_ctrl_c():
                    numbers[pool.submit(_work, task)] = number
            yield from ((numbers[future], future.result()) for future in as_completed(numbers))
        except BrokenProcessPool:
            message = "a worker process was killed (out of memory?); what is finished is kept: add --resume to go on"
            raise OSError(message) from None

    try:
        yield carry_out
    finally:
        pool.shutdown(cancel_futures=True)


def prepare(module: str) -> None:
    """Start the server from which processes come, which imports a module while this process goes on.

    Args:
        module: that they need; the first call of a process decides.
    """
    multiprocessing.set_forkserver_preload([module])
    multiprocessing.resource_tracker.ensure_running()  # or the server would start it first, which lets Ctrl-C through
    with _left_alone_by_ctrl_c():
        multiprocessing.forkserver.ensure_running()


def _start(start: Callable[[], Callable[[Any], Any]]) -> None:
    global _do
    _end_with_parent()
    _do = start()


def _work(task: Any) -> Any:
    return _do(task)


def _end_with_parent() -> None:
    """This process ends with its parent, also when that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _left_alone_by_ctrl_c() -> Iterator[None]:
    """Processes started in here inherit that Ctrl-C waits: it is the parent's to act on, after this block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
