"""Makes the asset of the bodies from MakeHuman's base mesh, targets, rig, masks, clothes and hair (all CC0).

python -m isp_sim.scenes.people.bodies.build_asset --makehuman DIR --clothes DIR --out FILE
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import cKDTree

from isp_sim.picture_files import read_picture
from isp_sim.scenes.people.bodies.asset import IRIS, LIDS, LIPS, MOST_BONES, NAILS, PUPIL, SCLERA, SKIN, TWISTED
from isp_sim.scenes.people.bodies.blend import smooth_normals
from isp_sim.scenes.people.bodies.makehuman import (
    ALL,
    Model,
    Piece,
    Points,
    Triangles,
    read_deleted,
    read_model,
    read_piece,
    read_target,
)
from isp_sim.scenes.people.bodies.own_pieces import attach, hair_level, head_levels, own_pieces

HAIR = ("bob01", "bob02", "braid01", "long01", "ponytail01", "short01", "short02", "short03", "short04")
PIECES: dict[str, tuple[str, tuple[int, ...]]] = {
    "tee": ("female_casualsuit01", (1311,)), "wide tee": ("male_casualsuit04", (810,)),
    "blouse": ("female_elegantsuit01", (1810,)),
    "sweater": ("male_casualsuit02", (1250,)), "polo": ("male_casualsuit03", (1613,)),
    "loose tee": ("male_casualsuit06", (2822,)), "work shirt": ("male_worksuit01", (1115,)),
    "jacket": ("male_casualsuit05", (1659,)), "collar": ("male_casualsuit05", (277,)),
    "shirt front": ("male_casualsuit05", (373,)), "suit shirt": ("male_elegantsuit01", (569, 168)),
    "suit jacket": ("male_elegantsuit01", (963, 827, 1559, 507, 561, 594, 33, 56, 72, 85, 70, 40)),
    "slim trousers": ("female_casualsuit01", (886,)), "trousers": ("male_casualsuit02", (886,)),
    "suit trousers": ("male_elegantsuit01", (1357,)),
    "pencil skirt": ("female_elegantsuit01", (395,)), "dungarees": ("male_worksuit01", (2497, 49, 4)),
    "oxfords": ("shoes01", (717,)), "slippers": ("shoes02", (653,)), "laced shoes": ("shoes03", (759, 52)),
    "socks": ("shoes01", (144,)), "fedora": ("fedora", ()),
    **{name: (name, ()) for name in HAIR},
}  # fmt: skip
"""Pieces: the file each is of and the sizes (points) of its connected parts or its texture's; all of them if none."""
SHOES = ("oxfords", "slippers", "laced shoes")
COVERS_NOTHING = (*HAIR, "brows", "collar", "straps", "backpack", "shoulder strap", "shoulder bag")
LEGS_M = 0.27
"""Half the width of legs that stand apart, without the hands beside them."""
COVERS_M, DEPTH_M, FAR_M = 0.06, 0.01, 0.12
"""Skin with a piece no farther before it, and no deeper in it, is hidden; the farthest that is looked for."""


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
        mask = read_picture(folder / f"textures/mpfb_{name}.jpg", cv2.IMREAD_GRAYSCALE)
        at = model.uv.mean(axis=1) * mask.shape[0]
        inside = mask[
            np.clip(mask.shape[0] - 1 - at[:, 1], 0, 2047).astype(int), np.clip(at[:, 0], 0, 2047).astype(int)
        ]
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


