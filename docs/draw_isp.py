"""Draws the pictures of docs/isp.md: every step of the ISP at five settings, on the charts.

python docs/draw_isp.py [STEP ...]
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

from isp_sim.isp.develop import UNCUT
from isp_sim.isp.pipeline import Entry, Pipeline, load_pipeline
from isp_sim.isp.raw_light import RawLight, raw_light
from isp_sim.isp.steps import Step
from isp_sim.raw import Raw
from isp_sim.scenes.charts import colorchecker, siemens_star
from isp_sim.shading import edge_to_edge
from isp_sim.transfer import REC709_TO_XYZ, srgb_decode, srgb_encode
from isp_sim.units import Counts

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent / "isp"
RAW_STEPS = HERE.parents[1] / "models" / "recipes" / "pipeline-raw.yaml"

SETTINGS: dict[str, list[tuple[str, list[list[float]]]]] = {
    "exposure": [(f"×{gain:g}", [[gain]]) for gain in (0.25, 0.5, 1, 2, 4)],
    "gamma": [(f"γ = {power:g}", [[power]]) for power in (0.4, 0.7, 1, 1.5, 2.5)],
    "smoothing": [
        (f"σs = {space:g} px, σr = {level:g}", [[space] * 3, [level] * 3])
        for space, level in ((0.3, 0.05), (0.8, 0.05), (0.8, 0.2), (2, 0.2), (3, 2))
    ],
    "white_balance": [
        (f"R ×{red:g}, B ×{blue:g}", [[red, 1, blue]])
        for red, blue in ((0.6, 1.5), (0.8, 1.2), (1, 1), (1.2, 0.8), (1.5, 0.6))
    ],
    "colour_matrix": [
        (f"crosstalk {mix:g}", [[1 - 2 * mix, mix, mix, mix, 1 - 2 * mix, mix, mix, mix, 1 - 2 * mix]])
        for mix in (-0.2, -0.1, 0, 0.1, 0.25)
    ],
    "contrast": [(f"{amount:+g}", [[amount]]) for amount in (-1, -0.5, 0, 0.5, 1)],
    "sharpening": [(f"{amount:+g}, σ = 1 px", [[amount], [1.0]]) for amount in (-1, 0, 0.5, 1.5, 3)],
    "saturation": [(f"×{amount:g}", [[amount]]) for amount in (0, 0.5, 1, 1.5, 2)],
    "local_tone": [(f"{amount:+g}", [[amount]]) for amount in (-0.3, 0, 0.3, 0.6, 0.9)],
    "defects": [(f"{sigma:g} σ", [[sigma]]) for sigma in (100, 30, 10, 3, 1)],
    "row_noise": [(f"×{amount:g}", [[amount]]) for amount in (0, 0.5, 1, 1.25, 1.5)],
    "denoising": [(f"{amount:g} σ", [[amount]]) for amount in (0.05, 0.2, 0.5, 1, 3)],
    "black_point": [(f"{amount:+g}", [[amount]]) for amount in (-0.5, 0, 0.3, 0.6, 0.9)],
    "lens_shading": [(f"×{amount:g}", [[amount]]) for amount in (0, 0.5, 1, 1.25, 1.5)],
    "auto_white_balance": [(f"strength {amount:g}", [[amount]]) for amount in (0, 0.4, 0.8, 1, 1.4)],
    "chroma_denoising": [(f"{amount:g} of luma", [[amount]]) for amount in (0.01, 0.1, 0.3, 1, 10)],
    "desaturation": [(f"{amount:g} σ", [[amount]]) for amount in (0.01, 0.3, 1, 3, 100)],
}
"""Five captions and parameters for each step."""
FAULTS = {"defects", "lens_shading"}
"""Steps that are shown on raws with what they mend."""


def chart() -> Tensor:
    """A ColorChecker above the middle of a Siemens star, as sRGB."""
    above = colorchecker(160, 240, "D65").radiance
    below = siemens_star(240, 240, "D65").radiance[50:190]
    light = np.concatenate([above, below])
    return srgb_encode(torch.from_numpy(light).permute(2, 0, 1)[None].contiguous())


def subject(name: str) -> Tensor:
    """The chart; noisy where noise is the point, softened where detail is."""
    image = chart()
    if name == "smoothing":
        return image + 0.08 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    if name == "sharpening":
        kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 16
        planes = torch.nn.functional.pad(image.transpose(0, 1), (2, 2, 2, 2), mode="replicate")
        return torch.nn.functional.conv2d(planes, torch.outer(kernel, kernel)[None, None]).transpose(0, 1)
    return image


def chart_mosaic(level: float, colour: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """The chart under a light behind an RGGB filter, white at a level of the range."""
    light = level * srgb_decode(chart())[0].numpy() * np.array(colour).reshape(3, 1, 1)
    mosaic = light[1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[0, ::2, ::2], light[2, 1::2, 1::2]
    return mosaic


def dark_raw() -> RawLight:
    """The chart in the dark: noise of pixels and rows, clipped at black."""
    noise, drawn = (2e-4, 4e-6), np.random.default_rng(0)
    mosaic = chart_mosaic(0.01)
    mosaic = mosaic + np.sqrt(noise[0] * mosaic + noise[1]) * drawn.standard_normal(mosaic.shape)
    mosaic += 0.4 * noise[1] ** 0.5 * drawn.standard_normal((len(mosaic), 1))
    return raw_light(raw_of(mosaic, noise), UNCUT)


def faulty_raw(name: str) -> RawLight:
    """The chart by a lamp, behind a lens that loses half of its light in the corners, or with pixels of no use."""
    noise, drawn = (2e-4, 4e-6), np.random.default_rng(0)
    if name == "auto_white_balance":
        return raw_light(raw_of(chart_mosaic(0.3, (1.0, 0.66, 0.36)), noise), UNCUT)
    mosaic = chart_mosaic(0.6)
    if name == "lens_shading":
        down, across = np.meshgrid(*(np.linspace(-1, 1, 17) ** 2,) * 2, indexing="ij")
        falls = [1 - most * (down + across) for most in (0.35, 0.25, 0.25, 0.2)]
        shading = edge_to_edge([1 / fall for fall in falls])
        return raw_light(replace(raw_of(mosaic / shading.over(*mosaic.shape), noise), shading=shading), UNCUT)
    mosaic = mosaic + np.sqrt(noise[0] * mosaic + noise[1]) * drawn.standard_normal(mosaic.shape)
    bad = drawn.random(mosaic.shape) < 4e-3
    mosaic[bad] = np.where(drawn.random(bad.sum()) < 0.5, 0.0, drawn.random(bad.sum()))
    mosaic[70] = mosaic[:, 90] = 0
    height, width = mosaic.shape
    listed = ((70, 0, 71, width), (0, 90, height, 91))
    return raw_light(replace(raw_of(mosaic, noise), defects=listed), UNCUT)


def raw_of(mosaic: np.ndarray, noise: tuple[float, float]) -> Raw:
    """A mosaic as a raw of a camera whose RGB is Rec. 709's."""
    counts = Counts((65535 * mosaic).clip(0, 65535).astype(np.uint16))
    to_camera = tuple(tuple(row) for row in np.linalg.inv(REC709_TO_XYZ).tolist())
    neutral, black = (1.0, 1.0, 1.0), (0.0,) * 4
    return Raw(counts, "RGGB", black, 65535, 1000.0, 0.0, 100, neutral, to_camera, (noise,) * 3, "", "", "")


