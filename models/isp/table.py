"""One table for all that can be done to a low-light picture before a network: baselines, the learned ISP, oracles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import PairSample
from models.isp.gradient_refinement import refine
from models.isp.grid_search import NEAR, Steps, around, known_steps
from models.isp.learned import LearnedIsp
from models.isp.learner import Input, light_of, taken_by
from models.isp.trials import ALL_JOINTS, HALVES, Search, Trials
from models.recognisers.detection import Detection
from models.recognisers.inference import detect, detect_in
from models.recognisers.recogniser import Recogniser
from models.scoring.poses import Detector, Poses


class Method(StrEnum):
    """What is done to a picture before the network, as tables name it."""

    NONE = "no enhancement"
    MEAN_SCALED = "mean 0.4 (Lee)"
    LEARNED = "learned ISP"
    LEARNED_SELECTED = "learned ISP + test-time parameter selection (per person)"
    FIXED = "best fixed setting"
    CONFIDENT = "confidence-selected"
    SELECTED = "test-time parameter selection (per person)"
    ORACLE = "oracle: grid search"
    PERSON_ORACLE = "oracle: grid search, per person"
    REFINED_ORACLE = "oracle: grid search + gradient refinement"
    WELL_LIT = "the well-lit picture"


CROSS_VALIDATED = (Method.MEAN_SCALED, Method.LEARNED, Method.LEARNED_SELECTED)
"""Methods that are judged on halves of the joints too, beside the oracles."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        method: what is done.
        input: of a mean of 0.4 or a search over a grid, what is developed.
        cross_validated: whether an oracle chose by one half of the joints and all is judged on the other.
    """

    method: Method
    input: Input = "picture"
    cross_validated: bool = False

    def __str__(self) -> str:
        """As tables name it."""
        raw = ", from raw" if self.input == "raw" else ""
        return f"{self.method}{raw}{', cross-validated over joints' if self.cross_validated else ''}"


@dataclass(frozen=True)
class Gap:
    """How much of the way from the baseline to an oracle, or to the well-lit picture, a row has covered.

    Attributes:
        row, oracle: of the table.
        closed: `(row − baseline) / (oracle − baseline)` of the AP; NaN where the oracle is no better.
    """

    row: Row
    oracle: Row
    closed: float

    def __str__(self) -> str:
        """A sentence."""
        if np.isnan(self.closed):
            return f"{self.row}: no gap to {self.oracle}, which is no better than the baseline"
        return f"{self.row}: closes {100 * self.closed:.0f} % of the gap to {self.oracle}"


def gaps(ap: Mapping[Row, float]) -> list[Gap]:
    """Share of the way from the baseline to each oracle and to the well-lit picture, of rows that are judged alike.

    Args:
        ap: of each row, on LL-A.
    """
    inputs: tuple[Input, ...] = ("picture", "raw")
    wanted = (
        (Row(method, cross_validated=halves), Row(top, what, halves), Row(Method.MEAN_SCALED, cross_validated=halves))
        for what in inputs
        for halves in (False, True)
        for method in (Method.LEARNED, Method.LEARNED_SELECTED)
        for top in (Method.ORACLE, Method.PERSON_ORACLE, Method.REFINED_ORACLE, Method.WELL_LIT)
    )
    return [
        Gap(row, oracle, gap_closed(ap[row], ap[baseline], ap[oracle]))
        for row, oracle, baseline in wanted
        if {row, oracle, baseline} <= ap.keys()
    ]


def gap_closed(ours: float, baseline: float, oracle: float) -> float:
    """`(ours − baseline) / (oracle − baseline)`; NaN where the oracle is no better."""
    return (ours - baseline) / (oracle - baseline) if oracle > baseline else float("nan")


def not_enhanced(recogniser: Recogniser, flip: str) -> Detector:
    """The picture without any change of brightness."""
    return lambda sample: detect_in(recogniser, [normalise(sample.low_light, "none")], sample.labelled, LOW, flip)


def mean_scaled(recogniser: Recogniser, flip: str, what: Input = "picture") -> Detector:
    """As the recogniser wants its low-light input: for ours each channel brought to a mean of 0.4 (Lee)."""

    def detected(sample: PairSample) -> list[Detection]:
        if what == "picture":
            return detect(recogniser, sample.low_light, sample.labelled, LOW, flip)
        codes = 255 * light_of(sample, what, torch.device("cpu"))[0].permute(1, 2, 0).numpy()
        return detect_in(recogniser, [normalise(codes, recogniser.normalisation[LOW])], sample.labelled, LOW, flip)

    return detected


def well_lit(recogniser: Recogniser, flip: str) -> Detector:
    """The other arm's picture: what an ISP could at most make of the low-light one."""
    return lambda sample: detect(recogniser, sample.well_lit, sample.labelled, WELL, flip)


def developed_by(isp: LearnedIsp, recogniser: Recogniser, what: Input, flip: str) -> Detector:
    """The learned ISP over the whole picture, or with everybody's own parameters round each, then the network."""
    device = next(recogniser.parameters()).device
    isp = isp.to(device).eval()

    def detected(sample: PairSample) -> list[Detection]:
        if isp.per_person:
            values = values_of_people(isp, recogniser, sample, what)
            return Search(recogniser, isp.pipeline, sample, what, flip).trial(values).of_each(np.arange(len(values)))
        return detect_in(recogniser, [developed(isp, sample, what, device)], sample.labelled, LOW, flip)

    return detected


def developed(isp: LearnedIsp, sample: PairSample, what: Input, device: torch.device) -> np.ndarray:
    """A shot after the learned ISP, float32 `(height, width, 3)`, 1 is white."""
    with torch.inference_mode():
        image = taken_by(isp.pipeline, sample, what, device)
        return np.ascontiguousarray(isp(image, exposure=sample.exposure)[0].permute(1, 2, 0).cpu().numpy())


