"""The examples and the notebook run as they stand, on little."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def photographs(tmp_path):
    """Three smooth pictures."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        small = np.random.default_rng(number).integers(0, 256, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(small, (320, 256), interpolation=cv2.INTER_CUBIC))
    return folder


def test_a_denoiser_learns_from_a_folder_of_photographs(photographs, tmp_path):
    script = ROOT / "examples" / "train_denoiser.py"
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 40
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(photographs), "12"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    first, last = (float(error) for error in re.findall(r"error ([\d.]+)", run.stdout))
    assert last < first - 5
    assert (tmp_path / "denoiser.safetensors").is_file()


def test_the_notebook_runs(capsys, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = json.loads((ROOT / "docs" / "first-pair.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    pair, printed = names["pair"], capsys.readouterr().out
    assert f"{len(pair.people)} people" in printed
    assert f"raw (1, 1, 128, 192); mean codes {255 * float(names['dark'].mean()):.1f}" in printed
