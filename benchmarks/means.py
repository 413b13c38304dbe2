"""Mean 8-bit intensity of ExLPose's splits: the 491 real test shots replayed over real photographs.

    python benchmarks/means.py [--rig exlpose] [--nd 0.008] [--source people]

Every real scene gets a photograph, spread evenly over the development data (Leeds Sports Pose Extended, COCO and
CrowdPose samples); the meter sets its light at the scene's real base exposure and gain. Nothing is tuned to a split.
`--source people` takes the built-in scenes with people instead.
`--nd` shows what another transmittance of the ND filter would do.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from isp_sim.generate import PUBLISHED_MEANS
from isp_sim.pair import DualCamera
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes import SceneSource
from isp_sim.scenes.people.source import People
from isp_sim.scenes.photos import Photos
from isp_sim.schedule import replay, split_of
from isp_sim.studio import tasks

DATA = Path("../shared/data")
FOLDERS = ("photos/lspet/images", "photos/coco", "photos/crowdpose")


def with_nd(rig: Rig, transmittance: float | None) -> Rig:
    """The rig with another ND filter."""
    if transmittance is None:
        return rig
    figure = rig.nd_filter.transmittance.model_copy(update={"value": (transmittance,) * 3})
    return rig.model_copy(update={"nd_filter": rig.nd_filter.model_copy(update={"transmittance": figure})})


def measure(rig: Rig, seed: int, scenes: int | None = None, source: str = "photos") -> dict[str, list[float]]:
    """Means of every picture by split, over the replayed shots (of `scenes` of the scenes)."""
    work = tasks([(0, shot) for shot in replay(DATA / "exlpose/schedule.csv")], set())
    if scenes is not None:  # spread over the schedule, whose places differ
        work = [work[i] for i in np.linspace(0, len(work) - 1, min(scenes, len(work))).round().astype(int)]
    known: list[tuple[SceneSource, int]]
    if source == "people":
        built_in = People(rig.height_px, rig.width_px)
        known = [(built_in, index) for index in range(len(work))]
    else:
        photos = [Photos(DATA / name, None, rig.height_px, rig.width_px) for name in FOLDERS]
        known = [(folder, index) for folder in photos for index in range(len(folder))]
    camera = DualCamera(rig)
    means: dict[str, list[float]] = {split: [] for split in PUBLISHED_MEANS}
    chosen = np.linspace(0, len(known) - 1, len(work)).round().astype(int)
    for task, choice in zip(track(work, "scenes"), chosen, strict=True):
        drawn, index = known[choice]
        shots = [(number, shot) for number, (_, _, shot) in enumerate(task.shots)]
        for pair in camera.shoot(drawn.scene(index, shots[0][1].daylight), shots, seed):
            low = float(pair.low_light.mean())
            means[split_of(pair.shot.well_lit_gain_db)].append(low)
            means["LL-A"].append(low)
            means["WL"].append(float(pair.well_lit.mean()))
    return means


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rig", default="exlpose")
    asked.add_argument("--nd", type=float)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--scenes", type=int, help="only so many of the 110 scenes, spread evenly")
    asked.add_argument("--source", default="photos", choices=("photos", "people"))
    given = asked.parse_args()
    found = measure(with_nd(load_rig(given.rig), given.nd), given.seed, given.scenes, given.source)
    table = Table(title=f"mean 8-bit intensity, {given.rig}, ND {given.nd or 0.01:.3%}, real shots over {given.source}")
    for heading in ("split", "pictures", "here", "standard error", "published", "ratio"):
        table.add_column(heading, justify="right")
    for split, published in PUBLISHED_MEANS.items():
        values = np.array(found[split])
        error = values.std() / np.sqrt(len(values))
        cells = (f"{values.mean():.2f}", f"{error:.2f}", f"{published}", f"{values.mean() / published:.2f}")
        table.add_row(split, str(len(values)), *cells)
    Console().print(table)
