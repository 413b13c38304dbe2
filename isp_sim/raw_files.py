"""Raw files of any camera: our DNG exactly, others through LibRaw; what would be misread is refused by name."""

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rawpy
import tifffile

from isp_sim.dng import OURS, decode_dng, misread, raw_pages
from isp_sim.raw import Raw, turned
from isp_sim.transfer import REC709_TO_XYZ
from isp_sim.units import Counts

Row = tuple[float, float, float]
PIXELS_A_BYTE = 64
"""No raw is compressed further; LibRaw gives stripes for what a shorter file lacks."""
HEAD = 1 << 16
"""In so many bytes of a DNG of ours ImageDescription begins."""
BASE_ISO = 100
"""LibRaw's ISO counts as 0 dB at this one."""
PILE, CLIPS_FROM = 8, 0.5
"""Clipped pixels are so many times those of any level a little below, and lie in this upper part of the range."""


@contextlib.contextmanager
def libraw(path: Path) -> Iterator[rawpy.RawPy]:
    """A raw file opened by LibRaw.

    Raises:
        ValueError: not a raw, shorter than its pixels need, of other colours than red, green and blue, or a DNG with
            a tag that LibRaw would misread; also for what LibRaw complains of while it is open.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    content = path.read_bytes()
    if path.suffix.lower() == ".dng":
        _refuse_misread(path, content)
    try:
        with rawpy.imread(io.BytesIO(content)) as raw:  # by content: LibRaw opens no names that are not UTF-8
            height, width = raw.sizes.raw_height, raw.sizes.raw_width
            if height * width > PIXELS_A_BYTE * len(content):
                raise ValueError(f"{path}: truncated: {len(content)} bytes do not hold {width}×{height} pixels")
            if raw.num_colors > 3:
                raise ValueError(f"{path}: its filter has {raw.num_colors} colours; expected red, green and blue")
            if max(raw.black_level_per_channel) >= raw.white_level:
                levels = f"black {raw.black_level_per_channel}, white {raw.white_level}"
                raise ValueError(f"{path}: its levels are {levels} DN; expected black below white")
            yield raw
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        known = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise ValueError(f"{path} cannot be read by LibRaw: {known}") from None


def _refuse_misread(path: Path, content: bytes) -> None:
    fault = None
    # What tifffile cannot parse is left to LibRaw's own complaints.
    with contextlib.suppress(Exception), tifffile.TiffFile(io.BytesIO(content)) as file:
        fault = next((why for page, tags in raw_pages(file) if (why := misread(page, tags, len(content)))), None)
    if fault:
        raise ValueError(f"{path} cannot be read as a DNG: {fault}")


def open_raw(path: Path, upright: bool = True) -> Raw:
    """A raw file's mosaic as captured; a DNG of ours bit for bit.

    Of others LibRaw gives counts, levels, colours, exposure and ISO; an exposure or a gain that the file does not
    state is NaN.

    Args:
        path: of the file.
        upright: turn it as pictures are; else its rows are the sensor's.

    Raises:
        ValueError: no raw file with a Bayer mosaic, see `libraw`; a DNG of ours that is damaged.
    """
    if path.suffix.lower() == ".dng" and path.is_file():
        content = path.read_bytes()
        try:
            return decode_dng(content, path, upright)
        except ValueError:
            if OURS.encode() in content[:HEAD]:  # LibRaw would leave out what it does not know of
                raise
    return through_libraw(path, upright)  # compressed, or without tags that ours have


def through_libraw(path: Path, upright: bool = True) -> Raw:
    """As `open_raw`, whatever the file."""
    with libraw(path) as raw:
        pattern = raw.raw_pattern
        if pattern is None or pattern.shape != (2, 2):
            mosaic = "no mosaic" if pattern is None or pattern.size == 1 else f"a mosaic of {pattern.shape}"
            raise ValueError(
                f"{path}: holds {mosaic}; expected Bayer's, 2×2 (of a DNG, PhotometricInterpretation 32803)"
            )
        seen = np.array(raw.raw_image_visible, np.uint16)
        seen = seen[: seen.shape[0] // 2 * 2, : seen.shape[1] // 2 * 2]
        black = tuple(float(raw.black_level_per_channel[k]) for k in pattern.ravel())
        neutral, camera = _colours(path, raw)
        iso = raw.other.iso_speed
        frame = Raw(
            counts=Counts(np.ascontiguousarray(seen)),
            cfa="".join(raw.color_desc.decode()[k] for k in pattern.ravel()),
            black_level_dn=(black[0], black[1], black[2], black[3]),
            white_level_dn=int(raw.white_level),
            exposure_us=round(raw.other.shutter_speed * 1e6, 3) or math.nan,
            gain_db=round(20 * math.log10(iso / BASE_ISO), 4) if iso > 0 else math.nan,
            iso=round(iso),
            neutral=neutral,
            xyz_to_camera=camera,
            noise_profile=(),
            make="",
            model="",
            serial="",
            provenance={"file": path.name},
        )
        return turned(frame, raw.sizes.flip if upright else 0)


def _colours(path: Path, raw: rawpy.RawPy) -> tuple[Row, tuple[Row, ...]]:
    """Camera RGB of a neutral, its largest 1, and XYZ → camera RGB."""
    gains = np.array(raw.camera_whitebalance[:3], float)
    camera, to_rec709 = np.array(raw.rgb_xyz_matrix[:3], float), np.array(raw.color_matrix[:, :3], float)
    if not camera.any():  # of a DNG LibRaw gives the matrix from balanced camera RGB to Rec. 709 instead
        if not to_rec709.any() or min(gains) <= 0:
            raise ValueError(f"{path}: LibRaw knows no colour matrix of its camera; convert it to DNG")
        camera = np.diag(1 / gains) @ np.linalg.inv(to_rec709) @ np.linalg.inv(np.array(REC709_TO_XYZ))
    return colours_of(1 / gains if min(gains) > 0 else None, camera)


def colours_of(neutral: np.ndarray | None, camera: np.ndarray) -> tuple[Row, tuple[Row, ...]]:
    """Neutral with a largest of 1 (None: daylight's), and XYZ → camera RGB whose daylight white has a largest of 1."""
    daylight = camera @ np.array(REC709_TO_XYZ).sum(axis=1)
    red, green, blue = (daylight if neutral is None else neutral) / np.max(daylight if neutral is None else neutral)
    rows = tuple((float(x), float(y), float(z)) for x, y, z in camera / daylight.max())
    return (float(red), float(green), float(blue)), rows


def saturation(counts: np.ndarray, black: float, white: float) -> float:
    """Where a channel clips: its white level, or the count below it at which pixels pile up, DN.

    Some sensors saturate below the white level that their files state; their highlights would be magenta. A pile is
    two bins of 1/1024 of the range with `PILE` times as many pixels as any of the 128 bins below, and nothing but stray
    pixels above; an evenly lit frame, which is one pile, has none.

    Args:
        counts: of one colour.
        black: its level, DN.
        white: as stated, DN.
    """
    edges = np.linspace(black, white, 1025)
    histogram, _ = np.histogram(counts, edges)
    above = np.cumsum(histogram[::-1])[::-1]
    enough = np.flatnonzero(above >= max(32, 1e-4 * counts.size))
    if not enough.size or (counts >= white).sum() > histogram[enough[-1]] / PILE:
        return white
    top = int(enough[-1])
    pile = histogram[top - 1 : top + 1].sum()
    if top < CLIPS_FROM * 1024 or pile < PILE * histogram[top - 129 : top - 1].max() or pile > 0.9 * counts.size:
        return white
    at = counts[(counts >= edges[top - 1]) & (counts <= edges[top + 1])]
    return float(np.quantile(at, 0.25, method="lower"))


def neutral_range(clips: Sequence[float], blacks: Sequence[float], gains: Sequence[float]) -> float:
    """How far above black the first channel clips once white is balanced, `min_c g_c·(s_c − b_c) / min g`, DN.

    Cut there, highlights stay neutral, whatever each channel's black and clipping are.
    """
    return min(g * (s - b) for s, b, g in zip(clips, blacks, gains, strict=True)) / min(gains)


def with_neutral_white(raw: Raw) -> Raw:
    """A frame whose white level is where a neutral's first channel clips; see `saturation`, `neutral_range`."""
    cells = [raw.counts[place // 2 :: 2, place % 2 :: 2] for place in range(4)]
    clips = [saturation(cell, b, raw.white_level_dn) for cell, b in zip(cells, raw.black_level_dn, strict=True)]
    gains = [1 / raw.neutral["RGB".index(colour)] for colour in raw.cfa]
    reach = neutral_range(clips, raw.black_level_dn, gains)
    return replace(raw, white_level_dn=min(raw.white_level_dn, round(float(np.mean(raw.black_level_dn)) + reach)))
