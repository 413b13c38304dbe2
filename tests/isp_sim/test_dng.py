"""A DNG we write is one everybody reads, and one we read back exactly."""

import contextlib
import dataclasses
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile

from isp_sim.dng import read_dng, write_dng
from isp_sim.raw import Raw
from isp_sim.units import Counts

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not on the PATH (Debian: libimage-exiftool-perl)"
)


def frame(height: int = 48, width: int = 64, **changes: Any) -> Raw:
    """A frame no field of which is round; LibRaw opens nothing below 22 pixels a side."""
    counts = np.random.default_rng(7).integers(0, 65536, (height, width), dtype=np.uint16)
    plain = Raw(
        counts=Counts(counts),
        cfa="GRBG",
        black_level_dn=(64.0, 63.0, 66.0, 65.0),
        white_level_dn=4095,
        exposure_us=1234.567,
        gain_db=17.3,
        iso=733,
        neutral=(0.5137, 1.0, 0.6251),
        xyz_to_camera=((0.9, -0.3, -0.1), (-0.4, 1.2, 0.1), (-0.05, 0.2, 1 / 3)),
        noise_profile=((1.1e-4, 2e-7), (1.2e-4, 3e-7), (1.3e-4, 4e-7)),
        make="Basler",
        model="daA1920-160uc",
        serial="40123456",
        provenance={"scene": "chart", "seed": [1, 2], "arm": {"nd": 0.01, "low": True, "note": None}},
    )
    return dataclasses.replace(plain, **changes)


def assert_same(one: Raw, other: Raw) -> None:
    assert one.counts.dtype == other.counts.dtype
    np.testing.assert_array_equal(one.counts, other.counts)
    for field in dataclasses.fields(Raw):
        if field.name != "counts":
            assert getattr(one, field.name) == getattr(other, field.name), field.name


def exiftool(path: Path, *options: str) -> str:
    return subprocess.run(["exiftool", *options, str(path)], capture_output=True, text=True).stdout


# --- others read it ---


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_libraw_sees_counts_bit_for_bit_and_the_tile_with_its_levels(tmp_path: Path, cfa: str) -> None:
    raw = frame(cfa=cfa)
    write_dng(tmp_path / "a.dng", raw)
    with rawpy.imread(str(tmp_path / "a.dng")) as seen:
        np.testing.assert_array_equal(seen.raw_image_visible, raw.counts)
        colours = seen.raw_pattern.ravel().tolist()
        assert "".join(chr(seen.color_desc[colour]) for colour in colours) == cfa
        # LibRaw lists black by colour, R, G1, B, G2; the tile lists it by place.
        assert [seen.black_level_per_channel[colour] for colour in colours] == list(raw.black_level_dn)
        assert seen.white_level == raw.white_level_dn


def test_libraw_white_balance_is_one_over_neutral(tmp_path: Path) -> None:
    raw = frame()
    write_dng(tmp_path / "a.dng", raw)
    with rawpy.imread(str(tmp_path / "a.dng")) as seen:
        np.testing.assert_allclose(seen.camera_whitebalance[:3], 1 / np.array(raw.neutral), rtol=1e-5)


@pytest.mark.parametrize("iso", [100, 65_535, 204_800])
def test_libraw_tells_iso_and_shutter(tmp_path: Path, iso: int) -> None:
    write_dng(tmp_path / "a.dng", frame(iso=iso, exposure_us=12_345.6))
    with rawpy.imread(str(tmp_path / "a.dng")) as seen:
        # LibRaw looks beyond Exif's 16 bits for Sony and Canon only.
        assert seen.other.iso_speed == min(iso, 65_535)
        assert seen.other.shutter_speed == pytest.approx(0.0123456, rel=1e-6)


def test_libraw_opens_odd_sizes_and_known_makers_uncropped(tmp_path: Path) -> None:
    for make, model in (("Canon", "EOS 5D"), ("SONY", "ILCE-7M3"), ("NIKON", "D850"), ("", "")):
        raw = frame(49, 63, make=make, model=model)
        write_dng(tmp_path / "a.dng", raw)
        with rawpy.imread(str(tmp_path / "a.dng")) as seen:
            np.testing.assert_array_equal(seen.raw_image_visible, raw.counts)


