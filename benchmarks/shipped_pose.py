"""The network that comes with the package, on what it never saw: built-in scenes, and the last 300 of the photographs.

    python benchmarks/shipped_pose.py [--scenes 24] [--photos 300] [--flip right] [--extent 1.2]

Built-in scenes of the test seed at all their shots; the last 300 photographs of Leeds Sports Pose Extended (by name),
each at one drawn shot, through `exlpose-small`. AP over true boxes, PCK@0.2 of the torso, for each split and the
well-lit arm, with their standard error over scenes. `--extent` shows the network wider crops than the released
test does.
"""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.choices import EXTENTS, TEST_SEED
from models.data.samples import PairSource, RigPairs, shots
from models.recognisers.loading import load_recogniser
from models.recognisers.recogniser import Recogniser
from models.runs.evaluation import score_table
from models.scoring.average_precision import Protocol
from models.scoring.poses import find_poses

PHOTOS = Path("../shared/data/photos/lspet")
HELD_OUT = 300


def last_photos(folder: Path, count: int, into: Path) -> Path:
    """A folder of links to the last photographs and to all annotations."""
    for path in sorted((folder / "images").iterdir())[-count:]:
        (into / path.name).symlink_to(path.resolve())
    (into / "annotations.json").symlink_to((folder / "annotations.json").resolve())
    return into


def measure(title: str, source: PairSource, recogniser: Recogniser, flip: str, console: Console) -> None:
    """Score and print."""
    poses = find_poses(recogniser, shots(source, shown=True), flip)
    words = f"{len(poses.truth['WL'])} shots, flip {flip}, extent {recogniser.extent:g}"
    judged = poses.judged(Protocol(flip=flip, extent=recogniser.extent, seed=TEST_SEED))
    console.print(score_table(f"{title}: {words}", judged))


def main() -> None:
    """Both test sets."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=24)
    asked.add_argument("--photos", type=int, default=HELD_OUT)
    asked.add_argument("--flip", default="right")
    asked.add_argument("--pose", help="another network than the shipped one")
    asked.add_argument("--extent", type=float, help="of a person's crop [the network's own, 1]")
    given = asked.parse_args()
    console, rig, recogniser = Console(width=140), load_rig("exlpose-small"), load_recogniser(given.pose)
    if given.extent is not None:
        if not EXTENTS[0] <= given.extent <= EXTENTS[1]:
            asked.error(f"--extent {given.extent}: expected a number from {EXTENTS[0]:g} to {EXTENTS[1]:g}")
        recogniser.extent = given.extent
    measure("built-in scenes", RigPairs(rig, TEST_SEED, given.scenes), recogniser, given.flip, console)
    if not PHOTOS.is_dir():
        console.print(f"no photographs at {PHOTOS}: skipped")
        return
    with tempfile.TemporaryDirectory() as folder:
        links = last_photos(PHOTOS, min(given.photos, HELD_OUT), Path(folder))
        photos = Photos(links, None, rig.height_px, rig.width_px)
        pairs = RigPairs(rig, TEST_SEED, len(photos), photos, shots_per_scene=1)
        measure("photographs never trained on", pairs, recogniser, given.flip, console)


if __name__ == "__main__":
    main()
