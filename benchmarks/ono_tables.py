"""Ono et al.'s tables (VISAPP 2024) in simulation: with and without the module, its ablations, its orders.

    python benchmarks/ono_tables.py --scale quick [--seeds 3] [--pose WEIGHTS or well-lit]
    python benchmarks/ono_tables.py --scale quick --photos ../shared/data/photos/lspet
    python benchmarks/ono_tables.py --scale full --data out/exlpose --judge out/exlpose-test

Every line is one training of the predictor before the same frozen network, by the paper's recipe (shared exposure and
gamma, smoothing for each channel, the 8-bit picture, the pose loss alone); `ours` develops the raw before
quantisation, noise first; a classical enhancer learns nothing. `quick`: built-in scenes, or photographs of a folder
(learned from the first, judged on the last), few and short; `full`: the paper's ten epochs over the folders given.
Published AP stands below. What is finished is kept in `--out`.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from shipped_pose import last_photos

from isp_sim.files import write_atomically
from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig
from isp_sim.scenes.photos import Photos
from models.data.samples import FolderPairs, HeldPairs, PairSource, RigPairs, shots
from models.engine.distributed import pick_device
from models.engine.training import load_recipe, with_options
from models.enhance.enhancer import CLASSICAL, load_enhancer
from models.enhance.poses import enhanced_by
from models.isp.grid_search import GRID, QUICK_GRID
from models.isp.table import Method, Row, developed_by, gaps
from models.recognisers.loading import load_recogniser
from models.recognisers.recogniser import Recogniser
from models.runs.isp_training import IspRecipe, judge, train
from models.scoring.average_precision import Protocol
from models.scoring.poses import LOW_SPLITS, Detector, Poses
from models.train_isp import KNOWN

ORDERS = {  # Ono et al., AP@.5:.95: LL-N, LL-H, LL-E, LL-A; None where the paper gives LL-A alone
    "E,G,S": (42.6, 34.1, 20.0, 33.2),
    "E,G": (40.5, 32.3, 18.0, 31.5),
    "E,S": (37.3, 31.6, 19.1, 30.0),
    "G,S": (20.2, 8.0, 1.1, 10.3),
    "E,S,G": (None, None, None, 31.5),
    "S,E,G": (None, None, None, 28.4),
    "S,G,E": (None, None, None, 6.1),
    "G,E,S": (None, None, None, 8.5),
    "G,S,E": (None, None, None, 6.9),
}
"""Table 2 (which steps) and Table 3 (in which order)."""
WITHOUT, ORACLE_PUBLISHED = (42.1, 33.8, 18.0, 32.4), (51.5, 41.4, 27.0, 40.9)
STEP = {"E": "exposure", "G": "gamma", "S": "smoothing"}
OURS_FROM_RAW, OURS_CHANNELS = "ours", "ours, a gain a channel"
LEARN_SCENES, JUDGE_SCENES, LEARN_SEED, JUDGE_SEED = 40, 16, 2001, 31
LEARN_PHOTOS, JUDGE_PHOTOS = 160, 150
LINES = (OURS_FROM_RAW, OURS_CHANNELS, *ORDERS, *CLASSICAL)
REFINEMENT_STEPS, EPOCHS = 10, 6
"""Of the gradient, of the second oracle; epochs of `quick`."""


LEARNED = Row(Method.LEARNED)
ROWS = {
    str(row): row for row in (Row(m, what, cv) for m in Method for what in ("picture", "raw") for cv in (False, True))
}
"""By their text in `scores.json`."""
Scores = dict[Row, dict[str, float]]
"""AP of each split of each row."""
Found = dict[str, list[Scores]]
"""A seed after the other, by the line's name."""


