"""Tables for readers: columns of figures stand flush right, the others left."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_FIGURE = re.compile(r"[(±+−-]?\s?\d")


def holds_figures(cells: Sequence[str]) -> bool:
    """Whether most of a column's cells that are filled begin with a figure."""
    filled = [cell for cell in cells if cell]
    return 2 * sum(_FIGURE.match(cell) is not None for cell in filled) > len(filled)


def terminal_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """A table that rich prints."""
    from rich.table import Table  # 0.1 s, which --help need not wait for

    lines = [tuple(map(str, row)) for row in rows]
    table = Table(title=title)
    for n, heading in enumerate(headings):
        table.add_column(heading, justify="right" if holds_figures([line[n] for line in lines]) else "left")
    for line in lines:
        table.add_row(*line)
    return table
