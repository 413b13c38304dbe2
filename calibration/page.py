"""Tables and plots in one HTML file that opens offline: no script, no link, pictures inside."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from isp_sim.files import write_atomically

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #ddd}td.n{text-align:right;font-variant-numeric:tabular-nums}figure{margin:1.5rem 0}"
    "img{max-width:100%}"
    "figcaption,.quiet{color:#57606a;font-size:.92rem}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}"
)
INK, ACCENT, SECOND, PALE = "#1b1f24", "#0b62c4", "#c2410c", "#9aa4af"


@dataclass(frozen=True)
class Table:
    """Rows under heads; cells of all but the first and last column stand right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A plot with what it shows, or PNG bytes."""

    figure: Figure | bytes
    caption: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True)
class Heading:
    """A heading of a part."""

    words: str


Part = Table | Picture | Text | Heading


def new_figure(width: float = 8.0, height: float = 4.2) -> Figure:
    """An empty plot, made without pyplot's globals."""
    return Figure(figsize=(width, height), layout="constrained")


def write_page(path: Path, title: str, parts: Sequence[Part]) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: the disk refused.
    """
    body = "\n".join(_part(part) for part in parts)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>\n{body}\n</html>\n"
    )
    write_atomically(path, page.encode())


def _part(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h2>{html.escape(part.words)}</h2>"
    if isinstance(part, Text):
        return f"<p>{html.escape(part.words)}</p>"
    if isinstance(part, Table):
        heads = "".join(f"<th>{html.escape(head)}</th>" for head in part.heads)
        rows = "".join(f"<tr>{_cells(row)}</tr>" for row in part.rows)
        return f"<table><tr>{heads}</tr>{rows}</table>"
    if isinstance(part.figure, bytes):
        data = part.figure
    else:
        stream = io.BytesIO()
        part.figure.savefig(stream, format="png", dpi=110)
        data = stream.getvalue()
    image = base64.b64encode(data).decode()
    caption = html.escape(part.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{image}"><figcaption>{caption}</figcaption></figure>'
    )


def _cells(row: Sequence[str]) -> str:
    last = len(row) - 1
    return "".join(
        f"<td{' class=n' if 0 < number < last else ''}>{html.escape(cell)}</td>" for number, cell in enumerate(row)
    )
