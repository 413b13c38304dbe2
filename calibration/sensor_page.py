"""The page of a sensor's calibration: its figures with their intervals, and plots that show where they come from."""

import numpy as np
from matplotlib.figure import Figure

from calibration.emva.characterise import Results
from calibration.emva.confidence import Estimate
from calibration.emva.dark_noise import GainPoint
from calibration.emva.nonuniformity import Nonuniformity
from calibration.plots import ACCENT, COLOURS, INK, PALE, SECOND, new_figure
from isp_sim import html_report

UNKNOWN = "not measured"
HEADINGS = ("figure", "value", "95 % interval", "unit", "how")
NOISE_HEADINGS = (
    "gain", "K, DN/e⁻", "Gaussian σ, DN", "Tukey scale, DN", "Tukey λ", "λ by PPCC", "rows σ, DN", "columns σ, DN",
)  # fmt: skip


def page_blocks(found: Results) -> list[str]:
    """The page: figures, then what they come from."""
    session = found.session
    height, width = found.size
    used = session.size - len(found.dropped)
    return [
        html_report.text(
            f"{session.size} frames of {width}×{height} px, {session.cfa or 'monochrome'}, {session.adc_bits} bits, "
            f"{' '.join(f'{gain:.4g}' for gain in session.gains_db)} dB; {used} used. "
            "Every figure is given with its 95 % interval, from leaving out each of 20 bands of rows in turn."
        ),
        html_report.text("", "Figures"),
        html_report.table(HEADINGS, figures(found)),
        html_report.text("", "Channels"),
        html_report.table(
            ("channel", "K, DN/e⁻", "quantum efficiency", "saturation, photons", "linearity error, %"), _channels(found)
        ),
        html_report.picture(
            _transfer(found),
            "Photon transfer: temporal variance over signal, dark subtracted; K is the slope up to 70 %.",
        ),
        html_report.picture(_linearity(found), "Signal over light, and how far it is from its line."),
        *_noise_blocks(found),
        *_pixel_blocks(found),
    ]


def row(name: str, one: Estimate | None, unit: str, how: str) -> tuple[str, str, str, str, str]:
    """A line of the table of figures."""
    if one is None:
        return name, UNKNOWN, "", unit, how
    value, _, interval = str(one).partition(" ")
    return name, value, interval.strip("()"), unit, how


def _split(name: str, one: Nonuniformity | None, unit: str, how: str) -> list[tuple[str, str, str, str, str]]:
    """The lines of DSNU or PRNU: the total and its row, column and pixel parts, where they were measured."""
    if one is None:
        return [row(name, None, unit, how)]
    return [
        row(name, one.total, unit, f"{how}; rows² + columns² + pixels²"),
        row("… of rows", one.row, unit, "fixed offsets (gains) of whole rows, temporal row noise taken off"),
        row("… of columns", one.column, unit, "likewise of whole columns"),
        row("… of pixels", one.pixel, unit, "what rows and columns do not share"),
    ]


def figures(found: Results) -> list[tuple[str, str, str, str, str]]:
    """Every figure: name, value, interval, unit, how it was found."""
    current = found.hot.current_e_per_s if found.hot else None
    well = "the ADC is full before the well" if found.adc_limits else "plateau of the brightest flats"
    lines = [
        row(
            "system gain K",
            found.gain_dn_per_e,
            "DN/e⁻",
            f"photon transfer at {found.base_gain_db:g} dB, mean of the channels",
        ),
        row("temporal dark noise σ_d", found.temporal_dark_noise_e, "e⁻", "EMVA 1288: all temporal noise of a dark"),
        row(
            "saturation",
            found.saturation_e,
            "e⁻",
            "EMVA 1288: signal of the largest variance; interval to the next levels",
        ),
        row("full well", found.full_well_e, "e⁻", well),
        row("dynamic range", found.dynamic_range_db, "dB", "EMVA 1288: saturation over the threshold of SNR 1"),
        row("SNR at saturation", found.snr_max_db, "dB", "EMVA 1288: √ of the saturation"),
        *_split("DSNU, EMVA 1288", found.emva_dsnu_e, "e⁻", "all of the mean dark"),
        *_split("DSNU without outliers", found.dsnu_e, "e⁻", "outliers and trend removed: what maps are drawn with"),
        *_split("PRNU, EMVA 1288", found.emva_prnu_percent, "%", "all of the mean flat, shading included"),
        *_split(
            "PRNU without shading", found.prnu_percent, "%", "shading and outliers removed: what maps are drawn with"
        ),
        *(
            line
            for c in found.channels
            for line in (
                row(f"quantum efficiency, {c.name}", c.quantum_efficiency, "", "responsivity over K"),
                row(f"linearity error LE, {c.name}", c.linearity_error_percent, "%", "mean off the line, 5 to 95 %"),
            )
        ),
        row("dark current", found.dark_current_e_per_s, "e⁻/s", "slope of the darks' means over exposure"),
        row("hot pixels", found.hot.per_million if found.hot else None, "a million", "between a short and a long dark"),
        row("their extra current", current, "e⁻/s", "taken to be exponential about this mean"),
    ]
    for phase, black in enumerate(found.black_dn or ()):
        lines.append(
            row(f"black, row {phase // 2} column {phase % 2} of the tile", black, "DN", "likeliest, dark current off")
        )
    for wave in found.fixed_waves:
        what = "fixed offsets that repeat, the same in every frame; not in the sensor file, which has no such figure"
        lines.append(row(f"periodic DSNU of {wave.along}", wave.amplitude_dn, "DN", what))
        lines.append(row("its period", wave.period, wave.along, "strongest line of the mean dark's profile"))
    if found.periodic:
        lines.append(row("periodic noise", found.periodic.amplitude_dn, "DN", "amplitude, power spectrum of the rows"))
        lines.append(row("its period", found.periodic.period_rows, "rows", "likewise"))
    return lines


