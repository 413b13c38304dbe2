"""A body dressed: what is worn laid over the unposed body, skin under it left out."""

import numpy as np
from jaxtyping import Bool, Float32, Int32

from isp_sim.scenes.people.bodies.asset import Asset, Piece
from isp_sim.scenes.people.bodies.blend import smooth_normals
from isp_sim.scenes.people.clothes import Outfit, Worn

HATS = ("cap", "beanie", "fedora")
HEM = 0.08
"""Skin so near to a hem that was cut, in lengths of a segment, is not hidden."""


def hidden_skin(a: Asset, outfit: Outfit) -> Bool[np.ndarray, " p"]:
    """Points of the body that clothes cover."""
    hidden = np.zeros(len(a.weights), bool)
    for worn in outfit.worn:
        hidden |= a.pieces[worn.piece].hides & (a.along < worn.reach - HEM)
    return hidden


def cut(a: Asset, outfit: Outfit, worn: Worn) -> Int32[np.ndarray, "m 3"]:
    """A piece's triangles as far as it reaches; of hair, what no hat covers."""
    piece = a.pieces[worn.piece]
    keep = piece.along[piece.triangles].mean(axis=1) < worn.reach
    for other in outfit.worn:
        if other.piece in HATS and worn.piece not in HATS:
            under = a.pieces[other.piece].hides[piece.corner].all(axis=1)
            keep &= ~under[piece.triangles].all(axis=1)
    return piece.triangles[keep]


def laid_on(piece: Piece, worn: Worn, points: Float32[np.ndarray, "p 3"]) -> Float32[np.ndarray, "n 3"]:
    """The piece on the unposed body, pushed out by `out_m`."""
    place = piece.on(points)
    return place + np.float32(worn.out_m) * smooth_normals(place, piece.triangles) if worn.out_m else place


def dressed(
    a: Asset, outfit: Outfit, points: Float32[np.ndarray, "p 3"]
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n bones"], Int32[np.ndarray, "m 3"], Int32[np.ndarray, " m"]]:
    """Unposed points of skin and pieces, their weights, triangles, and materials of these."""
    hidden = hidden_skin(a, outfit)
    bare = ~hidden[a.triangles].all(axis=1)
    place, weights = [points[: len(a.weights)]], [a.weights]
    triangles, material = [a.triangles[bare]], [np.array(outfit.parts, np.int32)[a.part[bare]]]
    count = len(a.weights)
    for worn in outfit.worn:
        piece = a.pieces[worn.piece]
        place.append(laid_on(piece, worn, points))
        weights.append(piece.weights)
        triangles.append(cut(a, outfit, worn) + count)
        material.append(np.full(len(triangles[-1]), worn.material, np.int32))
        count += len(piece.corner)
    return np.concatenate(place), np.concatenate(weights), np.concatenate(triangles), np.concatenate(material)
