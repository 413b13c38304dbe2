"""A session's sums → every figure of the camera, each with its interval."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from calibration.emva import (
    dark_noise,
    defect_pixels,
    figures,
    fixed_waves,
    gain_law,
    nonuniformity,
    photon_transfer,
)  # fmt: skip
from calibration.emva.confidence import Array, Estimate, jackknifed
from calibration.emva.dark_noise import Gain, GainPoint
from calibration.emva.fixed_waves import FixedWave
from calibration.emva.frame_statistics import Level
from calibration.emva.nonuniformity import Nonuniformity
from calibration.emva.photon_transfer import Curve
from calibration.emva.row_noise import Periodic
from calibration.emva.session import STACK, Reading, Session, Setting, check, read


@dataclass(frozen=True)
class Channel:
    """What is a colour's own: a phase of the tile, or the whole of a monochrome sensor."""

    name: str
    phases: tuple[int, ...]
    curve: Curve
    gain_dn_per_e: Estimate
    quantum_efficiency: Estimate | None
    linearity_error_percent: Estimate | None
    saturation_photons: Estimate | None


@dataclass(frozen=True)
class Results:
    """Every figure of a session; `None` where it cannot be measured.

    DSNU and PRNU are given twice: `emva_*` over all of the image as EMVA 1288 has them, the others without shading and
    outliers, which is what a simulated camera's maps are made with.
    """

    session: Session
    size: tuple[int, int]
    channels: tuple[Channel, ...]
    base_gain_db: float
    gain_dn_per_e: Estimate
    temporal_dark_noise_e: Estimate
    saturation_e: Estimate | None
    full_well_e: Estimate | None
    adc_limits: bool
    dynamic_range_db: Estimate | None
    snr_max_db: Estimate | None
    emva_dsnu_e: Nonuniformity | None
    emva_prnu_percent: Nonuniformity | None
    dsnu_e: Nonuniformity | None
    prnu_percent: Nonuniformity | None
    dark_current_e_per_s: Estimate | None
    hot: defect_pixels.HotPixels | None
    dead: int | None
    black_dn: tuple[Estimate, ...] | None
    points: tuple[GainPoint, ...]
    tukey: bool
    read_lines: tuple[gain_law.Line, ...]
    row_lines: tuple[gain_law.Line, ...]
    column_lines: tuple[gain_law.Line, ...]
    periodic: Periodic | None
    fixed_waves: tuple[FixedWave, ...]
    cut: bool
    dropped: tuple[str, ...]


def kept_images(session: Session) -> frozenset[Setting]:
    """Settings whose mean image is needed: a short and the longest dark of a gain, the best stacks of darks, flats."""
    darks = [s for s in session.frames if s.kind == "dark"]
    flats = [s for s in session.frames if s.kind == "flat" and len(session.frames[s]) >= STACK]
    longest = max(darks, key=lambda s: (s.exposure_us, len(session.frames[s])))
    short = min((s for s in darks if s.gain_db == longest.gain_db), key=lambda s: s.exposure_us)
    best = sorted(flats, key=lambda s: (len(session.frames[s]), s.exposure_us))[-1:]
    stack = max(darks, key=lambda s: (len(session.frames[s]), -s.exposure_us))
    return frozenset({longest, short, stack, *best})


def calibrated(session: Session, threads: int = 2, done: Callable[[int], None] = lambda _: None) -> Results:
    """A session checked, read and characterised.

    Args:
        session: of one camera.
        threads: how many settings are read at once.
        done: called with the number of frames read since its last call.

    Raises:
        ValueError: it cannot be calibrated; see `check`, `read` and `characterise`.
    """
    check(session)
    return characterise(session, read(session, kept_images(session), threads, done))


