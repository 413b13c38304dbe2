"""Any frozen network that gives heatmaps, as the recogniser behind an ISP; `models.recognisers.loading` makes one."""

import hashlib
from typing import Annotated, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from isp_sim.scenes import JOINTS
from models.choices import EXTENTS
from models.data.crops import GROW, Affine, crop_affine
from models.data.normalisation import IMAGENET, LOW, WELL, MeanStd, Normalisation, NormalisationName, normalise_tensor
from models.pose.heatmaps import HEATMAP_STRIDE, decode
from models.pose.network import Cpn
from models.recognisers import decoding
from models.recognisers.movenet import Heads
from models.recognisers.pretrained import HeadsOutput, PretrainedPose

Side = Annotated[int, Field(ge=32, le=4096)]
Brightened = Literal["none", "imagenet"]
Share = Annotated[float, Field(ge=0, le=2)]
Seen = Tensor | Heads
"""What a network makes of crops: heatmaps `(batch, joints, …)`, or MoveNet's heads; joints in ExLPose's order."""


class RecogniserFile(BaseModel):
    """The YAML beside a third-party network's file, `NAME.yaml` beside `NAME.pt` or `NAME.pt2`.

    Attributes:
        height, width: of a person's crop, px.
        stride: crop pixels a heatmap pixel.
        extent: of a person's crop over the grown box (`models.data.crops.crop_affine`); 1 as the released code tests.
        low_light, well_lit: how a picture is normalised before the crop: a name, or a mean and a standard deviation of
            each channel.
        grow: shares of its width and height that a person's box grows by on each side, then to the crop's aspect.
        channels: heatmap channel of each of `JOINTS`, in ExLPose's order, null for a joint the network does not
            know; without it the first of them.
        brightened: how a low-light crop is normalised once its picture was brought to a mean of 0.4, or developed by an
            ISP: `imagenet`, or a mean and a standard deviation, for a network that was trained on well-lit pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: Side
    width: Side
    stride: int = Field(HEATMAP_STRIDE, ge=1, le=32)
    grow: tuple[Share, Share] = GROW
    channels: tuple[Annotated[int, Field(ge=0)] | None, ...] = Field(
        tuple(range(len(JOINTS))), min_length=len(JOINTS), max_length=len(JOINTS)
    )
    extent: float = Field(1.0, ge=EXTENTS[0], le=EXTENTS[1], allow_inf_nan=False)
    low_light: Normalisation = "mean-0.4"
    well_lit: Normalisation = "imagenet"
    brightened: Brightened | MeanStd = "none"

    @field_validator("low_light", "well_lit", "brightened", mode="before")
    @classmethod
    def _named_or_figures(cls, value: object, info: ValidationInfo) -> object:
        names = get_args(Brightened if info.field_name == "brightened" else NormalisationName)
        try:
            if isinstance(value, dict):
                return MeanStd.model_validate(value)
        except ValidationError:
            pass
        else:
            if isinstance(value, MeanStd) or value in names:
                return value
        raise ValueError(
            f"got {value!r}; expected {', '.join(names)} or {{mean: [R, G, B], std: [R, G, B]}}, three finite numbers "
            "each, every std above 0"
        )

    @model_validator(mode="after")
    def _once(self) -> Self:
        twice = next((n for n in self.channels if n is not None and self.channels.count(n) > 1), None)
        if twice is not None:
            raise ValueError(f"channels: heatmap {twice} is duplicated; expected one of its own for each joint")
        if all(n is None for n in self.channels):
            raise ValueError("channels: null for every joint; expected a heatmap for one or more")
        if self.brightened != "none" and (self.low_light == "imagenet" or isinstance(self.low_light, MeanStd)):
            raise ValueError(
                "low_light and brightened both subtract a mean, which would normalise twice; expected low_light "
                "mean-0.4 or none, or brightened none"
            )
        return self


class Recogniser(nn.Module):
    """A network for good: evaluation mode, no parameter learns, gradients still flow to its input.

    Args:
        network: crops `(batch, 3, height, width)` → heatmaps `(batch, joints, height/stride, width/stride)`, or a tuple
            whose first they are; ours get the lighting, MoveNet's `Heads` are decoded as its own graph does.
        file: of its input and output.
    """

    known: Tensor
    """Which of `JOINTS` the network has."""

    def __init__(self, network: nn.Module, file: RecogniserFile) -> None:
        super().__init__()
        self.network, self.grow = network, file.grow
        self.input_size = (file.height, file.width)
        self.stride = file.stride
        self.extent = file.extent
        self.normalisation: dict[int, Normalisation] = {LOW: file.low_light, WELL: file.well_lit}
        self._brightened = IMAGENET if file.brightened == "imagenet" else file.brightened
        known = [channel is not None for channel in file.channels]
        self.register_buffer("known", torch.tensor(known), persistent=False)
        self._channels = [channel or 0 for channel in file.channels]  # a missing joint's map is not used
        self.train(False)
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "Recogniser":
        """Stays in evaluation mode, whatever a trainer around it asks; an exported program has no modes."""
        self.training = False
        for module in self.network.modules():
            module.training = False
        return self

    def forward(self, crops: Tensor, lighting: int = LOW) -> Tensor:
        """Heatmaps `(batch, joints, height/stride, width/stride)`; 0 for a joint the network does not know.

        Args:
            crops: `(batch, 3, *input_size)`, normalised.
            lighting: `LOW` or `WELL`.
        """
        seen = self.seen(crops, lighting)
        return (seen.heatmaps if isinstance(seen, Heads) else seen) * self.known[:, None, None]

    def seen(self, crops: Tensor, lighting: int = LOW) -> Seen:
        """Heatmaps, or heads, from which `decode` reads joints; a joint the network does not know has another's.

        Args:
            crops: `(batch, 3, *input_size)`, normalised.
            lighting: `LOW` or `WELL`.
        """
        if lighting == LOW and isinstance(self._brightened, MeanStd):
            crops = normalise_tensor(crops, self._brightened)
        ours = isinstance(self.network, Cpn | PretrainedPose)
        seen = self.network(crops, lighting) if ours else self.network(crops)
        if isinstance(seen, HeadsOutput):
            seen = seen.logits.probabilities()
        if isinstance(seen, Heads):
            return decoding.pick(seen, self._channels)
        maps: Tensor = seen if isinstance(seen, Tensor) else seen[0]
        return maps[:, self._channels]

    def decode(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Joints in crop px, (0, 0) at the centre of the first, and their scores.

        A heatmap's pixel is `stride` crop px wide: crop = stride·heatmap + (stride − 1)/2 between pixel centres.
        MoveNet's places count cells from the crop's edge: crop = stride·place − 1/2.

        Args:
            seen: as `self.seen` gives it, or a mean of several.

        Returns:
            `(batch, joints, 2)`, NaN for a joint the network does not know, and `(batch, joints)`, 0 for such a joint.
        """
        if isinstance(seen, Heads):
            places, scores = decoding.decode(seen)
            joints = places * self.stride - 0.5
        else:
            places, scores = decode(seen)
            joints = places * self.stride + (self.stride - 1) / 2
        return joints.masked_fill(~self.known[:, None], float("nan")), scores * self.known

    def digest(self) -> str:
        """What makes it this recogniser: of its weights, its input and its output."""
        shape = (self.input_size, self.stride, self.extent, self.grow, self._channels, self.known.tolist())
        whole = hashlib.blake2b(repr((*shape, self.normalisation, self._brightened)).encode(), digest_size=16)
        for name, tensor in self.network.state_dict().items():
            whole.update(name.encode())
            whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return whole.hexdigest()

    def crop_affine(self, box: tuple[float, float, float, float]) -> Affine:
        """Picture px → px of the crop in which this network is shown the person of a box, (x, y, width, height) px."""
        return crop_affine(box, self.input_size, self.extent, grow=self.grow)
