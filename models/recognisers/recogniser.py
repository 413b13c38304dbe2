"""Any frozen network that gives heatmaps, as the recogniser behind an ISP; `models.recognisers.loading` makes one."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from isp_sim.field_errors import FieldError
from isp_sim.scenes import FACE, JOINTS
from isp_sim.scenes.joint_names import joint_of
from models.choices import EXTENTS
from models.data.crops import GROW, Affine, crop_affine
from models.data.normalisation import IMAGENET, LOW, WELL, MeanStd, Normalisation, NormalisationName, normalise_tensor
from models.engine.weights_file import digest
from models.pose.heatmaps import HEATMAP_STRIDE, decode
from models.pose.network import Cpn
from models.recognisers import decoding
from models.recognisers.blazepose import FIRST_PX, BlazePose, Landmarks
from models.recognisers.movenet import Heads
from models.recognisers.pretrained import HeadsOutput, PretrainedPose

Side = Annotated[int, Field(ge=32, le=4096)]
Brightened = Literal["none", "imagenet"]
Share = Annotated[float, Field(ge=0, le=2)]
Decoding = Literal["quarter-pixel", "highest-pixel", "expectation"]
"""How a heatmap becomes a place; see `models.recognisers.decoding`."""
Loss = Literal["heatmaps", "all-heatmaps", "spatial-cross-entropy", "decoded-cross-entropy"]
"""What an ISP before a network learns from; see `models.recognisers.losses.pose_loss`."""
Seen = Tensor | Heads | Landmarks
"""What a network makes of crops: heatmaps `(batch, joints, …)`, or what MoveNet or BlazePose says; joints in ExLPose's
order."""


class RecogniserFile(BaseModel):
    """The YAML beside a third-party network's file, `NAME.yaml` beside `NAME.pt` or `NAME.pt2`.

    Attributes:
        height, width: of a person's crop, px.
        stride: crop pixels a heatmap pixel.
        extent: of a person's crop over the grown box (`models.data.crops.crop_affine`); 1 as the released code tests.
        low_light, well_lit: how a picture is normalised before the crop: a name, or a mean and a standard deviation of
            each channel.
        grow: shares of its width and height that a person's box grows by on each side, then to the crop's aspect.
        joints: name of each heatmap, in the network's order, as annotation files spell them (`joint_names`); names that
            are none of `JOINTS` or `FACE` are not used. Without it ExLPose's 14.
        decoding: how a heatmap becomes a place: `quarter-pixel`, the highest pixel moved towards the higher neighbour;
            `highest-pixel` alone; `expectation`, the mean place under the map's softmax (integral regression).
        loss: what suits the maps: `heatmaps` where they were trained on Gaussians that peak at 1, else
            `decoded-cross-entropy` for maps of 0 … 1, `spatial-cross-entropy` for maps of any sign.
        brightened: how a low-light crop is normalised once its picture was brought to a mean of 0.4, or developed by an
            ISP: `imagenet`, or a mean and a standard deviation, for a network that was trained on well-lit pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: Side
    width: Side
    stride: int = Field(HEATMAP_STRIDE, ge=1, le=32)
    grow: tuple[Share, Share] = GROW
    joints: tuple[str, ...] = JOINTS
    decoding: Decoding = "quarter-pixel"
    loss: Loss = "heatmaps"
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
        named = [joint_of(name) for name in self.joints]
        twice = next((joint for joint in named if joint is not None and named.count(joint) > 1), None)
        if twice is not None:
            sentence = f"joints: {twice} is named {named.count(twice)} times; expected one heatmap for each joint"
            raise FieldError(sentence, "joints")
        if not set(named) & set(JOINTS):
            raise FieldError(f"joints: names none of {', '.join(JOINTS)}; expected one or more", "joints")
        if self.brightened != "none" and (self.low_light == "imagenet" or isinstance(self.low_light, MeanStd)):
            raise FieldError(
                "low_light and brightened both subtract a mean, which would normalise twice; expected low_light "
                "mean-0.4 or none, or brightened none",
                "brightened",
            )
        return self

    @property
    def channels(self) -> dict[str, int]:
        """Number of the heatmap of each of `JOINTS` and `FACE` that the network has."""
        named = [joint_of(name) for name in self.joints]
        return {joint: named.index(joint) for joint in (*FACE, *JOINTS) if joint in named}


