"""The steps before sRGB at 1920×1200, forward, each beside the nearest that OpenCV, scikit-image or kornia has.

    python benchmarks/raw_steps_speed.py [--threads 1] [--repeat 3]

The least of the repetitions, the two taking turns so that a busy neighbour disturbs both: wall time, and the ratio
(theirs over ours: above 1 ours is faster) of wall and of processor time. No other has the same definition: what theirs
leaves out stands beside it. The extra `bench` brings scikit-image and kornia; where one is missing its row says so.
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console

from isp_sim.isp import defects, illuminant, non_local, raw_operators
from isp_sim.isp.develop import UNCUT
from isp_sim.isp.raw_light import RawLight, raw_light
from isp_sim.isp.row_noise import noise_spread, row_offsets
from isp_sim.raw import Raw
from isp_sim.shading import edge_to_edge
from isp_sim.tables import terminal_table
from isp_sim.transfer import REC709_TO_XYZ
from isp_sim.units import Counts

HEIGHT, WIDTH = 1200, 1920
SLOPE, OFFSET = 2e-4, 1e-6
Call = Callable[[], object]


class Rival(NamedTuple):
    """A step and its nearest.

    Attributes:
        step: ours.
        ours: it, once.
        nearest: theirs, and how it differs.
        theirs: it, once.
    """

    step: str
    ours: Call
    nearest: str
    theirs: Call


def dark_raw() -> RawLight:
    """Structure at several scales under the noise that its NoiseProfile says, 12 bits."""
    drawn, light = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH))
    for step in (8, 40, 120):
        coarse = drawn.random((HEIGHT // step, WIDTH // step))
        light += 0.01 * np.kron(coarse, np.ones((step, step)))[:HEIGHT, :WIDTH]
    noisy = light + np.sqrt(SLOPE * light + OFFSET) * drawn.standard_normal(light.shape)
    counts = Counts((64 + 4031 * noisy).round().clip(0, 4095).astype(np.uint16))
    to_camera = tuple(tuple(row) for row in np.linalg.inv(REC709_TO_XYZ).tolist())
    noise, neutral = ((SLOPE, OFFSET),) * 3, (0.5, 1.0, 0.8)
    raw = Raw(counts, "RGGB", (64.0,) * 4, 4095, 1000.0, 0.0, 100, neutral, to_camera, noise, "", "", "")
    return raw_light(raw, UNCUT)


def of_mosaic(raw: RawLight) -> list[Rival]:
    """Steps of the mosaic."""
    plane = np.ascontiguousarray(raw.mosaic[0, 0].numpy())
    tiles = np.ascontiguousarray(F.pixel_unshuffle(raw.mosaic, 2)[0].permute(1, 2, 0).numpy())
    codes = [(tiles[..., n] / tiles.max() * 255).clip(0, 255).astype(np.uint8) for n in range(4)]
    h, one, half = torch.tensor([[0.5]]), torch.tensor([[1.0]]), torch.tensor([[0.5]])

    def rows() -> object:
        return raw_operators.without_rows(raw.mosaic, one, row_offsets(raw.mosaic, noise_spread(raw.mosaic)))

    def denoised(levels: int) -> Call:
        return lambda: non_local.denoise(raw.mosaic, h, raw.noise, "RGGB", levels)

    def skimage() -> object:
        from skimage.restoration import denoise_nl_means

        return denoise_nl_means(tiles, 3, 3, h=1e-3, sigma=1e-3, channel_axis=2, fast_mode=True)

    def opencv() -> object:
        return [cv2.fastNlMeansDenoising(code, None, 10, 3, 7) for code in codes]

    neutral = 1 / raw.develop.gains

    def balanced() -> object:
        light = illuminant.estimate(illuminant.thumbnail(raw.mosaic, "RGGB"), neutral, "learned")
        return raw_operators.auto_white_balance(raw.mosaic, one, light, neutral, "RGGB")

    def grey_world() -> object:
        small = cv2.resize(tiles, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
        return cv2.multiply(tiles, (small.mean() / small.mean(axis=(0, 1))).reshape(4, 1).astype(np.float64))

    scaled = "OpenCV addWeighted (the sum alone)"
    return [
        Rival("row_noise", rows, "NumPy row medians (no neighbours)", lambda: plane - np.median(plane, 1)[:, None]),
        Rival("denoising, 1 scale", denoised(1), "scikit-image denoise_nl_means (one σ)", skimage),
        Rival("denoising, 1 scale", denoised(1), "OpenCV fastNlMeansDenoising (8 bits, planes apart)", opencv),
        Rival("denoising, 3 scales", denoised(3), "OpenCV fastNlMeansDenoising (8 bits, one scale)", opencv),
        Rival(
            "black_point",
            lambda: raw_operators.black_point(raw.mosaic, half, raw.spread, raw.mean),
            scaled,
            lambda: cv2.addWeighted(plane, 1.1, plane, 0.0, -1e-3),
        ),
        Rival("auto_white_balance", balanced, "OpenCV resize and multiply (grey world)", grey_world),
    ]


def of_faults(raw: RawLight) -> list[Rival]:
    """Defects, and the lens's shading from its tables."""
    drawn = np.random.default_rng(1)
    planes = [np.ascontiguousarray(p) for p in F.pixel_unshuffle(raw.mosaic, 2)[0].numpy()]
    listed = torch.from_numpy(drawn.random((HEIGHT, WIDTH)) < 1e-3)[None, None]
    masks = [np.ascontiguousarray(m) for m in F.pixel_unshuffle(listed.to(torch.uint8), 2)[0].numpy()]
    codes = [(plane / plane.max() * 255).clip(0, 255).astype(np.uint8) for plane in planes]
    tables = [(1 + drawn.random((25, 33))).astype(np.float32) for _ in range(4)]
    shading, threshold, one = edge_to_edge(tables), torch.tensor([[10.0]]), torch.tensor([[1.0]])

    def found() -> object:
        return defects.mended(raw.mosaic, threshold, raw.noise, "RGGB")

    def medians() -> object:
        mended = []
        for plane in planes:
            median = cv2.medianBlur(plane, 3)
            mended.append(np.where(cv2.absdiff(plane, median) > 0.05, median, plane))
        return mended

    def kornia_median() -> object:
        from kornia.filters import median_blur

        tile = F.pixel_unshuffle(raw.mosaic, 2)
        median = median_blur(tile, 3)
        return torch.where((tile - median).abs() > 0.05, median, tile)

    def resized() -> object:
        gains = [cv2.resize(table, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_LINEAR) for table in tables]
        return [cv2.multiply(plane, gain) for plane, gain in zip(planes, gains, strict=True)]

    def from_tables() -> object:
        gains = torch.from_numpy(shading.over(HEIGHT, WIDTH))[None, None]
        return raw_operators.lens_shading(raw.mosaic, one, gains)

    even = torch.from_numpy(shading.over(HEIGHT, WIDTH))[None, None]
    plane, gain = raw.mosaic[0, 0].numpy(), even[0, 0].numpy()
    return [
        Rival("defects, no list", found, "kornia median_blur (one threshold for all)", kornia_median),
        Rival("defects, no list", found, "OpenCV medianBlur (the same, no gradient)", medians),
        Rival(
            "defects, 1 ‰ listed, alone",
            lambda: defects.fill(raw.mosaic, listed),
            "OpenCV inpaint (8 bits)",
            lambda: [cv2.inpaint(code, mask, 3, cv2.INPAINT_TELEA) for code, mask in zip(codes, masks, strict=True)],
        ),
        Rival(
            "lens_shading",
            lambda: raw_operators.lens_shading(raw.mosaic, one, even),
            "OpenCV multiply (no strength)",
            lambda: cv2.multiply(plane, gain),
        ),
        Rival("lens_shading, from tables", from_tables, "OpenCV resize, multiply (planes apart)", resized),
    ]


