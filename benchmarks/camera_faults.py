"""Faults of a camera, in and out: shading and defects made by a rig, measured by the calibration, mended by the steps.

    python benchmarks/camera_faults.py [--rig exlpose] [--serial CAMERA] [--seed 0] [--out out/camera-faults]

The faulty rig (`calibration.fault_session.faulty`) has shading at two colour temperatures, dead, stuck and hot pixels
and dead lines. Its session of flats and darks gives a rig file; with that file's gains and list, through a DNG, steps
`defects` and `lens_shading` mend frames of the faulty camera. They are compared with those of a camera without faults
that has the same noise. Where darktable is installed, it develops the DNG, too: it applies the opcodes by itself.
"""

import argparse
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console

from calibration.fault_files import measure, write
from calibration.fault_session import faulty, simulated_session
from isp_sim import optics, sensor
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.dng import read_dng, write_dng
from isp_sim.faults import DefectList
from isp_sim.isp import defects as mending
from isp_sim.isp import raw_operators
from isp_sim.isp.develop import UNCUT, develop_linear
from isp_sim.isp.raw_light import RawLight, raw_light
from isp_sim.raw import Raw, defect_mask
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes.people.source import People
from isp_sim.shading import interpolated, positions
from isp_sim.tables import terminal_table
from isp_sim.units import Radiance

EXPOSURE_US, FLATS = 10_000.0, 16
LEVEL = 0.5
"""Of the range: the brightest colour's white."""


def truth(rig: Rig, height: int, width: int) -> tuple[np.ndarray, np.ndarray, DefectList]:
    """Masks of blind pixels and of hot ones, e⁻/s; the list of the former."""
    drawn = sensor.drawn_defects(rig.sensor, rig.well_lit.serial, height, width)
    maps = sensor.fixed_maps(rig.sensor, rig.well_lit.serial, height, width)
    return maps.gain == 0, maps.hot_e_per_s, drawn


def mask_of(found: DefectList, height: int, width: int) -> np.ndarray:
    """Every pixel that a list names."""
    lines = [(y, 0, y + 1, width) for y in found.dead_rows] + [(0, x, height, x + 1) for x in found.dead_columns]
    return defect_mask((*((y, x, y + 1, x + 1) for x, y in found.pixels), *lines), height, width)


def frames(rig: Rig, radiance: np.ndarray, count: int, seed: int) -> list[Raw]:
    """Frames of the well-lit arm, its brightest colour's white at `LEVEL`."""
    camera = SimulatedArm(rig, rig.well_lit)
    light = Radiance(np.ascontiguousarray(radiance, np.float32))
    camera.look_at(optics.through_lens(light, rig.lens, rig.sensor.pixel_pitch_um.value))
    chip = rig.sensor
    bands = optics.arm_bands(rig.well_lit, rig.beam_splitter, rig.nd_filter, rig.lens, chip).sum(axis=1)
    rate = float((bands * chip.quantum_efficiency.value).max()) * chip.gain_dn_per_e.value * EXPOSURE_US
    camera.light = LEVEL * (chip.white_level_dn - chip.black_level_dn.value) / rate
    camera.next_frame = Frame(seed, 7, 0)
    return [camera.grab(EXPOSURE_US, 0.0) for _ in range(count)]


def mended(raw: RawLight, threshold: float) -> RawLight:
    """After both steps."""
    t, one = torch.tensor([[threshold]]), torch.ones(1, 1)
    mosaic = mending.mended(raw.mosaic, t, raw.noise, raw.develop.cfa, raw.listed)
    return replace(raw, mosaic=raw_operators.lens_shading(mosaic, one, raw.gains))


def cell_error(mosaic: torch.Tensor) -> float:
    """Largest deviation of a cell of 40×40 px from the mean of its place in the tile, of an even frame."""
    cells = torch.nn.functional.avg_pool2d(torch.nn.functional.pixel_unshuffle(mosaic, 2), 20)
    return float((cells / cells.mean(dim=(2, 3), keepdim=True) - 1).abs().max())


