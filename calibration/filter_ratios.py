"""Pairs of one scene at known exposures → the ND filter's transmittance and the splitter's ratio."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from calibration.arms import extended, linear, tiles
from calibration.emva.confidence import Array, Estimate, student
from calibration.output import figure, write_result, yaml_text
from calibration.plots import COLOURS, new_figure
from isp_sim import html_report
from isp_sim.csv_files import read_rows
from isp_sim.dng import read_dng
from isp_sim.files import listed
from isp_sim.optics import splitter_share
from isp_sim.raw import Raw
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig

BLOCK = 16
"""Tiles are averaged over blocks of this side: a pixel of misalignment does not show."""
BRIGHTEST = 0.9
"""Blocks with a tile above this share of the range are left out: they may be cut."""
LEAST = 0.002
"""As are blocks of the well-lit arm darker than this."""
FEWEST = 4
COLUMNS = ("well_lit", "low_light", "nd_filter")
LIGHTS = ("all", "visible", "infrared")


@dataclass(frozen=True)
class PairRatio:
    """Low-light over well-lit signal of one pair, in R, G, B, per unit of exposure and gain; the well-lit signal too.

    Attributes:
        light: what the scene was seen through: `visible` behind an IR-cut filter, `infrared` behind one that lets
            nothing else pass, `all` without either.
    """

    name: str
    nd_filter: bool
    light: str
    ratio: Array
    well_signal: Array


@dataclass(frozen=True)
class Filters:
    """What the pairs determine; `None` where they do not.

    Attributes:
        transmittance: of the ND filter in R, G, B; in `infrared` light apart.
        splitter: low-light arm's share of the light over the well-lit arm's, R, G, B.
        neutrality: R and B over G of the transmittance.
        leak: light beyond 700 nm that reaches the silicon over the luminance band's (`Lens.near_infrared`).
    """

    pairs: tuple[PairRatio, ...]
    transmittance: tuple[Estimate, ...] | None
    infrared: Estimate | None
    splitter: tuple[Estimate, ...] | None
    neutrality: tuple[Estimate, Estimate] | None
    leak: Estimate | None


def read_pairs(path: Path, rig: Rig, anywhere: bool = False) -> list[PairRatio]:
    """Pairs from a CSV with columns well_lit, low_light (DNG beside it), nd_filter (yes, no) and perhaps light.

    Raises:
        ValueError: a column is missing, a value is not one of those expected, or a file or a pair cannot be used.
    """
    pairs = []
    for line, row in read_rows(path, COLUMNS, "light"):
        kind = row.get("light") or "all"
        if row["nd_filter"] not in ("yes", "no"):
            raise ValueError(f"{path}:{line}: nd_filter = {row['nd_filter']!r}: expected yes or no")
        if kind not in LIGHTS:
            raise ValueError(f"{path}:{line}: light = {kind!r}: expected one of {', '.join(LIGHTS)}")
        files = [listed(path, row[side], anywhere) for side in COLUMNS[:2]]
        gone = [str(file) for file in files if not file.is_file()]
        if gone:
            raise ValueError(f"{path}:{line}: no such file: {', '.join(gone)}")
        well, low = map(read_dng, files)
        pairs.append(_ratio(row["well_lit"], well, low, rig, row["nd_filter"] == "yes", kind))
    if not pairs:
        raise ValueError(f"{path}: lists no pairs")
    return pairs


def _ratio(name: str, well: Raw, low: Raw, rig: Rig, nd_filter: bool, light: str) -> PairRatio:
    """Slope of low-light over well-lit blocks through black, each band: `Σ w·l / Σ w²`."""
    (w, brightest_w), (d, brightest_d) = (_blocks(raw, rig) for raw in (well, low))
    if w.shape != d.shape:
        raise ValueError(f"{name}: the pair's frames differ in size")
    use = (brightest_w < BRIGHTEST) & (brightest_d < BRIGHTEST) & (w.min(axis=1) > LEAST)
    if use.sum() < FEWEST:
        raise ValueError(
            f"{name}: {int(use.sum())} of {len(use)} blocks of the pair are neither dark nor near saturation; expected "
            f"{FEWEST} or more: change exposure or gain"
        )
    w, d = w[use], d[use]
    given_w, given_d = (raw.exposure_us * 10 ** (raw.gain_db / 20) for raw in (well, low))
    ratio = (w * d).sum(axis=0) / (w * w).sum(axis=0) * given_w / given_d
    return PairRatio(name, nd_filter, light, ratio, w.mean(axis=0) / given_w)


def _blocks(raw: Raw, rig: Rig) -> tuple[Array, Array]:
    """Mean RGB of each block of tiles, `(n, 3)`, and its brightest tile, `(n,)`."""
    rgb = tiles(linear(raw, rig.sensor, rig.temperature_c.value), raw.cfa)
    rows, columns = rgb.shape[0] // BLOCK, rgb.shape[1] // BLOCK
    cut = rgb[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, 3)
    return cut.mean(axis=(1, 3)).reshape(-1, 3), cut.max(axis=(1, 3, 4)).ravel()


def _over_pairs(values: Sequence[float]) -> Estimate:
    """Mean over pairs, with Student's t over their scatter; a single pair's interval is open."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(mean, -np.inf, np.inf)
    return Estimate.within(mean, student(count - 1) * float(np.std(values, ddof=1)) / math.sqrt(count))


