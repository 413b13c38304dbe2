"""What somebody wears and looks like: drawn once a person, as rows of the materials' table."""

from dataclasses import dataclass

import numpy as np

from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people.materials import Materials, Rgb


@dataclass(frozen=True)
class Outfit:
    """Materials (rows) and cuts.

    Attributes:
        skin, face, hair, top, bottom, shoes, extra: materials; `extra` is for hats, bags and masks.
        sleeve: how much of the arm is covered, 0 … 2: 0.6 a T-shirt, 2 to the wrist.
        legs: likewise; 2 is to the ankle.
        skirt: share of the thigh and shin a skirt or coat hangs down; 0 is none.
        coat: the hanging cloth is of the top's material.
        hair_style: short, long, bun, bald.
        hat: "", cap, beanie, brimmed.
        bag: "", backpack, shoulder, tote.
        mask: covers mouth and nose.
        loose: cloth's thickness over the skin, 1 is close.
    """

    skin: int
    face: int
    hair: int
    top: int
    bottom: int
    shoes: int
    extra: int
    sleeve: float
    legs: float
    skirt: float
    coat: bool
    hair_style: str
    hat: str
    bag: str
    mask: bool
    loose: float


def _cloth(table: Materials, stream: np.random.Generator, patterned: float) -> int:
    """A cloth: colours, a pattern, folds."""
    pattern = m.PLAIN
    if stream.random() < patterned:
        pattern = int(stream.choice([m.STRIPES, m.CHECKS, m.PRINT], p=[0.4, 0.35, 0.25]))
    colour, second = m.cloth(stream), m.cloth(stream)
    return table.add(
        colour,
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


def draw_outfit(kind: str, table: Materials, stream: np.random.Generator) -> Outfit:
    """Draw clothes, skin and hair of a man, woman or child."""
    skin, hair = m.skin(stream), m.hair(stream)
    grey = hair[0] > 0.25 and abs(hair[0] - hair[2]) < 0.08
    style = str(stream.choice(["short", "long", "bun"], p=[0.12, 0.63, 0.25])) if kind == "woman" else "short"
    if kind == "child" and stream.random() < 0.4:
        style = "long"
    if kind == "man" and stream.random() < (0.3 if grey else 0.08):
        style = "bald"
    skirted = kind != "man" and stream.random() < 0.22
    coat = not skirted and stream.random() < 0.22
    warm = coat or stream.random() < 0.45
    shorts = not coat and not skirted and stream.random() < (0.4 if kind == "child" else 0.12)
    seed = float(stream.uniform(0, 100))
    return Outfit(
        skin=table.add(skin, variation=0.06, grain=0.03, gloss=0.03, sharpness=12),
        face=table.add(skin, m.FACE, hair, variation=0.05, grain=0.04, gloss=0.035, sharpness=14, seed=seed),
        hair=table.add(
            hair, m.HAIR, variation=0.35, grain=0.012, bump=0.35, bump_scale=0.02, gloss=0.05, sharpness=18,
            ratio=float(stream.uniform(0.30, 0.52)), seed=seed,
        ),
        top=_cloth(table, stream, 0.0 if coat else 0.45),
        bottom=_cloth(table, stream, 0.3 if skirted else 0.06),
        shoes=_shoes(table, stream),
        extra=_cloth(table, stream, 0.1),
        sleeve=2.0 if warm else float(stream.choice([0.62, 1.35, 2.0], p=[0.55, 0.1, 0.35])),
        legs=float(stream.uniform(0.75, 1.05)) if shorts else (0.0 if skirted and stream.random() < 0.7 else 2.0),
        skirt=float(stream.uniform(0.35, 0.85)) if skirted else (float(stream.uniform(0.15, 0.6)) if coat else 0.0),
        coat=coat,
        hair_style=style,
        hat=str(stream.choice(["", "cap", "beanie", "brimmed"], p=[0.80, 0.10, 0.06, 0.04])),
        bag=str(stream.choice(["", "backpack", "shoulder", "tote"], p=[0.64, 0.15, 0.13, 0.08])),
        mask=bool(stream.random() < 0.12),
        loose=float(stream.uniform(1.04, 1.16) if not coat else stream.uniform(1.16, 1.26)),
    )  # fmt: skip
