"""MoveNet as the pose network of Lee et al.'s variants: a public network that knows people, its batch norms put back.

MoveNet is published with its batch norms folded into the convolutions. A folded convolution `W·x + b` becomes `W·x`
and a norm with the mean m and the variance v that `W·x` has over well-lit crops, `weight = √(v + ε)`, `bias = m + b`:
in evaluation `(W·x − m)/√(v + ε) · √(v + ε) + m + b = W·x + b`, the published network. From there the norms learn, one
for each lighting under LSBN (Lee et al., CVPR 2023, §4.1).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isp_sim.scenes import JOINTS
from models.data.normalisation import LOW, WELL, Normalisation
from models.pose.backbone import LightingNorm
from models.recognisers.movenet import KEYPOINTS, SIZES, STRIDE, Heads, InvertedResidual, MoveNet, SizeName

CHANNELS = tuple(KEYPOINTS.index(joint) if joint in KEYPOINTS else None for joint in JOINTS)
"""Heatmap of each of `JOINTS`; MoveNet has no head and no neck."""
GROW = (0.125, 0.125)
"""MoveNet wants a square round 1.25 times the box."""
CENTRE_WEIGHT, OFFSET_WEIGHT, REGRESSION_WEIGHT = 0.1, 1.0, 0.02
"""Of the terms beside the joints' places, so that each is about a tenth of theirs once trained."""
LUPI_WEIGHT = 0.1
"""So that at the start the term's gradient in the backbone is a twelfth of the cross-entropy's of either lighting."""


class HeadsOutput(NamedTuple):
    """What a forward gives.

    Attributes:
        logits: MoveNet's heads before the sigmoid.
        features: the stem's convolution before its norm, then the backbone at strides 4, 8, 16 and 32.
    """

    logits: Heads
    features: tuple[Tensor, ...]

    @property
    def heatmaps(self) -> Tensor:
        """Logits of the joints' cells."""
        return self.logits.heatmaps

    def part(self, people: slice) -> "HeadsOutput":
        """Of some of the batch."""
        return HeadsOutput(Heads(*(head[people] for head in self.logits)), tuple(x[people] for x in self.features))


