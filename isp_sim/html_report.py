"""One HTML page that opens offline: text, tables, pictures inside it; no links, no script."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from isp_sim.tables import holds_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # takes 0.5 s

_STYLE = (
    "body{{font:15px/1.5 system-ui,sans-serif;max-width:{width_px}px;margin:2em auto;padding:0 1em;color:#1b1f24}}"
    "h1{{font-size:1.6rem}}h2{{font-size:1.2rem;margin-top:2.2rem}}"
    "table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.25em .8em;border-bottom:1px solid #ddd;"
    "text-align:left;vertical-align:top}}.n{{text-align:right;font-variant-numeric:tabular-nums}}"
    "figure{{margin:1em 1em 1em 0;display:inline-block;vertical-align:top}}img,svg{{max-width:100%;height:auto}}"
    "figcaption{{color:#57606a}}pre{{background:#f4f4f4;padding:.8em;overflow:auto}}.warning{{color:#a00}}"
    ".flicker{{position:relative;display:inline-block}}.flicker img{{display:block}}"
    ".flicker img+img{{position:absolute;left:0;top:0;animation:blink 1s steps(1) infinite}}"
    "@keyframes blink{{0%{{opacity:0}}50%{{opacity:1}}}}"
)


def page(title: str, blocks: Iterable[str], width_px: int = 1200) -> bytes:
    """The whole page.

    Args:
        title: its heading.
        blocks: what the functions below made, in order.
        width_px: of the column; figures stand beside each other as far as it lets them.
    """
    style = _STYLE.format(width_px=width_px)
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{style}</style>"
    return (
        f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{html.escape(title)}</h1>\n".encode()
        + ("\n".join(blocks) + "</body></html>\n").encode()
    )


def text(words: str, heading: str = "") -> str:
    """A paragraph, under a heading if one is given."""
    above = f"<h2>{html.escape(heading)}</h2>" if heading else ""
    return f"{above}<p>{html.escape(words)}</p>" if words else above


def warning(words: str) -> str:
    """A paragraph about what went wrong, in red."""
    return f"<p class='warning'>{html.escape(words)}</p>"


def verbatim(words: str) -> str:
    """Text that keeps its lines: a record as YAML or JSON."""
    return f"<pre>{html.escape(words)}</pre>"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns that mostly hold figures are flush right, the others left."""
    lines = [tuple(map(str, row)) for row in rows]
    kinds = ["n" if holds_figures([line[n] for line in lines]) else "" for n in range(len(headings))]
    return f"<table>{_row('th', headings, kinds)}{''.join(_row('td', line, kinds) for line in lines)}</table>"


def _row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    parts = (
        f"<{tag}{' class=' + kind if kind else ''}>{html.escape(cell)}</{tag}>"
        for cell, kind in zip(cells, kinds, strict=True)
    )
    return f"<tr>{''.join(parts)}</tr>"


def picture(data: "bytes | Figure", caption: str, kind: str = "png") -> str:
    """A picture with its caption.

    Args:
        data: the encoded file, or a plot.
        caption: what to see in it.
        kind: `png`, `jpeg`; a plot is a PNG.
    """
    return _figure(_image(data if isinstance(data, bytes) else png(data), caption, kind), caption)


def flicker(first: bytes, second: bytes, caption: str, kind: str = "jpeg") -> str:
    """Two pictures of one size that take turns, half a second each."""
    images = _image(first, caption, kind) + _image(second, caption, kind)
    return _figure(f"<div class='flicker'>{images}</div>", caption)


def drawing(svg: str, caption: str) -> str:
    """An `<svg>` element, which is taken as it stands, with its caption."""
    return _figure(svg, caption)


def png(plot: "Figure") -> bytes:
    """A plot as a PNG file."""
    data = io.BytesIO()
    plot.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _image(data: bytes, alt: str, kind: str) -> str:
    coded = base64.b64encode(data).decode()
    return f"<img alt='{html.escape(alt, quote=True)}' src='data:image/{kind};base64,{coded}'>"


def _figure(inside: str, caption: str) -> str:
    return f"<figure>{inside}<figcaption>{html.escape(caption)}</figcaption></figure>"
