"""Shots → batches of person crops, the same of both pictures; what is drawn depends on (seed, epoch, group) alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from isp_sim import streams
from isp_sim.scenes import JOINTS
from models.data.crops import GROW, Augmentation, crop, drawn_affine, joints_in_crop
from models.data.normalisation import LOW, NORMALISATION, WELL, Levels, Normalisation, levels
from models.data.samples import PairSample, PairSource
from models.engine.distributed import order_of_epoch

PEOPLE_OF_A_GROUP = 8
"""At most so many crops from one group: those of one scene resemble each other."""


@dataclass(frozen=True)
class CropPairs:
    """Crops of people from both pictures.

    Attributes:
        low_light, well_lit: `(people, 3, height, width)`, each normalised for its lighting.
        joints: `(people, joints, 3)`: x, y in crop px, COCO visibility.
    """

    low_light: Tensor
    well_lit: Tensor
    joints: Tensor

    def __len__(self) -> int:
        """How many people."""
        return len(self.joints)

    def __getitem__(self, part: slice) -> "CropPairs":
        """Some of the people."""
        return CropPairs(*(getattr(self, field.name)[part] for field in fields(self)))

    def to(self, device: torch.device) -> "CropPairs":
        """On a device, the pictures channels-last."""
        low, well = (
            x.to(device).contiguous(memory_format=torch.channels_last) for x in (self.low_light, self.well_lit)
        )
        return CropPairs(low, well, self.joints.to(device))

    @staticmethod
    def joined(parts: "list[CropPairs]") -> "CropPairs":
        """Several lots as one."""
        return CropPairs(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(CropPairs)))


class GroupCrops(Dataset[CropPairs]):
    """Training crops of a group of shots, by (epoch, group).

    Args:
        source: of the shots.
        size: (height, width) of a crop.
        augmentation: what is drawn.
        seed: of the training.
        normalisation: of each lighting's pictures.
        grow: shares of its width and height that a person's box grows by on each side.
    """

    def __init__(
        self,
        source: PairSource,
        size: tuple[int, int],
        augmentation: Augmentation,
        seed: int,
        normalisation: Mapping[int, Normalisation] = NORMALISATION,
        grow: tuple[float, float] = GROW,
    ) -> None:
        self.source, self.size, self.augmentation, self.seed = source, size, augmentation, seed
        self.normalisation, self.grow = normalisation, grow

    def __getitem__(self, key: tuple[int, int]) -> CropPairs:
        """Up to `PEOPLE_OF_A_GROUP` people, each in a shot of its own choice."""
        epoch, index = key
        stream = streams.generator(self.seed, "crops", epoch, index)
        shots = self.source.group(index)
        people = [(s, p) for s, shot in enumerate(shots) for p, one in enumerate(shot.people) if one.labelled]
        chosen = [people[i] for i in stream.permutation(len(people))[:PEOPLE_OF_A_GROUP]]
        lit = {
            s: (
                levels(shots[s].low_light, self.normalisation[LOW]),
                levels(shots[s].well_lit, self.normalisation[WELL]),
            )
            for s, _ in chosen
        }
        crops = [self._crop(shots[s], p, lit[s], stream) for s, p in chosen]
        if not crops:
            empty = torch.empty(0, 3, *self.size)
            return CropPairs(empty, empty, torch.empty(0, len(JOINTS), 3))
        return CropPairs(*(torch.from_numpy(np.stack(lot)) for lot in zip(*crops, strict=True)))

    def _crop(
        self, shot: PairSample, person: int, lit: tuple[Levels, Levels], stream: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        who = shot.people[person]
        affine, flip = drawn_affine(who.bbox, self.size, self.augmentation, stream, self.grow)
        pictures = zip((shot.low_light, shot.well_lit), lit, strict=True)
        low, well = (crop(picture, affine, self.size, lines) for picture, lines in pictures)
        return low, well, joints_in_crop(who, affine, self.size, flip)


class _Order(Sampler[tuple[int, int]]):
    """An epoch's groups of this process, shuffled; `epoch` says which."""

    def __init__(self, groups: int, seed: int, rank: int, processes: int) -> None:
        self.groups, self.seed, self.rank, self.processes, self.epoch = groups, seed, rank, processes, 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in order_of_epoch(self.groups, self.seed, self.epoch, self.rank, self.processes):
            yield self.epoch, index

    def __len__(self) -> int:
        return self.groups // self.processes


def _only(lots: list[CropPairs]) -> CropPairs:
    return lots[0]


def _one_thread(_: int) -> None:
    """A loader's process leaves the other cores to the training."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


class Batches:
    """Epochs of batches of exactly `size` people; what is left over at an epoch's end is not used.

    Args:
        crops: what is drawn.
        size: people a batch.
        workers: processes that read and crop; 0 does it here. The batches do not depend on it.
        rank, processes: of a distributed training; each gets its own share of the groups.

    Raises:
        ValueError: fewer groups than processes.
    """

    def __init__(self, crops: GroupCrops, size: int, workers: int = 0, rank: int = 0, processes: int = 1) -> None:
        if len(crops.source) < processes:
            raise ValueError(f"{len(crops.source)} groups of shots for {processes} processes: each needs one")
        self.size = size
        self._order = _Order(len(crops.source), crops.seed, rank, processes)
        self._loader = DataLoader(
            crops,
            sampler=self._order,
            collate_fn=_only,
            num_workers=workers,
            prefetch_factor=16 if workers else None,
            worker_init_fn=_one_thread,
            multiprocessing_context="spawn" if workers else None,  # a forked child hangs once LibRaw has developed
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else the loader would draw from the global one
        )

    def __call__(self, epoch: int) -> Iterator[tuple[float, CropPairs]]:
        """The batches of an epoch, each with the share of its groups that are used up."""
        self._order.epoch = epoch
        waiting: list[CropPairs] = []
        count = 0
        for number, lot in enumerate(self._loader, start=1):
            waiting.append(lot)
            count += len(lot)
            while count >= self.size:
                joined = CropPairs.joined(waiting)
                yield number / len(self._order), joined[: self.size]
                waiting, count = [joined[self.size :]], count - self.size