_DECODERS = {
    "quarter-pixel": decode,
    "highest-pixel": decoding.highest_pixel,
    "expectation": decoding.expectation,
}


class Recogniser(nn.Module):
    """A network for good: evaluation mode, no parameter learns, gradients still flow to its input.

    Args:
        network: crops `(batch, 3, height, width)` → heatmaps `(batch, joints, height/stride, width/stride)`, or a tuple
            whose first they are; ours get the lighting; MoveNet's `Heads` and BlazePose's `Landmarks` have decodings of
            their own.
        file: of its input and output.

    Attributes:
        first_px: where the heatmaps' first pixel lies on each axis, crop px.
    """

    known: Tensor
    """Which of `JOINTS` the network has."""

    def __init__(self, network: nn.Module, file: RecogniserFile) -> None:
        super().__init__()
        self.network, self.grow = network, file.grow
        self.input_size = (file.height, file.width)
        self.stride = file.stride
        self.first_px = FIRST_PX if isinstance(network, BlazePose) else (file.stride - 1) / 2
        self.extent = file.extent
        self.normalisation: dict[int, Normalisation] = {LOW: file.low_light, WELL: file.well_lit}
        self._brightened = IMAGENET if file.brightened == "imagenet" else file.brightened
        self.channels, self.decoding, self.loss = file.channels, file.decoding, file.loss
        self.register_buffer("known", torch.tensor([joint in self.channels for joint in JOINTS]), persistent=False)
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
        return (seen if isinstance(seen, Tensor) else seen.heatmaps) * self.known[:, None, None]

    def seen(self, crops: Tensor, lighting: int = LOW, joints: Sequence[str] = JOINTS) -> Seen:
        """Heatmaps, or heads, from which `decode` reads joints; a joint the network does not know has another's.

        Args:
            crops: `(batch, 3, *input_size)`, normalised.
            lighting: `LOW` or `WELL`.
            joints: of which; `COCO_JOINTS` are the limbs with the face.
        """
        chosen = [self.channels.get(joint, 0) for joint in joints]
        if lighting == LOW and isinstance(self._brightened, MeanStd):
            crops = normalise_tensor(crops, self._brightened)
        ours = isinstance(self.network, Cpn | PretrainedPose)
        seen = self.network(crops, lighting) if ours else self.network(crops)
        if isinstance(seen, HeadsOutput):
            seen = seen.logits.probabilities()
        if isinstance(seen, Heads | Landmarks):
            return decoding.pick(seen, chosen)
        maps: Tensor = seen if isinstance(seen, Tensor) else seen[0]
        return maps[:, chosen]

    def decode(self, seen: Seen, joints: Sequence[str] = JOINTS) -> tuple[Tensor, Tensor]:
        """Joints in crop px, (0, 0) at the centre of the first, and their scores.

        A heatmap's pixel is `stride` crop px wide: crop = stride·heatmap + (stride − 1)/2 between pixel centres.
        MoveNet's and BlazePose's places count cells from the crop's edge: crop = stride·place − 1/2.

        Args:
            seen: as `self.seen` gives it, or a mean of several.
            joints: which it was asked for.

        Returns:
            `(batch, joints, 2)`, NaN for a joint the network does not know, and `(batch, joints)`, 0 for such a joint.
        """
        if isinstance(seen, Heads | Landmarks):
            places, scores = decoding.decode(seen)
            crop_px = places * self.stride - 0.5
        else:
            places, scores = _DECODERS[self.decoding](seen)
            crop_px = places * self.stride + self.first_px
        known = torch.tensor([joint in self.channels for joint in joints], device=scores.device)
        return crop_px.masked_fill(~known[:, None], float("nan")), scores * known

    def digest(self) -> str:
        """What makes it this recogniser: of its weights, its input and its output."""
        shape = (self.input_size, self.stride, self.extent, self.grow, self.channels, self.decoding)
        return digest(self.network, *shape, self.normalisation, self._brightened)

    def crop_affine(self, box: tuple[float, float, float, float]) -> Affine:
        """Picture px → px of the crop in which this network is shown the person of a box, (x, y, width, height) px."""
        return crop_affine(box, self.input_size, self.extent, grow=self.grow)