def _channels(found: Results) -> list[tuple[str, ...]]:
    return [
        (
            c.name,
            *(
                UNKNOWN if one is None else str(one)
                for one in (c.gain_dn_per_e, c.quantum_efficiency, c.saturation_photons, c.linearity_error_percent)
            ),
        )
        for c in found.channels
    ]


def _transfer(found: Results) -> Figure:
    plot = new_figure()
    axes = plot.subplots()
    for channel in found.channels:
        one, colour = channel.curve, COLOURS[channel.name]
        axes.plot(one.signal[0], one.variance[0], ".", color=colour, label=channel.name)
        end = float(one.signal[0, one.fitted].max())
        axes.plot([0, end], [0, end * float(one.gain[0])], "-", color=colour, linewidth=1)
    axes.set(xlabel="signal, DN", ylabel="temporal variance, DN²")
    axes.legend(frameon=False)
    return plot


def _linearity(found: Results) -> Figure:
    plot = new_figure(height=5.2)
    above, below = plot.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    unit = "photons a pixel"
    for channel in found.channels:
        one, colour = channel.curve, COLOURS[channel.name]
        light = one.photons
        if not np.isfinite(light).all():
            light, unit = one.exposure_us, "exposure, µs"
        use = one.fitted
        slope = float((light[use] * one.signal[0, use]).sum() / (light[use] ** 2).sum())
        above.plot(light, one.signal[0], ".", color=colour, label=channel.name)
        below.plot(light[use], 100 * (one.signal[0, use] / (slope * light[use]) - 1), ".-", color=colour, linewidth=0.8)
    above.set(ylabel="signal, DN")
    above.legend(frameon=False)
    below.axhline(0, color=PALE, linewidth=1)
    below.set(xlabel=unit, ylabel="off the line, %")
    return plot


def _noise_blocks(found: Results) -> list[str]:
    """Read noise at each gain, its laws, rows."""
    points = [p for p in found.points if p.noise]
    heading = html_report.text("", "Noise in the dark")
    if not points:
        return [heading, html_report.text("The darks lie at the ADC's zero or do not vary: no read noise to measure.")]
    first = points[0]
    law = "Tukey-λ" if found.tukey else "Gaussian"
    blocks = [
        heading,
        html_report.table(NOISE_HEADINGS, [_noise_row(p) for p in found.points]),
        html_report.text(
            f"Over all gains the {law} law is the likelier. λ of the table is the likeliest under rounding and what "
            "rows and fixed offsets add; the probability plot (PPCC) allows for neither and is shown for comparison."
        ),
        html_report.picture(
            _histogram(found), f"Darks at {first.gain_db:g} dB, first phase of the tile, and what both laws expect."
        ),
    ]
    if any(p.rows for p in points):
        words = "Power spectrum of the rows' means: flat is row noise, a line is interference."
        blocks.append(html_report.picture(_spectrum(found), words))
    if len(points) > 1:
        blocks.append(html_report.picture(_over_gain(found), _laws_in_words(found)))
    return blocks


