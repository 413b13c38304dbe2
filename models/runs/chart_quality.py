"""Image quality of an ISP or of real pictures of a chart, and the page about it; what `models.measure_quality` does."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from isp_sim import html_report
from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg, read_unit
from isp_sim.quality import edge, texture
from isp_sim.quality.chart import ChartLayout, Quality, linear_luma, measure, part, snr_of_greys
from isp_sim.quality.colorchecker import find_chart, layout, refined, taken_out
from isp_sim.quality.noise import noise_power_spectrum
from isp_sim.quality.tone import luma
from isp_sim.rigfile import load_rig, load_yaml
from isp_sim.transfer import srgb_decode
from models.tuning.charts import shoot_chart
from models.tuning.loading import load_isp
from models.tuning.pareto_report import displayed
from models.tuning.settings_file import found_settings
from models.tuning.tunable import BlackBoxIsp, Settings, defaults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 12233
"""Of the noise in the rig's chart."""
SAYS = {
    "snr_db": "signal-to-noise ratio of the grey nearest to 18 %, dB (ISO 15739)",
    "dynamic_range_ev": "between the lightest and the darkest grey of an SNR of 1, EV",
    "mtf50": "of the slanted edges, cycles/px (ISO 12233)",
    "overshoot": "of the slanted edges, over their step",
    "texture": "acutance of the dead leaves (ISO/TS 19567-2)",
    "delta_e": "mean ΔE2000 of the colours, brightness matched",
    "grain": "mean frequency of the flat's noise, cycles/px; white noise has 0.25",
    "flare": "light in the trap over its surround's",
}


def figures(found: Quality) -> list[tuple[str, str, str]]:
    """The table's lines: name, value, what it is; those that were measured."""
    return [(name, f"{value:.4g}", SAYS[name]) for name, value in found._asdict().items() if not math.isnan(value)]


def measure_isp(isp: str, settings: Path | None, point: str | None, rig: str, out: Path) -> tuple[Quality, Path]:
    """The rig's chart as an ISP develops it; figures, and the page.

    Args:
        isp: as `load_isp` takes it.
        settings: a file as the desk saves them, or what a tuning wrote; None: the defaults.
        point: of a tuning's settings.
        rig: that shoots.
        out: folder of chart and page.

    Raises:
        ValueError, OSError: bad input, or the ISP cannot develop the chart.
    """
    under_test, whole = load_isp(isp), load_rig(rig)
    used = _settings(under_test, isp, settings, point)
    chart = shoot_chart(whole, out / "chart", SEED)
    pictures = chart.pictures(under_test.develop, used, isp)
    found = measure(pictures, chart.layout, chart.reference)
    words = ", ".join(f"{name} {value}" for name, value in used.items())
    return found, _write(out, f"{isp} before the chart of {rig}", words, found, pictures, chart.layout, chart.reference)


def measure_pictures(
    files: Sequence[Path], layout_file: Path | None, reference: Path | None, out: Path
) -> tuple[Quality, Path]:
    """Real pictures of one still chart; figures, and the page.

    Args:
        files: of 8 or 16 bits.
        layout_file: YAML of a `ChartLayout`; None: a ColorChecker Classic is looked for; its greys are measured too.
        reference: the target of the layout's textures, which is laid on each texture's rectangle.
        out: folder of the page.

    Raises:
        ValueError: bad input, or no chart is found.
    """
    pictures = [read_unit(file).astype(float) for file in files]
    other = next((n for n, one in enumerate(pictures) if one.shape != pictures[0].shape), None)
    if other is not None:
        raise ValueError(f"{files[other]}: its size differs from {files[0]}'s, expected pictures of one still chart")
    if layout_file is None:
        pictures = [_colorchecker(file, one) for file, one in zip(files, pictures, strict=True)]
    where = layout() if layout_file is None else load_yaml(ChartLayout, layout_file)
    target = _laid(reference, where, pictures[0].shape) if reference else None
    try:
        found = measure(pictures, where, target)
        for one in where.edges if math.isnan(found.mtf50) else ():
            edge.edge_response(part(linear_luma(pictures[0], where), one))  # says why
    except ValueError as fault:
        raise ValueError(f"{layout_file or files[0]}: {fault}") from None
    names = ", ".join(file.name for file in files)
    return found, _write(out, f"Image quality of {files[0].name}", names, found, pictures, where, target)


