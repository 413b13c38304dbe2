"""Lee et al.'s Tables 2 to 4 (ExLPose, CVPR 2023) in simulation: every variant trained alike, beside the published AP.

    python benchmarks/lee_tables.py --scale quick [--data PAIRS] [--photos DIR] [--seeds 0 1 2] [--variants lsbn+lupi …]
    python benchmarks/lee_tables.py --scale full --data ExLPose-or-generated --judge ExLPose-test

`quick` trains MoveNet Lightning from its published weights (recipe `lightning`) on crops of 128 px, a quarter of an
hour of a busy core or less for one variant and seed; what is short is the schedule, so the order of the variants is
what to look at. It learns from the first `--pairs` of a folder that `isp_sim.generate` wrote, or from built-in scenes,
and is judged on built-in scenes of another seed and on the last 300 of `--photos`, one shot each (as `shipped_pose.py`
does). `full` is the released training of the ResNet-50 network. What is finished is kept in `--out` and not trained
again; one variant and seed is one training. `lime+all` and `raw-stage+all` learn from enhanced low-light pictures and
are judged on such; beside each training stands the processor time for one person's crop.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from shipped_pose import HELD_OUT, PHOTOS, last_photos

from isp_sim.annotation_files import SPLITS
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.choices import TEST_SEED, WEIGHTS
from models.data.samples import FolderPairs, HeldPairs, PairSource, RigPairs, scene_of, shots
from models.engine.distributed import pick_device
from models.engine.training import load_recipe
from models.enhance.enhancer import load_enhancer
from models.enhance.pairs import EnhancedPairs
from models.pose.variants import VARIANTS
from models.raw_stage.stage import RestoredPairs, load_stage
from models.recognisers.loading import load_recogniser
from models.runs.pose_training import PoseRecipe, train
from models.scoring.average_precision import Protocol
from models.scoring.over_scenes import deviations
from models.scoring.poses import find_poses
from models.train_pose import KNOWN

PUBLISHED = {  # AP@.5:.95 with true boxes: LL-N, LL-H, LL-E, LL-A, WL
    "baseline-low": (32.6, 25.1, 13.8, 24.6, 1.6),
    "baseline-well": (23.5, 7.5, 1.1, 11.5, 68.8),
    "baseline-all": (33.8, 25.4, 14.3, 25.4, 57.9),
    "baseline-all-apart": (33.8, 25.4, 14.3, 25.4, 57.9),  # the paper does not say how its batches are made
    "dann": (34.9, 24.9, 13.3, 25.4, 58.6),
    "advent": (35.6, 23.5, 8.8, 23.8, 62.4),
    "lupi": (34.2, 23.1, 11.2, 24.0, 61.7),
    "lsbn": (39.0, 30.2, 18.3, 30.1, 67.2),
    "lsbn+lupi-feat": (39.7, 30.8, 17.4, 30.4, 65.2),
    "lsbn+lupi": (42.3, 34.0, 18.6, 32.7, 68.5),
    "unpaired": (41.1, 30.7, 15.5, 30.2, 65.9),
    "uda": (5.0, 4.7, 4.5, 4.6, 52.8),
    "lime+all": (38.3, 25.6, 12.5, 26.6, 63.0),
    "raw-stage+all": (35.2, 20.1, 8.3, 22.1, 65.1),
}
"""Lee et al., Tables 2 and 4; Table 3's columns are the splits. The last is LLFlow's, a normalising flow of tens of
millions of weights that no processor trains; our learned raw stage stands in its place."""
ENHANCED = ("lime+all", "raw-stage+all")
"""Baseline-all on pairs whose low-light pictures are enhanced first, in training and in the test."""
TABLES = {
    "Table 2: against other methods": (
        "baseline-low",
        "baseline-well",
        "baseline-all",
        "baseline-all-apart",
        "dann",
        "advent",
        *ENHANCED,
        "lsbn+lupi",
    ),
    "Table 4: what each part does": ("baseline-all", "lupi", "lsbn", "lsbn+lupi-feat", "lsbn+lupi", "unpaired", "uda"),
}
DIFFERENCES = (
    ("lsbn+lupi", "baseline-all"),
    ("lsbn+lupi", "baseline-all-apart"),
    ("lsbn", "baseline-all"),
    ("lsbn", "baseline-all-apart"),
    ("lupi", "baseline-all"),
    ("lime+all", "baseline-all"),
    ("raw-stage+all", "baseline-all"),
    ("lsbn+lupi", "raw-stage+all"),
)
"""Whose lead over whom is printed with its errors."""
LEARN_SCENES, JUDGE_SCENES, LEARN_SEED, JUDGE_SEED = 400, 16, 1001, 31
CROP, PEOPLE_A_BATCH, SCORES = 128, 8, "scores.json"
Scores = dict[str, dict[str, dict[str, list[float]]]]
"""By judged set, split and `AP` or `PCK`: the score, then its deviations with other scenes."""


def recipe_of(scale: str, variant: str, seed: int, size: str = "lightning") -> PoseRecipe:
    """The same training for every variant."""
    recipe = load_recipe(PoseRecipe, "exlpose" if scale == "full" else "lightning", KNOWN)
    changed: dict[str, object] = {"seed": seed}
    if scale == "quick":
        changed["epochs"] = 1
        recipe = recipe.model_copy(update={"size": size, "crop": (CROP, CROP), "people_a_batch": PEOPLE_A_BATCH})
    training = recipe.training.model_copy(update=changed)
    trained_as = "baseline-all" if variant in ENHANCED else variant
    return recipe.model_copy(update={"variant": trained_as, "training": training})


def as_seen_by(variant: str, source: PairSource) -> PairSource:
    """A source with its low-light pictures enhanced, where the variant wants that."""
    if variant == "lime+all":
        return HeldPairs(EnhancedPairs(source, load_enhancer("lime")))
    return HeldPairs(RestoredPairs(source, load_stage("faithful"))) if variant == "raw-stage+all" else source


def per_person_ms(network: str | Path, crop: tuple[int, int] | None, repeat: int = 20) -> float:
    """Processor time of one person's crop through a network, ms, on one thread."""
    recogniser = load_recogniser(network)
    crops = torch.full((1, 3, *(crop or recogniser.input_size)), 0.4)
    with torch.inference_mode():
        recogniser(crops)
        start = time.process_time()
        for _ in range(repeat):
            recogniser(crops)
    return 1000 * (time.process_time() - start) / repeat