def characterise(session: Session, reading: Reading) -> Results:
    """Every figure of the camera.

    Raises:
        ValueError: the frames do not determine K; see `photon_transfer.curve`.
    """
    levels = reading.levels
    base = min(s.gain_db for s in levels if s.kind == "flat" and levels[s].pairs)
    groups = _groups(session.cfa)
    curves = {name: photon_transfer.curve(levels, base, phases) for name, phases in groups.items()}
    k, origin = (np.mean([getattr(c, name) for c in curves.values()], axis=0) for name in ("gain", "gain_at_origin"))
    dark_variance = np.mean([c.dark_variance for c in curves.values()], axis=0)
    gains = {base: Gain(k, False, _blacks(curves, groups), origin)}
    gains |= {g: _gain(levels, g, groups, base, gains[base]) for g in session.gains_db if g != base}
    current, unlikely = _dark_current(levels, gains)
    stack = _flat_stack(levels, base, curves)
    prnu = _prnu(levels, stack, curves, groups) if stack else None
    offsets = {g: dark_noise.offset_level(levels, session, g) for g in gains}
    dsnu, waves = _dsnu(levels, offsets, gains, prnu[1] if prnu else None)
    points, periodic = dark_noise.gain_points(session, levels, gains, offsets, dsnu, current)
    tukey = sum(p.noise.log_likelihoods[1] - p.noise.log_likelihoods[0] for p in points if p.noise) > 0
    saturation = figures.saturation_e(list(curves.values()), k)
    full = figures.plateau(list(curves.values()), k, origin, session.white_level_dn)
    offset = offsets[base]
    emva_dark = levels[offset] if offset and offset.kind == "dark" else None
    return Results(
        session=session,
        size=reading.shape,
        channels=tuple(_channel(name, groups[name], one) for name, one in curves.items()),
        base_gain_db=base,
        gain_dn_per_e=gains[base].estimate,
        temporal_dark_noise_e=_either(lambda one: figures.temporal_dark_noise_e(dark_variance, one), k, origin),
        saturation_e=saturation,
        full_well_e=full[0] if full else None,
        adc_limits=bool(full and full[1]),
        dynamic_range_db=_dynamic_range(saturation, dark_variance, k),
        snr_max_db=_decibel(saturation, 10.0),
        emva_dsnu_e=nonuniformity.emva_dsnu_e(emva_dark, groups, k) if emva_dark else None,
        emva_prnu_percent=prnu[0] if prnu else None,
        dsnu_e=dsnu,
        prnu_percent=prnu[1] if prnu else None,
        dark_current_e_per_s=current,
        hot=_hot(levels, gains, session),
        dead=_dead(levels, stack, curves),
        black_dn=dark_noise.black_dn(points, current, tukey),
        points=points,
        tukey=tukey,
        read_lines=dark_noise.law_of(points, lambda p: _read_noise(p, tukey)),
        row_lines=dark_noise.law_of(points, lambda p: p.rows.row_dn if p.rows else None),
        column_lines=dark_noise.law_of(points, lambda p: p.rows.column_dn if p.rows else None),
        periodic=periodic,
        fixed_waves=waves,
        cut=any(c.cut for c in curves.values()),
        dropped=(*reading.dropped, *unlikely),
    )


def _waves(levels: Mapping[Setting, Level]) -> tuple[Setting | None, tuple[FixedWave, ...]]:
    """The largest stack of darks, where they are not cut, and its waves."""
    stacks = {s: level for s, level in levels.items() if s.kind == "dark" and level.frames >= STACK}
    shown = {s: level for s, level in stacks.items() if level.spatial and level.spatial.image is not None}
    best = max(shown, key=lambda s: shown[s].frames, default=None)
    if best is None or levels[best].at_zero.max() > 1e-4:
        return None, ()
    spatial = levels[best].spatial
    assert spatial is not None and spatial.image is not None
    return best, fixed_waves.fixed_waves(np.asarray(spatial.image, np.float64))


def _read_noise(point: GainPoint, tukey: bool) -> Estimate | None:
    return None if point.noise is None else point.noise.scale_dn if tukey else point.noise.std_dn


