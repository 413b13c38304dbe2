"""A dressed figure seen from the front, drawn from a seed with NumPy alone: a picture whose joints are known.

Whoever draws it knows which side is which: somebody who faces the camera has the left side on the picture's right.
"""

import numpy as np

from isp_sim.scenes import JOINTS

SKIN = np.array([0.80, 0.60, 0.48])


def moved(point, x, y):
    return point + np.array([x, y])


class Canvas:
    """A picture in 0 … 1 that shaded capsules are drawn on; places are shares of its side."""

    def __init__(self, side, top, bottom):
        self.side = side
        self.y, self.x = np.mgrid[:side, :side] / side
        self.image = top + (bottom - top) * np.clip((self.y[..., None] - 0.2) / 0.8, 0, 1)

    def capsule(self, start, end, radius, colour):
        way = np.subtract(end, start)
        along = ((self.x - start[0]) * way[0] + (self.y - start[1]) * way[1]) / max(way @ way, 1e-9)
        along = np.clip(along, 0, 1)
        distance = np.hypot(self.x - start[0] - along * way[0], self.y - start[1] - along * way[1])
        cover = np.clip((radius - distance) * self.side + 0.5, 0, 1)[..., None]
        light = (0.6 + 0.4 * np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1)))[..., None]
        self.image = self.image * (1 - cover) + cover * colour * light


def drawn_pose(stream):
    """Joints as shares of the side, by name, left ones on the right."""
    shoulders = np.array([0.5 + stream.uniform(-0.04, 0.04), 0.30])
    hips = np.array([shoulders[0] + stream.uniform(-0.02, 0.02), 0.53])
    joints = {"neck": shoulders}
    for side, sign in (("left", 1), ("right", -1)):
        upper, lower = stream.uniform(0.1, 1.4), stream.uniform(-0.3, 1.2)
        thigh, shin = stream.uniform(-0.05, 0.45), stream.uniform(-0.3, 1)
        for joint, start, length, angle in (
            ("shoulder", shoulders, 0.085, np.pi / 2),
            ("elbow", "shoulder", 0.13, upper),
            ("wrist", "elbow", 0.12, upper + lower),
            ("hip", hips, 0.055, np.pi / 2),
            ("knee", "hip", 0.18, thigh),
            ("ankle", "knee", 0.17, thigh * shin),
        ):
            base = joints[f"{side}_{start}"] if isinstance(start, str) else start
            joints[f"{side}_{joint}"] = base + length * np.array([sign * np.sin(angle), np.cos(angle)])
    return joints


def figure(side, seed):
    """The picture, uint8 `(side, side, 3)`, and its joints `(14, 2)` in px from the first pixel's centre; head NaN."""
    stream = np.random.default_rng(seed)
    pose = drawn_pose(stream)
    canvas = Canvas(side, stream.uniform(0.45, 0.9, 3), stream.uniform(0.25, 0.6, 3))
    shirt, trousers = stream.uniform(0.1, 0.9, 3), stream.uniform(0.05, 0.5, 3)
    for one, toe in (("left", -0.02), ("right", 0.02)):
        canvas.capsule(pose[f"{one}_hip"], pose[f"{one}_knee"], 0.045, trousers)
        canvas.capsule(pose[f"{one}_knee"], pose[f"{one}_ankle"], 0.035, trousers)
        canvas.capsule(pose[f"{one}_ankle"], moved(pose[f"{one}_ankle"], toe, 0.02), 0.025, np.full(3, 0.1))
    for t in np.linspace(0, 1, 9):
        right, left = ((1 - t) * pose[f"{one}_shoulder"] + t * pose[f"{one}_hip"] for one in ("right", "left"))
        canvas.capsule(moved(right, 0.03, 0), moved(left, -0.03, 0), 0.045, shirt)
    for one in ("left", "right"):
        elbow, wrist = pose[f"{one}_elbow"], pose[f"{one}_wrist"]
        canvas.capsule(pose[f"{one}_shoulder"], elbow, 0.033, shirt)
        canvas.capsule(elbow, wrist, 0.025, SKIN)
        canvas.capsule(wrist, wrist + 0.12 * (wrist - elbow), 0.028, SKIN)
    draw_head(canvas, pose["neck"])
    noisy = canvas.image + stream.normal(0, 0.02, canvas.image.shape)
    joints = np.array([pose.get(name, (np.nan, np.nan)) for name in JOINTS]) * side
    return np.round(255 * np.clip(noisy, 0, 1)).astype(np.uint8), joints


def draw_head(canvas, neck):
    head = moved(neck, 0, -0.125)
    canvas.capsule(moved(neck, 0, -0.02), head, 0.03, SKIN)
    canvas.capsule(moved(head, 0, -0.025), moved(head, 0, 0.02), 0.055, np.array([0.2, 0.12, 0.08]))
    canvas.capsule(head, moved(head, 0, 0.025), 0.05, SKIN)
    for eye in (-0.02, 0.02):
        canvas.capsule(moved(head, eye, 0), moved(head, eye, 0), 0.008, np.full(3, 0.05))
    canvas.capsule(moved(head, -0.012, 0.035), moved(head, 0.012, 0.035), 0.005, np.array([0.5, 0.15, 0.15]))
    canvas.capsule(moved(head, 0, 0.008), moved(head, 0, 0.018), 0.005, 0.7 * SKIN)
