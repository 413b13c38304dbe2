"""The raw stage before its well-lit partner, and before a frozen network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from isp_sim.isp.develop import unclipped_srgb
from models.isp.region_crops import cropped
from models.raw_stage.network import RawNet
from models.raw_stage.patches import RawPatches
from models.raw_stage.people import SeenPerson
from models.recognisers.losses import pose_loss
from models.recognisers.recogniser import Recogniser


class RawStageLearner(nn.Module):
    """A raw stage with the loss of its pictures.

    Args:
        network: learns.
    """

    def __init__(self, network: RawNet) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: RawPatches) -> dict[str, Tensor]:
        """`l1`: mean distance from the well-lit picture, in sRGB cut at white."""
        return {"l1": (unclipped_srgb(self.network(batch.low_light)) - batch.well_lit).abs().mean()}


class TunedStageLearner(nn.Module):
    """A raw stage with the loss of frozen networks; these are held outside: no checkpoint or optimiser sees them.

    Args:
        network: learns.
        recognisers: frozen; each person of a batch is shown to one of them.
        fidelity: weight of the distance from the well-lit picture, beside the networks' loss of about 6.
    """

    def __init__(self, network: RawNet, recognisers: Sequence[Recogniser], fidelity: float) -> None:
        super().__init__()
        self.network, self.fidelity = network, fidelity
        self._outside = tuple(recognisers)

    def losses(self, batch: list[SeenPerson]) -> dict[str, Tensor]:
        """`pose`: what the networks lack of people's joints, the mean over people; `l1`: `fidelity` times the mean
        distance in sRGB.
        """
        apart: list[Tensor] = []
        pose = torch.zeros((), device=batch[0].joints.device)
        for number, recogniser in enumerate(self._outside):
            people = [person for person in batch if person.shown_to == number]
            if people:
                crops = torch.cat([self._crop(person, recogniser, apart) for person in people])
                joints = torch.stack([person.joints for person in people])
                lacks = pose_loss(recogniser, crops, joints, "decoded-cross-entropy")
                pose = pose + len(people) / len(batch) * lacks
        return {"pose": pose, "l1": self.fidelity * torch.stack(apart).mean()}

    def _crop(self, person: SeenPerson, recogniser: Recogniser, apart: list[Tensor]) -> Tensor:
        picture = unclipped_srgb(self.network(person.low_light).flip(person.axes))
        apart.append((picture - person.well_lit).abs().mean())
        with torch.autocast(picture.device.type, enabled=False):  # bfloat16 has not even 8 bits
            return cropped(person.seen(picture.clamp(0, 1)), person.part, person.affine, recogniser.input_size)
