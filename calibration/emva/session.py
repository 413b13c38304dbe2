"""A calibration session: which frames were taken how; what can be wrong with it, and which frames are dropped."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from calibration.emva.confidence import BANDS
from calibration.emva.frame_statistics import Frame, Level, measure

MEAN_TOLERANCE = 0.01
"""Frames of one setting agree in their means within this share (and 1 DN), or something happened between them."""
STACK = 4
"""From this many frames on, a setting is a stack: its mean image is worth looking at."""
BAYER = ("RGGB", "BGGR", "GRBG", "GBRG")


class Setting(NamedTuple):
    """How a frame was taken. `photons` is the mean number that reaches a pixel, where it is known."""

    kind: Literal["flat", "dark"]
    gain_db: float
    exposure_us: float
    photons: float | None = None

    def __str__(self) -> str:
        """In words, for messages."""
        light = f", {self.photons:g} photons" if self.photons is not None else ""
        return f"{self.kind} at {self.gain_db:g} dB, {self.exposure_us:g} µs{light}"


class Source(NamedTuple):
    """Where a frame comes from: its name, of a file relative to the session, and what reads it."""

    name: str
    read: Callable[[], Frame]


@dataclass(frozen=True)
class Session:
    """A calibration session of one camera.

    Attributes:
        name: of the camera or the folder; the sensor file takes it.
        frames: what was taken at each setting.
        white_level_dn: the ADC's top.
        adc_bits: its bits.
        cfa: colours of the 2×2 tile, `""` for monochrome.
        black_level_dn: the nominal one, where the files state it.
        make, model: of the camera.
        path: of its file or folder, for messages; empty: simulated.
    """

    name: str
    frames: Mapping[Setting, tuple[Source, ...]]
    white_level_dn: int
    adc_bits: int
    cfa: str = ""
    black_level_dn: float | None = None
    make: str = "unknown"
    model: str = "unknown"
    path: str = ""

    @property
    def gains_db(self) -> list[float]:
        """Every gain in it, rising."""
        return sorted({setting.gain_db for setting in self.frames})

    @property
    def size(self) -> int:
        """Number of frames."""
        return sum(map(len, self.frames.values()))


@dataclass
class Reading:
    """What came of reading a session.

    Attributes:
        levels: sums of every setting that could be used.
        dropped: which frames were not, and why.
    """

    levels: dict[Setting, Level] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    shape: tuple[int, int] = (0, 0)


def check(session: Session) -> None:
    """Refuse a session no calibration can be made of, before anything is read.

    Raises:
        ValueError: no darks, no flats, a single exposure.
    """
    flats = [setting for setting in session.frames if setting.kind == "flat"]
    darks = [setting for setting in session.frames if setting.kind == "dark"]
    if not darks or not flats:
        raise ValueError(
            f"{len(flats)} settings of flats and {len(darks)} of darks; expected both: an evenly lit screen at "
            "several exposures, and the same with the lens capped"
        )
    most = max(
        len({(s.exposure_us, s.photons) for s in flats if s.gain_db == gain and len(session.frames[s]) > 1})
        for gain in {s.gain_db for s in flats}
    )
    if most < 3:
        raise ValueError(
            f"the flats have {most} exposure{'s' if most != 1 else ''} with two or more frames at a gain; the photon "
            "transfer needs at least 3, better 10 or more from dark to saturation"
        )


def read(session: Session, images: frozenset[Setting], threads: int, done: Callable[[int], None]) -> Reading:
    """Measure every setting, two at a time; frames are read once and not kept.

    Args:
        session: checked.
        images: settings whose mean image is kept.
        threads: how many settings are read at once.
        done: called with the number of frames read since its last call.

    Raises:
        ValueError: frames of two sizes, or too small, or none at a setting can be read.
    """
    reading = Reading()
    histograms = {reference_dark(session, gain) for gain in session.gains_db}

    def about(setting: Setting, middle: float | None) -> tuple[Level, list[str]]:
        dropped: list[str] = []
        dark, stack = setting.kind == "dark", len(session.frames[setting]) >= STACK
        level = measure(
            _agreeing(session, setting, reading, dropped, middle),
            session.white_level_dn,
            lines=dark or stack,
            spatial=dark or stack,
            counts=setting in histograms,
            image=setting in images,
        )
        return level, dropped

    def one(setting: Setting) -> tuple[Level | None, list[str]]:
        sources = session.frames[setting]
        level, dropped = about(setting, None)
        if 2 * level.frames < len(sources) > 3:  # the first three were not like the others: all have a say
            frames = (_readable(source, reading, []) for source in sources)
            means = [float(frame.mean()) for frame in frames if frame is not None]
            level, dropped = about(setting, statistics.median(means)) if means else (level, dropped)
        done(len(sources))
        return (level if level.frames else None), dropped

    order = sorted(session.frames, key=lambda s: (s.gain_db, s.kind, s.exposure_us, s.photons or 0))
    with ThreadPoolExecutor(threads) as pool:
        pending = [pool.submit(one, setting) for setting in order]
        try:
            for setting, job in zip(order, pending, strict=True):
                level, dropped = job.result()
                reading.dropped += dropped
                if level is not None:
                    reading.levels[setting] = level
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    kept = sum(level.frames for level in reading.levels.values())
    if 2 * kept < session.size:
        raise ValueError(
            f"only {kept} of {session.size} frames can be used; expected most of each setting's to be alike. "
            f"The first that is not: {reading.dropped[0]}"
        )
    return reading


def reference_dark(session: Session, gain_db: float) -> Setting | None:
    """The darks a gain's noise is read from: the most frames, the shortest exposure among equals."""
    darks = [s for s in session.frames if s.kind == "dark" and s.gain_db == gain_db]
    return max(darks, key=lambda s: (len(session.frames[s]), -s.exposure_us), default=None)


