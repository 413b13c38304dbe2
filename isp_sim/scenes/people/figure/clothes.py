"""What somebody wears and looks like: drawn once a person, as rows of the materials' table."""

from dataclasses import dataclass

import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.figure.skeleton import ANCESTRIES, Build
from isp_sim.scenes.people.materials import Materials, Rgb

WHOLE = 9.0
"""A reach past every hem."""
FREE, UNDER_HATS = 3.0, {"cap": 1.1, "beanie": 0.85, "fedora": 1.2}
"""Reach of hair (`own_pieces.hair_level`): of all that is not before the face, and up to a hat's rim."""
BALD = {"man": 0.03, "old man": 0.18}
"""Shares without hair, the old being those who are grey. Assumed."""
SHORT_HAIR = ("short01", "short02", "short03", "short04", "afro")
LONG_HAIR = ("bob01", "bob02", "braid01", "long01", "ponytail01")
BULKY = ("afro", "bob01")
"""Too much hair for a hat."""
BAGS = ("straps", "backpack", "shoulder strap", "shoulder bag")
"""They lie on whatever is worn, as hair does."""
HAIR = (*SHORT_HAIR, *LONG_HAIR)


@dataclass(frozen=True)
class Worn:
    """A piece of the asset that somebody wears.

    Attributes:
        piece: its name.
        material: row.
        reach: how far down the limbs it goes: 0.6 a short sleeve, 1 to elbow or knee, 2 to wrist or ankle.
        out_m: how far it is pushed outwards, for what is worn over something.
    """

    piece: str
    material: int
    reach: float = WHOLE
    out_m: float = 0.0


@dataclass(frozen=True)
class Outfit:
    """Materials (rows) and pieces.

    Attributes:
        parts: materials of skin, lips, nails, lids, sclera, iris and pupil (`bodies.asset`).
        worn: from the skin outwards, hair and brows included.
        bag: "", tote or another; what hangs from the right hand is not a piece.
        extra: material of bags and loads.
    """

    parts: tuple[int, ...]
    worn: tuple[Worn, ...]
    bag: str
    extra: int


def _cloth(table: Materials, stream: np.random.Generator, patterned: float, colour: Rgb | None = None) -> int:
    """A cloth: colours, a pattern, folds."""
    pattern = m.PLAIN
    if stream.random() < patterned:
        pattern = int(stream.choice([m.STRIPES, m.CHECKS, m.PRINT], p=[0.4, 0.35, 0.25]))
    first, second = m.cloth(stream), m.cloth(stream)
    return table.add(
        colour or first,
        pattern,
        second,
        scale=float(stream.uniform(0.035, 0.11)),
        ratio=float(stream.uniform(0.25, 0.6)),
        variation=0.04,
        grain=float(stream.uniform(0.02, 0.06)),
        bump=float(stream.uniform(0.22, 0.5)),
        bump_scale=float(stream.uniform(0.06, 0.12)),
        gloss=0.015,
        sharpness=8,
        seed=float(stream.uniform(0, 100)),
    )


def _shoes(table: Materials, stream: np.random.Generator) -> int:
    colour: Rgb = m.cloth(stream) if stream.random() < 0.4 else m.lch(float(stream.choice([12, 18, 88])), 3, 60)
    return table.add(colour, gloss=0.08, sharpness=25, variation=0.1, grain=0.03)


def _skin(table: Materials, colour: Rgb) -> int:
    """F0 of 0.028 and a roughness of 0.35 (Weyrich et al., SIGGRAPH 2006)."""
    return table.add(colour, m.SKIN, variation=0.06, grain=0.03, gloss=0.028, sharpness=14)


def _complexion(build: Build, table: Materials, stream: np.random.Generator) -> tuple[int, ...]:
    """Skin and what is let into it; lips, nails and lids take their colour from the skin's."""
    red, green, blue = m.skin(dict(zip(ANCESTRIES, build.ancestry, strict=True)), stream)
    painted = stream.random() < 0.15
    lips = (0.92 * red, 0.66 * green, 0.72 * blue) if not painted else (0.45, 0.05, 0.07)
    iris = m.lab(float(stream.uniform(12, 45)), float(stream.uniform(-4, 8)), float(stream.uniform(-12, 16)))
    return (
        _skin(table, (red, green, blue)),
        table.add(lips, gloss=0.08, sharpness=30),
        table.add((min(1.08 * red, 1), 0.95 * green, 0.95 * blue), gloss=0.1, sharpness=60),
        _skin(table, (0.8 * red, 0.72 * green, 0.72 * blue)),
        table.add((0.62, 0.60, 0.57), gloss=0.15, sharpness=120),
        table.add(iris, gloss=0.15, sharpness=120),
        table.add((0.006, 0.006, 0.006), gloss=0.15, sharpness=120),
    )


