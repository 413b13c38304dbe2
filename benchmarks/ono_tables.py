"""Ono et al.'s tables (VISAPP 2024) in simulation: with and without the module, its ablations, its orders.

    python benchmarks/ono_tables.py [--lines ours E,G,S gamma] [--seeds 3] [--pose NETWORK]     # built-in scenes
    python benchmarks/ono_tables.py --data out/photos --judge out/other-photos      # folders of isp_sim.generate
    python benchmarks/ono_tables.py --scale full --data out/exlpose --judge out/exlpose-test

Most lines are a training of the predictor before the same frozen network: by the paper's recipe (shared exposure and
gamma, smoothing for each channel, the 8-bit picture, the pose loss alone), or `ours`, which develops the raw before
quantisation, noise first (`informed`: the predictor sees exposure, noise and a histogram too; `per person`:
parameters for everybody). `baselines` and the classical enhancers learn nothing; the former bring an oracle. `quick`
learns from few pairs for a short time, `full` for the paper's ten epochs. PCK@0.2 of the torso, its difference to the
baseline with a paired bootstrap over scenes, and AP, which is near zero for a network that hardly sees. What is
finished is kept in `--out`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from isp_sim.files import write_atomically
from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table
from models.choices import LEARN_POSE
from models.data.samples import FolderPairs, HeldPairs, PairSample, PairSource, RigPairs, scene_of, shots
from models.engine.distributed import pick_device
from models.engine.training import load_recipe, with_options
from models.enhance.enhancer import CLASSICAL, load_enhancer
from models.enhance.poses import enhanced_by
from models.isp.fixed_settings import best_fixed, start_fixed, training_shots
from models.isp.grid_search import GRID, QUICK_GRID, Steps
from models.isp.learned import LearnedIsp
from models.isp.predictor import Predictor
from models.isp.table import (
    Method,
    Oracle,
    Row,
    compare,
    developed_by,
    gap_closed,
    mean_scaled,
    not_enhanced,
    well_lit,
)
from models.recognisers.loading import load_recogniser
from models.recognisers.recogniser import Recogniser
from models.runs.isp_training import IspRecipe, train
from models.scoring.average_precision import Protocol
from models.scoring.over_scenes import Joints, gain_text, pck_gain
from models.scoring.poses import LOW_SPLITS, Detector, Poses
from models.train_isp import KNOWN

PUBLISHED = {
    "E,G,S": 33.2, "E,G": 31.5, "E,S": 30.0, "G,S": 10.3,
    "E,S,G": 31.5, "S,E,G": 28.4, "S,G,E": 6.1, "G,E,S": 8.5, "G,S,E": 6.9,
    str(Row(Method.MEAN_SCALED)): 32.4, str(Row(Method.ORACLE)): 40.9,
}  # fmt: skip
"""Ono et al., Tables 2 (which steps) and 3 (in which order): AP@.5:.95 on the real LL-A."""
ORDERS = tuple(PUBLISHED)[:9]
STEP = {"E": "exposure", "G": "gamma", "S": "smoothing"}
OURS, BASELINES = "ours", "baselines"
VARIANTS: dict[str, dict[str, object]] = {
    OURS: {},
    "ours, one setting for all": {"one_for_all": True},
    "ours, informed": {"informed": True},
    "ours, informed, per person": {"informed": True, "per_person": True},
}
"""The predictor that sees the picture alone; none, one setting learned by the same loss; one that knows exposure, noise
and a histogram too; the same with parameters for everybody."""
SAME_FIXED = "best fixed, ours"
"""The best setting of the grid for our order of steps: where `ours` starts, one for all pictures."""
UNLEARNED = (BASELINES, SAME_FIXED, *CLASSICAL)
LINES = (BASELINES, SAME_FIXED, *VARIANTS, *ORDERS, *CLASSICAL)
LEARN_SCENES, JUDGE_SCENES, LEARN_SEED, JUDGE_SEED = 160, 40, 2001, 31
LEARN_PAIRS = 640
"""Of a folder, for `quick`: the first."""
EPOCHS, FIXED_SHOTS = 3, 48
"""Of `quick`; a photograph shows one person, so that a dozen shots would be too few for the best fixed setting."""
BASELINE = Row(Method.MEAN_SCALED)


@dataclass(frozen=True)
class Line:
    """What one row of the table scored.

    Attributes:
        joints: of each split and picture, joints near enough and labelled.
        ap: on LL-A.
    """

    joints: dict[str, Joints]
    ap: float

    @classmethod
    def of(cls, poses: Poses) -> "Line":
        """Poses scored."""
        ap = poses.scores(Protocol(flip="none"), ["LL-A"])["LL-A"].ap
        return cls({split: poses.joints(split) for split in LOW_SPLITS}, ap)

    def pck(self, split: str) -> float:
        """PCK@0.2 of the torso; NaN where nobody's torso is labelled."""
        near, labelled = np.sum(list(self.joints[split].values()) or [(0, 0)], axis=0)
        return 100 * float(near) / float(labelled) if labelled else float("nan")


