"""The asset: MakeHuman's body, shapes, rig and wardrobe as `build_asset` wrote them, read once."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from isp_sim.scenes.people.bodies.blend import held

FILE = Path(__file__).with_name("makehuman.npz")

SKIN, LIPS, NAILS, LIDS, SCLERA, IRIS, PUPIL = range(7)
"""Parts of the bare body."""
MOST_BONES = 6
"""Bones that move a point at most."""
TWISTED = ("upperarm", "lowerarm")
"""Bones with a second one, `*_twist_*`, that has the whole twist of the segment; its weight grows along it."""
SHOES = ("oxfords", "slippers", "laced shoes")
MASKED_M, RIM_M = 0.059, 0.015
"""What lies deeper than the former under a shoe (`build_asset.COVERS_M`) only its author's mask names: toes, but also
ankles, which are seen. How far a shoe's rim is below the ankle's joint on the base mesh.
"""


@dataclass(frozen=True)
class Piece:
    """Something worn; see `build_asset.Piece`.

    Attributes:
        corner, weight, offset, pairs, unit: where its points are.
        triangles: local numbers.
        along: how far down a limb each point lies.
        over: how far over its corners each point lies on an average body, m.
        hides: points of the body that nobody sees under it.
        covers: how far over each point of an average body the piece lies, m; infinite where it does not.
        weights: of the bones.
    """

    corner: Int32[np.ndarray, "n 3"]
    weight: Float32[np.ndarray, "n 3"]
    offset: Float32[np.ndarray, "n 3"]
    pairs: Int32[np.ndarray, "3 2"]
    unit: Float32[np.ndarray, " 3"]
    triangles: Int32[np.ndarray, "m 3"]
    along: Float32[np.ndarray, " n"]
    over: Float32[np.ndarray, " n"]
    hides: Bool[np.ndarray, " p"]
    covers: Float32[np.ndarray, " p"]
    weights: Float32[np.ndarray, "n bones"]

    def on(self, points: Float32[np.ndarray, "p 3"]) -> Float32[np.ndarray, "n 3"]:
        """The piece on an unposed body, m: `sum_k weight_k points[corner_k] + offset · span/unit` with the distances
        `span` of the pairs along x, y, z.
        """
        span = np.abs(np.diagonal(points[self.pairs[:, 0]] - points[self.pairs[:, 1]]))
        return np.asarray(held(points, self.corner, self.weight, self.offset * (span / self.unit)))


@dataclass(frozen=True)
class Asset:
    """Everything, in the package's frame, m.

    Attributes:
        points: the base shape, then its joints.
        joints: name → row among the joints, which stand after the points.
        targets: name → row of the moves, int16 times `scale`.
        triangles, part: of body and eyes.
        bones: name → column of the weights; `ends`: rows of its two joints.
        weights: of the points.
        along: as of a piece.
        pieces: name → piece.
        skin_points: how many of the points, from the first, are skin.
    """

    points: Float32[np.ndarray, "p 3"]
    joints: dict[str, int]
    targets: dict[str, int]
    moves: np.ndarray
    scale: Float32[np.ndarray, " targets"]
    triangles: Int32[np.ndarray, "m 3"]
    part: Int32[np.ndarray, " m"]
    bones: dict[str, int]
    ends: Int32[np.ndarray, "bones 2"]
    weights: Float32[np.ndarray, "n bones"]
    along: Float32[np.ndarray, " n"]
    pieces: dict[str, Piece]
    skin_points: int

    def joint(self, points: Float32[np.ndarray, "p 3"], name: str) -> Float64[np.ndarray, " 3"]:
        """Where a joint of the rig is in an unposed body, m."""
        return np.asarray(points[len(self.weights) + self.joints[name]], np.float64)


@cache
def asset() -> Asset:
    """Read the asset; the second call returns the same one."""
    with np.load(FILE, allow_pickle=False) as file:
        a = {name: file[name] for name in file.files}
    weights = np.zeros((len(a["weight"]), len(a["bones"])), np.float32)
    np.put_along_axis(weights, a["weight_bone"].astype(np.int64), a["weight"].astype(np.float32), axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    hides = np.unpackbits(a["piece_hides"], axis=1, count=len(weights)).astype(bool)
    covers = a["piece_covers"].astype(np.float32)
    numbered = {what: {name: k for k, name in enumerate(a[what].tolist())} for what in ("joints", "targets", "bones")}
    rim = a["points"][len(weights) + numbered["joints"]["joint-l-ankle"], 1] - RIM_M
    over_rim = (covers > MASKED_M) & (a["points"][: len(weights), 1] > rim)
    hides &= ~(over_rim & np.isin(a["pieces"], SHOES)[:, None])
    at, face = (np.cumsum([0, *a[f"piece_{what}"]]) for what in ("points", "triangles"))
    pieces = {}
    for k, name in enumerate(a["pieces"].tolist()):
        own, faces = slice(at[k], at[k + 1]), slice(face[k], face[k + 1])
        corner, share = a["piece_corner"][own].astype(np.int32), a["piece_weight"][own]
        pieces[name] = Piece(
            corner, share, a["piece_offset"][own], a["piece_pairs"][k].astype(np.int32), a["piece_unit"][k],
            a["piece_faces"][faces].astype(np.int32), a["piece_along"][own].astype(np.float32),
            a["piece_over"][own].astype(np.float32), hides[k], covers[k],
            sum(share[:, k, None] * weights[corner[:, k]] for k in range(3)),
        )  # fmt: skip
    return Asset(
        a["points"], numbered["joints"], numbered["targets"], a["target_moves"], a["target_scale"],
        a["triangles"].astype(np.int32), a["part"].astype(np.int32), numbered["bones"], a["ends"].astype(np.int32),
        weights, a["along"].astype(np.float32), pieces, int(a["triangles"][a["part"] < SCLERA].max()) + 1,
    )  # fmt: skip