def cover(skin: Points, normals: Points, cloth: Points, faces: Triangles) -> Float64[np.ndarray, " n"]:
    """How far over a point of the skin, along its normal, the cloth lies, m: from `DEPTH_M` under it to `FAR_M` over
    it (Möller and Trumbore 1997); infinite where there is none.
    """
    start = skin - DEPTH_M * normals
    found = np.full(len(skin), np.inf)
    near = cKDTree(start)
    for a, b, c in cloth[faces]:
        middle = (a + b + c) / 3
        reach = max(np.linalg.norm(corner - middle) for corner in (a, b, c)) + FAR_M + DEPTH_M
        rows = np.array(near.query_ball_point(middle, reach), int)
        ray, e, f = normals[rows], b - a, c - a
        p = np.cross(ray, f)
        det = p @ e
        with np.errstate(divide="ignore", invalid="ignore"):
            s = start[rows] - a
            u = (s * p).sum(axis=1) / det
            q = np.cross(s, e)
            v, t = (ray * q).sum(axis=1) / det, q @ f / det
            met = (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= FAR_M + DEPTH_M)
        found[rows] = np.where(met, np.minimum(found[rows], t - DEPTH_M), found[rows])
    return found


def away_from_edges(found: Bool[np.ndarray, " n"], faces: Triangles) -> Bool[np.ndarray, " n"]:
    """Those found points that have only such about them."""
    edge = np.zeros(len(found), bool)
    edge[faces[~found[faces].all(axis=1)].ravel()] = True
    return found & ~edge


def along_limbs(
    points: Points, weights: Float64[np.ndarray, "n b"], bones: list[str], t: dict[str, np.ndarray]
) -> np.ndarray:
    """How far down a limb each point lies: 0 trunk, 1 elbow or knee, 2 wrist or ankle and on."""
    along = np.zeros(len(points))
    most = np.array([bone.replace("_twist", "") for bone in bones])[weights.argmax(axis=1)]
    for upper, lower, ends in (
        ("upperarm", "lowerarm", "hand index middle ring pinky thumb"),
        ("thigh", "calf", "foot ball"),
    ):
        for side in "lr":
            along = np.where(most == f"{upper}_{side}", t[f"{upper}_{side}"], along)
            along = np.where(most == f"{lower}_{side}", 1 + t[f"{lower}_{side}"], along)
            at_end = [bone.endswith(f"_{side}") and bone.split("_")[0] in ends.split() for bone in most]
            along = np.where(at_end, 2, along)
    return along


class Relations(NamedTuple):
    """Of every piece: how far it lies over the body and over its corners, m, and how far down the limbs; by name."""

    covers: dict[str, np.ndarray]
    over: dict[str, np.ndarray]
    reach: dict[str, np.ndarray]


def relations(
    model: Model,
    neutral: dict[str, Points],
    pieces: dict[str, Piece],
    rig: tuple[np.ndarray, list[str], dict[str, np.ndarray]],
    paths: dict[str, Path],
) -> Relations:
    """How pieces lie on the average man or woman; `rig` is weights, bones, and places along the bones."""
    weights, bones, t = rig
    man = neutral["male"]
    skin = clothed(model)
    covers, reach, over = {}, {}, {}
    for name, piece in pieces.items():
        points = neutral["female" if PIECES.get(name, ("",))[0].startswith("female") else "male"]
        normals = smooth_normals(points, skin)
        covers[name] = np.full(ALL, np.inf)
        if name not in COVERS_NOTHING:
            covers[name] = cover(points, normals, piece.on(points), piece.faces)
        if name in SHOES:  # toes too, between which no ray finds a shoe
            inside = np.isin(np.arange(ALL), read_deleted(paths[PIECES[name][0]]))
            covers[name] = np.where(inside, np.minimum(covers[name], COVERS_M), covers[name])
        if "skirt" in name:  # legs inside it, whatever way their skin looks
            low, high = piece.on(points)[:, 1].min(), piece.on(points)[:, 1].max()
            inside = (points[:, 1] > low) & (points[:, 1] < high) & (np.abs(points[:, 0]) < LEGS_M)
            covers[name] = np.where(inside, np.minimum(covers[name], COVERS_M), covers[name])
        lift = piece.on(points) - (points[piece.corner] * piece.weight[:, :, None]).sum(axis=1)
        over[name] = (lift * (normals[piece.corner] * piece.weight[:, :, None]).sum(axis=1)).sum(axis=1)
        own = (weights[piece.corner] * piece.weight[:, :, None]).sum(axis=1)
        spot = {b: (t[b][piece.corner] * piece.weight).sum(axis=1) for b in t}
        reach[name] = along_limbs(piece.on(points), own, bones, spot)
    hip, knee = (man[model.groups[f"joint-l-{end}"]].mean(axis=0)[1] for end in ("upper-leg", "knee"))
    reach["skirt"] = (hip - pieces["skirt"].on(man)[:, 1]) / (hip - knee)
    eye = man[model.groups["helper-l-eye"]].mean(axis=0)
    reach |= {name: hair_level(pieces[name].on(man), eye) for name in HAIR}
    for name, level in head_levels(man, eye).items():
        if name in ("cap", "beanie", "fedora"):
            covers[name] = np.where((level < 1) & (man[:, 1] > eye[1]), COVERS_M, np.inf)
        if name != "fedora":  # a shell; a peak is whole
            reach[name] = np.where(
                pieces[name].corner[:, 0] == pieces[name].corner[:, 1], level[pieces[name].corner[:, 0]], 0
            )
    return Relations(covers, over, reach)


