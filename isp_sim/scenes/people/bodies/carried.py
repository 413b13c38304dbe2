"""What is in the hands: a bag that hangs, a box that is carried, a telephone."""

import numpy as np
from jaxtyping import Float64, Int64

from isp_sim.scenes.people.bodies.pose import Rig, unit
from isp_sim.scenes.people.figure.clothes import Outfit
from isp_sim.scenes.people.figure.poses import Pose
from isp_sim.scenes.people.figure.skeleton import SIDES
from isp_sim.scenes.people.shapes import Matrix, Vector

Points = Float64[np.ndarray, "n 3"]
Triangles = Int64[np.ndarray, "m 3"]


def grid_faces(rows: int, columns: int, copies: int) -> Triangles:
    """Triangles of grids of points, row by row, wound so that they face +z with x along rows and y along columns."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    b = a + columns
    two = np.concatenate((np.column_stack((a, b, a + 1)), np.column_stack((a + 1, b, b + 1))))
    return np.concatenate([two + k * rows * columns for k in range(copies)])


def box(
    at: Vector, half: tuple[float, float, float], axes: Matrix | None = None, power: float = 5.0
) -> tuple[Points, Triangles]:
    """A box with round edges, `|x/a|^p + |y/b|^p + |z/c|^p = 1`, along the columns of `axes`, m."""
    u, v = np.meshgrid(np.linspace(-np.pi, np.pi, 25), np.linspace(-np.pi / 2, np.pi / 2, 13), indexing="ij")
    way = np.stack((np.cos(v) * np.sin(u), np.sin(v), np.cos(v) * np.cos(u)), axis=-1).reshape(-1, 3)
    way /= (np.abs(way) ** power).sum(axis=1, keepdims=True) ** (1 / power)
    return at + (way * half) @ (np.eye(3) if axes is None else axes).T, grid_faces(25, 13, 1)


def carried(rig: Rig, outfit: Outfit, pose: Pose) -> list[tuple[Points, Triangles, int]]:
    """Points where the posed body holds them, m, triangles and material of each thing."""
    size = rig.build.stature_m
    palms = {side: rig.moved(f"hand_{side[0]}", rig.at(f"{side[0]}-finger-3-1")) for side in SIDES}
    things = []
    if pose.name == "carrying":
        gap = palms["right"] - palms["left"]
        across = max(float(np.linalg.norm(gap)) / 2 - 0.02 * size, 0.05 * size)
        flat = unit(gap * (1, 0, 1))
        axes = np.column_stack((flat, (0, 1, 0), np.cross(flat, (0, 1, 0))))
        middle = (palms["left"] + palms["right"]) / 2 + np.array([0, 0.03 * size, 0])
        things.append((*box(middle, (across, 0.075 * size, 0.085 * size), axes, 9.0), outfit.extra))
    elif outfit.bag == "tote" and pose.hands["right"] == "hang":
        ahead = unit(rig.figure.frames["pelvis"][:, 2] * (1, 0, 1))
        axes = np.column_stack((np.cross((0, 1, 0), ahead), (0, 1, 0), ahead))
        grip = palms["right"]
        things.append((*box(grip - (0, 0.135 * size, 0), (0.025 * size, 0.08 * size, 0.09 * size), axes), outfit.extra))
        for end in (-0.05, 0.05):
            way = np.array([0, -0.06, 0]) * size + ahead * end * size
            turned = np.column_stack((np.cross(unit(way), axes[:, 0]), unit(way), axes[:, 0]))
            things.append((*box(grip + way / 2, (0.008, float(np.linalg.norm(way)) / 2, 0.003), turned), outfit.extra))
    for side in SIDES:
        if "telephon" in pose.name and pose.hands[side] == "hold":
            hand = rig.turn(f"hand_{side[0]}")
            knuckles = unit(rig.at(f"{side[0]}-finger-5-1") - rig.at(f"{side[0]}-finger-2-1"))
            along = unit(rig.at(f"{side[0]}-finger-3-1") - rig.at(f"{side[0]}-hand"))
            palm = unit(SIDES[side] * np.cross(knuckles, along))
            axes = hand @ np.column_stack((np.cross(along, palm), along, palm))
            at = palms[side] + axes @ np.array([0, 0.01, 0.028])
            things.append((*box(at, (0.036, 0.075, 0.005), axes, 7.0), outfit.parts[-1]))
    return things
