"""One table for every way to prepare a low-light picture: baselines, the learned ISP, oracles; and the gap closed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models.data.normalisation import LOW, normalise
from models.data.samples import PairSample
from models.isp.gradient_refinement import climbed
from models.isp.grid_search import HALVES, Trials, around, cached_trial, known_steps, trial
from models.isp.learned import LearnedIsp
from models.isp.learner import Input, light_of
from models.recognisers.detection import Detection
from models.recognisers.inference import detect_in
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import Protocol, Score, score

LOW_SPLITS = ("LL-N", "LL-H", "LL-E", "LL-A")
BASELINE, OURS, ORACLE = "mean 0.4 (Lee)", "learned ISP", "oracle: grid"
ASCENT = "oracle: gradient ascent from the grid's best"
SUREST = "learned ISP, each person's surest setting near it"
HALF_BASELINE, HALF_ORACLE, HALF_OURS, HALF_SUREST, HALF_ASCENT = (
    f"{name}, half the joints" for name in (BASELINE, ORACLE, OURS, SUREST, ASCENT)
)
TAGS: dict[Input, str] = {"picture": "", "raw": ", from raw"}
Steps = dict[str, Sequence[float]]
"""Factors on each picture's own start, by the parameter's name."""
Way = Callable[[PairSample], list[Detection]]
"""How a shot's low-light picture becomes poses of its labelled people."""

GRID: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.6, 1.0, 1.4),
    "smoothing.sigma_range": (1.0, 6.0, 32.0),
    "smoothing.sigma_space": (1.0, 2.0, 4.0),
}
"""81 combinations of factors on the start of each picture, the start among them."""
QUICK_GRID: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.6, 1.0),
    "smoothing.sigma_range": (4.0, 32.0),
    "smoothing.sigma_space": (1.25, 2.5),
}
"""24 combinations beside the start."""
NEAR: Steps = {
    "exposure.gain": (0.5, 1.0, 2.0),
    "gamma.gamma": (0.7, 1.0, 1.4),
    "smoothing.sigma_range": (0.25, 1.0, 4.0),
}
"""27 combinations of factors on what was learned, itself among them."""


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


def developed_by(isp: LearnedIsp, recogniser: Recogniser, what: Input, flip: str) -> Way:
    """The learned ISP over the whole picture, then the network."""
    device = next(recogniser.parameters()).device
    isp = isp.to(device).eval()

    def develop(sample: PairSample) -> list[Detection]:
        with torch.inference_mode():
            lit = isp(light_of(sample, what, device)[None])[0].permute(1, 2, 0).cpu().numpy()
        return detect_in(recogniser, [np.ascontiguousarray(lit)], labelled(sample), LOW, flip)

    return develop


def surest_near(isp: LearnedIsp, recogniser: Recogniser, what: Input, flip: str) -> Way:
    """Each person under the setting of their own, near the learned one, that `Trials.surest` picks: no labels.

    Costs a development and a forward pass of each person for each of the settings.
    """
    device = next(recogniser.parameters()).device
    isp, steps = isp.to(device).eval(), known_steps(isp.pipeline, NEAR)

    def ask(sample: PairSample) -> list[Detection]:
        with torch.inference_mode():
            values = isp.values(light_of(sample, what, device)[None])
        tried = trial(recogniser, isp.pipeline, sample, what, around(isp.pipeline, values, steps), flip)
        return tried.of_each(tried.surest())

    return ask


def labelled(sample: PairSample) -> tuple[Person, ...]:
    """The people with a labelled joint."""
    return tuple(person for person in sample.people if person.labelled)


def half_labelled(people: Iterable[Person], joints: Sequence[int]) -> tuple[Person, ...]:
    """People whose other joints are unlabelled."""
    return tuple(
        Person(tuple(k if j in joints else (0.0, 0.0, 0) for j, k in enumerate(p.keypoints)), p.bbox, p.iscrowd)
        for p in people
    )


