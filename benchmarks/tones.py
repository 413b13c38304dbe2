"""How light is spread over the built-in scenes, beside photographs of people.

    python benchmarks/tones.py [--scenes 110] [--size 480 300]

Each scene is metered as the rig meters it, at the base exposures of ExLPose's test set in turn; 1 is the light that
fills the well-lit arm's range. `light` is the mean, which the low-light arm gets a hundredth of; `above 1` the share of
the area that is clipped; percentiles are geometric means over scenes. Photographs know no more than 2 EV above their
own white (`isp_sim.scenes.photos`), so their largest percentiles are lower bounds.
"""

import argparse
import math
from collections import defaultdict

import numpy as np
from means import DATA, source_of
from rich.console import Console

from isp_sim import optics, readout, sensor
from isp_sim.batches import tasks
from isp_sim.metering import meter
from isp_sim.pair import DualCamera
from isp_sim.progress import track
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Scene
from isp_sim.schedule import Shot, replay
from isp_sim.tables import terminal_table

PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 99.9)


def metered(camera: DualCamera, scene: Scene, shot: Shot) -> np.ndarray:
    """The scene's luminance-like mean of balanced camera RGB, in units of the well-lit arm's range."""
    arm, rig = camera.well_lit, camera.rig
    arm.look_at(optics.through_lens(scene.radiance, rig.lens, rig.sensor.pixel_pitch_um.value))
    light = meter(arm, scene, shot)
    chip = sensor.numbers(arm.sensor, shot.base_exposure_us, rig.temperature_c.value)
    k = readout.system_gain(arm.sensor, shot.base_gain_db)
    full_dn = arm.sensor.white_level_dn - arm.sensor.black_level_dn.value
    share = np.array(chip.efficiency) * shot.base_exposure_us * k * light / full_dn
    balance = 1 / np.array(arm.sensor.neutral(rig.lens.near_infrared.value))
    return np.asarray((arm.sight * (share * balance)).mean(axis=2))


def measure(source: str, size: tuple[int, int], count: int) -> dict[str, list[np.ndarray]]:
    """Metered scenes by kind of place."""
    rig = load_rig("exlpose").model_copy(update={"width_px": size[0], "height_px": size[1]})
    camera = DualCamera(rig)
    shots = [task.shots[0][1] for task in tasks(replay(DATA / "exlpose/schedule.csv"), set())]
    known = source_of(source, rig, count)
    chosen = np.linspace(0, len(known) - 1, count).round().astype(int)
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for n, choice in enumerate(track(chosen, source)):
        drawn, index = known[choice]
        shot = shots[n % len(shots)]
        scene = drawn.scene(index, shot.daylight)
        found[str(scene.labels.get("world", source))].append(metered(camera, scene, shot))
    return found


def row(name: str, scenes: list[np.ndarray]) -> list[str]:
    """A row of the table."""
    tops = np.array([np.percentile(scene, PERCENTILES) for scene in scenes])
    means = np.exp(np.log(np.maximum(tops, 1e-4)).mean(axis=0))
    light = [scene.mean() for scene in scenes]
    error = np.std(light) / math.sqrt(len(light))
    clipped = np.mean([(scene > 1).mean() for scene in scenes])
    spans = np.mean([np.std(np.log2(np.maximum(scene, 1e-4))) for scene in scenes])
    figures = [f"{np.mean(light):.3f} ± {error:.3f}", f"{clipped:.3f}", f"{spans:.2f}"]
    return [name, str(len(scenes)), *figures, *(f"{value:.3f}" for value in means)]


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=110)
    asked.add_argument("--size", type=int, nargs=2, default=(480, 300), metavar=("WIDTH", "HEIGHT"))
    given = asked.parse_args()
    rows = [row("photographs", measure("photos", tuple(given.size), given.scenes)["photos"])]
    people = measure("people", tuple(given.size), given.scenes)
    rows += [row(place, scenes) for place, scenes in sorted(people.items())]
    rows.append(row("all built-in", [scene for scenes in people.values() for scene in scenes]))
    headings = ("place", "scenes", "light", "above 1", "EV spread", *(f"{p} %" for p in PERCENTILES))
    Console(width=140).print(
        terminal_table("light of metered scenes, 1 fills the well-lit arm's range", headings, rows)
    )
