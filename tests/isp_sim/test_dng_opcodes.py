"""Opcode lists: the bytes are the specification's, what is written is read, what is damaged is refused by name."""

import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import rawpy
import tifffile
from test_dng import assert_same, frame

from isp_sim.dng import read_dng, write_dng
from isp_sim.dng_opcodes import defects_of, opcode_lists, shading_of
from isp_sim.shading import Shading, edge_to_edge

TABLES = [np.array([[1.0, 1.5, 2.0], [1.25, 1.75, 3.0]]) + place / 8 for place in range(4)]
DEFECTS = ((3, 5, 4, 6), (10, 0, 11, 64), (7, 8, 8, 9), (20, 30, 24, 33))


def faulty(**changes):
    return frame(shading=edge_to_edge(TABLES), defects=DEFECTS, **changes)


def opcode(number, content):
    return struct.pack(">I4BII", number, 1, 3, 0, 0, 1, len(content)) + content


def a_map(area=(0, 0, 48, 64), pitch=(1, 1), gains=(1.0, 2.0), nodes=(1, 2), spacing=(1.0, 1.0), origin=(0.0, 0.0)):
    head = struct.pack(">4I2I2I2I2d2dI", *area, 0, 1, *pitch, *nodes, *spacing, *origin, 1)
    return opcode(9, head + struct.pack(f">{len(gains)}f", *gains))


def a_list(*opcodes):
    return struct.pack(">I", len(opcodes)) + b"".join(opcodes)


def test_the_bytes_are_the_specifications():
    lists = opcode_lists(faulty(cfa="GRBG"))
    points, rectangles = (3, 5, 7, 8), (10, 0, 11, 64, 20, 30, 24, 33)
    bad = struct.pack(">3I4I8I", 1, 2, 2, *points, *rectangles)  # phase 1: green in a row with red
    assert lists["OpcodeList1"] == a_list(opcode(5, bad))
    maps = [
        a_map((place // 2, place % 2, 48, 64), (2, 2), tuple(table.ravel()), (2, 3), (1.0, 0.5))
        for place, table in enumerate(TABLES)
    ]
    assert lists["OpcodeList2"] == a_list(*maps)
    assert opcode_lists(frame()) == {}


def test_what_is_written_is_read_and_other_readers_see_the_same_counts(tmp_path):
    raw = faulty()
    write_dng(tmp_path / "a.dng", raw)
    assert_same(read_dng(tmp_path / "a.dng"), replace(raw, defects=(DEFECTS[0], DEFECTS[2], DEFECTS[1], DEFECTS[3])))
    with rawpy.imread(str(tmp_path / "a.dng")) as seen:
        np.testing.assert_array_equal(seen.raw_image_visible, raw.counts)
    if shutil.which("exiftool"):
        said = subprocess.run(["exiftool", "-validate", "-s3", tmp_path / "a.dng"], capture_output=True, text=True)
        assert said.stdout.strip() == "OK"


def test_a_frame_without_them_has_the_bytes_it_had(tmp_path):
    write_dng(tmp_path / "a.dng", frame())
    with tifffile.TiffFile(tmp_path / "a.dng") as file:
        assert not {51008, 51009} & {tag.code for tag in file.pages.first.tags}


def test_a_constant_marks_every_pixel_that_has_it():
    counts = np.ones((8, 12), np.uint16)
    counts[2, 3], counts[7, 11] = 0, 0
    found = defects_of(a_list(opcode(4, struct.pack(">2I", 0, 0)), opcode(77, b"whatever")), counts)
    assert found == ((2, 3, 3, 4), (7, 11, 8, 12))


def test_one_map_serves_the_whole_tile_and_several_multiply():
    content = a_list(a_map(), a_map((0, 1, 48, 64), (2, 2), (4.0, 4.0)), a_map((1, 0, 48, 64), (2, 1), (3.0, 3.0)))
    found = shading_of(content, 48, 64)
    assert [table[0][0] for table in found.gains] == [1, 4, 3, 3]
    assert found.over(48, 64)[0, 0] == pytest.approx(1 + 0.5 / 64)  # half a pixel from the first node
    assert shading_of(a_list(opcode(1, b"lens")), 48, 64) is None


def test_defects_and_gains_follow_the_active_area_and_the_orientation(tmp_path):
    raw = faulty()
    tags = [
        (51008, 7, None, opcode_lists(raw)["OpcodeList1"], True),
        (51009, 7, None, a_list(a_map((0, 0, 40, 60))), True),
    ]
    write_dng(tmp_path / "plain.dng", frame())
    with tifffile.TiffFile(tmp_path / "plain.dng") as file:
        kept = [
            (tag.code, tag.dtype, tag.count, tag.value, True)
            for tag in file.pages.first.tags
            if tag.code in {33421, 33422, 50706, 50714, 50713, 50717, 50721, 50778, 50728, 50710, 50711, 51041}
        ]
    tags += [*kept, (50829, 4, 4, (4, 2, 44, 62), True), (274, 3, 1, 3, True), (34855, 3, 1, 100, True)]
    tags += [(33434, 5, 1, (1, 100), True)]
    tifffile.imwrite(tmp_path / "b.dng", raw.counts, photometric="cfa", metadata=None, extratags=tags)
    stored = read_dng(tmp_path / "b.dng", upright=False)
    assert stored.counts.shape == (40, 60) and (6, 0, 7, 60) in stored.defects and (3, 6, 4, 7) in stored.defects
    upright = read_dng(tmp_path / "b.dng", upright=True)
    assert (33, 0, 34, 60) in upright.defects
    assert upright.shading.over(40, 60) == pytest.approx(stored.shading.over(40, 60)[::-1, ::-1])


WHOLE = a_map()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\0\0", "has 2 bytes; expected the number of its opcodes"),
        (struct.pack(">I", 2) + WHOLE, "ends before opcode 2 of 2"),
        (a_list(WHOLE)[:-1], r"opcode 1 has 83 bytes; expected 84"),
        (a_list(opcode(9, b"short")), "GainMap has 5 bytes; expected 76"),
        (a_list(a_map(nodes=(2, 2))), "GainMap has 84 bytes; expected 2 × 2 gains"),
        (a_list(a_map(nodes=(0, 2), gains=())), "expected 0 × 2 gains"),
        (a_list(a_map(gains=(1.0, 0.0))), "expected gains above 0"),
        (a_list(a_map(gains=(1.0, float("nan")))), "expected gains above 0"),
        (a_list(a_map(spacing=(1.0, 0.0))), "spacing above 0"),
        (a_list(a_map(origin=(float("inf"), 0.0))), "expected finite numbers"),
        (a_list(a_map(area=(0, 0, 20, 64))), r"covers \(0, 0, 20, 64\)"),
        (a_list(a_map(area=(0, 0, 49, 64))), "expected the whole mosaic"),
        (a_list(a_map(pitch=(0, 1))), "expected the whole mosaic"),
        (a_list(a_map(), a_map(nodes=(2, 1))), "several grids"),
    ],
)
def test_damaged_gain_maps_are_refused(content, told):
    with pytest.raises(ValueError, match=told):
        shading_of(content, 48, 64)