def _noise_row(point: GainPoint) -> tuple[str, ...]:
    n, rows = point.noise, point.rows
    laws = (str(n.std_dn), str(n.scale_dn), str(n.shape), f"{n.ppcc:.3f}") if n else ("cut at zero", "", "", "")
    lines = (str(rows.row_dn), str(rows.column_dn)) if rows else (UNKNOWN, UNKNOWN)
    return (f"{point.gain_db:g} dB", str(point.k) + (" nominal" if point.nominal else ""), *laws, *lines)


def _laws_in_words(found: Results) -> str:
    count = len(found.read_lines)
    if count == 2 and (start := found.read_lines[1].from_k):
        return f"Noise over gain: a second conversion gain from K = {start} DN/e⁻ on."
    return "Noise over gain: one line, no second conversion gain."


def _histogram(found: Results) -> Figure:
    plot = new_figure()
    left, right = plot.subplots(1, 2, width_ratios=(2, 1))
    noise = next(p.noise for p in found.points if p.noise)
    centres, counts, gauss, tukey = noise.histogram
    seen = counts > 0
    left.semilogy(centres[seen], counts[seen], ".", color=INK, label="darks")
    left.semilogy(centres, gauss, color=SECOND, linewidth=1, label="Gaussian")
    left.semilogy(centres, tukey, color=ACCENT, linewidth=1, label="Tukey-λ")
    left.set(xlabel="count, DN", ylabel="pixels", ylim=(0.5, 3 * counts.max()))
    left.legend(frameon=False)
    right.plot(noise.ppcc_curve[:, 0], noise.ppcc_curve[:, 1], color=ACCENT)
    right.axvline(noise.ppcc, color=PALE, linewidth=1)
    right.set(xlabel="λ", ylabel="correlation of the probability plot")
    return plot


def _spectrum(found: Results) -> Figure:
    plot = new_figure(height=3.2)
    axes = plot.subplots()
    rows = next(p.rows for p in found.points if p.rows)
    # Not the ends: the mean is taken off, and at Nyquist a row's two phases cancel.
    axes.semilogy(rows.frequency[16:-16], rows.power[16:-16], color=ACCENT, linewidth=0.8)
    if found.periodic:
        axes.axvline(1 / found.periodic.period_rows.value, color=SECOND, linewidth=0.8)
    axes.set(xlabel="cycles a row", ylabel="power, DN²")
    return plot


def _over_gain(found: Results) -> Figure:
    plot = new_figure()
    axes = plot.subplots()
    points = [p for p in found.points if p.noise]
    sigma = [(p.noise.scale_dn if found.tukey else p.noise.std_dn).value / p.k.value for p in points if p.noise]
    k = np.array([p.k.value for p in points])
    axes.loglog(k, sigma, "o", color=ACCENT, label="read noise" + (", Tukey scale" if found.tukey else ""))
    shown = [(p.k.value, p.rows.row_dn.value / p.k.value) for p in found.points if p.rows and p.rows.row_dn.low > 0]
    if shown:
        axes.loglog(*zip(*shown, strict=True), "s", color=SECOND, label="row noise")
    for lines, colour, at in (
        (found.read_lines, ACCENT, k),
        (found.row_lines, SECOND, np.array([x for x, _ in shown])),
    ):
        for line in lines:
            part = at[line.start : line.stop]
            axes.loglog(
                part, np.exp(line.slope.value * np.log(part) + line.intercept.value) / part, color=colour, linewidth=1
            )
    axes.set(xlabel="K, DN/e⁻", ylabel="noise, e⁻")
    axes.legend(frameon=False)
    return plot


def _pixel_blocks(found: Results) -> list[str]:
    """Hot and dead pixels, and what was not used."""
    sentences = []
    if found.hot:
        places = ", ".join(f"({x}, {y})" for x, y in found.hot.brightest) or "none"
        sentences.append(f"{found.hot.found} hot pixels found; the brightest are at (x, y): {places}.")
    if found.dead is not None:
        sentences.append(f"{found.dead} dead pixels: they see less than half of what the others see.")
    if found.cut:
        sentences.append(
            "The darks lie at the ADC's zero: black and dark noise at no light are extrapolated from the flats. "
            "Raise the camera's black level if it can be raised."
        )
    sentences.append(f"Frames that were dropped: {'; '.join(found.dropped) or 'none'}.")
    return [html_report.text("", "Pixels and frames"), *map(html_report.text, sentences)]
