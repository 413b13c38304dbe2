"""Pieces that MakeHuman's wardrobe lacks: skirts and coats' skirts, brows, face masks, caps, an afro, bags."""

import numpy as np
from jaxtyping import Float64
from scipy.spatial import cKDTree

from isp_sim.scenes.people.bodies.blend import smooth_normals
from isp_sim.scenes.people.bodies.carried import box, grid_faces
from isp_sim.scenes.people.bodies.makehuman import ALL, Model, Piece, Points, Triangles

STRAP_M = 0.022
"""Half a strap's width."""


def attach(points: Points, made: Triangles, body: Points, faces: Triangles, like: Piece) -> Piece:
    """A piece of our own, held by the nearest triangles of the body; spans as those of `like`."""
    _, nearest = cKDTree(body[faces].mean(axis=1)).query(points)
    corner = faces[nearest]
    a, b, c = (body[corner[:, k]] for k in range(3))
    edges = np.stack((b - a, c - a), axis=2)
    uv = np.clip(np.einsum("nij,nj->ni", np.linalg.pinv(edges), points - a), 0, 1)
    uv /= np.maximum(uv.sum(axis=1, keepdims=True), 1)
    weight = np.column_stack((1 - uv.sum(axis=1), uv))
    offset = points - (body[corner] * weight[:, :, None]).sum(axis=1)
    unit = np.abs(np.diag(body[like.pairs[:, 0]] - body[like.pairs[:, 1]]))
    return Piece(corner, weight, offset, made, like.pairs, unit)


def identity(points: Points, faces: Triangles, offset: Points, like: Piece) -> Piece:
    """A piece whose points are points of the base mesh, each with an offset, m."""
    used, faces = np.unique(faces, return_inverse=True)
    unit = np.abs(np.diag(points[like.pairs[:, 0]] - points[like.pairs[:, 1]]))
    weight = np.tile((1.0, 0.0, 0.0), (len(used), 1))
    return Piece(np.repeat(used[:, None], 3, axis=1), weight, offset[used], faces.reshape(-1, 3), like.pairs, unit)


def shell(
    points: Points, normals: Points, faces: Triangles, thick: Float64[np.ndarray, " n"], rounds: int, like: Piece
) -> Piece:
    """Part of the body's surface as a cloth so `thick`, m, over it, smoothed but nowhere nearer than that."""
    used, local = np.unique(faces, return_inverse=True)
    local = local.reshape(-1, 3)
    skin = points[used] + normals[used] * thick[used, None]
    cloth = skin.copy()
    sides = np.concatenate((local[:, :2], local[:, 1:], local[:, ::2]))
    sides = np.concatenate((sides, sides[:, ::-1]))
    ties = np.bincount(sides[:, 0], minlength=len(used))[:, None]
    for _ in range(rounds):
        mean = np.stack([np.bincount(sides[:, 0], cloth[sides[:, 1], k], len(used)) for k in range(3)], axis=1) / ties
        lift = np.maximum(((mean - skin) * normals[used]).sum(axis=1, keepdims=True), 0)
        cloth = skin + lift * normals[used]
    offset = np.zeros_like(points)
    offset[used] = cloth - points[used]
    return identity(points, faces, offset, like)


def joined(one: Piece, other: Piece) -> Piece:
    """Two pieces with the same spans as one."""
    rows = [np.concatenate(pair) for pair in zip(one[:3], other[:3], strict=True)]
    return one._replace(
        corner=rows[0], weight=rows[1], offset=rows[2], faces=np.concatenate((one.faces, other.faces + len(one.corner)))
    )


def strap(torso: Points, centre: Points, one: Points, other: Points, angles: Float64[np.ndarray, " k"]) -> Points:
    """Both edges of a band round the torso in the plane of two directions, 12 mm over it: rows of two points."""
    side = np.cross(one, other)
    side /= np.linalg.norm(side)
    out = torso - centre
    x, y = out @ one, out @ other
    near = np.abs(out @ side) < STRAP_M
    reach = []
    for angle in angles:
        ahead = np.cos(np.arctan2(y, x) - angle) > np.cos(0.14)
        reach.append(np.hypot(x, y)[near & ahead].max(initial=0.0))
    radius = np.convolve(np.pad(reach, 2, mode="edge"), np.ones(5) / 5, mode="valid") + 0.012
    middle = centre + radius[:, None] * (np.cos(angles)[:, None] * one + np.sin(angles)[:, None] * other)
    return np.stack((middle - STRAP_M * side, middle + STRAP_M * side), axis=1).reshape(-1, 3)


