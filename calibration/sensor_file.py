"""A session's results → a sensor file: what was measured with its interval, the rest from a sensor named for it."""

import math
from collections.abc import Sequence

from calibration.emva import gain_law
from calibration.emva.characterise import Results
from calibration.emva.confidence import Estimate
from calibration.emva.dark_noise import GainPoint
from calibration.output import Document, figure
from calibration.sensor_yaml import sensor_yaml, within
from isp_sim.rig import Sensor


def sensor_file(
    found: Results, name: str, like: Sensor, max_gain_db: float | None = None, temperature_c: float | None = None
) -> str:
    """The text of a sensor file that `isp_sim.rigfile.load_sensor` accepts.

    Args:
        found: the results.
        name: of the sensor; the file is to be called so.
        like: a sensor whose figures are taken where the session measures none.
        max_gain_db: the camera's highest gain, where the session does not reach it.
        temperature_c: of the sensor during the session.
    """
    session = found.session
    base = found.base_gain_db
    document: Document = {"name": name, "make": session.make, "model": session.model, "cfa": session.cfa or "RGGB"}
    document |= _taken_over(like)
    document |= _of_frames(found)
    document |= _photometry(found, base)
    document |= _maps(found)
    document |= _noise(found)
    if not session.cfa:
        matrix = document["rec709_to_camera"]
        assert isinstance(matrix, dict)
        matrix["source"] = f"the sensor is monochrome; here it stands behind the colour filters of {like.name}"
    top = max(session.gains_db)
    document["max_gain_db"] = (
        figure(max_gain_db, "assumed", "as given to the calibration; not all of it was measured")
        if max_gain_db is not None
        else figure(max(top, 0.0), "measured", "highest gain of the session")
    )
    if temperature_c is not None:
        document["dark_current_reference_c"] = figure(temperature_c, "measured", "the sensor's during the session")
    head = (
        f"# {session.make} {session.model}, made by `python -m calibration.sensor` from {session.size} frames "
        f"({session.name}).\n# Intervals are of 95 %; what is not measured is as in {like.name} and says so.\n"
    )
    return head + sensor_yaml(document)


def _taken_over(like: Sensor) -> Document:
    """Every figure of another sensor, as what it is: assumed."""
    document: Document = {}
    for field, value in like.model_dump(mode="json").items():
        if isinstance(value, dict) and "source" in value:
            document[field] = figure(value["value"], "assumed", f"not measured; as in {like.name}: {value['source']}")
    return document


def _measured(value: float, estimate: Estimate, how: str) -> Document:
    return figure(within(value, estimate), "measured", f"{how}; {estimate}")


def _of_frames(found: Results) -> Document:
    session = found.session
    height, width = found.size
    black = sum(b.value for b in found.black_dn) / 4 if found.black_dn else None
    document: Document = {
        "width_px": figure(width, "measured", "of the frames"),
        "height_px": figure(height, "measured", "of the frames"),
        "adc_bits": figure(session.adc_bits, "measured", "of the frames"),
    }
    nominal = session.black_level_dn
    if nominal is None:
        mean = found.channels[0].curve.dark_mean[0] if black is None else black
        nominal = max(0.0, float(round(mean)))
        document["black_level_dn"] = figure(nominal, "measured", "the darks' mean, rounded; the frames state none")
    else:
        document["black_level_dn"] = figure(nominal, "published", "as the frames state it")
    if found.black_dn:
        biases = [b.value - nominal for b in found.black_dn]
        half = max(b.half for b in found.black_dn)
        document["black_bias_dn"] = figure(
            biases, "measured", f"likeliest black of the darks' histogram; ± {half:.2g} DN"
        )
    return document


def _photometry(found: Results, base: float) -> Document:
    """Gain, quantum efficiency, well."""
    k = found.gain_dn_per_e
    document: Document = {
        "gain_dn_per_e": _measured(k.value / 10 ** (base / 20), k, "photon transfer (EMVA 1288)"),
    }
    efficiency: dict[str, list[Estimate]] = {}
    for channel in found.channels:
        if channel.quantum_efficiency is not None:
            for band in "RGB" if channel.name == "mono" else channel.name[0]:
                efficiency.setdefault(band, []).append(channel.quantum_efficiency)
    if len(efficiency) == 3:
        value = [min(1.0, sum(e.value for e in efficiency[b]) / len(efficiency[b])) for b in "RGB"]
        words = ", ".join(f"{b} {efficiency[b][0]}" for b in ("R" if found.channels[0].name == "mono" else "RGB"))
        document["quantum_efficiency"] = figure(
            value, "measured", f"responsivity over K at the session's light; {words}"
        )
    if found.full_well_e is not None:
        how = (
            "where the ADC is full, the well holds as much or more"
            if found.adc_limits
            else "plateau of the brightest flats"
        )
        document["full_well_e"] = _measured(found.full_well_e.value, found.full_well_e, how)
    else:
        signal = max(float(c.curve.signal[0, -1]) for c in found.channels) / k.value
        document["full_well_e"] = figure(signal, "assumed", "the brightest flat; saturation was not reached")
    return document


