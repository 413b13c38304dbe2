"""One table for every way to prepare a low-light picture: baselines, the learned ISP, oracles; and the gap closed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models.isp_learner import as_light
from models.isp_search import HALVES, Trials, cached_trial, grid, trial
from models.learned_isp import LearnedIsp
from models.pose.backbone import LOW
from models.pose.crops import normalise
from models.pose.inference import detect_in
from models.pose.recogniser import Recogniser
from models.pose.samples import PairSample
from models.scoring.average_precision import Detection, Protocol, Score, score

LOW_SPLITS = ("LL-N", "LL-H", "LL-E", "LL-A")
BASELINE, OURS, ORACLE = "mean 0.4 (Lee)", "learned ISP", "oracle: grid"
HALF_BASELINE, HALF_ORACLE, HALF_OURS = (f"{name}, half the joints" for name in (BASELINE, ORACLE, OURS))
Way = Callable[[PairSample], list[Detection]]
"""How a shot's low-light picture becomes poses of its labelled people."""

GRID: dict[str, Sequence[float]] = {
    "exposure.gain": (0.25, 0.5, 1.0, 2.0, 4.0),
    "gamma.gamma": (0.5, 0.7, 1.0, 1.4),
    "smoothing.sigma_range": (1.0, 4.0, 16.0),
    "smoothing.sigma_space": (1.0, 2.5),
}
"""Factors on the start of each picture."""
QUICK_GRID: dict[str, Sequence[float]] = {
    "exposure.gain": (0.4, 1.0, 2.5),
    "gamma.gamma": (0.6, 1.0, 1.4),
    "smoothing.sigma_range": (1.0, 8.0),
    "smoothing.sigma_space": (2.0,),
}


@dataclass
class Row:
    """Poses of one way so far, by split and picture."""

    truth: dict[str, dict[str, tuple[Person, ...]]] = field(default_factory=lambda: {s: {} for s in LOW_SPLITS})
    found: dict[str, dict[str, list[Detection]]] = field(default_factory=lambda: {s: {} for s in LOW_SPLITS})

    def add(self, sample: PairSample, people: tuple[Person, ...], detections: list[Detection]) -> None:
        """One picture."""
        for split in (sample.split, "LL-A"):
            self.truth[split][sample.name], self.found[split][sample.name] = people, detections

    def scores(self, protocol: Protocol) -> dict[str, Score]:
        """AP of each split."""
        return {split: score(self.truth[split], self.found[split], protocol) for split in LOW_SPLITS}


def as_it_is(recogniser: Recogniser, flip: str) -> Way:
    """The picture without any change of brightness."""
    return lambda sample: detect_in(recogniser, [normalise(sample.low_light, "none")], labelled(sample), LOW, flip)


def mean_scaled(recogniser: Recogniser, flip: str) -> Way:
    """As the recogniser wants its low-light input: for ours each channel brought to a mean of 0.4 (Lee)."""
    how = recogniser.normalisation[LOW]
    return lambda sample: detect_in(recogniser, [normalise(sample.low_light, how)], labelled(sample), LOW, flip)


def developed_by(isp: LearnedIsp, recogniser: Recogniser, flip: str) -> Way:
    """The learned ISP over the whole picture, then the network."""
    device = next(recogniser.parameters()).device
    isp = isp.to(device).eval()

    def develop(sample: PairSample) -> list[Detection]:
        with torch.inference_mode():
            lit = isp(as_light(sample.low_light, device)[None])[0].permute(1, 2, 0).cpu().numpy()
        return detect_in(recogniser, [np.ascontiguousarray(lit)], labelled(sample), LOW, flip)

    return develop


def labelled(sample: PairSample) -> tuple[Person, ...]:
    """The people with a labelled joint."""
    return tuple(person for person in sample.people if any(v > 0 for _, _, v in person.keypoints))


def half_labelled(people: Iterable[Person], joints: Sequence[int]) -> tuple[Person, ...]:
    """People whose other joints are unlabelled."""
    return tuple(
        Person(tuple(k if j in joints else (0.0, 0.0, 0) for j, k in enumerate(p.keypoints)), p.bbox, p.iscrowd)
        for p in people
    )


def best_fixed(
    recogniser: Recogniser,
    pipeline: Pipeline,
    samples: Iterable[PairSample],
    steps: dict[str, Sequence[float]],
    flip: str,
) -> int:
    """The setting of the grid that has the highest mean OKS over training shots: one for all pictures."""
    gains = []
    for sample in samples:
        values = grid(pipeline, as_light(sample.low_light, torch.device("cpu"))[None], steps)
        gains.append(trial(recogniser, pipeline, sample, values, flip).gain())
    return int(np.mean(gains, axis=0).argmax())


def compare(
    recogniser: Recogniser,
    samples: Iterable[PairSample],
    ways: dict[str, Way],
    pipeline: Pipeline,
    steps: dict[str, Sequence[float]],
    fixed: int | None,
    flip: str,
    cache: Path | None = None,
) -> dict[str, Row]:
    """Every way and every oracle over the same shots.

    Args:
        recogniser: frozen.
        samples: shots nobody was trained on.
        ways: by name; those named `BASELINE` and `OURS` are also judged on half the joints.
        pipeline: whose parameters the oracle searches.
        steps: the oracle's grid.
        fixed: the setting that was best over training shots.
        flip: see `models.pose.inference.heatmaps`.
        cache: folder of what the search found.
    """
    rows: dict[str, Row] = {}
    for sample in samples:
        people = labelled(sample)
        if not people:
            continue
        values = grid(pipeline, as_light(sample.low_light, torch.device("cpu"))[None], steps)
        tried = (
            cached_trial(cache, recogniser, pipeline, sample, values, flip)
            if cache
            else trial(recogniser, pipeline, sample, values, flip)
        )
        answers = {name: way(sample) for name, way in ways.items()} | chosen(tried, fixed)
        for name, detections in answers.items():
            rows.setdefault(name, Row()).add(sample, people, detections)
        for half, other in (HALVES, HALVES[::-1]):
            part = half_labelled(people, other)
            by_half = tried.detections(int(tried.gain(half).argmax()))
            name = f"{sample.name}/{half[0]}"
            seen = PairSample(name, sample.low_light, sample.well_lit, part, sample.split)
            rows.setdefault(HALF_ORACLE, Row()).add(seen, part, by_half)
            for whole, named in ((BASELINE, HALF_BASELINE), (OURS, HALF_OURS)):
                if whole in answers:
                    rows.setdefault(named, Row()).add(seen, part, answers[whole])
    return rows


def chosen(tried: Trials, fixed: int | None) -> dict[str, list[Detection]]:
    """What choosing among the settings gives: one for all, the network's confidence, the labels."""
    picks = {"most confident setting": int(tried.confidence().argmax()), ORACLE: int(tried.gain().argmax())}
    if fixed is not None:
        picks = {"best fixed setting": fixed} | picks
    return {name: tried.detections(setting) for name, setting in picks.items()}


def gap_closed(ours: float, baseline: float, oracle: float) -> float:
    """`(ours − baseline) / (oracle − baseline)`; NaN where the oracle is no better."""
    return (ours - baseline) / (oracle - baseline) if oracle > baseline else float("nan")
