"""A chart shot by the rig's low-light arm, and the image quality of what an ISP under test makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from isp_sim.dng import write_dng
from isp_sim.files import write_atomically
from isp_sim.pair import DualCamera
from isp_sim.quality.chart import ChartLayout, Quality, measure
from isp_sim.quality.tone import luma
from isp_sim.rig import Geometry, Rig
from isp_sim.scenes.quality_chart import quality_chart
from isp_sim.schedule import Shot, bases
from models.tuning.tunable import Setting

FRAMES = 4
"""Of the chart: noise is each one's own, the rest is of their mean."""


@dataclass(frozen=True)
class ChartShots:
    """Frames of one still chart.

    Attributes:
        raws: DNG of the low-light arm.
        size: (height, width) of each.
        layout: of the chart in them.
        reference: luminance of the chart, on their pixels; 1 a perfect diffuser.
    """

    raws: tuple[Path, ...]
    size: tuple[int, int]
    layout: ChartLayout
    reference: np.ndarray

    def quality(
        self, develop: Callable[[Path, Mapping[str, Setting]], np.ndarray], settings: Mapping[str, Setting], whose: str
    ) -> Quality:
        """Every figure of the chart as an ISP develops it.

        Args:
            develop: the ISP's, see `BlackBoxIsp`.
            settings: its.
            whose: the ISP's name, for messages.

        Raises:
            ValueError, OSError: the ISP cannot develop a frame, or gives another size, NaN or infinity.
        """
        return measure(self.pictures(develop, settings, whose), self.layout, self.reference)

    def pictures(
        self, develop: Callable[[Path, Mapping[str, Setting]], np.ndarray], settings: Mapping[str, Setting], whose: str
    ) -> list[np.ndarray]:
        """The frames, developed; see `quality`."""
        pictures = [develop(raw, settings) for raw in self.raws]
        for raw, one in zip(self.raws, pictures, strict=True):
            if one.shape != (*self.size, 3) or not np.isfinite(one).all():
                raise ValueError(f"{whose}: gave {one.shape} for {raw}, expected {(*self.size, 3)} of finite numbers")
        return pictures


def shoot_chart(rig: Rig, folder: Path, seed: int) -> ChartShots:
    """The quality chart by the low-light arm of a rig, straight on: at the first base of its schedule, its ratio 1.

    A folder that holds the frames already is read. What bends the picture (the arm's geometry, the lens's distortion)
    is left out: labels and reference then lie on the frame's own pixels.

    Args:
        rig: whose.
        folder: gets `raw/` and `rig.yaml`.
        seed: of the frames' noise.
    """
    straight = _straight(rig)
    scene = quality_chart(rig.height_px, rig.width_px, "D65")
    raws = tuple(folder / "raw" / f"chart_{number:02d}.dng" for number in range(FRAMES))
    text = yaml.safe_dump(straight.model_dump(mode="json", exclude_none=True), sort_keys=False)
    mark = folder / "rig.yaml"
    if not (mark.is_file() and mark.read_text() == text and all(raw.is_file() for raw in raws)):
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        camera = DualCamera(straight)
        shot = _shot(straight)
        camera.prepare(scene, shot, seed)
        for raw in raws:
            write_dng(raw, camera.low_light.grab(shot.exposure_us, shot.low_light_gain_db))
        write_atomically(mark, text.encode())
    layout = ChartLayout.model_validate(scene.labels["layout"])
    return ChartShots(raws, (rig.height_px, rig.width_px), layout, luma(scene.radiance))


def _straight(rig: Rig) -> Rig:
    """A rig whose low-light arm sees scene pixel for frame pixel."""
    same = Geometry.model_validate(
        {
            name: {"value": value, "status": "assumed", "source": "a chart, straight on"}
            for name, value in (
                ("rotation_deg", 0.0), ("shift_px", (0.0, 0.0)), ("scale", 1.0), ("perspective_per_px", (0.0, 0.0)),
            )
        }
    )  # fmt: skip
    flat = rig.lens.distortion.model_copy(update={"value": (0.0, 0.0)})
    lens = rig.lens.model_copy(update={"distortion": flat})
    arms = {name: getattr(rig, name).model_copy(update={"geometry": same}) for name in ("well_lit", "low_light")}
    return rig.model_copy(update={"lens": lens, **arms})


def _shot(rig: Rig) -> Shot:
    """The lightest of the schedule's: its first base, not shortened."""
    _, exposure, gain = bases(rig.schedule)[0]
    return Shot(0, "0101", "chart", "000000", "000000", 1.0, max(1, round(exposure)), exposure, gain, gain, gain)
