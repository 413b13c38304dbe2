"""A dressed body as triangles."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from isp_sim.scenes.people.shapes import Matrix, Vector


class Mesh(NamedTuple):
    """A dressed body as triangles, in the package's left-handed frame: y up, on y = 0, front at +z, right side at +x.

    Attributes:
        vertices: metres.
        normals: unit, outwards, smooth.
        triangles: vertex numbers, wound so that `(v1 − v0) × (v2 − v0)` points outwards in this frame.
        material: row of the scene's materials, per triangle.
        rest: the vertex in the rest pose, m: where prints, weave and folds are anchored, to move with the body.
    """

    vertices: Float32[np.ndarray, "n 3"]
    normals: Float32[np.ndarray, "n 3"]
    triangles: Int32[np.ndarray, "m 3"]
    material: Int32[np.ndarray, " m"]
    rest: Float32[np.ndarray, "n 3"]

    def moved(self, turn: Matrix, shift: Vector) -> "Mesh":
        """The same body turned about the origin (a rotation), then shifted."""
        turned = np.asarray(turn, np.float32).T
        return self._replace(
            vertices=self.vertices @ turned + np.asarray(shift, np.float32), normals=self.normals @ turned
        )
