"""The house: the light-path table equals the signatures, rooms keep to themselves, sizes stay readable."""

import ast
import importlib
import inspect
import itertools
import typing
from pathlib import Path

import pytest

import isp_sim
from isp_sim import LIGHT_PATH, units

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("isp_sim", "capture", "calibration", "models")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def resolve(name):
    module, attribute = name.split(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("stage", LIGHT_PATH, ids=lambda s: s.name)
def test_the_light_path_table_equals_the_signatures(stage):
    function = resolve(stage.function)
    if stage.takes == "-":
        assert typing.get_type_hints(function)["radiance"] is getattr(units, stage.gives)
        return
    hints = typing.get_type_hints(function)
    first = next(iter(inspect.signature(function).parameters))
    assert hints[first] is getattr(units, stage.takes)
    assert hints["return"] is getattr(units, stage.gives)


def test_light_flows_in_one_direction():
    for before, after in itertools.pairwise(LIGHT_PATH):
        assert before.gives == after.takes


def test_the_page_on_the_light_path_shows_the_same_table():
    text = (ROOT / "docs" / "light-path.md").read_text(encoding="utf-8")
    for stage in LIGHT_PATH:
        file = stage.function.split(":")[0].replace(".", "/")
        assert f"| {stage.name} | `{stage.function.split(':')[1]}` in `{file}" in text
        assert f"| {stage.takes} → {stage.gives} | {stage.unit} |" in text


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = [
                child
                for child in node.body
                if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))
            ]
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_no_global_randomness_no_drawers_for_odds_and_ends(path):
    assert path.stem not in {"utils", "helpers", "common", "misc"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert not imported & {"pickle", "random", "joblib", "dill"}
    dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    forbidden = {"np.random.seed", "np.random.rand", "np.random.randn", "torch.manual_seed", "yaml.load"}
    assert not dotted & forbidden
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    assert all("weights_only=True" in [ast.unparse(word) for word in one.keywords] for one in loads)


READERS = {
    "cv2.imread": set(),
    "cv2.imdecode": {"picture_files"},
    "Image.open": {"picture_files", "orientation"},
    "rawpy.imread": {"raw_files"},
    "yaml.compose": set(),
    "yaml.safe_load": set(),
    "yaml.SafeLoader": {"rigfile"},
    "torch.load": {"weights_file"},
    "torch.jit.load": {"plugins"},
    "torch.export.load": {"plugins"},
}
"""What opens files of strangers, and the one module that does."""


def test_files_of_strangers_are_opened_in_one_place():
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        wrong = [name for name, homes in READERS.items() if name in called and path.stem not in homes]
        assert not wrong, f"{path}: {wrong}"


def test_importing_the_package_is_cheap():
    assert "torch" not in inspect.getsource(isp_sim)