def recipe_of(scale: str, name: str, seed: int, small: bool = False, epochs: int | None = None) -> IspRecipe:
    """The paper's recipe with other steps, or ours; `quick` looks at fewer people for fewer epochs, faster.

    Pictures too `small` for the paper's 256×256 crops are looked at as thumbnails.
    """
    paper, first_look = load_recipe(IspRecipe, "isp", KNOWN), load_recipe(IspRecipe, "isp-quick", KNOWN)
    recipe = first_look if name in (OURS_FROM_RAW, OURS_CHANNELS) else paper
    if name == OURS_CHANNELS:
        settings: dict[str, object] = {"exposure": {"per_channel": True}}
        listed = [{entry.name: settings.get(entry.name, {})} for entry in recipe.pipeline.steps]
        recipe = recipe.model_copy(update={"pipeline": Pipeline.model_validate({"steps": listed})})
    elif name in ORDERS:
        steps = [STEP[letter] for letter in name.split(",")]
        recipe = recipe.model_copy(update={"pipeline": Pipeline.model_validate({"steps": steps})})
    quick = scale == "quick"
    training = with_options(
        (first_look if quick else paper).training, seed, EPOCHS if quick and epochs is None else epochs
    )
    people = first_look.people_a_picture if quick else recipe.people_a_picture
    look = "thumbnail" if small else recipe.look
    return recipe.model_copy(update={"training": training, "people_a_picture": people, "look": look})


def scored(rows: dict[Row, Poses]) -> Scores:
    """AP of each row and split."""
    return {
        row: {split: one.ap for split, one in poses.scores(Protocol(flip="none"), LOW_SPLITS).items()}
        for row, poses in rows.items()
    }


