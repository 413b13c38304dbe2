"""The low-light path as a module: pictures in, what the rig's low-light arm makes of them out.

    shoot = LowLight("exlpose")
    raw, srgb, truth = shoot(images, keys)

The stages are those of `isp_sim.camera` without geometry: pixel (x, y) of a picture stays pixel (x, y), so that
labels stay true. Lens blur, vignetting, filters, fixed maps, noise and ISP are the rig's.

A sample depends on its picture, key and shot alone, not on what else is in the batch: on a CPU to the bit, because
samples are computed one by one (which also keeps them in the cache); elsewhere but for the rounding of sums. On a CPU
noise is drawn by `isp_sim.table_noise`, whose counts are those of the CPU path but for one in a million; on other
devices by `camera.capture_tensor`. Global generators are not touched.
"""

import math
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from isp_sim import optics, readout, sensor, streams, table_noise
from isp_sim.camera import Frame, SimulatedArm, capture_tensor
from isp_sim.companding import companded
from isp_sim.isp.develop import DevelopParams, develop
from isp_sim.isp.operators import colour_matrix
from isp_sim.light import begins
from isp_sim.metering import at_base, metered, noise_free
from isp_sim.rig import Rig
from isp_sim.rigfile import load_rig
from isp_sim.run_plan import drawn_shots
from isp_sim.scenes.photos import CameraCurve, expand_highlights, to_light
from isp_sim.schedule import Shot
from isp_sim.transfer import inverse_tone, srgb_decode
from isp_sim.units import Counts, LinearRgb, Mosaic, Srgb

Images = Float[Tensor, "batch 3 height width"] | UInt8[Tensor, "batch 3 height width"]
ASSUMED = CameraCurve()
METERED_PX = 1000
"""About so many pixels of a picture are metered."""
SMALLEST = 4
"""Least side of a picture, px: what the demosaic needs."""


class Exposed(NamedTuple):
    """What a batch becomes; of each gradients flow back to the images.

    Attributes:
        raw: the low-light arm's mosaic, black 0, white 1; noise below black is negative where the camera keeps it.
        srgb: that raw, developed by the arm's ISP, 0 … 1.
        truth: the same pixels without noise as the well-lit arm's meter wants them: sRGB, 0 … 1.
    """

    raw: Mosaic
    srgb: Srgb
    truth: Srgb


class _Maps(NamedTuple):
    """What is fixed for pictures of one size on one device: for the tables, and as tensors of gain, hot, offset."""

    fixed: sensor.FixedMaps
    tensors: tuple[Tensor, Tensor, Tensor]
    fall: Tensor


