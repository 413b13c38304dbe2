"""MkDocs hook: pages that the site has beside docs/*.md, made when it is built.

Commands (each one's `--help`), the API (docstrings), the cards of shipped models, the notebook. Links that leave docs/
are turned to where the site has their target; what it does not have becomes plain text.
"""

import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mkdocs.structure.files import File, Files  # noqa: E402

from isp_sim.__main__ import COMMANDS  # noqa: E402

PAGES = {
    "generate": "generate.md",
    "unpack": "scale.md",
    "export": "loaders.md#other-layouts",
    "grab": "capture.md",
    "align": "capture.md",
    "calibrate sensor": "calibration.md",
    "calibrate colour": "calibration.md",
    "calibrate geometry": "calibration.md",
    "calibrate faults": "calibration.md",
    "calibrate filter": "calibration.md",
    "calibrate published": "calibration.md",
    "train-isp": "train-isp.md",
    "train-pose": "pose.md",
    "train-detector": "train-isp.md",
    "train-enhancer": "enhance.md",
    "train-raw-stage": "raw-stage.md",
    "evaluate": "pose.md",
    "quality": "quality.md",
    "tune": "tuning.md",
    "isp-serve": "hardware.md",
    "desk": "desk.md",
    "develop": "train-isp.md",
    "convert": "pose.md",
}
"""Where each command is explained."""

API = {
    "In a training loop": ("isp_sim.torch", "models.data.torch_dataset", "models.data.samples"),
    "The rig": ("isp_sim.rigfile", "isp_sim.rig", "isp_sim.pair", "isp_sim.camera"),
    "The light path": ("isp_sim.units", "isp_sim.optics", "isp_sim.sensor", "isp_sim.readout", "isp_sim.raw"),
    "The ISP": ("isp_sim.isp.develop", "isp_sim.isp.operators", "isp_sim.isp.pipeline", "isp_sim.transfer"),
    "Scenes": ("isp_sim.scenes", "isp_sim.scenes.photos", "isp_sim.schedule"),
    "Files": ("isp_sim.dng", "isp_sim.manifest", "isp_sim.exports", "isp_sim.annotation_files"),
    "Recognisers and scores": ("models.recognisers.loading", "models.recognisers.inference", "models.scoring.pck"),
}
"""Modules whose docstrings are the reference."""

CARDS = (
    "pose/low_light",
    "raw_stage/raw_stage",
    "recognisers/movenet",
    "recognisers/blazepose",
    "recognisers/multipose",
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    os.environ["COLUMNS"] = "100"  # argparse's width
    added = {"commands.md": commands(), "api.md": api()}
    added |= {f"models/{card}.md": (ROOT / "models" / f"{card}.md").read_text(encoding="utf-8") for card in CARDS}
    added["first-pair.md"] = notebook(ROOT / "docs" / "first-pair.ipynb")
    for path, text in added.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links that leave docs/ towards a model's card, or a card's towards docs/, lead to the same page of the site."""
    if page.file.src_uri.startswith("models/"):
        return re.sub(r"\]\((?:\.\./)+docs/", "](../../", markdown)
    cards = "|".join(CARDS)
    markdown = re.sub(rf"\]\(\.\./(models/(?:{cards})\.md)", r"](\1", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)  # files that the site does not have


def commands() -> str:
    """Every command: where it is explained, and its help."""
    lines = ["# Commands", "", "| command | what it does | explained in |", "|---|---|---|"]
    for name, (_, says) in COMMANDS.items():
        title = PAGES[name].partition("#")[0]
        lines.append(f"| [isp-sim {name}](#isp-sim-{name.replace(' ', '-')}) | {says} | [{title}]({PAGES[name]}) |")
    for name, (module, _) in COMMANDS.items():
        text = importlib.import_module(module).parser(prog=f"isp-sim {name}").format_help()
        lines += ["", f"## isp-sim {name}", "", f"Explained in [{PAGES[name].partition('#')[0]}]({PAGES[name]}).", ""]
        lines += ["```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def api() -> str:
    """The modules' docstrings, by subject."""
    lines = ["# API", ""]
    for title, modules in API.items():
        lines += [f"## {title}", ""]
        for module in modules:
            lines += [f"::: {module}", "    options:", "      heading_level: 3", ""]
    return "\n".join(lines)


def notebook(path: Path) -> str:
    """A notebook's cells as a page."""
    lines = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        lines += [text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```", ""]
    return "\n".join(lines)
