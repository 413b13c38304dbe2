"""docs/isp.md says what the specs say, and shows every step."""

import re
from pathlib import Path

import pytest

from isp_sim.isp.pipeline import Entry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "isp.md"


@pytest.mark.parametrize("name", Entry.model_fields)
def test_every_step_has_its_parameters_and_its_picture(name):
    text = PAGE.read_text(encoding="utf-8")
    for spec in Entry.model_validate(name).step.param_specs:
        start = "identity" if isinstance(spec.init, tuple) else f"{spec.init:g}"
        row = [name, spec.name, spec.size, f"{spec.low:g} … {spec.high:g}", start, spec.scale, spec.unit, spec.says]
        assert f"| {' | '.join(map(str, row))} |" in text
    assert f"(isp/{name}.jpg)" in text
    assert 0 < (PAGE.parent / "isp" / f"{name}.jpg").stat().st_size <= 300_000


def test_the_pages_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    given: dict[str, object] = {}
    exec(code, given)
    assert given["brighter"].shape == given["image"].shape  # type: ignore[attr-defined]
