"""A predictor before the ISP: image → parameters → image; its weights on disk, and pictures in and out of it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from rich.table import Table
from torch import Tensor, nn

from isp_sim.dng import read_dng
from isp_sim.files import write_atomically
from isp_sim.isp.develop import develop_raw, unclipped_srgb
from isp_sim.isp.pipeline import Pipeline
from isp_sim.isp.raw_light import RawLight, as_picture, raw_light
from isp_sim.picture_files import read_unit
from isp_sim.rigfile import from_json, load_rig
from models.data.crops import Affine
from models.data.samples import Exposure, uncut
from models.engine.weights_file import fill, read_tensors, write_tensors
from models.isp.evidence import evidence_of
from models.isp.predictor import CROP, Crop, Predictor
from models.isp.region_crops import person_seen


class LearnedIsp(nn.Module):
    """Image → parameters → image.

    Args:
        predictor: gives each image its parameters; `None` if the caller does.
        pipeline: the ISP.
        per_person: whether everybody has parameters of their own, predicted from what their crop sees; else all of a
            picture share them.
    """

    def __init__(self, predictor: Predictor | None, pipeline: Pipeline, per_person: bool = False) -> None:
        super().__init__()
        if predictor is not None and predictor.pipeline != pipeline:
            raise ValueError(f"the predictor gives {predictor.pipeline.names}, expected {pipeline.names}")
        self.predictor, self.pipeline, self.per_person = predictor, pipeline, per_person

    def forward(
        self, image: Tensor | RawLight, values: Tensor | None = None, generator: torch.Generator | None = None,
        exposure: Exposure | None = None,
    ) -> Tensor:  # fmt: skip
        """The image after the ISP.

        Args:
            image: `(batch, 3, height, width)`, 1 is white; or the raw.
            values: parameters, `(batch, size)`, instead of the predictor's: an `nn.Parameter` learns, a tensor does
                not, `(1, size)` serves all images. `pipeline.base` and `pipeline.steer` make good ones.
            generator: for the predictor's crops and dropout.
            exposure: of the images, for a predictor that is informed.
        """
        return self.pipeline(image, self.values(image, generator, exposure) if values is None else values)

    def values(
        self, image: Tensor | RawLight, generator: torch.Generator | None = None, exposure: Exposure | None = None
    ) -> Tensor:  # fmt: skip
        """The parameters of each image: the predictor's, or without one `pipeline.base`."""
        return self.of_pictures([image], [exposure], generator)

    def of_pictures(
        self, images: Sequence[Tensor | RawLight], exposures: Sequence[Exposure | None],
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """The parameters of batches of images that need not be of one size: `(all images, size)`.

        Args:
            images: `(batch, 3, height, width)` each, or raws.
            exposures: of each batch.
            generator: for the predictor's crops and dropout.

        Raises:
            ValueError: an exposure that the predictor needs is None.
        """
        if self.predictor is None:
            return torch.cat([self.pipeline.base(image) for image in images])
        known = evidence_of(images, exposures) if self.predictor.informed else None
        return self.predictor.each(images, generator, known)

    def of_people(
        self, pictures: Sequence[Tensor | RawLight], exposures: Sequence[Exposure | None],
        affines: Sequence[Sequence[Affine]], size: tuple[int, int], generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """The parameters of everybody in several pictures, in their order: `(people, size)`.

        Args:
            pictures: `(1, 3, height, width)` each, or raws.
            exposures: of each.
            affines: of each picture's people, picture px → crop px.
            size: (height, width) of a crop.
            generator: for the predictor's crops and dropout.
        """
        if self.predictor is None or not self.per_person:
            numbers = [number for number, people in enumerate(affines) for _ in people]
            return self.of_pictures(pictures, exposures, generator)[numbers]
        known = evidence_of(pictures, exposures) if self.predictor.informed else None
        parts = [
            [person_seen(seen, affine, size, CROP) for affine in people]
            for seen, people in zip(map(as_picture, pictures), affines, strict=True)
        ]
        return self.predictor.each(pictures, generator, known, parts)

    def explain(self, image: Tensor | RawLight, values: Tensor) -> list[Table]:
        """A table of the parameters for each image, beside where they start and their ranges."""
        tables = []
        for place, (start, chosen) in enumerate(zip(self.pipeline.base(image), values, strict=True)):
            table = Table(title=f"image {place}" if len(values) > 1 else None)
            for heading in ("parameter", "value", "start", "range", "unit", ""):
                words = heading in ("parameter", "unit", "")
                table.add_column(heading, justify="left" if words else "right", no_wrap=heading != "")
            specs = [(spec, number) for spec in self.pipeline.specs for number in range(spec.size)]
            for name, (spec, number), now, then in zip(self.pipeline.names, specs, chosen, start, strict=True):
                note = spec.says if number == 0 else ""
                table.add_row(name, f"{now:.4g}", f"{then:.4g}", f"{spec.low:g} … {spec.high:g}", spec.unit, note)
            tables.append(table)
        return tables


def save_weights(isp: LearnedIsp, path: Path, what: str = "picture") -> None:
    """Write a learned ISP, pipeline and predictor, as safetensors; `what` is what it learned to develop."""
    metadata = {"pipeline": isp.pipeline.model_dump_json(exclude_unset=True), "input": what}
    if isp.per_person:
        metadata["per_person"] = "yes"
    write_tensors(path, isp.state_dict(), metadata)


def learned_from(path: Path) -> str:
    """What the weights of a file that `load_weights` takes learned to develop: `picture` or `raw`."""
    return read_tensors(path)[1].get("input", "picture")


def load_weights(path: Path, crop: Crop = "whole") -> LearnedIsp:
    """Read what `save_weights` wrote; ready to be trained on or, after `.eval()`, used.

    Raises:
        ValueError: no such file, not one of a learned ISP, or its weights do not fit its pipeline.
    """
    tensors, metadata = read_tensors(path)
    if "pipeline" not in metadata:
        raise ValueError(f"{path}: its metadata has no pipeline; expected the weights of a learned ISP")
    pipeline = from_json(Pipeline, metadata["pipeline"], f"{path}: metadata pipeline")
    informed = any(name.startswith("predictor.known.") for name in tensors)
    predictor = Predictor(pipeline, torch.Generator(), crop=crop, informed=informed)
    isp = LearnedIsp(predictor, pipeline, metadata.get("per_person") == "yes")
    fill(isp, tensors, path)
    return isp


def read_raw(path: Path, rig: str, pipeline: Pipeline) -> tuple[Tensor | RawLight, Exposure]:
    """A low-light DNG as a pipeline takes it, and how it was exposed: developed but not quantised,
    `(1, 3, height, width)`, sRGB, 1 is white; or the raw.

    Args:
        path: of the DNG.
        rig: that shot it; tells how its raws are demosaiced.
        pipeline: that develops it.

    Raises:
        ValueError: not a DNG that is read, or no such rig.
        FileNotFoundError: no such file.
    """
    raw, isp = read_dng(path), uncut(load_rig(rig))
    try:
        light = raw_light(raw, isp) if pipeline.takes_raw else unclipped_srgb(develop_raw(raw, isp))
        return light, Exposure(raw.exposure_us, raw.gain_db)
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from None


def read_image(path: Path) -> Tensor:
    """A picture of 8 or 16 bits as `(1, 3, height, width)`, 1 is white.

    Raises:
        ValueError: no such file, or not a picture.
    """
    return torch.from_numpy(read_unit(path)).permute(2, 0, 1)[None].contiguous()


def write_image(image: Tensor, path: Path) -> None:
    """One picture, cut to 0 … 1, as 8 bits in the format its name says."""
    codes = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()[..., ::-1]
    if not cv2.haveImageWriter(path.name):
        raise ValueError(f"--out {path}: OpenCV does not write this format, expected for instance .png")
    written, data = cv2.imencode(path.suffix, codes)
    if not written:
        raise ValueError(f"--out {path}: OpenCV could not encode it")
    write_atomically(path, data.tobytes())
