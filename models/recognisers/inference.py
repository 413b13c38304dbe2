"""A frozen pose network over a picture: crops in, joints in picture pixels out."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from isp_sim.scenes import Person
from models.data.crops import FLIP, RELEASED_FLIP, Affine, crop
from models.data.normalisation import Picture, normalise
from models.recognisers.decoding import mirrored
from models.recognisers.detection import Detection
from models.recognisers.recogniser import Recogniser, Seen

FLIPS = {"none": None, "right": FLIP, "released": RELEASED_FLIP}
BATCH = 32


def heatmaps(recogniser: Recogniser, crops: Tensor, lighting: int, flip: str) -> Seen:
    """Heatmaps or heads of a batch; with a flip the mean of the crop's and its mirror image's.

    Args:
        recogniser: frozen.
        crops: `(batch, 3, height, width)`, normalised.
        lighting: of the input.
        flip: `none`, `right`, or `released` (its wrong joint pairs).

    Raises:
        ValueError: an unknown flip, or one that gives a joint what the network does not know.
    """
    if flip not in FLIPS:
        raise ValueError(f"flip {flip!r}: expected one of {', '.join(FLIPS)}")
    pairs = FLIPS[flip]
    if pairs is None:
        return recogniser.seen(crops, lighting)
    if not torch.equal(recogniser.known[list(pairs)], recogniser.known):
        raise ValueError(
            f"flip {flip!r}: exchanges a joint with one that the network does not know; expected right or none"
        )
    both = recogniser.seen(torch.cat([crops, crops.flip(-1)]), lighting)
    if isinstance(both, Tensor):
        return _mean([both[: len(crops)], both[len(crops) :].flip(-1)[:, list(pairs)]])
    straight, mirror = (type(both)(*half) for half in zip(*(head.chunk(2) for head in both), strict=True))
    return _mean([straight, mirrored(mirror, pairs)])


def _mean(several: Sequence[Seen]) -> Seen:
    """The mean of one network's outputs for the same crops, in float32."""
    first = several[0]
    if isinstance(first, Tensor):
        return torch.stack([one for one in several if isinstance(one, Tensor)]).float().mean(dim=0)
    return type(first)(*(torch.stack(same).float().mean(dim=0) for same in zip(*several, strict=True)))


def detect(
    recogniser: Recogniser, picture: Picture, people: Sequence[Person], lighting: int, flip: str = "right"
) -> list[Detection]:
    """Poses of people whose boxes are known, in an 8-bit picture.

    Args:
        recogniser: frozen; its device is where it runs.
        picture: uint8 `(height, width, 3)`, R first.
        people: only their boxes are used.
        lighting: how the picture is normalised, and which norms are used.
        flip: see `heatmaps`.
    """
    return detect_in(recogniser, [normalise(picture, recogniser.normalisation[lighting])], people, lighting, flip)


def detect_in(
    recogniser: Recogniser, images: Sequence[np.ndarray], people: Sequence[Person], lighting: int, flip: str = "right"
) -> list[Detection]:
    """Poses of people whose boxes are known, in what an ISP made for the network; NaN for joints it does not know.

    Several developments of one picture vote: their heatmaps are averaged.

    Args:
        recogniser: frozen; its device is where it runs.
        images: each float32 `(height, width, 3)`, normalised.
        people: only their boxes are used.
        lighting: which norms are used.
        flip: see `heatmaps`.
    """
    if not people:
        return []
    device = next(recogniser.parameters()).device
    affines = [recogniser.crop_affine(person.bbox) for person in people]
    found: list[Detection] = []
    with torch.inference_mode():
        for first in range(0, len(people), BATCH):
            chosen = affines[first : first + BATCH]
            seen = _mean([_crops_seen(recogniser, image, chosen, lighting, flip, device) for image in images])
            joints, scores = recogniser.decode(seen)
            for affine, points, peaks in zip(chosen, joints.cpu().numpy(), scores.cpu().numpy(), strict=True):
                there = (points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
                found.append(Detection.of(there, peaks))
    return found


def _crops_seen(
    recogniser: Recogniser, image: np.ndarray, affines: Sequence[Affine], lighting: int, flip: str, device: torch.device
) -> Seen:
    crops = torch.from_numpy(np.stack([crop(image, affine, recogniser.input_size) for affine in affines]))
    return heatmaps(recogniser, crops.to(device).contiguous(memory_format=torch.channels_last), lighting, flip)
