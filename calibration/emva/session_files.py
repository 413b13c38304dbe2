"""Calibration sessions on disk: EMVA 1288 text files, CSV lists of pictures, folders of raws."""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from calibration.emva.frame_statistics import Frame
from calibration.emva.session import BAYER, Session, Setting, Source
from calibration.session_folders import parts
from isp_sim.csv_files import read_rows
from isp_sim.files import listed
from isp_sim.picture_files import read_picture as codes_of
from isp_sim.raw import Raw
from isp_sim.raw_files import open_raw

LIMITS = {"exposure_us": (0, 1e10), "gain_db": (-100, 200), "photons": (0, 1e12)}
"""What a column of a CSV may hold."""
BITS = (8, 10, 12, 14, 16)
COLUMNS = ("file", "kind", "exposure_us", "gain_db")


def open_session(path: Path, cfa: str = "", bits: int | None = None, anywhere: bool = False) -> Session:
    """The session at a path.

    Args:
        path: `*.txt` in EMVA 1288's data format, `*.csv` with columns file, kind (flat or dark), exposure_us, gain_db
            and, where known, photons; or a folder of raws with `flats` and `darks` in it.
        cfa: of pictures; of raws it is in their metadata. `""` is monochrome.
        bits: of the ADC, for CSV lists; else see `with_codes_from_zero`.
        anywhere: whether a text or CSV may name files that do not lie in its folder.

    Raises:
        ValueError: the file's lines cannot be read, or files that it names are missing or lie elsewhere.
        FileNotFoundError: no such file or folder.
    """
    if cfa and cfa not in BAYER:
        raise ValueError(f"cfa = {cfa!r}: expected {', '.join(BAYER)}, or nothing for monochrome")
    if path.is_dir():
        return with_codes_from_zero(raw_session(path), None)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".csv":
        return with_codes_from_zero(listed_session(path, cfa, anywhere), bits)
    session = emva_session(path, cfa, anywhere)
    return with_codes_from_zero(session, session.adc_bits)


def with_codes_from_zero(session: Session, bits: int | None) -> Session:
    """A session in the ADC's own codes, by the bits that frames use: many cameras give 12 bits as the upper of 16.

    Args:
        session: as its files store it; `adc_bits` is not looked at.
        bits: of the ADC, where they are stated; else the fewest of 8, 10, 12, 14, 16 that hold the codes, less low bits
            that no code has.

    Raises:
        ValueError: the codes need more bits than are stated.
    """
    used = 0
    for setting in _telling(session):
        frame = next((frame for source in session.frames[setting] if (frame := _or_none(source)) is not None), None)
        used |= 0 if frame is None else int(np.bitwise_or.reduce(frame, axis=None))
    empty = (used & -used).bit_length() - 1 if used else 0
    top = max(used.bit_length(), session.white_level_dn.bit_length() if session.black_level_dn is not None else 0)
    held = next(b for b in BITS if top <= b)
    found = bits if bits is not None else held - empty if held - empty in BITS else held
    shift = max(0, held - found) if top > found else 0
    if shift > empty:
        raise ValueError(f"{session.path}: its codes need {top} bits; expected the ADC's {found} at most")
    white = (1 << found) - 1 if session.black_level_dn is None else session.white_level_dn >> shift
    if not shift:
        return replace(session, white_level_dn=white, adc_bits=found)
    frames = {
        setting: tuple(Source(source.name, partial(_shifted, source.read, shift)) for source in sources)
        for setting, sources in session.frames.items()
    }
    black = None if session.black_level_dn is None else session.black_level_dn / (1 << shift)
    return replace(session, frames=frames, white_level_dn=white, adc_bits=found, black_level_dn=black)


def _telling(session: Session) -> list[Setting]:
    """The settings with the most light and the least: between them their codes use every bit there is."""
    by_light = sorted(session.frames, key=lambda s: (s.kind == "flat", s.exposure_us * 10 ** (s.gain_db / 20)))
    return [by_light[-1], *by_light[:1]] if by_light else []


def _or_none(source: Source) -> Frame | None:
    """A frame that can be read; those that cannot are told when all are."""
    try:
        return source.read()
    except (OSError, ValueError):
        return None


def _shifted(read: Callable[[], Frame], shift: int) -> Frame:
    return np.asarray(read() >> shift)


def emva_session(path: Path, cfa: str = "", anywhere: bool = False) -> Session:
    """EMVA 1288's text: `n bits width height`; `b exposure_ns photons` or `d exposure_ns`, then `i picture` lines."""
    names: dict[Setting, list[str]] = defaultdict(list)
    bits, setting = 0, None
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        word, *rest = line.split("#")[0].split(maxsplit=1) or [""]
        values = rest[0].split() if rest else []
        try:
            if word == "n":
                bits = int(values[0])
            elif word in ("b", "d"):
                photons = float(values[1]) if word == "b" and len(values) > 1 else None
                setting = Setting("flat" if word == "b" else "dark", 0.0, float(values[0]) / 1000, photons)
            elif word == "i" and setting is not None:
                names[setting].append(rest[0].strip())
            elif word not in ("", "v"):
                raise ValueError
        except (ValueError, IndexError):
            raise ValueError(f"{path}:{number}: {line.strip()!r} is not a line of EMVA 1288's data format") from None
    if not 1 <= bits <= 16:
        raise ValueError(f"{path}: line `n`: bits of the ADC = {bits}, expected 1 to 16")
    return Session(
        path.resolve().parent.name, _pictures(path, names, anywhere), (1 << bits) - 1, bits, cfa, path=str(path)
    )


