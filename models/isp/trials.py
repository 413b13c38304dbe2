"""A shot under many settings of the ISP: the poses found under each, and what can be chosen from them; kept on disk."""

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
from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.isp.learner import Input, taken_by
from models.isp.region_crops import developed_crop
from models.recognisers.detection import Detection
from models.recognisers.inference import BATCH, heatmaps
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
        each = self.oks_of_each(joints)
        known = ~np.isnan(each[0])
        return each[:, known].mean(axis=1) if known.any() else np.zeros(len(each))

    def oks_of_each(self, joints: Sequence[int] = ALL_JOINTS) -> Float[np.ndarray, "settings people"]:
        """OKS of everybody under each setting, of these joints alone; NaN for whom none is labelled."""
        truth = np.array([p.keypoints for p in self.people])[:, list(joints)]
        areas = np.array([p.bbox[2] * p.bbox[3] for p in self.people])
        return np.stack([oks(truth, k[:, list(joints)], areas, joints) for k in self.keypoints])

    def best(self, joints: Sequence[int] = ALL_JOINTS) -> int:
        """The setting with the highest mean OKS of these joints: an oracle's choice."""
        return int(self.mean_oks(joints).argmax())

    def best_of_each(self, joints: Sequence[int] = ALL_JOINTS) -> Int[np.ndarray, " people"]:
        """For each person the setting with the highest OKS of these joints: an oracle that has one a person."""
        return np.asarray(np.nan_to_num(self.oks_of_each(joints), nan=-1.0).argmax(axis=0))

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


@dataclass(frozen=True)
class Search:
    """A shot whose settings are searched, and all else that its poses depend on.

    Attributes:
        recogniser: frozen.
        pipeline: the ISP.
        sample: the shot.
        what: of it is developed.
        flip: see `models.recognisers.inference.heatmaps`.
    """

    recogniser: Recogniser
    pipeline: Pipeline
    sample: PairSample
    what: Input
    flip: str = "none"

    @property
    def base(self) -> Float[Tensor, "1 size"]:
        """Where the picture's parameters start."""
        return self.pipeline.base(taken_by(self.pipeline, self.sample, self.what, torch.device("cpu")))

    def trial(self, values: Float[Tensor, "settings size"]) -> Trials:
        """Try settings."""
        recogniser, people = self.recogniser, self.sample.labelled
        device = next(recogniser.parameters()).device
        picture = taken_by(self.pipeline, self.sample, self.what, device)
        keypoints = np.zeros((len(values), len(people), len(JOINTS), 3), np.float32)
        with torch.inference_mode():
            for number, person in enumerate(people):
                affine = recogniser.crop_affine(person.bbox)
                for first in range(0, len(values), BATCH):
                    some = values[first : first + BATCH].to(device)
                    crops = developed_crop(self.pipeline, picture, some, affine, recogniser.input_size)
                    seen = heatmaps(recogniser, crops.contiguous(memory_format=torch.channels_last), LOW, self.flip)
                    joints, peaks = recogniser.decode(seen)
                    there = (joints.cpu().numpy() - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
                    keypoints[first : first + BATCH, number] = np.dstack([there, peaks.cpu().numpy()])
        return Trials(keypoints, people, values)

    def kept(self, folder: Path | None, values: Callable[[], Tensor], *key: object) -> Trials:
        """Trials from a folder, made and put there where it has none, so that a search that was stopped goes on.

        Args:
            folder: None keeps nothing.
            values: gives the settings to try.
            key: all that they depend on beside this search.
        """
        if folder is None:
            return self.trial(values())
        path = folder / f"{Path(self.sample.name).stem}-{self._digest(*key)}.safetensors"
        if path.is_file():
            try:
                stored = load_file(path)
                return Trials(stored["keypoints"].numpy(), self.sample.labelled, stored["values"])
            except (SafetensorError, KeyError):
                pass  # a damaged file is made anew
        made = self.trial(values())
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"keypoints": torch.from_numpy(made.keypoints), "values": made.values.contiguous()}
        write_atomically(path, save(content))
        return made

    def _digest(self, *more: object) -> str:
        """Of all that trials depend on: network, pipeline, the shot's picture or raw, its labels, and `more`."""
        whole = hashlib.blake2b(digest_size=16)
        light = taken_by(self.pipeline, self.sample, self.what, torch.device("cpu"))
        whole.update((light if isinstance(light, Tensor) else light.mosaic).numpy().tobytes())
        known = (self.recogniser.digest(), self.pipeline.model_dump_json(), self.sample.labelled, self.what, self.flip)
        for part in (*known, *more):
            whole.update(part.cpu().numpy().tobytes() if isinstance(part, Tensor) else repr(part).encode())
        return whole.hexdigest()
