"""A ColorChecker in a raw or a picture → white balance and colour matrix of a sensor file, and ΔE2000."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from calibration.arms import read_picture, read_stack, tiles
from calibration.emva.confidence import Array, Estimate, jackknife_variance, student
from calibration.output import figure, write_result
from calibration.plots import new_figure
from calibration.sensor_yaml import sensor_yaml
from isp_sim import html_report
from isp_sim.quality.colorchecker import Chart, find_chart
from isp_sim.quality.colour import delta_e_2000
from isp_sim.rig import Sensor
from isp_sim.rigfile import load_rig, load_sensor
from isp_sim.scenes.charts import patch_colours
from isp_sim.transfer import srgb_encode

LEAST_LIKE = (10.0, 25.0)
"""Mean and largest ΔE2000 of left-out patches below which a chart is taken for a ColorChecker; cameras reach 1 to 5."""


@dataclass(frozen=True)
class Colours:
    """A fit.

    Attributes:
        matrix: 3×3, linear Rec. 709 → camera RGB over its efficiencies, largest row sum 1.
        errors: half widths of the 95 % intervals of it.
        neutral: camera RGB of a perfect white over its G.
        delta_e: ΔE2000 of each patch when the others alone make the matrix.
        seen, true: linear Rec. 709 of each patch, by the matrix of all and by its reflectance.
        to_rec709: 3×3, camera RGB → linear Rec. 709 by the matrix of all, a perfect white in mid-chart 1.
    """

    matrix: Array
    errors: Array
    neutral: tuple[Estimate, Estimate, Estimate]
    delta_e: Array
    seen: Array
    true: Array
    to_rec709: Array


def fit_colours(chart: Chart, illuminant: str, efficiency: tuple[float, float, float]) -> Colours:
    """Linear Rec. 709 → camera by least squares over the patches (Cheung et al. 2004, 3 terms), each left out in turn.

    Args:
        chart: what the camera saw.
        illuminant: under which; names one of colour-science's.
        efficiency: quantum efficiencies of R, G, B, which a sensor file states apart from the matrix.

    Raises:
        ValueError: no matrix makes the patches those of a ColorChecker; says by how much.
    """
    true = np.array([value for _, value in patch_colours(illuminant)])
    camera = chart.rgb / np.array(efficiency)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # of what is no chart: it fits nowhere
            whole, light = _fitted(true, camera, np.arange(24))
            rounds = [_fitted(true, camera, np.delete(np.arange(24), n)) for n in range(24)]
        left_out = np.array([matrix for matrix, _ in rounds])
        foretold = np.stack([np.linalg.solve(m, camera[n] / at[n]) for n, (m, at) in enumerate(rounds)])
    except np.linalg.LinAlgError:
        raise ValueError("the ColorChecker's patches do not differ in colour: is the picture grey, or black?") from None
    delta_e = delta_e_2000(foretold, true)
    if not (delta_e.mean() < LEAST_LIKE[0] and delta_e.max() < LEAST_LIKE[1]):
        raise ValueError(
            f"no ColorChecker Classic fits: ΔE2000 of patches left out has a mean of {delta_e.mean():.1f} and a "
            f"largest of {delta_e.max():.1f}, expected below {LEAST_LIKE[0]:g} and {LEAST_LIKE[1]:g}: another chart, "
            f"partly hidden, mirrored, or not under {illuminant}"
        )
    replicas = left_out / left_out.sum(axis=2).max(axis=1)[:, None, None]
    white, whites = (m.sum(axis=-1) * np.array(efficiency) for m in (whole, left_out))
    white, whites = white / white[1], whites / whites[:, 1:2]
    errors, halves = (student(23) * np.sqrt(jackknife_variance(parts)) for parts in (replicas, whites))
    red, green, blue = (Estimate.within(v, h) for v, h in zip(white, halves, strict=True))
    return Colours(
        matrix=whole / whole.sum(axis=1).max(),
        errors=errors,
        neutral=(red, green, blue),
        delta_e=delta_e,
        seen=camera / light[:, None] @ np.linalg.inv(whole).T,
        true=true,
        to_rec709=np.linalg.inv(whole) / np.array(efficiency),
    )


def _fitted(true: Array, camera: Array, use: NDArray[np.int64]) -> tuple[Array, Array]:
    """Matrix of some patches, and the light at all 24: lamp and lens leave the chart's rim darker, a parabola does it.

    In turn, the matrix from patches over their light, and the light, `exp` of a polynomial of second order in the
    patch's place, from how bright a patch is against what the matrix expects of it.
    """
    import colour  # takes 0.9 s

    y, x = np.divmod(np.arange(24), 6)
    x, y = (x - 2.5) / 2.5, (y - 1.5) / 1.5
    terms = np.stack([np.ones(24), x, y, x * x, x * y, y * y], axis=1)
    light = np.ones(24)
    for _ in range(12):
        even = camera / light[:, None]
        matrix = colour.matrix_colour_correction(true[use], even[use], method="Cheung 2004", terms=3)
        expected = true @ np.asarray(matrix).T
        weight = np.linalg.norm(expected, axis=1)[use]
        ratio = (camera * expected).sum(axis=1) / (expected**2).sum(axis=1)
        shape = np.linalg.lstsq(terms[use] * weight[:, None], np.log(ratio[use]) * weight, rcond=None)[0]
        light = np.exp(terms[:, 1:] @ shape[1:])
    return np.asarray(matrix, np.float64), np.asarray(light, np.float64)


def colour_file(found: Colours, sensor: Sensor, name: str, source: str, illuminant: str) -> str:
    """A sensor file with this matrix, everything else as in another."""
    document = sensor.model_dump(mode="json", exclude_none=True) | {"name": name}
    words = (
        f"ColorChecker in {source} under {illuminant}; largest interval of an entry ± {found.errors.max():.2g}, mean "
        f"Delta E2000 of patches left out {found.delta_e.mean():.2f}"
    )
    document["rec709_to_camera"] = figure(found.matrix.tolist(), "measured", words)
    head = f"# {sensor.name} with the colour matrix of {source}, made by `python -m calibration.colour`.\n"
    return head + sensor_yaml(document)


def matrix_rows(found: Colours) -> list[tuple[str, ...]]:
    """The matrix's rows as text, each entry with its interval."""
    return [
        (f"camera {'RGB'[row]}", *(f"{found.matrix[row, b]:.4f} ± {found.errors[row, b]:.4f}" for b in range(3)))
        for row in range(3)
    ]


