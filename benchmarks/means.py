"""Mean 8-bit intensity of ExLPose's splits: the 491 real test shots replayed over real photographs.

    python benchmarks/means.py [--source people] [--scenes 40] [--size 480 300] [--nd 0.008] [--black-in-electrons]

Every real scene gets a photograph, spread evenly over the development data (Leeds Sports Pose Extended, COCO and
CrowdPose samples); the meter sets its light at the scene's real base exposure and gain. Nothing is tuned to a split.
`--source people` takes the built-in scenes instead, `--source grey` an even grey, which has the least light a picture
of a given mean code can have (the sRGB curve is concave).

Each mean is over pictures, its standard error over scenes, whose pictures share their light. Beside it stand its two
sources: the light alone (no noise, no black offset, nothing rounded) and the rectified noise alone (a dark frame at the
same settings). They do not add up: noise is rectified where there is no light.

What-ifs, which change no rig file: `--nd` is another transmittance of the ND filter, `--black-in-electrons` a black
offset that moves with the gain, as it would if it arose before the amplifier; the fitted one is constant in DN.
"""

import argparse
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from isp_sim import readout, sensor
from isp_sim.batches import tasks
from isp_sim.metering import level
from isp_sim.pair import DualCamera
from isp_sim.progress import track
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_summary import PUBLISHED_MEANS
from isp_sim.scenes import Scene, SceneSource
from isp_sim.scenes.people.source import People
from isp_sim.scenes.photos import Photos
from isp_sim.schedule import Shot, replay, split_of
from isp_sim.tables import terminal_table
from isp_sim.units import Radiance

DATA = Path("../shared/data")
FOLDERS = ("photos/lspet/images", "photos/coco", "photos/crowdpose")
FITTED_DB = 3.4
"""Gain of the real frame to which the black offset was fitted (benchmarks/dark_blocks.py)."""


@dataclass(frozen=True)
class Level:
    """Mean 8-bit level of a low-light picture, of its light alone, of a dark frame; and of the well-lit picture.

    `scene` numbers the scene whose pictures these are.
    """

    scene: int
    picture: float
    light: float
    dark: float
    well_lit: float


class Grey:
    """An even grey."""

    def __init__(self, height: int, width: int) -> None:
        self._scene = Scene("grey", Radiance(np.full((height, width, 3), 0.2, np.float32)))

    def __len__(self) -> int:
        """One."""
        return 1

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """The grey."""
        return self._scene


def with_nd(rig: Rig, transmittance: float | None) -> Rig:
    """The rig with another ND filter."""
    if transmittance is None:
        return rig
    figure = rig.nd_filter.transmittance.model_copy(update={"value": (transmittance,) * 3})
    return rig.model_copy(update={"nd_filter": rig.nd_filter.model_copy(update={"transmittance": figure})})


def with_black(rig: Rig, gain_db: float) -> Rig:
    """The rig with a black offset that is the fitted one in electrons, at a gain."""
    old = rig.sensor.black_bias_dn
    factor = 10 ** ((gain_db - FITTED_DB) / 20)
    moved = old.model_copy(update={"value": tuple(factor * value for value in old.value)})
    return rig.model_copy(update={"sensor": rig.sensor.model_copy(update={"black_bias_dn": moved})})


def light_alone(camera: DualCamera, shot: Shot, light: float) -> float:
    """Mean 8-bit level of the low-light arm's picture without noise, black offset and rounding."""
    arm = camera.low_light
    chip = sensor.numbers(arm.sensor, shot.exposure_us, camera.rig.temperature_c.value)
    k = readout.system_gain(arm.sensor, shot.low_light_gain_db)
    full_dn = arm.binning**2 * (arm.sensor.white_level_dn - arm.sensor.black_level_dn.value)
    share = np.array(chip.efficiency) * light * shot.exposure_us * k / full_dn
    exposed = (arm.sight[::2, ::2] * share).astype(np.float32)
    return level(arm, torch.from_numpy(exposed).permute(2, 0, 1)[None])


def dark_alone(camera: DualCamera, exposure_us: int, gain_db: float) -> float:
    """Mean 8-bit level of the low-light picture with the cap on."""
    camera.low_light.light = 0.0
    return float(camera.develop(camera.low_light.grab(exposure_us, gain_db), camera.low_light).mean())