def of_shading(bad: Rig, known: Raw, seed: int) -> list[tuple[str, str, str]]:
    """Flats before and after the steps; their mean over `FLATS`, so that noise is a tenth of a percent."""
    even = np.ones((bad.height_px, bad.width_px, 3))
    before, after = [], []
    for raw in frames(bad, even, FLATS, seed):
        light = raw_light(replace(raw, shading=known.shading, defects=known.defects), UNCUT)
        before.append(light.mosaic)
        after.append(mended(light, 10.0).mosaic)
    first, last = (cell_error(torch.stack(some).mean(dim=0)) for some in (before, after))
    return [
        ("largest cell of a flat, off its mean", f"{100 * first:.1f} %", "as captured"),
        ("… after both steps", f"{100 * last:.2f} %", "target 1 %"),
    ]


def of_tables(bad: Rig, good: Rig) -> list[tuple[str, str, str]]:
    """Measured tables beside those that were put in, at every pixel."""
    height, width = bad.height_px, bad.width_px
    assert bad.well_lit.shading and good.well_lit.shading
    worst = 0.0
    for put, got in zip(bad.well_lit.shading.value, good.well_lit.shading.value, strict=True):
        for colour in ("red", "green", "blue"):
            one, other = (
                interpolated(np.array(getattr(t, colour)), positions(height, height), positions(width, width))
                for t in (put, got)
            )
            worst = max(worst, float(np.abs(other / one / np.mean(other / one) - 1).max()))
    return [("measured tables, largest deviation of a pixel", f"{100 * worst:.2f} %", "2 temperatures, 3 colours")]


def of_defects(bad: Rig, found: DefectList) -> list[tuple[str, str, str]]:
    """The measured list beside what was put in."""
    height, width = bad.height_px, bad.width_px
    blind, hot, drawn = truth(bad, height, width)
    listed = mask_of(found, height, width)
    true = blind | (hot > 0)
    single, missed = hot > 0, hot[(hot > 0) & ~listed]
    lines = f"{found.dead_rows} and {found.dead_columns} of {drawn.dead_rows} and {drawn.dead_columns}"
    faint = f"missed: {', '.join(f'{e:.1f}' for e in missed)} e⁻/s" if len(missed) else "none missed"
    return [
        ("blind pixels in the list", f"{100 * (listed & blind).sum() / blind.sum():.2f} %", f"of {blind.sum()}"),
        ("hot pixels in the list", f"{(listed & single).sum()} of {single.sum()}", faint),
        ("all defects in the list", f"{100 * (listed & true).sum() / true.sum():.2f} %", "target 99 %"),
        ("false ones", f"{1e5 * (listed & ~true).sum() / true.size:.2f} in 10⁵", "target 1"),
        ("dead rows and columns", lines, ""),
    ]


def of_scene(clean: Rig, bad: Rig, known: Raw, seed: int) -> list[tuple[str, str, str]]:
    """A street or room with people: error of linear light against the same frame without faults."""
    scene = People(bad.height_px, bad.width_px, seed=seed).scene(1, 1.0).radiance
    scene = LEVEL * scene / np.quantile(scene, 0.99)
    right, wrong = (raw_light(frames(rig, scene, 1, seed)[0], UNCUT) for rig in (clean, bad))
    shading, listed = known.shading, known.defects
    told = raw_light(replace(frames(bad, scene, 1, seed)[0], shading=shading, defects=listed), UNCUT)
    falls = lens_gains(clean)
    right = replace(right, mosaic=right.mosaic * falls)
    blind, _, drawn = truth(bad, bad.height_px, bad.width_px)
    single = mask_of(drawn.model_copy(update={"dead_rows": (), "dead_columns": ()}), *blind.shape)
    noise = float(right.noise[0, 1] @ torch.tensor([float(right.mosaic.mean()), 1.0])) ** 0.5
    rows = [("noise of a pixel there", f"{noise:.4f}", "by the NoiseProfile, at the mean")]
    for label, light in (("as captured", wrong), ("after both steps", mended(told, 10.0))):
        error = develop_linear(light.mosaic, light.develop) - develop_linear(right.mosaic, right.develop)
        rows.append((f"error of linear light, {label}", f"{float((error**2).mean()) ** 0.5:.4f}", "rms, white is 1"))
    for threshold in (5.0, 10.0, 20.0):
        alone = mending.mended(wrong.mosaic, torch.tensor([[threshold]]), wrong.noise, wrong.develop.cfa)
        changed = (alone != wrong.mosaic)[0, 0].numpy()
        seen, false = (changed & single).sum() / single.sum(), (changed & ~blind).sum() / blind.size
        what = f"without a list, {threshold:g} σ: single blind pixels; others"
        rows.append((what, f"{100 * seen:.0f} %; {1e5 * false:.2f} in 10⁵", "of one frame"))
    return rows


