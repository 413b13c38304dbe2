"""What a frozen public network sees of the dark: the raw as it is, classical denoising, the learned raw stages.

    python benchmarks/raw_stage.py [--raw-stage faithful tuned] [--photos 300] [--scenes 60]
    python benchmarks/raw_stage.py --kept --scenes 0            # 103 other photographs, to choose by
    python benchmarks/raw_stage.py --kept --scenes 0 --light 4  # what limits it: an ND filter of 4 %

The last 300 photographs of Leeds Sports Pose Extended (by name) and built-in scenes of the test seed, one drawn shot
each, through `exlpose-small`. PCK@0.2 over true boxes, no flip test. Rows: 8 bits with each channel at a mean of 0.4
(Lee et al.); the same before 8 bits; from there grey and a Gaussian of 1 px, a bilateral filter, non-local means
(OpenCV), wavelets (scikit-image, of the extra `bench`); our pipeline of steps before sRGB at its start, nothing
learned; enhancers of the 8-bit picture (LIME, and weights of `models.train_enhancer`); the raw stages; the well-lit
picture. ± is the standard error over photographs or scenes, "of the way" the share of the distance from Lee's scaling
to the well-lit picture, with its 95 % interval (bootstrap over them).
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from shipped_pose import HELD_OUT, PHOTOS, last_photos

from isp_sim.isp.develop import UNCUT
from isp_sim.isp.pipeline import Pipeline, load_pipeline
from isp_sim.isp.raw_light import raw_light
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.choices import RAW_STAGES, TEST_SEED
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import PairSample, PairSource, RigPairs, scene_of, shots
from models.enhance.enhancer import Enhancer, load_enhancer
from models.raw_stage.network import RawNet
from models.raw_stage.stage import load_stage, restored
from models.recognisers.inference import detect, detect_in
from models.recognisers.loading import LOW_LIGHT, MOVENETS, load_recogniser
from models.recognisers.recogniser import Recogniser
from models.scoring.over_scenes import drawn_pck
from models.scoring.poses import LOW_SPLITS, Poses

Develop = Callable[[PairSample], np.ndarray]
"""A shot → what the network sees, float32 `(height, width, 3)`, 1 is white."""
LEE, TOP = "8 bits, mean 0.4 (Lee)", "well-lit picture"
TUNED_FOR = {LOW_LIGHT: "raw stage, tuned-low-light"}
"""The stage that each network's table compares with the others; elsewhere `tuned`."""
RAW_STEPS = Path(__file__).parents[1] / "models" / "recipes" / "pipeline-raw.yaml"
KEPT = 103
"""Photographs that no training saw and no table is made of."""


def lifted(shot: PairSample) -> np.ndarray:
    """The picture before 8 bits, each channel brought to a mean of 0.4."""
    assert shot.pre_quantisation is not None
    return shot.pre_quantisation * (0.4 / shot.pre_quantisation.mean(axis=(0, 1)).clip(1e-6)).astype(np.float32)


def grey(shot: PairSample) -> np.ndarray:
    """Mean of the channels, blurred."""
    blurred = cv2.GaussianBlur(lifted(shot).mean(axis=2), (0, 0), 1.0)
    return np.repeat(blurred[..., None], 3, axis=2)


def bilateral(shot: PairSample) -> np.ndarray:
    """OpenCV's, σ of 2 px and of a quarter of white, in codes."""
    return cv2.bilateralFilter(lifted(shot).clip(0, 1).astype(np.float32), 9, 0.25, 2.0)


def non_local_means(shot: PairSample) -> np.ndarray:
    """OpenCV's, in 8 bits after the lift, h = 20."""
    codes = (lifted(shot).clip(0, 1) * 255).astype(np.uint8)
    return cv2.fastNlMeansDenoisingColored(codes, None, 20, 20, 5, 15).astype(np.float32) / 255


def enhanced(enhancer: Enhancer, shot: PairSample) -> np.ndarray:
    """The 8-bit picture enhanced, as 8 bits, then each channel at a mean of 0.4."""
    return normalise(enhancer.enhance(shot.low_light), "mean-0.4")


def wavelet(shot: PairSample) -> np.ndarray:
    """scikit-image's, Y, Cb and Cr apart, BayesShrink, the noise found in the picture."""
    from skimage.restoration import denoise_wavelet

    lit = lifted(shot).clip(0, 1)
    return np.asarray(denoise_wavelet(lit, channel_axis=2, convert2ycbcr=True, rescale_sigma=True), np.float32)


def our_steps(pipeline: Pipeline, shot: PairSample) -> np.ndarray:
    """Our pipeline of raw steps where its parameters start, the same for every shot but for the exposure."""
    assert shot.raw is not None
    with torch.inference_mode():
        light = raw_light(shot.raw, UNCUT)
        return pipeline(light, pipeline.base(light))[0].permute(1, 2, 0).clamp(0, 1).numpy()


def rows(stages: dict[str, RawNet], enhancers: Sequence[Enhancer]) -> dict[str, Develop]:
    """Every development of a low-light shot, by the name of its row."""
    found: dict[str, Develop] = {
        LEE: lambda shot: normalise(shot.low_light, "mean-0.4"),
        "raw, mean 0.4": lifted,
        "raw, grey, Gaussian 1 px": grey,
        "raw, bilateral": bilateral,
        "raw, non-local means": non_local_means,
        "raw, wavelets": wavelet,
        "raw, our steps": partial(our_steps, load_pipeline(RAW_STEPS)),
    }
    found |= {f"8 bits, {one.name}": partial(enhanced, one) for one in enhancers}
    for name, network in stages.items():
        found[f"raw stage, {name}"] = partial(staged, network)
    return found


