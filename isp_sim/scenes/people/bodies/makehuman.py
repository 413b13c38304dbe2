"""MakeHuman's files: meshes, pieces that fit any body, shape targets.

MakeHuman is right-handed, decimetres, y up, front at +z, the person's left at +x. What is read here is in the package's
left-handed frame, metres: x is negated and every triangle's order with it, so left is at −x.
"""

import gzip
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Points = Float64[np.ndarray, "n 3"]
Triangles = Int64[np.ndarray, "m 3"]

ALL = 19158
"""Points of the base mesh "hm08", helpers and joint cubes included."""


class Model(NamedTuple):
    """MakeHuman's base mesh.

    Attributes:
        points: m, the package's frame.
        groups: name → rows of points.
        faces: triangles; `uv` their corners in the masks; `group` the name of each.
    """

    points: Points
    groups: dict[str, Int64[np.ndarray, " k"]]
    faces: Triangles
    uv: Float64[np.ndarray, "m 3 2"]
    group: np.ndarray


class Piece(NamedTuple):
    """Something worn: point i is `sum_k weight[i, k] points[corner[i, k]] + offset[i] * span / unit`, where `span` is
    how far the two points of each row of `pairs` are apart along x, y and z.
    """

    corner: Int64[np.ndarray, "n 3"]
    weight: Float64[np.ndarray, "n 3"]
    offset: Points
    faces: Triangles
    pairs: Int64[np.ndarray, "3 2"]
    unit: Float64[np.ndarray, " 3"]

    def on(self, points: Points) -> Points:
        """The piece on a body."""
        span = np.abs(np.diag(points[self.pairs[:, 0]] - points[self.pairs[:, 1]]))
        held = (points[self.corner] * self.weight[:, :, None]).sum(axis=1)
        return np.asarray(held + self.offset * (span / self.unit))


def read_obj(path: Path) -> tuple[Points, Triangles, Float64[np.ndarray, "m 3 2"], list[str]]:
    """Points (m), triangles, their corners' texture coordinates and groups, in the package's frame."""
    points, texture, faces, corners, groups = [], [(0.0, 0.0)], [], [], []
    group = ""
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            points.append([float(x) for x in rest[:3]])
        elif word == "vt":
            texture.append((float(rest[0]), float(rest[1])))
        elif word == "g":
            group = " ".join(rest)
        elif word == "f":
            ids = [(int(c.split("/")[0]) - 1, int([*c.split("/"), "0"][1] or 0)) for c in rest]
            for k in range(1, len(ids) - 1):
                three = (ids[0], ids[k + 1], ids[k])  # the order of a mirrored triangle
                faces.append([i for i, _ in three])
                corners.append([t for _, t in three])
                groups.append(group)
    place = np.array(points) * (-0.1, 0.1, 0.1)
    return place, np.array(faces), np.array(texture)[np.array(corners)], groups


def read_piece(path: Path, sizes: tuple[int, ...]) -> Piece:
    """A piece from `.mhclo` and the `.obj` beside it: the connected parts with so many points, or the islands of its
    texture, where garments are sewn together.
    """
    pairs, unit, rows, inside = np.zeros((3, 2), int), np.ones(3), [], False
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word in ("x_scale", "y_scale", "z_scale"):
            pairs["xyz".index(word[0])] = int(rest[0]), int(rest[1])
            unit["xyz".index(word[0])] = float(rest[2])
        elif word == "verts":
            inside = True
        elif word == "delete_verts":
            inside = False
        elif inside and word.lstrip("-").replace(".", "").isdigit():
            numbers = [float(x) for x in (word, *rest)]
            rows.append(numbers[:9] if rest else [*numbers * 3, 1, 0, 0, 0, 0, 0])
    table = np.array(rows)
    _, faces, uv, _ = read_obj(path.with_suffix(".obj"))
    _, corners = np.unique(uv.reshape(-1, 2), axis=0, return_inverse=True)
    chosen = [np.isin(_part_sizes(corner), sizes) for corner in (faces, corners.reshape(-1, 3))]
    used, faces = np.unique(faces[chosen[0] | chosen[1] | (not sizes)], return_inverse=True)
    table = table[used]
    return Piece(table[:, :3].astype(int), table[:, 3:6], table[:, 6:] * (-1, 1, 1), faces.reshape(-1, 3), pairs, unit)


def _part_sizes(faces: Triangles) -> Int64[np.ndarray, " m"]:
    """How many corners the connected part of each triangle has."""
    n = int(faces.max()) + 1
    joined = coo_matrix((np.ones(len(faces) * 2), (faces[:, :2].ravel(), faces[:, 1:].ravel())), (n, n))
    _, part = connected_components(joined, directed=False)
    return np.asarray(np.bincount(part)[part[faces[:, 0]]])


def read_deleted(path: Path) -> Int64[np.ndarray, " k"]:
    """Points of the base mesh that a `.mhclo` says are not to be drawn under it."""
    spans = re.findall(r"(\d+)(?:\s*-\s*(\d+))?", path.read_text().partition("delete_verts")[2])
    return np.concatenate([np.arange(int(first), int(last or first) + 1) for first, last in spans])


def read_model(folder: Path) -> Model:
    """The base mesh and its groups."""
    points, faces, uv, group = read_obj(folder / "3dobjs/base.obj")
    listed = json.loads((folder / "mesh_metadata/basemesh_vertex_groups.json").read_text())
    groups = {name: np.concatenate([np.arange(a, b + 1) for a, b in spans]) for name, spans in listed.items()}
    return Model(points, groups, faces, uv, np.array(group))


def read_target(path: Path) -> Points:
    """A shape target: how far each point of the base mesh moves, m."""
    moved = np.zeros((ALL, 3))
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line and line[0].isdigit():
            index, *by = line.split()
            moved[int(index)] = [float(x) for x in by]
    return moved * (-0.1, 0.1, 0.1)
