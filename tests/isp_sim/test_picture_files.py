"""A picture is read rightly, or refused by its name before it costs anything."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from isp_sim.picture_files import ANY_DEPTH, read_picture

CODES = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


def profile_of(gamma: float, primaries: list[tuple[float, float]]) -> bytes:
    """An ICC profile of three primaries and one exponent, as a minimal file of version 2."""
    white = np.array((0.9642, 1.0, 0.8249))  # D50
    colours = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    columns = colours * np.linalg.solve(colours, white)

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"test colours\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    parts = {b"desc": description, b"wtpt": xyz(white), b"cprt": b"text\0\0\0\0CC0\0"}
    parts |= {tag: xyz(columns[:, place]) for place, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    parts |= {tag: curve for tag in (b"rTRC", b"gTRC", b"bTRC")}
    offset, table, data = 128 + 4 + 12 * len(parts), struct.pack(">I", len(parts)), b""
    for tag, part in parts.items():
        table += tag + struct.pack(">II", offset + len(data), len(part))
        data += part + bytes(-len(part) % 4)
    header = struct.pack(">I4sI4s4s4s", offset + len(data), b"\0\0\0\0", 0x02200000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in white)) + bytes(48)
    return header + table + data


def test_colours_of_an_icc_profile_come_as_srgb(tmp_path: Path) -> None:
    rec709_in_d50 = [(0.6484, 0.3309), (0.3212, 0.5979), (0.1559, 0.0660)]  # sRGB's primaries, adapted
    linear = np.round(255 * (CODES / 255.0) ** 2.2).astype(np.uint8)
    Image.fromarray(linear).save(tmp_path / "a.png", icc_profile=profile_of(1.0, rec709_in_d50))
    light = linear / 255.0
    expected = 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), expected, atol=2)
    assert np.array_equal(read_picture(tmp_path / "a.png", cv2.IMREAD_UNCHANGED), linear)  # what is stored


def test_srgb_by_profile_stays_bit_for_bit(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(CODES).save(tmp_path / "a.png", icc_profile=srgb)
    assert np.array_equal(read_picture(tmp_path / "a.png"), CODES)


def test_sixteen_bits_of_other_colours_and_a_damaged_profile_are_refused_by_name(tmp_path: Path) -> None:
    path, profile = tmp_path / "a.png", profile_of(1.0, [(0.7, 0.3), (0.2, 0.7), (0.1, 0.05)])
    Image.fromarray(CODES).save(path, icc_profile=profile[:200])
    with pytest.raises(ValueError, match=r"a\.png: 8 bits with the ICC profile one that cannot be read"):
        read_picture(path)
    assert cv2.imwrite(str(path), CODES.astype(np.uint16))
    content = path.read_bytes()
    path.write_bytes(content[:33] + chunk(b"iCCP", b"test\0\0" + zlib.compress(profile)) + content[33:])
    with pytest.raises(ValueError, match=r"a\.png: 16 bits with the ICC profile test colours; expected sRGB"):
        read_picture(path, ANY_DEPTH)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("flags", [cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE, ANY_DEPTH])
@pytest.mark.parametrize("side", [20_000, 60_000])
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int, flags: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))))
    with pytest.raises(ValueError, match=rf"a\.png: Image size \({side**2} pixels\) exceeds limit"):
        read_picture(tmp_path / "a.png", flags)


@pytest.mark.parametrize("flags", [cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE])
def test_a_truncated_jpeg_is_refused_however_it_is_read(tmp_path: Path, flags: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(CODES.repeat(8, 0).repeat(8, 1)).save(stream, "JPEG")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) * 2 // 3])
    with pytest.raises(ValueError, match=r"a\.jpg: not a readable picture .*truncated"):
        read_picture(tmp_path / "a.jpg", flags)


@pytest.mark.parametrize(("name", "mode", "told"), [("a.jpg", "CMYK", "CMYK"), ("a.gif", "P", "is GIF, .*PNG")])
def test_what_is_not_read_is_told_with_what_to_do(tmp_path: Path, name: str, mode: str, told: str) -> None:
    Image.fromarray(CODES).convert(mode).save(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: .*{told}.*"):
        read_picture(tmp_path / name)


def test_a_folder_whose_name_is_not_utf8_is_a_folder(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    Image.fromarray(CODES).save(folder / "a.png")
    assert np.array_equal(read_picture(folder / "a.png"), CODES)