def of_light(raw: RawLight) -> list[Rival]:
    """Steps of linear RGB."""
    light, one = raw.light(), torch.tensor([[1.0]])
    lit = (light * (0.133 / light.mean())).contiguous()
    unit = lit.clamp(0, 1)
    luma, picture = raw_operators.luma_of(light), np.ascontiguousarray(unit[0].permute(1, 2, 0).numpy())

    def guided() -> object:
        from kornia.filters import guided_blur

        return guided_blur(luma, light, (29, 29), 1e-4, subsample=4)

    def saturation() -> object:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hsv[..., 1] *= 0.5
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    def clahe() -> object:
        lab = cv2.cvtColor((picture * 255).astype(np.uint8), cv2.COLOR_RGB2LAB)
        lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    tone = torch.tensor([[0.5]])
    return [
        Rival(
            "chroma_denoising",
            lambda: raw_operators.chroma_denoising(light, one),
            "kornia guided_blur (29 px, a quarter of the resolution, fixed ε)",
            guided,
        ),
        Rival(
            "desaturation",
            lambda: raw_operators.desaturation(light, one, raw.noise),
            "OpenCV HSV and back (one share for all)",
            saturation,
        ),
        Rival(
            "local_tone",
            lambda: raw_operators.local_tone(lit, tone),
            "OpenCV CLAHE in Lab (8 bits)",
            clahe,
        ),
    ]


def timed(call: Call) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def line(rival: Rival, repeat: int) -> tuple[str, ...]:
    """A row of the table."""
    mine, theirs = [], []
    try:
        for _ in range(repeat + 1):  # the first warms up
            mine.append(timed(rival.ours))
            theirs.append(timed(rival.theirs))
    except ModuleNotFoundError as missing:
        return rival.step, f"{1e3 * mine[-1][0]:.0f}", rival.nearest, f"{missing.name} is not installed", "", ""
    (wall, processor), (their_wall, their_processor) = (
        [min(several) for several in zip(*some[1:], strict=True)] for some in (mine, theirs)
    )
    return (
        rival.step,
        f"{1e3 * wall:.1f}",
        rival.nearest,
        f"{1e3 * their_wall:.1f}",
        f"{their_wall / wall:.2f}",
        f"{their_processor / processor:.2f}",
    )


@torch.inference_mode()
def main() -> None:
    """The table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--threads", type=int, default=1, help="for ours and theirs [%(default)s]")
    asked.add_argument("--repeat", type=int, default=3)
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    raw = dark_raw()
    rows = [line(rival, given.repeat) for rival in (*of_faults(raw), *of_mosaic(raw), *of_light(raw))]
    title = f"{WIDTH}×{HEIGHT}, float32, {given.threads} threads, ms"
    Console(width=140).print(terminal_table(title, ("step", "ours", "nearest", "theirs", "ratio", "of CPU time"), rows))


if __name__ == "__main__":
    main()
