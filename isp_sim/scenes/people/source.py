"""`People`: scenes with people by number."""

import functools
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from isp_sim import streams
from isp_sim.choices import FROZEN
from isp_sim.scenes import JOINTS, Scene
from isp_sim.scenes.people import labels
from isp_sim.scenes.people.layout import Layout, lay_out
from isp_sim.scenes.people.places import backdrop
from isp_sim.scenes.people.raycast.light import Lights
from isp_sim.scenes.people.raycast.mesh import Mesh
from isp_sim.scenes.people.raycast.render import NO_BACKDROP, Rendered, render
from isp_sim.scenes.people.semantics import CLASSES
from isp_sim.units import Radiance

SCENES = 1_000_000

SHADES = (
    ("chest", 0.20),
    ("pelvis", 0.19),
    ("left_knee", 0.10),
    ("right_knee", 0.10),
    ("left_ankle", 0.09),
    ("right_ankle", 0.09),
)
"""Balls that stand for a body in the ambient light: where, and radius in m."""


class People:
    """Rooms and streets with people in them.

    What scene n shows depends on the seed, n and the daylight asked for alone, not on the resolution.

    Args:
        height: pixels.
        width: pixels.
        seed: another seed, other scenes.
        motion_blur_samples: sub-frames averaged over an exposure (`Scene.during`), evenly spaced about the moment of
            the labels; 1 freezes everybody.
        backgrounds: folder of pictures without people, or panoramas, to stand behind them (`places.backdrop`).
        backgrounds_share: of the scenes that have one; the others are in the built-in worlds.

    Raises:
        ValueError: a size or setting that is not allowed.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int = 0,
        motion_blur_samples: int = FROZEN,
        backgrounds: Path | None = None,
        backgrounds_share: float = 1.0,
    ) -> None:
        for name, value in (("height", height), ("width", width)):
            if value < 32 or value % 2:
                raise ValueError(f"a scene's {name} is {value} px; expected even numbers from 32")
        if motion_blur_samples < 1:
            raise ValueError(f"motion_blur_samples is {motion_blur_samples}; expected whole numbers from 1")
        self._size, self._seed = (height, width), seed
        if not 0 < backgrounds_share <= 1:
            raise ValueError(f"backgrounds_share is {backgrounds_share}; expected a number above 0, at most 1")
        self._samples, self._share = motion_blur_samples, backgrounds_share
        self._backgrounds = backdrop.list_backdrops(backgrounds) if backgrounds is not None else []

    def __len__(self) -> int:
        """How many scenes are numbered."""
        return SCENES

    def scene(self, index: int, daylight: float | None = None) -> Scene:
        """Scene `index`: radiance, people, and the planes semantic, instances and depth.

        Args:
            index: number.
            daylight: light over a sunlit scene's: much is in the sun, less under clouds or in the shade, below
                `layout.INDOOR_BELOW` in a room, 0 at night. Without it places of all kinds by day are drawn.
        """
        if not 0 <= index < SCENES:
            raise IndexError(f"scene {index}: expected 0 … {SCENES - 1}")
        return self._of(index, lay_out(self._seed, index, daylight, behind=self._behind(index)))

    def _later(self, index: int, layout: Layout, time_s: float) -> Scene:
        """A layout's scene so long after."""
        return self._of(index, layout.later(time_s)) if time_s else self._of(index, layout)

    def _of(self, index: int, layout: Layout) -> Scene:
        """A layout's scene."""
        rendered, bodies = picture(layout, *self._size, 0.0)
        camera = layout.view(*self._size)
        found = [
            labels.person(n, joints, labels.depths_under_skin(mesh, joints, one.build, camera), camera, rendered)
            for n, (one, (mesh, joints)) in enumerate(zip(layout.people, bodies, strict=True), start=1)
        ]
        return Scene(
            name=f"people/{index:06d}",
            radiance=Radiance(rendered.radiance),
            people=tuple(person for person in found if person is not None),
            labels=facts(layout, [n for n, person in enumerate(found, start=1) if person is not None]),
            planes=labels.planes(rendered),
            white_lx=layout.white_lx or None,
            during=functools.partial(self._during, layout) if self._samples > FROZEN else None,
            at=functools.partial(self._later, index, layout),
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """Names of the backgrounds: with them a run knows its scenes again."""
        return tuple(Path(path.name) for path in self._backgrounds)

    def _behind(self, index: int) -> backdrop.Backdrop | None:
        """The background of scene `index`, if it has one."""
        stream = streams.generator(self._seed, index, "background")
        if not self._backgrounds or stream.random() >= self._share:
            return None
        return backdrop.load(self._backgrounds[int(stream.integers(len(self._backgrounds)))], stream)

    def _during(self, layout: Layout, exposure_s: float, after_s: float) -> Radiance:
        """Mean of the sub-frames about a layout's moment, each at the middle of its share of the exposure."""
        mean = np.zeros((*self._size, 3), np.float32)
        for n in range(self._samples):
            moment = after_s + ((n + 0.5) / self._samples - 0.5) * exposure_s
            mean += picture(layout, *self._size, moment)[0].radiance / np.float32(self._samples)
        return Radiance(mean)


def picture(
    layout: Layout, height: int, width: int, time_s: float
) -> tuple[Rendered, list[tuple[Mesh, Float64[np.ndarray, "joints 3"]]]]:
    """Render a layout at a moment; also everybody's mesh and joints in the world, m."""
    bodies = [one.body(time_s) for one in layout.people]
    shades: list[tuple[float, ...]] = [(*ball, 0) for ball in layout.shades]
    for number, (_, places) in enumerate(bodies, start=1):
        where = dict(zip(JOINTS, places, strict=True))
        where["pelvis"] = (where["left_hip"] + where["right_hip"]) / 2
        where["chest"] = where["pelvis"] * 0.4 + where["neck"] * 0.6
        shades += [(*where[name], radius, number) for name, radius in SHADES]
    lights = Lights(layout.lights, layout.sky, np.array(shades, np.float64).reshape(-1, 5))
    meshes = [mesh for mesh, _ in bodies]
    camera = layout.view(height, width)
    behind = layout.behind.seen(camera) if layout.behind is not None else NO_BACKDROP
    return render(layout.things, meshes, layout.materials, lights, camera, behind), bodies


def facts(layout: Layout, instances: list[int]) -> dict[str, object]:
    """What else is known, for the manifest.

    Args:
        layout: of the scene.
        instances: number in the instance plane of each labelled person, in their order.
    """
    step = 1e-3
    people = []
    for number in instances:
        one = layout.people[number - 1]
        velocity = ((one.skeleton(step / 2) - one.skeleton(-step / 2)) / step).round(3).tolist()
        people.append(
            {
                "instance": number, "kind": one.build.kind, "pose": one.pose.name,
                "distance_m": round(one.z, 3), "stature_m": round(one.build.stature_m, 3),
                "joint_velocity_m_per_s": velocity,
            }
        )  # fmt: skip
    light = {"white_lx": round(layout.white_lx, 3)} if layout.white_lx else {}
    behind = {"background": layout.behind.name} if layout.behind is not None else {}
    world = {"world": layout.name, "redrawn": layout.redrawn, "classes": list(CLASSES), "people": people}
    return world | light | behind