def _quotient(top: Estimate, bottom: Estimate) -> Estimate:
    """Of independent figures, relative errors added in quadrature."""
    value = top.value / bottom.value
    return Estimate.within(value, abs(value) * math.hypot(*(e.half / e.value for e in (top, bottom))))


def characterise(pairs: Sequence[PairRatio], rig: Rig) -> Filters:
    """Filter and splitter from the ratios; where no pair was taken without the filter, the splitter is the rig's.

    `ratio = share_low · T_nd / share_well`, both cameras taken to be alike; without the filter it is the splitter.
    """

    def ratios(nd: bool, lights: Sequence[str]) -> list[Array]:
        return [p.ratio for p in pairs if p.nd_filter == nd and p.light in lights]

    def band(nd: bool, lights: Sequence[str], n: int) -> Estimate | None:
        values = [float(ratio[n]) for ratio in ratios(nd, lights)]
        return _over_pairs(values) if values else None

    def over_g(nd: bool, lights: Sequence[str], n: int) -> Estimate:
        return _over_pairs([float(ratio[n] / ratio[1]) for ratio in ratios(nd, lights)])

    not_infrared = ("visible", "all")
    visible = ("visible",) if any(p.light == "visible" and p.nd_filter for p in pairs) else not_infrared
    bare = [band(False, not_infrared, n) for n in range(3)]
    with_nd = [band(True, visible, n) for n in range(3)]
    splitter = tuple(one for one in bare if one is not None) or None
    low, well = (splitter_share(arm, rig.beam_splitter) for arm in (rig.low_light, rig.well_lit))
    known = splitter or tuple(Estimate.within(share, 0.0) for share in low / well)
    measured = [one for one in with_nd if one is not None]
    transmittance = tuple(_quotient(one, by) for one, by in zip(measured, known, strict=True)) if measured else None
    neutrality = None
    if transmittance:
        # R and B over G of each pair: what pairs share (exposure, gain) drops out.
        red, blue = (
            _quotient(
                over_g(True, visible, n),
                over_g(False, not_infrared, n) if splitter else _quotient(known[n], known[1]),
            )
            for n in (0, 2)
        )
        neutrality = (red, blue)
    infrared = [band(True, ("infrared",), n) for n in range(3)]
    ir = [_quotient(one, known[n]) for n, one in enumerate(infrared) if one is not None]
    return Filters(
        pairs=tuple(pairs),
        transmittance=transmittance,
        infrared=_mean(ir) if ir else None,
        splitter=splitter,
        neutrality=neutrality,
        leak=_leak(pairs, rig),
    )


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of figures that share their errors: the intervals' means."""
    value, low, high = (float(np.mean([getattr(e, part) for e in estimates])) for part in ("value", "low", "high"))
    return Estimate(value, low, high)


def _leak(pairs: Sequence[PairRatio], rig: Rig) -> Estimate | None:
    """Near infrared over the luminance band: `(s_all/s_visible − 1) · Σ_j M_cj` of a neutral scene, bands' mean."""
    with_all = [p.well_signal for p in pairs if p.light == "all"]
    without = [p.well_signal for p in pairs if p.light == "visible"]
    if not with_all or not without:
        return None
    rows = np.array(rig.sensor.rec709_to_camera.value).sum(axis=1)
    base = np.mean(without, axis=0)
    each = [float(((s / base - 1) * rows).mean()) for s in with_all]
    own = _over_pairs(each)
    reverse = _over_pairs([float((s / base * rows).mean()) for s in without])
    return Estimate.within(own.value, math.hypot(own.half, reverse.half))