def mended(name: str, params: list[list[float]]) -> Tensor:
    """A step that mends a fault, alone."""
    values = torch.tensor([[number for numbers in params for number in numbers]], dtype=torch.float32)
    return Pipeline(steps=(Entry.model_validate(name),))(faulty_raw(name), values)


def before_srgb(name: str, params: list[list[float]]) -> Tensor:
    """A step of the mosaic or of linear light, after those before it in `RAW_STEPS`, then the exposure.

    Steps that are not listed there stand alone, on a raw that needs them.
    """
    listed = load_pipeline(RAW_STEPS).steps
    names = [entry.name for entry in listed]
    before = listed[: names.index(name) + 1] if name in names else (Entry.model_validate(name),)
    pipeline = Pipeline(steps=(*before, Entry.model_validate({"exposure": {"plane": "linear"}})))
    light = dark_raw() if name in names else faulty_raw(name)
    values = pipeline.base(light).clone()
    at = [place for place, which in enumerate(pipeline.names) if which.startswith(f"{name}.")]
    values[0, at] = torch.tensor([number for numbers in params for number in numbers], dtype=torch.float32)
    return pipeline(light, values)


def draw(name: str, step: Step) -> Path:
    """One step at five settings, side by side."""
    image = subject(name)
    figure, places = plt.subplots(1, 5, figsize=(11, 3.05), dpi=110)
    for place, (caption, params) in zip(places, SETTINGS[name], strict=True):
        values = [torch.tensor([numbers]) for numbers in params]
        for spec, value in zip(step.specs, values, strict=True):
            spec.check(value)
        if step.plane == "srgb":
            developed = step(image, *values)
        else:
            developed = mended(name, params) if name in FAULTS else before_srgb(name, params)
        shown = developed[0].clamp(0, 1).permute(1, 2, 0).numpy()
        place.imshow(shown, interpolation="nearest")
        place.set_title(caption, fontsize=9)
        place.set_axis_off()
    figure.tight_layout(pad=0.4)
    path = HERE / f"{name}.jpg"
    figure.savefig(path, pil_kwargs={"quality": 50 if name == "row_noise" else 88})  # noise takes many bytes
    plt.close(figure)
    return path


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for label in sys.argv[1:] or Entry.model_fields:
        written = draw(label, Entry.model_validate(label).step)
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
