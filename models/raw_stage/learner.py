"""The raw stage before its well-lit partner."""

from torch import Tensor, nn

from isp_sim.isp.develop import unclipped_srgb
from models.raw_stage.network import RawNet
from models.raw_stage.patches import RawPatches


class RawStageLearner(nn.Module):
    """A raw stage with its loss.

    Args:
        network: learns.
    """

    def __init__(self, network: RawNet) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: RawPatches) -> dict[str, Tensor]:
        """`l1`: mean distance from the well-lit picture, in sRGB cut at white."""
        return {"l1": (unclipped_srgb(self.network(batch.low_light)) - batch.well_lit).abs().mean()}