@pytest.mark.parametrize(
    ("number", "content", "told"),
    [
        (4, b"\0" * 7, "FixBadPixelsConstant has 7 bytes; expected 8"),
        (4, struct.pack(">2I", 0, 0), "lists 3072 of 3072 pixels as defective"),
        (5, b"\0" * 8, "FixBadPixelsList has 8 bytes"),
        (5, struct.pack(">3I", 0, 2**31, 2**31), "2147483648 points"),
        (5, struct.pack(">3I2I", 0, 1, 0, 48, 0), r"FixBadPixelsList has \[48, 0, 49, 1\]"),
        (5, struct.pack(">3I4I", 0, 0, 1, 5, 5, 5, 6), r"has \[5, 5, 5, 6\]"),
        (5, struct.pack(">3I4I", 0, 0, 1, 0, 0, 48, 64), "half of them at most"),
    ],
)
def test_damaged_defect_lists_are_refused(number, content, told):
    with pytest.raises(ValueError, match=told):
        defects_of(a_list(opcode(number, content)), np.zeros((48, 64), np.uint16))


def test_a_damaged_list_is_refused_with_the_files_name(tmp_path):
    write_dng(tmp_path / "a.dng", faulty())
    whole = (tmp_path / "a.dng").read_bytes()
    place = whole.index(opcode_lists(faulty())["OpcodeList1"])
    (tmp_path / "a.dng").write_bytes(whole[: place + 3] + b"\7" + whole[place + 4 :])
    with pytest.raises(ValueError, match=r"a\.dng cannot be read as a DNG: OpcodeList1 ends before opcode 2 of 7"):
        read_dng(tmp_path / "a.dng")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("defects", ((3, 5, 3, 6),)),
        ("defects", ((0, 0, 1, 65),)),
        ("defects", ((-1, 0, 1, 1),)),
        ("shading", Shading((((0.0,),),) * 4)),
        ("shading", Shading((((float("nan"),),),) * 4)),
    ],
)
def test_faults_that_do_not_fit_are_not_written(tmp_path, field, value):
    with pytest.raises(ValueError, match=rf"a\.dng: {field} has"):
        write_dng(tmp_path / "a.dng", frame(**{field: value}))
    assert list(tmp_path.iterdir()) == []
