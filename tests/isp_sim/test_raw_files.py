"""Raw files of others are read rightly by every path, or refused by the tag's name."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from isp_sim.dng import write_dng
from isp_sim.isp.develop import UNCUT, develop_raw
from isp_sim.photo_pairs.frames import open_frame
from isp_sim.photo_pairs.pairs import clipped
from isp_sim.raw import Raw
from isp_sim.raw_files import open_raw, saturation, through_libraw
from isp_sim.scenes.raws import Raws

CASES = Path(__file__).parents[3] / "shared" / "cases" / "dng"
BLACK, WHITE, NEUTRAL = 64, 4095, (0.5, 1.0, 0.6)
HUGE = 10_000
TO_CAMERA = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.204, 1.057)
"""XYZ → linear Rec. 709: a camera whose bands are Rec. 709's."""
TAGS: dict[str, tuple[str, Any]] = {
    "CFARepeatPatternDim": ("H", (2, 2)),
    "CFAPattern": ("B", b"\0\1\1\2"),
    "ExposureTime": ("2I", (1, 100)),
    "ISOSpeedRatings": ("H", 100),
    "DNGVersion": ("B", bytes((1, 4, 0, 0))),
    "DNGBackwardVersion": ("B", bytes((1, 1, 0, 0))),
    "UniqueCameraModel": ("s", "Acme Test"),
    "CFAPlaneColor": ("B", b"\0\1\2"),
    "BlackLevel": ("H", BLACK),
    "WhiteLevel": ("H", WHITE),
    "ColorMatrix1": ("2i", tuple(v for value in TO_CAMERA for v in (round(value * 10000), 10000))),
    "CalibrationIlluminant1": ("H", 21),
    "AsShotNeutral": ("2I", (5000, 10000, 10000, 10000, 6000, 10000)),
}
TYPES = {"H": 3, "B": 1, "2I": 5, "s": 2, "2i": 10}


def write(path: Path, counts: np.ndarray, **changes: Any) -> Path:
    """A DNG of another maker; a tag that is None is left out."""
    extra = []
    for name, (kind, default) in TAGS.items():
        value = changes.get(name, default)
        if value is None:
            continue
        many = len(value) if isinstance(value, (tuple, bytes)) else 1
        number = 0 if kind == "s" else many // 2 if kind in ("2I", "2i") else many
        extra.append((name, TYPES[kind], number, value, True))
    for name in ("Orientation", "BlackLevelRepeatDim"):
        if name in changes:
            value = changes[name]
            extra.append((name, 3, len(value) if isinstance(value, tuple) else 1, value, True))
    tifffile.imwrite(path, counts, photometric="cfa", metadata=None, extratags=extra)
    return path


