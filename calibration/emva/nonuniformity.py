"""Mean images of stacks → DSNU and PRNU with their row, column and pixel parts (EMVA 1288 release 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from calibration.emva.confidence import Array, Estimate, jackknifed, replicates
from calibration.emva.frame_statistics import Level
from calibration.emva.photon_transfer import Curve, phase_sums
from calibration.emva.row_noise import rows_of


@dataclass(frozen=True)
class Parts:
    """A spatial variance as what whole rows, whole columns and single pixels have of it. Leading axis: replicates.

    Attributes:
        row, column, pixel: variances, `(1 + BANDS,)`; they add up to the total.
        row_error2, column_error2: variances of `row` and `column` that the bands of rows share.
    """

    row: Array
    column: Array
    pixel: Array
    row_error2: float
    column_error2: float

    @property
    def total(self) -> Array:
        """`s² = s²_row + s²_column + s²_pixel`."""
        return self.row + self.column + self.pixel

    def less(self, other: "Parts") -> "Parts":
        """What one image has above another."""
        return Parts(
            self.row - other.row,
            self.column - other.column,
            self.pixel - other.pixel,
            self.row_error2 + other.row_error2,
            self.column_error2 + other.column_error2,
        )

    def over(self, row: Array, column: Array, pixel: Array) -> "Parts":
        """Each part in another unit, divided by its own square of it."""
        return Parts(
            self.row / row,
            self.column / column,
            self.pixel / pixel,
            self.row_error2 / float(row[0]) ** 2,
            self.column_error2 / float(column[0]) ** 2,
        )

    def root(self, unit: float = 1.0) -> "Nonuniformity":
        """Standard deviations with their intervals, times `unit`."""
        shared = (
            (self.total, self.row_error2 + self.column_error2),
            (self.row, self.row_error2),
            (self.column, self.column_error2),
            (self.pixel, 0.0),
        )
        return Nonuniformity(*(jackknifed(part, error2).root().times(unit) for part, error2 in shared))


@dataclass(frozen=True)
class Nonuniformity:
    """DSNU or PRNU: standard deviations, whose squares add up to the total's."""

    total: Estimate
    row: Estimate
    column: Estimate
    pixel: Estimate

    def reaching(self, other: "Nonuniformity") -> "Nonuniformity":
        """With intervals that hold another one's too, as `Estimate.reaching`."""
        return Nonuniformity(*(getattr(self, f.name).reaching(getattr(other, f.name)) for f in fields(self)))

    def times(self, factor: float) -> "Nonuniformity":
        """In another unit; the factor is known and positive."""
        return Nonuniformity(*(getattr(self, f.name).times(factor) for f in fields(self)))


def emva_parts(level: Level, phases: Sequence[int]) -> Parts:
    """Spatial variances of a stack, DN², nothing but temporal noise removed: the split of EMVA 1288 release 4.

        s²_pixel = MN / (MN − M − N) · (s²_y − s²_rav − s²_cav)
        s²_row = s²_rav − s²_pixel / N
        s²_column = s²_cav − s²_pixel / M

    with M rows and N columns, so that the parts add up to s²_y. s²_y, s²_rav and s²_cav are the variances of the mean
    image, of its rows' means and of its columns', less what temporal noise leaves there in a mean of L frames: 1/L of
    each pixel's variance over the frames, on average, and of that of the rows' and of the columns' means by differences
    of frames. (Pixels' noise alone, σ²_y / N, would leave the temporal row noise in s²_row.)

    Args:
        level: sums over the stack, with the spatial ones and lines.
        phases: one of the tile's, or all four of a sensor without colour filters.
    """
    spatial = level.spatial
    assert spatial is not None
    group = phases[0] if len(phases) == 1 else 4
    count = replicates(spatial.count, phases)
    n = level.width if group == 4 else level.width // 2
    m = count / n
    first = replicates(spatial.total, phases) / count
    second = replicates(spatial.total_squares, phases) / count
    stack_squares = replicates(level.stack_squares, phases) / count
    stack = (stack_squares - level.frames * second) / (level.frames - 1)
    row_squares = level.row_squares if group == 4 else (level.squares - level.within)[:, group] / n
    frames_twice = 2 * level.pairs * level.frames
    total = second - first**2 - stack / level.frames
    of_rows = spatial.row_variance[:, group] - replicates(row_squares) / m / frames_twice
    of_columns = spatial.column_variance[:, group] - level.column_variance[group] / frames_twice
    pixel = m * n / (m * n - m - n) * (total - of_rows - of_columns)
    error2 = 2 * float(spatial.column_variance[0, group]) ** 2 / (n - 1)
    return Parts(of_rows - pixel / n, of_columns - pixel / m, pixel, _wave_left(level) ** 2, error2)


