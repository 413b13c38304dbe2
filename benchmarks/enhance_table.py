"""All enhancers on held-out pairs, in one table: quality, naturalness, poses a frozen network finds, cost.

    python benchmarks/enhance_table.py [--scale quick|full] [--pose NETWORK] [--data PAIRS] [--isp WEIGHTS] [--only …]

Trains what learns (a training that is there already is taken), on pairs of rigs/exlpose-small.yaml and on pairs that
rigs/gladnet.yaml makes from raws of the same rig; then judges everything on scenes of another seed. Peers in the same
run: the input as it is, Lee's mean of 0.4, the classical enhancers, and Ono's learned ISP where --isp names one. Ends
with what was asked: GLADNet against its input, SLLEN against its ablations, SDAG's effect on the PCK over seeds.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from isp_sim import generate, html_report
from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from models.choices import LEARN_POSE, WEIGHTS
from models.data.samples import FolderPairs, HeldPairs, JoinedPairs, PairSource, RigPairs, shots
from models.enhance.comparison import (
    MEAN_SCALED,
    MEASURES,
    NOT_ENHANCED,
    PROTOCOL,
    EnhancedRow,
    compare_enhancers,
    inputs,
    of_isp,
)
from models.enhance.enhancer import CLASSICAL, Enhancer, load_enhancer, load_network_by_name
from models.enhance.networks.sdag import Stem, stem_of
from models.enhance.recipe import EnhancerRecipe, Frozen, load_recipe
from models.enhance.weights import load_sdag
from models.isp.learned import load_weights
from models.recognisers.loading import load_recogniser
from models.recognisers.weights import SHIPPED, load_network
from models.runs.enhancer_training import train
from models.scoring.niqe import published_pristine

TRAIN_SEED, TEST_SEED = 0, 31
SHOTS_A_SCENE = 4
"""About; a folder holds pairs, a rig shoots scenes."""
PAIRS_A_RAW = 8
CPU = torch.device("cpu")
ABLATIONS = {
    "sllen": (),
    "sllen without HSBAB": ("attention",),
    "sllen without RSAEB": ("modulation",),
    "plain U-Net": ("attention", "modulation", "fusion"),
    "sllen trained apart": ("alternating",),
}
GAIN_ASKED_DB = 4.0


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        learn, judge: scenes, or raws.
        recipe: of every training.
        epochs: instead of the recipe's; None keeps them.
        seeds: of SDAG's effect.
    """

    learn: int
    judge: int
    recipe: str
    epochs: int | None
    seeds: tuple[int, ...]


SCALES = {"quick": Scale(16, 3, "quick", None, (0, 1, 2)), "full": Scale(400, 40, "full", None, (0, 1, 2))}


@dataclass
class Bench:
    """One set of pairs: what learns from it, what is judged on it.

    Attributes:
        name: of the rig.
        learn, judge: pairs.
        semantic: whether they have maps.
        out: folder of the trainings.
    """

    name: str
    learn: PairSource
    judge: PairSource
    semantic: bool
    out: Path


def benches(given: argparse.Namespace, scale: Scale) -> list[Bench]:
    """Pairs of both rigs; raws are shot where they are not there yet."""
    rig = load_rig("exlpose-small")
    learn: PairSource
    if given.data:
        learn = JoinedPairs(
            [FolderPairs(folder, stop=SHOTS_A_SCENE * scale.learn, semantic=True) for folder in given.data]
        )
    else:
        learn = HeldPairs(RigPairs(rig, TRAIN_SEED, scale.learn))
    judge = HeldPairs(RigPairs(rig, TEST_SEED, scale.judge))
    found = [Bench("exlpose-small", learn, judge, True, given.out / "exlpose-small")]
    if given.rig != "exlpose-small":
        pairs = [
            raw_pairs(given.out, *part)
            for part in (("learn", scale.learn, TRAIN_SEED), ("judge", scale.judge, TEST_SEED))
        ]
        found.append(Bench("gladnet", HeldPairs(pairs[0]), HeldPairs(pairs[1]), False, given.out / "gladnet"))
    return [bench for bench in found if given.rig in (None, bench.name)]


