"""Poses of everybody in a shot under many settings of the ISP, and what can be chosen from them; kept on disk."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from isp_sim.files import write_atomically
from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import JOINTS, Person
from models.data.samples import PairSample
from models.isp.learner import Input, light_of
from models.recognisers.detection import Detection
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import oks

ALL_JOINTS = tuple(range(len(JOINTS)))
HALVES = (ALL_JOINTS[::2], ALL_JOINTS[1::2])
"""Left and right of each joint fall into different halves: choose by one, judge by the other."""


@dataclass(frozen=True)
class Trials:
    """Poses of everybody in a shot under every setting.

    Attributes:
        keypoints: `(settings, people, joints, 3)`: x, y in picture px, peak of the heatmap.
        people: the labels, those with a labelled joint.
        values: `(settings, size)`: the settings.
    """

    keypoints: Float[np.ndarray, "settings people joints 3"]
    people: tuple[Person, ...]
    values: Float[Tensor, "settings size"]

    def detections(self, setting: int) -> list[Detection]:
        """What the network found under one setting."""
        return detections(self.keypoints[setting])

    def of_each(self, settings: Int[np.ndarray, " people"]) -> list[Detection]:
        """What the network found of each person under a setting of their own."""
        return detections(self.keypoints[settings, np.arange(len(settings))])

    def mean_oks(self, joints: Sequence[int] = ALL_JOINTS) -> Float[np.ndarray, " settings"]:
        """Mean OKS over the people of the shot, of these joints alone; 0 if none is labelled."""
        truth = np.array([p.keypoints for p in self.people])[:, list(joints)]
        areas = np.array([p.bbox[2] * p.bbox[3] for p in self.people])
        each = np.stack([oks(truth, k[:, list(joints)], areas, joints) for k in self.keypoints])
        known = ~np.isnan(each[0])
        return each[:, known].mean(axis=1) if known.any() else np.zeros(len(each))

    def best(self, joints: Sequence[int] = ALL_JOINTS) -> int:
        """The setting with the highest mean OKS of these joints: an oracle's choice."""
        return int(self.mean_oks(joints).argmax())

    def most_confident(self) -> int:
        """The setting with the highest mean of the heatmaps' peaks: the network's own choice, without labels."""
        return int(self.keypoints[..., 2].mean(axis=(1, 2)).argmax())

    def selected(self) -> Int[np.ndarray, " people"]:
        """For each person the setting whose pose is confident and agrees with those of most others.

        `argmax_b p_b · Σ_a OKS(a, b)`: p_b the mean peak under setting b, OKS between the poses under settings a and
        b. No labels; the person's box gives the scale. (The pose of least expected risk, each setting a sample; equal
        settings, where a factor met the end of a range, each have their vote.) A NaN pose or peak, and peaks below 0,
        count as 0; where all do, the first setting is taken.
        """
        areas = np.array([p.bbox[2] * p.bbox[3] for p in self.people])
        seen = self.keypoints.copy()
        seen[..., 2] = 2  # every joint counts
        agreement = np.array([sum(np.nan_to_num(oks(other, pose, areas)) for other in seen) for pose in self.keypoints])
        confidence = np.maximum(self.keypoints[..., 2].mean(axis=2), 0)
        return np.asarray(np.nan_to_num(agreement * confidence).argmax(axis=0))


def detections(people: Float[np.ndarray, "people joints 3"]) -> list[Detection]:
    """Poses as arrays of x, y and peak as detections."""
    return [Detection.of(joints[:, :2], joints[:, 2]) for joints in people]


def trial_key(
    recogniser: Recogniser, pipeline: Pipeline, sample: PairSample, what: Input, flip: str, *more: object
) -> str:
    """Digest of all that trials depend on: network, pipeline, the shot's picture or raw, its labels, and `more`."""
    whole = hashlib.blake2b(digest_size=16)
    whole.update(light_of(sample, what, torch.device("cpu")).numpy().tobytes())
    for part in (recogniser.digest(), pipeline.model_dump_json(), sample.labelled, what, flip, *more):
        whole.update(part.numpy().tobytes() if isinstance(part, Tensor) else repr(part).encode())
    return whole.hexdigest()


def kept(folder: Path | None, name: str, key: str, people: tuple[Person, ...], make: Callable[[], Trials]) -> Trials:
    """Trials from a folder, made and put there where it has none, so that a search that was stopped goes on.

    Args:
        folder: None keeps nothing.
        name: of the shot.
        key: see `trial_key`.
        people: the labels.
        make: the trials.
    """
    if folder is None:
        return make()
    path = folder / f"{Path(name).stem}-{key}.safetensors"
    if path.is_file():
        try:
            stored = load_file(path)
            return Trials(stored["keypoints"].numpy(), people, stored["values"])
        except (SafetensorError, KeyError):
            pass  # a damaged file is made anew
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save({"keypoints": torch.from_numpy(made.keypoints), "values": made.values.contiguous()}))
    return made