def _maps(found: Results) -> Document:
    """What belongs to the pixels: dark current, nonuniformity, hot pixels."""
    document: Document = {}
    one = found.dark_current_e_per_s
    if one is not None:
        document["dark_current_e_per_s"] = _measured(
            max(one.value, 0.0), one, "slope of the darks' means over exposure"
        )
    for name, fixed, how in (
        ("prnu{}_percent", found.prnu_percent, "a stack of flats, shading and outliers removed"),
        ("dsnu{}_e", found.dsnu_e, "a stack of darks, outliers removed"),
    ):
        if fixed is not None:
            document[name.format("")] = _measured(fixed.pixel.value, fixed.pixel, f"{how}, rows and columns apart")
            document[name.format("_row")] = _lines_of(fixed.row, f"rows of {how}")
            document[name.format("_column")] = _lines_of(fixed.column, f"columns of {how}")
    if found.hot is not None:
        document["hot_pixels_per_million"] = _measured(
            found.hot.per_million.value,
            found.hot.per_million,
            f"{found.hot.found} found between a short and a long dark",
        )
        current = found.hot.current_e_per_s
        if current is not None:
            document["hot_pixel_e_per_s"] = _measured(current.value, current, "their mean, taken to be exponential")
    return document


def _lines_of(one: Estimate, how: str) -> Document:
    """Fixed rows or columns; none where they do not exceed their own error, as with the temporal ones."""
    if one.low > 0:
        return _measured(one.value, one, how)
    return figure(0, "measured", f"{how}: none above its own error, {one.high:.2g} at most")


def _noise(found: Results) -> Document:
    """Read, row, column and periodic noise."""
    points = [p for p in found.points if p.noise]
    document: Document = {}
    if found.read_lines:
        law = "Tukey-lambda, scale" if found.tukey else "Gaussian, standard deviation"
        segments = [_segment(one, points[one.start : one.stop] if found.tukey else ()) for one in found.read_lines]
        document["read_noise"] = figure(
            segments, "measured", f"likeliest {law} of the darks; {_words(found.read_lines)}"
        )
    for name, lines in (("row_noise", found.row_lines), ("column_noise", found.column_lines)):
        shown = [p.rows for p in found.points if p.rows]
        if lines:
            document[name] = figure(
                [_segment(one, ()) for one in lines], "measured", f"differences of frames; {_words(lines)}"
            )
        elif shown:
            top = (shown[0].row_dn if name == "row_noise" else shown[0].column_dn).high
            document[name] = figure(
                [], "measured", f"none above its own error, {top:.2g} DN at the lowest gain that shows any"
            )
    if any(p.rows for p in found.points):
        wave = found.periodic
        document["periodic_noise"] = (
            figure(
                {"amplitude_dn": wave.amplitude_dn.value, "period_rows": wave.period_rows.value},
                "measured",
                f"power spectrum of the rows; amplitude {wave.amplitude_dn} DN, period {wave.period_rows} rows",
            )
            if wave
            else figure({"amplitude_dn": 0, "period_rows": 16}, "measured", "no line in the power spectrum of the rows")
        )
    return document


def _segment(one: gain_law.Line, shaped: Sequence[GainPoint]) -> Document:
    """A line in the rig's words; K is the system gain itself, so it holds whatever gain the session began at."""
    document: Document = {"from_k_dn_per_e": one.from_k.value} if one.from_k else {}
    document |= {"ln_sigma_slope": one.slope.value, "ln_sigma_intercept": one.intercept.value}
    if one.spread.value > 0:
        document["ln_sigma_spread"] = one.spread.value
    if shaped:
        document["tukey_lambda"] = [[math.log(p.k.value), p.noise.shape.value] for p in shaped if p.noise]
    return document


def _words(lines: Sequence[gain_law.Line]) -> str:
    parts = []
    for one in lines:
        if not math.isfinite(one.spread.high):
            parts.append(
                f"{one.stop - one.start} gain{'s' if one.stop - one.start > 1 else ''}: {one.intercept} at ln K = 0"
            )
        else:
            parts.append(f"slope {one.slope}, intercept {one.intercept}, spread {one.spread}")
    return " and ".join(parts)
