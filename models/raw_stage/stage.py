"""A trained raw stage: its weights on disk, and pairs whose low-light pictures it makes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError

from isp_sim.isp.develop import unclipped_srgb
from isp_sim.rigfile import first_fault
from models.choices import RAW_STAGES
from models.data.samples import PairSample, PairSource
from models.engine.weights_file import fill, read_tensors, write_tensors
from models.raw_stage.network import RawNet, restore

KIND = "raw stage"
_HERE = Path(__file__).parent
SHIPPED = {name: _HERE / f"{name}.safetensors" for name in RAW_STAGES}
"""The stages that come with the package; `raw_stage.md` says how they were trained."""
_WIDTHS = TypeAdapter(Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=2, max_length=6)])


def build(widths: tuple[int, ...], seed: int) -> RawNet:
    """A network with weights drawn by the seed; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return RawNet(widths)


def save_stage(network: RawNet, path: Path, about: Mapping[str, object]) -> None:
    """Write a raw stage as safetensors, with what it was trained on."""
    metadata = {"kind": KIND, "widths": json.dumps(network.widths), "about": json.dumps(about, sort_keys=True)}
    write_tensors(path, network.state_dict(), metadata)


def load_stage(name: str | Path, device: torch.device | None = None) -> RawNet:
    """Read what `save_stage` wrote, ready to be used.

    Args:
        name: of `SHIPPED`, or a path.
        device: where it runs; the CPU if None.

    Raises:
        ValueError: no such file, or not a raw stage's weights.
    """
    path = SHIPPED.get(str(name), Path(name))
    if not path.is_file():
        raise ValueError(f"raw stage {str(name)!r}: no file; expected {', '.join(SHIPPED)} or weights (.safetensors)")
    tensors, metadata = read_tensors(path)
    if metadata.get("kind") != KIND:
        raise ValueError(f"{path}: not the weights of a raw stage; expected what models.train_raw_stage wrote")
    try:
        widths = _WIDTHS.validate_json(metadata.get("widths", ""))
    except ValidationError as fault:
        wrong = first_fault(fault)
        raise ValueError(f"{path}: metadata field widths: {wrong}; expected 2 to 6 numbers of channels") from None
    there = [tensors[name].shape[0] for k in range(len(widths)) if (name := f"down.{k}.2.bias") in tensors]
    if there != list(widths):  # before memory is taken for what a file only claims to hold
        raise ValueError(f"{path}: metadata field widths: {list(widths)}; its tensors have {there}")
    network = RawNet(widths)
    fill(network, tensors, path)
    return network.to(device or torch.device("cpu")).eval()


class RestoredPairs:
    """Pairs whose low-light pictures a raw stage made of their raws: `low_light` in 8 bits, `pre_quantisation` before.

    Args:
        source: of the pairs, with their raws.
        network: the stage.
    """

    def __init__(self, source: PairSource, network: RawNet) -> None:
        self._source, self._network = source, network

    def __len__(self) -> int:
        """Groups of the source."""
        return len(self._source)

    def names(self, index: int) -> list[str]:
        """Names of group `index`."""
        return self._source.names(index)

    def group(self, index: int) -> list[PairSample]:
        """Group `index`, restored."""
        return [restored(shot, self._network) for shot in self._source.group(index)]


def restored(shot: PairSample, network: RawNet) -> PairSample:
    """A shot whose low-light picture the stage made.

    A mosaic has even sides: where the picture's are odd, its last row or column comes twice.

    Raises:
        ValueError: the shot has no raw, or one without its noise.
    """
    if shot.raw is None:
        raise ValueError(f"{shot.name}: has no raw; the raw stage needs one")
    picture = unclipped_srgb(restore(network, shot.raw))[0].permute(1, 2, 0).cpu().numpy()
    height, width = shot.low_light.shape[:2]
    whole = np.pad(picture, ((0, height - len(picture)), (0, width - picture.shape[1]), (0, 0)), mode="edge")
    codes = (whole.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return replace(shot, low_light=codes, pre_quantisation=np.ascontiguousarray(whole))
