"""Files appear whole or not at all."""

import os
from pathlib import Path

TEMPORARY = ".part-"
"""How the name of a file that is still being written begins."""
_written = False


def anything_written() -> bool:
    """Whether this process has written a file."""
    return _written


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside its place, then rename it there; a failure leaves neither a part nor a remnant.

    Raises:
        OSError: the disk is full, the folder is read-only …; the error names `path`.
    """
    part = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
        global _written
        _written = True
    except BaseException as fault:
        part.unlink(missing_ok=True)
        if isinstance(fault, OSError):
            raise OSError(fault.errno, fault.strerror, str(path)) from fault
        raise


def remove_remnants(folder: Path) -> None:
    """Delete what a killed process left half-written in a folder."""
    for remnant in folder.glob(f"{TEMPORARY}*"):
        remnant.unlink(missing_ok=True)
