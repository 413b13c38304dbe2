"""Of how many scenes a score is, and how far it would move with other scenes: a bootstrap.

Shots of one scene show the same people, so scenes are what is drawn anew: n of n, with replacement. The standard error
is the standard deviation of the score over the draws times `√(n / (n − 1))`, which for a mean gives the usual `s / √n`
(Efron & Tibshirani, *An Introduction to the Bootstrap*, ch. 6).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from isp_sim import streams
from isp_sim.scenes import Person
from models.recognisers.detection import Detection
from models.scoring.average_precision import (
    TRUE_BOXES,
    Matched,
    Protocol,
    evaluated,
    labelled_in,
    of_known_joints,
)
from models.scoring.pck import near_and_labelled

RESAMPLES = 400
"""Draws of the scenes: the standard error is known to 4 % then."""
GAIN_RESAMPLES = 2000
"""Draws for an interval, whose ends need more of them than a standard error."""
THRESHOLDS = 10
"""Of OKS or IoU, .50:.05:.95."""
Weights = Float[np.ndarray, " pictures"]
Joints = Mapping[str, Sequence[float]]
"""Of each picture the joints near enough and the labelled ones; see `models.scoring.pck.near_and_labelled`."""


@dataclass(frozen=True)
class OverScenes:
    """What a score is of, and its standard errors over scenes; NaN for a single scene.

    Attributes:
        scenes, pictures: with somebody labelled.
        ap, pck, box_ap: standard errors, in the scores' own 0 … 100; PCK is of true boxes, box AP of detected ones.
    """

    scenes: int
    pictures: int
    ap: float
    pck: float
    box_ap: float = float("nan")


def over_scenes(
    truth: Mapping[str, tuple[Person, ...]],
    found: Mapping[str, list[Detection]],
    protocol: Protocol,
    scene_of: Callable[[str], Hashable],
    share: float = 0.2,
) -> OverScenes:
    """How many scenes and pictures a set has, and what AP and PCK owe to their choice.

    Args:
        truth: people of each picture.
        found: one detection for each of them, in their order; in detected boxes any number.
        protocol: of the AP.
        scene_of: a picture's scene, by its name.
        share: of the torso's length, of the PCK.
    """
    names, scenes = _named(truth, scene_of)
    moved = deviations(truth, found, protocol, scene_of, share)
    ap_error, other_error = (_spread(values) for values in moved.T)
    pck, box_ap = (float("nan"), other_error) if protocol.boxes != TRUE_BOXES else (other_error, float("nan"))
    return OverScenes(len(scenes), len(names), ap_error, pck, box_ap)


def deviations(
    truth: Mapping[str, tuple[Person, ...]],
    found: Mapping[str, list[Detection]],
    protocol: Protocol,
    scene_of: Callable[[str], Hashable],
    share: float = 0.2,
) -> Float[np.ndarray, "draws 2"]:
    """How far AP and PCK (of detected boxes: box AP) move with the scenes; their spread is the standard error.

    `√(n/(n − 1)) · (score of the drawn scenes − score of all)`, `RESAMPLES` times. Which of n scenes a draw takes
    depends on n alone, so those of two networks over the same pictures belong together: the spread of their difference
    is the standard error of a paired comparison. A single scene tells nothing of others: NaN.

    Args:
        truth: people of each picture.
        found: see `over_scenes`.
        protocol: of the AP.
        scene_of: a picture's scene, by its name.
        share: of the torso's length, of the PCK.
    """
    names, _ = _named(truth, scene_of)
    truth, found = {name: truth[name] for name in names}, {name: found.get(name, []) for name in names}
    ap = WeightedAp(truth, found, protocol)
    if protocol.boxes != TRUE_BOXES:
        other: Callable[[Weights], float] = WeightedAp(truth, found, protocol, "bbox")
    else:
        other = _weighted_pck(truth, found, share)
    return _moved(lambda weights: (ap(weights), other(weights)), [scene_of(name) for name in names], RESAMPLES)


def box_deviations(
    truth: Mapping[str, tuple[Person, ...]],
    found: Mapping[str, list[Detection]],
    protocol: Protocol,
    scene_of: Callable[[str], Hashable],
) -> Float[np.ndarray, "draws 2"]:
    """How far a detector's box AP and its AP at IoU .50 move with the scenes, `GAIN_RESAMPLES` times.

    As `deviations`: those of two methods over the same pictures belong together, so with `d` and `d'` of either,
    `AP − AP' + quantiles(d − d')` is the interval of what one gains over the other.

    Args:
        truth: people of each picture; of one scene all are NaN.
        found: detections with their boxes, as `models.scoring.poses.find_boxes` gives them.
        protocol: number of detections, and joints of which people have one.
        scene_of: a picture's scene, by its name.
    """
    names, _ = _named(truth, scene_of)
    truth, found = {name: truth[name] for name in names}, {name: found.get(name, []) for name in names}
    ap = WeightedAp(truth, found, protocol, "bbox")

    def scores(weights: Weights) -> tuple[float, float]:
        each = ap.at_thresholds(weights)
        return float(each.mean()), float(each[0])

    return _moved(scores, [scene_of(name) for name in names], GAIN_RESAMPLES)


def _moved(
    scores: Callable[[Weights], tuple[float, float]], scene_of_each: Sequence[Hashable], draws: int
) -> Float[np.ndarray, "draws 2"]:
    """Scores with scenes drawn anew less those of all pictures, times `√(n/(n − 1))`."""
    number = {scene: n for n, scene in enumerate(dict.fromkeys(scene_of_each))}
    places, scenes = np.array([number[scene] for scene in scene_of_each]), len(number)
    if scenes < 2:
        return np.full((draws, 2), np.nan)
    stream = streams.generator(0, "bootstrap over scenes")
    drawn = []
    for _ in range(draws):
        counts = np.bincount(stream.integers(scenes, size=scenes), minlength=scenes)
        drawn.append(scores(counts[places].astype(float)))
    stretch = float(np.sqrt(scenes / (scenes - 1)))
    moved: Float[np.ndarray, "draws 2"] = stretch * (np.array(drawn) - np.array(scores(np.ones(len(places)))))
    return moved


def _named(
    truth: Mapping[str, tuple[Person, ...]], scene_of: Callable[[str], Hashable]
) -> tuple[list[str], list[Hashable]]:
    """Pictures with somebody labelled, and their scenes."""
    names = sorted(name for name, people in truth.items() if any(person.labelled for person in people))
    return names, list(dict.fromkeys(scene_of(name) for name in names))


def drawn_pck(several: Sequence[Joints], scene_of: Callable[[str], Hashable]) -> Float[np.ndarray, "1+draws networks"]:
    """PCK of several networks over the same joints, then with scenes drawn anew, the same for all of them.

    NaN: nobody is labelled, or there is one scene to draw from.

    Args:
        several: joints of each picture, of each network.
        scene_of: a picture's scene, by its name.

    Raises:
        ValueError: other pictures, or other labelled joints: the networks do not know the same.
    """
    first, *others = several
    for other in others:
        if first.keys() != other.keys() or any(first[name][1] != other[name][1] for name in first):
            raise ValueError("PCK over other joints: expected the same pictures and networks that know the same joints")
    number = {scene: n for n, scene in enumerate(dict.fromkeys(map(scene_of, first)))}
    sums = np.zeros((len(number), len(several) + 1))
    for name, (_, labelled) in first.items():
        sums[number[scene_of(name)]] += *(one[name][0] for one in several), labelled
    draws = np.zeros((GAIN_RESAMPLES, len(sums)))
    if len(sums) > 1:
        stream = streams.generator(0, "bootstrap over scenes")
        draws = stream.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), GAIN_RESAMPLES).astype(float)
    each = np.vstack([sums.sum(axis=0), draws @ sums])
    with np.errstate(invalid="ignore"):
        found: Float[np.ndarray, "1+draws networks"] = 100 * each[:, :-1] / each[:, -1:]
    return found


def pck_gain(ours: Joints, theirs: Joints, scene_of: Callable[[str], Hashable]) -> tuple[float, float, float]:
    """By how much one PCK exceeds another, and the ends of its 95 % interval over scenes; see `drawn_pck`."""
    gain, *moved = np.subtract(*drawn_pck([ours, theirs], scene_of).T).tolist()
    known = [one for one in moved if not np.isnan(one)]
    low, high = np.quantile(known, (0.025, 0.975)).tolist() if known else (float("nan"),) * 2
    return gain, low, high


def gain_text(gain: float, low: float, high: float) -> str:
    """A gain for a table: `+5.8 (+2.6 … +9.7)`, of one scene `+5.8 (one scene)`."""
    return f"{gain:+.1f} ({'one scene' if np.isnan(low) else f'{low:+.1f} … {high:+.1f}'})"


def _weighted_pck(
    truth: Mapping[str, Sequence[Person]], found: Mapping[str, Sequence[Detection]], share: float
) -> Callable[[Weights], float]:
    """PCK of a set in which each picture counts as often as its weight says."""
    joints = [near_and_labelled(people, found[name], share) for name, people in truth.items()]
    near, labelled = np.array(joints, float).reshape(-1, 2).T

    def weighted(weights: Weights) -> float:
        torsos = float(weights @ labelled)
        return 100 * float(weights @ near) / torsos if torsos else float("nan")

    return weighted


def _spread(values: Iterable[float]) -> float:
    known = np.array([value for value in values if not np.isnan(value)])
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")


class WeightedAp:
    """AP of a set in which each picture counts as often as its weight says; people are matched once.

    Args:
        truth: people of each picture, in the order of the weights.
        found: detections of each picture.
        protocol: sigmas, area and number of detections.
        by: what they are matched by.
    """

    def __init__(
        self,
        truth: Mapping[str, Sequence[Person]],
        found: Mapping[str, Sequence[Detection]],
        protocol: Protocol,
        by: Matched = "keypoints",
    ) -> None:
        judge = evaluated(truth, found, protocol, by)
        order = {name: n for n, name in enumerate(truth)}
        pictures: list[dict[str, Any]] = [one for one in (judge.evalImgs if judge else []) if one]
        place = [order[sorted(truth)[one["image_id"] - 1]] for one in pictures]
        known = protocol.joints if by == "bbox" else of_known_joints(protocol, truth, found).joints
        counted = [sum(labelled_in(one, known) and not one.iscrowd for one in people) for people in truth.values()]
        self._people = np.array(counted, float)
        scores = [np.asarray(one["dtScores"], float) for one in pictures]
        by_score = np.argsort(-np.concatenate([*scores, np.zeros(0)]), kind="mergesort")
        counts = [len(one) for one in scores]
        self._picture = np.repeat(np.array(place, int), counts)[by_score]
        thresholds = len(judge.params.iouThrs) if judge else 0
        nothing = np.zeros((thresholds, 0))
        matched = np.concatenate([*(np.asarray(one["dtMatches"]) for one in pictures), nothing], axis=1)[:, by_score]
        ignored = np.concatenate([*(np.asarray(one["dtIgnore"]) for one in pictures), nothing], axis=1)[:, by_score]
        self._right = (matched > 0) & (ignored == 0)
        self._wrong = (matched == 0) & (ignored == 0)
        self._recalls = judge.params.recThrs if judge else np.zeros(0)

    def __call__(self, weights: Weights) -> float:
        """`100 · mean over thresholds and recalls of the precision`, as pycocotools accumulates it; NaN for nobody."""
        return float(self.at_thresholds(weights).mean())

    def at_thresholds(self, weights: Weights) -> Float[np.ndarray, " thresholds"]:
        """The same at each of the thresholds .50:.05:.95; NaN for nobody."""
        people = float(weights @ self._people)
        if not people or not len(self._picture):
            return np.full(THRESHOLDS, 0.0 if people else np.nan)
        each = weights[self._picture]
        right, wrong = np.cumsum(each * self._right, axis=1), np.cumsum(each * self._wrong, axis=1)
        precision = right / np.maximum(right + wrong, np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        sums = np.zeros(len(precision))
        for n, (line, recall) in enumerate(zip(precision, right / people, strict=True)):
            at = np.searchsorted(recall, self._recalls, side="left")
            sums[n] = line[at[at < len(line)]].sum()
        found: Float[np.ndarray, " thresholds"] = 100 * sums / len(self._recalls)
        return found
