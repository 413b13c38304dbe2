"""A session of flats and darks → shading and defects of one arm: rig file, sensor file, libcamera tuning file, page."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from calibration.arms import Array, extended
from calibration.defect_list import defect_list
from calibration.emva.defect_pixels import HotPixels, extra_current, hot_pixels
from calibration.fault_session import FaultSession, Stack, unbinned
from calibration.libcamera import Target, noise_line, tuning_file
from calibration.output import Document, figure, write_result, yaml_text
from calibration.plots import COLOURS, new_figure
from calibration.sensor_yaml import sensor_yaml
from calibration.shading_tables import ORDINARY, evened, shading_tables
from isp_sim import html_report, readout
from isp_sim.camera import SimulatedArm
from isp_sim.faults import DefectList
from isp_sim.files import write_atomically
from isp_sim.rectify import ArmName
from isp_sim.rig import Arm, Rig
from isp_sim.rigfile import load_rig
from isp_sim.shading import interpolated
from isp_sim.units import Radiance

NODES = (13, 17)
"""Rows and columns of the tables."""
CELLS = (12, 16)
"""Rows and columns of cells over which noise and residual are averaged."""
HEADINGS = ("figure", "value", "what")


@dataclass(frozen=True)
class Faults:
    """What a session tells.

    Attributes:
        tables: of R, G and B by colour temperature, K: fall-off beside the lens's cos⁴.
        whole: likewise, cos⁴ included.
        residual: largest deviation of a cell of the flats from their own tables.
        defects: the camera's.
        hot: density and currents of hot pixels; None: all darks have one exposure.
        black_16: black level, in 16 bits.
        noise: constant and slope in 16 bits, see `calibration.libcamera.noise_line`.
    """

    tables: dict[float, list[Array]]
    whole: dict[float, list[Array]]
    residual: float
    defects: DefectList
    hot: HotPixels | None
    black_16: float
    noise: tuple[float, float]


class Written(NamedTuple):
    """Files of a calibration."""

    rig: Path
    sensor: Path
    tuning: Path
    page: Path


def measure(session: FaultSession, rig: Rig, arm: Arm) -> Faults:
    """Shading, defects, black and noise of an arm's camera.

    Args:
        session: of it, see `calibration.fault_session`.
        rig: whose lens and sensor it has: cos⁴, system gain, full well.
        arm: of the rig.
    """
    flats, darks = session.flats, list(session.darks.values())
    k = readout.system_gain(rig.sensor, darks[0].raw.gain_db)
    light = {t: flat.mean - _dark_of(session, flat).mean for t, flat in flats.items()}
    cfa, lens = darks[0].raw.cfa, lens_share(rig, arm)
    even = {t: evened(plane, NODES) for t, plane in light.items()}
    extra: NDArray[np.floating] = np.zeros_like(lens)
    hot_from, hot = np.inf, None
    if len(darks) > 1:
        short, long = darks[0], darks[-1]
        seconds = (long.raw.exposure_us - short.raw.exposure_us) * 1e-6
        apart = long.mean - short.mean
        noise_dn = max(1.4826 * float(np.median(np.abs(apart - np.median(apart)))), 1e-3)
        full = min(rig.sensor.full_well_e.value, short.raw.white_level_dn / k)
        images = short.mean.astype(np.float32), long.mean.astype(np.float32)
        extra, hot_from = extra_current(*images, seconds, k, noise_dn)
        hot = hot_pixels(*images, seconds, k, full, noise_dn)
    dark_e = (darks[0].mean - np.median(darks[0].mean)) / k
    typical = np.mean(list(even.values()), axis=0)
    found = defect_list(typical, dark_e, extra, hot_from, rig.sensor.full_well_e.value)
    ordinary = (np.abs(typical - 1) < ORDINARY) & (extra <= hot_from)
    return Faults(
        tables={t: shading_tables(plane, cfa, NODES, lens) for t, plane in light.items()},
        whole={t: shading_tables(plane, cfa, NODES) for t, plane in light.items()},
        residual=max(float(np.abs(_cells(plane, ordinary) - 1).max()) for plane in even.values()),
        defects=found,
        hot=hot,
        black_16=float(np.median(darks[0].mean)) * _to_16_bits(darks[0]),
        noise=_noise(session, light, ordinary),
    )


def _dark_of(session: FaultSession, flat: Stack) -> Stack:
    """The darks whose exposure is nearest to a flat's."""
    return session.darks[min(session.darks, key=lambda exposure: abs(exposure - flat.raw.exposure_us))]


