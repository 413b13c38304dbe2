"""Folders of a session on disk and the raws in them; a folder that would be passed over is refused."""

import re
from pathlib import Path


def parts(folder: Path, names: re.Pattern[str], expected: str) -> dict[str, list[Path]]:
    """Raws in each sub-folder of a session, both by name. Hidden ones, and files beside the sub-folders, do not count.

    Args:
        folder: of the session.
        names: that sub-folders may have.
        expected: likewise, in words.

    Raises:
        ValueError: a sub-folder has another name, or has folders in it; names it.
    """
    folders = _folders(folder)
    if strays := [one for one in folders if not names.fullmatch(one.name)]:
        raise ValueError(f"{strays[0]}: a folder that is no part of a session; expected {expected}")
    for part in folders:
        if beneath := _folders(part):
            raise ValueError(f"{beneath[0]}: a folder within {part.name}/; expected its raws in {part.name}/ itself")
    return {part.name: sorted(path for path in _seen(part) if path.is_file()) for part in folders}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _seen(folder) if path.is_dir())


def _seen(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]