def _settings(isp: BlackBoxIsp, name: str, file: Path | None, point: str | None) -> Settings:
    """What a file says, or the defaults. Raises as `found_settings`, and for a point that it lacks."""
    usual = defaults(isp.parameters)
    if file is None:
        return usual
    named = found_settings(file, name, isp.parameters)
    point = point or next((one for one, settings in named.items() if settings != usual), next(iter(named), ""))
    if point not in named:
        raise ValueError(f"--point {point}: not in {file}, expected one of {', '.join(named)}")
    return named[point]


def _colorchecker(file: Path, picture: np.ndarray) -> np.ndarray:
    linear = srgb_decode(torch.from_numpy(picture)).numpy()
    try:
        wide = picture if picture.shape[0] <= picture.shape[1] else np.ascontiguousarray(np.rot90(picture))
        return taken_out(wide, refined(wide, find_chart(linear, saturated=math.inf).corners))
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}; or give --layout") from None


def _laid(reference: Path, where: ChartLayout, shape: tuple[int, ...]) -> np.ndarray:
    """The reference's luminance on every texture's rectangle, in its size."""
    import cv2

    light = luma(srgb_decode(torch.from_numpy(read_unit(reference))).numpy())
    laid = np.zeros(shape[:2])
    for x, y, width, height in where.textures:
        laid[y : y + height, x : x + width] = cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)
    return laid


def _write(
    out: Path, title: str, words: str, found: Quality, pictures: Sequence[np.ndarray], where: ChartLayout,
    reference: np.ndarray | None,
) -> Path:  # fmt: skip
    """`quality.html` and `quality.json`; gives the page."""
    out.mkdir(parents=True, exist_ok=True)
    blocks = [
        html_report.table(("figure", "value", ""), figures(found)),
        html_report.picture(jpeg(displayed(pictures[0])), "the chart, exposure set in linear light", "jpeg"),
        html_report.picture(_curves(pictures, where, reference), "what the figures are taken from"),
        html_report.text(words),
    ]
    write_atomically(out / "quality.json", json.dumps(found.known(), indent=1).encode())
    write_atomically(out / "quality.html", html_report.page(title, blocks))
    return out / "quality.html"


def _curves(pictures: Sequence[np.ndarray], where: ChartLayout, reference: np.ndarray | None) -> "Figure":
    """SNR of the greys; response of edges and textures; spectrum of the flat."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    greys, sharp, flat = figure.subplots(1, 3)
    light = linear_luma(np.mean(pictures, axis=0), where)
    if len(where.greys) > 1:
        at, ratio = snr_of_greys(pictures, where)
        greys.plot(np.log2(at), 20 * np.log10(np.clip(ratio, 0.1, 1e4)), ".-")
        greys.axhline(0, color="0.5", linewidth=1)
    greys.set(xlabel="light, EV below white", ylabel="SNR, dB")
    for one in where.edges:
        try:
            response = edge.edge_response(part(light, one))
        except ValueError:
            continue  # no edge is seen
        sharp.plot(response.frequency, response.sfr, label="edge")
    for one in where.textures:
        if reference is not None:
            seen = texture.texture_response(part(light, one), part(reference, one))
            sharp.plot(texture.CYCLES_PX, seen, label="texture")
    if sharp.lines:
        sharp.legend()
    sharp.axvline(0.5, color="0.5", linewidth=1)
    sharp.set(xlabel="cycles/px", ylabel="response", ylim=(0, 1.6))
    if where.flat:
        spectra = [noise_power_spectrum(luma(part(one, where.flat))) for one in pictures]
        flat.semilogy(spectra[0].frequency, np.mean([one.power for one in spectra], axis=0), ".-")
    flat.set(xlabel="cycles/px", ylabel="noise power, level² × px²")
    for axes in (greys, sharp, flat):
        axes.grid(alpha=0.3)
    return figure