Found = dict[str, list[Line]]
"""One seed after the other, by the row's name."""


def recipe_of(scale: str, name: str, seed: int, epochs: int | None = None) -> IspRecipe:
    """The paper's recipe with other steps, or ours; `quick` sees thumbnails and fewer people for fewer epochs."""
    paper, first_look = load_recipe(IspRecipe, "isp", KNOWN), load_recipe(IspRecipe, "isp-quick", KNOWN)
    ours = name in VARIANTS or name == SAME_FIXED
    recipe = first_look.model_copy(update=VARIANTS.get(name, {})) if ours else paper
    if name in ORDERS:
        steps = [STEP[letter] for letter in name.split(",")]
        recipe = recipe.model_copy(update={"pipeline": Pipeline.model_validate({"steps": steps})})
    quick = scale == "quick"
    training = with_options(
        (first_look if quick else paper).training, seed, EPOCHS if quick and epochs is None else epochs
    )
    people = first_look.people_a_picture if quick else recipe.people_a_picture
    look = "thumbnail" if quick else recipe.look  # photographs are smaller than the paper's crops
    changes = {"training": training, "people_a_picture": people, "look": look, "fixed_shots": FIXED_SHOTS}
    return recipe.model_copy(update=changes)


def run(
    recipe: IspRecipe, scale: str, name: str, recogniser: Recogniser, learn: PairSource, judged: PairSource, out: Path
) -> dict[str, Line]:
    """One line of the command, trained if it learns: its rows of the table."""
    folder = out / f"{name.replace(',', '').replace(' ', '-')}-{recipe.training.seed}"
    kept = folder / "scores.json"
    if kept.is_file():
        return {row: Line(**one) for row, one in json.loads(kept.read_text(encoding="utf-8")).items()}
    folder.mkdir(parents=True, exist_ok=True)
    if name == BASELINES:
        grid = QUICK_GRID if scale == "quick" else GRID
        rows = baselines(recogniser, grid, training_shots(learn, recipe.fixed_shots), judged, out / "oracle")
    elif name == SAME_FIXED:
        isp = LearnedIsp(Predictor(recipe.pipeline, torch.Generator(), crop="thumbnail"), recipe.pipeline)
        start_fixed(isp, recogniser, recipe.input, training_shots(learn, recipe.fixed_shots))
        rows = {name: over(judged, developed_by(isp, recogniser, recipe.input, "none"))}
    elif name in CLASSICAL:
        rows = {name: over(judged, enhanced_by(load_enhancer(name), recogniser, "none"))}
    else:
        resume = (folder / "checkpoint.safetensors").is_file()
        isp = train(recipe, recogniser, learn, folder, resume, {"benchmark": "ono_tables"}, Console(quiet=True))
        rows = {name: over(judged, developed_by(isp, recogniser, recipe.input, "none"))}
    found = {row: Line.of(poses) for row, poses in rows.items()}
    write_atomically(kept, json.dumps({row: vars(one) for row, one in found.items()}).encode())
    return found


def baselines(
    recogniser: Recogniser, grid: Steps, fixed_on: Sequence[PairSample], judged: PairSource, cache: Path
) -> dict[str, Poses]:
    """All rows that learn nothing: the picture, Lee's scaling of it and of the raw, a grid over the raw, well-lit."""
    candidates = {
        Row(Method.NONE): not_enhanced(recogniser, "none"),
        BASELINE: mean_scaled(recogniser, "none"),
        Row(Method.MEAN_SCALED, "raw"): mean_scaled(recogniser, "none", "raw"),
        Row(Method.WELL_LIT): well_lit(recogniser, "none"),
    }
    fixed = best_fixed(recogniser, Pipeline(), fixed_on, "raw", grid, "none")
    table = compare(recogniser, shots(judged), candidates, Oracle(Pipeline(), grid, {"raw": fixed}, cache), "none")
    return {str(row): poses for row, poses in table.items() if not row.cross_validated}


