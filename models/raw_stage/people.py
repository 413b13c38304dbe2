"""Shots → batches of people's parts of raws; what is drawn depends on (seed, epoch, group) alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isp_sim.scenes import Person
from models.data.crops import Affine, Part, crop_affine, joints_in_crop, mirrored, seen_part
from models.data.patches import patch_batches
from models.data.samples import PairSample, PairSource
from models.raw_stage.network import FLIPS, RawInput, as_input
from models.recognisers.recogniser import Recogniser

SCALE = (0.8, 1.25)
"""Smallest and largest extent of a crop over the recogniser's own, drawn evenly."""


@dataclass(frozen=True)
class SeenPerson:
    """The part of a shot that a recogniser is shown of a person.

    Attributes:
        shown_to: number of the recogniser.
        low_light: the mosaic there, two px wider at most so that its tile is whole.
        axes: along which the mosaic is mirrored.
        corner: of the mosaic's part, (left, top), picture px.
        well_lit: `(1, 3, height, width)`, sRGB, 0 … 1, the same pixels.
        part: of the picture that the crop sees.
        affine: picture px → crop px.
        joints: `(joints, 3)`: x and y in crop px, COCO visibility.
    """

    shown_to: int
    low_light: RawInput
    axes: tuple[int, ...]
    corner: tuple[int, int]
    well_lit: Tensor
    part: Part
    affine: Affine
    joints: Tensor

    def seen(self, picture: Tensor) -> Tensor:
        """Of what was made of the mosaic, the part that the crop sees."""
        left, top = self.part.left - self.corner[0], self.part.top - self.corner[1]
        return picture[:, :, top : top + self.part.height, left : left + self.part.width]


class PeopleOfRaws:
    """Epochs of batches of people, in an order drawn anew each epoch; what is left over is not used.

    Args:
        source: of the pairs, with their raws and labels.
        recognisers: whose crops they are; each person is shown to one of them, drawn.
        batch: people in one.
        seed: of order, extents and mirrors.
        device: where the batches go.
        rank, processes: of a distributed training.

    Raises:
        ValueError: when called: not enough for a single batch.
    """

    def __init__(
        self, source: PairSource, recognisers: Sequence[Recogniser], batch: int, seed: int, device: torch.device,
        rank: int = 0, processes: int = 1,
    ) -> None:  # fmt: skip
        self.source, self.recognisers, self.batch, self.seed = source, recognisers, batch, seed
        self.device, self.rank, self.processes = device, rank, processes

    def __call__(self, epoch: int) -> Iterator[tuple[float, list[SeenPerson]]]:
        """The epoch's batches, each with the share of the groups that are used up."""
        who = "labelled people"
        yield from patch_batches(
            self.source, self.people, self.batch, "people of raws", who, self.seed, epoch, self.rank, self.processes
        )

    def people(self, shot: PairSample, stream: np.random.Generator) -> list[SeenPerson]:
        """Everybody of a shot who has a labelled joint, mirrored or not.

        Raises:
            ValueError: no raw.
        """
        if shot.raw is None:
            raise ValueError(f"{shot.name}: has no raw; the raw stage learns from raws")
        if not shot.labelled:
            return []
        seen, axes = as_input(shot.raw), FLIPS[shot.raw.cfa]
        return [self._person(shot, seen, axes, one, stream) for one in shot.labelled]

    def _person(
        self, shot: PairSample, seen: RawInput, axes: tuple[int, ...], who: Person, stream: np.random.Generator
    ) -> SeenPerson:
        shown_to = int(stream.integers(len(self.recognisers)))
        recogniser = self.recognisers[shown_to]
        size, extent = recogniser.input_size, recogniser.extent * stream.uniform(*SCALE)
        affine, flip = crop_affine(who.bbox, size, extent, grow=recogniser.grow), bool(stream.integers(2))
        affine = mirrored(affine, size[1]) if flip else affine
        height, width = seen.mosaic.shape[2:]
        part = seen_part(affine, size, (height, width))
        rows, columns = _whole_tiles(part.top, part.height), _whole_tiles(part.left, part.width)
        mosaic = seen.mosaic.flip(axes)[:, :, rows, columns].flip(axes)
        well = torch.from_numpy(np.ascontiguousarray(shot.well_lit[rows, columns])).permute(2, 0, 1)[None]
        joints = torch.from_numpy(joints_in_crop(who, affine, size, flip))
        return SeenPerson(
            shown_to, seen._replace(mosaic=mosaic).to(self.device), axes, (columns.start, rows.start),
            well.to(self.device).float() / 255, part, affine, joints.to(self.device),
        )  # fmt: skip


def _whole_tiles(first: int, length: int) -> slice:
    return slice(first // 2 * 2, (first + length + 1) // 2 * 2)
