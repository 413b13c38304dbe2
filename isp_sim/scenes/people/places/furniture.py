"""Things in rooms and streets, as solids standing on y = 0. Sizes in metres."""

import numpy as np

from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.shapes import OPEN_END, OPEN_START, Builder, Matrix, Vector, turn_y

UP = np.array([0, 1.0, 0])
POST_M = 5.0
HEAD = np.array([0.9, POST_M + 0.08, 0])
"""How high a lamp post is, and where its lamp hangs."""


def table(add: Builder, at: Vector, turn: Matrix, half: tuple[float, float], height: float, top: int, leg: int) -> None:
    """A table: a board on four legs."""
    add.semantic = semantics.FURNITURE
    add.box(at + UP * (height - 0.02), turn, (half[0], 0.02, half[1]), top)
    for x in (-1, 1):
        for z in (-1, 1):
            foot = at + turn @ np.array([x * (half[0] - 0.06), 0.03, z * (half[1] - 0.06)])
            add.cone(foot, foot + UP * (height - 0.06), (0.022, 0.022), leg)


def chair(add: Builder, at: Vector, turn: Matrix, seat: float, cushion: int, leg: int) -> None:
    """A chair facing +z; `seat` is its height."""
    add.semantic = semantics.FURNITURE
    add.box(at + UP * (seat - 0.025), turn, (0.21, 0.025, 0.20), cushion)
    add.box(at + turn @ np.array([0, seat + 0.26, -0.215]), turn, (0.20, 0.17, 0.016), cushion)
    for x in (-1, 1):
        for z in (-1, 1):
            foot = at + turn @ np.array([x * 0.18, 0.02, z * 0.17 - 0.02])
            add.cone(foot, foot + UP * (seat - 0.04 if z > 0 else seat + 0.30), (0.014, 0.014), leg)


def sofa(add: Builder, at: Vector, turn: Matrix, half: float, cloth: int) -> None:
    """A sofa facing +z, 2·half wide."""
    add.semantic = semantics.FURNITURE
    add.box(at + UP * 0.22, turn, (half, 0.17, 0.42), cloth)
    add.box(at + turn @ np.array([0, 0.60, -0.36]), turn, (half, 0.26, 0.09), cloth)
    for x in (-1, 1):
        add.cone(
            at + turn @ np.array([x * half, 0.50, -0.36]),
            at + turn @ np.array([x * half, 0.50, 0.36]),
            (0.10, 0.10),
            cloth,
        )
        add.box(at + turn @ np.array([x * half, 0.27, 0.0]), turn, (0.09, 0.24, 0.42), cloth)
    for side in (-0.5, 0.5):
        pillow = at + turn @ np.array([side * half, 0.42, 0.02])
        add.ball(pillow, turn, (half * 0.5, 0.09, 0.40), cloth)


def shelf(add: Builder, at: Vector, turn: Matrix, size: tuple[float, float, float], body: int, front: int) -> None:
    """A bookcase or cupboard: width, height, depth; `front` is what its face shows."""
    add.semantic = semantics.FURNITURE
    wide, high, deep = size
    add.box(at + UP * high / 2, turn, (wide / 2, high / 2, deep / 2), body)
    face = at + turn @ np.array([0, high / 2, deep / 2])
    add.box(face, turn, (wide / 2 - 0.03, high / 2 - 0.05, 0.006), front)


def monitor(add: Builder, at: Vector, turn: Matrix, screen: int, case: int) -> None:
    """A screen on a foot; it looks at +z."""
    add.semantic = semantics.OBJECT
    add.cone(at + UP * 0.01, at + UP * 0.16, (0.018, 0.018), case)
    add.box(at + turn @ np.array([0, 0.32, -0.012]), turn, (0.28, 0.17, 0.012), case)
    add.semantic = semantics.LIGHT
    add.box(at + turn @ np.array([0, 0.32, 0.003]), turn, (0.265, 0.155, 0.004), screen)