def page_blocks(found: Colours, chart: Chart) -> list[str]:
    """The page: matrix, balance, patches."""
    names = [patch for patch, _ in patch_colours("D65")]
    rows = [(patch, f"{value:.2f}") for patch, value in zip(names, found.delta_e, strict=True)]
    return [
        html_report.text("Each interval is of 95 %, from leaving out each patch in turn."),
        html_report.text("", "Colour matrix: linear Rec. 709 → camera, efficiencies apart"),
        html_report.table(("", "R", "G", "B"), matrix_rows(found)),
        html_report.text("", "White balance"),
        html_report.table(("camera", "over G"), [("RGB"[n], str(one)) for n, one in enumerate(found.neutral)]),
        html_report.text("", "Patches"),
        html_report.text(
            f"ΔE2000 when the others make the matrix: mean {found.delta_e.mean():.2f}, worst {found.delta_e.max():.2f}."
        ),
        html_report.picture(
            _swatches(found), "Outside: as the chart reflects; middle: as the camera sees it through the matrix."
        ),
        html_report.picture(
            _outline(chart, found.to_rec709),
            "Where the chart was found; the first corner is the dark skin's. Developed as the patches above, through "
            "the matrix of all, but with the shading of lamp and lens, which the patches are freed of. A raw has rims "
            "of colour: the pixels of a tile lie apart.",
        ),
        html_report.table(("patch", "ΔE2000"), rows),
    ]


def _display(rgb: Array) -> Array:
    """Linear Rec. 709 as sRGB for a plot."""
    return np.asarray(srgb_encode(torch.from_numpy(np.ascontiguousarray(rgb))).numpy())


def _swatches(found: Colours) -> Figure:
    plot = new_figure(7.2, 4.8)
    axes = plot.subplots()
    for patch in range(24):
        row, column = divmod(patch, 6)
        axes.add_patch(Rectangle((column, 3 - row), 0.94, 0.94, color=tuple(_display(found.true[patch]))))
        axes.add_patch(Rectangle((column + 0.25, 3.25 - row), 0.44, 0.44, color=tuple(_display(found.seen[patch]))))
        ink = "white" if found.true[patch].mean() < 0.25 else "black"
        axes.text(column + 0.05, 3.04 - row, f"{found.delta_e[patch]:.1f}", fontsize=8, color=ink)
    axes.set(xlim=(0, 6), ylim=(0, 4), aspect="equal")
    axes.axis("off")
    return plot


def _outline(chart: Chart, to_rec709: Array) -> Figure:
    plot = new_figure(7.2, 4.5)
    axes = plot.subplots()
    axes.imshow(_display(chart.picture @ to_rec709.T))
    closed = np.vstack([chart.corners, chart.corners[:1]])
    axes.plot(closed[:, 0], closed[:, 1], color="#ff2d95", linewidth=1.5)
    axes.plot(*chart.corners[0], "o", color="#ff2d95")
    axes.axis("off")
    return plot


def calibrate(
    files: Sequence[Path], like: str, illuminant: str, name: str | None, seed: int, out: Path
) -> tuple[Path, Path, Colours]:
    """Find the chart, fit, write sensor file and page; the files written and the fit.

    Args:
        files: DNG of one setting, or one picture; none: frames of a simulated chart.
        like: sensor file that gets the matrix.
        illuminant: the chart's light, one of colour-science's.
        name: of the new sensor file; None: `<sensor>_colour`.
        seed: of the simulated frames.
        out: folder of both.

    Raises:
        ValueError: no chart is found, or it is saturated, or a file cannot be read.
    """
    sensor = load_sensor(like)
    if not files:
        from calibration.simulated_rig import chart_frames  # brings the simulator

        rig = load_rig("exlpose-small").model_copy(update={"sensor": sensor})
        files = chart_frames(rig, out / "chart", seed)
    if files[0].suffix.lower() == ".dng":
        raw, plane = read_stack(files, sensor)
        rgb, efficiency = tiles(plane, raw.cfa), sensor.quantum_efficiency.value
    else:
        rgb, efficiency = read_picture(files[0]), (1.0, 1.0, 1.0)
    try:
        chart = find_chart(rgb)
        found = fit_colours(chart, illuminant, efficiency)
    except ValueError as fault:
        raise ValueError(f"{files[0]}: {fault}") from None
    name = name or f"{sensor.name}_colour"
    text = colour_file(found, sensor, name, files[0].name, illuminant)
    return *write_result(out, name, text, "Colour calibration", page_blocks(found, chart)), found
