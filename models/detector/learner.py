"""MultiPose in training as a detector; the joints' heads stay as they are and are not used afterwards."""

import torch
from torch import Tensor, nn

from models.detector.batches import Windows
from models.detector.losses import detection_losses, targets
from models.recognisers.movenet import STRIDE
from models.recognisers.multipose import MultiPose

BALANCE = 64.0
"""The published weights before the heads have a mean magnitude of 0.0003, a fortieth of the next smallest layer's: with
one learning rate for all of them, its first steps would destroy the network. A power of two rounds nothing."""


class DetectorLearner(nn.Module):
    """A network with the losses of its boxes.

    Args:
        network: to start from; features and the heads of centres and boxes learn.
    """

    def __init__(self, network: MultiPose) -> None:
        super().__init__()
        self.network = balanced(network).requires_grad_(True)
        for joints in (network.heatmaps, network.regression, network.offsets):
            joints.requires_grad_(False)

    def losses(self, batch: Windows) -> dict[str, Tensor]:
        """See `models.detector.losses.detection_losses`."""
        count, _, height, width = batch.pictures.shape
        wanted = targets(batch.boxes, height // STRIDE, width // STRIDE, count)
        features = self.network.features(batch.pictures)
        with torch.autocast(features.device.type, enabled=False):  # in bfloat16 a score of 0.998 is 1
            return detection_losses(self.network.crowd_heads(features.float()), wanted)


def balanced(network: MultiPose) -> MultiPose:
    """The same function with the last features 64 times as large and the heads' first weights 64 times smaller.

    `h(relu(x)) = (h/k)(relu(k·x))`, h linear without a bias; nothing is done where the features are so already.
    """
    last = network.smooth[-1].get_submodule("pointwise")
    weights, bias = last.get_parameter("weight"), last.get_parameter("bias")
    if float(weights.detach().abs().mean()) * BALANCE > 1:
        return network
    heads = (network.heatmaps, network.centre, network.regression, network.offsets)
    with torch.no_grad():
        weights.mul_(BALANCE)
        bias.mul_(BALANCE)
        for head in (*heads, network.box_sizes, network.box_offsets):
            head.get_parameter("0.depthwise.weight").div_(BALANCE)
    return network