def clothed(model: Model) -> Triangles:
    """Skin, and the helpers that clothes hold on to."""
    return model.faces[np.isin(model.group, ("body", "helper-tights", "helper-skirt"))]


def piece_arrays(
    pieces: dict[str, Piece],
    on: Relations,
    keep: Int64[np.ndarray, " p"],
    rank: Int64[np.ndarray, " all"],
    skin: Triangles,
) -> dict[str, np.ndarray]:
    """The pieces as arrays of the asset, one after another."""
    names = list(pieces)

    def stack(field: str) -> np.ndarray:
        return np.concatenate([getattr(pieces[name], field) for name in names])

    return dict(
        pieces=np.array(names), piece_points=np.array([len(pieces[n].corner) for n in names]),
        piece_triangles=np.array([len(pieces[n].faces) for n in names]),
        piece_corner=rank[stack("corner")].astype(np.uint16),
        piece_weight=stack("weight").astype(np.float32), piece_offset=stack("offset").astype(np.float32),
        piece_faces=stack("faces").astype(np.uint16),
        piece_pairs=rank[np.stack([pieces[n].pairs for n in names])].astype(np.uint16),
        piece_unit=np.stack([pieces[n].unit for n in names]).astype(np.float32),
        piece_along=np.concatenate([on.reach[n] for n in names]).astype(np.float16),
        piece_over=np.concatenate([on.over[n] for n in names]).astype(np.float16),
        piece_hides=np.packbits([away_from_edges(on.covers[n] <= COVERS_M, skin)[keep] for n in names], axis=1),
        piece_covers=np.stack([on.covers[n][keep] for n in names]).astype(np.float16),
    )  # fmt: skip


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
    woman, narrow, wide = neutral["female"], pieces["pencil skirt"], model.faces[model.group == "helper-skirt"]
    pieces["pencil skirt"] = attach(narrow.on(woman), narrow.faces, woman, wide, narrow)  # hangs as the wide one does
    on = relations(model, neutral, pieces, (weights, bones, t), paths)
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
    arrays: dict[str, np.ndarray] = dict(
        points=rows(model.points).astype(np.float32), joints=np.array(joints), bones=np.array(bones),
        ends=np.array([[joints.index(j) for j in ends[b.replace("_twist", "")]] for b in bones], np.uint8),
        targets=np.array(list(targets)), target_scale=scale.astype(np.float32),
        target_moves=np.rint(moves / scale[:, None, None]).astype(np.int16),
        triangles=rank[model.faces[seen]].astype(np.uint16), part=part[seen].astype(np.uint8),
        weight_bone=order[keep].astype(np.uint8), along=along[keep].astype(np.float16),
        weight=np.rint(np.take_along_axis(weights, order, axis=1)[keep] * 65535).astype(np.uint16),
    )  # fmt: skip
    np.savez_compressed(out, allow_pickle=False, **arrays, **piece_arrays(pieces, on, keep, rank, clothed(model)))


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
