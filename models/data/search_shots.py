"""Which shots a search of settings sees: few, yet of every split and every exposure ratio that there is."""

from collections import Counter
from collections.abc import Callable, Sequence

from isp_sim.schedule import FILE_NAME, split_of
from models.data.samples import scene_of

Condition = tuple[tuple[str, ...], str, str]
"""Scene, split and exposure ratio of a shot."""


def condition(name: str) -> Condition:
    """What the name of a well-lit picture says; one of another form is a scene of its own, without split and ratio."""
    parts = FILE_NAME.fullmatch(name)
    if parts is None:
        return scene_of(name), "", ""
    return scene_of(name), split_of(float(parts["gain_db"])), parts["ratio"]


def covering(names: Sequence[str], wanted: int, usable: Callable[[int], bool] = lambda _: True) -> list[int]:
    """Numbers of shots that together have every split and every ratio there is, evenly, from many scenes.

    One after the other is taken: first whatever brings a split or a ratio that is not there yet, then the scene taken
    least often, then the rarest split, the rarest ratio, the first in order. Nothing is drawn: the same names give the
    same shots.

    Args:
        names: of the well-lit pictures.
        wanted: how many; more are taken where so few cannot show every split and ratio, fewer where there are no more.
        usable: whether shot `number` has what the search needs; called only for those about to be taken.
    """
    conditions = [condition(name) for name in names]
    left = set(range(len(names)))
    scenes = Counter[tuple[str, ...]]()
    splits, ratios = Counter[str](), Counter[str]()
    found: list[int] = []

    def urgency(number: int) -> tuple[int, int, int, int, int]:
        scene, split, ratio = conditions[number]
        new = (splits[split] == 0) + (ratios[ratio] == 0)
        return -new, scenes[scene], splits[split], ratios[ratio], number

    while left:
        number = min(left, key=urgency)
        if len(found) >= wanted and urgency(number)[0] == 0:
            break
        left.remove(number)
        scene, split, ratio = conditions[number]
        scenes[scene] += 1  # also of one that cannot be used: its other shots hardly can
        if usable(number):
            found.append(number)
            splits[split] += 1
            ratios[ratio] += 1
    return found
