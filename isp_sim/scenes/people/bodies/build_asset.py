"""Makes the asset of the bodies from MakeHuman's base mesh, targets, rig, masks, clothes and hair (all CC0).

MakeHuman is right-handed, decimetres, y up, front at +z, the person's left at +x. The asset is in the package's
left-handed frame, metres: x is negated and every triangle's order with it, so left is at −x.

    python -m isp_sim.scenes.people.bodies.build_asset --makehuman DIR --clothes DIR --out FILE
"""

import argparse
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from scipy.spatial import cKDTree

from isp_sim.scenes.people.bodies.asset import IRIS, LIDS, LIPS, MOST_BONES, NAILS, PUPIL, SCLERA, SKIN, TWISTED
from isp_sim.scenes.people.bodies.blend import smooth_normals

Points = Float64[np.ndarray, "n 3"]
Triangles = Int64[np.ndarray, "m 3"]

ALL = 19158
"""Points of the base mesh "hm08", helpers and joint cubes included."""
PIECES: dict[str, tuple[str, tuple[int, ...]]] = {
    "tee": ("female_casualsuit01", (1311,)), "blouse": ("female_elegantsuit01", (1810,)),
    "sweater": ("male_casualsuit02", (1250,)), "polo": ("male_casualsuit03", (1613,)),
    "loose tee": ("male_casualsuit06", (2822,)), "work shirt": ("male_worksuit01", (1115,)),
    "jacket": ("male_casualsuit05", (1659,)), "collar": ("male_casualsuit05", (373,)),
    "shirt front": ("male_casualsuit05", (277,)), "suit jacket": ("male_elegantsuit01", (6256,)),
    "slim trousers": ("female_casualsuit01", (886,)), "trousers": ("male_casualsuit02", (886,)),
    "suit trousers": ("male_elegantsuit01", (1357,)), "hot pants": ("female_casualsuit02", (1320,)),
    "pencil skirt": ("female_elegantsuit01", (395,)), "dungarees": ("male_worksuit01", (2497, 49, 4)),
    "oxfords": ("shoes01", (717,)), "slippers": ("shoes02", (653,)), "laced shoes": ("shoes03", (759, 52)),
    "socks": ("shoes01", (144,)), "fedora": ("fedora", ()),
    **{name: (name, ()) for name in ("afro01", "bob01", "bob02", "braid01", "long01", "ponytail01", "short01",
                                     "short02", "short03", "short04")},
}  # fmt: skip
"""Pieces: the file each is of and the sizes (points) of its connected parts; all of them if none."""
COVERS_M = 0.06
"""Skin with a piece no farther before it is hidden."""


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
        return (points[self.corner] * self.weight[:, :, None]).sum(axis=1) + self.offset * (span / self.unit)


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
            ids = [(int(c.split("/")[0]) - 1, int((c.split("/") + ["0"])[1] or 0)) for c in rest]
            for k in range(1, len(ids) - 1):
                three = (ids[0], ids[k + 1], ids[k])  # the order of a mirrored triangle
                faces.append([i for i, _ in three])
                corners.append([t for _, t in three])
                groups.append(group)
    place = np.array(points) * (-0.1, 0.1, 0.1)
    return place, np.array(faces), np.array(texture)[np.array(corners)], groups


def read_piece(path: Path, sizes: tuple[int, ...]) -> Piece:
    """A piece from `.mhclo` and the `.obj` beside it: the parts with so many points."""
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
    _, faces, _, _ = read_obj(path.with_suffix(".obj"))
    n = len(table)
    joined = coo_matrix((np.ones(len(faces) * 2), (faces[:, :2].ravel(), faces[:, 1:].ravel())), (n, n))
    _, part = connected_components(joined, directed=False)
    keep = np.isin(np.bincount(part)[part], sizes) if sizes else np.ones(n, bool)
    faces = (np.cumsum(keep) - 1)[faces[keep[faces].all(axis=1)]]
    table = table[keep]
    return Piece(table[:, :3].astype(int), table[:, 3:6], table[:, 6:] * (-1, 1, 1), faces, pairs, unit)


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


def shape_targets(folder: Path) -> dict[str, Points]:
    """Ancestry, gender and age; muscle and weight. Those that move nothing are left out."""
    paths = [*sorted(folder.glob("*.target.gz"))]
    targets = {path.name.removesuffix(".target.gz").removeprefix("universal-"): read_target(path) for path in paths}
    return {name: moved for name, moved in targets.items() if moved.any()}