def over(judged: PairSource, detect: Detector) -> Poses:
    """One detector over all the shots."""
    poses = Poses()
    for sample in shots(judged):
        if sample.labelled:
            poses.add_low_light(sample.split, sample.name, sample.labelled, detect(sample))
    return poses


def over_seeds(lines: list[Line]) -> Joints:
    """LL-A's joints of each picture, near ones as a mean over the seeds."""
    every = [line.joints["LL-A"] for line in lines]
    return {name: (float(np.mean([one[name][0] for one in every])), joints[1]) for name, joints in every[0].items()}


def cells(name: str, lines: list[Line], found: Found) -> tuple[str, ...]:
    """A row: PCK of each split, mean ± standard deviation over seeds, differences, AP."""

    def figure(values: list[float]) -> str:
        spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{spread}"

    ours, gains = over_seeds(lines), []
    for base in (str(BASELINE), SAME_FIXED):
        gain = pck_gain(ours, over_seeds(found[base]), scene_of) if base in found and base != name else None
        gains.append(gain_text(*gain) if gain else "")
    ap = [figure([line.ap for line in lines]), str(PUBLISHED.get(name, ""))]
    return (name, *(figure([line.pck(split) for line in lines]) for split in LOW_SPLITS), *gains, *ap)


def print_table(found: Found, console: Console) -> None:
    """Every row, and how far towards the well-lit picture each is."""
    headings = ("PCK@0.2", *LOW_SPLITS, f"over {BASELINE}", f"over {SAME_FIXED}", "AP LL-A", "published AP")
    rows = [cells(name, lines, found) for name, lines in found.items()]
    console.print(terminal_table("the frozen network, mean ± standard deviation over seeds", headings, rows))
    if str(BASELINE) in found:
        mean = {name: float(np.mean([line.pck("LL-A") for line in lines])) for name, lines in found.items()}
        low, high = mean[str(BASELINE)], mean[str(Method.WELL_LIT)]
        for name, value in mean.items():
            console.print(f"{name}: {100 * gap_closed(value, low, high):.0f} % of the way to {Method.WELL_LIT}")


def sources(given: argparse.Namespace) -> tuple[PairSource, PairSource]:
    """What to learn from and what to be judged on."""
    if given.data:
        stop = LEARN_PAIRS if given.scale == "quick" else None
        learn, judged = (
            FolderPairs(given.data, stop=stop, pre_quantisation=True),
            FolderPairs(given.judge, None, None, True),
        )
        return (HeldPairs(learn), judged) if stop else (learn, judged)
    rig = load_rig("exlpose-small")
    return (
        HeldPairs(RigPairs(rig, LEARN_SEED, LEARN_SCENES, pre_quantisation=True, shots_per_scene=1)),
        HeldPairs(RigPairs(rig, JUDGE_SEED, JUDGE_SCENES, pre_quantisation=True, shots_per_scene=1)),
    )


def main() -> None:
    """Train what is missing, print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--scale", choices=("quick", "full"), default="quick")
    asked.add_argument("--seeds", type=int, default=1, help="of the trainings [%(default)s]")
    asked.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES))
    asked.add_argument("--epochs", type=int, help="instead of the scale's")
    asked.add_argument("--pose", default=LEARN_POSE, help="frozen network [%(default)s]")
    asked.add_argument("--data", type=Path, help="generated folder to learn from [built-in scenes]")
    asked.add_argument("--judge", type=Path, help="generated folder to be judged on, with --data")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    console = Console(width=160)
    if bool(given.data) != bool(given.judge) or (given.scale == "full" and not given.data):
        sys.exit("--data goes with --judge, --scale full with both")
    recogniser = load_recogniser(given.pose).to(pick_device(given.device))
    on = given.judge.name if given.judge else "people"
    out = given.out or Path("out") / "-".join(["ono", given.scale, on, Path(given.pose).stem])
    found: Found = {}
    learn, judged = sources(given)
    for seed in range(given.seeds):
        for name in (n for n in given.lines if not seed or n not in UNLEARNED):
            recipe = recipe_of(given.scale, name, seed, given.epochs)
            for row, line in run(recipe, given.scale, name, recogniser, learn, judged, out).items():
                found.setdefault(row, []).append(line)
            console.print(f"seed {seed}  {name}")
    print_table(found, console)


if __name__ == "__main__":
    main()