def listed_session(path: Path, cfa: str, anywhere: bool = False) -> Session:
    """A CSV of pictures, their names relative to it."""
    names: dict[Setting, list[str]] = defaultdict(list)
    for line, row in read_rows(path, COLUMNS, "photons"):
        names[_row(path, line, row)].append(row["file"])
    return Session(path.stem, _pictures(path, names, anywhere), (1 << 16) - 1, 16, cfa, path=str(path))


def _row(path: Path, number: int, row: dict[str, str]) -> Setting:
    kind = row["kind"]
    if kind not in ("flat", "dark"):
        raise ValueError(f"{path}:{number}: kind = {kind!r}: expected flat or dark")
    numbers = []
    for column in LIMITS:
        text = row.get(column) or ""
        low, high = LIMITS[column]
        try:
            value = float(text) if text or column != "photons" else math.nan
        except ValueError:
            value = math.inf
        if not low <= value <= high and (text or column != "photons"):
            raise ValueError(f"{path}:{number}: {column} = {text!r}: expected a number from {low:g} to {high:g}")
        numbers.append(value)
    exposure, gain, photons = numbers
    return Setting("flat" if kind == "flat" else "dark", gain, exposure, None if math.isnan(photons) else photons)


def _pictures(path: Path, names: dict[Setting, list[str]], anywhere: bool) -> dict[Setting, tuple[Source, ...]]:
    """Frames of pictures named relative to a session's file. Raises ValueError: some are missing or lie elsewhere."""
    absent = [name for each in names.values() for name in each if not listed(path, name, anywhere).is_file()]
    if absent:
        raise ValueError(f"{path}: {len(absent)} of its files are missing, the first is {absent[0]}")
    return {
        setting: tuple(Source(name, partial(read_picture, listed(path, name, anywhere))) for name in each)
        for setting, each in names.items()
    }


def read_picture(path: Path) -> Frame:
    """A grey picture of 8 or 16 bits, its codes as stored.

    Raises:
        ValueError: not a picture of one channel of 8 or 16 bits.
    """
    picture = codes_of(path, cv2.IMREAD_UNCHANGED)
    if picture.ndim != 2:
        raise ValueError(f"{path}: {picture.shape}: expected one channel of 8 or 16 bits")
    return picture.astype(np.uint16)


def raw_session(folder: Path) -> Session:
    """Raws of one camera in `flats` and `darks`: exposure and gain from their metadata.

    Raises:
        ValueError: there are other folders, no raws, those of several cameras, or without exposure time or ISO.
    """
    frames: dict[Setting, list[Source]] = defaultdict(list)
    cameras: dict[tuple[str, str, str], str] = {}  # and the first file of each
    first: Raw | None = None
    for part, paths in sorted(parts(folder, re.compile("flats|darks"), "flats/ and darks/").items(), reverse=True):
        for path in paths:
            about = open_raw(path, upright=False)  # noise lies on the sensor's rows
            for what, value in (("exposure time", about.exposure_us), ("ISO", about.gain_db)):
                if math.isnan(value):
                    raise ValueError(f"{path}: states no {what}, without which a frame tells nothing of the sensor")
            model = about.model or path.suffix.removeprefix(".").upper()
            cameras.setdefault((about.make or "unknown", model, about.cfa), f"{part}/{path.name}")
            setting = Setting("flat" if part == "flats" else "dark", round(about.gain_db, 6), about.exposure_us)
            frames[setting].append(Source(f"{part}/{path.name}", partial(_read_raw, path)))
            first = first or about
    if first is None:
        raise ValueError(f"{folder}: holds no raws in {folder / 'flats'} and {folder / 'darks'}")
    if len(cameras) > 1:
        found = " and ".join(f"{' '.join(camera)} ({file})" for camera, file in sorted(cameras.items()))
        raise ValueError(f"{folder}: expected raws of one camera, found {found}")
    make, model, _ = next(iter(cameras))
    settled = {setting: tuple(sources) for setting, sources in frames.items()}
    bits = max(1, math.ceil(math.log2(first.white_level_dn + 1)))
    return Session(
        folder.resolve().name, settled, first.white_level_dn, bits, first.cfa, float(np.mean(first.black_level_dn)),
        make, model, str(folder),
    )  # fmt: skip


def _read_raw(path: Path) -> Frame:
    return np.asarray(open_raw(path, upright=False).counts)