@dataclass(frozen=True)
class Oracle:
    """A search of every picture's own best setting.

    Attributes:
        pipeline: whose parameters are searched.
        steps: the grid.
        fixed: for each input that is searched, the setting that was best over training shots.
        cache: folder of what was found; None keeps nothing.
        climb: steps of gradient ascent from the grid's best setting; 0 climbs nowhere.
    """

    pipeline: Pipeline
    steps: Steps
    fixed: dict[Input, int]
    cache: Path | None = None
    climb: int = 0

    def tried(self, recogniser: Recogniser, sample: PairSample, what: Input, flip: str) -> Trials:
        """Every setting on a shot."""
        picture = light_of(sample, what, torch.device("cpu"))[None]
        values = around(self.pipeline, self.pipeline.base(picture), self.steps)
        if self.cache is None:
            return trial(recogniser, self.pipeline, sample, what, values, flip)
        return cached_trial(self.cache, recogniser, self.pipeline, sample, what, values, flip)

    def climbed(
        self, recogniser: Recogniser, sample: PairSample, what: Input, tried: Trials, joints: Sequence[int], flip: str
    ) -> list[Detection]:
        """The best, by some of the joints, that gradient ascent meets on its way from the grid's best."""
        start = tried.values[int(tried.gain(joints).argmax())]
        way = climbed(self.cache, recogniser, self.pipeline, sample, what, start, joints, self.climb, flip)
        return way.detections(int(way.gain(joints).argmax()))


def compare(
    recogniser: Recogniser, samples: Iterable[PairSample], ways: dict[str, Way], oracle: Oracle, flip: str
) -> dict[str, Row]:
    """Every way and every oracle over the same shots.

    Args:
        recogniser: frozen.
        samples: shots nobody was trained on.
        ways: by name; those named `BASELINE`, `OURS` and `SUREST` are also judged on half the joints.
        oracle: what is searched.
        flip: see `models.recognisers.inference.heatmaps`.
    """
    rows: dict[str, Row] = {}
    for sample in samples:
        people = labelled(sample)
        if not people:
            continue
        answers = {name: way(sample) for name, way in ways.items()}
        searched = {what: oracle.tried(recogniser, sample, what, flip) for what in oracle.fixed}
        for what, tried in searched.items():
            picks = chosen(tried, oracle.fixed[what])
            answers |= {name + TAGS[what]: detections for name, detections in picks.items()}
            if oracle.climb:
                every = tuple(range(14))
                answers[ASCENT + TAGS[what]] = oracle.climbed(recogniser, sample, what, tried, every, flip)
        for name, detections in answers.items():
            rows.setdefault(name, Row()).add(sample, people, detections)
        _add_halves(rows, sample, people, answers, searched)
        if oracle.climb:
            for half, seen, part in judged_by_halves(sample, people):
                for what, tried in searched.items():
                    picked = oracle.climbed(recogniser, sample, what, tried, half, flip)
                    rows.setdefault(HALF_ASCENT + TAGS[what], Row()).add(seen, part, picked)
    return rows


def judged_by_halves(
    sample: PairSample, people: tuple[Person, ...]
) -> Iterator[tuple[tuple[int, ...], PairSample, tuple[Person, ...]]]:
    """For each half of the joints to choose by: it, and the shot as if the other half were all that is labelled."""
    for half, other in (HALVES, HALVES[::-1]):
        part = half_labelled(people, other)
        yield half, replace(sample, name=f"{sample.name}/{half[0]}", people=part), part


def _add_halves(
    rows: dict[str, Row],
    sample: PairSample,
    people: tuple[Person, ...],
    answers: dict[str, list[Detection]],
    searched: dict[Input, Trials],
) -> None:
    """The oracle chooses by one half of the joints; all are judged on the other, as if it were another picture."""
    for half, seen, part in judged_by_halves(sample, people):
        for what, tried in searched.items():
            picked = tried.detections(int(tried.gain(half).argmax()))
            rows.setdefault(HALF_ORACLE + TAGS[what], Row()).add(seen, part, picked)
        for whole, named in ((BASELINE, HALF_BASELINE), (OURS, HALF_OURS), (SUREST, HALF_SUREST)):
            if whole in answers:
                rows.setdefault(named, Row()).add(seen, part, answers[whole])


def chosen(tried: Trials, fixed: int) -> dict[str, list[Detection]]:
    """What choosing among the settings gives: one for all, the network's confidence, the labels."""
    return {
        "best fixed setting": tried.detections(fixed),
        "most confident setting": tried.detections(int(tried.confidence().argmax())),
        "each person's surest setting": tried.of_each(tried.surest()),
        ORACLE: tried.detections(int(tried.gain().argmax())),
    }


def gap_closed(ours: float, baseline: float, oracle: float) -> float:
    """`(ours − baseline) / (oracle − baseline)`; NaN where the oracle is no better."""
    return (ours - baseline) / (oracle - baseline) if oracle > baseline else float("nan")
