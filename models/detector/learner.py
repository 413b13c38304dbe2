"""MultiPose in training as a detector; the joints' heads stay as they are and are not used afterwards."""

from torch import Tensor, nn

from models.detector.batches import Windows
from models.detector.losses import detection_losses, targets
from models.recognisers.movenet import STRIDE
from models.recognisers.multipose import MultiPose


class DetectorLearner(nn.Module):
    """A network with the losses of its boxes.

    Args:
        network: to start from; features and the heads of centres and boxes learn.
    """

    def __init__(self, network: MultiPose) -> None:
        super().__init__()
        self.network = network.requires_grad_(True)
        for joints in (network.heatmaps, network.regression, network.offsets):
            joints.requires_grad_(False)

    def losses(self, batch: Windows) -> dict[str, Tensor]:
        """See `models.detector.losses.detection_losses`."""
        count, _, height, width = batch.pictures.shape
        wanted = targets(batch.boxes, height // STRIDE, width // STRIDE, count)
        return detection_losses(self.network(batch.pictures), wanted)
