"""A frozen recogniser by name, file or factory: ours, MoveNet, BlazePose, a third party's network."""

import hashlib
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from isp_sim.rigfile import load_yaml
from isp_sim.scenes import JOINTS
from models.data.normalisation import LOW_LIGHT_MEAN, WELL
from models.pose.losses import PoseOutput
from models.recognisers import blazepose, exlpose
from models.recognisers.movenet import KEYPOINTS, STRIDE, SizeName, load_movenet, shipped_weights
from models.recognisers.plugins import from_factory, load_module
from models.recognisers.pretrained import GROW, HeadsOutput, PretrainedPose
from models.recognisers.recogniser import Recogniser, RecogniserFile
from models.recognisers.weights import SHIPPED, OurNetwork, load_network

LOW_LIGHT = "low-light"
"""Name of the shipped low-light network."""
WELL_LIT = "well-lit"
"""Name of the shipped network as one that has never seen the dark."""
MOVENETS: dict[str, SizeName] = {f"movenet-{size}": size for size in get_args(SizeName)}
"""Names of MoveNet's networks that come with the package."""
PUBLIC = (*MOVENETS, blazepose.BLAZEPOSE_NAME)
"""Names of all public pose networks that come with the package, `NAME.safetensors` in this folder."""


def of_ours(network: OurNetwork) -> Recogniser:
    """A pose network of ours, frozen."""
    return Recogniser(network, _file_of(network))


def _file_of(network: OurNetwork) -> RecogniserFile:
    """Input and output of a network of ours."""
    height, width = network.input_size
    if isinstance(network, PretrainedPose):
        trained = tuple(name if name in JOINTS else f"untrained {name}" for name in KEYPOINTS)  # our labels lack faces
        return _movenet_file(height).model_copy(update={"joints": trained})
    return RecogniserFile(height=height, width=width)


def _movenet_file(side: int) -> RecogniserFile:
    """Input and output of MoveNet: COCO's joints, which are all of ours but head and neck."""
    return RecogniserFile(
        height=side,
        width=side,
        stride=STRIDE,
        grow=GROW,
        joints=KEYPOINTS,
        well_lit="none",
        loss="decoded-cross-entropy",
    )


