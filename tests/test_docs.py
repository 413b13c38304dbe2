"""README and docs: short, links that lead somewhere, commands that exist, an example that runs."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"```.*?```", re.DOTALL)


def page(path):
    return path.read_text(encoding="utf-8")


def anchors(text):
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_has_fewer_than_900_words():
    assert len(page(README).split()) < 900


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page(path))):
        if "://" in link:
            continue
        name, _, fragment = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{path.name} links to {link}"
        assert not fragment or fragment in anchors(page(target)), f"{path.name} links to {link}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_exist(path):
    rooms = "isp_sim|capture|calibration|models|tests|benchmarks|docs|rigs"
    for name in re.findall(rf"`((?:{rooms})/[\w/.-]+\.\w+)`", FENCE.sub("", page(path))):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_commands_that_are_named_exist(path):
    text = page(path)
    for module in re.findall(r"-m\s+([a-z_][\w.]*)", text):
        assert importlib.util.find_spec(module) is not None, f"{path.name} runs python -m {module}"
    for script in re.findall(r"python ((?:benchmarks|docs)/\w+\.py)", text):
        assert (ROOT / script).is_file(), f"{path.name} runs {script}"


@pytest.mark.parametrize("path", PAGES[1:], ids=lambda p: p.name)
def test_every_page_is_in_the_index(path):
    assert path.name == "README.md" or f"]({path.name})" in page(ROOT / "docs" / "README.md")


def test_the_readmes_example_prints_what_it_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", page(README), re.DOTALL)
    exec(code, {})
    promised = [line.removeprefix("# ") for line in code.splitlines() if line.startswith("# mean")]
    assert capsys.readouterr().out.splitlines() == promised and promised