def trained_and_scored(
    recipe: PoseRecipe, learn: PairSource, judged: Mapping[str, PairSource], folder: Path, device: torch.device
) -> Scores:
    """Scores of a training's network; from the folder if it was done before."""
    if not (folder / SCORES).is_file():
        resume = (folder / "checkpoint.safetensors").is_file()
        train(recipe, learn, None, folder, device, 0, resume, {"benchmark": "lee_tables"}, Console(quiet=True))
    return scored(folder / WEIGHTS, recipe, judged, folder, device)


def scored(
    network: str | Path, recipe: PoseRecipe, judged: Mapping[str, PairSource], folder: Path, device: torch.device
) -> Scores:
    """Scores of a network on crops as its recipe has them; from the folder if it was done before."""
    kept = folder / SCORES
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        scores = {name: scores_of(network, recipe.crop, source, device) for name, source in judged.items()}
        write_atomically(kept, json.dumps(scores).encode())
    return dict(json.loads(kept.read_text()))


def scores_of(
    name: str | Path, crop: tuple[int, int] | None, judged: PairSource, device: torch.device
) -> dict[str, dict[str, list[float]]]:
    """AP and PCK of each split with their deviations; small crops where it learned from such, without a flip test."""
    network = load_recogniser(name).to(device)
    network.input_size = crop or network.input_size
    flip = "none" if crop else "right"
    poses, protocol = find_poses(network, shots(judged), flip), Protocol(flip=flip)
    ap, pck = poses.scores(protocol), poses.pck()
    scores = {}
    for split in SPLITS:
        moved = deviations(poses.truth[split], poses.found[split], protocol, scene_of).round(4).T.tolist()
        scores[split] = {"AP": [ap[split].ap, *moved[0]], "PCK": [pck[split], *moved[1]]}
    return scores


def over(runs: Sequence[Scores], judged: str, split: str, score: str) -> np.ndarray:
    """A score and its deviations of each seed, `(seeds, 1 + draws)`."""
    return np.array([one[judged][split][score] for one in runs])


def print_tables(found: Mapping[str, Sequence[Scores]], judged: str, console: Console) -> None:
    """PCK and AP of the seeds' mean ± standard error over scenes, the published AP below."""
    for title, variants in TABLES.items():
        if not found.keys() & variants:
            continue
        table = Table(title=f"{title}; judged on {judged}: PCK@0.2 (AP)")
        for heading in ("variant", "seeds", *SPLITS):
            table.add_column(heading, justify="left" if heading == "variant" else "right")
        for variant in (v for v in variants if v in found):
            cells = []
            for split in SPLITS:
                pck, ap = (over(found[variant], judged, split, score).mean(axis=0) for score in ("PCK", "AP"))
                cells.append(f"{pck[0]:.1f} ± {pck[1:].std(ddof=1):.1f} ({ap[0]:.1f} ± {ap[1:].std(ddof=1):.1f})")
            table.add_row(variant, str(len(found[variant])), *cells)
            table.add_row("  published AP", "", *(f"{v}" for v in PUBLISHED[variant]), style="dim")
        console.print(table)


