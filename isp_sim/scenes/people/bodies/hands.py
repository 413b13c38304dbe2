"""What hands do: degrees for each joint of the fingers, wrist and forearm. Set by eye on rendered hands."""

from typing import NamedTuple

FINGERS = {1: "thumb", 2: "index", 3: "middle", 4: "ring", 5: "pinky"}
CLOSE = {2: 5.0, 3: 0.0, 4: -5.0, 5: -11.0}
"""Degrees that bring spread fingers together."""
Bends = dict[str, tuple[float, float, float]]


class Grip(NamedTuple):
    """One hand.

    Attributes:
        pronation: of the forearm, thumb towards the body's middle.
        wrist: towards the palm.
        bends: finger → degrees of its three joints, towards the palm.
    """

    pronation: float
    wrist: float
    bends: Bends


def _bends(curl: float, thumb: float = 15, index: float | None = None) -> Bends:
    """Fingers curled alike, a little more towards the small one."""
    fingers = {n: (curl * (0.7 + 0.1 * k), curl * (0.9 + 0.1 * k), curl * 0.6)
               for k, n in enumerate(("index", "middle", "ring", "pinky"))}  # fmt: skip
    if index is not None:
        fingers["index"] = (index, index, index)
    return fingers | {"thumb": (thumb, 0.8 * thumb, thumb)}


GRIPS = {
    "hang": Grip(-22, 0, _bends(15)),
    "flat": Grip(-10, 0, _bends(0, 0)),
    "fist": Grip(-22, 0, _bends(75, 35)),
    "hold": Grip(-45, 0, _bends(40, 25)),
    "carry": Grip(-50, 0, _bends(20)),
    "point": Grip(-10, 0, _bends(75, 35, 0)),
}