class PretrainedPose(nn.Module):
    """MoveNet with batch norms in its backbone.

    Args:
        size: `thunder` or `lightning`.
        lsbn: a norm for each lighting in place of each.
    """

    normalisation: Mapping[int, Normalisation] = {LOW: "mean-0.4", WELL: "none"}
    grow, style_weight, maps = GROW, LUPI_WEIGHT, len(KEYPOINTS)

    def __init__(self, size: SizeName, lsbn: bool = False) -> None:
        super().__init__()
        self.size: SizeName = size
        self.lsbn = lsbn
        self.input_size = (SIZES[size].side, SIZES[size].side)
        self.movenet = MoveNet(size)
        for owner, name in _convolutions(self.movenet):
            folded = getattr(owner, name)
            norm = (LightingNorm if lsbn else nn.BatchNorm2d)(folded.out_channels)
            folded.register_parameter("bias", None)
            setattr(owner, name, nn.Sequential(folded, norm))
            self.feature_channels = folded.out_channels

    def forward(self, image: Tensor, lighting: int = LOW) -> HeadsOutput:
        """Heads of one person's crop.

        Args:
            image: `(batch, 3, *input_size)`, sRGB, low light brought to a mean of 0.4; what is above 1 is cut.
            lighting: `LOW` or `WELL`.
        """
        features = self._features(image, lighting)
        return HeadsOutput(self.movenet.logits(self.movenet.pyramid(features)), features)

    def both(self, low_light: Tensor, well_lit: Tensor) -> tuple[HeadsOutput, HeadsOutput]:
        """Heads of low-light and of well-lit crops, for training; see `models.pose.network.Cpn.both`."""
        if self.lsbn:
            each = self._features(low_light, LOW), self._features(well_lit, WELL)
            features = tuple(torch.cat(two) for two in zip(*each, strict=True))
        else:
            features = self._features(torch.cat([low_light, well_lit]), LOW)
        seen = HeadsOutput(self.movenet.logits(self.movenet.pyramid(features)), features)
        return seen.part(slice(len(low_light))), seen.part(slice(len(low_light), None))

    def stem(self) -> tuple[nn.Conv2d, nn.Module]:
        """The first convolution and its norm."""
        conv, norm = self.movenet.stem.children()
        assert isinstance(conv, nn.Conv2d)
        return conv, norm

    def loss(self, output: HeadsOutput, joints: Tensor) -> Tensor:
        """Spatial cross-entropy of each joint's cell, and the distances of what MoveNet says beside the cells.

        `mean_j −ln softmax_p(logit_j)(p_j) + 0.1 · −ln softmax_p(centre)(middle) + 1.0 · |offset_j(p_j) − (x_j − p_j)|
        + 0.02 · |regression_j(middle) − (x_j − middle)|`, all in cells, `|·|` smoothed (Huber, β = 1); joints that are
        not labelled or that MoveNet does not have do not count.

        Args:
            output: of a batch.
            joints: `(batch, joints, 3)`: x, y in crop px, COCO visibility.
        """
        known = [n for n, channel in enumerate(CHANNELS) if channel is not None]
        chosen = [channel for channel in CHANNELS if channel is not None]
        heads = Heads(*(head.float() for head in output.logits))
        height, width = heads.heatmaps.shape[-2:]
        places = (joints[:, known, :2] + 0.5) / STRIDE
        labelled = (joints[:, known, 2] > 0).to(places.dtype)
        limit = places.new_tensor((width - 1, height - 1))
        cells = places.floor().clamp_min(0).minimum(limit)
        index = (cells[..., 1] * width + cells[..., 0]).long()  # (batch, joints)
        total = labelled.sum().clamp_min(1)
        ln_p = F.log_softmax(heads.heatmaps[:, chosen].flatten(2), dim=2)
        where = -(ln_p.gather(2, index[..., None])[..., 0] * labelled).sum() / total
        middle = (height // 2) * width + width // 2
        centred = -F.log_softmax(heads.centre.flatten(1), dim=1)[:, middle].mean()
        offsets = heads.offsets[:, chosen].flatten(3).gather(3, index[..., None, None].expand(-1, -1, 2, 1))[..., 0]
        fine = F.smooth_l1_loss(offsets, places - cells, reduction="none").sum(dim=2)
        there = heads.regression[:, chosen].flatten(3)[..., middle]
        coarse = F.smooth_l1_loss(there, places - places.new_tensor((width // 2, height // 2)), reduction="none").sum(
            dim=2
        )
        beside = ((OFFSET_WEIGHT * fine + REGRESSION_WEIGHT * coarse) * labelled).sum() / total
        return where + CENTRE_WEIGHT * centred + beside

    def _features(self, image: Tensor, lighting: int) -> tuple[Tensor, ...]:
        for module in self.modules():
            if isinstance(module, LightingNorm):
                module.lighting = lighting
        return self.movenet.backbone(image)


def unfolded(published: MoveNet, lsbn: bool, crops: Iterable[Tensor]) -> PretrainedPose:
    """A published network with its norms put back; in evaluation it gives what the published one gives.

    Args:
        published: folded, as `models.recognisers.movenet.load_movenet` reads it.
        lsbn: a norm for each lighting; both begin alike.
        crops: batches of well-lit crops, `(batch, 3, height, width)`, over which means and variances are taken.

    Raises:
        ValueError: no crops.
    """
    measured = _moments(published, crops)
    with torch.random.fork_rng(devices=[]):  # the drawn weights are replaced
        network = PretrainedPose(published.size, lsbn).to(next(published.parameters()).device)
    state = published.state_dict()
    with torch.no_grad():
        for (owner, name), (mean, variance, bias) in zip(_convolutions(network.movenet), measured, strict=True):
            for norm in (m for m in getattr(owner, name).modules() if isinstance(m, nn.BatchNorm2d)):
                assert norm.running_mean is not None and norm.running_var is not None
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(variance)
                norm.weight.copy_((variance + norm.eps).sqrt())
                norm.bias.copy_(mean + bias)
        own = network.movenet.state_dict()
        for key, tensor in state.items():  # convolutions with a norm moved one level down
            moved = key.replace(".weight", ".0.weight") if key not in own else key
            if moved in own:
                own[moved].copy_(tensor)
    return network


Moments = tuple[Tensor, Tensor, Tensor]


def _moments(published: MoveNet, crops: Iterable[Tensor]) -> list[Moments]:
    """Of each folded convolution: mean and variance of `W·x` over crops and pixels, and its bias."""
    layers = [getattr(owner, name) for owner, name in _convolutions(published)]
    sums = [torch.zeros(2, layer.out_channels, dtype=torch.float64) for layer in layers]
    pixels = [0] * len(layers)

    def watch(number: int) -> object:
        def hook(layer: nn.Conv2d, _: Sequence[Tensor], output: Tensor) -> None:
            assert layer.bias is not None
            flat = (output - layer.bias[:, None, None]).transpose(0, 1).flatten(1).double().cpu()
            sums[number] += torch.stack([flat.sum(dim=1), (flat**2).sum(dim=1)])
            pixels[number] += flat.shape[1]

        return hook

    handles = [layer.register_forward_hook(watch(n)) for n, layer in enumerate(layers)]
    with torch.inference_mode():
        for batch in crops:
            published(batch.to(next(published.parameters()).device))
    for handle in handles:
        handle.remove()
    if not pixels[0]:
        raise ValueError("no crops of people to measure the norms on; the source has nobody with a labelled joint")
    means = [total / count for total, count in zip(sums, pixels, strict=True)]
    return [
        (m[0].float(), (m[1] - m[0] ** 2).clamp_min(0).float(), layer.bias.detach().cpu())
        for m, layer in zip(means, layers, strict=True)
    ]


def _convolutions(network: MoveNet) -> list[tuple[nn.Module, str]]:
    """The backbone's convolutions, each as its owner and its name there, in the order of the forward."""
    found: list[tuple[nn.Module, str]] = [(network, "stem")]
    for block in network.blocks:
        assert isinstance(block, InvertedResidual)
        names = ("expand", "depthwise", "project") if block.expand is not None else ("depthwise", "project")
        found += [(block, name) for name in names]
    return [*found, (network, "last")]