def even_parts(level: Level, phases: Sequence[int]) -> Parts:
    """Spatial variances of a stack without shading and outliers, DN²: what maps of a simulated camera are drawn with.

    The two phases of a row share its offset and nothing else: the mean product of their means is s²_row + σ²_row / L,
    whichever phases are requested. Likewise for columns. s²_pixel + σ²_pixel / L is what varies about the means of row
    and column within a phase.
    """
    spatial = level.spatial
    assert spatial is not None
    frames_twice = 2 * level.pairs * level.frames
    row = replicates(spatial.row_products) / replicates(spatial.row_dof)
    row = row - replicates(level.row_products) / replicates(level.rows) / frames_twice
    column = np.full_like(row, spatial.column_product - level.column_product / frames_twice)
    within = replicates(spatial.within, phases) / replicates(spatial.within_dof, phases)
    pixel = within - pixel_noise(level, phases) / level.frames
    return Parts(row, column, pixel, _wave_left(level) ** 2, spatial.column_error2)


def _wave_left(level: Level) -> float:
    """Variance that periodic noise of amplitude A leaves in the rows of a mean of L frames, DN²: A² / (2L).

    That is taken off with the other temporal noise of rows; as the L phases are drawn but once, its standard deviation
    is as much.
    """
    _, wave = rows_of(level)
    return wave.amplitude_dn.value**2 / (2 * level.frames) if wave else 0.0


def pixel_noise(level: Level, phases: Sequence[int]) -> Array:
    """Temporal variance of single pixels, DN²: what rows and columns share is taken off."""
    within = replicates(level.within, phases)
    dof = replicates(level.within_dof, phases)
    return np.asarray(within / (2 * level.pairs * dof) - level.column_product / (2 * level.pairs))


def mean_parts(channels: Sequence[Parts]) -> Parts:
    """Mean over channels, of which all may have the same errors in rows and columns."""
    return Parts(
        row=np.mean([one.row for one in channels], axis=0),
        column=np.mean([one.column for one in channels], axis=0),
        pixel=np.mean([one.pixel for one in channels], axis=0),
        row_error2=float(np.mean([one.row_error2 for one in channels])),
        column_error2=float(np.mean([one.column_error2 for one in channels])),
    )


def line_light(light: Sequence[Array]) -> tuple[Array, Array]:
    """What a gain that a row's two phases share makes of their light in `even_parts`, and a column's, DN².

    Args:
        light: of each phase, DN.
    """
    first, second, third, fourth = light
    return (first * second + third * fourth) / 2, (first * third + second * fourth) / 2


def emva_dsnu_e(level: Level, groups: Mapping[str, Sequence[int]], k: Array) -> Nonuniformity:
    """EMVA 1288 DSNU, e⁻: `s_y.dark / K`; of channels, the mean of the squares."""
    return mean_parts([emva_parts(level, phases).over(k**2, k**2, k**2) for phases in groups.values()]).root()


def prnu_percent(
    bright: Level, dark: Level | None, curves: Mapping[str, Curve], groups: Mapping[str, Sequence[int]]
) -> tuple[Nonuniformity, Nonuniformity]:
    """PRNU, %, `√(s²_y.50 − s²_y.dark) / (μ_y.50 − μ_y.dark)`: EMVA's of all, and less shading and outliers.

    Args:
        bright: a stack of flats at half of saturation.
        dark: a stack of darks, if there is one.
        curves: of each channel; where it is cut, nothing is taken off.
        groups: each channel's phases.
    """
    light = {name: phase_sums(bright, phases)[0] - curves[name].dark_mean for name, phases in groups.items()}
    in_rows, in_columns = line_light(
        [next(light[name] for name, phases in groups.items() if phase in phases) for phase in range(4)]
    )
    whole, even = [], []
    for name, phases in groups.items():
        of_all, of_even = emva_parts(bright, phases), even_parts(bright, phases)
        if dark is not None and not curves[name].cut:
            of_all, of_even = of_all.less(emva_parts(dark, phases)), of_even.less(even_parts(dark, phases))
        square = light[name] ** 2
        whole.append(of_all.over(square, square, square))
        even.append(of_even.over(in_rows, in_columns, square))
    return mean_parts(whole).root(100), mean_parts(even).root(100)
