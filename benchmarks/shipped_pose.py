"""The low-light network that ships, beside the public ones, on what it never saw: built-in scenes, 300 photographs.

    python benchmarks/shipped_pose.py [--scenes 24] [--photos 300] [--flip right] [--extent 1.2]

Built-in scenes of the test seed at all their shots; the last 300 photographs of Leeds Sports Pose Extended (by name),
each at one drawn shot, through `exlpose-small`. AP over true boxes, PCK@0.2 of the torso, for each split and the
well-lit arm, with their standard error over scenes, and how far the first network is ahead of the others on the same
shots. `--extent` shows the network wider crops than the released
test does.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.choices import EXTENTS, TEST_SEED
from models.data.samples import PairSource, RigPairs, scene_of, shots
from models.recognisers.loading import LOW_LIGHT, PUBLIC, load_recogniser
from models.recognisers.recogniser import Recogniser
from models.runs.evaluation import score_table
from models.scoring.average_precision import Protocol
from models.scoring.over_scenes import drawn_pck
from models.scoring.poses import find_poses

PHOTOS = Path("../shared/data/photos/lspet")
HELD_OUT = 300


def last_photos(folder: Path, count: int, into: Path, after: int = 0) -> Path:
    """A folder of links to the last photographs but `after` of them, and to all annotations."""
    everything = sorted((folder / "images").iterdir())
    for path in everything[len(everything) - after - count : len(everything) - after]:
        (into / path.name).symlink_to(path.resolve())
    (into / "annotations.json").symlink_to((folder / "annotations.json").resolve())
    return into


def measure(title: str, source: PairSource, networks: dict[str, Recogniser], flip: str, console: Console) -> None:
    """Score every network on the same shots; print how far the first is ahead of each other one."""
    held = list(shots(source, shown=True))
    found = {}
    for name, recogniser in networks.items():
        poses = found[name] = find_poses(recogniser, held, flip)
        words = f"{len(held)} shots, flip {flip}, extent {recogniser.extent:g}"
        judged = poses.judged(Protocol(flip=flip, extent=recogniser.extent, seed=TEST_SEED))
        console.print(score_table(f"{name}, {title}: {words}", judged))
    first, *others = found
    for other in others:
        for split in ("LL-A", "WL"):
            gains = np.subtract(*drawn_pck([found[one].joints(split) for one in (first, other)], scene_of).T)
            ahead, error = gains[0], np.nanstd(gains[1:])
            console.print(f"{title}, PCK@0.2 of {first} − {other}, {split}: {ahead:+.1f} ± {error:.1f} over scenes")


def main() -> None:
    """Both test sets."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=24)
    asked.add_argument("--photos", type=int, default=HELD_OUT)
    asked.add_argument("--flip", default="right")
    asked.add_argument("--pose", nargs="+", default=[LOW_LIGHT, *PUBLIC], help="networks [%(default)s]")
    asked.add_argument("--extent", type=float, help="of a person's crop [the network's own, 1]")
    given = asked.parse_args()
    console, rig = Console(width=140), load_rig("exlpose-small")
    networks = {name: load_recogniser(name) for name in given.pose}
    if given.extent is not None:
        if not EXTENTS[0] <= given.extent <= EXTENTS[1]:
            asked.error(f"--extent {given.extent}: expected a number from {EXTENTS[0]:g} to {EXTENTS[1]:g}")
        for recogniser in networks.values():
            recogniser.extent = given.extent
    measure("built-in scenes", RigPairs(rig, TEST_SEED, given.scenes), networks, given.flip, console)
    if not PHOTOS.is_dir():
        console.print(f"no photographs at {PHOTOS}: skipped")
        return
    with tempfile.TemporaryDirectory() as folder:
        links = last_photos(PHOTOS, min(given.photos, HELD_OUT), Path(folder))
        photos = Photos(links, None, rig.height_px, rig.width_px)
        pairs = RigPairs(rig, TEST_SEED, len(photos), photos, shots_per_scene=1)
        measure("photographs never trained on", pairs, networks, given.flip, console)


if __name__ == "__main__":
    main()