def rig_file(rig: Rig, base: str, name: str, found: Filters) -> str:
    """A rig file that extends another by these filters; shares of the splitter add up to what the rig's do."""
    document: dict[str, object] = {"extends": base, "name": name}
    count = len(found.pairs)
    if found.splitter is not None:
        sums = np.add(rig.beam_splitter.transmittance.value, rig.beam_splitter.reflectance.value)
        ratio = np.array([e.value for e in found.splitter])
        low, well = sums * ratio / (1 + ratio), sums / (1 + ratio)
        words = (
            f"pairs without the filter; low-light over well-lit arm {_words(found.splitter)}; their sum as in {base}"
        )
        shares = {rig.low_light.path: low, rig.well_lit.path: well}
        document["beam_splitter"] = {
            "transmittance": figure(_short(shares["transmitted"]), "measured", words),
            "reflectance": figure(_short(shares["reflected"]), "measured", words),
        }
    nd: dict[str, object] = {}
    if found.transmittance is not None:
        value = _short(np.array([e.value for e in found.transmittance]))
        nd["transmittance"] = figure(value, "measured", f"{count} pairs; R, G, B {_words(found.transmittance)}")
    if found.infrared is not None:
        words = f"pairs in infrared light alone; {_words([found.infrared])}"
        nd["near_infrared_transmittance"] = figure(float(f"{found.infrared.value:.5g}"), "measured", words)
    if nd:
        document["nd_filter"] = nd
    if found.leak is not None:
        words = f"frames with and without an IR-cut filter; {_words([found.leak])}"
        document["lens"] = {"near_infrared": figure(max(0.0, float(f"{found.leak.value:.4g}")), "measured", words)}
    head = f"# {rig.name} with its filters, made by `python -m calibration.filter`; intervals are of 95 %.\n"
    return head + yaml_text(document)


def _short(values: Array) -> list[float]:
    return [float(f"{v:.5g}") for v in values]


def _words(estimates: Sequence[Estimate]) -> str:
    return ", ".join(e.plus_minus + ("" if np.isfinite(e.high) else " (one pair)") for e in estimates)


HEADINGS = ("figure", "value", "what")


def figures(found: Filters) -> list[tuple[str, str, str]]:
    """Every figure: name, value with interval, what it is."""
    rows: list[tuple[str, str, str]] = []
    for n, band in enumerate("RGB"):
        if found.transmittance:
            rows.append((f"ND transmittance {band}", _words([found.transmittance[n]]), "visible light"))
    if found.infrared:
        rows.append(("ND transmittance, near infrared", _words([found.infrared]), "pairs in infrared light alone"))
    if found.neutrality:
        rows += [
            (f"neutrality {b} over G", _words([e]), "1 is neutral") for b, e in zip("RB", found.neutrality, strict=True)
        ]
    for n, band in enumerate("RGB"):
        if found.splitter:
            rows.append(
                (f"splitter, low-light over well-lit, {band}", _words([found.splitter[n]]), "pairs without the filter")
            )
    leak = _words([found.leak]) if found.leak else "not measured: take frames with and without an IR-cut filter"
    rows.append(("near infrared over luminance", leak, "what a missing IR-cut filter lets in"))
    return rows


def page_blocks(found: Filters) -> list[str]:
    """The page: figures, then the pairs."""
    rows = [(p.name, "yes" if p.nd_filter else "no", p.light, *(f"{r:.6f}" for r in p.ratio)) for p in found.pairs]
    return [
        html_report.text(f"{len(found.pairs)} pairs; intervals are of 95 % over them."),
        html_report.table(HEADINGS, figures(found)),
        html_report.text("", "Pairs"),
        html_report.picture(
            _ratios(found), "Low-light over well-lit signal of each pair, per unit of exposure and gain."
        ),
        html_report.table(("pair", "ND filter", "light", "R", "G", "B"), rows),
    ]


def _ratios(found: Filters) -> Figure:
    plot = new_figure(height=3.6)
    axes = plot.subplots()
    for n, (band, pixel) in enumerate(zip("RGB", ("R", "G1", "B"), strict=True)):
        axes.semilogy([float(p.ratio[n]) for p in found.pairs], "o", color=COLOURS[pixel], label=band, alpha=0.7)
    axes.set(xlabel="pair", ylabel="ratio")
    axes.legend(frameon=False)
    return plot


def calibrate(
    path: Path | None, rig_name: str, name: str | None, seed: int, out: Path, anywhere: bool = False
) -> tuple[Path, Path, Filters]:
    """Read the pairs, fit, write rig file and page; the files written and the figures. Raises as `read_pairs`.

    Args:
        path: CSV of pairs of DNG; None: simulated pairs.
        rig_name: rig file that is extended.
        name: of the new rig; None: `<rig>-filter`.
        seed: of the simulated frames.
        out: folder of both.
        anywhere: whether the CSV may name files that do not lie in its folder.
    """
    rig = load_rig(rig_name)
    if path is None:
        from calibration.simulated_rig import filter_pairs  # brings the simulator

        path = filter_pairs(rig, out / "pairs", seed)
    found = characterise(read_pairs(path, rig, anywhere), rig)
    name = name or f"{rig.name}-filter"
    text = rig_file(rig, extended(rig_name, out), name, found)
    file, page = write_result(out, name, text, "Filter calibration", page_blocks(found))
    load_rig(file)  # complains if it is none
    return file, page, found