def _groups(cfa: str) -> dict[str, tuple[int, ...]]:
    """Channels by name: R, G1, G2, B in the tile's order, or all phases of a monochrome sensor."""
    if not cfa:
        return {"mono": (0, 1, 2, 3)}
    names, greens = {}, 0
    for phase, colour in enumerate(cfa):
        greens += colour == "G"
        names[f"G{greens}" if colour == "G" else colour] = (phase,)
    return dict(sorted(names.items(), key=lambda item: "RGB".index(item[0][0])))


def _gain(
    levels: Mapping[Setting, Level], gain_db: float, groups: dict[str, tuple[int, ...]], base: float, known: Gain
) -> Gain:
    """K at a further gain: from its own flats, else from the gain's decibels."""
    flats = [s for s in levels if s.kind == "flat" and s.gain_db == gain_db and levels[s].pairs]
    darks = [s for s in levels if s.kind == "dark" and s.gain_db == gain_db and levels[s].pairs]
    if len(flats) >= 3 and darks:
        # At the highest gains a full ADC may leave no room between cut darks and saturation: decibels then.
        with contextlib.suppress(ValueError):
            curves = {name: photon_transfer.curve(levels, gain_db, phases) for name, phases in groups.items()}
            k, origin = ([getattr(c, name) for c in curves.values()] for name in ("gain", "gain_at_origin"))
            return Gain(np.mean(k, axis=0), False, _blacks(curves, groups), np.mean(origin, axis=0))
    factor = 10 ** ((gain_db - base) / 20)
    return Gain(known.k * factor, True, {}, known.origin * factor)


def _either(figure: Callable[[Array], Estimate], k: Array, origin: Array) -> Estimate:
    """A figure by K, its interval reaching to the same by K of faint light."""
    return figure(k).reaching(figure(origin))


def _dsnu(
    levels: Mapping[Setting, Level],
    offsets: Mapping[float, Setting | None],
    gains: Mapping[float, Gain],
    prnu: Nonuniformity | None,
) -> tuple[Nonuniformity | None, tuple[FixedWave, ...]]:
    """DSNU without outliers and waves by K, its intervals reaching to the same by K of faint light; the waves."""
    one = dark_noise.dsnu_e(levels, offsets, gains, prnu)
    other = dark_noise.dsnu_e(levels, offsets, {gain: known.faint for gain, known in gains.items()}, prnu)
    stack, waves = _waves(levels)
    if one is None or other is None:
        return None, waves
    k = float(gains[stack.gain_db].k[0]) if stack else 1.0
    return fixed_waves.without_waves(one.reaching(other), waves, k), waves


def _blacks(curves: Mapping[str, Curve], groups: Mapping[str, tuple[int, ...]]) -> dict[int, Array]:
    """Black by phase."""
    return {phase: curves[name].dark_mean for name, phases in groups.items() for phase in phases}


def _channel(name: str, phases: tuple[int, ...], one: Curve) -> Channel:
    efficiency, faint = one.responsivity / one.gain, one.response.terms[0] / one.gain_at_origin
    return Channel(
        name,
        phases,
        one,
        jackknifed(one.gain).reaching(jackknifed(one.gain_at_origin)),
        jackknifed(efficiency).reaching(jackknifed(faint)) if np.isfinite(efficiency).all() else None,
        figures.linearity_error(one),
        figures.saturation_photons(one),
    )


def _dynamic_range(saturation: Estimate | None, dark_variance: Array, k: Array) -> Estimate | None:
    """EMVA 1288: `20·log10(saturation / threshold)`, dB."""
    if saturation is None:
        return None
    least = figures.threshold_e(float(dark_variance[0]), float(k[0]))
    return _decibel(saturation.times(1 / least), 20.0)


def _decibel(ratio: Estimate | None, factor: float) -> Estimate | None:
    return None if ratio is None else ratio.through(lambda v: factor * math.log10(max(v, 1e-12)))


