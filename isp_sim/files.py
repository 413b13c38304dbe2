"""Files appear whole or not at all, and only in folders that are free for them."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks: there nobody is kept from writing to one folder twice
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".part-"
"""How the name of a file that is still being written begins."""
LONGEST_NAME = 255
"""Bytes of a file's name on the usual file systems."""
_written = False
_locked: set[Path] = set()


def anything_written() -> bool:
    """Whether this process has written a file."""
    return _written


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside its place, then rename it there; a failure leaves neither a part nor a remnant.

    Raises:
        OSError: the disk is full, the folder is read-only …; the error names `path`.
    """
    part = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")  # machines share folders, and numbers
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


def lock(folder: Path, shared: bool = False) -> None:
    """Take a folder for this process until it ends, however it does; no file is left of that.

    Args:
        folder: that is there.
        shared: others may take it so, too.

    Raises:
        ValueError: another process has it.
    """
    if folder.resolve() in _locked or fcntl is None:
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise ValueError(f"{folder}: another process is writing here; wait for it or give --out") from None
    except OSError:  # a file system without locks
        os.close(held)
    _locked.add(folder.resolve())


def remove_remnants(folder: Path) -> None:
    """Delete what a killed process left half-written in a folder."""
    for remnant in folder.glob(f"{TEMPORARY}*"):
        remnant.unlink(missing_ok=True)


def listed(file: Path, name: str, anywhere: bool = False) -> Path:
    """The path of a file that a list names, relative to the list's own folder.

    Args:
        file: the list.
        name: as it stands there; backslashes are read as `/`.
        anywhere: whether it may lie elsewhere.

    Raises:
        ValueError: it leads out of that folder, and may not, or no file can have that name.
    """
    if "\0" in name or any(len(os.fsencode(part)) > LONGEST_NAME for part in name.split("/")):
        raise ValueError(f"{file}: {name[:40]!r} … is not a file's name: too long, or with a NUL in it")
    pure = PurePosixPath(name.replace("\\", "/"))
    if not anywhere and (pure.is_absolute() or ".." in pure.parts):
        raise ValueError(f"{file}: {name!r} leads out of the list's folder; add --anywhere if that is meant")
    return file.parent / pure


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: not JSON, or not an object; names the file.
    """
    return json_object(path.read_bytes(), path)


def json_object(text: str | bytes, where: object) -> dict[str, Any]:
    """The JSON object of a text.

    Args:
        text: JSON; bytes are UTF-8.
        where: the file, for the sentence.

    Raises:
        ValueError: not whole JSON, nested too deeply, or not an object.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as fault:
        place = f"{fault.msg} in line {fault.lineno}, column {fault.colno}"
        raise ValueError(f"{where}: not whole JSON: {place}; is it truncated?") from None
    except UnicodeDecodeError as fault:
        raise ValueError(f"{where}: not UTF-8 text: {fault.reason} at byte {fault.start}") from None
    except (ValueError, RecursionError) as fault:  # a number of thousands of digits; brackets in brackets
        raise ValueError(f"{where}: not JSON that can be read: {fault}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{where}: a JSON {type(document).__name__}; expected an object")
    return document


def refuse_other(
    folder: Path,
    record: str,
    identity: Mapping[str, object],
    kind: str,
    resume: bool,
    alone: bool = True,
    absent: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """See that a folder is not there yet, is empty, or holds what shall go on in it.

    Args:
        folder: that `--out` names.
        record: file in it that says what it holds.
        identity: what that must be, JSON-able.
        kind: of thing, for the sentence: "run".
        resume: whether it may go on.
        alone: whether nothing else may lie there but hidden files.
        absent: what fields mean that the record does not have.

    Raises:
        ValueError: it holds something else, or the same and `resume` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; --out takes a folder")
    if not (folder / record).exists():
        if alone and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ValueError(f"{folder}: not empty and no {kind} of this program; give --out an empty folder")
        return
    refuse_different({**absent, **read_json(folder / record)}, identity, str(folder), record, kind)
    if not resume:
        raise ValueError(f"{folder}: holds this same {kind}; add --resume to finish it")


def refuse_different(
    there: Mapping[str, object], identity: Mapping[str, object], where: str, record: str, kind: str
) -> None:
    """See that what lies in a folder is what shall go on in it.

    Args:
        there: what its record says.
        identity: what that must be, JSON-able.
        where: the folder, for the sentence.
        record: the file in it that says so.
        kind: of thing.

    Raises:
        ValueError: a field is another.
    """
    for field, value in json.loads(json.dumps(identity)).items():
        if there.get(field) != value:
            found, expected = (repr(one)[:80] for one in (there.get(field), value))
            raise ValueError(
                f"{where}: holds a {kind} with {field} = {found}, not {expected} ({record}); give --out another folder"
            )