@needs_exiftool
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iso": 204_800, "black_level_dn": (64.25, 1 / 3, 0.0, 65000.1)},
        {"exposure_us": 0.0, "noise_profile": (), "make": "", "model": "", "serial": "", "provenance": {}},
        {"exposure_us": 3.6e9, "make": "Ünïcode", "provenance": {"long": "x" * 100_000}},
    ],
    ids=["plain", "high-iso", "empty", "long"],
)
def test_exiftool_validates_without_a_warning(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_dng(tmp_path / "a.dng", frame(**changes))
    said = exiftool(tmp_path / "a.dng", "-validate", "-warning", "-error", "-a", "-s", "-s", "-s")
    assert said.split("\n") == ["OK", ""]


@needs_exiftool
@pytest.mark.parametrize(("iso", "short"), [(100, 100), (65_535, 65_535), (204_800, 65_535)])
def test_exif_tells_iso_and_shutter(tmp_path: Path, iso: int, short: int) -> None:
    write_dng(tmp_path / "a.dng", frame(iso=iso, exposure_us=10_000.0, black_level_dn=(64.25, 63.5, 1.1, 0.0)))
    (tags,) = json.loads(exiftool(tmp_path / "a.dng", "-json", "-n", "-G1"))
    assert tags["ExifIFD:ISO"] == short
    assert tags["ExifIFD:RecommendedExposureIndex"] == iso
    assert tags["ExifIFD:ExposureTime"] == 0.01
    assert tags["ExifIFD:ExifVersion"] == "0230"
    assert tags["IFD0:BlackLevel"] == "64.25 63.5 1.1 0"
    assert tags["IFD0:CalibrationIlluminant1"] == 21
    assert tags["IFD0:CameraSerialNumber"] == 40123456
    assert tags["IFD0:DNGVersion"] == "1 4 0 0"


# --- we read it ---


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cfa": "BGGR", "black_level_dn": (64.25, 1 / 3, 2**0.5, 4000.123456789)},
        {"iso": 2**32 - 1, "gain_db": -1 / 3, "exposure_us": 1e-9},
        {"exposure_us": 1e6 / 3, "neutral": (1 / 3, 1.0, 2 / 7)},
        {"noise_profile": (), "provenance": {}, "white_level_dn": 65535},
        {"make": "Ünïcode ", "model": " a\0b", "serial": "", "provenance": {"日本": ["\ud800", 1e300, -0.1]}},
        {"make": "", "neutral": (np.float32(0.3), np.float64(1.0), 0.7)},
    ],
)
def test_what_was_written_is_read_back_in_every_field(tmp_path: Path, changes: dict[str, Any]) -> None:
    raw = frame(**changes)
    write_dng(tmp_path / "a.dng", raw)
    assert_same(read_dng(tmp_path / "a.dng"), raw)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (1200, 1920)])
def test_any_size_and_any_memory_layout_is_read_back(tmp_path: Path, size: tuple[int, int]) -> None:
    raw = frame(*size)
    turned = dataclasses.replace(raw, counts=Counts(raw.counts[::-1, ::-1]))
    write_dng(tmp_path / "a.dng", turned)
    assert_same(read_dng(tmp_path / "a.dng"), turned)


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame())
    write_dng(tmp_path / "b.dng", read_dng(tmp_path / "a.dng"))
    assert (tmp_path / "a.dng").read_bytes() == (tmp_path / "b.dng").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.dng") as file:
        assert "DateTime" not in file.pages.first.tags


def test_a_tag_edited_later_wins_over_the_note(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame(exposure_us=1e6 / 3))
    with tifffile.TiffFile(tmp_path / "a.dng", mode="r+") as file:
        file.pages.first.tags["Model"].overwrite("edited")
        file.pages.first.tags["BlackLevel"].overwrite((1, 2, 3, 2, 5, 2, 7, 2))
    expected = frame(exposure_us=1e6 / 3, model="edited", black_level_dn=(0.5, 1.5, 2.5, 3.5))
    assert_same(read_dng(tmp_path / "a.dng"), expected)


# --- a DNG of somebody else ---

GLOBAL: dict[str, tuple[Any, ...]] = {
    "Make": (2, 0, "Maker"),
    "Model": (2, 0, "Phone"),
    "DNGVersion": (1, 4, bytes((1, 4, 0, 0))),
    "CalibrationIlluminant1": (3, 1, 17),
    "ColorMatrix1": (10, 9, (2, 1, 0, 1, 0, 1) * 3),
    "CalibrationIlluminant2": (3, 1, 21),
    "ColorMatrix2": (10, 9, (1, 1, -1, 2, 0, 1) * 3),
    "AsShotNeutral": (5, 3, (1, 1, 2, 1, 3, 2)),
    "NoiseProfile": (12, 2, (1e-4, 2e-7)),
    "ExposureTime": (5, 1, (1, 50)),
    "34855": (3, 1, 1000),
}
MOSAIC: dict[str, tuple[Any, ...]] = {
    "CFARepeatPatternDim": (3, 2, (2, 2)),
    "CFAPattern": (1, 4, b"\x02\x01\x01\x00"),
    "BlackLevelRepeatDim": (3, 2, (1, 2)),
    "BlackLevel": (3, 2, (60, 61)),
    "WhiteLevel": (3, 1, 1023),
    "ActiveArea": (4, 4, (2, 4, 40, 60)),
}


