"""Damaged files, by seed: read right or refused in a sentence with their name; no traceback, no hang, no half file."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from fuzzing import Command, Subject, faults
from mutations import STRUCTURED, mutated
from subjects import subjects
from whole_files import make

SEED = 0
READ, COMMANDED = 8, 1
"""Damaged files for a reader, for a whole command; `make fuzz` takes more."""


@pytest.mark.slow
def test_every_reader_and_command_reads_damaged_files_right_or_refuses_them_by_name(tmp_path):
    make(tmp_path / "whole")
    found = []
    for subject in subjects(tmp_path / "whole"):
        count = READ if isinstance(subject, Subject) else COMMANDED
        found += faults(subject, tmp_path / "work", count, SEED)
    assert not found, "\n".join(f"{one.subject}: {one.kind}: {one.mutation}\n{one.detail}" for one in found)


def test_the_same_seed_does_the_same_damage_and_another_one_does_not():
    content = json.dumps({"a": [1, 2, {"b": "c"}], "d": 0.5}).encode()
    assert set(STRUCTURED) >= {"json", "jsonl", "yaml", "csv", "safetensors", "tiff", "png"}
    first, again, other = (
        [mutated(content, "json", random.Random(seed)).content for seed in seeds]
        for seeds in (range(30), range(30), range(30, 60))
    )
    assert first == again != other and len(set(first)) > 20


class Reader:
    """A reader with one fault."""

    def __init__(self, fault):
        self.fault = fault

    def __call__(self, folder):
        content = (folder / "x.json").read_bytes()
        if self.fault == "traceback":
            return content[10**9]
        if self.fault == "file not named":
            raise ValueError("wrong")
        if self.fault == "long sentence":
            raise ValueError("x.json " + "y" * 100_000)
        if self.fault == "not finite":
            return [np.array([1, np.nan])]
        return "read"


@pytest.mark.parametrize("fault", ["traceback", "file not named", "not finite", "accepted"])
def test_a_reader_with_a_fault_is_found_out(tmp_path, fault):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "x.json").write_text('{"a": 1}')
    subject = Subject("reader", tmp_path / "whole", "x.json", "json", Reader(fault))
    assert {one.kind for one in faults(subject, tmp_path / "work", 40, 0)} >= {fault}


@pytest.mark.parametrize(
    ("fault", "written"),
    [("half-written", "out/.part-1-x"), ("files left", "out/x.png"), ("lost", "x.json"), ("file not named", None)],
)
def test_a_command_that_leaves_something_behind_is_found_out(tmp_path, fault, written):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "x.json").write_text('{"a": 1}')

    def main(arguments):
        if written:
            out = Path(arguments[0]) / written
            out.parent.mkdir(exist_ok=True)
            out.write_bytes(b"")
        return 1

    command = Command("command", tmp_path / "whole", "x.json", "json", main, "FOLDER")
    assert {one.kind for one in faults(command, tmp_path / "work", 3, 0)} == {fault}
