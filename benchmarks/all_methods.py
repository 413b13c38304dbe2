"""Every method of the five papers, and ours, before two frozen networks: one table for each test set.

    python benchmarks/all_methods.py [--scale quick|full] [--enhancer gladnet=FILE …] [--isp ours=FILE …]

Photographs: the last of Leeds Sports Pose Extended (by name), one drawn shot each through `exlpose-small`, read by
MoveNet Lightning, which never saw the dark. Built-in people, one drawn shot a scene of the test seed, read by the
network that ships (`low-light`), which did. Rows: the picture as shot, Lee et al.'s mean of 0.4, classical enhancers,
learned ones (those that ship, and files of `models.train_enhancer` by `NAME=FILE`, SDAG's among them), Ono et al.'s
learned ISP (`--isp`), our raw stages, and the well-lit picture. An enhanced picture goes on as 8 bits, each channel
at a mean of 0.4, as low light does to these networks.

PSNR, SSIM, NIQE, LOE as `models.enhance.quality` has them, of 8 bits. PCK@0.2 of the torso and AP
over true boxes, no flip test, on LL-A. ± is the standard error over scenes; the last column but one is what the row
gains in PCK over Lee's scaling, with its 95 % interval over scenes, paired. `ms`: processor time for one shot, repeated
to 1920×1200, on one thread, without the network. `quick`: 100 photographs, 20 scenes; `full`: 300 and 60.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from shipped_pose import PHOTOS, last_photos

from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from isp_sim.units import Counts
from models.choices import LEARN_POSE, RAW_STAGES, TEST_SEED
from models.data.normalisation import LOW, WELL, Picture, normalise
from models.data.samples import PairSample, PairSource, RigPairs, scene_of, shots
from models.enhance.enhancer import CLASSICAL, SHIPPED, Enhancer, load_enhancer
from models.enhance.quality import MEASURES, measured
from models.isp.learned import LearnedIsp, learned_from, load_weights
from models.isp.learner import Input
from models.isp.table import developed
from models.raw_stage.network import RawNet
from models.raw_stage.stage import load_stage, restored
from models.recognisers.inference import detect, detect_in
from models.recognisers.loading import LOW_LIGHT, load_recogniser
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import Protocol
from models.scoring.niqe import niqe, published_pristine
from models.scoring.over_scenes import drawn_pck, gain_text, over_scenes
from models.scoring.poses import Poses

CPU = torch.device("cpu")
SCALES = {"quick": (100, 20), "full": (300, 60)}
"""Photographs, built-in scenes."""
HD = (1200, 1920)
AS_SHOT, LEE, TOP = "as shot", "mean 0.4 (Lee)", "well-lit picture"
DIGITS = {"PSNR": 1, "SSIM": 3, "NIQE": 1, "LOE": 0}
"""Of what is shown of `MEASURES`."""
HEADINGS = ("method", *DIGITS, "PCK@0.2, LL-A", "AP, LL-A", "PCK over mean 0.4 (95 %)", "ms")
Developed = tuple[Picture, np.ndarray]
"""8 bits, to be judged by its looks, and what the network sees, float32, 1 is white."""


@dataclass
class Figures:
    """A row so far.

    Attributes:
        quality: of each measure, a figure a picture.
        poses: found behind it.
    """

    quality: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    poses: Poses = field(default_factory=Poses)


def as_codes(picture: np.ndarray) -> Picture:
    """Rounded to 8 bits, cut at white."""
    return np.asarray((picture.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def as_shot(shot: PairSample) -> Developed:
    """The picture itself, not even scaled."""
    return shot.low_light, normalise(shot.low_light, "none")


def scaled(shot: PairSample) -> Developed:
    """Each channel at a mean of 0.4."""
    lifted = normalise(shot.low_light, "mean-0.4")
    return as_codes(lifted), lifted


def enhanced(enhancer: Enhancer, shot: PairSample) -> Developed:
    """Enhanced, as 8 bits; then as `scaled`."""
    picture = enhancer.enhance(shot.low_light)
    return picture, normalise(picture, "mean-0.4")


def learned(isp: LearnedIsp, what: Input, shot: PairSample) -> Developed:
    """After Ono et al.'s ISP, whose loss is the network's own."""
    picture = developed(isp, shot, what, CPU)
    return as_codes(picture), picture


def staged(network: RawNet, shot: PairSample) -> Developed:
    """After a raw stage, as 8 bits."""
    picture = restored(shot, network).low_light
    return picture, normalise(picture, "none")


def named(pairs: Iterable[str], option: str) -> dict[str, Path]:
    """`NAME=FILE` arguments.

    Raises:
        ValueError: one without `=`.
    """
    found = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not equals:
            raise ValueError(f"{option} {pair}: expected NAME=FILE")
        found[name] = Path(file)
    return found


def methods(enhancers: Mapping[str, Path], isps: Mapping[str, Path]) -> dict[str, Callable[[PairSample], Developed]]:
    """Every row but the well-lit picture's."""
    found: dict[str, Callable[[PairSample], Developed]] = {AS_SHOT: as_shot, LEE: scaled}
    for name in (*CLASSICAL, *SHIPPED):
        found[name] = partial(enhanced, load_enhancer(name))
    for name, file in enhancers.items():
        found[name] = partial(enhanced, load_enhancer(file))
    for name, file in isps.items():
        isp = load_weights(file, "thumbnail").eval()
        found[f"ISP (Ono), {name}"] = partial(learned, isp, "raw" if learned_from(file) == "raw" else "picture")
    for name in RAW_STAGES:
        found[f"raw stage, {name}"] = partial(staged, load_stage(name))
    return found