def _head(build: Build, table: Materials, stream: np.random.Generator, extra: int) -> list[Worn]:
    """Hair, brows, hat and mask; the old are grey, some men bald."""
    old = build.kind != "child" and build.age_years > stream.uniform(45, 75)
    colour = m.lab(float(stream.uniform(45, 78)), 0, 3) if old else m.hair(stream)
    hair = table.add(
        colour, m.HAIR, variation=0.35, grain=0.012, bump=0.15, bump_scale=0.02, gloss=0.03, sharpness=12,
        seed=float(stream.uniform(0, 100)),
    )  # fmt: skip
    hat = str(stream.choice(["", "cap", "beanie", "fedora"], p=[0.80, 0.10, 0.06, 0.04]))
    long = build.sex == "female" and stream.random() < 0.85
    styles = LONG_HAIR if long else SHORT_HAIR
    share = np.array([float(not (hat and name in BULKY)) * (0.3 if name == "bob01" else 1) for name in styles])
    style = str(stream.choice(styles, p=share / share.sum()))
    bald = build.kind == "man" and stream.random() < BALD["old man" if old else "man"]
    worn = [Worn("brows", hair)]
    worn += [] if bald else [Worn(style, hair, reach=1.0 if style == "afro" else UNDER_HATS.get(hat, FREE))]
    worn += [Worn(hat, extra, reach=1.0, out_m=0.006)] if hat else []
    return worn + ([Worn("mask", table.add(m.cloth(stream)), reach=1.0)] if stream.random() < 0.10 else [])


def draw_outfit(build: Build, table: Materials, stream: np.random.Generator) -> Outfit:
    """Draw clothes, skin and hair for somebody."""
    parts = _complexion(build, table, stream)
    extra = _cloth(table, stream, 0.1)
    bag = str(stream.choice(["", "backpack", "shoulder bag", "tote"], p=[0.64, 0.15, 0.13, 0.08]))
    straps = {"backpack": ("straps", "backpack"), "shoulder bag": ("shoulder strap", "shoulder bag")}.get(bag, ())
    below = _below(build, table, stream)
    above = _above(build, table, stream, "skirt" in below[-1].piece)
    body = below + above
    if below[-1].piece == "dungarees":
        body = [Worn("work shirt", above[-1].material), *below]
    elif above[-1].piece == "suit jacket":
        body = [*below[:2], Worn("suit trousers", above[-1].material), *above]
    head = _head(build, table, stream, extra)
    return Outfit(parts, (*body, *(Worn(name, extra, out_m=0.012) for name in straps), *head), bag, extra)


def _below(build: Build, table: Materials, stream: np.random.Generator) -> list[Worn]:
    """Socks, shoes, and trousers, shorts or a skirt."""
    female = build.sex == "female"
    shoe = str(stream.choice(["oxfords", "slippers", "laced shoes"], p=[0.35, 0.30, 0.35]))
    worn = [
        Worn("socks", table.add(m.lch(float(stream.choice([10, 20, 85])), 2, 60))),
        Worn(shoe, _shoes(table, stream)),
    ]
    kind = stream.random()
    if female and kind < 0.22:
        skirt = str(stream.choice(["skirt", "pencil skirt"], p=[0.7, 0.3]))
        return [*worn[1:], Worn(skirt, _cloth(table, stream, 0.3), reach=float(stream.uniform(0.5, 1.7)))]
    cloth = _cloth(table, stream, 0.06, m.trousers(stream))
    if kind < (0.55 if build.kind == "child" else 0.36):
        return [*worn, Worn("trousers", cloth, reach=float(stream.uniform(0.55, 1.0)))]
    names = ["slim trousers", "trousers", "suit trousers", "dungarees"]
    trousers = str(stream.choice(names, p=[0.5, 0.35, 0.1, 0.05] if female else [0.06, 0.57, 0.30, 0.07]))
    return [*worn, Worn(trousers, cloth)]


def _above(build: Build, table: Materials, stream: np.random.Generator, skirted: bool) -> list[Worn]:
    """Shirts and sweaters, jackets and coats."""
    cloth, loose = _cloth(table, stream, 0.45), float(stream.uniform(0.002, 0.010))
    if stream.random() < 0.24:
        over, under = _cloth(table, stream, 0.0), table.add(m.cloth(stream))
        coat = (
            [Worn("skirt", over, reach=float(stream.uniform(0.45, 1.2)), out_m=loose)] if stream.random() < 0.3 else []
        )
        return [*coat, Worn("shirt front", under, out_m=loose), Worn("jacket", over, out_m=loose),
                Worn("collar", over, out_m=loose + 0.010)]  # fmt: skip
    if build.kind == "man" and stream.random() < 0.10:
        shirt = table.add(m.lch(float(stream.uniform(82, 94)), float(stream.uniform(0, 10)), 260))
        suit = _cloth(table, stream, 0.0, m.lch(float(stream.uniform(10, 40)), float(stream.uniform(0, 8)), 265))
        return [Worn("suit shirt", shirt), Worn("suit jacket", suit, out_m=0.004)]
    if stream.random() < 0.45:
        names = ["sweater", "polo"] + (["blouse"] if skirted else [])
        return [Worn(str(stream.choice(names)), cloth, out_m=loose)]
    if stream.random() < 0.3:
        return [Worn("sweater", cloth, reach=float(stream.uniform(0.5, 1.5)), out_m=loose)]
    names = ["wide tee", "loose tee"] + (["tee"] if build.sex == "female" else [])
    return [Worn(str(stream.choice(names)), cloth, out_m=loose)]