def values_of_people(isp: LearnedIsp, recogniser: Recogniser, sample: PairSample, what: Input) -> torch.Tensor:
    """The parameters of everybody labelled in a shot, `(people, size)`."""
    device = next(recogniser.parameters()).device
    affines = [recogniser.crop_affine(person.bbox) for person in sample.labelled]
    with torch.inference_mode():
        picture = taken_by(isp.pipeline, sample, what, device)
        return isp.of_people([picture], [sample.exposure], [affines], recogniser.input_size)


def selected_near(
    isp: LearnedIsp, recogniser: Recogniser, what: Input, flip: str, cache: Path | None = None
) -> Detector:
    """Each person under the setting of their own, near the learned one, of `Trials.selected`: no labels.

    Costs a development and a forward pass of each person for each of the settings; `cache` keeps what was found.
    """
    device = next(recogniser.parameters()).device
    isp, steps = isp.to(device).eval(), known_steps(isp.pipeline, NEAR)

    def detected(sample: PairSample) -> list[Detection]:
        with torch.inference_mode():
            values = isp.values(taken_by(isp.pipeline, sample, what, device), exposure=sample.exposure)
        near = around(isp.pipeline, values, steps)
        tried = Search(recogniser, isp.pipeline, sample, what, flip).kept(cache, lambda: near, near)
        return tried.of_each(tried.selected())

    return detected


@dataclass(frozen=True)
class Oracle:
    """A search of every picture's own best setting.

    Attributes:
        pipeline: whose parameters are searched.
        steps: the grid.
        fixed: for each input that is searched, the setting that was best over training shots.
        cache: folder of what was found; None keeps nothing.
        refinement_steps: of the gradient from the grid's best setting; 0 leaves that oracle out.
    """

    pipeline: Pipeline
    steps: Steps
    fixed: dict[Input, int]
    cache: Path | None = None
    refinement_steps: int = 0

    def tried(self, search: Search) -> Trials:
        """Every setting on a shot."""
        values = around(self.pipeline, search.base, self.steps)
        return search.kept(self.cache, lambda: values, values)

    def refined(self, search: Search, tried: Trials, joints: Sequence[int]) -> list[Detection]:
        """The best, by some of the joints, that gradient refinement meets from the grid's best."""
        start, steps = tried.values[tried.best(joints)], self.refinement_steps
        found = search.kept(
            self.cache, lambda: refine(search, start, joints, steps), "refinement", start, tuple(joints), steps
        )
        return found.detections(found.best(joints))


def compare(
    recogniser: Recogniser,
    samples: Iterable[PairSample],
    candidates: Mapping[Row, Detector],
    oracle: Oracle,
    flip: str,
) -> dict[Row, Poses]:
    """Every candidate and every oracle over the same shots.

    Args:
        recogniser: frozen.
        samples: shots nobody was trained on.
        candidates: by row.
        oracle: what is searched.
        flip: see `models.recognisers.inference.heatmaps`.
    """
    rows: dict[Row, Poses] = {}

    def add(row: Row, sample: PairSample, detections: list[Detection]) -> None:
        rows.setdefault(row, Poses()).add_low_light(sample.split, sample.name, sample.people, detections)

    for shot in samples:
        if not shot.labelled:
            continue
        sample = replace(shot, people=shot.labelled)
        answers = {row: detected(sample) for row, detected in candidates.items()}
        searches = [Search(recogniser, oracle.pipeline, sample, what, flip) for what in oracle.fixed]
        searched = [(search, oracle.tried(search)) for search in searches]
        for search, tried in searched:
            what = search.what
            answers |= {Row(method, what): found for method, found in chosen(tried, oracle.fixed[what]).items()}
            if oracle.refinement_steps:
                answers[Row(Method.REFINED_ORACLE, what)] = oracle.refined(search, tried, ALL_JOINTS)
        for row, detections in answers.items():
            add(row, sample, detections)
        for half, other in halved(sample):
            for method in CROSS_VALIDATED:
                if Row(method) in answers:
                    add(Row(method, cross_validated=True), other, answers[Row(method)])
            for search, tried in searched:
                add(Row(Method.ORACLE, search.what, True), other, tried.detections(tried.best(half)))
                add(Row(Method.PERSON_ORACLE, search.what, True), other, tried.of_each(tried.best_of_each(half)))
                if oracle.refinement_steps:
                    add(Row(Method.REFINED_ORACLE, search.what, True), other, oracle.refined(search, tried, half))
    return rows


def halved(sample: PairSample) -> Iterator[tuple[tuple[int, ...], PairSample]]:
    """For each half of the joints to choose by: it, and the shot as if the other half were all that is labelled."""
    for half, other in (HALVES, HALVES[::-1]):
        people = half_labelled(sample.people, other)
        yield half, replace(sample, name=f"{sample.name}/{half[0]}", people=people)


def half_labelled(people: Iterable[Person], joints: Sequence[int]) -> tuple[Person, ...]:
    """People whose other joints are unlabelled."""
    return tuple(
        Person(tuple(k if j in joints else (0.0, 0.0, 0) for j, k in enumerate(p.keypoints)), p.bbox, p.iscrowd)
        for p in people
    )


def chosen(tried: Trials, fixed: int) -> dict[Method, list[Detection]]:
    """What choosing among the settings gives: one for all, the network's confidence, the labels."""
    return {
        Method.FIXED: tried.detections(fixed),
        Method.CONFIDENT: tried.detections(tried.most_confident()),
        Method.SELECTED: tried.of_each(tried.selected()),
        Method.ORACLE: tried.detections(tried.best()),
        Method.PERSON_ORACLE: tried.of_each(tried.best_of_each()),
    }
