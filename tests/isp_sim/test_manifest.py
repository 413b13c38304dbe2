"""A line of the manifest: written, read back, and one sentence with file and line for each that is damaged."""

import json
import math

import numpy as np
import pytest
from test_pair import person, shot, sized, texture

from isp_sim.manifest import from_line, read_manifest, to_line
from isp_sim.pair import DualCamera
from isp_sim.pair_files import record_of
from isp_sim.scenes import Scene


@pytest.fixture(scope="module")
def pair(ideal):
    rig = sized(ideal, 120, 160)
    (pair,) = DualCamera(rig).shoot(Scene("t", texture(120, 160), (person(40.0, 30.0, 60.0),)), [shot(4, number=3)], 5)
    return pair


@pytest.fixture(scope="module")
def line(pair):
    return to_line(record_of(8, pair))


def test_a_line_read_back_is_the_record(pair, line):
    record = from_line(line.encode(), "here")
    assert record == record_of(8, pair)
    assert record.id == 9 and record.exposure_us == pair.shot.exposure_us and record.persons == pair.people
    assert np.array_equal(record.arm_map.low_to_well, pair.low_to_well)
    assert record.arm_map.size == (120, 160)
    assert to_line(record) == line


def test_a_line_holds_plain_json_without_nulls(line):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(line, parse_constant=refuse)
    assert document["version"] == 2 and document["onto"] == "low_light"
    assert None not in document.values()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.pop("crop"), "here:3: crop: Field required"),
        (lambda d: d.update(dark="../../etc/x.png"), "here:3: dark: .*must be a path inside the data set's folder"),
        (lambda d: d.update(dark="/etc/x.png"), "here:3: dark: .*must be a path inside"),
        (lambda d: d.update(planes={"semantic": "../X"}), "here:3: planes.semantic: .*must be a path inside"),
        (lambda d: d.update(planes={"../X": "semantic/x.png"}), r"here:3: planes\.\.\./X\.\[key\]: "),
        (lambda d: d.update(exposure_us="soon"), "here:3: exposure_us: "),
        (lambda d: d.update(ratio=math.nan), "here:3: ratio: "),
        (lambda d: d.update(colour=1), "here:3: colour: Extra inputs are not permitted"),
        (lambda d: d.update(version=1), "here:3: not a line of manifest version 2"),
        (lambda d: d.pop("version") and d.pop("onto"), "here:3: not a line of manifest version 2"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_sentence(line, change, told):
    document = json.loads(line)
    change(document)
    with pytest.raises(ValueError, match=told):
        from_line(json.dumps(document).encode(), "here:3")


def test_a_damaged_manifest_is_named_by_line(line, tmp_path):
    (tmp_path / "manifest.jsonl").write_text(line + "\n" + line[:200] + "\n")
    with pytest.raises(ValueError, match=r"manifest\.jsonl:2: Invalid JSON"):
        list(read_manifest(tmp_path))
    (tmp_path / "manifest.jsonl").write_bytes(line.encode() + b"\n" + line.encode().replace(b"bright/", b"br\xffght/"))
    with pytest.raises(ValueError, match=r"manifest\.jsonl:2: Invalid JSON"):
        list(read_manifest(tmp_path))
    (tmp_path / "manifest.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"manifest\.jsonl: is empty; expected a line for each pair"):
        list(read_manifest(tmp_path))
