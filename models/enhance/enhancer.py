"""An enhancer by name, file or factory: 8-bit pictures in, 8-bit pictures out, as an enhancer is used and compared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.choices import SHIPPED_ENHANCERS
from models.data.normalisation import NormalisationName, Picture, normalise
from models.enhance.classical.dehazing import dehz
from models.enhance.classical.histogram import clahe, gamma
from models.enhance.classical.lime import lime
from models.enhance.classical.retinex import multi_scale_retinex, retinex_with_colour_restoration
from models.enhance.classical.srie import srie
from models.enhance.tiles import Tileable, enhance_in_tiles
from models.enhance.weights import load_enhancer_network
from models.recognisers.plugins import from_factory, load_module

CLASSICAL: dict[str, Callable[[Picture], Picture]] = {
    "gamma": gamma,
    "clahe": clahe,
    "msr": multi_scale_retinex,
    "msrcr": retinex_with_colour_restoration,
    "dehz": dehz,
    "lime": lime,
    "srie": srie,
}
"""By the name that `--enhancer` takes."""
SHIPPED = {name: Path(__file__).parent / "shipped" / f"{name}.safetensors" for name in SHIPPED_ENHANCERS}
"""Small networks whose trained weights come with the package, by the name that `--enhancer` takes."""
SIDE_MULTIPLE = 16
"""A third-party network gets sides of such multiples; U-Nets with up to four poolings take them."""


@dataclass(frozen=True)
class Enhancer:
    """A method that brightens a picture.

    Attributes:
        name: for tables.
        enhance: a picture, uint8 `(height, width, 3)`, R first → the same shape.
        parameters: that were learned; 0 for classical ones.
    """

    name: str
    enhance: Callable[[Picture], Picture]
    parameters: int = 0


def load_enhancer(name: str | Path, device: torch.device | None = None) -> Enhancer:
    """An enhancer.

    Args:
        name: of `CLASSICAL` or of `SHIPPED`; weights that `models.train_enhancer` wrote (.safetensors); TorchScript
            (.pt) or an exported program (.pt2) of any make, sRGB `(1, 3, height, width)` in 0 … 1 to the same or to a
            tuple whose first it is; or `package.module:factory`, whose call gives an `Enhancer`.
        device: where networks run.

    Raises:
        ValueError: none of these, or what is there cannot be used.
    """
    device = device or torch.device("cpu")
    if str(name) in CLASSICAL:
        return Enhancer(str(name), CLASSICAL[str(name)])
    path = SHIPPED.get(str(name), Path(name))
    if path.suffix == ".safetensors":
        network, model, scaling = load_enhancer_network(path)
        return of_network(network.to(device), model, scaling)
    if path.suffix in (".pt", ".pt2"):
        return _third_party(path, device)
    if ":" in str(name):
        return from_factory(str(name), "--enhancer", Enhancer)
    raise ValueError(
        f"--enhancer {name}: expected {', '.join((*CLASSICAL, *SHIPPED))}, .safetensors, .pt (TorchScript), .pt2 "
        "(torch.export) or module:factory"
    )


def load_network_by_name(name: str) -> tuple[Tileable, str, NormalisationName]:
    """A network of ours by its shipped name or its file, with its kind and how it wants its input.

    Raises:
        ValueError: neither.
    """
    path = SHIPPED.get(name, Path(name))
    if path.suffix != ".safetensors":
        raise ValueError(
            f"--enhancer {name}: expected {', '.join(SHIPPED)} or weights of train-enhancer (.safetensors)"
        )
    return load_enhancer_network(path)


def of_network(network: Tileable, name: str, scaling: NormalisationName = "none") -> Enhancer:
    """A network of ours, which wants its input scaled so; pictures go through it part by part."""
    network.eval()

    def enhance(picture: Picture) -> Picture:
        with torch.inference_mode():
            image = as_image(picture, scaling, next(network.parameters()).device)
            return as_picture(enhance_in_tiles(network, image))

    return Enhancer(name, enhance, sum(p.numel() for p in network.parameters()))


def as_image(picture: Picture, scaling: NormalisationName, device: torch.device) -> Tensor:
    """`(1, 3, height, width)`, 0 … 1: what scaling lifts above white is cut."""
    unit = np.ascontiguousarray(normalise(picture, scaling).transpose(2, 0, 1))
    return torch.from_numpy(unit).to(device)[None].clamp_(0, 1)


def as_picture(image: Tensor) -> Picture:
    """The first of a batch as 8-bit codes `⌊255·x + ½⌋`, cut to 0 … 1; NaN becomes black."""
    codes = image[0].float().nan_to_num(0.0, 1.0, 0.0).clamp(0, 1).mul(255).add(0.5).to(torch.uint8)
    return np.ascontiguousarray(codes.permute(1, 2, 0).cpu().numpy())


def _third_party(path: Path, device: torch.device) -> Enhancer:
    if not path.is_file():
        raise ValueError(f"--enhancer {path}: no such file")
    network = load_module(path, f"--enhancer {path}").to(device)

    def enhance(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        sides = ((0, -height % SIDE_MULTIPLE), (0, -width % SIDE_MULTIPLE), (0, 0))
        padded = np.pad(picture, sides, mode="edge")
        with torch.inference_mode():
            try:
                out = network(as_image(padded, "none", device))
            except RuntimeError as fault:
                raise ValueError(
                    f"--enhancer {path}: fails on {width}×{height}: {str(fault).splitlines()[0]}"
                ) from None
        image = out if isinstance(out, Tensor) else out[0]
        if image.shape != (1, 3, *padded.shape[:2]):
            got, size = tuple(image.shape), tuple(padded.shape[:2])
            raise ValueError(f"--enhancer {path}: gave {got} for a picture of {size} px, expected {(1, 3, *size)}")
        return np.ascontiguousarray(as_picture(image)[:height, :width])

    return Enhancer(path.stem, enhance, sum(p.numel() for p in network.parameters()))
