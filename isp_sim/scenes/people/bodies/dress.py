"""A body dressed: what is worn laid over the unposed body, what is under something left out."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from isp_sim.scenes.people.bodies.asset import Asset, Piece
from isp_sim.scenes.people.bodies.blend import held, smooth_normals
from isp_sim.scenes.people.figure.clothes import BAGS, HAIR, UNDER_HATS, Outfit, Worn

HEM = 0.08
"""Skin so near to a hem that was cut, in lengths of a segment, is not hidden."""
GAP_M, DEEPEST_M = 0.005, 0.03
"""Between two layers of cloth; how far a layer is pushed in at most."""
PRESSED, FLAT_M = 0.5, 0.012
"""From so far below a hat's rim hair is pressed flatter (0.1 is a centimetre); how thick it is at the rim."""


class Cloth(NamedTuple):
    """Unposed points, the bones' weights, triangles, and materials of these."""

    points: Float32[np.ndarray, "n 3"]
    weights: Float32[np.ndarray, "n bones"]
    triangles: Int32[np.ndarray, "m 3"]
    material: Int32[np.ndarray, " m"]


class Over(NamedTuple):
    """What is worn over something: whether it hides a point of the body, how far over that it lies, m; and how far that
    lies which is worn under it.
    """

    hides: Bool[np.ndarray, " p"]
    covers: Float32[np.ndarray, " p"]
    under: Float32[np.ndarray, " p"]


def worn_over(a: Asset, outfit: Outfit, order: int) -> Over:
    """Whatever is worn from `order` on, infinitely far where there is nothing, and before it."""
    hides, covers = np.zeros(len(a.weights), bool), np.full(len(a.weights), np.inf, np.float32)
    under = np.zeros(len(a.weights), np.float32)
    for number, worn in enumerate(outfit.worn, 1):
        piece, reached = a.pieces[worn.piece], a.along < worn.reach - HEM
        lies = np.where(reached, piece.covers + np.float32(worn.out_m), np.inf)
        if number > order:
            hides |= piece.hides & reached
            covers = np.minimum(covers, lies)
        else:
            under = np.maximum(under, np.where(np.isfinite(lies), lies, 0))
    return Over(hides, covers, under)


def cut(cloth: Cloth, along: Float32[np.ndarray, " n"], reach: float) -> Cloth:
    """What of a piece lies no farther down than `reach`; triangles that cross it are cut."""
    inside = along < reach
    count = inside[cloth.triangles].sum(axis=1)
    over = cloth.triangles[(count == 1) | (count == 2)]
    if not len(over):
        return cloth._replace(triangles=cloth.triangles[count == 3], material=cloth.material[count == 3])
    one = count[(count == 1) | (count == 2)] == 1
    odd = (inside[over] == one[:, None]).argmax(axis=1)
    o, p, q = (over[np.arange(len(over)), (odd + k) % 3] for k in range(3))
    edges = np.sort(np.concatenate((np.column_stack((o, p)), np.column_stack((o, q)))), axis=1)
    edges, new = np.unique(edges, axis=0, return_inverse=True)
    op, oq = np.split(new.ravel() + len(along), 2)
    u, v = edges.T
    share = ((reach - along[u]) / (along[v] - along[u]))[:, None]
    made = np.column_stack((np.where(one, o, op), np.where(one, op, p), np.where(one, oq, q)))
    more = np.column_stack((op, q, oq))[~one]
    triangles = np.concatenate((cloth.triangles[count == 3], made, more)).astype(np.int32)
    points = np.concatenate((cloth.points, cloth.points[u] + share * (cloth.points[v] - cloth.points[u])))
    weights = np.concatenate((cloth.weights, cloth.weights[u] + share * (cloth.weights[v] - cloth.weights[u])))
    return Cloth(points, weights, triangles, np.full(len(triangles), cloth.material[0], np.int32))


def laid_on(piece: Piece, worn: Worn, points: Float32[np.ndarray, "p 3"], over: Over) -> Cloth:
    """A piece on the unposed body, pushed out by `out_m` but kept under what is worn `over` it, cut at its reach,
    without what nobody sees.
    """
    place = piece.on(points)
    top = over.covers[piece.corner].min(axis=1)
    out = np.minimum(np.float32(worn.out_m), np.maximum(top - GAP_M - piece.over, -DEEPEST_M))
    if worn.piece in BAGS or worn.piece in HAIR:
        under = over.under[piece.corner].max(axis=1)
        out = np.where(under > 0, np.maximum(under + GAP_M - piece.over, 0), 0) + np.float32(worn.out_m)
    place += out[:, None] * smooth_normals(place, piece.triangles)
    if worn.piece in HAIR and worn.reach in UNDER_HATS.values():  # the hat's rim presses it flat
        thick = np.clip(1 - FLAT_M / np.maximum(piece.over, 1e-3), 0, 1)
        near = thick * np.clip(1 + (piece.along - worn.reach) / PRESSED, 0, 1)
        place -= near[:, None] * (place - held(points, piece.corner, piece.weight, np.zeros_like(place)))
    seen = ~over.hides[piece.corner].all(axis=1)[piece.triangles]
    triangles = piece.triangles[seen.any(axis=1)]
    cloth = Cloth(place, piece.weights, triangles, np.full(len(triangles), worn.material, np.int32))
    return cut(cloth, piece.along, worn.reach)


def dressed(a: Asset, outfit: Outfit, points: Float32[np.ndarray, "p 3"]) -> Cloth:
    """Skin and pieces together."""
    bare = ~worn_over(a, outfit, 0).hides[a.triangles].all(axis=1)
    skin = Cloth(points[: len(a.weights)], a.weights, a.triangles[bare], np.array(outfit.parts, np.int32)[a.part[bare]])
    layers = [skin]
    for order, worn in enumerate(outfit.worn):
        layers.append(laid_on(a.pieces[worn.piece], worn, points, worn_over(a, outfit, order + 1)))
    first = np.cumsum([0] + [len(layer.points) for layer in layers[:-1]])
    triangles = [layer.triangles + np.int32(start) for layer, start in zip(layers, first, strict=True)]
    return Cloth(
        np.concatenate([layer.points for layer in layers]), np.concatenate([layer.weights for layer in layers]),
        np.concatenate(triangles), np.concatenate([layer.material for layer in layers]),
    )  # fmt: skip
