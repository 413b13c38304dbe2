"""A build's body before it is posed: MakeHuman's targets mixed, scaled to the stature."""

from itertools import product

import numpy as np
from jaxtyping import Float32

from isp_sim.scenes.people.bodies.asset import Asset
from isp_sim.scenes.people.bodies.blend import mixed
from isp_sim.scenes.people.figure.skeleton import ANCESTRIES, Build

AGES = ((1.0, "baby"), (10.0, "child"), (25.0, "young"), (90.0, "old"))
"""Years of MakeHuman's age targets."""
WEIGHT = {"man": 0.75, "woman": 0.75, "child": 0.5}
"""MakeHuman's weight of average girth, 0 … 1: with these, adults' volume over squared stature is 23 l/m² on average, as
their body mass index is (NCD Risk Factor Collaboration, Lancet 387 (2016): 24 kg/m²), at a density near 1 kg/l."""
WEIGHT_LN = 2.0
"""Weight a unit of ln girth; past 1 the targets are extrapolated. Assumed."""

Shares = list[tuple[str, float]]


def target_shares(build: Build) -> Shares:
    """Targets and their weights: products of linear interpolations, 20 at most."""
    ages = _between(build.age_years, AGES)
    levels = ((0.0, "min"), (0.5, "average"), (1.0, "max"))
    muscle = _between(build.muscle, levels)
    weight = _between(WEIGHT[build.kind] + WEIGHT_LN * float(np.log(build.girth)), levels, 0.5)
    shares = [(f"{a}-{build.sex}-{age}", x * y)
              for (a, x), (age, y) in product(zip(ANCESTRIES, build.ancestry, strict=True), ages)]  # fmt: skip
    shares += [(f"{build.sex}-{age}-{m}muscle-{w}weight", x * y * z)
               for (age, x), (m, y), (w, z) in product(ages, muscle, weight)]  # fmt: skip
    return [(name, share) for name, share in shares if abs(share) > 0.01]


def _between(value: float, marks: tuple[tuple[float, str], ...], past: float = 0.0) -> Shares:
    """The two marks round a value and their shares; values up to so much `past` the last are extrapolated."""
    places = [place for place, _ in marks]
    value = min(max(value, places[0]), places[-1] + past)
    k = min(int(np.searchsorted(places, value, side="right")), len(places) - 1)
    share = (value - places[k - 1]) / (places[k] - places[k - 1])
    return [(marks[k - 1][1], 1 - share), (marks[k][1], share)]


def shaped(a: Asset, build: Build) -> Float32[np.ndarray, "p 3"]:
    """Points and joints of the asset, m, soles on y = 0 and crown at the build's stature."""
    shares = [(a.targets[name], share) for name, share in target_shares(build) if name in a.targets]
    rows = [row for row, _ in shares]
    points = mixed(a.points, a.moves[rows], np.array([share for _, share in shares], np.float32) * a.scale[rows])
    body = points[: a.skin_points, 1]
    low, high = body.min(), body.max()
    points[:, 1] -= low
    return np.asarray(points * np.float32(build.stature_m / (high - low)))
