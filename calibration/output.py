"""What a calibration leaves in a folder: a rig or sensor file, and a page that shows where it comes from."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from isp_sim import html_report
from isp_sim.command_line import file_name
from isp_sim.files import write_atomically

Document = dict[str, object]


def figure(value: object, status: str, source: str) -> Document:
    """A number as rig files state it."""
    return {"value": value, "status": status, "source": source}


def yaml_text(document: Mapping[str, object]) -> str:
    """A rig's or a sensor's document as YAML, a figure a line where it fits."""
    return yaml.safe_dump(dict(document), sort_keys=False, default_flow_style=None, width=108, allow_unicode=True)


def write_result(out: Path, name: str, text: str, title: str, blocks: Iterable[str]) -> tuple[Path, Path]:
    """Write file and page, each whole or not at all; their paths.

    Args:
        out: folder of both, made if absent.
        name: of the rig or sensor; both files are called so.
        text: of the YAML file.
        title: of the page, before the name.
        blocks: of the page, see `isp_sim.html_report`.

    Raises:
        ValueError: the name could lead out of the folder; nothing is written.
    """
    try:
        file_name(name)
    except argparse.ArgumentTypeError as fault:
        raise ValueError(f"the name {fault}") from None
    out.mkdir(parents=True, exist_ok=True)
    file, page = out / f"{name}.yaml", out / f"{name}.html"
    write_atomically(file, text.encode())
    write_atomically(page, html_report.page(f"{title}: {name}", blocks))
    return file, page


def print_written(files: Mapping[str, Path], page: Path) -> None:
    """The last lines of a calibration: what was written, and what to do with it.

    Args:
        files: by their kind, `rig` or `sensor` among them; of both the rig is what to go on with.
        page: with plots.
    """
    print(", ".join([*(f"{kind} file {path}" for kind, path in files.items()), f"page with plots {page}"]))
    if "rig" in files:
        after = f"isp-sim generate --rig {files['rig']}"
    else:
        after = f"put {files['sensor'].name} beside a rig file that says `sensor: {files['sensor'].name}`"
    print(f"next: look at the page; {after}")