def look(
    source: PairSource, rows: Mapping[str, Callable[[PairSample], Developed]], recogniser: Recogniser
) -> dict[str, Figures]:
    """Every method over the same shots."""
    found = {name: Figures() for name in (*rows, TOP)}
    pristine = published_pristine()
    for shot in shots(source, shown=True):
        if not (people := shot.labelled):
            continue
        for name, develop in rows.items():
            codes, seen = develop(shot)
            row = found[name]
            for measure, value in measured(codes, shot, pristine).items():
                row.quality[measure].append(value)
            poses = detect_in(recogniser, [np.ascontiguousarray(seen, np.float32)], people, LOW, "none")
            row.poses.add_low_light(shot.split, shot.name, people, poses)
        top = found[TOP]
        top.quality["NIQE"].append(niqe(shot.well_lit, pristine))
        top.poses.add_low_light(shot.split, shot.name, people, detect(recogniser, shot.well_lit, people, WELL, "none"))
    return found


def large(shot: PairSample, height: int = HD[0], width: int = HD[1]) -> PairSample:
    """A shot repeated beside itself up to a size; its raw keeps the 2×2 tile, because its sides are even."""
    assert shot.raw is not None and shot.pre_quantisation is not None

    def repeated(plane: np.ndarray) -> np.ndarray:
        plane = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
        times = (-(-height // plane.shape[0]), -(-width // plane.shape[1]), *(1,) * (plane.ndim - 2))
        return np.ascontiguousarray(np.tile(plane, times)[:height, :width])

    raw = replace(shot.raw, counts=Counts(repeated(shot.raw.counts)))
    return replace(
        shot, low_light=repeated(shot.low_light), well_lit=repeated(shot.well_lit), raw=raw,
        pre_quantisation=repeated(shot.pre_quantisation), semantic=None,
    )  # fmt: skip


def milliseconds(rows: Mapping[str, Callable[[PairSample], Developed]], shot: PairSample) -> dict[str, float]:
    """Processor time of each method for one shot."""
    found = {}
    for name, develop in rows.items():
        start = time.process_time()
        develop(shot)
        found[name] = 1000 * (time.process_time() - start)
    return found


def lines(found: Mapping[str, Figures], taken: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The table's lines."""
    drawn = dict(zip(found, drawn_pck([one.poses.joints("LL-A") for one in found.values()], scene_of).T, strict=True))
    protocol = Protocol(flip="none", seed=TEST_SEED)
    table = []
    for name, row in found.items():
        quality = [_mean(row.quality[measure], digits) for measure, digits in DIGITS.items()]
        pck = f"{drawn[name][0]:.1f} ± {drawn[name][1:].std():.1f}"
        truth, seen = row.poses.truth["LL-A"], row.poses.found["LL-A"]
        ap = row.poses.scores(protocol, ["LL-A"])["LL-A"].ap
        error = over_scenes(truth, seen, protocol, scene_of).ap
        gain = drawn[name] - drawn[LEE]
        low, high = np.percentile(gain[1:], (2.5, 97.5))
        gained = "" if name == LEE else gain_text(gain[0], low, high)
        cost = f"{taken[name]:,.0f}" if name in taken else ""
        table.append((name, *quality, pck, f"{ap:.1f} ± {error:.1f}", gained, cost))
    return table


def _mean(values: Sequence[float], digits: int) -> str:
    known = np.array([value for value in values if np.isfinite(value)])
    return f"{known.mean():.{digits}f} ± {known.std(ddof=1) / len(known) ** 0.5:.{digits}f}" if len(known) > 1 else ""


def markdown(title: str, table: Sequence[tuple[str, ...]]) -> str:
    """As a page of docs has it."""
    rule = "|---" * len(HEADINGS) + "|"
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in [HEADINGS]), rule,
                      *("| " + " | ".join(row) + " |" for row in table), ""])  # fmt: skip