def mosaic(
    clip: float = WHITE, black: tuple[float, ...] = (BLACK,) * 4, height: int = 96, width: int = 160
) -> np.ndarray:
    """A noisy grey ramp to twice white on the left, a lamp far beyond it on the right; RGGB, counts cut at `clip`."""
    grey = np.broadcast_to(np.linspace(0, 2, width), (height, width)).copy()
    grey[:, width * 3 // 4 :] = 20
    grey += np.random.default_rng(0).normal(0, 0.01, grey.shape)
    counts = np.empty_like(grey)
    for place, colour in enumerate("RGGB"):
        cell = np.s_[place // 2 :: 2, place % 2 :: 2]
        counts[cell] = black[place] + grey[cell] * NEUTRAL["RGB".index(colour)] * (WHITE - BLACK)
    return np.rint(counts.clip(0, clip)).astype(np.uint16)


def both_ways(path: Path) -> list[np.ndarray]:
    """The light of a raw by LibRaw, as scenes see it, and by our own development, as pairs see it."""
    ours = develop_raw(clipped(open_frame(path)), UNCUT)[0].permute(1, 2, 0).numpy()
    return [Raws(path, HUGE, HUGE).scene(0).radiance, ours]


@pytest.mark.parametrize(
    ("clip", "black"),
    [(WHITE, (64,) * 4), (3600, (64,) * 4), (WHITE, (64, 128, 128, 256)), (3600, (200, 64, 64, 128))],
)
def test_highlights_are_neutral_whatever_channels_black_and_clipping_are(
    tmp_path: Path, clip: int, black: tuple[int, ...]
) -> None:
    path = write(tmp_path / "a.dng", mosaic(clip, black), BlackLevel=black, BlackLevelRepeatDim=(2, 2))
    for light in both_ways(path):
        lamp, grey = light[8:-8, 130:150].mean(axis=(0, 1)), light[8:-8, 20:60].mean(axis=(0, 1))
        np.testing.assert_allclose(lamp / lamp[1], 1, atol=0.01)
        np.testing.assert_allclose(grey / grey[1], 1, atol=0.02)
        assert lamp[1] == pytest.approx(1, abs=0.01)


def test_saturation_is_found_among_stray_pixels_and_only_where_pixels_pile_up() -> None:
    random = np.random.default_rng(1)
    bright = random.normal(3000, 400, 50_000).clip(64, 4095)
    assert saturation(bright.astype(np.uint16), 64, 4095) == 4095
    cut = np.minimum(bright, 3600).astype(np.uint16)
    cut[:3] = 4095  # hot pixels
    assert saturation(cut, 64, 4095) == 3600
    soft = np.minimum(bright, random.normal(3600, 1, bright.size)).astype(np.uint16)  # wells of unequal depth
    assert saturation(soft, 64, 4095) == pytest.approx(3600, abs=4)
    for unclipped in (bright.clip(0, 3990), np.full(10_000, 3000), random.normal(800, 100, 10_000).clip(0, 900)):
        assert saturation(unclipped.astype(np.uint16)[:10_000], 64, 4095) in (4095, 3990)


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"CFAPattern": b"\0\1\6\2", "CFAPlaneColor": b"\0\1\2\6"}, "CFAPlaneColor"),
        ({"WhiteLevel": (4095, 4000, 4000, 3900)}, "WhiteLevel"),
        ({"BlackLevelRepeatDim": 2}, "BlackLevelRepeatDim"),
    ],
)
def test_tags_that_would_be_misread_are_refused_by_name_whoever_opens(
    tmp_path: Path, changes: dict[str, Any], tag: str
) -> None:
    path = write(tmp_path / "a.dng", mosaic(), **changes)
    for opened in (open_raw, through_libraw, lambda path: Raws(path, HUGE, HUGE).scene(0)):
        with pytest.raises(ValueError, match=rf"a\.dng cannot be read as a DNG: {tag} is "):
            opened(path)


def test_floats_are_refused_by_the_tags_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dng", (mosaic() / WHITE).astype(np.float16), BlackLevel=0, WhiteLevel=1)
    for opened in (open_raw, lambda path: Raws(path, HUGE, HUGE).scene(0)):
        with pytest.raises(ValueError, match=r"a\.dng cannot be read as a DNG: SampleFormat is 3; expected 1"):
            opened(path)


@pytest.mark.parametrize("changes", [{"WhiteLevel": (4095,) * 4}, {"BlackLevelRepeatDim": 1}])
def test_levels_that_are_only_written_oddly_are_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    plain, odd = (open_raw(write(tmp_path / f"{n}.dng", mosaic(), **c)) for n, c in (("a", {}), ("b", changes)))
    np.testing.assert_array_equal(odd.counts, plain.counts)
    assert odd.black_level_dn == plain.black_level_dn == (BLACK,) * 4
    assert odd.white_level_dn == plain.white_level_dn == WHITE


