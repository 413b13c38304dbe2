"""The raw stage before its well-lit partner, and before a frozen network."""

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
    """A raw stage with the loss of a frozen network; that is held outside: no checkpoint or optimiser sees it.

    Args:
        network: learns.
        recogniser: frozen.
        fidelity: weight of the distance from the well-lit picture, beside the network's loss of about 6.
    """

    def __init__(self, network: RawNet, recogniser: Recogniser, fidelity: float) -> None:
        super().__init__()
        self.network, self.fidelity = network, fidelity
        self._outside = (recogniser,)

    def losses(self, batch: list[SeenPerson]) -> dict[str, Tensor]:
        """`pose`: what the network lacks of people's joints; `l1`: `fidelity` times the mean distance in sRGB."""
        (recogniser,) = self._outside
        crops, apart = [], []
        for person in batch:
            picture = unclipped_srgb(self.network(person.low_light).flip(person.axes))
            apart.append((picture - person.well_lit).abs().mean())
            with torch.autocast(picture.device.type, enabled=False):  # bfloat16 has not even 8 bits
                seen = person.seen(picture.clamp(0, 1))
                crops.append(cropped(seen, person.part, person.affine, recogniser.input_size))
        joints = torch.stack([person.joints for person in batch])
        pose = pose_loss(recogniser, torch.cat(crops), joints, "decoded-cross-entropy")
        return {"pose": pose, "l1": self.fidelity * torch.stack(apart).mean()}
