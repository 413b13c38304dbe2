"""Any frozen network that gives heatmaps, as the recogniser behind an ISP: ours, MoveNet, TorchScript, a factory's."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from isp_sim.rigfile import load_yaml
from isp_sim.scenes import JOINTS
from models.choices import EXTENTS
from models.data.crops import (
    GROW,
    IMAGENET,
    LOW_LIGHT_MEAN,
    Affine,
    MeanStd,
    Normalisation,
    NormalisationName,
    crop_affine,
)
from models.pose.backbone import LOW, WELL
from models.pose.heatmaps import decode
from models.pose.network import HEATMAP_STRIDE, Cpn, PoseOutput
from models.pose.weights import SHIPPED, load_network
from models.recognisers import decoding
from models.recognisers.movenet import KEYPOINTS, STRIDE, Heads, SizeName, load_movenet, shipped_weights
from models.recognisers.plugins import load_foreign, made_by

Side = Annotated[int, Field(ge=32, le=4096)]
Brightened = Literal["none", "imagenet"]
Share = Annotated[float, Field(ge=0, le=2)]
WELL_LIT = "well-lit"
"""Name of the shipped network as one that has never seen the dark."""
MOVENETS: dict[str, SizeName] = {f"movenet-{size}": size for size in get_args(SizeName)}
"""Names of the public networks that come with the package."""
MOVENET_GROW = (0.125, 0.125)
"""MoveNet wants a square round 1.25 times the box."""
Seen = Tensor | Heads
"""What a network says of crops: heatmaps `(batch, 14, …)`, or MoveNet's heads; joints in ExLPose's order."""


class RecogniserFile(BaseModel):
    """What stands in the YAML beside a foreign network's file, `NAME.yaml` beside `NAME.pt` or `NAME.pt2`.

    Attributes:
        height, width: of a person's crop, px.
        stride: crop pixels a heatmap pixel.
        channels: heatmap channel of each of the 14 joints in ExLPose's order; without it the first 14.
        extent: of a person's crop over the grown box (`models.data.crops.crop_affine`); 1 as the released code tests.
        low_light, well_lit: how a picture is normalised before the crop: a name, or a mean and a standard deviation of
            each channel.
        grow: shares of its width and height that a person's box grows by on each side, then to the crop's aspect.
        channels: heatmap channel of each of the 14 joints in ExLPose's order, null for a joint the network does not
            know; without it the first 14.
        low_light, well_lit: how a picture is normalised before the crop.
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
            raise ValueError(f"channels: heatmap {twice} stands twice; each joint needs one of its own")
        if all(n is None for n in self.channels):
            raise ValueError("channels: null for every joint; at least one must have a heatmap")
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
            whose first they are; a `Cpn` is told the lighting, MoveNet's `Heads` are decoded as its own graph does.
        said: of its input and output.
    """

    known: Tensor
    """Which of the 14 joints the network has."""

    def __init__(self, network: nn.Module, said: RecogniserFile) -> None:
        super().__init__()
        self.network, self.said = network, said
        self.input_size = (said.height, said.width)
        self.stride = said.stride
        self.extent = said.extent
        self.normalisation: dict[int, Normalisation] = {LOW: said.low_light, WELL: said.well_lit}
        self._brightened = IMAGENET if said.brightened == "imagenet" else said.brightened
        known = [channel is not None for channel in said.channels]
        self.register_buffer("known", torch.tensor(known), persistent=False)
        self._channels = [channel or 0 for channel in said.channels]  # what a missing joint is given is never looked at
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
        """Heatmaps `(batch, 14, height/stride, width/stride)`; 0 for a joint the network does not know.

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
            crops = standardised(crops, self._brightened)
        seen = self.network(crops, lighting) if isinstance(self.network, Cpn) else self.network(crops)
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
            `(batch, 14, 2)`, NaN for a joint the network does not know, and `(batch, 14)`, 0 for such a joint.
        """
        if isinstance(seen, Heads):
            places, scores = decoding.decode(seen)
            joints = places * self.stride - 0.5
        else:
            places, scores = decode(seen)
            joints = places * self.stride + (self.stride - 1) / 2
        return joints.masked_fill(~self.known[:, None], float("nan")), scores * self.known

    def crop_affine(self, box: tuple[float, float, float, float]) -> Affine:
        """Picture px → px of the crop in which this network is shown the person of a box, (x, y, width, height) px."""
        return crop_affine(box, self.input_size, self.extent, grow=self.said.grow)


def standardised(pictures: Tensor, figures: MeanStd) -> Tensor:
    """`(x − mean) / std` of `(batch, 3, height, width)`; `models.data.crops.levels` in torch."""
    mean, std = (pictures.new_tensor(three)[:, None, None] for three in (figures.mean, figures.std))
    return (pictures - mean) / std


def of_cpn(network: Cpn) -> Recogniser:
    """A pose network of ours, frozen."""
    height, width = network.input_size
    return Recogniser(network, RecogniserFile(height=height, width=width))


class _WellLitAlone(nn.Module):
    """A network of ours that takes every picture for a well-lit one."""

    def __init__(self, network: Cpn) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> PoseOutput:
        seen: PoseOutput = self.network(crops, WELL)
        return seen


def well_lit_alone() -> Recogniser:
    """The shipped network with its batch norms of well-lit pictures for low light too.

    Stands for the many networks that were trained on well-lit pictures alone: what an ISP does for one of them is
    another question than what it does for one that has learned to look through noise. (Its convolutions saw both.)
    """
    network = load_network(SHIPPED)
    height, width = network.input_size
    return Recogniser(_WellLitAlone(network), RecogniserFile(height=height, width=width, brightened="imagenet"))


def movenet(size: SizeName) -> Recogniser:
    """MoveNet as Google published it, by COCO's joints: it knows all of ours but head and neck.

    It takes sRGB of 0 … 1 and cuts what is beyond; low light is brought to a mean of 0.4 before.
    """
    network = load_movenet(shipped_weights(size))
    channels = tuple(KEYPOINTS.index(joint) if joint in KEYPOINTS else None for joint in JOINTS)
    said = RecogniserFile(
        height=network.side, width=network.side, stride=STRIDE, grow=MOVENET_GROW, channels=channels, well_lit="none"
    )
    return Recogniser(network, said)


def load_recogniser(name: str | Path | None = None) -> Recogniser:
    """A frozen recogniser.

    Args:
        name: weights of ours (.safetensors), TorchScript (.pt) or an exported program (.pt2) with its YAML beside it,
            or `package.module:factory`, whose call gives a `Recogniser`; `movenet-thunder`, `movenet-lightning`, see
            `movenet`; `well-lit`, see `well_lit_alone`; without it the shipped network.

    Raises:
        ValueError: none of these, or what is there cannot be used.
    """
    if name == WELL_LIT:
        return well_lit_alone()
    if name in MOVENETS:
        return movenet(MOVENETS[str(name)])
    path = Path(name) if name is not None else SHIPPED
    if path.suffix == ".safetensors":
        return of_cpn(load_network(path))
    if path.suffix in (".pt", ".pt2"):
        return _foreign(path)
    if ":" in str(name):
        return _made(str(name))
    raise ValueError(
        f"--pose {name}: .safetensors, .pt (TorchScript), .pt2 (torch.export), module:factory, {', '.join(MOVENETS)} "
        f"or {WELL_LIT} is allowed"
    )


def identity(name: str | Path | None = None) -> str:
    """What makes a recogniser this one: a digest of its weights and the YAML beside them; a factory's name.

    Args:
        name: as `load_recogniser` takes it.
    """
    weights = SHIPPED if name in (None, WELL_LIT) else Path(str(name))
    if name in MOVENETS:
        weights = shipped_weights(MOVENETS[str(name)])
    content = [one.read_bytes() for one in (weights, weights.with_suffix(".yaml")) if one.is_file()]
    if not content:
        return str(name)
    digest = hashlib.blake2b(b"".join(content), digest_size=16).hexdigest()
    return f"{WELL_LIT} {digest}" if name == WELL_LIT else digest


def _foreign(path: Path) -> Recogniser:
    beside = path.with_suffix(".yaml")
    if not path.is_file() or not beside.is_file():
        raise ValueError(f"{path}: the network and {beside.name} beside it are needed; docs/pose.md lists its fields")
    said = load_yaml(RecogniserFile, beside)
    return _tried(Recogniser(load_foreign(path, str(path)), said), path)


def _made(name: str) -> Recogniser:
    made = made_by(name, f"--pose {name}")
    if not isinstance(made, Recogniser):
        raise ValueError(
            f"--pose {name}: gave a {type(made).__name__}; models.recognisers.recogniser.Recogniser is allowed"
        )
    return _tried(made, name)


def _tried(recogniser: Recogniser, name: object) -> Recogniser:
    """One forward of two crops, so that a wrong size or a fixed batch is told before the work begins."""
    if next(recogniser.parameters(), None) is None:
        raise ValueError(f"{name}: has no parameters; a network that learned something is needed")
    height, width = recogniser.input_size
    wanted = (2, len(JOINTS), height // recogniser.stride, width // recogniser.stride)
    try:
        with torch.no_grad():
            maps = recogniser(torch.full((2, 3, height, width), LOW_LIGHT_MEAN))
    except Exception as fault:  # another's code
        reason = next(iter(reversed(str(fault).strip().splitlines())), type(fault).__name__)
        raise ValueError(
            f"{name}: fails on two crops of {height}×{width} ({reason}); allowed is a network that gives "
            "heatmaps, or a tuple whose first they are, for any batch"
        ) from None
    if tuple(maps.shape) != wanted:
        raise ValueError(
            f"{name}: heatmaps {tuple(maps.shape)}, its YAML makes them {wanted}; check stride, height, width, channels"
        )
    if not maps.isfinite().all():
        raise ValueError(f"{name}: heatmaps of two grey crops are not numbers (NaN or infinite); check its weights")
    return recogniser
