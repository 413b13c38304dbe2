"""Lee et al.'s Tables 2 to 4 (ExLPose, CVPR 2023) in simulation: every variant trained alike, beside the published AP.

    python benchmarks/lee_tables.py --scale quick [--seeds 3] [--variants lsbn+lupi baseline-all]
    python benchmarks/lee_tables.py --scale full --data ExLPose-or-generated --judge ExLPose-test

`quick` trains a tiny network (128×96, ResNet-10 of a quarter of the width) on built-in scenes: its AP says nothing
about the real data set's; the order of the variants is what to look at. `full` is the released training of the
ResNet-50 network. What is finished is kept in `--out` and not trained again; one variant and seed is one training.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from isp_sim.annotation_files import SPLITS
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from models.choices import WEIGHTS
from models.data.samples import FolderPairs, HeldPairs, PairSource, RigPairs, shots
from models.engine.distributed import pick_device
from models.engine.training import Recipe, load_recipe
from models.pose.variants import VARIANTS
from models.recognisers.loading import load_recogniser
from models.runs.pose_training import PoseRecipe, train
from models.scoring.average_precision import Protocol
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
}
"""Lee et al., Tables 2 and 4; Table 3's columns are the splits."""
TABLES = {
    "Table 2: against other methods": (
        "baseline-low",
        "baseline-well",
        "baseline-all",
        "baseline-all-apart",
        "dann",
        "advent",
        "lsbn+lupi",
    ),
    "Table 4: what each part does": ("baseline-all", "lupi", "lsbn", "lsbn+lupi-feat", "lsbn+lupi", "unpaired", "uda"),
}
LEARN_SCENES, JUDGE_SCENES, LEARN_SEED, JUDGE_SEED = 100, 16, 1001, 31


def recipe_of(scale: str, variant: str, seed: int, epochs: int) -> PoseRecipe:
    """The same training for every variant; `epochs` is of `quick`."""
    if scale == "full":
        released = load_recipe(PoseRecipe, "exlpose", KNOWN)
        training = released.training.model_copy(update={"seed": seed})
        return released.model_copy(update={"variant": variant, "training": training})
    training = Recipe(epochs=epochs, learning_rate=2e-3, decay="cosine", clip_norm=1.0, seed=seed)
    return PoseRecipe(variant=variant, size="tiny", people_a_batch=24, validation_scenes=0, training=training)


def trained_and_scored(
    recipe: PoseRecipe, scale: str, learn: PairSource, judged: PairSource, out: Path, device: torch.device
) -> dict[str, float]:
    """AP of each split; from the folder if it was done before."""
    seed = recipe.training.seed
    folder = out / f"{recipe.variant}-{seed}"
    kept = folder / "scores.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    resume = (folder / "checkpoint.safetensors").is_file()
    train(recipe, learn, None, folder, device, 0, resume, {"benchmark": "lee_tables"}, Console(quiet=True))
    flip = "none" if scale == "quick" else "right"
    poses = find_poses(load_recogniser(folder / WEIGHTS).to(device), shots(judged), flip)
    scores = {split: one.ap for split, one in poses.scores(Protocol(flip=flip, seed=seed)).items()}
    write_atomically(kept, json.dumps(scores).encode())
    return scores


def print_tables(found: dict[str, list[dict[str, float]]], console: Console) -> None:
    """Ours as mean ± standard deviation over seeds, the published figure below."""
    for title, variants in TABLES.items():
        table = Table(title=title)
        for heading in ("variant", *SPLITS):
            first = heading == "variant"
            table.add_column(heading, justify="left" if first else "right", min_width=18 if first else None)
        for variant in (v for v in variants if v in found):
            values = np.array([[one[split] for split in SPLITS] for one in found[variant]])
            spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(SPLITS))
            table.add_row(variant, *(f"{m:.1f} ± {s:.1f}" for m, s in zip(values.mean(axis=0), spread, strict=True)))
            table.add_row("  published", *(f"{v}" for v in PUBLISHED[variant]), style="dim")
        console.print(table)
    means = {v: float(np.mean([one["LL-A"] for one in runs])) for v, runs in found.items()}
    console.print("LL-A in simulation: " + " > ".join(sorted(means, key=means.__getitem__, reverse=True)))
    ours = "lsbn+lupi"
    for base, split in itertools.product(("baseline-all", "baseline-all-apart"), ("LL-A", "WL")):
        if ours in found and base in found:
            wins = [a[split] - b[split] for a, b in zip(found[ours], found[base], strict=True)]
            console.print(f"{ours} over {base} on {split}, seed by seed: " + ", ".join(f"{w:+.1f}" for w in wins))


def main() -> None:
    """Train what is missing, print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", choices=("quick", "full"), default="quick")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--epochs", type=int, default=28, help="of quick [%(default)s]")
    asked.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(PUBLISHED))
    asked.add_argument("--data", type=Path, help="folder to learn from, for full")
    asked.add_argument("--judge", type=Path, help="folder to be judged on, for full")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    console, device = Console(), pick_device(given.device)
    if (given.scale == "full") != bool(given.data and given.judge):
        sys.exit("--scale full takes --data and --judge, quick takes neither")
    learn: PairSource = HeldPairs(RigPairs(load_rig("exlpose-small"), LEARN_SEED, LEARN_SCENES))
    judged: PairSource = HeldPairs(RigPairs(load_rig("exlpose-small"), JUDGE_SEED, JUDGE_SCENES))
    if given.scale == "full":
        learn, judged = FolderPairs(given.data), FolderPairs(given.judge)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        for variant in given.variants:
            recipe = recipe_of(given.scale, variant, seed, given.epochs)
            out = given.out or Path("out") / f"lee-{given.scale}-{recipe.training.epochs}"
            scores = trained_and_scored(recipe, given.scale, learn, judged, out, device)
            found.setdefault(variant, []).append(scores)
            console.print(f"seed {seed}  {variant}  " + "  ".join(f"{k} {v:.1f}" for k, v in scores.items()))
    print_tables(found, console)


if __name__ == "__main__":
    main()
