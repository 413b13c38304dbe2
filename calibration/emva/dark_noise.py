"""Darks at every gain → offsets' nonuniformity, read, row and column noise, black: what a frame holds without light."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from calibration.emva import gain_law, nonuniformity, photon_transfer, read_noise
from calibration.emva.confidence import Array, Estimate, around, jackknifed
from calibration.emva.frame_statistics import Level
from calibration.emva.nonuniformity import Nonuniformity, Parts
from calibration.emva.row_noise import Periodic, Rows, rows_of
from calibration.emva.session import STACK, Session, Setting, reference_dark

DITHERED_FROM_DN = 1.0
"""Below this temporal noise a pixel's mean of whole counts follows its offset in steps, and moments lie.

The mean's slope ripples by 2·|φ(2π)|, φ the noise's characteristic function: for 1 DN of logistic noise 0.0008."""
ROWS_FROM_DN = 0.8
"""Rows need a little less: for 0.8 DN of logistic noise the ripple is 0.006, far below their own error."""


class Gain(NamedTuple):
    """K at a gain, DN/e⁻, and black of each channel, DN (replicates); nominal: K by the gain's decibels.

    `origin` is K of faint light by `photon_transfer.Curve.gain_at_origin`.
    """

    k: Array
    nominal: bool
    black: Mapping[int, Array]
    origin: Array

    @property
    def estimate(self) -> Estimate:
        """K with an interval that holds that of faint light."""
        return jackknifed(self.k).reaching(jackknifed(self.origin))

    @property
    def faint(self) -> "Gain":
        """The same with K of faint light."""
        return self._replace(k=self.origin)


@dataclass(frozen=True)
class GainPoint:
    """Noise at one gain, DN.

    Attributes:
        k: system gain; nominal: from the gain in dB, no flats having been taken.
        noise: `None` where the darks do not show it.
        rows: `None` where the noise is too small against a count, or cut.
        dark_seconds: exposure of the darks the noise is read from.
        faint: system gain of faint light, which the interval of `k` holds too.
    """

    gain_db: float
    k: Estimate
    nominal: bool
    noise: read_noise.ReadNoise | None
    rows: Rows | None
    dark_seconds: float
    faint: Estimate


def offset_level(levels: Mapping[Setting, Level], session: Session, gain_db: float) -> Setting | None:
    """A stack that shows a gain's offsets and line noise: its darks, or its dimmest flats where those are cut."""
    dark = reference_dark(session, gain_db)
    if dark and dark in levels and levels[dark].pairs and levels[dark].spatial and levels[dark].at_zero.max() <= 1e-4:
        return dark
    flats = [
        s
        for s in levels
        if s.kind == "flat"
        and s.gain_db == gain_db
        and levels[s].spatial
        and max(levels[s].at_zero.max(), levels[s].at_top.max()) <= 1e-4
    ]
    return min(flats, key=lambda s: s.exposure_us * (s.photons or 1.0), default=None)


def _noisy(level: Level, from_dn: float = DITHERED_FROM_DN) -> bool:
    return bool(nonuniformity.pixel_noise(level, range(4))[0] >= from_dn**2)


def dsnu_e(
    levels: Mapping[Setting, Level],
    offsets: Mapping[float, Setting | None],
    gains: Mapping[float, Gain],
    prnu_percent: Nonuniformity | None,
) -> Nonuniformity | None:
    """DSNU without outliers, e⁻, from the gain that determines it best; PRNU of a dim flat's light is taken off."""
    usable = {
        gain: setting
        for gain, setting in offsets.items()
        if setting is not None
        and levels[setting].frames >= STACK
        and _noisy(levels[setting])
        and (setting.kind == "dark" or gains[gain].black)
    }
    if not usable:
        return None

    def noise_e2(gain: float) -> float:
        level = levels[usable[gain]]
        return float(nonuniformity.pixel_noise(level, range(4))[0]) / float(gains[gain].k[0]) ** 2 / level.frames

    # Not the one with the smallest interval: that would choose errors that are too small.
    gain = min(usable, key=noise_e2)
    setting, k, black = usable[gain], gains[gain].k, gains[gain].black
    level = levels[setting]
    per_phase = [nonuniformity.even_parts(level, [phase]) for phase in range(4)]
    if setting.kind == "flat" and prnu_percent:
        light = [photon_transfer.phase_sums(level, [phase])[0] - black[phase] for phase in range(4)]
        per_phase = [one.less(_gains_share(prnu_percent, light, phase)) for phase, one in enumerate(per_phase)]
    return nonuniformity.mean_parts(per_phase).over(k**2, k**2, k**2).root()