def print_differences(found: Mapping[str, Sequence[Scores]], judged: str, console: Console) -> None:
    """How far one variant is ahead, over the seeds both have: ± over scenes (paired), ± over seeds, both together."""
    for ours, base in ((a, b) for a, b in DIFFERENCES if a in found and b in found):
        seeds = min(len(found[ours]), len(found[base]))
        for split in ("LL-A", "WL"):
            words = []
            for score in ("PCK", "AP"):
                ahead = over(found[ours][:seeds], judged, split, score) - over(
                    found[base][:seeds], judged, split, score
                )
                by_seed, mean = ahead[:, 0], ahead.mean(axis=0)
                scenes = mean[1:].std(ddof=1)
                of_seeds = by_seed.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else float("nan")
                each = ", ".join(f"{one:+.1f}" for one in by_seed)
                both = np.hypot(scenes, of_seeds)
                words.append(f"{score} {mean[0]:+.1f} ± {scenes:.1f} ± {of_seeds:.1f} = ± {both:.1f} ({each})")
            console.print(f"{judged}, {ours} − {base}, {split}: " + "; ".join(words))


def built_in(seed: int, scenes: int, a_scene: int | None) -> PairSource:
    """Shots of built-in scenes, kept in memory."""
    return HeldPairs(RigPairs(load_rig("exlpose-small"), seed, scenes, shots_per_scene=a_scene, raw=True))


def photographs(folder: Path, links: Path) -> PairSource:
    """The last photographs through the rig, one shot each, as `shipped_pose.py` shoots them."""
    rig = load_rig("exlpose-small")
    photos = Photos(last_photos(folder, HELD_OUT, links), None, rig.height_px, rig.width_px)
    return HeldPairs(RigPairs(rig, TEST_SEED, len(photos), photos, shots_per_scene=1, raw=True))


def main() -> None:
    """Train what is missing, print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", choices=("quick", "full"), default="quick")
    asked.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked.add_argument("--variants", nargs="+", choices=(*VARIANTS, *ENHANCED), default=list(PUBLISHED))
    asked.add_argument("--data", type=Path, help="folder of pairs to learn from [quick: built-in scenes]")
    asked.add_argument("--pairs", type=int, default=2000, help="of --data, for quick [%(default)s]")
    asked.add_argument("--judge", type=Path, help="folder to be judged on, for full")
    asked.add_argument("--photos", type=Path, default=PHOTOS, help="whose last 300 judge quick [%(default)s]")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    console, device, full = Console(width=160), pick_device(given.device), given.scale == "full"
    if full != bool(given.judge) or (full and not given.data):
        sys.exit("--scale full takes --data and --judge, quick takes no --judge")
    out = given.out or Path("out") / f"lee-{given.scale}"
    found: dict[str, list[Scores]] = {}
    with tempfile.TemporaryDirectory() as links:
        if full:
            judged: dict[str, PairSource] = {given.judge.name: FolderPairs(given.judge)}
        else:
            judged = {"built-in scenes": built_in(JUDGE_SEED, JUDGE_SCENES, 2)}
            if given.photos.is_dir():
                judged["photographs"] = photographs(given.photos, Path(links))
        learn = built_in(LEARN_SEED, LEARN_SCENES, 1)
        if given.data:
            raw = "raw-stage+all" in given.variants
            learn = FolderPairs(given.data, 0, None if full else given.pairs, labelled=True, raw=raw)
        learned_from = {variant: as_seen_by(variant, learn) for variant in given.variants}  # enhanced once
        seen_by = {v: {n: as_seen_by(v, one) for n, one in judged.items()} for v in given.variants}
        for seed in given.seeds:
            for variant in given.variants:
                recipe = recipe_of(given.scale, variant, seed)
                folder = out / f"{variant}-{seed}"
                scores = trained_and_scored(recipe, learned_from[variant], seen_by[variant], folder, device)
                found.setdefault(variant, []).append(scores)
                taken = per_person_ms(folder / WEIGHTS, recipe.crop)
                console.print(f"seed {seed}  {variant}  {summary(scores)}  {taken:.1f} ms a person")
    for name in judged:
        print_tables(found, name, console)
        print_differences(found, name, console)


def summary(scores: Scores) -> str:
    """PCK of each split of each set, in a line."""
    return "; ".join(
        f"{name}: " + "  ".join(f"{split} {one['PCK'][0]:.1f}" for split, one in splits.items())
        for name, splits in scores.items()
    )


if __name__ == "__main__":
    main()
