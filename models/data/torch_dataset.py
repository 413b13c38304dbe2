"""Pairs as a `torch.utils.data.Dataset`, for training loops that are not this package's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from isp_sim.raw import normalise
from isp_sim.scenes import JOINTS
from models.data.samples import PairSample, PairSource

VARYING = ("keypoints", "boxes")
"""Of each picture as many as there are people: a batch has a list of them."""


class PairDataset(Dataset[dict[str, Any]]):
    """Shots of a source, one an item: of a folder in ExLPose's layout (`FolderPairs`), of a rig (`RigPairs`), of any
    `PairSource`.

    An item is a dictionary:

    | name | what |
    |---|---|
    | `low_light`, `well_lit` | uint8 `(3, height, width)`, sRGB |
    | `keypoints` | float32 `(people, 14, 3)`: x, y in px, visibility; ExLPose's joints |
    | `boxes` | float32 `(people, 4)`: x, y, width, height, px |
    | `split`, `name` | LL-N, LL-H or LL-E; the well-lit picture's name |
    | `exposure_us`, `gain_db` | of the low-light arm, NaN where unknown |
    | `mosaic` | float32 `(1, height, width)`, black 0, white 1, if the source reads raws |

    Args:
        source: of the pairs. Every worker of a loader has a copy of its own; an item depends on its index alone.
    """

    def __init__(self, source: PairSource) -> None:
        self._source = source
        self._places = [(group, shot) for group in range(len(source)) for shot in range(len(source.names(group)))]

    def __len__(self) -> int:
        """How many shots."""
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Shot `index`."""
        group, shot = self._places[index]
        return item(self._source.group(group)[shot])


def item(sample: PairSample) -> dict[str, Any]:
    """A sample as `PairDataset` gives it."""
    people = sample.people
    tensors: dict[str, Any] = {
        "low_light": _planes(sample.low_light),
        "well_lit": _planes(sample.well_lit),
        "keypoints": torch.tensor([person.keypoints for person in people], dtype=torch.float32).reshape(
            -1, len(JOINTS), 3
        ),
        "boxes": torch.tensor([one.bbox for one in people], dtype=torch.float32).reshape(-1, 4),
        "split": sample.split,
        "name": sample.name,
        "exposure_us": sample.exposure.time_us if sample.exposure else float("nan"),
        "gain_db": sample.exposure.gain_db if sample.exposure else float("nan"),
    }
    if sample.raw is not None:
        raw = sample.raw
        tensors["mosaic"] = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)[0]
    return tensors


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of items, for `DataLoader(collate_fn=collate)`: stacked, but for lists of what varies with the people."""
    batch: dict[str, Any] = default_collate([{k: v for k, v in one.items() if k not in VARYING} for one in items])
    return batch | {name: [one[name] for one in items] for name in VARYING}


def _planes(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
