"""Two arms, one scene → a pair: both raws as captured, both pictures on the low-light arm's pixels, labels on them."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from isp_sim import light, optics, rectify
from isp_sim.auto_exposure import ExposureControl, Setting
from isp_sim.camera import Frame, SimulatedArm
from isp_sim.isp.codes import srgb_codes
from isp_sim.isp.develop import develop_raw
from isp_sim.metering import meter
from isp_sim.raw import Raw
from isp_sim.rectify import ArmMap, ArmName, Box
from isp_sim.rig import AutoExposure, Rig
from isp_sim.scenes import Person, Scene
from isp_sim.schedule import Shot
from isp_sim.units import Picture, Radiance


@dataclass(frozen=True)
class Pair:
    """One shot of both arms.

    Attributes:
        shot: exposure and gains.
        scene: name of the scene.
        well_lit_raw, low_light_raw: as captured, neither warped nor cropped.
        well_lit, low_light: of `crop`; the picture of the arm that is not `onto` is warped.
        crop: (x, y, width, height), px of arm `onto`.
        low_to_well: 3×3, low-light raw pixels → well-lit raw pixels.
        people: labels on the pictures.
        photons_per_us_at_white: the scene's light, from the meter.
        labels: whatever else the scene knows of itself.
        planes: the scene's maps on the pictures, by name.
        onto: the arm whose pixels the pictures lie on.
    """

    shot: Shot
    scene: str
    well_lit_raw: Raw
    low_light_raw: Raw
    well_lit: Picture
    low_light: Picture
    crop: Box
    low_to_well: Float64[np.ndarray, "3 3"]
    people: tuple[Person, ...]
    photons_per_us_at_white: float
    labels: dict[str, object]
    planes: dict[str, np.ndarray] = field(default_factory=dict)
    onto: ArmName = "low_light"

    @property
    def arm_map(self) -> ArmMap:
        """Where the low-light arm's pixels lie on the well-lit arm, frames as captured."""
        height, width = self.low_light_raw.counts.shape
        return ArmMap(self.low_to_well, (height, width))


STRIP_S = 2e-3
"""Rows that a rolling shutter exposes within it see one moment of the scene."""
STRIPS = 16
"""More are not rendered."""


def seen_while_open(scene: Scene, exposure_us: float, rig: Rig) -> Radiance:
    """The scene's mean radiance while the shutter is open; a rolling one opens later on lower rows.

    The moment of the labels is the middle row's. Rows are taken together in at most 16 strips.
    """
    if scene.during is None:
        return scene.radiance
    rows = scene.radiance.shape[0]
    of_row_s = rig.row_time_us * 1e-6
    strips = min(max(1, math.ceil(rows * of_row_s / STRIP_S)), STRIPS)
    borders = [round(rows * n / strips) for n in range(strips + 1)]
    parts = []
    for top, bottom in pairwise(borders):
        after_s = ((top + bottom) / 2 - rows / 2) * of_row_s
        parts.append(scene.during(exposure_us * 1e-6, after_s)[top:bottom])
    return Radiance(np.concatenate(parts) if strips > 1 else parts[0])


