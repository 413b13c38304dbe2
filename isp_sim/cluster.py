"""A Dask cluster that shares work out: as `isp_sim.workers`, on machines that come and go.

A worker that dies has its tasks done by another. Whoever can reach a scheduler can run any code on its workers: keep it
to networks that are trusted, or give it TLS (docs/security.md).
"""

import contextlib
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from distributed import Client

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
LOCAL = "local"
"""The address for a scheduler that is started here, with worker processes on this machine."""
TASKS_UNDER_WAY = 2
"""For each thread of a worker: one that is done and one that waits."""
LEAST_UNDER_WAY = 8
"""Where workers are still to come."""
ANSWERS_WITHIN = "10s"
"""A scheduler does, or is not there."""
RETRIES = 2
"""Of a task whose file could not be written."""

_one_at_a_time = threading.Lock()
_started: tuple[str, Callable[[Any], Any]] | None = None


@contextlib.contextmanager
def clustered(
    address: str, workers: int, start: Callable[[], Callable[[TaskT], ResultT]]
) -> Iterator[Callable[[Iterable[TaskT]], Iterator[tuple[int, ResultT]]]]:
    """As `isp_sim.workers.spawned`, on a Dask cluster.

    Args:
        address: `tcp://…` or `tls://…` of a scheduler, a file of `dask scheduler --scheduler-file`, or `local`.
        workers: processes, of `local`.
        start: called once in each worker process; gives what does a task.

    Yields:
        A function: tasks → (number of the task, its result) as they are done, in any order. What a task raises comes
        out of it; OSError: the scheduler is gone, or a task killed worker after worker.

    Raises:
        ValueError: dask is not installed, or nobody answers at the address.
    """
    with _client(address, workers) as client:
        token = hashlib.blake2b(repr(start).encode(), digest_size=16).hexdigest()
        yield lambda tasks: _carried_out(client, token, start, tasks)


@contextlib.contextmanager
def _client(address: str, workers: int) -> "Iterator[Client]":
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as fault:
        raise ValueError(f"--cluster {address}: needs dask: pip install 'isp-sim[cluster]' ({fault})") from None
    with dask.config.set({"distributed.comm.timeouts.connect": ANSWERS_WITHIN}), contextlib.ExitStack() as stack:
        try:
            if address == LOCAL:
                cluster = LocalCluster(
                    n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
                )
                client = Client(stack.enter_context(cluster))
            elif "://" in address:
                client = Client(address)
            elif Path(address).is_file():
                client = Client(scheduler_file=address)
            else:
                raise ValueError(f"--cluster {address}: expected tcp://…, tls://…, a scheduler file or {LOCAL}")
        except OSError as fault:
            raise ValueError(f"--cluster {address}: no scheduler answers: {fault}") from None
        yield stack.enter_context(client)


def _carried_out(
    client: "Client", token: str, start: Callable[[], Callable[[TaskT], ResultT]], tasks: Iterable[TaskT]
) -> Iterator[tuple[int, ResultT]]:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed

    numbers: dict[Any, int] = {}
    waiting, done = iter(enumerate(tasks)), as_completed()
    try:
        while True:
            most = max(LEAST_UNDER_WAY, TASKS_UNDER_WAY * sum(client.nthreads().values()))
            for number, task in itertools.islice(waiting, max(0, most - len(numbers))):
                future = client.submit(_work, token, start, task, pure=False, retries=RETRIES)
                numbers[future.key] = number
                done.add(future)
            if not numbers:
                return
            future = next(done)
            number, result = numbers.pop(future.key), future.result()
            if isinstance(result, ValueError):
                raise result
            yield number, result
    except KilledWorker as fault:
        raise OSError(f"workers died, one after another, at the same scenes: {fault}; see their logs") from None
    except (CancelledError, OSError) as fault:
        if client.status == "running" and not isinstance(fault, CancelledError):
            raise  # a worker's own
        raise OSError("the scheduler is gone; what is finished is kept: add --resume to go on") from None


def _work(token: str, start: Callable[[], Callable[[Any], Any]], task: Any) -> Any:
    """In a worker: what does a task is started once, and does one at a time, whatever the worker's threads.

    What is wrong with a task comes back as a result: it would be as wrong again, and is not to be tried anew.
    """
    global _started
    with _one_at_a_time:
        if _started is None or _started[0] != token:
            _started = (token, start())
        try:
            return _started[1](task)
        except ValueError as fault:
            return fault
