"""One HTML page that opens offline: text, tables, pictures inside it, no links."""

import base64
import html
from collections.abc import Iterable, Sequence

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ccc;"
    "text-align:right}td:first-child,th:first-child{text-align:left}"
    "figure{margin:1.5em 0}img{max-width:100%}figcaption{color:#555}pre{background:#f4f4f4;padding:.8em;overflow:auto}"
)


def page(title: str, blocks: Iterable[str]) -> bytes:
    """The whole page.

    Args:
        title: its heading.
        blocks: what `text`, `table`, `picture` made, in order.
    """
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    return (
        f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{html.escape(title)}</h1>".encode()
        + ("".join(blocks) + "</body></html>\n").encode()
    )


def text(words: str, heading: str = "") -> str:
    """A paragraph, under a heading if one is given."""
    above = f"<h2>{html.escape(heading)}</h2>" if heading else ""
    return f"{above}<p>{html.escape(words)}</p>" if words else above


def verbatim(words: str) -> str:
    """Text that keeps its lines: a record as YAML or JSON."""
    return f"<pre>{html.escape(words)}</pre>"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is a name, the others are figures."""
    first = "".join(f"<th>{html.escape(one)}</th>" for one in headings)
    rest = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{rest}</table>"


def picture(data: bytes, caption: str, kind: str = "png") -> str:
    """A picture with its caption.

    Args:
        data: the encoded file.
        caption: what to see in it.
        kind: `png`, `jpeg`, `svg+xml`.
    """
    coded = base64.b64encode(data).decode()
    return (
        f"<figure><img alt='{html.escape(caption, quote=True)}' src='data:image/{kind};base64,{coded}'>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