class LowLight(nn.Module):
    """Pictures → raw, picture and truth of the rig's low-light arm; see the head of this file.

    It has neither parameters nor a device: it computes where the images are.

    Args:
        rig: or its name or file, as `isp_sim.rigfile.load_rig` takes it.
        curve: what the pictures' camera did to the light (`isp_sim.scenes.photos`); None for pictures that are
            linear light.
    """

    def __init__(self, rig: Rig | str | Path, curve: CameraCurve | None = ASSUMED) -> None:
        super().__init__()
        self.rig = rig if isinstance(rig, Rig) else load_rig(rig)
        if self.rig.well_lit.shading or self.rig.low_light.shading:
            raise ValueError(f"rig {self.rig.name}: LowLight knows no shading of an arm; expected a rig without")
        self.curve = curve
        self._dark, self._bright = SimulatedArm(self.rig, self.rig.low_light), SimulatedArm(self.rig, self.rig.well_lit)
        pitch_um = self.rig.sensor.pixel_pitch_um.value * self.rig.binning
        kernels = [optics.point_spread(self.rig.lens, pitch_um, band) for band in range(3)]
        side = max(len(kernel) for kernel in kernels)
        padded = [np.pad(kernel, (side - len(kernel)) // 2) for kernel in kernels]
        self._blur = torch.tensor(np.stack(padded)[:, None], dtype=torch.float32)
        self._maps: dict[tuple[int, int, torch.device], _Maps] = {}
        self._sent = None if self._dark.table is None else sent_counts(self._dark)

    def forward(self, images: Images, keys: Sequence[int] | Tensor, shots: Sequence[Shot] | None = None) -> Exposed:
        """Expose a batch.

        Args:
            images: sRGB (or linear light, see `curve`), R first, 1 is white; uint8 codes are taken too. Even sides, at
                most the rig's frame.
            keys: an integer for each image; the same key, image and shot give the same result. A tensor of keys should
                lie on the CPU.
            shots: exposure and gains of each image; without them one is drawn from the rig's schedule by its key.

        Raises:
            ValueError: another shape or size, another number of keys or shots, a picture that cannot be metered.
        """
        if not isinstance(images, Tensor):
            raise ValueError(f"images are a {type(images).__name__}; expected a torch.Tensor")
        seeds = [whole(key) for key in (keys.tolist() if isinstance(keys, Tensor) else keys)]
        self._check(images, len(seeds), shots)
        chosen = shots or [self.shot(seed) for seed in seeds]
        exposed = [self._one(image[None], key, shot) for image, key, shot in zip(images, seeds, chosen, strict=True)]
        return Exposed(*(torch.cat(planes) for planes in zip(*exposed, strict=True)))  # type: ignore[arg-type]

    def shot(self, key: int) -> Shot:
        """The shot that is drawn for a key."""
        return drawn_shots(self.rig.schedule, 0, key, 1)[0]

    def _check(self, images: Tensor, keys: int, shots: Sequence[Shot] | None) -> None:
        rig, size = self.rig, tuple(images.shape)
        sides = size[2:]
        if (
            images.ndim != 4
            or size[1] != 3
            or any(side % 2 for side in sides)
            or min(size) < 1
            or min(sides) < SMALLEST
        ):
            raise ValueError(
                f"images are {size}; expected (batch, 3, height, width) with even sides of {SMALLEST} and more"
            )
        if size[2] > rig.height_px or size[3] > rig.width_px:
            raise ValueError(
                f"images of {size[3]}×{size[2]} px; rig {rig.name} takes up to {rig.width_px}×{rig.height_px}"
            )
        if keys != size[0] or (shots is not None and len(shots) != size[0]):
            given = keys if shots is None else len(shots)
            raise ValueError(f"{size[0]} images, {keys} keys, {given} shots; expected as many of each")
        if not images.dtype.is_floating_point and images.dtype != torch.uint8:
            raise ValueError(f"images are {images.dtype}; expected floating point numbers or uint8")

    def _one(self, image: Tensor, key: int, shot: Shot) -> Exposed:
        light = self._light(image)
        maps = self._maps_of(light)
        sight = colour_matrix(LinearRgb(light), light.new_tensor(self._bright.view.bands)[None]) * maps.fall
        base = at_base(self._bright, shot)
        seen = sight * light.new_tensor(base.share)[:, None, None]
        stride = max(1, math.isqrt(seen.shape[-2] * seen.shape[-1] // METERED_PX))
        photons_per_us = metered(self._bright, seen.detach()[..., ::stride, ::stride].cpu(), base)
        truth = noise_free(self._bright, (seen * photons_per_us).clamp_max(base.top))
        raw = self._mosaic(self._while_open(light, key, shot), maps, key, shot, photons_per_us * shot.exposure_us)
        return Exposed(raw, develop(raw, self._develop_params(light)), truth)

    def _light(self, image: Tensor) -> Tensor:
        """A picture as the lens's image of the light before the camera that took it."""
        if image.dtype == torch.uint8:
            if self.curve is None:
                light = image.float() / 255
            else:
                light = torch.from_numpy(to_light(image[0].permute(1, 2, 0).cpu().numpy(), self.curve))
                light = light.to(image.device).permute(2, 0, 1)[None]
        elif self.curve is None:
            light = image.float()
        else:
            light = undone(image.float(), self.curve)
        if self.rig.light is not None and self.rig.light.colour is not None:
            light = light * light.new_tensor(self.rig.light.colour.value)[:, None, None]
        margin = self._blur.shape[-1] // 2
        padded = F.pad(light, (margin,) * 4, mode="replicate")
        return F.conv2d(padded, self._blur.to(light.device), groups=3)

    def _while_open(self, light: Tensor, key: int, shot: Shot) -> Tensor:
        """The light on each row while the low-light arm exposes it."""
        if self.rig.light is None:
            return light
        self._dark.start_s = begins(self.rig.light, shot.at_s, key, 0, shot.number)
        return light * light.new_tensor(self._dark.levels(shot.exposure_us, light.shape[-2]))[:, None]

    def _maps_of(self, light: Tensor) -> _Maps:
        """The maps of the centred region of the sensor, and cos⁴ about its centre."""
        height, width = light.shape[-2:]
        at = height, width, light.device
        if at not in self._maps:
            n, focal_px = self._dark.binning, self._dark.view.numbers.focal_px
            y, x = (np.arange(side) - (side - 1) / 2 for side in (height, width))
            fall = (focal_px**2 / (focal_px**2 + y[:, None] ** 2 + x**2)) ** 2
            fixed = self._dark.region(height, width)
            gain = fixed.gain * fall.repeat(n, 0).repeat(n, 1)
            fixed = sensor.FixedMaps(
                *(np.ascontiguousarray(plane, np.float32) for plane in (gain, fixed.offset_e, fixed.hot_e_per_s))
            )
            gain_map, hot, offset = (
                torch.from_numpy(plane).to(light.device) for plane in (fixed.gain, fixed.hot_e_per_s, fixed.offset_e)
            )
            self._maps[at] = _Maps(fixed, (gain_map, hot, offset), light.new_tensor(fall))
        return self._maps[at]

    def _mosaic(self, light: Tensor, maps: _Maps, key: int, shot: Shot, photons_at_white: float) -> Mosaic:
        """The arm's raw: counts as drawn; their gradient is that of the mean, K·e⁻, where nothing was clipped."""
        arm, n = self._dark, self._dark.binning
        chip = sensor.numbers(arm.sensor, shot.exposure_us, self.rig.temperature_c.value)
        out = readout.numbers(arm.sensor, shot.low_light_gain_db, arm.serial)
        frame = Frame(key, 0, shot.number)
        height, width = light.shape[-2:]
        stream = streams.generator(*frame, arm.serial, "line noise")
        lines = readout.line_noise(arm.sensor, shot.low_light_gain_db, arm.serial, height * n, width * n, stream)
        numbers = lines, chip, out, streams.key_words(*frame, arm.serial), n
        bands = arm.view.bands * photons_at_white
        photons = None
        if light.requires_grad or not self._by_table(light):
            photons = colour_matrix(LinearRgb(light), light.new_tensor(bands)[None])[0].permute(1, 2, 0)
        if self._by_table(light):
            weights = (bands * np.array(chip.efficiency)[:, None])[list(chip.band)]
            plane = np.ascontiguousarray(light.detach()[0].numpy())
            counts = torch.from_numpy(table_noise.capture(plane, weights, maps.fixed, *numbers).astype(np.float32))
        else:
            assert photons is not None
            counts = capture_tensor(photons.detach(), maps.tensors, *numbers).float()
        if photons is not None and photons.requires_grad:
            efficiency = photons.new_tensor(chip.efficiency) * out.gain_dn_per_e
            mean = sensor.through_cfa(photons * efficiency, chip.band) * maps.fall
            free = (counts > 0) & (counts < out.white_dn * n * n)
            counts = counts + torch.where(free, mean - mean.detach(), 0.0)
        if self._sent is not None:  # through the nearest codes; the gradient passes
            back = self._sent.to(counts.device)[counts.detach().long()]
            counts = counts + (back - counts.detach())
        black, white = arm.sensor.black_level_dn.value * n * n, arm.sensor.white_level_dn * n * n
        return Mosaic(((counts - black) / (white - black))[None, None])

    def _by_table(self, light: Tensor) -> bool:
        """Whether noise is drawn on the CPU by tables, or by torch where the light is."""
        return light.device.type == "cpu"

    def _develop_params(self, light: Tensor) -> DevelopParams:
        """As `isp_sim.isp.develop.from_metadata` of the arm's raws."""
        gains, matrix = self._dark.colours
        isp = self._dark.arm.isp
        return DevelopParams(
            cfa=self._dark.sensor.cfa,
            method=isp.demosaic,
            gains=light.new_tensor(gains)[None],
            matrix=light.new_tensor(matrix)[None],
            balance=isp.white_balance,
        )


def sent_counts(arm: SimulatedArm) -> Tensor:
    """Every count of an arm that compands, as it comes back: float32 `(counts,)`."""
    assert arm.table is not None
    every = Counts(np.arange(arm.sensor.white_level_dn * arm.binning**2 + 1).astype(np.uint16))
    return torch.from_numpy(companded(every, arm.table).astype(np.float32))


def whole(key: object) -> int:
    """A key as a whole number.

    Raises:
        ValueError: it is none.
    """
    try:
        return operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"a key is {key!r}; expected whole numbers") from None


def undone(image: Tensor, curve: CameraCurve) -> Tensor:
    """Pictures in sRGB → the light before the camera, as `isp_sim.scenes.photos.to_light`, with gradients.

    Args:
        image: `(batch, 3, height, width)`, cut to 0 … 1.
        curve: what the camera did.
    """
    linear = srgb_decode(image.clamp(0, 1))
    light = inverse_tone(linear) if curve.tone else linear
    brightest = light.amax(dim=1, keepdim=True)
    bright = brightest > curve.knee
    gain = expand_highlights(brightest, curve) / torch.where(bright, brightest, 1.0)
    return light * torch.where(bright, gain, 1.0)