def _dark_current(
    levels: Mapping[Setting, Level], gains: Mapping[float, Gain]
) -> tuple[Estimate | None, tuple[str, ...]]:
    """Dark current at the gain whose darks reach farthest; one whose interval lies below 0 is none, and told."""
    reach = {g: max((s.exposure_us for s in levels if s.kind == "dark" and s.gain_db == g), default=0.0) for g in gains}
    for gain in sorted(gains, key=lambda g: (-reach[g], g)):
        one, other = (
            figures.dark_current_e_per_s(levels, gain, range(4), k) for k in (gains[gain].k, gains[gain].origin)
        )
        one = one.reaching(other) if one and other else one
        if one is not None and one.high < 0:
            return None, (f"dark current: {one} e⁻/s, below 0 as none can be; are the darks' exposures right?",)
        if one is not None:
            return one, ()
    return None, ()


def _flat_stack(levels: Mapping[Setting, Level], base: float, curves: Mapping[str, Curve]) -> Setting | None:
    """The stack of flats nearest to half of saturation."""
    flats = [s for s in levels if s.kind == "flat" and s.gain_db == base and levels[s].frames >= STACK]
    one = next(iter(curves.values()))
    half = (one.signal[0, one.saturation] if one.saturation is not None else one.signal[0, -1]) / 2

    def distance(setting: Setting) -> float:
        mean, _ = photon_transfer.phase_sums(levels[setting], [0])
        return float(abs(mean[0] - one.dark_mean[0] - half))

    near = min(flats, key=distance, default=None)
    return near if near is not None and distance(near) < 0.8 * half else None


def _prnu(
    levels: Mapping[Setting, Level], stack: Setting, curves: Mapping[str, Curve], groups: Mapping[str, tuple[int, ...]]
) -> tuple[Nonuniformity, Nonuniformity]:
    """PRNU of a stack of flats, EMVA's and the even one; see `nonuniformity.prnu_percent`."""
    darks = [s for s in levels if s.kind == "dark" and s.gain_db == stack.gain_db and levels[s].frames >= STACK]
    dark = max(darks, key=lambda s: levels[s].frames, default=None)
    of_all, even = nonuniformity.prnu_percent(levels[stack], levels[dark] if dark else None, curves, groups)
    light = stack.exposure_us if stack.photons is None else stack.photons
    flattened = float(np.mean([one.response.contrast(light) for one in curves.values()]))
    return of_all.reaching(of_all.times(1 / flattened)), even.reaching(even.times(1 / flattened))


def _hot(
    levels: Mapping[Setting, Level], gains: Mapping[float, Gain], session: Session
) -> defect_pixels.HotPixels | None:
    """Hot pixels between the shortest and the longest dark of one gain."""
    darks = [s for s in levels if s.kind == "dark" and (spatial := levels[s].spatial) and spatial.image is not None]
    if len(darks) < 2:
        return None
    short, *_, long = sorted(darks, key=lambda s: s.exposure_us)
    k = float(gains[long.gain_db].k[0])
    noise2 = 0.0
    images = []
    for setting in (short, long):
        level = levels[setting]
        noise2 += float(nonuniformity.pixel_noise(level, range(4))[0]) / level.frames if level.pairs else 0.0
        assert level.spatial is not None and level.spatial.image is not None
        images.append(level.spatial.image)
    full = (session.white_level_dn - float(np.median(images[0]))) / k
    seconds = (long.exposure_us - short.exposure_us) * 1e-6
    return defect_pixels.hot_pixels(images[0], images[1], seconds, k, full, math.sqrt(max(noise2, 1e-4)))


def _dead(levels: Mapping[Setting, Level], stack: Setting | None, curves: Mapping[str, Curve]) -> int | None:
    spatial = levels[stack].spatial if stack else None
    if spatial is None or spatial.image is None:
        return None
    return defect_pixels.dead_pixels(spatial.image, float(np.mean([c.dark_mean[0] for c in curves.values()])))