def test_a_raw_without_a_filter_is_a_grey_scene_and_no_mosaic(tmp_path: Path) -> None:
    tags = {"CFARepeatPatternDim": None, "CFAPattern": None, "CFAPlaneColor": None, "ColorMatrix1": None}
    path = write(tmp_path / "a.dng", np.full((64, 64), 2000, np.uint16), AsShotNeutral=None, **tags)
    mosaic, linear = (struct.pack("<HHII", 262, 3, 1, value) for value in (32803, 34892))  # PhotometricInterpretation
    path.write_bytes(path.read_bytes().replace(mosaic, linear))
    assert Raws(path, HUGE, HUGE).scene(0).radiance == pytest.approx((2000 - BLACK) / (WHITE - BLACK), abs=1e-4)
    with pytest.raises(ValueError, match=r"a\.dng: holds no mosaic; .*PhotometricInterpretation"):
        open_raw(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_one_rule_for_scenes_pairs_and_either_reader(tmp_path: Path, orientation: int) -> None:
    counts = mosaic()
    counts[:16, :32] = 3000  # so that no two orientations look the same
    path = write(tmp_path / "a.dng", counts, Orientation=orientation)
    scene, pair = both_ways(path)
    assert scene.shape == pair.shape == ((96, 160, 3) if orientation < 5 else (160, 96, 3))
    assert np.quantile(np.abs(scene - pair)[8:-8, 8:-8], 0.99) < 0.06  # edges are demosaiced differently
    ours, librarys = open_raw(path), through_libraw(path)
    np.testing.assert_array_equal(ours.counts, librarys.counts)
    assert (ours.cfa, ours.black_level_dn) == (librarys.cfa, librarys.black_level_dn)
    np.testing.assert_array_equal(open_raw(path, upright=False).counts, counts)  # rows of the sensor, for its noise


def test_what_a_file_does_not_state_is_not_a_number(tmp_path: Path) -> None:
    raw = through_libraw(write(tmp_path / "a.dng", mosaic(), ISOSpeedRatings=None, ExposureTime=None))
    assert np.isnan(raw.gain_db) and np.isnan(raw.exposure_us)
    assert open_frame(tmp_path / "a.dng").gain_db == 0  # a pair's own


@pytest.mark.parametrize("kept", [200_000, 20_000, 2_000])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_truncated_raw_is_refused_by_its_name(tmp_path: Path, kept: int, tiled: bool) -> None:
    path = write(tmp_path / "a.dng", mosaic(height=400, width=640))
    if tiled:
        tifffile.imwrite(path, mosaic(height=400, width=640), photometric=32803, tile=(64, 64), metadata=None)
    path.write_bytes(path.read_bytes()[:kept])
    for opened in (open_raw, lambda path: Raws(path, HUGE, HUGE).scene(0)):
        with pytest.raises(ValueError, match=r"a\.dng cannot be read "):
            opened(path)


def test_a_file_of_few_bytes_for_its_pixels_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isp_sim.raw_files.PIXELS_A_BYTE", 0.1)
    with pytest.raises(ValueError, match=r"a\.dng: truncated: \d+ bytes do not hold 160×96 pixels"):
        through_libraw(write(tmp_path / "a.dng", mosaic()))


CASE = {
    "exiftool_Panasonic_truncated.rw2": "truncated",
    "exiftool_DNG_truncated.dng": "truncated",
    "half_float_white1.dng": "SampleFormat",
    "rgbw.dng": "CFAPlaneColor",
}


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not here")
@pytest.mark.parametrize("name", CASE)
def test_files_from_elsewhere_are_refused_by_name(name: str) -> None:
    for opened in (open_raw, lambda path: Raws(path, HUGE, HUGE).scene(0)):
        with pytest.raises(ValueError, match=rf"{name}.*{CASE[name]}"):
            opened(CASES / name)


def test_libraw_names_a_folder_that_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "\udcff\udcfe"
    folder.mkdir()
    assert isinstance(through_libraw(write(tmp_path / "a.dng", mosaic()).rename(folder / "a.dng")), Raw)


def test_a_damaged_dng_of_ours_is_refused_not_read_without_what_libraw_drops(tmp_path):
    raw = open_raw(write(tmp_path / "theirs.dng", mosaic()))
    ours = tmp_path / "ours.dng"
    write_dng(ours, replace(raw, noise_profile=(), make="A", model="B", serial="C", defects=((2, 2, 4, 4),)))
    content = ours.read_bytes()
    at = content.index(struct.pack(">II", 1, 5))  # one opcode, FixBadPixelsList
    ours.write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    with pytest.raises(ValueError, match="cannot be read as a DNG"):
        open_raw(ours)