def parts(model: Model, folder: Path) -> Int64[np.ndarray, " m"]:
    """The part of every triangle of the body and the eyes; −1 for what nobody sees."""
    part = np.full(len(model.faces), -1)
    body = model.group == "body"
    part[body] = SKIN
    for name, number in (("lips", LIPS), ("fingernails", NAILS), ("toenails", NAILS), ("eyelids", LIDS),
                         ("inside-mouth", -1)):  # fmt: skip
        mask = cv2.imread(str(folder / f"textures/mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise ValueError(f"{folder}/textures/mpfb_{name}.jpg: not a readable picture")
        at = model.uv.mean(axis=1) * mask.shape[0]
        inside = mask[np.clip(mask.shape[0] - 1 - at[:, 1], 0, 2047).astype(int), np.clip(at[:, 0], 0, 2047).astype(int)]
        part[body & (inside > 128)] = number
    for side in "lr":
        ball = model.points[model.groups[f"helper-{side}-eye"]]
        middle = (ball.min(axis=0) + ball.max(axis=0)) / 2
        here = model.group == f"helper-{side}-eye"
        out = model.points[model.faces[here]].mean(axis=1) - middle
        angle = np.degrees(np.arccos(out[:, 2] / np.linalg.norm(out, axis=1)))
        part[here] = np.select([angle < 10, angle < 22], [PUPIL, IRIS], SCLERA)
    return part


def skin_weights(model: Model, folder: Path, t: dict[str, np.ndarray]) -> tuple[list[str], Float64[np.ndarray, "n b"]]:
    """Bones and weights of the rig; the arms' are split along them, for the part that twists with the next joint."""
    table = json.loads((folder / "rigs/standard/weights.game_engine.json").read_text())["weights"]
    weights = {name: np.zeros(ALL) for name in table if name != "Root"}
    for name, pairs in table.items():
        for index, weight in pairs:
            weights[name][index] += weight
    for name in TWISTED:
        for side in "lr":
            bone = f"{name}_{side}"
            weights[f"{name}_twist_{side}"] = weights[bone] * t[bone]
            weights[bone] = weights[bone] * (1 - t[bone])
    matrix = np.column_stack(list(weights.values()))
    least = np.sort(matrix, axis=1)[:, -MOST_BONES]
    matrix[matrix < least[:, None]] = 0
    return list(weights), matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-9)


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


def own_pieces(model: Model, points: Points, like: Piece) -> dict[str, Piece]:
    """What is not among the files: skirt, brows, face mask, beanie, cap."""
    body = model.faces[model.group == "body"]
    normals = smooth_normals(points, body)
    eyes = [points[model.groups[f"helper-{side}-eye"]].mean(axis=0) for side in "lr"]
    height = eyes[0][1]
    crown = points[model.groups["body"]][:, 1].max()
    made = {"skirt": identity(points, model.faces[model.group == "helper-skirt"], np.zeros((ALL, 3)), like)}
    strip, skin = [], cKDTree(points[model.groups["body"]][:, :2])
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 4), indexing="ij")
    for eye in eyes:
        out = np.sign(eye[0]) * u  # −1 at the nose
        x = eye[0] + 0.024 * u
        y = height + 0.0215 + 0.003 * out - 0.006 * np.maximum(out, 0) ** 2 + 0.0038 * v * (1 - 0.6 * np.abs(out) ** 3)
        strip.append(np.column_stack((x.ravel(), y.ravel())))
    flat = np.concatenate(strip)
    _, near = skin.query(flat, k=6)
    front = points[model.groups["body"]][near][:, :, 2].max(axis=1) + 0.0012
    made["brows"] = attach(np.column_stack((flat, front)), grid_faces(13, 4, 2), points, body, like)
    face = (points[:, 1] < height - 0.022) & (points[:, 1] > height - 0.125) & (np.abs(points[:, 0]) < 0.068)
    face &= (points[:, 2] > eyes[0][2] - 0.055) & (normals[:, 2] > -0.25)
    made["mask"] = shell(points, normals, body[face[body].all(axis=1)], 0.006, 30, like)
    tilt = (points[:, 2] - eyes[0][2]) * 0.25
    head = points[:, 1] > height - 0.05
    for name, low, thick in (("beanie", 0.035, 0.011), ("cap", 0.046, 0.013)):
        top = head & (points[:, 1] - tilt > height + low)
        made[name] = shell(points, normals, body[top[body].all(axis=1)], thick, 12, like)
    u, v = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(0, 1, 5), indexing="ij")
    rim = made["cap"].on(points)
    rim = rim[np.argmax(rim[:, 2])]
    x, z = 0.072 * u, rim[2] - 0.035 * u**2 - 0.004 + 0.075 * v * np.sqrt(1.02 - u**2)
    y = rim[1] - 0.012 * v - 0.022 * u**2 + 0.002
    peak = np.column_stack((x.ravel(), y.ravel(), z.ravel()))
    both = np.concatenate((grid_faces(11, 5, 1), grid_faces(11, 5, 1)[:, ::-1] + len(peak)))
    scalp = body[(points[body][:, :, 1] > height + 0.03).all(axis=1)]
    peaks = attach(np.concatenate((peak + (0, 0.0015, 0), peak - (0, 0.0015, 0))), both, points, scalp, like)
    made["cap"] = joined(made["cap"], peaks)
    assert crown > height
    return made