def own_pieces(model: Model, points: Points, like: Piece) -> dict[str, Piece]:
    """All of them, made on an average man."""
    skin = model.faces[model.group == "body"]
    normals = smooth_normals(points, skin)
    on_skin = points[model.groups["body"]]
    eyes = [points[model.groups[f"helper-{side}-eye"]].mean(axis=0) for side in "lr"]
    joint = {name: points[model.groups[f"joint-{name}"]].mean(axis=0) for name in
             ("l-shoulder", "r-shoulder", "r-upper-leg", "spine-1", "spine-2", "neck")}  # fmt: skip
    made = {"skirt": identity(points, model.faces[model.group == "helper-skirt"], np.zeros((ALL, 3)), like)}
    made["brows"] = _brows(on_skin, eyes, points, skin, like)
    made |= _on_head(points, normals, skin, eyes, like)
    made["cap"] = _with_peak(made["cap"], points, skin, like)
    middle = (on_skin[:, 1] > joint["r-upper-leg"][1]) & (on_skin[:, 1] < joint["neck"][1])
    torso = on_skin[middle & (np.abs(on_skin[:, 0]) < np.abs(joint["l-shoulder"][0]) - 0.005)]
    trunk = skin[(points[skin][:, :, 1] > joint["r-upper-leg"][1]).all(axis=1)
                 & (np.abs(points[skin][:, :, 0]) < np.abs(joint["l-shoulder"][0])).all(axis=1)
                 & (points[skin][:, :, 1] < joint["neck"][1] - 0.02).all(axis=1)]  # fmt: skip
    ahead = np.array([0, 0, 1.0])
    bands = []
    for name in ("l-shoulder", "r-shoulder"):  # over the shoulder, down the chest, under the arm
        top, side = joint[name] * (0.62, 1, 1) + (0, 0.06, 0), joint[name] * (0.95, 0, 0)
        side[1] = joint["spine-2"][1] - 0.10
        rise = (top - side) * (1, 1, 0) / np.linalg.norm((top - side)[:2])
        bands.append(strap(torso, (top + side) / 2, ahead, rise, np.linspace(0, 2 * np.pi, 73)))
    made["straps"] = attach(np.concatenate(bands), grid_faces(73, 2, 2), points, trunk, like)
    back = float(torso[np.abs(torso[:, 1] - joint["spine-1"][1]) < 0.05][:, 2].min())
    made["backpack"] = _carried(
        np.array([0, joint["spine-2"][1] + 0.06, back - 0.075]), (0.145, 0.22, 0.085), points, trunk, like
    )
    over, hip = joint["l-shoulder"] * (0.62, 1, 1) + (0, 0.06, 0), joint["r-upper-leg"] * (1.9, 1, 1) + (0, 0.06, 0)
    slant = (over - hip) / np.linalg.norm(over - hip)
    made["shoulder strap"] = attach(strap(torso, (over + hip) / 2, ahead, slant, np.linspace(0, 2 * np.pi, 73)),
                                    grid_faces(73, 2, 1), points, trunk, like)  # fmt: skip
    made["shoulder bag"] = _carried(hip + np.array([0.055, -0.06, 0]), (0.045, 0.10, 0.135), points, trunk, like)
    return made


def head_levels(points: Points, eye: Points) -> dict[str, Float64[np.ndarray, " n"]]:
    """Where the edges of what is on the head run: below 1 is inside, 0.1 a centimetre."""
    x, y, z = np.abs(points[:, 0]), points[:, 1] - eye[1], points[:, 2] - eye[2]
    mask = np.maximum.reduce([y + 0.028 - 0.10 * np.maximum(x - 0.02, 0), -0.128 - y - 0.25 * z, -0.07 - z])
    rims = {"beanie": 0.022 + 0.25 * z - y, "cap": 0.046 + 0.22 * z - y, "fedora": 0.052 + 0.15 * z - y}
    line = np.maximum(0.055 + 0.9 * np.minimum(z + 0.03, 0), -0.045) - y
    return {name: 1 + 10 * level for name, level in {**rims, "mask": mask, "afro": line}.items()}