def _agreeing(
    session: Session, setting: Setting, reading: Reading, dropped: list[str], middle: float | None
) -> Iterator[Frame]:
    """The frames of a setting that can be read and whose mean agrees with `middle`; None: the first three's median."""
    kept: list[tuple[Source, Frame]] = []
    sources = session.frames[setting]
    for number, source in enumerate(sources):
        frame = _readable(source, reading, dropped)
        if frame is not None and middle is not None:
            if _agrees(frame, middle):
                yield frame
            else:
                dropped.append(_outlier(source, setting, frame, middle))
        elif frame is not None:
            kept.append((source, frame))
        if middle is None and (len(kept) == 3 or number == len(sources) - 1) and kept:
            middle = statistics.median(float(first.mean()) for _, first in kept)
            fitting = [_agrees(first, middle) for _, first in kept]
            if len(kept) == 2 and not all(fitting):
                dropped += [
                    f"both frames of {setting}: their means differ, {kept[0][1].mean():.1f} and "
                    f"{kept[1][1].mean():.1f} DN"
                ]
                return
            for (source_, first), fits in zip(kept, fitting, strict=True):
                if fits:
                    yield first
                else:
                    dropped.append(_outlier(source_, setting, first, middle))
            kept.clear()


def _outlier(source: Source, setting: Setting, frame: Frame, middle: float) -> str:
    return f"{source.name}: mean {frame.mean():.1f} DN, the other {setting.kind}s of this setting have {middle:.1f}"


def _agrees(frame: Frame, middle: float) -> bool:
    return abs(float(frame.mean()) - middle) <= 1 + MEAN_TOLERANCE * middle


def _readable(source: Source, reading: Reading, dropped: list[str]) -> Frame | None:
    try:
        frame = source.read()
    except (OSError, ValueError) as fault:
        dropped.append(f"{source.name}: cannot be read ({fault})")
        return None
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    if height < 4 * BANDS or width < 16:
        raise ValueError(f"{source.name}: {frame.shape[1]}×{frame.shape[0]} px; expected at least 16×{4 * BANDS}")
    if reading.shape == (0, 0):
        reading.shape = frame.shape
    if frame.shape != reading.shape:
        raise ValueError(
            f"{source.name} has {frame.shape[1]}×{frame.shape[0]} px, frames before it {reading.shape[1]}×"
            f"{reading.shape[0]}: a session's frames are of one size"
        )
    return frame[:height, :width]