def read_scores(file: Path) -> Scores | None:
    """What `run` kept; None where there is nothing, or rows of an older version."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (
        {ROWS[name]: splits for name, splits in content.items()} if content and content.keys() <= ROWS.keys() else None
    )


def run(
    recipe: IspRecipe, scale: str, name: str, recogniser: Recogniser, learn: PairSource, judged: PairSource, out: Path
) -> Scores:
    """Train one line and score it; the line of our own is scored beside baselines and oracles."""
    folder = out / f"{name.replace(',', '').replace(' ', '-')}-{recipe.training.seed}"
    kept = folder / "scores.json"
    if (before := read_scores(kept)) is not None:
        return before
    if name in CLASSICAL:
        folder.mkdir(parents=True, exist_ok=True)
        rows = {LEARNED: over(judged, enhanced_by(load_enhancer(name), recogniser, "none"))}
    else:
        resume = (folder / "checkpoint.safetensors").is_file()
        isp = train(recipe, recogniser, learn, folder, resume, {"benchmark": "ono_tables"}, Console(quiet=True))
        if name == OURS_FROM_RAW:
            grid, cache = QUICK_GRID if scale == "quick" else GRID, out / "oracle"
            rows = judge(isp, recogniser, recipe.input, learn, shots(judged), "none", grid, cache, REFINEMENT_STEPS)
        else:
            rows = {LEARNED: over(judged, developed_by(isp, recogniser, recipe.input, "none"))}
    found = scored(rows)
    write_atomically(kept, json.dumps({str(row): splits for row, splits in found.items()}).encode())
    return found


def over(judged: PairSource, detect: Detector) -> Poses:
    """One detector over all the shots."""
    poses = Poses()
    for sample in shots(judged):
        if sample.labelled:
            poses.add_low_light(sample.split, sample.name, sample.labelled, detect(sample))
    return poses


def line(values: list[dict[str, float]]) -> list[str]:
    """Mean ± standard deviation over seeds of each split."""
    table = np.array([[one[split] for split in LOW_SPLITS] for one in values])
    spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.zeros(table.shape[1])
    return [f"{m:.1f} ± {s:.1f}" for m, s in zip(table.mean(axis=0), spread, strict=True)]


def print_tables(found: Found, console: Console) -> None:
    """Ours in simulation, the published figures below each line."""
    table = Table(title="AP of the frozen network (published below)")
    for heading in ("input", *LOW_SPLITS):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    published = {Row(Method.MEAN_SCALED): WITHOUT, Row(Method.ORACLE): ORACLE_PUBLISHED}
    for row in found.get(OURS_FROM_RAW, [{}])[0]:
        table.add_row(str(row), *line([one[row] for one in found[OURS_FROM_RAW]]))
        if row in published:
            table.add_row("  published", *map(str, published[row]), style="dim")
    if OURS_CHANNELS in found:
        table.add_row(OURS_CHANNELS, *line([one[LEARNED] for one in found[OURS_CHANNELS]]))
    for name, theirs in ORDERS.items():
        if name in found:
            table.add_row(f"learned {name}", *line([one[LEARNED] for one in found[name]]))
            table.add_row("  published", *("" if v is None else str(v) for v in theirs), style="dim")
    for name in (n for n in CLASSICAL if n in found):
        table.add_row(name, *line([one[LEARNED] for one in found[name]]))
    console.print(table)
    for one in found.get(OURS_FROM_RAW, []):
        for gap in gaps({row: splits["LL-A"] for row, splits in one.items()}):
            console.print(str(gap))


def sources(given: argparse.Namespace, links: Path) -> tuple[PairSource, PairSource]:
    """What to learn from and what to be judged on; `links` is an empty folder."""
    rig = load_rig("exlpose-small")
    if given.scale == "full":
        return FolderPairs(given.data, pre_quantisation=True), FolderPairs(given.judge, pre_quantisation=True)
    if given.photos:
        first, last = (
            Photos(folder, None, rig.height_px, rig.width_px)
            for folder in (given.photos, last_photos(given.photos, JUDGE_PHOTOS, links))
        )
        return (
            HeldPairs(RigPairs(rig, LEARN_SEED, LEARN_PHOTOS, first, pre_quantisation=True, shots_per_scene=1)),
            HeldPairs(RigPairs(rig, JUDGE_SEED, JUDGE_PHOTOS, last, pre_quantisation=True, shots_per_scene=1)),
        )
    return (
        HeldPairs(RigPairs(rig, LEARN_SEED, LEARN_SCENES, pre_quantisation=True)),
        HeldPairs(RigPairs(rig, JUDGE_SEED, JUDGE_SCENES, pre_quantisation=True)),
    )


def main() -> None:
    """Train what is missing, print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", choices=("quick", "full"), default="quick")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES))
    asked.add_argument("--epochs", type=int, help="instead of the scale's")
    asked.add_argument("--pose", help="frozen network [the shipped one]")
    asked.add_argument("--photos", type=Path, help="folder of photographs with annotations.json, for quick")
    asked.add_argument("--data", type=Path, help="generated folder to learn from, for full")
    asked.add_argument("--judge", type=Path, help="generated folder to be judged on, for full")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    console = Console()
    if (given.scale == "full") != bool(given.data and given.judge):
        sys.exit("--scale full takes --data and --judge, quick takes neither")
    recogniser = load_recogniser(given.pose).to(pick_device(given.device))
    with tempfile.TemporaryDirectory() as links:
        learn, judged = sources(given, Path(links))
        parts = [
            "ono",
            given.scale if given.scale == "full" else f"quick-{given.epochs or EPOCHS}",
            *(["photos"] if given.photos else []),
            *([Path(given.pose).stem] if given.pose else []),
        ]
        found = lines_of(given, recogniser, learn, judged, given.out or Path("out") / "-".join(parts), console)
    print_tables(found, console)


def lines_of(
    given: argparse.Namespace,
    recogniser: Recogniser,
    learn: PairSource,
    judged: PairSource,
    out: Path,
    console: Console,
) -> Found:
    """Every line of every seed."""
    found: Found = {}
    for seed in range(given.seeds):
        for name in (n for n in given.lines if not seed or n not in CLASSICAL):
            recipe = recipe_of(given.scale, name, seed, bool(given.photos), given.epochs)
            scores = run(recipe, given.scale, name, recogniser, learn, judged, out)
            found.setdefault(name, []).append(scores)
            console.print(f"seed {seed}  {name}  " + "  ".join(f"{k} {v:.1f}" for k, v in scores[LEARNED].items()))
    return found


if __name__ == "__main__":
    main()
