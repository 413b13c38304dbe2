"""CSV files that users write: a line of headings, then rows."""

import csv
from collections.abc import Sequence
from pathlib import Path


def read_rows(path: Path, columns: Sequence[str], optional: str = "") -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV, each with the number of its line; a cell that is missing at a row's end is empty.

    Args:
        path: of the file.
        columns: that it must have.
        optional: another one it may have, for the complaint.

    Raises:
        ValueError: not a CSV in UTF-8, or a column is missing.
    """
    try:
        # Spreadsheets put a mark in front.
        table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), restval="")
        rows = [(table.line_num, row) for row in table]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise ValueError(f"{path}: not a CSV in UTF-8: {fault}") from None
    absent = [column for column in columns if column not in (table.fieldnames or ())]
    if absent:
        expected = ", ".join(columns) + (f" and, if known, {optional}" if optional else "")
        raise ValueError(f"{path}: lacks the column(s) {', '.join(absent)}; expected {expected}")
    return rows
