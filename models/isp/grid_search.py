"""What any parameters of the ISP could do for a picture: every setting of a grid tried, and the best chosen.

Chosen with the labels it is an oracle (Ono et al., VISAPP 2024, search so for each image); an oracle can fit noise, so
it is also asked to choose by one half of the joints and judged on the other. Chosen by the network's own confidence, or
by what most settings agree on, it needs no labels.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

from isp_sim.files import write_atomically
from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.isp.learner import Input, light_of
from models.isp.region_crops import developed_crop
from models.recognisers.detection import Detection
from models.recognisers.inference import BATCH, heatmaps
from models.recognisers.recogniser import Recogniser
from models.scoring.average_precision import oks

HALVES = (tuple(range(0, 14, 2)), tuple(range(1, 14, 2)))
"""Left and right of each joint fall into different halves: choose by one, judge by the other."""


@dataclass(frozen=True)
class Trials:
    """Poses of everybody in a shot under every setting.

    Attributes:
        keypoints: `(settings, people, 14, 3)`: x, y in picture px, peak of the heatmap.
        people: the labels, those with a labelled joint.
        values: `(settings, size)`: the settings.
    """

    keypoints: Float[np.ndarray, "settings people 14 3"]
    people: tuple[Person, ...]
    values: Float[Tensor, "settings size"]

    def detections(self, setting: int) -> list[Detection]:
        """What the network found under one setting."""
        return [found(joints) for joints in self.keypoints[setting]]

    def of_each(self, settings: Int[np.ndarray, " people"]) -> list[Detection]:
        """What the network found of each person under a setting of their own."""
        return [found(self.keypoints[setting, person]) for person, setting in enumerate(settings)]

    def gain(self, joints: Sequence[int] = tuple(range(14))) -> Float[np.ndarray, " settings"]:
        """Mean OKS over the people of the shot, of these joints alone; NaN if none is labelled."""
        truth = np.array([p.keypoints for p in self.people])[:, list(joints)]
        areas = np.array([p.bbox[2] * p.bbox[3] for p in self.people])
        each = np.stack([oks(truth, k[:, list(joints)], areas, joints) for k in self.keypoints])
        known = ~np.isnan(each[0])
        return each[:, known].mean(axis=1) if known.any() else np.zeros(len(each))

    def confidence(self) -> Float[np.ndarray, " settings"]:
        """Mean height of the heatmaps' peaks: what the network itself thinks of a setting."""
        return np.asarray(self.keypoints[..., 2].mean(axis=(1, 2)))

    def surest(self) -> Int[np.ndarray, " people"]:
        """For each person the setting under which the network is sure of what it finds under most others.

        `argmax_b p_b · Σ_a OKS(a, b)`: p_b the mean peak under setting b, OKS between the poses under settings a and
        b. No labels; the person's box gives the scale. (The pose of least expected risk, each setting a sample; equal
        settings, where a factor met the end of a range, each have their vote.) A pose or peak that is no number, and
        peaks below 0, count as 0; where all do, the first setting is taken.
        """
        areas = np.array([p.bbox[2] * p.bbox[3] for p in self.people])
        seen = self.keypoints.copy()
        seen[..., 2] = 2  # every joint counts
        agreement = np.array([sum(np.nan_to_num(oks(other, pose, areas)) for other in seen) for pose in self.keypoints])
        sure = np.maximum(self.keypoints[..., 2].mean(axis=2), 0)
        return np.asarray(np.nan_to_num(agreement * sure).argmax(axis=0))


def found(joints: Float[np.ndarray, "14 3"]) -> Detection:
    """Joints with their peaks as one detection, whose score is the peaks' mean."""
    return Detection(tuple(tuple(map(float, j)) for j in joints), float(joints[:, 2].mean()))  # type: ignore[misc]


def around(pipeline: Pipeline, start: Tensor, steps: dict[str, Sequence[float]]) -> Tensor:
    """Every combination of factors on a picture's start, `(settings, size)`, the start itself first.

    Args:
        pipeline: the ISP.
        start: `(1, size)`; `pipeline.base` gives one.
        steps: by the name of a parameter (`exposure.gain`) or of one of its numbers (`smoothing.sigma_range.R`),
            the factors tried; a parameter's numbers move together.

    Raises:
        ValueError: a name the pipeline has not.
    """
    names = pipeline.names
    columns = {key: [n for n, name in enumerate(names) if name == key or name.startswith(f"{key}.")] for key in steps}
    unknown = next((key for key, found in columns.items() if not found), None)
    if unknown:
        raise ValueError(f"grid over {unknown}: the pipeline has {', '.join(names)}")
    settings = [start]
    low = torch.cat([start.new_full((spec.size,), spec.low) for spec in pipeline.specs])
    high = torch.cat([start.new_full((spec.size,), spec.high) for spec in pipeline.specs])
    for factors in itertools.product(*steps.values()):
        if all(factor == 1 for factor in factors):
            continue
        moved = start.clone()
        for key, factor in zip(steps, factors, strict=True):
            moved[:, columns[key]] *= factor
        settings.append(moved.clamp(low, high))
    return torch.cat(settings)


def known_steps(pipeline: Pipeline, steps: dict[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """The part of a grid whose parameters a pipeline has."""
    names = pipeline.names
    return {key: factors for key, factors in steps.items() if any(n == key or n.startswith(f"{key}.") for n in names)}


def trial(
    recogniser: Recogniser, pipeline: Pipeline, sample: PairSample, what: Input, values: Tensor, flip: str
) -> Trials:
    """Try settings on a shot.

    Args:
        recogniser: frozen.
        pipeline: the ISP.
        sample: the shot.
        what: of it is developed.
        values: `(settings, size)`.
        flip: see `models.recognisers.inference.heatmaps`.
    """
    device = next(recogniser.parameters()).device
    people = tuple(p for p in sample.people if p.labelled)
    picture = light_of(sample, what, device)[None]
    keypoints = np.zeros((len(values), len(people), 14, 3), np.float32)
    with torch.inference_mode():
        for number, person in enumerate(people):
            affine = recogniser.crop_affine(person.bbox)
            for first in range(0, len(values), BATCH):
                ways = values[first : first + BATCH].to(device)
                crops = developed_crop(pipeline, picture, ways, affine, recogniser.input_size)
                seen = heatmaps(recogniser, crops.contiguous(memory_format=torch.channels_last), LOW, flip)
                joints, peaks = recogniser.decode(seen)
                there = (joints.cpu().numpy() - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
                keypoints[first : first + BATCH, number] = np.dstack([there, peaks.cpu().numpy()])
    return Trials(keypoints, people, values)


def cached_trial(
    folder: Path, recogniser: Recogniser, pipeline: Pipeline, sample: PairSample, what: Input, values: Tensor, flip: str
) -> Trials:
    """As `trial`, kept in a folder by the shot's name, so that a search that was stopped goes on where it was."""
    path = folder / what / f"{Path(sample.name).stem}.safetensors"
    people = tuple(p for p in sample.people if p.labelled)
    if path.is_file():
        try:
            kept = load_file(path)
            if np.array_equal(kept["values"], values.numpy()):
                return Trials(kept["keypoints"], people, values)
        except (SafetensorError, KeyError):
            pass  # a file of something else is made anew
    made = trial(recogniser, pipeline, sample, what, values, flip)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save({"keypoints": made.keypoints, "values": values.numpy()}))
    return made