class _WellLitAlone(nn.Module):
    """A network of ours that takes every picture for a well-lit one."""

    def __init__(self, network: OurNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> PoseOutput | HeadsOutput:
        seen: PoseOutput | HeadsOutput = self.network(crops, WELL)
        return seen


def well_lit_alone() -> Recogniser:
    """The shipped network with its batch norms of well-lit pictures for low light too.

    Stands for the many networks that were trained on well-lit pictures alone: what an ISP does for one of them is
    another question than what it does for one that has learned to look through noise. (Its convolutions saw both.)
    """
    network = load_network(SHIPPED)
    return Recogniser(_WellLitAlone(network), _file_of(network))


def movenet(size: SizeName) -> Recogniser:
    """MoveNet as Google published it, by COCO's joints: it knows all of ours but head and neck.

    It takes sRGB of 0 … 1 and cuts what is beyond; low light is brought to a mean of 0.4 before.
    """
    network = load_movenet(shipped_weights(size))
    return Recogniser(network, _movenet_file(network.side))


def blazepose_full() -> Recogniser:
    """BlazePose as Google published it: of its 33 landmarks 12 are joints of ours, five more COCO's.

    It takes sRGB of 0 … 1 and cuts what is beyond; low light is brought to a mean of 0.4 before.
    """
    file = RecogniserFile(
        height=blazepose.SIDE,
        width=blazepose.SIDE,
        stride=blazepose.STRIDE,
        grow=blazepose.GROW,
        joints=blazepose.KEYPOINTS,
        well_lit="none",
        loss="decoded-cross-entropy",
    )
    return Recogniser(blazepose.load_blazepose(), file)


def load_recogniser(name: str | Path | None = None) -> Recogniser:
    """A frozen recogniser.

    Args:
        name: weights of ours (.safetensors), ExLPose's released checkpoint (.pth.tar), TorchScript (.pt) or an
            exported program (.pt2) with its YAML beside it, or `package.module:factory`, whose call gives a
            `Recogniser`; `movenet-thunder`, `movenet-lightning`, `blazepose-full`: public ones; `well-lit`, see
            `well_lit_alone`; `low-light` or nothing: the shipped low-light network.

    Raises:
        ValueError: none of these, or what is there cannot be used.
    """
    if name == WELL_LIT:
        return well_lit_alone()
    if name in MOVENETS:
        return movenet(MOVENETS[str(name)])
    if name == blazepose.BLAZEPOSE_NAME:
        return blazepose_full()
    path = SHIPPED if name in (None, LOW_LIGHT) else Path(str(name))
    if path.suffix == ".safetensors":
        return of_ours(load_network(path))
    if path.suffix in exlpose.SUFFIXES:
        return exlpose.load_exlpose(path)
    if path.suffix in (".pt", ".pt2"):
        return _third_party(path)
    if ":" in str(name):
        return _checked(from_factory(str(name), "--pose", Recogniser), name)
    raise ValueError(
        f"--pose {name}: expected .safetensors, .pth.tar (ExLPose's), .pt (TorchScript), .pt2 (torch.export), "
        f"module:factory, {', '.join(PUBLIC)}, {LOW_LIGHT} or {WELL_LIT}"
    )


def identity(name: str | Path | None = None) -> str:
    """What makes a recogniser this one: a digest of its weights and the YAML beside them; a factory's name.

    Args:
        name: as `load_recogniser` takes it.
    """
    weights = SHIPPED if name in (None, LOW_LIGHT, WELL_LIT) else Path(str(name))
    if name in PUBLIC:
        weights = Path(__file__).parent / f"{name}.safetensors"
    content = [one.read_bytes() for one in (weights, weights.with_suffix(".yaml")) if one.is_file()]
    if not content:
        return str(name)
    digest = hashlib.blake2b(b"".join(content), digest_size=16).hexdigest()
    return f"{WELL_LIT} {digest}" if name == WELL_LIT else digest


def _third_party(path: Path) -> Recogniser:
    beside = path.with_suffix(".yaml")
    if not path.is_file() or not beside.is_file():
        raise ValueError(f"{path}: expected the network and {beside.name} beside it; docs/pose.md lists its fields")
    file = load_yaml(RecogniserFile, beside)
    return _checked(Recogniser(load_module(path, str(path)), file), path)


def _checked(recogniser: Recogniser, name: object) -> Recogniser:
    """One forward of two crops, so that a wrong size or a fixed batch is found before the work begins."""
    weights = next(recogniser.parameters(), None)
    if weights is None:
        raise ValueError(f"{name}: has no parameters; expected a trained network")
    height, width = recogniser.input_size
    expected = (2, len(JOINTS), height // recogniser.stride, width // recogniser.stride)
    try:
        with torch.no_grad():
            maps = recogniser(torch.full((2, 3, height, width), LOW_LIGHT_MEAN, device=weights.device))
    except Exception as fault:  # third-party code
        reason = next(iter(reversed(str(fault).strip().splitlines())), type(fault).__name__)
        raise ValueError(
            f"{name}: fails on two crops of {height}×{width} ({reason}); expected a network that gives heatmaps, or a "
            "tuple whose first they are, for any batch"
        ) from None
    if tuple(maps.shape) != expected:
        raise ValueError(
            f"{name}: heatmaps {tuple(maps.shape)}, expected {expected} by its YAML; check stride, height, width, "
            "joints"
        )
    if not maps.isfinite().all():
        raise ValueError(f"{name}: heatmaps of two grey crops hold NaN or infinity; check its weights")
    return recogniser