def plant(add: Builder, at: Vector, high: float, pot: int, leaves: int, stream: np.random.Generator) -> None:
    """A plant in a pot."""
    add.semantic = semantics.OBJECT
    add.cone(at + UP * 0.05, at + UP * 0.32, (0.11, 0.16), pot, cut=OPEN_END | OPEN_START)
    add.semantic = semantics.VEGETATION
    for _ in range(9):
        out = np.append(np.clip(stream.normal(0, 0.13, 2), -0.25, 0.25), 0)[[0, 2, 1]]
        tip = at + UP * stream.uniform(0.5, high) + out * (2.0 * high / 1.3)
        add.cone(at + UP * 0.3, tip, (0.012, 0.008), leaves)
        add.ball(tip, turn_y(stream.uniform(0, 180)), (0.19, 0.13, 0.15), leaves)


def tree(
    add: Builder, at: Vector, high: float, wide: float, bark: int, leaves: int, stream: np.random.Generator
) -> None:
    """A tree: a trunk that forks, clumps of leaves in a crown."""
    add.semantic = semantics.VEGETATION
    fork = at + UP * high * 0.42 + np.array([stream.normal(0, 0.08), 0, stream.normal(0, 0.08)]) * high * 0.3
    thick = 0.022 * high
    add.cone(at - UP * 0.1, fork, (thick * 1.3, thick * 0.8), bark)
    for n in range(13):
        angle, ring = 2.4 * n, 0.75 * np.sqrt((n + 0.5) / 13)
        level = stream.uniform(0.50, 0.92)
        out = (
            np.array([np.cos(angle), 0, np.sin(angle)])
            * ring
            * wide
            * np.sqrt(max(1 - ((level - 0.62) / 0.36) ** 2, 0.1))
        )
        clump = at + UP * high * level + out
        if n % 3 == 0:
            add.cone(fork - UP * 0.1, clump, (thick * 0.7, thick * 0.25), bark)
        size = wide * stream.uniform(0.34, 0.52)
        add.ball(clump, turn_y(stream.uniform(0, 180)), (size, size * 0.72, size * 0.9), leaves)


def bush(add: Builder, at: Vector, wide: float, leaves: int, stream: np.random.Generator) -> None:
    """A bush: three clumps."""
    add.semantic = semantics.VEGETATION
    for n in range(3):
        size = wide * stream.uniform(0.5, 0.75)
        add.ball(
            at + np.array([(n - 1) * wide * 0.6, size * 0.55, stream.normal(0, 0.1)]),
            np.eye(3),
            (size, size * 0.8, size),
            leaves,
        )


def lamp_post(add: Builder, at: Vector, metal: int, bulb: int) -> None:
    """A street lamp."""
    add.semantic = semantics.OBJECT
    add.cone(at, at + UP * POST_M, (0.075, 0.045), metal)
    add.cone(at + UP * POST_M, at + UP * (POST_M + 0.1) + np.array([0.7, 0, 0]), (0.045, 0.035), metal)
    add.box(at + HEAD, np.eye(3), (0.28, 0.04, 0.09), bulb)


def bench(add: Builder, at: Vector, turn: Matrix, seat: float, wood: int, metal: int) -> None:
    """A bench facing +z."""
    add.semantic = semantics.FURNITURE
    for z in (-0.16, 0.0, 0.16):
        add.box(at + turn @ np.array([0, seat - 0.02, z]), turn, (0.80, 0.02, 0.065), wood)
    for y in (0.24, 0.40):
        add.box(at + turn @ np.array([0, seat + y, -0.26]), turn, (0.80, 0.06, 0.015), wood)
    for x in (-0.6, 0.6):
        for z in (-0.2, 0.2):
            foot = at + turn @ np.array([x, 0.02, z])
            add.cone(foot, foot + UP * (seat - 0.04 if z > 0 else seat + 0.42), (0.022, 0.022), metal)