def identity(points: Points, faces: Triangles, offset: Points, like: Piece) -> Piece:
    """A piece whose points are points of the base mesh, each with an offset, m."""
    used, faces = np.unique(faces, return_inverse=True)
    unit = np.abs(np.diag(points[like.pairs[:, 0]] - points[like.pairs[:, 1]]))
    weight = np.tile((1.0, 0.0, 0.0), (len(used), 1))
    return Piece(np.repeat(used[:, None], 3, axis=1), weight, offset[used], faces.reshape(-1, 3), like.pairs, unit)


def shell(points: Points, normals: Points, faces: Triangles, thick: float, rounds: int, like: Piece) -> Piece:
    """Part of the body's surface as a cloth `thick` m over it, smoothed but nowhere nearer than that."""
    used, local = np.unique(faces, return_inverse=True)
    local = local.reshape(-1, 3)
    skin = points[used] + normals[used] * thick
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


def grid_faces(rows: int, columns: int, copies: int) -> Triangles:
    """Triangles of grids of points, row by row, wound so that they face +z with x along rows and y along columns."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    two = np.concatenate((np.column_stack((a, a + columns, a + 1)), np.column_stack((a + 1, a + columns, a + columns + 1))))
    return np.concatenate([two + k * rows * columns for k in range(copies)])


def covered(skin: Points, normals: Points, cloth: Points, faces: Triangles) -> Bool[np.ndarray, " n"]:
    """Whether a ray outwards from a point of the skin, 1 cm below it, meets the cloth (Möller and Trumbore 1997)."""
    start = skin - 0.01 * normals
    found = np.zeros(len(skin), bool)
    near = cKDTree(start)
    for a, b, c in cloth[faces]:
        middle = (a + b + c) / 3
        reach = max(np.linalg.norm(corner - middle) for corner in (a, b, c)) + COVERS_M + 0.01
        rows = np.array(near.query_ball_point(middle, reach), int)
        rows = rows[~found[rows]] if len(rows) else rows
        if not len(rows):
            continue
        ray, e, f = normals[rows], b - a, c - a
        p = np.cross(ray, f)
        det = p @ e
        with np.errstate(divide="ignore", invalid="ignore"):
            s = start[rows] - a
            u = (s * p).sum(axis=1) / det
            q = np.cross(s, e)
            v, t = (ray * q).sum(axis=1) / det, q @ f / det
            found[rows] |= (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= COVERS_M + 0.01)
    return found


def hidden_under(piece: Piece, points: Points, normals: Points, faces: Triangles) -> Bool[np.ndarray, " n"]:
    """Points of the body under a piece, but for those beside one that is not."""
    found = covered(points, normals, piece.on(points), piece.faces)
    open_ = np.zeros(len(points), bool)
    open_[faces[~found[faces].all(axis=1)].ravel()] = True
    return found & ~open_


def along_limbs(points: Points, weights: Float64[np.ndarray, "n b"], bones: list[str], t: dict[str, np.ndarray]) -> np.ndarray:
    """How far down a limb each point lies: 0 trunk, 1 elbow or knee, 2 wrist or ankle and on."""
    along = np.zeros(len(points))
    most = np.array([bone.replace("_twist", "") for bone in bones])[weights.argmax(axis=1)]
    for upper, lower, ends in (("upperarm", "lowerarm", "hand index middle ring pinky thumb"), ("thigh", "calf", "foot ball")):
        for side in "lr":
            along = np.where(most == f"{upper}_{side}", t[f"{upper}_{side}"], along)
            along = np.where(most == f"{lower}_{side}", 1 + t[f"{lower}_{side}"], along)
            at_end = [bone.endswith(f"_{side}") and bone.split("_")[0] in ends.split() for bone in most]
            along = np.where(at_end, 2, along)
    return along


def build(makehuman: Path, clothes: Path, out: Path) -> None:
    """Read everything, keep what is used, write one `.npz` of plain arrays."""
    model = read_model(makehuman)
    targets = shape_targets(makehuman / "targets/macrodetails")
    rig = json.loads((makehuman / "rigs/standard/rig.game_engine.json").read_text())
    rig = rig.get("bones", rig)
    ends = {bone: [rig[bone][end]["cube_name"] for end in ("head", "tail")] for bone in rig if bone != "Root"}
    joints = sorted({joint for pair in ends.values() for joint in pair})
    neutral = {sex: model.points + sum(targets[f"{a}-{sex}-young"] for a in ("african", "asian", "caucasian")) / 3
               for sex in ("male", "female")}  # fmt: skip
    man = neutral["male"]
    t = {}
    for bone, pair in ends.items():
        head, tail = (man[model.groups[joint]].mean(axis=0) for joint in pair)
        t[bone] = np.clip((man - head) @ (tail - head) / ((tail - head) @ (tail - head)), 0, 1)
    bones, weights = skin_weights(model, makehuman, t)
    along = along_limbs(man, weights, bones, t)
    paths = {path.stem: path for path in clothes.rglob("*.mhclo")}
    pieces = {name: read_piece(paths[stem], sizes) for name, (stem, sizes) in PIECES.items()}
    pieces |= own_pieces(model, man, pieces["fedora"])
    body = model.faces[model.group == "body"]
    hidden, reach = {}, {}
    for name, piece in pieces.items():
        points = neutral["female" if PIECES.get(name, ("",))[0].startswith("female") else "male"]
        hidden[name] = hidden_under(piece, points, smooth_normals(points, body), body)
        own = (weights[piece.corner] * piece.weight[:, :, None]).sum(axis=1)
        spot = {b: (t[b][piece.corner] * piece.weight).sum(axis=1) for b in t}
        reach[name] = along_limbs(piece.on(points), own, bones, spot)
    hip, knee = (man[model.groups[f"joint-l-{end}"]].mean(axis=0)[1] for end in ("upper-leg", "knee"))
    reach["skirt"] = (hip - pieces["skirt"].on(man)[:, 1]) / (hip - knee)
    part = parts(model, makehuman)
    seen = part >= 0
    keep = np.unique(np.concatenate([model.groups["body"], model.faces[seen].ravel()]
                                    + [p.corner.ravel() for p in pieces.values()]
                                    + [p.pairs.ravel() for p in pieces.values()]))  # fmt: skip
    rank = np.full(ALL, -1)
    rank[keep] = np.arange(len(keep))

    def rows(points: Points) -> Points:
        """The points that are kept, then the joints, each the mean of its cube."""
        return np.concatenate((points[keep], [points[model.groups[joint]].mean(axis=0) for joint in joints]))

    moves = np.stack([rows(moved) for moved in targets.values()])
    scale = np.abs(moves).max(axis=(1, 2)) / 32767
    order = np.argsort(-weights, axis=1)[:, :MOST_BONES]
    names = list(pieces)
    stack = {field: np.concatenate([getattr(pieces[n], field) for n in names]) for field in ("weight", "offset", "faces")}
    np.savez_compressed(
        out,
        points=rows(model.points).astype(np.float32), joints=np.array(joints), bones=np.array(bones),
        ends=np.array([[joints.index(j) for j in ends[b.replace("_twist", "")]] for b in bones], np.uint8),
        targets=np.array(list(targets)), target_scale=scale.astype(np.float32),
        target_moves=np.rint(moves / scale[:, None, None]).astype(np.int16),
        triangles=rank[model.faces[seen]].astype(np.uint16), part=part[seen].astype(np.uint8),
        weight_bone=order[keep].astype(np.uint8), along=along[keep].astype(np.float16),
        weight=np.rint(np.take_along_axis(weights, order, axis=1)[keep] * 65535).astype(np.uint16),
        pieces=np.array(names), piece_points=np.array([len(pieces[n].corner) for n in names]),
        piece_triangles=np.array([len(pieces[n].faces) for n in names]),
        piece_corner=rank[np.concatenate([pieces[n].corner for n in names])].astype(np.uint16),
        piece_weight=stack["weight"].astype(np.float32), piece_offset=stack["offset"].astype(np.float32),
        piece_faces=stack["faces"].astype(np.uint16),
        piece_pairs=rank[np.stack([pieces[n].pairs for n in names])].astype(np.uint16),
        piece_unit=np.stack([pieces[n].unit for n in names]).astype(np.float32),
        piece_along=np.concatenate([reach[n] for n in names]).astype(np.float16),
        piece_hides=np.packbits(np.stack([hidden[n][keep] for n in names]), axis=1),
    )  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder with 3dobjs, targets, rigs, textures")
    parser.add_argument("--clothes", type=Path, required=True, help="folder with clothes and hair as .mhclo and .obj")
    parser.add_argument("--out", type=Path, required=True, help=".npz to write")
    args = parser.parse_args()
    build(args.makehuman, args.clothes, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
