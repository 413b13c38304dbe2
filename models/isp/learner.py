"""The predictor learns from the frozen pose network's loss alone: low-light pictures, no well-lit partner.

Ono et al., *Improving Low-Light Image Recognition Performance Based on Image-Adaptive Learnable Module*, VISAPP 2024.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from isp_sim import streams
from isp_sim.isp.develop import UNCUT
from isp_sim.isp.pipeline import Pipeline
from isp_sim.isp.raw_light import RawLight, raw_light
from isp_sim.scenes import Person
from models.data.crops import GROW, Affine, crop_affine, joints_in_crop
from models.data.samples import Exposure, PairSample, PairSource
from models.engine.distributed import order_of_epoch
from models.isp.learned import LearnedIsp
from models.isp.region_crops import developed_crops
from models.recognisers.losses import pose_loss
from models.recognisers.recogniser import Loss, Recogniser


@dataclass(frozen=True)
class LowLightBatch:
    """Low-light pictures and who is in them.

    Attributes:
        pictures: as the pipeline takes them, see `taken_by`.
        affines: picture px → crop px, for each person of each picture.
        joints: `(people, joints, 3)`, all pictures' in their order: x, y in crop px, COCO visibility.
        key: seeds what the predictor draws: (seed, epoch, number of the batch).
        people: everybody in each picture, for a detector.
        exposures: of each picture, where known.
    """

    pictures: tuple[Tensor | RawLight, ...]
    affines: tuple[tuple[Affine, ...], ...]
    joints: Tensor
    key: tuple[int, int, int]
    people: tuple[tuple[Person, ...], ...] = ()
    exposures: tuple[Exposure | None, ...] = ()


Input = Literal["picture", "raw"]
"""What an ISP develops: the 8-bit low-light picture, or the same before quantisation, nothing cut at black."""


def light_of(sample: PairSample, what: Input, device: torch.device) -> Tensor:
    """A shot's low-light picture as `(1, 3, height, width)`, sRGB, 1 is white.

    Raises:
        ValueError: the raw is to be developed and the source gave none.
    """
    if what == "picture":
        return (torch.from_numpy(sample.low_light).to(device).permute(2, 0, 1)[None].float() / 255).contiguous()
    if sample.pre_quantisation is None:
        raise ValueError(f"{sample.name}: has no raw; expected input: picture, the 8-bit one")
    return torch.from_numpy(sample.pre_quantisation).to(device).permute(2, 0, 1)[None].contiguous()


def taken_by(pipeline: Pipeline, sample: PairSample, what: Input, device: torch.device) -> Tensor | RawLight:
    """A shot's low light as a pipeline takes it: `light_of`, or the raw where its steps begin before sRGB.

    Raises:
        ValueError: see `light_of`; the pipeline takes raws, and the shot has none.
    """
    if not pipeline.takes_raw:
        return light_of(sample, what, device)
    if sample.raw is None:
        raise ValueError(f"{sample.name}: has no raw; the pipeline's first step, {pipeline.steps[0].name}, needs one")
    return raw_light(sample.raw, UNCUT, device)


class LowLightPictures:
    """Epochs of batches of low-light pictures, in an order drawn anew each epoch.

    Args:
        source: of the shots; the well-lit pictures are not used.
        size: (height, width) of a person's crop.
        pictures: a batch.
        people: of a picture, at most; drawn where there are more.
        seed: of order and choice.
        device: where the batches go.
        what: of a shot is developed.
        extent: of a person's crop over the grown box, the recogniser's.
        grow: of a person's box, see `models.data.crops.crop_affine`.
        rank, processes: of a distributed training.
        pipeline: that develops it; None: the usual one.
    """

    def __init__(
        self, source: PairSource, size: tuple[int, int], pictures: int, people: int, seed: int, device: torch.device,
        what: Input = "picture", extent: float = 1.0, grow: tuple[float, float] = GROW,
        rank: int = 0, processes: int = 1, pipeline: Pipeline | None = None,
    ) -> None:  # fmt: skip
        self.pipeline = pipeline or Pipeline()
        self.source, self.size, self.pictures, self.people = source, size, pictures, people
        self.seed, self.device, self.what, self.extent, self.grow = seed, device, what, extent, grow
        self.rank, self.processes = rank, processes

    def __call__(self, epoch: int) -> Iterator[tuple[float, LowLightBatch]]:
        """The epoch's batches, each with the share of the groups that are used up; what is left over is not used."""
        order = order_of_epoch(len(self.source), self.seed, epoch, self.rank, self.processes)
        waiting: list[PairSample] = []
        number = 0
        with ThreadPoolExecutor(1) as ahead:  # the next group is read while this one is learned from
            next_group = ahead.submit(self.source.group, order[0]) if order else None
            for place in range(len(order)):
                assert next_group is not None
                waiting += [shot for shot in next_group.result() if shot.labelled]
                if place + 1 < len(order):
                    next_group = ahead.submit(self.source.group, order[place + 1])
                while len(waiting) >= self.pictures:
                    batch, waiting = waiting[: self.pictures], waiting[self.pictures :]
                    yield (place + 1) / len(order), self.batch(batch, (epoch, number))
                    number += 1

    def batch(self, shots: list[PairSample], key: tuple[int, int]) -> LowLightBatch:
        """A batch of these shots; who of a crowd is used is drawn by the key."""
        stream = streams.generator(self.seed, "people", *key)
        affines, joints = [], []
        for shot in shots:
            drawn = sorted(stream.permutation(len(shot.labelled))[: self.people].tolist())
            chosen = [shot.labelled[i] for i in drawn]
            affines.append(tuple(crop_affine(one.bbox, self.size, self.extent, grow=self.grow) for one in chosen))
            joints += [joints_in_crop(p, a, self.size, False) for p, a in zip(chosen, affines[-1], strict=True)]
        pictures = tuple(taken_by(self.pipeline, shot, self.what, self.device) for shot in shots)
        there = torch.from_numpy(np.stack(joints)).to(self.device)
        exposures, people = tuple(shot.exposure for shot in shots), tuple(shot.people for shot in shots)
        return LowLightBatch(pictures, tuple(affines), there, (self.seed, *key), people, exposures)


class IspLearner(nn.Module):
    """The learned ISP with its loss; the recogniser is held outside, so that no checkpoint or optimiser sees it.

    Args:
        isp: predictor and pipeline.
        recogniser: frozen.
        loss: see `models.recognisers.losses.pose_loss`; None: what suits the recogniser's maps.
    """

    def __init__(self, isp: LearnedIsp, recogniser: Recogniser, loss: Loss | None = None) -> None:
        super().__init__()
        self.isp, self.loss = isp, loss or recogniser.loss
        self._outside = (recogniser,)

    def losses(self, batch: LowLightBatch) -> dict[str, Tensor]:
        """`pose`: what the frozen network's heatmaps lack after the ISP."""
        (recogniser,) = self._outside
        return {"pose": pose_loss(recogniser, self.crops(batch), batch.joints, self.loss)}

    def crops(self, batch: LowLightBatch) -> Tensor:
        """Everybody's crop, developed with the predictor's parameters for the picture or the person."""
        (recogniser,) = self._outside
        size = recogniser.input_size
        with torch.autocast(batch.joints.device.type, enabled=False):  # gains of 1,000 and σ of 0.005 need float32
            drawn = streams.torch_generator("cpu", streams.key_words(batch.key[0], *batch.key[1:]), "predictor")
            values = self.isp.of_people(batch.pictures, batch.exposures, batch.affines, size, drawn)
            return developed_crops(self.isp.pipeline, batch.pictures, values, batch.affines, size)
