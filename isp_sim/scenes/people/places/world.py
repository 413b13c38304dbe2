"""What stands round the people: a `World` from `indoor.room` or `outdoor.place`."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from isp_sim.scenes.people.places.cars import Model
from isp_sim.scenes.people.raycast.light import Sky
from isp_sim.scenes.people.shapes import Builder, Matrix, Vector


@dataclass
class World:
    """Solids, lights and the free floor.

    Attributes:
        name: living room, street …
        add: solids so far.
        lights: rows of `Lights`.
        sky: light from all sides.
        shades: balls (x, y, z, radius) that stand for large things in the light from all sides.
        taken: discs on the floor (x, z, radius) where nobody can stand.
        left, right, far: walls nobody can stand beyond, m.
        white_lx: illuminance for which radiance 1 stands, where light is absolute: at night; else 0.
        window_glow: radiance of a lit window seen from outside.
        lanterns, fronts, cars: what can shine at night: feet of lamp posts; middle, way and half width of shop windows;
            place, turn and model of cars.
    """

    name: str
    add: Builder
    lights: list[tuple[float, ...]]
    sky: Sky
    shades: list[tuple[float, float, float, float]] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)
    left: float = -1e6
    right: float = 1e6
    far: float = 1e6
    white_lx: float = 0.0
    window_glow: float = 0.0
    lanterns: list[Vector] = field(default_factory=list)
    fronts: list[tuple[Vector, Vector, float]] = field(default_factory=list)
    cars: list[tuple[Vector, Matrix, Model]] = field(default_factory=list)

    def occupy(self, x: float, z: float, wide: float, deep: float) -> None:
        """Cover a rectangle of the floor with discs."""
        step = max(min(wide, deep), 0.3)
        for px in np.arange(-wide / 2 + step / 2, wide / 2, step) if wide > step else [0.0]:
            for pz in np.arange(-deep / 2 + step / 2, deep / 2, step) if deep > step else [0.0]:
                self.taken.append((x + float(px), z + float(pz), 0.72 * step))

    def free(self, x: float, z: float, radius: float) -> bool:
        """Whether a disc on the floor is inside the walls and touches nothing."""
        if not (self.left + radius < x < self.right - radius and z + radius < self.far):
            return False
        return all((x - a) ** 2 + (z - b) ** 2 > (radius + r) ** 2 for a, b, r in self.taken)

    def light_rows(self) -> Float64[np.ndarray, "lights 16"]:
        """The lights as an array."""
        return np.array(self.lights, np.float64).reshape(-1, 16)
