"""A process that answers lines with lines, and what becomes of it when it does not: a deadline, an end."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

LAST_WORDS = 500
"""Characters of what a process said on stderr that a sentence holds."""
GRACE_S = 1.0
"""A process whose lines have ended may take to end itself."""


class Link:
    """A process and its pipes; none of them can make this one wait beyond a deadline.

    Args:
        command: its words, started without a shell in a session of its own, so that Ctrl-C is ours alone.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as fault:
            raise OSError(f"{command[0]}: cannot be started: {fault.strerror}") from None
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._to, self._from, self._aside = (pipe.fileno() for pipe in pipes if pipe is not None)
        for pipe in (self._to, self._from, self._aside):
            os.set_blocking(pipe, False)
        self._read, self._said, self._listening = bytearray(), bytearray(), True
        self._closed = False

    def send(self, line: bytes, deadline: float) -> None:
        """Hand a line over.

        Args:
            line: with its end.
            deadline: of `time.monotonic`.

        Raises:
            TimeoutError: not taken in time.
            OSError: the process has ended.
        """
        left = memoryview(line)
        while left:
            if self._ready(self._to, selectors.EVENT_WRITE, deadline):
                try:
                    left = left[os.write(self._to, left) :]
                except BrokenPipeError:
                    raise OSError(f"ended{self._words()}") from None

    def receive(self, deadline: float, most_bytes: int) -> bytes:
        """The next line, without its end.

        Args:
            deadline: of `time.monotonic`.
            most_bytes: a longer line is refused.

        Raises:
            TimeoutError: none in time.
            OSError: the process has ended, or the line is too long.
        """
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > most_bytes:
                raise OSError(f"sent a line of more than {most_bytes} bytes")
            if self._ready(self._from, selectors.EVENT_READ, deadline):
                some = os.read(self._from, 1 << 20)
                if not some:
                    raise OSError(f"ended{self._words()}")
                self._read += some
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def close(self, grace_s: float = GRACE_S) -> None:
        """End the process and all that it started; first it may let its camera go.

        Args:
            grace_s: so long.
        """
        if self._closed:  # its number may be another's by now
            return
        self._closed = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:  # Windows, where it has no group of its own
                self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _ready(self, pipe: int, event: int, deadline: float) -> bool:
        """Wait for one pipe, while what comes on stderr is taken in, or the process would wait for us."""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            if self._listening:
                selector.register(self._aside, selectors.EVENT_READ)
            left = deadline - time.monotonic()
            found = [key.fd for key, _ in selector.select(left)] if left > 0 else []
        if left <= 0:
            raise TimeoutError(f"does not answer in time{self._words()}")
        if self._aside in found:
            self._listen()
        return pipe in found

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            some = os.read(self._aside, 1 << 16)
            self._listening = bool(some)
            self._said = (self._said + some)[-4 * LAST_WORDS :]

    def _words(self) -> str:
        """The last line it said on stderr, for a sentence."""
        time.sleep(0.05)  # its end and its last words come by two pipes
        self._listen()
        lines = self._said.decode(errors="replace").strip().splitlines()
        return f": {lines[-1][-LAST_WORDS:]}" if lines else ""