def lens_share(rig: Rig, arm: Arm) -> Array:
    """What the lens's cos⁴ alone lets through, over the unbinned frame; 1 at most."""
    whole = unbinned(rig)
    camera = SimulatedArm(whole, arm.model_copy(update={"shading": None, "defects": None}))
    camera.look_at(Radiance(np.ones((whole.height_px, whole.width_px, 3), np.float32)))
    light = camera.sight[..., 1].astype(np.float64)
    return np.asarray(light / light.max())


def _cells(plane: Array, ordinary: np.ndarray) -> Array:
    """Means of a plane's ordinary pixels over cells of the frame."""
    size, weight = CELLS[::-1], ordinary.astype(np.float64)
    total, count = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (plane * weight, weight))
    return np.asarray(total / np.maximum(count, 1e-9))


def _to_16_bits(stack: Stack) -> float:
    return 65536 / (stack.raw.white_level_dn + 1)


def _noise(session: FaultSession, light: dict[float, Array], ordinary: np.ndarray) -> tuple[float, float]:
    """Constant and slope over the cells of all flats, each place of the tile by itself, and of the darks."""
    means, deviations = [], []
    darkest = next(iter(session.darks.values()))
    for stack, plane in ((darkest, darkest.mean * 0), *((session.flats[t], light[t]) for t in light)):
        scale = _to_16_bits(stack) / 10 ** (stack.raw.gain_db / 20)
        for top, left in np.ndindex(2, 2):
            at = slice(top, None, 2), slice(left, None, 2)
            means.append(scale * _cells(plane[at], ordinary[at]))
            deviations.append(scale * np.sqrt(_cells(stack.variance[at], ordinary[at])))
    return noise_line(np.concatenate(means, axis=None), np.concatenate(deviations, axis=None))


def arm_document(found: Faults, session: FaultSession) -> Document:
    """An arm's block of a rig file."""
    frames = min(stack.frames for stack in session.flats.values())
    what = f"{frames} flats at each of {', '.join(f'{t:g}' for t in sorted(found.tables))} K"
    tables = [
        {"colour_temperature_k": t, **dict(zip(("red", "green", "blue"), map(_rounded, of_colours), strict=True))}
        for t, of_colours in sorted(found.tables.items())
    ]
    exposures = ", ".join(f"{exposure:g}" for exposure in session.darks)
    return {
        "shading": figure(tables, "measured", f"{what}; beside the lens's cos⁴"),
        "defects": figure(found.defects.model_dump(mode="json"), "measured", f"{what}; darks of {exposures} µs"),
    }


def _rounded(table: Array) -> list[list[float]]:
    return [[float(f"{share:.5f}") for share in row] for row in table]


def sensor_document(found: Faults, rig: Rig, name: str) -> Document:
    """The rig's sensor with how many defects this one has."""
    height, width = rig.height_px * rig.binning, rig.width_px * rig.binning
    per_million = 1e6 / (height * width)
    what = f"counted on one camera, {width}×{height} px"
    document: Document = rig.sensor.model_dump(mode="json") | {"name": name}
    document["defects"] = figure(
        {
            "dead_per_million": len(found.defects.dead) * per_million,
            "stuck_per_million": len(found.defects.stuck) * per_million,
            "dead_rows": len(found.defects.dead_rows),
            "dead_columns": len(found.defects.dead_columns),
        },
        "measured",
        what,
    )
    if found.hot is not None and found.hot.current_e_per_s is not None:
        density, current = found.hot.per_million, found.hot.current_e_per_s
        document["hot_pixels_per_million"] = figure(density.value, "measured", f"{what}; {density}")
        document["hot_pixel_e_per_s"] = figure(current.value, "measured", f"{what}; {current}")
    return document


