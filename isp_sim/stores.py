"""A folder by its address, on disk or wherever fsspec writes (s3://, gs://, memory:// …); files appear whole or not
at all.

Only what shards need: a flat folder of few, large files.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from isp_sim.files import TEMPORARY, write_atomically

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])(.*)", re.DOTALL)
"""A protocol and a place; `pathlib` takes one of the two slashes away."""


def remote(address: str | Path) -> str | None:
    """What fsspec knows a folder as, `s3://bucket/run`; None: it is a folder on disk."""
    parts = _ADDRESS.fullmatch(str(address))
    return f"{parts[1]}://{parts[2]}" if parts else None


class Store:
    """A folder of whole files.

    Args:
        address: path of a folder, or `protocol://…`, for which fsspec's package of that protocol must be installed.
    """

    def __init__(self, address: str | Path) -> None:
        self.remote = remote(address)
        self.address = self.remote or str(address)

    def __str__(self) -> str:
        return self.address

    def _system(self) -> tuple[Any, str]:
        """Fsspec's file system, which it keeps for each process, and the folder's path there.

        Raises:
            ValueError: fsspec has no such protocol, or lacks its package.
        """
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as fault:
            raise ValueError(f"{self.address}: fsspec cannot open it: {fault}") from None
        return system, path.rstrip("/")

    def names(self) -> set[str]:
        """Of the files in it; empty where there is no such folder."""
        if self.remote is None:
            folder = Path(self.address)
            return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        system, path = self._system()
        system.invalidate_cache()
        try:
            return {name.rpartition("/")[2] for name in system.ls(path, detail=False)}
        except FileNotFoundError:
            return set()

    def size(self, name: str) -> int:
        """Of a file, bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        if self.remote is None:
            return (Path(self.address) / name).stat().st_size
        system, path = self._system()
        return int(system.size(f"{path}/{name}"))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """A file's bytes from `start` to before `stop`.

        Raises:
            FileNotFoundError: there is none.
        """
        if self.remote is None:
            with open(Path(self.address) / name, "rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        system, path = self._system()
        content: bytes = system.cat_file(f"{path}/{name}", start=start, end=stop)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""
        if self.remote is None:
            write_atomically(Path(self.address) / name, content)
            return
        with self.opened(name) as file:
            file.write(content)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        if name not in self.names():
            return
        if self.remote is None:
            (Path(self.address) / name).unlink(missing_ok=True)
            return
        system, path = self._system()
        system.rm_file(f"{path}/{name}")

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """A file to write in order; it appears when the block ends well, and nothing of it else.

        Raises:
            OSError: the disk is full, the network is down …
        """
        if self.remote is not None:
            system, path = self._system()
            with system.transaction, system.open(f"{path}/{name}", "wb") as file:
                yield file
            return
        place = Path(self.address) / name
        part = place.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{name}")
        try:
            with part.open("wb") as file:
                yield file
            os.replace(part, place)
        except BaseException as fault:
            part.unlink(missing_ok=True)
            if isinstance(fault, OSError) and fault.errno and fault.filename is None:
                raise OSError(fault.errno, fault.strerror, str(place)) from fault
            raise
