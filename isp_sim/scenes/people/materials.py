"""What surfaces are made of: a table, a row a material, and where its reflectances come from.

Colours are reflectances in linear Rec. 709, 0 … 1.
"""

import numpy as np
from jaxtyping import Float64

(
    PLAIN, STRIPES, CHECKS, PRINT, WOOD, TILES, BRICKS, FACADE, LEAVES, SKIN, HAIR, PANE, BOOKS, PICTURE, GROUND,
    SCREEN, PLASTER, CATCHER,
) = range(18)  # fmt: skip
"""Patterns: how a material's two colours are laid out on a surface. `CATCHER`: ground of which only the share of the
light that arrives on it is seen."""

FIRST_COLUMN = 20
"""Where a material starts in a solid's row (`intersect.pack`)."""

(
    PATTERN, RED, GREEN, BLUE, RED_B, GREEN_B, BLUE_B, SCALE, RATIO, VARIATION, GRAIN, BUMP, BUMP_SCALE,
    GLOSS, SHARPNESS, MIRROR, GLOW, SEED, COVER,
) = range(FIRST_COLUMN, FIRST_COLUMN + 19)  # fmt: skip
"""Columns of a material within a solid's row; in the table they start at 0.

    RED … BLUE      first colour               RED_B … BLUE_B  second colour
    SCALE           pattern's period, m        RATIO           pattern's own number (width over period, hairline …)
    VARIATION       of reflectance, relative   GRAIN           its size, m
    BUMP            slope of folds             BUMP_SCALE      their size, m
    GLOSS           strength of highlights     SHARPNESS       Blinn-Phong exponent
    MIRROR          reflectance at right angle GLOW            radiance sent out, times the colour
    SEED            shifts the noise           COVER           how much of a leafy or hairy shell is there
"""

Rgb = tuple[float, float, float]

LAB_WHITE = (0.95047, 1.0, 1.08883)
XYZ_TO_REC709 = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)

ITA_DEG = (-50.0, 60.0)
"""Individual typology angle of skin, dark … very light: the classes of Del Bino and Bernerd, Br. J. Dermatol. 169
(2013), run from below −30° to above 55°; `ITA = atan((L* − 50)/b*)`."""
ITA_MIDDLE_DEG, ITA_SD_DEG = {"african": -20.0, "asian": 30.0, "caucasian": 42.0}, 14.0
"""Its mean for each ancestry, mixed by their shares, and its spread. Assumed."""
SKIN_B = (13.0, 19.0)
SKIN_A = (7.0, 13.0)
"""b* and a* of skin. Assumed."""
HAIR_LAB = (((6, 1, 1), 0.45), ((14, 4, 6), 0.25), ((24, 7, 12), 0.15), ((48, 6, 22), 0.08))
"""L*a*b* of hair, and its share: black, dark brown, brown, blond. Assumed."""
CLOTH_LIGHTNESS = (14.0, 92.0)
"""L* of cloth, black cotton (2 %) … white (80 %). Assumed."""


class Materials:
    """Collects materials; a row is what a solid's `material` names."""

    def __init__(self) -> None:
        self._rows: list[list[float]] = []

    def add(
        self,
        colour: Rgb,
        pattern: int = PLAIN,
        second: Rgb = (0, 0, 0),
        scale: float = 1.0,
        ratio: float = 0.5,
        variation: float = 0.0,
        grain: float = 0.1,
        bump: float = 0.0,
        bump_scale: float = 0.1,
        gloss: float = 0.0,
        sharpness: float = 20.0,
        mirror: float = 0.0,
        glow: float = 0.0,
        seed: float = 0.0,
        cover: float = 1.0,
    ) -> int:
        """A material; arguments are the columns' names.

        Returns:
            Its row.
        """
        row = [pattern, *colour, *second, scale, ratio, variation, grain, bump, bump_scale, gloss, sharpness]
        self._rows.append([*row, mirror, glow, seed, cover])
        return len(self._rows) - 1

    def table(self) -> Float64[np.ndarray, "rows columns"]:
        """All rows."""
        return np.array(self._rows, np.float64)


def lab(lightness: float, a: float, b: float) -> Rgb:
    """CIE L*a*b* (D65) → linear Rec. 709, cut to 0.005 … 0.95."""
    fy = (lightness + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.array(LAB_WHITE) * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    red, green, blue = np.clip(XYZ_TO_REC709 @ xyz, 0.005, 0.95).tolist()
    return red, green, blue


def lch(lightness: float, chroma: float, hue_deg: float) -> Rgb:
    """CIE L*C*h → linear Rec. 709."""
    return lab(lightness, chroma * np.cos(np.radians(hue_deg)), chroma * np.sin(np.radians(hue_deg)))


def skin(ancestry: dict[str, float], stream: np.random.Generator) -> Rgb:
    """Skin of a mixture of ancestries: `L* = 50 + b*·tan ITA`."""
    b = stream.uniform(*SKIN_B)
    middle = sum(share * ITA_MIDDLE_DEG[name] for name, share in ancestry.items())
    lightness = 50 + b * np.tan(np.radians(np.clip(stream.normal(middle, ITA_SD_DEG), *ITA_DEG)))
    return lab(lightness, stream.uniform(*SKIN_A), b)


def hair(stream: np.random.Generator) -> Rgb:
    """Hair."""
    shares = np.array([share for _, share in HAIR_LAB])
    middle, _ = HAIR_LAB[stream.choice(len(HAIR_LAB), p=shares / shares.sum())]
    return lab(middle[0] * stream.uniform(0.8, 1.25), middle[1], middle[2])


def trousers(stream: np.random.Generator) -> Rgb:
    """Cloth of trousers: denim, black and grey, beige to brown, now and then any. Assumed."""
    kind = stream.random()
    if kind < 0.4:
        return lch(float(stream.uniform(16, 50)), float(stream.uniform(8, 24)), float(stream.uniform(262, 285)))
    if kind < 0.7:
        return lch(float(stream.uniform(10, 45)), float(stream.uniform(0, 4)), 260)
    if kind < 0.9:
        return lch(float(stream.uniform(22, 70)), float(stream.uniform(6, 22)), float(stream.uniform(65, 95)))
    return cloth(stream)


def cloth(stream: np.random.Generator) -> Rgb:
    """Cloth: half of it black, grey, white or navy, the rest coloured."""
    if stream.random() < 0.5:
        return lch(stream.choice([16, 22, 30, 45, 60, 75, 90]) * stream.uniform(0.9, 1.02), stream.uniform(0, 6), 260)
    return lch(stream.uniform(22, 75), stream.triangular(6, 16, 50), stream.uniform(0, 360))