class DualCamera:
    """The rig: both arms behind one lens."""

    def __init__(self, rig: Rig, device: str = "cpu") -> None:
        self.rig, self.device = rig, device
        self.well_lit = SimulatedArm(rig, rig.well_lit, device)
        self.low_light = SimulatedArm(rig, rig.low_light, device)
        self._boxes: dict[tuple[int, int], Box] = {}
        self._metered: tuple[Scene, float, float] | None = None  # with the base it was metered at
        self._light = 0.0

    def shoot(self, scene: Scene, shots: Iterable[Shot], seed: int) -> Iterator[Pair]:
        """Shots of one scene, one pair at a time; what moves in it does so for as long as each shot's exposure.

        Args:
            scene: what stands before the lens.
            shots: of that scene; they share a base, at which it is metered.
            seed: of the run.
        """
        planes = self.place_planes(scene)
        for shot in shots:
            photons_per_us = self.prepare(scene, shot, seed)
            yield self._pair(scene, shot, photons_per_us, planes)

    def film(
        self,
        scene: Scene,
        shots: Iterable[Shot],
        seed: int,
        rule: AutoExposure | None = None,
        controller: type[ExposureControl] = ExposureControl,
    ) -> Iterator[Pair]:
        """Frames of one moving scene, one pair at a time.

        Args:
            scene: metered as it is at the beginning.
            shots: with their moments, the same base and ratio (`isp_sim.schedule.sequence_shots`).
            seed: of the run.
            rule: exposure follows what the well-lit arm shows; None: it stays.
            controller: what makes it follow.
        """
        control: ExposureControl | None = None
        for shot in shots:
            if rule is not None and control is None:
                most = self.rig.sensor.max_gain_db.value - 20 * math.log10(shot.ratio)
                start = Setting(round(shot.base_exposure_us), shot.base_gain_db)
                control = controller(rule, self.well_lit, start, most)
            taken = control.setting.on(shot) if control else shot
            moment = scene.at(taken.at_s) if scene.at and taken.at_s else scene
            photons_per_us = self.prepare(scene, taken, seed, moment)
            pair = self._pair(moment, taken, photons_per_us, self.place_planes(moment))
            if control:
                control.look_at(pair.well_lit_raw)
            yield pair

    def prepare(self, scene: Scene, shot: Shot, seed: int, moment: Scene | None = None) -> float:
        """Put a shot's light before both arms, and the key of its noise: the next grab of either takes it.

        Args:
            scene: what stands before the lens; metered when it, or the shot's base, is another than before.
            shot: its exposure, its scene's base, its number.
            seed: of the run.
            moment: the scene when the shot is taken, if that is later.

        Returns:
            The scene's light, photons per µs of a perfect diffuser.

        Raises:
            ValueError: the scene cannot be metered, or is larger than the sensor.
        """
        base = shot.base_exposure_us, shot.base_gain_db
        if self._metered is None or scene is not self._metered[0] or base != self._metered[1:]:
            self._metered = None
            self._look_at(scene.radiance)
            self._light = meter(self.well_lit, scene, shot)
            self._metered = (scene, *base)
        seen = moment or scene
        if seen is not scene or seen.during is not None:
            self._look_at(seen_while_open(seen, shot.exposure_us, self.rig))
        start_s = light.begins(self.rig.light, shot.at_s, seed, shot.scene, shot.number)
        for arm in (self.well_lit, self.low_light):
            arm.light, arm.next_frame = self._light, Frame(seed, shot.scene, shot.number)
            arm.start_s = start_s
        return self._light

    def _look_at(self, radiance: Radiance) -> None:
        """Put light before both arms; they keep their own of it."""
        pitch_um = self.rig.sensor.pixel_pitch_um.value * self.rig.binning
        image = optics.through_lens(light.coloured(radiance, self.rig.light), self.rig.lens, pitch_um)
        for arm in (self.well_lit, self.low_light):
            arm.look_at(image)

    def _pair(self, scene: Scene, shot: Shot, photons_per_us: float, planes: dict[str, np.ndarray]) -> Pair:
        bright = self.well_lit.grab(shot.exposure_us, shot.well_lit_gain_db)
        dark = self.low_light.grab(shot.exposure_us, shot.low_light_gain_db)
        height, width = dark.counts.shape
        arms, box = self.arm_map(height, width), self.box(height, width)
        linear = self._linear(bright, self.well_lit), self._linear(dark, self.low_light)
        well, low = rectify.on_one_arm(linear, arms, "low_light", box, self.rig.resampling)
        return Pair(
            shot=shot,
            scene=scene.name,
            well_lit_raw=bright,
            low_light_raw=dark,
            well_lit=srgb_codes(well),
            low_light=srgb_codes(low),
            crop=box,
            low_to_well=arms.low_to_well,
            people=rectify.people_on(scene.people, self._on_low_light(height, width), box),
            photons_per_us_at_white=photons_per_us,
            labels=scene.labels,
            planes=planes,
        )

    def _linear(self, raw: Raw, arm: SimulatedArm) -> np.ndarray:
        light = develop_raw(raw, arm.arm.isp, self.device)
        return np.ascontiguousarray(light[0].permute(1, 2, 0).cpu().numpy())

    def develop(self, raw: Raw, arm: SimulatedArm) -> Picture:
        """A raw through its arm's ISP, 8 bits, neither warped nor cropped."""
        return srgb_codes(self._linear(raw, arm))

    def arm_map(self, height: int, width: int) -> ArmMap:
        """The true map between the arms' frames."""
        return ArmMap(optics.between(self.low_light.view, self.well_lit.view, height, width), (height, width))

    def box(self, height: int, width: int) -> Box:
        """The crop of the low-light frame that the well-lit frame fills and the scene covers.

        Raises:
            ValueError: less than 16 pixels are left.
        """
        if (height, width) not in self._boxes:
            try:
                covered = rectify.filled_box(self._on_low_light(height, width), (height, width))
                box = rectify.common_box(self.arm_map(height, width), "low_light", covered)
            except ValueError as fault:
                raise ValueError(f"rig {self.rig.name}: {fault}") from None
            self._boxes[height, width] = box
        return self._boxes[height, width]

    def _on_low_light(self, height: int, width: int) -> Callable[[rectify.Points], rectify.Points]:
        """Scene pixels → the low-light arm's."""
        return lambda points: optics.to_sensor(points, self.low_light.view, height, width)

    def place_planes(self, scene: Scene) -> dict[str, np.ndarray]:
        """The scene's maps on the cropped pictures: each pixel takes the value of the scene pixel it sees."""
        if not scene.planes:
            return {}
        height, width = scene.radiance.shape[:2]
        seen = rectify.crop(optics.scene_points(self.low_light.view, height, width), self.box(height, width))
        return {name: rectify.plane_on(plane, seen) for name, plane in scene.planes.items()}
