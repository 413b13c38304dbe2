"""Materials of rooms and of the outdoors, drawn once a scene. Their reflectances are assumed."""

from dataclasses import dataclass

import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.materials import Materials, Rgb, lch


@dataclass(frozen=True)
class RoomPaints:
    """Materials of a room."""

    wall: int
    floor: int
    ceiling: int
    wood: int
    metal: int
    cloth: int
    white: int
    dark: int
    leaves: int
    books: int
    picture: int
    screen: int


def room_paints(table: Materials, kind: str, stream: np.random.Generator) -> RoomPaints:
    """Draw a room's colours."""
    seed = float(stream.uniform(0, 50))
    hue, deep = float(stream.uniform(20, 110)), float(stream.uniform(0, 14))
    wall = lch(float(stream.uniform(68, 92)), deep, hue if stream.random() < 0.7 else float(stream.uniform(0, 360)))
    oak = lch(float(stream.uniform(35, 68)), 26, float(stream.uniform(55, 75)))
    darker: Rgb = (oak[0] * 0.6, oak[1] * 0.55, oak[2] * 0.5)
    if kind in ("living room", "classroom") or stream.random() < 0.3:
        floor = table.add(
            oak, m.WOOD, darker, scale=0.12, variation=0.06, grain=0.4, gloss=0.06, sharpness=30, mirror=0.02, seed=seed
        )
    else:
        stone = lch(float(stream.uniform(40, 75)), float(stream.uniform(0, 8)), 80)
        grout: Rgb = (stone[0] * 0.55, stone[1] * 0.55, stone[2] * 0.55)
        floor = table.add(
            stone,
            m.TILES,
            grout,
            scale=0.6,
            ratio=0.02,
            variation=0.10,
            grain=0.5,
            gloss=0.10,
            sharpness=50,
            mirror=0.03,
            seed=seed,
        )
    return RoomPaints(
        wall=table.add(
            wall, m.PLASTER, (wall[0] * 0.93, wall[1] * 0.92, wall[2] * 0.91), scale=1.5, ratio=0.2, seed=seed
        ),
        floor=floor,
        ceiling=table.add((0.78, 0.78, 0.76)),
        wood=table.add(oak, m.WOOD, darker, scale=0.06, gloss=0.04, sharpness=25, seed=seed + 3),
        metal=table.add((0.10, 0.10, 0.11), gloss=0.2, sharpness=40),
        cloth=table.add(m.cloth(stream), variation=0.10, grain=0.05, bump=0.25, bump_scale=0.15, seed=seed),
        white=table.add((0.80, 0.80, 0.79), gloss=0.03),
        dark=table.add((0.03, 0.03, 0.033), gloss=0.1, sharpness=30),
        leaves=table.add(
            lch(38, 34, 128), m.LEAVES, grain=0.05, cover=0.55, bump=0.7, bump_scale=0.05, variation=0.3, seed=1
        ),
        books=table.add(m.cloth(stream), m.BOOKS, m.cloth(stream), scale=0.34, seed=seed),
        picture=table.add(lch(80, 20, hue), m.PICTURE, lch(35, 40, hue + 120), scale=0.35, seed=seed),
        screen=table.add((0.75, 0.9, 1.1), m.SCREEN, glow=float(stream.uniform(0.6, 1.6)), seed=seed),
    )


@dataclass(frozen=True)
class StreetPaints:
    """Materials of the outdoors."""

    asphalt: int
    paving: int
    grass: int
    kerb: int
    bark: int
    leaves: tuple[int, ...]
    glass: int
    tyre: int
    metal: int
    chrome: int
    wood: int
    white: int
    marking: int
    tail: int
    signs: tuple[int, ...]


def street_paints(table: Materials, stream: np.random.Generator) -> StreetPaints:
    """Draw the outdoors' colours."""
    seed = float(stream.uniform(0, 50))
    grey = float(stream.uniform(0.10, 0.20))
    slab = lch(float(stream.uniform(50, 72)), float(stream.uniform(2, 12)), 75)
    autumn = stream.random() < 0.2
    return StreetPaints(
        asphalt=table.add((grey, grey, grey * 1.02), m.GROUND, (grey * 0.7,) * 3, scale=1.2, ratio=0.06, seed=seed),
        paving=table.add(
            slab,
            m.TILES,
            (slab[0] * 0.6, slab[1] * 0.6, slab[2] * 0.6),
            scale=float(stream.uniform(0.3, 0.9)),
            ratio=0.03,
            variation=0.22,
            grain=0.45,
            seed=seed,
        ),
        grass=table.add(
            lch(44, 34, 118), m.GROUND, lch(33, 34, 115), scale=2.5, ratio=0.03, bump=0.5, bump_scale=0.05, seed=seed
        ),
        kerb=table.add((0.42, 0.41, 0.39), variation=0.15, grain=0.3),
        bark=table.add((0.12, 0.09, 0.065), variation=0.4, grain=0.06, bump=0.8, bump_scale=0.07, seed=seed),
        leaves=tuple(
            table.add(
                lch(
                    float(stream.uniform(36, 52)),
                    float(stream.uniform(28, 42)),
                    float(stream.uniform(60, 95) if autumn else stream.uniform(108, 130)),
                ),
                m.LEAVES,
                grain=0.11,
                cover=0.62,
                bump=1.0,
                bump_scale=0.16,
                variation=0.35,
                seed=float(n),
            )
            for n in range(3)
        ),
        glass=table.add((0.02, 0.025, 0.03), mirror=0.10, gloss=0.5, sharpness=400),
        tyre=table.add((0.02, 0.02, 0.02), gloss=0.02),
        metal=table.add((0.07, 0.08, 0.08), gloss=0.2, sharpness=40),
        chrome=table.add((0.45, 0.45, 0.46), gloss=1.2, sharpness=120, mirror=0.25),
        wood=table.add((0.28, 0.17, 0.09), m.WOOD, (0.18, 0.11, 0.06), scale=0.05, seed=seed),
        white=table.add((0.72, 0.72, 0.70)),
        marking=table.add((0.55, 0.55, 0.53), variation=0.3, grain=0.08),
        tail=table.add((0.25, 0.015, 0.015), gloss=0.6, sharpness=100),
        signs=tuple(table.add(lch(float(stream.uniform(30, 60)), 55, hue), gloss=0.1) for hue in (30, 265, 85, 150)),
    )
