"""Pairs → windows of both pictures with everybody's box; what is drawn depends on (seed, epoch, batch) alone."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isp_sim import streams
from isp_sim.scenes import Person
from models.data.crops import Affine, crop, mirrored
from models.data.normalisation import LOW, WELL, NormalisationName, levels
from models.data.samples import PairSource
from models.engine.distributed import order_of_epoch
from models.recognisers.movenet import STRIDE

ZOOM = (0.75, 1.33)
"""Of a window over the size at which the detector sees the whole picture, drawn evenly in its logarithm."""
LEAST_INSIDE = 0.5
"""Share of a box that must be in the window for its person to be asked for."""
LEAST_SIDE = 1.5
"""Cells of a box's shorter side below which nobody is asked for."""


@dataclass(frozen=True)
class Windows:
    """Parts of pictures, and who is in them.

    Attributes:
        pictures: `(batch, 3, height, width)`, normalised for each lighting: of each pair the low-light one first.
        boxes: as `models.detector.losses.targets` takes them.
    """

    pictures: Tensor
    boxes: Tensor


class WindowPairs:
    """Epochs of batches, a shot of each group an epoch, in an order drawn anew each time.

    Args:
        source: of the shots.
        pairs: a batch.
        size: (height, width) of a window, px, multiples of 32.
        side: longer side at which the detector sees a whole picture, px.
        normalisation: of each lighting.
        seed: of order and windows.
        device: where the batches go.
        rank, processes: of a distributed training.
    """

    def __init__(
        self, source: PairSource, pairs: int, size: tuple[int, int], side: int,
        normalisation: dict[int, NormalisationName], seed: int, device: torch.device, rank: int = 0, processes: int = 1,
    ) -> None:  # fmt: skip
        self.source, self.pairs, self.size, self.side, self.seed = source, pairs, size, side, seed
        self.normalisation, self.device, self._share = normalisation, device, (rank, processes)

    def __call__(self, epoch: int) -> Iterator[tuple[float, Windows]]:
        """The batches of an epoch, each with the share of it that lies behind; the next group is read meanwhile."""
        order = order_of_epoch(len(self.source), self.seed, epoch, *self._share)
        waiting: list[tuple[Tensor, np.ndarray]] = []
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._pair, epoch, order[0]) if order else None
            for place in range(len(order)):
                assert coming is not None
                waiting.append(coming.result())
                if place + 1 < len(order):
                    coming = ahead.submit(self._pair, epoch, order[place + 1])
                if len(waiting) == self.pairs:
                    yield (place + 1) / len(order), self._joined(waiting)
                    waiting = []

    def _joined(self, pairs: list[tuple[Tensor, np.ndarray]]) -> Windows:
        boxes = [
            np.column_stack([np.full(len(found), 2 * place + arm), found])
            for place, (_, found) in enumerate(pairs)
            for arm in range(2)
        ]
        pictures = torch.cat([both for both, _ in pairs]).to(self.device)
        there = torch.from_numpy(np.concatenate(boxes).astype(np.float32)).to(self.device)
        return Windows(pictures.contiguous(memory_format=torch.channels_last), there)

    def _pair(self, epoch: int, group: int) -> tuple[Tensor, np.ndarray]:
        """The same window of both pictures of one of a group's shots, `(2, 3, height, width)`, and the boxes in it."""
        stream = streams.generator(self.seed, "windows", epoch, group)
        shots = self.source.group(group)
        shot = shots[int(stream.integers(len(shots)))]
        affine = self._drawn(shot.low_light.shape[:2], stream)
        both = []
        for picture, lighting in ((shot.low_light, LOW), (shot.well_lit, WELL)):
            lines = levels(picture, self.normalisation[lighting])
            both.append(torch.from_numpy(crop(picture, affine, self.size, lines)))
        return torch.stack(both), boxes_in_window(shot.people, affine, self.size)

    def _drawn(self, picture: tuple[int, ...], stream: np.random.Generator) -> Affine:
        """Picture px → window px: zoomed, somewhere in the picture, half of them mirrored."""
        zoom = self.side / max(picture) * float(np.exp(stream.uniform(*np.log(ZOOM))))
        room = np.array(picture[::-1]) - np.array(self.size[::-1]) / zoom
        start = stream.uniform(size=2) * room  # where the picture is smaller, the window's place round it
        affine = np.column_stack([zoom * np.eye(2), -zoom * start])
        affine[:, 2] += (zoom - 1) / 2  # edges meet edges, (0, 0) being the middle of the first pixel
        return mirrored(affine, self.size[1]) if stream.random() < 0.5 else affine


def boxes_in_window(people: Iterable[Person], affine: Affine, size: tuple[int, int]) -> np.ndarray:
    """Everybody's box in a window, cut to it, `(people, 5)`: left, top, right, bottom in cells; 1: need not be found.

    Not asked for are people without a labelled joint, crowds, those with less than half of their box inside, and those
    whose box is narrower than a cell and a half. Who is outside altogether is left out.

    Args:
        people: in picture px.
        affine: picture px → window px; no rotation.
        size: (height, width) of the window.
    """
    found = []
    for person in people:
        x, y, width, height = person.bbox
        ends = np.array([(x - 0.5, y - 0.5), (x + width - 0.5, y + height - 0.5)])
        ends = (ends @ affine[:, :2].T + affine[:, 2] + 0.5) / STRIDE
        (left, top), (right, bottom) = ends.min(axis=0), ends.max(axis=0)
        whole = max((right - left) * (bottom - top), 1e-9)
        left, right = np.clip((left, right), 0, size[1] / STRIDE)
        top, bottom = np.clip((top, bottom), 0, size[0] / STRIDE)
        inside = (right - left) * (bottom - top) / whole
        if inside > 0:
            small = min(right - left, bottom - top) < LEAST_SIDE
            spared = not person.labelled or person.iscrowd or inside < LEAST_INSIDE or small
            found.append((left, top, right, bottom, float(spared)))
    return np.array(found).reshape(-1, 5)