def write(
    found: Faults, session: FaultSession, rig: Rig, rig_name: str, arm: ArmName, name: str, target: Target, out: Path
) -> Written:
    """Write what was found; the rig file is read once more.

    Args:
        found: in the session.
        session: for what the files say of their source.
        rig: that was read from `rig_name`.
        rig_name: rig file that is extended.
        arm: whose camera it is.
        name: of the new rig.
        target: of the tuning file.
        out: folder of all.

    Raises:
        ValueError: the rig lies in another folder.
    """
    sensor = f"{name}-sensor"
    document = {"extends": extended(rig_name, out), "name": name, "sensor": f"{sensor}.yaml"}
    head = f"# {rig.name} with the faults of its {arm} arm, made by `python -m calibration.faults`.\n"
    out.mkdir(parents=True, exist_ok=True)
    sensor_path, tuning_path = out / f"{sensor}.yaml", out / f"{name}-libcamera.json"
    write_atomically(sensor_path, sensor_yaml(sensor_document(found, rig, sensor)).encode())
    write_atomically(tuning_path, tuning_file(target, found.black_16, found.noise, found.whole).encode())
    text = head + yaml_text(document | {arm: arm_document(found, session)})
    file, page = write_result(out, name, text, "Shading and defects", page_blocks(found))
    load_rig(file)  # complains if it is none
    return Written(file, sensor_path, tuning_path, page)


def figures(found: Faults) -> list[tuple[str, str, str]]:
    """Every figure: name, value, what it is."""
    rows = []
    for temperature, tables in sorted(found.whole.items()):
        corners = ", ".join(f"{100 * np.mean([t[0, 0], t[0, -1], t[-1, 0], t[-1, -1]]):.1f}" for t in tables)
        rows.append((f"corners at {temperature:g} K, R, G, B", f"{corners} %", "of the brightest, cos⁴ included"))
    some = found.defects
    rows += [
        ("residual", f"{100 * found.residual:.2f} %", f"largest of {CELLS[0]}×{CELLS[1]} cells of the flats"),
        ("dead pixels", str(len(some.dead)), "see less than half of their surroundings' light"),
        ("stuck pixels", str(len(some.stuck)), "likewise, and hold charge in the dark"),
        ("hot pixels", str(len(some.hot)) if found.hot else "not measured: one exposure of darks", "grow faster"),
        ("dead rows, columns", f"{len(some.dead_rows)}, {len(some.dead_columns)}", "more than half of it is blind"),
        ("black level", f"{found.black_16:.1f}", "median of the shortest darks, in 16 bits"),
        ("noise", f"{found.noise[0]:.1f} + {found.noise[1]:.3f}·√mean", "standard deviation, in 16 bits at 0 dB"),
    ]
    return rows


def page_blocks(found: Faults) -> list[str]:
    """The page: figures, shading, places of defects."""
    return [
        html_report.table(HEADINGS, figures(found)),
        html_report.picture(_shading_plot(found), "Fall-off along the diagonal, cos⁴ included."),
        html_report.picture(_defects_plot(found.defects), "Where defects lie, px."),
    ]


def _shading_plot(found: Faults) -> Figure:
    plot = new_figure(height=3.6)
    axes, at = plot.subplots(1, len(found.whole), sharey=True, squeeze=False)[0], np.linspace(0, 1, 101)
    for place, (temperature, tables) in zip(axes, sorted(found.whole.items()), strict=True):
        for table, pixel in zip(tables, ("R", "G1", "B"), strict=True):
            place.plot(2 * at - 1, interpolated(table, at, at).diagonal(), color=COLOURS[pixel], label=pixel[0])
        place.set(title=f"{temperature:g} K", xlabel="half diagonals", ylim=(0, 1.02))
    axes[0].set_ylabel("share of the brightest")
    axes[0].legend(frameon=False)
    return plot


def _defects_plot(defects: DefectList) -> Figure:
    plot = new_figure(height=4.2)
    axes = plot.subplots()
    for label, places in (("dead", defects.dead), ("stuck", defects.stuck), ("hot", defects.hot)):
        axes.plot([p[0] for p in places], [p[1] for p in places], ".", markersize=2, label=f"{label}: {len(places)}")
    for y in defects.dead_rows:
        axes.axhline(y, color="k", linewidth=0.5)
    for x in defects.dead_columns:
        axes.axvline(x, color="k", linewidth=0.5)
    axes.set(aspect="equal", xlabel="x", ylabel="y")
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return plot