def foreign(path: Path, changes: dict[str, tuple[Any, ...] | None], **write: Any) -> Raw:
    """Writes a DNG as others do: thumbnail in IFD0, mosaic in a SubIFD, big-endian; None drops a tag."""
    raw = frame()

    def extratags(tags: dict[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        kept = {**tags, **{name: change for name, change in changes.items() if name in tags}}
        added = {name: change for name, change in changes.items() if name not in {**GLOBAL, **MOSAIC}}
        kept |= added if tags is MOSAIC else {}
        return [(int(name) if name.isdigit() else name, *tag, True) for name, tag in kept.items() if tag is not None]

    with tifffile.TiffWriter(path, byteorder=">") as file:
        thumbnail = np.zeros((6, 8, 3), np.uint8)
        file.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, metadata=None, extratags=extratags(GLOBAL))
        file.write(raw.counts, **{"photometric": "cfa", "metadata": None, "extratags": extratags(MOSAIC), **write})
    return raw


def test_a_foreign_dng_gives_what_its_tags_say(tmp_path: Path) -> None:
    written = foreign(tmp_path / "a.dng", {})
    expected = Raw(
        counts=Counts(written.counts[2:40, 4:60]),
        cfa="BGGR",
        black_level_dn=(60.0, 61.0, 60.0, 61.0),
        white_level_dn=1023,
        exposure_us=20_000.0,
        gain_db=20.0,
        iso=1000,
        neutral=(0.5, 1.0, 0.75),
        xyz_to_camera=((1.0, -0.5, 0.0),) * 3,
        noise_profile=((1e-4, 2e-7),) * 3,
        make="Maker",
        model="Phone",
        serial="",
        provenance={},
    )
    assert_same(read_dng(tmp_path / "a.dng"), expected)


def test_what_a_foreign_dng_leaves_out_is_the_dng_default(tmp_path: Path) -> None:
    absent = ("BlackLevel", "BlackLevelRepeatDim", "WhiteLevel", "ActiveArea", "NoiseProfile", "Make")
    foreign(tmp_path / "a.dng", dict.fromkeys(absent))
    raw = read_dng(tmp_path / "a.dng")
    assert raw.counts.shape == (48, 64)
    assert (raw.black_level_dn, raw.white_level_dn) == ((0.0,) * 4, 65535)
    assert (raw.noise_profile, raw.make) == ((), "")


@pytest.mark.parametrize(
    ("name", "change", "write"),
    [
        ("CFAPattern", None, {}),
        ("CFAPattern", (1, 4, b"\0\1\2\3"), {}),
        ("AsShotNeutral", None, {}),
        ("AsShotNeutral", (5, 3, (0, 1, 1, 1, 1, 1)), {}),
        ("AsShotNeutral", (5, 3, (1, 0, 1, 1, 1, 1)), {}),
        ("ExposureTime", None, {}),
        ("PhotographicSensitivity", None, {}),
        ("ColorMatrix2", None, {}),
        ("CalibrationIlluminant", None, {}),
        ("CFARepeatPatternDim", (3, 2, (6, 6)), {}),
        ("BlackLevelRepeatDim", (3, 2, (4, 4)), {}),
        ("LinearizationTable", (3, 1, 9), {}),
        ("CFALayout", (3, 1, 2), {}),
        ("NoiseProfile", (12, 8, (0.0,) * 8), {}),
        ("Compression", None, {"compression": "zlib"}),
        ("PhotometricInterpretation", None, {"photometric": "minisblack"}),
        ("BitsPerSample", None, {"dtype": np.uint8}),
    ],
)
def test_a_missing_or_unsupported_tag_is_named_with_what_is_allowed(
    tmp_path: Path, name: str, change: tuple[Any, ...] | None, write: dict[str, Any]
) -> None:
    path = tmp_path / "theirs.dng"
    code = {"PhotographicSensitivity": "34855", "CalibrationIlluminant": "CalibrationIlluminant2"}.get(name, name)
    if "dtype" in write:
        tifffile.imwrite(path, np.zeros((48, 64), np.uint8), photometric="cfa", metadata=None)
    else:
        foreign(path, {code: change}, **write)
    with pytest.raises(ValueError, match=rf"theirs\.dng.*{name}.*expected ") as caught:
        read_dng(path)
    assert "\n" not in str(caught.value)


# --- what goes wrong ---


@pytest.mark.parametrize("kept", [0, 1, 4, 9, 100, 500, 1500, 5000, -100, -40, -1])
def test_a_truncated_file_is_one_sentence_naming_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.dng"
    write_dng(path, frame())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut\.dng cannot be read as a DNG: ") as caught:
        read_dng(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_never_says_how_the_parser_failed(tmp_path: Path) -> None:
    path = tmp_path / "cut.dng"
    write_dng(path, frame(22, 22))
    whole = path.read_bytes()
    for lost in range(1, 300):
        path.write_bytes(whole[:-lost])
        with pytest.raises(ValueError, match=r"cut\.dng .*(truncated|cut off)"):
            read_dng(path)


def test_a_mosaic_cut_short_is_called_truncated(tmp_path: Path) -> None:
    path = tmp_path / "theirs.dng"
    foreign(path, {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"theirs\.dng.*truncated: "):
        read_dng(path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(99), b"hello", b"II*\0\xff\xff\xff\x7f"])
def test_what_is_no_tiff_is_one_sentence_naming_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.dng"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.dng cannot be read as a DNG: "):
        read_dng(path)


def test_an_absent_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.dng"):
        read_dng(tmp_path / "none.dng")


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, frame())
    path.write_bytes(path.read_bytes().replace(b'"gain_db"', b'"gain_xx"'))
    with pytest.raises(ValueError, match=r"a\.dng.*ImageDescription is damaged"):
        read_dng(path)


