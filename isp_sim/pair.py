"""Two arms, one scene → a pair: both raws as captured, both pictures aligned, labels on them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8

from isp_sim import optics, readout, sensor
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.isp import develop as isp
from isp_sim.isp.operators import colour_matrix
from isp_sim.raw import Raw, normalise
from isp_sim.rig import Rig
from isp_sim.scenes import Person, Scene
from isp_sim.schedule import Shot
from isp_sim.transfer import SRGB_SLOPE
from isp_sim.units import LinearRgb, Mosaic, Radiance

Picture = UInt8[np.ndarray, "height width 3"]
RESAMPLING = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
MIN_SIDE_PX = 16  # of a picture
BAND_ROWS = 128
METER_STRIDE = 6  # the meter looks at every sixth pixel each way
WHITE_AT_FULL_SCALE = 0.5  # an unmetered scene's white fills half the well-lit arm's range at the base exposure


@dataclass(frozen=True)
class Pair:
    """One shot of both arms.

    Attributes:
        shot: exposure and gains.
        scene: name of the scene.
        well_lit_raw, low_light_raw: as captured, neither warped nor cropped.
        well_lit, low_light: 8-bit sRGB `(height, width, 3)`, R first, cropped to `box`, the low-light one
            warped onto the well-lit one.
        box: (x, y, width, height) of the crop in the well-lit arm's frame.
        low_to_well: 3×3, low-light raw pixels → well-lit raw pixels.
        people: labels on the pictures.
        photons_per_us_at_white: the scene's light, from the meter.
        labels: whatever else the scene knows of itself.
        planes: the scene's maps on the pictures, by name.
    """

    shot: Shot
    scene: str
    well_lit_raw: Raw
    low_light_raw: Raw
    well_lit: Picture
    low_light: Picture
    box: tuple[int, int, int, int]
    low_to_well: Float64[np.ndarray, "3 3"]
    people: tuple[Person, ...]
    photons_per_us_at_white: float
    labels: dict[str, object]
    planes: dict[str, np.ndarray] = field(default_factory=dict)


class DualCamera:
    """The rig: both arms behind one lens."""

    def __init__(self, rig: Rig, device: str = "cpu") -> None:
        self.rig, self.device = rig, device
        self.well_lit = SimulatedArm(rig, rig.well_lit, device)
        self.low_light = SimulatedArm(rig, rig.low_light, device)
        self._boxes: dict[tuple[int, int], tuple[int, int, int, int]] = {}
        nir = rig.lens.near_infrared.value
        self._params = {
            arm.serial: isp.camera_params(arm.arm.isp, arm.sensor, nir, device)
            for arm in (self.well_lit, self.low_light)
        }

    def shoot(self, scene: Scene, shots: Sequence[tuple[int, Shot]], seed: int) -> Iterator[Pair]:
        """Shots of one scene, one pair at a time; what moves in it does so for as long as each shot's exposure.

        Args:
            scene: what stands before the lens.
            shots: (number of the shot within its scene, shot); they share a base, at which the scene is metered.
            seed: of the run.
        """
        self._look_at(scene.radiance)
        light = self.meter(scene, shots[0][1]) if shots else 0.0
        planes = self.place_planes(scene)
        for number, shot in shots:
            if scene.during is not None:
                self._look_at(scene.during(shot.exposure_us * 1e-6))
            for arm in (self.well_lit, self.low_light):
                arm.light, arm.next_frame = light, Frame(seed, shot.scene, number)
            yield self._pair(scene, shot, light, planes)

    def _look_at(self, radiance: Radiance) -> None:
        """Put light before both arms; they keep their own of it."""
        pitch_um = self.rig.sensor.pixel_pitch_um.value * self.rig.binning
        image = optics.through_lens(radiance, self.rig.lens, pitch_um)
        for arm in (self.well_lit, self.low_light):
            arm.look_at(image)

    def meter(self, scene: Scene, shot: Shot) -> float:
        """The scene's light: photons per µs of a perfect diffuser, before the splitter.

        The well-lit arm's meter is content when its noise-free picture has the rig's mean 8-bit level at the
        shot's base exposure and gain; found by bisection in ln light, over every sixth pixel. A scene that is
        not metered gets the light at which white fills half the range.

        Raises:
            ValueError: a black scene, or one that cannot be brought to the target.
        """
        arm = self.well_lit
        chip = sensor.numbers(arm.sensor, shot.base_exposure_us, self.rig.temperature_c.value)
        k = readout.system_gain(arm.sensor, shot.base_gain_db)
        pixels = arm.binning**2
        range_dn = pixels * (arm.sensor.white_level_dn - arm.sensor.black_level_dn.value)
        share = np.array(chip.efficiency) * shot.base_exposure_us * k / range_dn  # of the range, per photon per µs
        full = float(WHITE_AT_FULL_SCALE / (share * arm.view.bands.sum(axis=1)).max())
        if not scene.metered:
            return full
        planes = arm.sight[::METER_STRIDE, ::METER_STRIDE]
        seen = torch.from_numpy((planes * share).astype(np.float32)).permute(2, 0, 1)[None]
        bias = float(np.mean(arm.sensor.black_bias_dn.value)) * pixels / range_dn
        top = min(1.0, pixels * chip.full_well_e * k / range_dn)
        target = self.rig.meter_target.value
        low, high = math.log(full) - 14, math.log(full) + 14

        def level(ln_light: float) -> float:
            return self.level((seen * math.exp(ln_light)).clamp_max(top) + bias)

        if not level(low) < target < level(high):
            raise ValueError(f"{scene.name}: no light brings its picture to a mean of {target}; is it all black?")
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if level(middle) < target else (low, middle)
        return math.exp((low + high) / 2)

    def level(self, exposed: torch.Tensor) -> float:
        """Mean 8-bit level of a noise-free picture, from its camera RGB: cut, balance, mix, encode."""
        params = self._params[self.well_lit.serial]
        balanced = (exposed.clamp(0, 1) * params.gains.cpu()[..., None, None]).clamp_max(1.0)
        linear = colour_matrix(LinearRgb(balanced), params.matrix.cpu())
        return 255 * float(isp.encode_srgb(linear).mean())

    def _pair(self, scene: Scene, shot: Shot, light: float, planes: dict[str, np.ndarray]) -> Pair:
        bright = self.well_lit.grab(shot.exposure_us, shot.well_lit_gain_db)
        dark = self.low_light.grab(shot.exposure_us, shot.low_light_gain_db)
        height, width = bright.counts.shape
        low_to_well = optics.between(self.low_light.view, self.well_lit.view, height, width)
        x, y, w, h = box = self.box(height, width)
        warped = self.aligned(dark)
        at = (slice(y, y + h), slice(x, x + w))
        return Pair(
            shot=shot,
            scene=scene.name,
            well_lit_raw=bright,
            low_light_raw=dark,
            well_lit=np.ascontiguousarray(self.develop(bright, self.well_lit)[at]),
            low_light=np.ascontiguousarray(warped[at]),
            box=box,
            low_to_well=low_to_well,
            people=tuple(self.place(person, height, width, box) for person in scene.people),
            photons_per_us_at_white=light,
            labels=scene.labels,
            planes=planes,
        )

    def develop(self, raw: Raw, arm: SimulatedArm) -> Picture:
        """A raw through its arm's ISP, 8 bits."""
        mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)
        with torch.inference_mode():
            linear = isp.develop_linear(Mosaic(mosaic.to(self.device)), self._params[arm.serial])
            # In bands: the sRGB curve needs several times its input for a moment.
            bands = [isp.to_8bit(isp.encode_srgb(LinearRgb(band))) for band in torch.split(linear, BAND_ROWS, dim=2)]
        return np.asarray(np.concatenate(bands))

    def aligned(self, raw: Raw) -> Picture:
        """A low-light raw developed, then warped onto the well-lit arm's frame, as ExLPose's pictures were."""
        return np.asarray(self._onto_well_lit(self.develop(raw, self.low_light)))

    def unrounded(
        self,
        raw: Raw,
        low_to_well: Float64[np.ndarray, "3 3"] | None = None,
        box: tuple[int, int, int, int] | None = None,
    ) -> Float32[np.ndarray, "height width 3"]:
        """A low-light raw as its aligned, cropped picture before 8 bits: sRGB, 1 is white, noise below black kept.

        The sRGB curve's straight part goes on below black: `s = 12.92·l` for `l < 0`.

        Args:
            raw: of the low-light arm.
            low_to_well: its pixels → the well-lit arm's; None is the rig's own.
            box: (x, y, width, height) of the crop in the well-lit arm's frame; None is the rig's own.
        """
        height, width = raw.counts.shape
        mosaic = normalise(raw.counts, raw.black_level_dn, raw.white_level_dn)
        with torch.inference_mode():
            linear = isp.develop_linear(Mosaic(mosaic.to(self.device)), self._params[self.low_light.serial])
            encoded = isp.encode_srgb(linear) + SRGB_SLOPE * linear.clamp_max(0)
        x, y, w, h = box or self.box(height, width)
        warped = self._onto_well_lit(encoded[0].permute(1, 2, 0).contiguous().cpu().numpy(), low_to_well)
        return np.ascontiguousarray(warped[y : y + h, x : x + w])

    def _onto_well_lit(self, picture: np.ndarray, low_to_well: np.ndarray | None = None) -> np.ndarray:
        height, width = picture.shape[:2]
        if low_to_well is None:
            low_to_well = optics.between(self.low_light.view, self.well_lit.view, height, width)
        flags = RESAMPLING[self.rig.resampling]
        return np.asarray(cv2.warpPerspective(picture, low_to_well, (width, height), flags=flags))

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Largest centred crop of the well-lit frame that the low-light frame fills and the scene covers.

        Raises:
            ValueError: less than 16 pixels are left.
        """
        if (height, width) not in self._boxes:
            self._boxes[height, width] = self._find_box(height, width)
        return self._boxes[height, width]

    def _find_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        back = np.linalg.inv(optics.between(self.low_light.view, self.well_lit.view, height, width))
        ys, xs = np.arange(height), np.arange(width)
        rim = np.concatenate(
            [np.stack(np.broadcast_arrays(xs, y), -1) for y in (0, height - 1)]
            + [np.stack(np.broadcast_arrays(x, ys), -1) for x in (0, width - 1)]
        ).astype(float)
        in_low = cv2.perspectiveTransform(rim[None], back)[0]
        in_scene = optics.scene_points(self.well_lit.view, height, width)[rim[:, 1].astype(int), rim[:, 0].astype(int)]
        there = np.concatenate([in_low, in_scene])
        lack_x = max(0.0, -there[:, 0].min(), there[:, 0].max() - (width - 1))
        lack_y = max(0.0, -there[:, 1].min(), there[:, 1].max() - (height - 1))
        # A hair under a pixel is rounding, not light that lacks.
        cut_x, cut_y = math.ceil(lack_x - 1e-3), math.ceil(lack_y - 1e-3)
        if width - 2 * cut_x < MIN_SIDE_PX or height - 2 * cut_y < MIN_SIDE_PX:
            raise ValueError(
                f"rig {self.rig.name}: of {width}×{height} px only {max(0, width - 2 * cut_x)}×"
                f"{max(0, height - 2 * cut_y)} are seen by both arms; {MIN_SIDE_PX} and more are allowed: "
                "check the arms' geometry and the scene's size"
            )
        return cut_x, cut_y, width - 2 * cut_x, height - 2 * cut_y

    def place_planes(self, scene: Scene) -> dict[str, np.ndarray]:
        """The scene's maps on the cropped pictures: each pixel takes the value of the scene pixel it sees."""
        if not scene.planes:
            return {}
        height, width = scene.radiance.shape[:2]
        left, top, crop_width, crop_height = self.box(height, width)
        points = optics.scene_points(self.well_lit.view, height, width)
        at = np.ascontiguousarray(points[top : top + crop_height, left : left + crop_width])
        return {
            name: np.asarray(cv2.remap(plane, at[..., 0], at[..., 1], cv2.INTER_NEAREST))
            for name, plane in scene.planes.items()
        }

    def place(self, person: Person, height: int, width: int, box: tuple[int, int, int, int]) -> Person:
        """A person's labels on the cropped pictures; joints outside become unlabelled, the box is cut.

        The box follows as the hull of its four corners.
        """
        left, top, crop_width, crop_height = box
        joints = np.array([(x, y) for x, y, _ in person.keypoints])
        moved = optics.to_sensor(joints, self.well_lit.view, height, width) - (left, top)
        keypoints = []
        for (x, y), (_, _, visibility) in zip(moved, person.keypoints, strict=True):
            inside = -0.5 <= x < crop_width - 0.5 and -0.5 <= y < crop_height - 0.5
            keep = visibility > 0 and inside
            keypoints.append((float(x), float(y), visibility) if keep else (0.0, 0.0, 0))
        x, y, w, h = person.bbox
        corners = np.array([(x, y), (x + w, y), (x, y + h), (x + w, y + h)], float) - 0.5
        hull = optics.to_sensor(corners, self.well_lit.view, height, width) + 0.5 - (left, top)
        low = np.clip(hull.min(axis=0), 0, (crop_width, crop_height))
        high = np.clip(hull.max(axis=0), 0, (crop_width, crop_height))
        size = high - low
        return Person(tuple(keypoints), (float(low[0]), float(low[1]), float(size[0]), float(size[1])), person.iscrowd)
