"""Both arms at one moment: prepared, triggered together, fetched; what is lost, late or set wrong is taken again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from capture.devices import Device
from isp_sim.raw import Raw
from isp_sim.schedule import Shot

SETTINGS_TOLERANCE = 0.02
"""Cameras set exposure and gain in steps: exposures may differ by this share, gains by `GAIN_TOLERANCE_DB`."""
GAIN_TOLERANCE_DB = 0.25


@dataclass(frozen=True)
class Rules:
    """When a moment counts.

    Attributes:
        apart_s: longest time between the two triggers.
        timeout_s: longest wait for a frame beyond its exposure.
        tries: how often a moment is tried.
    """

    apart_s: float = 0.005
    timeout_s: float = 2.0
    tries: int = 5


@dataclass(frozen=True)
class Moment:
    """One pair as taken.

    Attributes:
        bright, dark: the frames.
        apart_s: time between the triggers.
        again: why earlier tries were discarded, one sentence each.
    """

    bright: Raw
    dark: Raw
    apart_s: float
    again: tuple[str, ...] = field(default=())


def take(
    bright: Device, dark: Device, shot: Shot, rules: Rules, clock: Callable[[], float] = time.perf_counter
) -> Moment:
    """Take one pair.

    A frame belongs to its trigger because every try begins with empty queues (`Device.prepare`) and both frames are
    fetched before the next one; a pair is whole or taken again as a whole.

    Args:
        bright: the well-lit arm's camera.
        dark: the low-light arm's.
        shot: exposure and gains.
        rules: when it counts.
        clock: seconds.

    Raises:
        ValueError: a camera cannot do that exposure or gain.
        OSError: every try failed; the sentence has the reasons.
    """
    again: list[str] = []
    while len(again) < rules.tries:
        try:
            bright.prepare(shot.exposure_us, shot.well_lit_gain_db)
            dark.prepare(shot.exposure_us, shot.low_light_gain_db)
            begun = clock()
            bright.trigger()
            middle = clock()
            dark.trigger()
            apart_s = max(middle - begun, clock() - middle)
            wait_s = shot.exposure_us * 1e-6 + rules.timeout_s
            frames = (bright.fetch(wait_s), dark.fetch(wait_s))
        except OSError as fault:  # TimeoutError, too
            again.append(str(fault))
            continue
        mismatch = _fault(frames, shot, apart_s, rules)
        if mismatch is None:
            return Moment(frames[0], frames[1], apart_s, tuple(again))
        again.append(mismatch)
    raise OSError(f"{shot.file_name('bright')}: not taken in {rules.tries} tries: {'; '.join(dict.fromkeys(again))}")


def _fault(frames: tuple[Raw, Raw], shot: Shot, apart_s: float, rules: Rules) -> str | None:
    if apart_s > rules.apart_s:
        return f"late: the triggers came {1e3 * apart_s:.1f} ms apart, expected at most {1e3 * rules.apart_s:g}"
    for raw, gain_db in zip(frames, (shot.well_lit_gain_db, shot.low_light_gain_db), strict=True):
        off = abs(raw.exposure_us - shot.exposure_us) > max(1.0, SETTINGS_TOLERANCE * shot.exposure_us)
        if off or abs(raw.gain_db - gain_db) > GAIN_TOLERANCE_DB:
            return (
                f"camera {raw.serial}: requested {shot.exposure_us} µs and {gain_db:g} dB, the frame has "
                f"{raw.exposure_us:g} µs and {raw.gain_db:g} dB"
            )
    return None