@contextlib.contextmanager
def no_renaming() -> Iterator[None]:
    """Every rename fails, as where a quota is full."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full)
        yield


@contextlib.contextmanager
def files_of_4_kib() -> Iterator[None]:
    """The kernel stops every write at 4 KiB, amid the mosaic."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("full_disk", [no_renaming, files_of_4_kib])
def test_a_full_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, full_disk: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    write_dng(tmp_path / "old.dng", frame())
    before = (tmp_path / "old.dng").read_bytes()
    for name in ("old.dng", "new.dng"):
        with full_disk(), pytest.raises(OSError, match=name) as caught:
            write_dng(tmp_path / name, frame(iso=1))
        assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert [path.name for path in tmp_path.iterdir()] == ["old.dng"]
    assert (tmp_path / "old.dng").read_bytes() == before


def test_a_missing_folder_is_named_by_the_file_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none/a\.dng"):
        write_dng(tmp_path / "none" / "a.dng", frame())


def test_writing_leaves_one_file_with_the_usual_permissions(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame())
    (tmp_path / "plain").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dng", "plain"]
    assert (tmp_path / "a.dng").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("counts", np.zeros((4, 4), np.float32)),
        ("counts", np.zeros((4, 4, 3), np.uint16)),
        ("counts", np.zeros((0, 4), np.uint16)),
        ("cfa", "RGBG"),
        ("black_level_dn", (64.0, 64.0, 64.0)),
        ("black_level_dn", (-1.0, 64.0, 64.0, 64.0)),
        ("white_level_dn", 65536),
        ("white_level_dn", 4095.5),
        ("exposure_us", -1.0),
        ("exposure_us", float("nan")),
        ("gain_db", float("inf")),
        ("iso", 2**32),
        ("neutral", (0.0, 1.0, 1.0)),
        ("xyz_to_camera", ((1.0, 0.0, 0.0),) * 2),
        ("noise_profile", ((1e-4, 2e-7),)),
        ("provenance", {"shape": (1, 2)}),
        ("provenance", {1: "one"}),
        ("provenance", {"path": Path("x")}),
        ("provenance", {"snr": float("nan")}),
    ],
)
def test_a_field_that_does_not_fit_is_named_and_nothing_is_written(tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"a\.dng: {field}"):
        write_dng(tmp_path / "a.dng", frame(**{field: value}))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_dng_is_told_by_our_sentence_alone(tmp_path):
    """tifffile logs what it cannot parse; a process without logging would print that to stderr."""
    write_dng(tmp_path / "a.dng", frame())
    whole = (tmp_path / "a.dng").read_bytes()
    (tmp_path / "a.dng").write_bytes(whole[: len(whole) // 3])
    reading = (
        "import sys; from pathlib import Path; from isp_sim.dng import read_dng\n"
        "try: read_dng(Path(sys.argv[1]))\nexcept ValueError as fault: print(fault)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", reading, str(tmp_path / "a.dng")], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith(f"{tmp_path / 'a.dng'} cannot be read as a DNG: ")
    assert ran.stderr == ""