def raw_pairs(out: Path, part: str, count: int, seed: int) -> FolderPairs:
    """Raws of the small rig, one a scene, and the pairs that `rigs/gladnet.yaml` makes of them."""
    raws, pairs = out / f"raws-{part}-{count}", out / f"pairs-{part}-{count}"
    common = ["--seed", str(seed), "--workers", "1"]
    for folder, arguments in (
        (raws, ["--rig", "exlpose-small", "--shots-per-scene", "1", "--count", str(count)]),
        (pairs, ["--rig", "gladnet", "--scenes", str(raws / "raw"), "--count", str(PAIRS_A_RAW * count)]),
    ):
        if not (folder / "manifest.jsonl").exists():
            resume = ["--resume"] if (folder / "run.json").exists() else []
            if generate.main([*arguments, *common, *resume, "--out", str(folder)]):
                raise ValueError(f"{folder}: could not be made")
    return FolderPairs(pairs)


def learned(
    bench: Bench, label: str, model: str, scale: Scale, console: Console, stem: Stem | None = None, seed: int = 0,
    without: tuple[str, ...] = (), guidance: Path | None = None,
) -> Path:  # fmt: skip
    """Weights of one training, trained unless they are there."""
    folder = bench.out / label.replace(" ", "-")
    weights = folder / WEIGHTS
    if weights.exists():
        return weights
    recipe = load_recipe(scale.recipe, model)
    training = recipe.training.model_copy(update={"seed": seed} | ({"epochs": scale.epochs} if scale.epochs else {}))
    changes: dict[str, object] = {"training": training}
    if bench.name == "gladnet":
        changes["scaling"] = "none"  # its pairs are as bright as the paper's
    recipe = EnhancerRecipe.model_validate(
        recipe.model_copy(update=changes | dict.fromkeys(without, False)).model_dump()
    )
    console.print(f"{bench.name}: {label}", highlight=False)
    enhancer = None
    if model == "sdag":  # it rebuilds what an enhancer of its own kind of input makes
        enhancer, _, scaling = load_network_by_name("zero-dce")
        recipe = recipe.model_copy(update={"scaling": scaling})
    train(
        model, recipe, bench.learn, None, folder, CPU, (folder / "checkpoint.safetensors").exists(),
        {"data": bench.name}, console, Frozen(load_sdag(guidance) if guidance else None, stem, enhancer),
    )  # fmt: skip
    return weights


def enhancers(bench: Bench, given: argparse.Namespace, scale: Scale, stem: Stem, console: Console) -> list[Enhancer]:
    """Everything that the table compares, trained."""
    wanted = given.only
    found = inputs() + [Enhancer(name, CLASSICAL[name]) for name in CLASSICAL if not wanted or name in wanted]
    if given.isp:
        found.append(of_isp(load_weights(given.isp)))

    def add(label: str, model: str, **how: object) -> None:
        if not wanted or model in wanted:
            weights = learned(bench, label, model, scale, console, **how)  # type: ignore[arg-type]
            one = load_enhancer(weights)
            found.append(Enhancer(label, one.enhance, one.parameters))

    add("gladnet", "gladnet")
    add("zero-dce++", "zero-dce++")
    if bench.semantic:
        for label, without in ABLATIONS.items():
            add(label, "sllen", without=without, stem=stem)
    guidance = None
    if not wanted or "sdag" in wanted:
        guidance = learned(bench, "sdag", "sdag", scale, console, stem)
    for model in ("zero-dce", "sci"):
        for seed in scale.seeds if guidance else scale.seeds[:1]:
            add(f"{model} seed {seed}", model, seed=seed)
            if guidance:
                add(f"{model}+sdag seed {seed}", model, seed=seed, guidance=guidance)
    return found


def lines(rows: Mapping[str, EnhancedRow]) -> list[tuple[str, ...]]:
    """The table's lines as text."""
    found = []
    for name, row in rows.items():
        means, pck = row.means(), row.pck()
        figures = [
            f"{means[measure]:.2f}" if "SSIM" not in measure else f"{means[measure]:.3f}" for measure in MEASURES
        ]
        splits = [f"{pck[split]:.1f}" if split in pck else "-" for split in ("LL-N", "LL-H", "LL-E", "LL-A")]
        wall, processor = (statistics.median(values) for values in (row.seconds, row.processor_seconds))
        found.append((name, *figures, *splits, f"{row.parameters:,}", f"{wall:.2f}", f"{processor:.2f}"))
    return found


