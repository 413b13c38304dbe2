"""Frames a simulated rig takes for its own calibration: a ColorChecker, a textured scene, pairs with and without ND."""

from pathlib import Path

import numpy as np

from isp_sim import optics, readout, streams
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.dng import write_dng
from isp_sim.raw import Raw
from isp_sim.rig import Arm, Rig
from isp_sim.scenes.charts import colorchecker
from isp_sim.units import Radiance

EXPOSURE_US = 10_000.0
FILL = 0.45
"""White lies at this share of saturation in the well-lit arm."""


def shoot(
    rig: Rig, arm: Arm, radiance: Radiance, frames: int, seed: int, gain_db: float = 0.0, share: float = 1.0
) -> list[Raw]:
    """Frames of a still scene, white at `FILL` of saturation in the well-lit arm; `share` of that light."""
    camera = SimulatedArm(rig, arm)
    camera.look_at(optics.through_lens(radiance, rig.lens, rig.sensor.pixel_pitch_um.value * rig.binning))
    chip = rig.sensor
    clear = rig.well_lit.model_copy(update={"nd_filter": False})
    bands = optics.arm_bands(clear, rig.beam_splitter, rig.nd_filter, rig.lens, chip)
    full_dn = rig.binning**2 * (chip.white_level_dn - chip.black_level_dn.value)
    rate = (bands.sum(axis=1) * chip.quantum_efficiency.value).max() * readout.system_gain(chip, 0.0) * EXPOSURE_US
    camera.light = FILL * share * full_dn / float(rate)
    camera.next_frame = Frame(seed, 0, 0)
    return [camera.grab(EXPOSURE_US, gain_db) for _ in range(frames)]


def save(raws: list[Raw], folder: Path, name: str) -> list[Path]:
    """Write frames as DNG; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}_{number:02d}.dng" for number in range(len(raws))]
    for path, raw in zip(paths, raws, strict=True):
        write_dng(path, raw)
    return paths


def chart_frames(rig: Rig, folder: Path, seed: int) -> list[Path]:
    """Four frames of a ColorChecker under D65 by the well-lit arm."""
    radiance = colorchecker(rig.height_px, rig.width_px, "D65").radiance
    return save(shoot(rig, rig.well_lit, radiance, 4, seed), folder, "chart")


def textured_pair(rig: Rig, folder: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """Eight frames of each arm before a still scene full of detail; the low-light arm at a gain that shows it."""
    radiance = texture(rig.height_px, rig.width_px, seed)
    gain = min(26.0, rig.sensor.max_gain_db.value)
    well = save(shoot(rig, rig.well_lit, radiance, 8, seed), folder, "well_lit")
    return well, save(shoot(rig, rig.low_light, radiance, 8, seed, gain), folder, "low_light")


def texture(height: int, width: int, seed: int) -> Radiance:
    """Patches of every size and grey, whose corners a feature detector finds."""
    rng = streams.generator(seed, "texture")
    light = np.full((height, width), 0.3, np.float32)
    for _ in range(height * width // 400):
        size = rng.integers(4, 24, 2)
        y, x = rng.integers(-4, height), rng.integers(-4, width)
        light[max(y, 0) : y + size[0], max(x, 0) : x + size[1]] = rng.uniform(0.05, 0.95)
    return Radiance(light[..., None].repeat(3, axis=2))


def filter_pairs(rig: Rig, folder: Path, seed: int) -> Path:
    """Pairs of an even card with and without the ND filter, and the CSV that lists them."""
    lines = ["well_lit,low_light,nd_filter"]
    card = Radiance(np.full((rig.height_px, rig.width_px, 3), 0.9, np.float32))
    bare = rig.low_light.model_copy(update={"nd_filter": False})
    for number in range(4):
        for filtered, arm in ((True, rig.low_light), (False, bare)):
            kind, key = ("nd" if filtered else "bare"), seed + 10 * number + filtered
            gain = min(24.0, rig.sensor.max_gain_db.value) if filtered else 0.0
            well = save(shoot(rig, rig.well_lit, card, 1, key), folder, f"{kind}{number}_well_lit")[0]
            low = save(shoot(rig, arm, card, 1, key, gain), folder, f"{kind}{number}_low_light")[0]
            lines.append(f"{well.name},{low.name},{'yes' if filtered else 'no'}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
