"""Files of strangers stay in their folder, and what they hold is JSON that can be read."""

import subprocess
import sys
from pathlib import Path

import pytest

from isp_sim.files import json_object, listed, lock


@pytest.mark.parametrize("name", ["../a.png", "/etc/hostname", "b/../../a.png", "..\\a.png", "b\\..\\..\\a.png"])
def test_a_list_names_files_inside_its_folder_unless_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"list\.csv: '.*' leads out of the list's folder; add --anywhere"):
        listed(tmp_path / "list.csv", name)
    assert listed(tmp_path / "list.csv", name, anywhere=True) == tmp_path / name.replace("\\", "/")


def test_backslashes_are_folders(tmp_path: Path) -> None:
    assert listed(tmp_path / "list.csv", "flats\\a.png") == tmp_path / "flats" / "a.png"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[" * 200_000, "x.json: not JSON that can be read: .*recursion"),
        (b'{"a": ' + b"9" * 5000 + b"}", "x.json: not JSON that can be read: .*digits"),
        (b'{"a": 1', "x.json: not whole JSON: .* in line 1, column 8; is it truncated"),
        (b"\xff\xfe{}", "x.json: not "),
        (b"[1]", "x.json: a JSON list; expected an object"),
        (b"", "x.json: not whole JSON"),
    ],
)
def test_json_that_cannot_be_read_is_one_sentence_with_its_file(text: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        json_object(text, "x.json")


def test_a_folder_is_locked_against_other_processes_until_this_one_ends(tmp_path: Path) -> None:
    lock(tmp_path)
    lock(tmp_path)  # ours
    code = f"from pathlib import Path; from isp_sim.files import lock; lock(Path({str(tmp_path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert other.stderr.strip().endswith("another process is writing here; wait for it or give --out")
    (tmp_path / "b").mkdir()
    code = code.replace(str(tmp_path), str(tmp_path / "b"))
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
    lock(tmp_path / "b")  # the other process has ended
    assert not list((tmp_path / "b").iterdir())