def _gains_share(prnu_percent: Nonuniformity, light: Sequence[Array], phase: int) -> Parts:
    """What PRNU makes of a phase's light, DN²."""
    in_rows, in_columns = nonuniformity.line_light(light)
    row, column, pixel = ((one.value / 100) ** 2 for one in (prnu_percent.row, prnu_percent.column, prnu_percent.pixel))
    return Parts(row * in_rows, column * in_columns, pixel * light[phase] ** 2, 0.0, 0.0)


def gain_points(
    session: Session,
    levels: Mapping[Setting, Level],
    gains: Mapping[float, Gain],
    offsets: Mapping[float, Setting | None],
    dsnu: Nonuniformity | None,
    current: Estimate | None,
) -> tuple[tuple[GainPoint, ...], Periodic | None]:
    """Noise at every gain with darks; periodic noise as the first gain that shows it has it."""
    points, periodic = [], None
    rate = current.value if current else 0.0
    rows: dict[float, Rows] = {}
    for gain, offset in sorted(offsets.items()):
        if offset is not None and _noisy(levels[offset], ROWS_FROM_DN):
            rows[gain], wave = rows_of(levels[offset])
            periodic = periodic or wave
    law = noise_law([(gains[g].estimate, one.row_dn) for g, one in rows.items()])
    for gain in sorted(gains):
        dark = reference_dark(session, gain)
        if dark is None or dark not in levels or not levels[dark].pairs:
            continue
        k, nominal = gains[gain].k, gains[gain].nominal
        shared = [_fixed(levels, offsets[gain], dsnu, float(k[0]))]
        shared.append(_lined(rows.get(gain), law, periodic, float(k[0])))
        value = sum(one.value for one in shared) + float(k[0]) ** 2 * rate * dark.exposure_us * 1e-6
        noise = read_noise.fit(levels[dark], around(value, math.hypot(*(one.error for one in shared))))
        seconds, faint = dark.exposure_us * 1e-6, jackknifed(gains[gain].origin)
        points.append(GainPoint(gain, gains[gain].estimate, nominal, noise, rows.get(gain), seconds, faint))
    return tuple(points), periodic


def _fixed(levels: Mapping[Setting, Level], offset: Setting | None, dsnu: Nonuniformity | None, k: float) -> Estimate:
    """Variance of a dark pixel over the frame that is the same in every frame, DN²."""
    if offset is not None and offset.kind == "dark" and levels[offset].frames >= STACK and _noisy(levels[offset]):
        one = nonuniformity.even_parts(levels[offset], range(4))
        return jackknifed(one.total, one.row_error2 + one.column_error2)
    return dsnu.total.squared().times(k**2) if dsnu else Estimate(0.0, 0.0, 0.0)


def _lined(rows: Rows | None, law: Sequence[gain_law.Line], periodic: Periodic | None, k: float) -> Estimate:
    """Variance rows and columns share, DN²: as seen at this gain, else as the other gains' law has it."""
    wave = periodic.amplitude_dn.value**2 / 2 if periodic else 0.0
    if rows is not None:
        row, column = rows.row_dn.squared(), rows.column_dn.squared()
        return around(row.value + column.value + wave, math.hypot(row.error, column.error))
    if not law:
        return around(wave, 0.0)
    part = [one for one in law if one.from_k is None or one.from_k.value <= k][-1]
    ln_sigma = part.slope.value * math.log(k) + part.intercept.value
    return around(math.exp(2 * ln_sigma) + wave, 2 * part.spread.value * math.exp(2 * ln_sigma))


def noise_law(points: Sequence[tuple[Estimate, Estimate | None]]) -> tuple[gain_law.Line, ...]:
    """The law of a noise over the gains (K, σ) that show it; none if it mostly drowns in its own error."""
    known = [(k, sigma) for k, sigma in points if sigma is not None]
    shown = [(k, sigma) for k, sigma in known if sigma.low > 0]
    if not shown or 2 * len(shown) < len(known):
        return ()
    return gain_law.lines([k for k, _ in shown], [sigma for _, sigma in shown])


def law_of(points: Sequence[GainPoint], sigma: Callable[[GainPoint], Estimate | None]) -> tuple[gain_law.Line, ...]:
    """The law of one of the points' noises; its intervals hold those over the K of faint light, too."""
    law, faint = (noise_law([(getattr(p, k), sigma(p)) for p in points]) for k in ("k", "faint"))
    return tuple(map(gain_law.Line.reaching, law, faint)) if len(law) == len(faint) else law


def black_dn(points: Sequence[GainPoint], current: Estimate | None, tukey: bool) -> tuple[Estimate, ...] | None:
    """Black of each phase without dark current, DN, under the law of all gains, from the gain with the least error."""
    rate = current.value if current else 0.0
    blacks = []
    for point in points:
        if point.noise:
            glow = point.k.value * rate * point.dark_seconds
            black = point.noise.tukey_black_dn if tukey else point.noise.gauss_black_dn
            blacks.append(tuple(e.less(glow) for e in black))
    return min(blacks, key=lambda four: sum(e.error for e in four), default=None)