def lens_gains(rig: Rig) -> torch.Tensor:
    """What undoes cos⁴ alone, which the steps do, too."""
    camera = SimulatedArm(rig, rig.well_lit)
    camera.look_at(Radiance(np.ones((rig.height_px, rig.width_px, 3), np.float32)))
    light = camera.sight[..., 1]
    return torch.from_numpy(light.max() / light)[None, None]


def of_darktable(bad: Rig, known: Raw, seed: int, folder: Path) -> list[tuple[str, str, str]]:
    """Corner over middle of a flat that darktable developed, with the opcodes and without."""
    if shutil.which("darktable-cli") is None:
        return [("darktable", "not installed", "")]
    flat = frames(bad, np.ones((bad.height_px, bad.width_px, 3)), 1, seed)[0]
    rows = []
    for label, shading, defects in (("without", None, ()), ("with", known.shading, known.defects)):
        raw, picture = folder / f"{label}.dng", folder / f"{label}.tif"
        write_dng(raw, replace(flat, shading=shading, defects=defects))
        command = ["darktable-cli", raw, picture, "--core", "--configdir", folder / "dt", "--library", ":memory:"]
        more = ["--conf", "plugins/imageio/format/tiff/bpp=16"]
        subprocess.run([*map(str, command), *more], check=True, capture_output=True)
        codes = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)[..., ::-1] / 65535
        light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        height, width = light.shape[:2]
        middle = np.median(light[height // 2 - 40 : height // 2 + 40, width // 2 - 40 : width // 2 + 40], (0, 1))
        corner = np.median(light[8:88, 8:88], (0, 1)) / middle
        smooth = cv2.medianBlur(light.astype(np.float32), 5)
        off = (np.abs(light - smooth) > 0.5 * smooth).any(axis=2).sum()
        words = ", ".join(f"{share:.3f}" for share in corner)
        rows.append((f"darktable, {label} opcodes: corner over middle, R, G, B", words, f"{off} px off by half"))
    return rows


def main() -> None:
    """Make, measure, mend, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rig", default="exlpose", help="unbinned rig [%(default)s]")
    parser.add_argument("--serial", default="", help="of the well-lit camera, to which defects belong [the rig's]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--out", type=Path, default=Path("out/camera-faults"), help="[%(default)s]")
    args = parser.parse_args()
    clean = load_rig(args.rig)
    if args.serial:
        clean = clean.model_copy(update={"well_lit": clean.well_lit.model_copy(update={"serial": args.serial})})
    bad = faulty(clean, "well_lit")
    session = simulated_session(bad, bad.well_lit, args.seed)
    found = measure(session, clean, clean.well_lit)
    written = write(found, session, clean, args.rig, "well_lit", f"{clean.name}-faults", "bcm2835", args.out)
    good = load_rig(written.rig)
    path = args.out / "known.dng"
    write_dng(path, frames(good, np.ones((good.height_px, good.width_px, 3)), 1, args.seed)[0])
    known = read_dng(path)
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            *of_tables(bad, good),
            *of_defects(bad, found.defects),
            *of_shading(bad, known, args.seed + 100),
            *of_scene(clean, bad, known, args.seed),
            *of_darktable(bad, known, args.seed, Path(scratch)),
        ]
    Console(width=150).print(terminal_table(f"faults of {args.rig}", ("figure", "value", ""), rows))


if __name__ == "__main__":
    main()