def hair_level(points: Points, eye: Points) -> Float64[np.ndarray, " n"]:
    """Where hair ends: above 3 before the face, below the brows; else above 1 over a cap's rim, 0.1 a centimetre."""
    x, y, z = np.abs(points[:, 0]), points[:, 1] - eye[1], points[:, 2] - eye[2]
    face = np.minimum.reduce([0.030 - 2 * x**2 - y, 0.052 - 0.1 * np.minimum(y, 0) - x, z + 0.03])
    level: Float64[np.ndarray, " n"] = np.maximum(1 + 10 * (y - 0.046 - 0.22 * z), 3 + 20 * face)
    return level


def _on_head(points: Points, normals: Points, skin: Triangles, eyes: list[Points], like: Piece) -> dict[str, Piece]:
    """Shells over the head, a little larger than their edges (`head_levels`)."""
    made = {}
    head = points[:, 1] > eyes[0][1] - 0.16
    for name, most, rounds in (("mask", 0.005, 600), ("beanie", 0.009, 60), ("cap", 0.015, 25), ("afro", 0.05, 12)):
        level = head_levels(points, eyes[0])[name]
        thick = np.full(len(points), most)
        if name == "afro":  # round at its edge
            thick *= np.sqrt(np.clip((1 - level) / 0.5, 0.02, 1))
        part = skin[(level[skin] < 1).any(axis=1) & head[skin].all(axis=1)]
        if name == "mask":
            part = part[(normals[part][:, :, 2] > -0.6).all(axis=1)]
        made[name] = shell(points, normals, part, thick, rounds, like)
    return made


def _carried(at: Points, half: tuple[float, float, float], points: Points, faces: Triangles, like: Piece) -> Piece:
    """A stiff bag: all of it held by the triangle nearest to its middle."""
    place, own = box(at, half)
    nearest = np.linalg.norm(points[faces].mean(axis=1) - at, axis=1).argmin()
    return attach(place, own, points, faces[nearest : nearest + 1], like)


def _brows(on_skin: Points, eyes: list[Points], points: Points, faces: Triangles, like: Piece) -> Piece:
    """Two strips over the eyes, thin at the ends."""
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 4), indexing="ij")
    strips = []
    for eye in eyes:
        out = np.sign(eye[0]) * u  # −1 at the nose
        y = eye[1] + 0.0215 + 0.003 * out - 0.006 * np.maximum(out, 0) ** 2 + 0.0032 * v * (1 - 0.6 * np.abs(out) ** 3)
        strips.append(np.column_stack(((eye[0] + 0.024 * u).ravel(), y.ravel())))
    flat = np.concatenate(strips)
    _, near = cKDTree(on_skin[:, :2]).query(flat, k=6)
    front = on_skin[near][:, :, 2].max(axis=1) + 0.0012
    return attach(np.column_stack((flat, front)), grid_faces(13, 4, 2), points, faces, like)


def _with_peak(cap: Piece, points: Points, faces: Triangles, like: Piece) -> Piece:
    """A cap's peak, seen from above and below."""
    u, v = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(0, 1, 5), indexing="ij")
    rim = cap.on(points)
    rim = rim[np.argmax(rim[:, 2])]
    z = rim[2] - 0.035 * u**2 - 0.004 + 0.075 * v * np.sqrt(1.02 - u**2)
    y = rim[1] + 0.002 - 0.012 * v - 0.022 * u**2
    peak = np.column_stack(((0.072 * u).ravel(), y.ravel(), z.ravel()))
    both = np.concatenate((grid_faces(11, 5, 1)[:, ::-1], grid_faces(11, 5, 1) + len(peak)))
    nearest = np.linalg.norm(points[faces].mean(axis=1) - rim, axis=1).argmin()
    thick = np.array([0, 0.0015, 0])
    held = faces[nearest : nearest + 1]
    return joined(cap, attach(np.concatenate((peak + thick, peak - thick)), both, points, held, like))
