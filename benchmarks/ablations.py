"""SLLEN against its ablations, SDAG against none, GLADNet by what it learned from: over seeds, until curves lie flat.

    python benchmarks/ablations.py --rig RIG --photos-data PAIRS --people-data PAIRS [--only sllen sci zero-dce]
    python benchmarks/ablations.py --photos-data PAIRS --people-data PAIRS --other-data PAIRS --only gladnet

Learns from two folders that `isp_sim.generate --rig RIG` wrote: photographs, and built-in scenes with their semantic
maps. The last 16 pairs of each are kept back; their PSNR after every epoch is the curve. `--times 2` trains everything
twice as long, under names of its own: what that adds tells whether the curves of the first length lie flat. All rows
take the same number of steps of the enhancer: SLLEN-4, whose segmenter has its own half of the time, trains twice as
long. Patches of 48 px and SLLEN at a quarter of its width are what two cores can train. GLADNet learns from the
photographs, from the built-in people, and from `--other-data`, the same photographs through another camera: what it
gains may be knowledge of the one or of the other.

Judged on the photographs and built-in scenes of `all_methods.py`, through `--rig`: PSNR and SSIM; PCK of MoveNet
Lightning on photographs and of `low-light` on built-in people; box AP of the persons that MoveNet MultiPose finds,
each channel at a mean of 0.4; SLLEN's mean IoU. A difference is paired over seeds and scenes, and its error has both:
`√(s²_scenes + s²_seeds)`. What is finished is kept in `--out` and not trained again.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from all_methods import LEE, enhanced, photographs
from rich.console import Console
from rich.table import Table

from isp_sim.files import write_atomically
from isp_sim.rigfile import load_rig
from isp_sim.scenes.people.semantics import CLASSES
from models.choices import LEARN_POSE, TEST_SEED, WEIGHTS
from models.data.normalisation import LOW, Picture
from models.data.samples import FolderPairs, HeldPairs, JoinedPairs, PairSource, RigPairs, scene_of, shots
from models.engine.training import LOG
from models.enhance.enhancer import Enhancer, as_image, as_picture, load_enhancer, load_network_by_name
from models.enhance.networks.sdag import Stem, stem_of
from models.enhance.networks.sllen import Sllen
from models.enhance.recipe import EnhancerRecipe, Frozen, load_recipe
from models.enhance.weights import load_enhancer_network, load_sdag
from models.recognisers.detection import Detection
from models.recognisers.inference import detect_in
from models.recognisers.loading import LOW_LIGHT, load_recogniser
from models.recognisers.person_detector import PersonDetector, load_detector
from models.recognisers.weights import SHIPPED, load_network
from models.runs.enhancer_training import Semantic, mean_iou, train
from models.scoring.average_precision import Protocol
from models.scoring.boxes import score_boxes
from models.scoring.over_scenes import box_deviations, drawn_pck
from models.scoring.picture_quality import psnr_ssim
from models.scoring.poses import Poses

CPU = torch.device("cpu")
KEPT_BACK, PHOTOS, SCENES = 16, 100, 20
PATCHES: dict[str, object] = {"patch": 48, "patches": 4, "patches_a_picture": 4, "judge_every": 1}
SCALING = {"sci": "none"}
"""Else a mean of 0.4, as in the trainings that ship; SDAG takes that of the enhancer whose pictures it rebuilds."""
RATES = {"sllen": 2e-3, "sdag": 1e-3, "sci": 3e-3, "zero-dce": 1e-3, "gladnet": 1e-3}
"""Several times the released ones: steps are fewer and smaller."""
EPOCHS = {"sllen": 5, "sdag": 4, "sci": 4, "zero-dce": 4, "gladnet": 5}


@dataclass(frozen=True)
class Row:
    """A training: of a model, from a source of `Bench`, with changes of the recipe."""

    model: str
    source: str = "both"
    changes: Mapping[str, object] = field(default_factory=dict)


def sllen_without(**changes: object) -> Row:
    """An ablation."""
    return Row("sllen", "both", changes)


GROUPS = {
    "sllen": {
        "sllen": Row("sllen"),
        "without HSBAB": sllen_without(attention=False),
        "without RSAEB": sllen_without(modulation=False),
        "plain U-Net": sllen_without(attention=False, modulation=False, fusion=False),
        "trained apart": sllen_without(alternating=False),
    },
    "losses": {"sllen": Row("sllen")}
    | {
        f"without {name} loss": sllen_without(without_losses=(name,))
        for name in ("perceptual", "distillation", "illumination", "gradient")
    },
    "sci": {"sci": Row("sci"), "sci+sdag": Row("sci")},
    "zero-dce": {"zero-dce": Row("zero-dce"), "zero-dce+sdag": Row("zero-dce")},
    "gladnet": {
        "gladnet": Row("gladnet", "photos"),
        "gladnet, other camera": Row("gladnet", "other"),
        "gladnet, built-in people": Row("gladnet", "people"),
    },
}
COMPARED = [
    *(("sllen", other) for other in (*list(GROUPS["sllen"])[1:], *list(GROUPS["losses"])[1:])),
    *(("gladnet", other) for other in list(GROUPS["gladnet"])[1:]),
    ("sci+sdag", "sci"),
    ("zero-dce+sdag", "zero-dce"),
    ("sllen", LEE),
    ("plain U-Net", LEE),
    ("gladnet", LEE),
    ("sci", LEE),
]
DIGITS = {"PSNR": 2, "SSIM": 3, "PCK": 1, "box AP": 1}
Scores = dict[str, dict[str, Any]]
"""By judged set and measure: a figure a picture, of PCK the near and the labelled joints of each picture."""


@dataclass
class Bench:
    """What is learned from and judged on.

    Attributes:
        learn: sources by name.
        curve, curve_people: kept back.
        judged: sets, with the network that reads them.
        detector: of persons.
        stem: of the pose network.
        out: folder of the trainings.
        times: so many times as long.
    """

    learn: Mapping[str, PairSource]
    curve: PairSource
    curve_people: PairSource
    judged: Mapping[str, tuple[PairSource, str]]
    detector: PersonDetector
    stem: Stem
    out: Path
    times: int


def benched(folders: Mapping[str, Path], rig: str, out: Path, times: int, links: Path) -> Bench:
    """The sets of folders of `photos`, `people`, `other`."""
    learn: dict[str, PairSource] = {}
    kept = {}
    for name, folder in folders.items():
        learn[name] = HeldPairs(FolderPairs(folder, 0, -KEPT_BACK, semantic=True))
        kept[name] = HeldPairs(FolderPairs(folder, -KEPT_BACK, None, semantic=True))
    learn["both"] = JoinedPairs([learn["photos"], learn["people"]])
    times_over = -(-len(learn["both"]) // len(learn["people"]))
    learn["maps"] = JoinedPairs([learn["people"]] * times_over)  # not fewer: the shorter would end an epoch
    shot = RigPairs(load_rig(rig), TEST_SEED, SCENES, pre_quantisation=True, shots_per_scene=1, raw=True)
    judged: dict[str, tuple[PairSource, str]] = {
        "photographs": (HeldPairs(photographs(PHOTOS, links, rig)), LEARN_POSE),
        "built-in": (HeldPairs(shot), LOW_LIGHT),
    }
    curve = JoinedPairs([kept["photos"], kept["people"]])
    stem = stem_of(load_network(SHIPPED))
    return Bench(learn, curve, kept["people"], judged, load_detector(), stem, out, times)


def recipe_of(model: str, seed: int, changes: Mapping[str, object], scaling: str, times: int) -> EnhancerRecipe:
    """The same training for every row of a model."""
    recipe = load_recipe("full", model)
    epochs = times * EPOCHS[model] * (2 if changes.get("alternating") is False else 1)
    changed: dict[str, object] = {
        "epochs": epochs, "learning_rate": RATES[model], "decay": "cosine", "average": 0.0, "bf16": True, "seed": seed,
    }  # fmt: skip
    training = recipe.training.model_dump() | changed
    told = PATCHES | {"width": 8, "scaling": scaling, "training": training} | dict(changes)
    return EnhancerRecipe.model_validate(recipe.model_dump() | told)


def trained(bench: Bench, label: str, row: Row, seed: int) -> Path:
    """Weights of a row, trained unless they are there; of what SDAG guides and of SDAG itself by the same seed."""
    name = label.replace(",", "").replace(" ", "-") + (f"-times-{bench.times}" if bench.times > 1 else "")
    folder, model = bench.out / f"{name}-{seed}", row.model
    if (folder / WEIGHTS).is_file():
        return folder
    frozen, scaling = Frozen(stem=bench.stem), SCALING.get(model, "mean-0.4")
    if model == "sdag":
        network, _, scaling = load_network_by_name("zero-dce")
        frozen = Frozen(stem=bench.stem, enhancer=network)
    elif label.endswith("+sdag"):
        frozen = Frozen(guidance=load_sdag(trained(bench, "sdag", Row("sdag"), seed) / WEIGHTS))
    semantic = Semantic(bench.learn["maps"], bench.curve_people, len(CLASSES)) if model == "sllen" else None
    recipe = recipe_of(model, seed, row.changes, scaling, bench.times)
    train(
        model, recipe, bench.learn[row.source], bench.curve, folder, CPU,
        (folder / "checkpoint.safetensors").is_file(), {"benchmark": "ablations"}, Console(quiet=True), frozen,
        semantic,
    )  # fmt: skip
    return folder


def scored(bench: Bench, folder: Path) -> Scores:
    """What a row's network does on the judged sets, without one Lee's scaling; from the folder if it was done."""
    kept, weights = folder / "scores.json", folder / WEIGHTS
    if not kept.is_file():
        enhancer = load_enhancer(weights) if weights.is_file() else Enhancer(LEE, lifted)
        found = {name: figures_of(bench.detector, enhancer, *one) for name, one in bench.judged.items()}
        if weights.is_file():
            network, _, scaling = load_enhancer_network(weights)
            if isinstance(network, Sllen) and network.parts.semantic:
                found["built-in"]["mIoU"] = [mean_iou(network, scaling, bench.judged["built-in"][0])]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(found).encode())
    scores: Scores = json.loads(kept.read_text())
    return scores


def lifted(picture: Picture) -> Picture:
    """Each channel at a mean of 0.4, in 8 bits."""
    return as_picture(as_image(picture, "mean-0.4", CPU))


def figures_of(detector: PersonDetector, enhancer: Enhancer, source: PairSource, pose: str) -> dict[str, Any]:
    """PSNR and SSIM a picture, joints near and labelled of each, box AP over all scenes and with scenes drawn anew."""
    quality, poses, boxes, recogniser = [], Poses(), Poses(), load_recogniser(pose)
    for shot in shots(source, shown=True):
        picture, seen = enhanced(enhancer, shot)
        quality.append(psnr_ssim(picture, shot.well_lit))
        read = detect_in(recogniser, [np.ascontiguousarray(seen, np.float32)], shot.labelled, LOW, "none")
        poses.add_low_light(shot.split, shot.name, shot.labelled, read)
        found = [Detection.nowhere(box) for box in detector.find_in(seen)]
        boxes.add_low_light(shot.split, shot.name, shot.people, found)
    psnr, ssim = zip(*quality, strict=True)
    joints = {picture: list(of) for picture, of in poses.joints("LL-A").items()}
    by_name, protocol = (boxes.truth["LL-A"], boxes.found["LL-A"]), Protocol(boxes="detected")
    ap = score_boxes(*by_name, protocol).ap
    drawn = [ap, *(ap + box_deviations(*by_name, protocol, scene_of)[:, 0]).tolist()]
    return {"PSNR": psnr, "SSIM": ssim, "joints": joints, "box AP": drawn}


def last_quarter(folder: Path) -> float:
    """What the last quarter of a training added to the PSNR of the pictures that were kept back."""
    with (folder / LOG).open() as lines:
        curve = [float(row["PSNR"]) for row in csv.DictReader(lines) if row.get("PSNR")]
    return curve[-1] - curve[-1 - max(1, len(curve) // 4)]


def samples(runs: Sequence[Scores], judged: str, measure: str) -> np.ndarray:
    """`(seeds, 1 + draws)`: a measure over all scenes, then with scenes drawn anew, the same draws for every row."""
    if measure == "PCK":
        return drawn_pck([run[judged]["joints"] for run in runs], scene_of).T
    each: np.ndarray = np.array([run[judged][measure] for run in runs])
    if measure == "box AP":
        return each
    draws = np.random.default_rng(0).multinomial(each.shape[1], np.full(each.shape[1], 1 / each.shape[1]), 2000)
    return np.column_stack([each.mean(axis=1), each @ draws.T / each.shape[1]])


def summed_up(values: np.ndarray) -> tuple[float, float]:
    """Mean over seeds, and its error: over scenes and over seeds."""
    seeds = values[:, 0].std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values[:, 0].mean()), float(np.hypot(values.mean(axis=0)[1:].std(ddof=1), seeds))


def show(found: Mapping[str, list[Scores]], flat: Mapping[str, Sequence[float]], console: Console) -> None:
    """A table of all rows and the differences."""
    columns = [(judged, measure) for judged in ("photographs", "built-in") for measure in DIGITS]
    table = Table(title=f"mean over seeds ± error of scenes and seeds; {PHOTOS} photographs, {SCENES} built-in scenes")
    for heading in ("row", "seeds", *(f"{j} {m}" for j, m in columns), "mIoU", "last quarter, dB"):
        table.add_column(heading)
    for label, runs in found.items():
        cells = []
        for judged, measure in columns:
            mean, error = summed_up(samples(runs, judged, measure))
            cells.append(f"{mean:.{DIGITS[measure]}f} ± {error:.{DIGITS[measure]}f}")
        seen = [run["built-in"]["mIoU"][0] for run in runs if "mIoU" in run["built-in"]]
        miou = f"{np.mean(seen):.1f}" if seen else ""
        table.add_row(label, str(len(runs)), *cells, miou, ", ".join(f"{one:+.2f}" for one in flat[label]))
    console.print(table)
    for ours, other in COMPARED:
        if not found.get(ours) or not found.get(other):
            continue
        theirs = found[other] * (len(found[ours]) if other == LEE else 1)  # it has no seeds
        for judged, measure in columns:
            ahead = samples(found[ours], judged, measure) - samples(theirs, judged, measure)
            mean, error = summed_up(ahead)
            each = ", ".join(f"{one:+.3g}" for one in ahead[:, 0])
            console.print(f"{ours} − {other}, {judged}, {measure}: {mean:+.3g} ± {error:.2g} ({each})")


def main() -> None:
    """Train what is missing, seed by seed; print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--photos-data", type=Path, required=True, help="pairs of photographs")
    asked.add_argument("--people-data", type=Path, required=True, help="pairs of built-in scenes")
    asked.add_argument("--other-data", type=Path, help="the photographs through another camera, for gladnet")
    asked.add_argument("--rig", default="exlpose-small", help="that took all of them [%(default)s]")
    asked.add_argument("--times", type=int, default=1, help="train so many times as long [%(default)s]")
    asked.add_argument("--only", nargs="+", choices=tuple(GROUPS), default=list(GROUPS))
    asked.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked.add_argument("--out", type=Path, default=Path("out/ablations"))
    given = asked.parse_args()
    torch.set_num_threads(1)
    console = Console(width=200)
    folders = {"photos": given.photos_data, "people": given.people_data}
    folders |= {"other": given.other_data} if given.other_data else {}
    rows = {
        label: row
        for group in given.only
        for label, row in GROUPS[group].items()
        if row.source in (*folders, "both")
    }  # fmt: skip
    found: dict[str, list[Scores]] = {label: [] for label in rows}
    flat: dict[str, list[float]] = {label: [] for label in rows}
    with tempfile.TemporaryDirectory() as links:
        bench = benched(folders, given.rig, given.out, given.times, Path(links))
        found[LEE], flat[LEE] = [scored(bench, given.out / "mean-0.4")], []
        for seed in given.seeds:
            for label, row in rows.items():
                folder = trained(bench, label, row, seed)
                found[label].append(scored(bench, folder))
                flat[label].append(last_quarter(folder))
                console.print(f"seed {seed}  {label}  last quarter {flat[label][-1]:+.2f} dB", highlight=False)
    show(found, flat, console)


if __name__ == "__main__":
    main()