HEADINGS = ("enhancer", *MEASURES, "LL-N", "LL-H", "LL-E", "LL-A", "parameters", "s a picture", "processor s")


def verdicts(bench: Bench, rows: Mapping[str, EnhancedRow]) -> list[str]:
    """What was asked for, held or not, in words."""
    said = []
    psnr = {name: row.means()["PSNR"] for name, row in rows.items()}
    if "gladnet" in rows:
        for name in (NOT_ENHANCED, MEAN_SCALED):
            gain = psnr["gladnet"] - psnr[name]
            held = "held" if gain >= GAIN_ASKED_DB else "missed"
            said.append(f"GLADNet over its input {name}: {gain:+.2f} dB PSNR (asked {GAIN_ASKED_DB:g}): {held}")
    for name in ABLATIONS:
        if name != "sllen" and {name, "sllen"} <= rows.keys():
            ahead = psnr["sllen"] - psnr[name]
            said.append(f"SLLEN over {name}: {ahead:+.2f} dB PSNR: {'held' if ahead > 0 else 'missed'}")
    for model in ("zero-dce", "sci"):
        pairs = [(f"{model} seed {n}", f"{model}+sdag seed {n}") for n in range(100)]
        gains = [
            rows[guided].pck()["LL-A"] - rows[plain].pck()["LL-A"]
            for plain, guided in pairs
            if {plain, guided} <= rows.keys() and rows[plain].pck()
        ]
        if gains:
            listed = ", ".join(f"{gain:+.2f}" for gain in gains)
            mean = statistics.mean(gains)
            spread = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
            said.append(f"SDAG's effect on {model}, LL-A PCK over {len(gains)} seeds: {mean:+.2f}{spread} ({listed})")
    return [f"{bench.name}: {one}" for one in said]


def main() -> int:
    """Train, judge, print, write a page."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--scale", choices=tuple(SCALES), default="quick")
    asked.add_argument("--pose", default=LEARN_POSE, help="frozen pose network [%(default)s]")
    asked.add_argument("--data", type=Path, action="append", help="training pairs, ExLPose's layout [shot by the rig]")
    asked.add_argument("--isp", type=Path, help="Ono's learned ISP (.safetensors)")
    asked.add_argument("--rig", choices=("exlpose-small", "gladnet"), help="one of the sets [both]")
    asked.add_argument("--only", nargs="+", help="some of the enhancers")
    asked.add_argument("--epochs", type=int, help="instead of the recipes'")
    asked.add_argument("--out", type=Path, default=Path("out/enhance-table"))
    given = asked.parse_args()
    told = SCALES[given.scale]
    scale = Scale(told.learn, told.judge, told.recipe, given.epochs, told.seeds)
    console = Console(width=220)
    try:
        recogniser, stem = load_recogniser(given.pose), stem_of(load_network(SHIPPED))
        blocks = [html_report.text(PROTOCOL, "Protocol")]
        for bench in benches(given, scale):
            bench.out.mkdir(parents=True, exist_ok=True)
            compared = enhancers(bench, given, scale, stem, console)
            pristine = published_pristine()
            judged = list(shots(bench.judge, shown=True))
            rows = compare_enhancers(compared, judged, pristine, recogniser if bench.semantic else None)
            title = f"{bench.name}: {len(judged)} held-out pairs, {given.scale}; learned from {len(bench.learn)} groups"
            table = Table(title=title)
            for heading in HEADINGS:
                table.add_column(heading, justify="left" if heading == "enhancer" else "right")
            for line in lines(rows):
                table.add_row(*line)
            console.print(table)
            said = verdicts(bench, rows)
            console.print(*said, sep="\n", highlight=False)
            blocks += [html_report.text("", title), html_report.table(HEADINGS, lines(rows))]
            blocks += [html_report.text(one) for one in said]
        write_atomically(given.out / "report.html", html_report.page("Enhancers", blocks))
    except (ValueError, OSError, FloatingPointError) as fault:
        print(f"enhance_table: {fault}", file=sys.stderr)
        return 1
    console.print(PROTOCOL)
    console.print(f"report {given.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