def source_of(name: str, rig: Rig, count: int) -> list[tuple[SceneSource, int]]:
    """Scenes to spread over the shots."""
    if name == "people":
        built_in = People(rig.height_px, rig.width_px)
        return [(built_in, index) for index in range(count)]
    if name == "grey":
        return [(Grey(rig.height_px, rig.width_px), 0)]
    photos = [Photos(DATA / folder, None, rig.height_px, rig.width_px) for folder in FOLDERS]
    return [(folder, index) for folder in photos for index in range(len(folder))]


def measure(
    rig: Rig, seed: int, scenes: int | None = None, source: str = "photos", black_in_electrons: bool = False
) -> dict[str, list[Level]]:
    """Levels of every picture by split, over the replayed shots (of `scenes` of the scenes)."""
    work = tasks(replay(DATA / "exlpose/schedule.csv"), set())
    if scenes is not None:  # spread over the schedule, whose places differ
        work = [work[i] for i in np.linspace(0, len(work) - 1, min(scenes, len(work))).round().astype(int)]
    known = source_of(source, rig, len(work))
    camera = DualCamera(rig)
    dark = functools.cache(lambda exposure_us, gain_db: dark_alone(camera, exposure_us, gain_db))
    levels: dict[str, list[Level]] = {split: [] for split in PUBLISHED_MEANS}
    chosen = np.linspace(0, len(known) - 1, len(work)).round().astype(int)
    for number_of_scene, (task, choice) in enumerate(zip(track(work, "scenes"), chosen, strict=True)):
        drawn, index = known[choice]
        shots = [shot for _, shot in task.shots]
        if black_in_electrons:
            camera = DualCamera(with_black(rig, shots[0].base_gain_db))
        for pair in camera.shoot(drawn.scene(index, shots[0].daylight), shots, seed):
            shot = pair.shot
            level = Level(
                number_of_scene,
                float(pair.low_light.mean()),
                light_alone(camera, shot, pair.photons_per_us_at_white),
                dark(shot.exposure_us, shot.low_light_gain_db),
                float(pair.well_lit.mean()),
            )
            for split in (split_of(shot.well_lit_gain_db), "LL-A", "WL"):
                levels[split].append(level)
    return levels


def standard_error(values: np.ndarray, scenes: np.ndarray) -> float:
    """Of the mean over all pictures, scenes being what is drawn: `√(n/(n−1) · Σ_s (Σ_{i in s} (x_i − x̄))²) / N`.

    Pictures of one scene share its light, so N of them are not N independent ones; with one picture a scene this is
    the usual `s/√N` (Cochran, *Sampling Techniques*, ch. 6: a ratio of sums over clusters).

    Args:
        values: of the N pictures.
        scenes: number of the scene of each; n different ones.
    """
    sums = np.bincount(np.unique(scenes, return_inverse=True)[1], weights=values - values.mean())
    n = len(sums)
    return float(np.sqrt(n / (n - 1) * (sums**2).sum()) / len(values)) if n > 1 else float("nan")


def report(found: dict[str, list[Level]], title: str) -> Table:
    """The table that is printed."""
    rows = []
    for split, published in PUBLISHED_MEANS.items():
        values = np.array([one.well_lit if split == "WL" else one.picture for one in found[split]])
        scenes = np.array([one.scene for one in found[split]])
        error = standard_error(values, scenes)
        cells = [f"{values.mean():.2f}", f"{error:.2f}", f"{published}", f"{values.mean() / published:.2f}"]
        parts = [np.mean([getattr(one, part) for one in found[split]]) for part in ("light", "dark")]
        cells += ["", ""] if split == "WL" else [f"{part:.2f}" for part in parts]
        rows.append((split, len(set(scenes.tolist())), len(values), *cells))
    arms = ("here", "standard error", "published", "ratio", "light alone", "dark alone")
    return terminal_table(title, ("split", "scenes", "pictures", *arms), rows)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rig", default="exlpose")
    asked.add_argument("--nd", type=float)
    asked.add_argument("--black-in-electrons", action="store_true")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--scenes", type=int, help="only so many of the 111 scenes, spread evenly")
    asked.add_argument("--source", default="photos", choices=("photos", "people", "grey"))
    asked.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="a smaller frame of such pixels")
    given = asked.parse_args()
    shrunk = dict(zip(("width_px", "height_px"), given.size or (), strict=False))
    chosen_rig = with_nd(load_rig(given.rig), given.nd).model_copy(update=shrunk)
    measured = measure(chosen_rig, given.seed, given.scenes, given.source, given.black_in_electrons)
    named = f"{given.rig}, ND {given.nd or 0.01:.3%}{', black in electrons' * given.black_in_electrons}"
    Console(width=120).print(report(measured, f"mean 8-bit intensity, {named}, real shots over {given.source}"))
