"""The network that comes with the package, on what it never saw: built-in scenes, and the last 300 of the photographs.

    python benchmarks/shipped_pose.py [--scenes 24] [--photos 300] [--flip right]

Built-in scenes of the test seed at all their shots; the last 300 photographs of Leeds Sports Pose Extended (by name),
each at one drawn shot, through `exlpose-small`. AP over true boxes, PCK@0.2 of the torso, for each split and the
well-lit arm.
"""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.evaluate import HEADINGS, TEST_SEED, rows
from models.pose.evaluation import find_poses
from models.pose.recogniser import load_recogniser
from models.pose.samples import PairSource, RigPairs, shots
from models.scoring.average_precision import Protocol

PHOTOS = Path("../shared/data/photos/lspet")
HELD_OUT = 300


def last_photos(folder: Path, count: int, into: Path) -> Path:
    """A folder of links to the last photographs and to all annotations."""
    for path in sorted((folder / "images").iterdir())[-count:]:
        (into / path.name).symlink_to(path.resolve())
    (into / "annotations.json").symlink_to((folder / "annotations.json").resolve())
    return into


def measure(title: str, source: PairSource, pose: str | None, flip: str, console: Console) -> None:
    """Score and print."""
    poses = find_poses(load_recogniser(pose), shots(source, console), flip)
    table = Table(title=f"{title}: {len(poses.truth['WL'])} shots, flip {flip}")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for row in rows(poses.scores(Protocol(flip=flip, seed=TEST_SEED)), poses.pck()):
        table.add_row(*row)
    console.print(table)


def main() -> None:
    """Both test sets."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scenes", type=int, default=24)
    asked.add_argument("--photos", type=int, default=HELD_OUT)
    asked.add_argument("--flip", default="right")
    asked.add_argument("--pose", help="another network than the shipped one")
    given = asked.parse_args()
    console, rig = Console(), load_rig("exlpose-small")
    measure("built-in scenes", RigPairs(rig, TEST_SEED, given.scenes), given.pose, given.flip, console)
    if not PHOTOS.is_dir():
        console.print(f"no photographs at {PHOTOS}: skipped")
        return
    with tempfile.TemporaryDirectory() as folder:
        links = last_photos(PHOTOS, min(given.photos, HELD_OUT), Path(folder))
        photos = Photos(links, None, rig.height_px, rig.width_px)
        pairs = RigPairs(rig, TEST_SEED, len(photos), photos, shots_per_scene=1)
        measure("photographs never trained on", pairs, given.pose, given.flip, console)


if __name__ == "__main__":
    main()