def photographs(count: int, links: Path, rig_name: str = "exlpose-small") -> RigPairs:
    """The last photographs through a rig, one shot each, with their raws."""
    rig = load_rig(rig_name)
    photos = Photos(last_photos(PHOTOS, count, links), None, rig.height_px, rig.width_px)
    return RigPairs(rig, TEST_SEED, len(photos), photos, pre_quantisation=True, shots_per_scene=1, raw=True)


def main() -> None:
    """Both sets, printed and written as Markdown."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", choices=tuple(SCALES), default="quick")
    asked.add_argument("--enhancer", nargs="+", default=[], help="NAME=weights of models.train_enhancer")
    asked.add_argument("--isp", nargs="+", default=[], help="NAME=weights of models.train_isp")
    asked.add_argument("--photos", type=int, help="instead of the scale's")
    asked.add_argument("--scenes", type=int, help="instead of the scale's")
    asked.add_argument("--untimed", action="store_true", help="leave out the milliseconds at 1920×1200")
    asked.add_argument("--rows", nargs="+", help=f"some rows by name; {LEE} comes along [all]")
    asked.add_argument("--only", choices=("photographs", "built-in", "ms"), help="a set, or the times alone [all]")
    asked.add_argument("--out", type=Path, default=Path("out/all-methods"))
    given = asked.parse_args()
    torch.set_num_threads(1)
    console = Console(width=170)
    rows = methods(named(given.enhancer, "--enhancer"), named(given.isp, "--isp"))
    if given.rows:
        rows = {name: develop for name, develop in rows.items() if name in (LEE, *given.rows)}
    photos, scenes = (
        own or scales for own, scales in zip((given.photos, given.scenes), SCALES[given.scale], strict=True)
    )
    with tempfile.TemporaryDirectory() as links:
        pictures, rig = photographs(photos, Path(links)), load_rig("exlpose-small")
        taken = {} if given.untimed else milliseconds(rows, large(pictures.group(0)[0]))
        for name, ms in taken.items():
            console.print(f"{name}: {ms:,.0f} ms", highlight=False)
        sets: dict[str, tuple[PairSource, str]] = {
            "photographs": (pictures, LEARN_POSE),
            "built-in": (
                RigPairs(rig, TEST_SEED, scenes, pre_quantisation=True, shots_per_scene=1, raw=True), LOW_LIGHT,
            ),
        }  # fmt: skip
        for name, (source, pose) in sets.items():
            if given.only in (None, name):
                found = look(source, rows, load_recogniser(pose))
                count = len(found[LEE].poses.truth["LL-A"])
                text = markdown(f"{name}, {count} shots, read by {pose}", lines(found, taken))
                given.out.mkdir(parents=True, exist_ok=True)
                write_atomically(given.out / f"{name}-{given.scale}.md", text.encode())
                console.print(text, markup=False, highlight=False)


if __name__ == "__main__":
    main()