def staged(network: RawNet, shot: PairSample) -> np.ndarray:
    """What a raw stage makes of a shot, in 8 bits."""
    return normalise(restored(shot, network).low_light, "none")


def look(
    source: PairSource, recognisers: dict[str, Recogniser], developments: dict[str, Develop]
) -> dict[tuple[str, str], Poses]:
    """Poses by row and network, shot by shot: a shot is developed once for all networks."""
    found: dict[tuple[str, str], Poses] = {}
    for shot in shots(source, shown=True):
        if not (people := shot.labelled):
            continue
        for row, develop in developments.items():
            picture = np.ascontiguousarray(develop(shot), np.float32)
            for name, recogniser in recognisers.items():
                seen = detect_in(recogniser, [picture], people, LOW, "none")
                found.setdefault((row, name), Poses()).add_low_light(shot.split, shot.name, people, seen)
        for name, recogniser in recognisers.items():
            seen = detect(recogniser, shot.well_lit, people, WELL, "none")
            found.setdefault((TOP, name), Poses()).add_low_light(shot.split, shot.name, people, seen)
    return found


def print_table(title: str, found: dict[tuple[str, str], Poses], name: str, judged: str, console: Console) -> None:
    """One network's rows; `judged` is the row that the others are compared with."""
    table = Table(title=f"{title}, {name}: PCK@0.2")
    for heading in ("", *LOW_SPLITS, "of the way on LL-A (95 %)", f"{judged} − this, LL-A (95 %)"):
        table.add_column(heading, justify="left" if not heading else "right")
    poses = {row: some for (row, who), some in found.items() if who == name}
    drawn = {
        split: dict(zip(poses, drawn_pck([one.joints(split) for one in poses.values()], scene_of).T, strict=True))
        for split in LOW_SPLITS
        if next(iter(poses.values())).truth[split]
    }
    all_splits = drawn["LL-A"]
    for row in poses:
        cells = [f"{drawn[s][row][0]:.1f} ± {drawn[s][row][1:].std():.1f}" if s in drawn else "" for s in LOW_SPLITS]
        way = 100 * (all_splits[row] - all_splits[LEE]) / (all_splits[TOP] - all_splits[LEE])
        table.add_row(row, *cells, _interval(way, ".0f", " %"), _interval(all_splits[judged] - all_splits[row], "+.1f"))
    console.print(table)


def _interval(values: np.ndarray, form: str, unit: str = "") -> str:
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return f"{values[0]:{form}}{unit} ({low:{form}} … {high:{form}})"


def with_light(rig: Rig, times: float) -> Rig:
    """The rig with an ND filter that passes so many times the light."""
    passed = rig.nd_filter.transmittance
    lighter = passed.model_copy(update={"value": tuple(times * share for share in passed.value)})
    return rig.model_copy(update={"nd_filter": rig.nd_filter.model_copy(update={"transmittance": lighter})})


def main() -> None:
    """Both test sets."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--raw-stage", nargs="+", default=[*RAW_STAGES], help="of the package, or weights [%(default)s]")
    asked.add_argument("--enhancer", nargs="+", default=["lime"], help="of the 8-bit picture [%(default)s]")
    asked.add_argument("--photos", type=int, default=HELD_OUT)
    asked.add_argument("--kept", action="store_true", help=f"the {KEPT} photographs before the last {HELD_OUT}")
    asked.add_argument("--scenes", type=int, default=60)
    asked.add_argument("--light", type=float, default=1.0, help="times what the ND filter passes [%(default)s]")
    asked.add_argument("--pose", nargs="+", default=[*MOVENETS], help="networks [%(default)s]")
    given = asked.parse_args()
    console, rig = Console(width=170), with_light(load_rig("exlpose-small"), given.light)
    stages = {Path(name).parent.name or name: load_stage(name) for name in given.raw_stage}
    recognisers = {name: load_recogniser(name) for name in given.pose}
    developments = rows(stages, [load_enhancer(name) for name in given.enhancer])
    known = [*developments]

    def measure(title: str, source: PairSource) -> None:
        found = look(source, recognisers, developments)
        for name in recognisers:
            wanted = TUNED_FOR.get(name, "raw stage, tuned")
            judged = wanted if wanted in known else known[-1]
            print_table(f"{title}, light × {given.light:g}", found, name, judged, console)

    if given.photos:
        with tempfile.TemporaryDirectory() as folder:
            which = (KEPT, Path(folder), HELD_OUT) if given.kept else (given.photos, Path(folder))
            photos = Photos(last_photos(PHOTOS, *which), None, rig.height_px, rig.width_px)
            measure("photographs never trained on", RigPairs(
                rig, TEST_SEED, len(photos), photos, pre_quantisation=True, shots_per_scene=1, raw=True
            ))  # fmt: skip
    if given.scenes:
        measure("built-in scenes", RigPairs(
            rig, TEST_SEED, given.scenes, pre_quantisation=True, shots_per_scene=1, raw=True
        ))  # fmt: skip


if __name__ == "__main__":
    main()
