"""A figure's pose on the rig: how every bone moves.

A bone's move is `x → H + R (I + (k − 1) d dᵀ)(x − h)`: h and d, its head and direction in the unposed body; H, where
the figure has it; R, the rotation between them; k, the figure's length over the body's. So joints come to lie where
the figure has them, and segments are as long as its build says.
"""

import numpy as np
from jaxtyping import Float32, Float64

from isp_sim.scenes.people.bodies.asset import Asset
from isp_sim.scenes.people.bodies.hands import CLOSE, FINGERS, GRIPS
from isp_sim.scenes.people.figure.skeleton import SIDES, Build, Figure
from isp_sim.scenes.people.shapes import Matrix, Vector, turn_y

UP = np.array([0.0, 1.0, 0.0])
SHOULDER = 0.11
"""The rig's shoulder lies so much of the upper arm below the joint's centre: with that, the average adult's arm has
de Leva's length."""
BENDS = (0.0, 0.30, 0.65, 1.0)
"""Where the figure's spine has pelvis, waist, chest and neck, over its length."""


def about(axis: Vector, angle: float) -> Matrix:
    """Rotation by so many radians about a unit vector (Rodrigues), right-handed by components."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def swing(one: Vector, other: Vector) -> Matrix:
    """The least rotation that carries a unit vector to another."""
    axis = np.cross(one, other)
    size = float(np.linalg.norm(axis))
    angle = float(np.arctan2(size, one @ other))
    return about(axis / size, angle) if size > 1e-9 else np.eye(3)


def between(one: Matrix, other: Matrix, share: float) -> Matrix:
    """The rotation that is so far from one to another."""
    turn = other @ one.T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    size = float(np.linalg.norm(axis))
    angle = float(np.arctan2(size, np.trace(turn) - 1))
    return np.asarray(about(axis / size, share * angle) @ one) if size > 1e-9 else one


def unit(vector: Vector) -> Vector:
    """The vector's direction."""
    return np.asarray(vector / np.linalg.norm(vector))


class Rig:
    """The bones of one unposed body, and their moves as a figure sets them."""

    def __init__(self, a: Asset, points: Float32[np.ndarray, "p 3"], build: Build, figure: Figure) -> None:
        self.a, self.figure, self.build = a, figure, build
        self.moves: Float64[np.ndarray, "bones 3 4"] = np.zeros((len(a.bones), 3, 4))
        self.points = points
        self.crown = points[points[: a.skin_points, 1].argmax()].astype(np.float64)
        self.chest = figure.frames["chest"]

    def at(self, joint: str) -> Vector:
        """A joint of the unposed body."""
        return self.a.joint(self.points, f"joint-{joint}")

    def put(self, bone: str, turn: Matrix, head: Vector, place: Vector, stretch: Matrix | None = None) -> None:
        """Turn a bone about its head and put the head there."""
        linear = turn if stretch is None else turn @ stretch
        self.moves[self.a.bones[bone]] = np.column_stack((linear, place - linear @ head))

    def moved(self, bone: str, point: Vector) -> Vector:
        """Where a bone carries a point."""
        move = self.moves[self.a.bones[bone]]
        return np.asarray(move[:, :3] @ point + move[:, 3])

    def turn(self, bone: str) -> Matrix:
        """How a bone that is not stretched was turned."""
        return np.asarray(self.moves[self.a.bones[bone]][:, :3])

    def trunk(self) -> None:
        """Spine, neck and head."""
        f, j = self.figure.frames, self.figure.joints
        hips = (self.at("l-upper-leg") + self.at("r-upper-leg")) / 2
        height = self.crown[1] - self.build.lengths["head"]
        marks = [self.at(name) for name in ("spine-1", "neck", "head")]
        neck = np.array([0, height, np.interp(height, [m[1] for m in marks], [m[2] for m in marks])])
        length = height - hips[1]
        stretch = np.diag((1, self.build.lengths["hip_to_neck"] / length, 1))
        spine = np.array([j["pelvis"], j["waist"], j["chest"], j["neck"]])
        for bone, joint, share in (("pelvis", "pelvis", 0.0), ("spine_01", "spine-4", 1 / 3),
                                   ("spine_02", "spine-3", 2 / 3), ("spine_03", "spine-2", 1.0)):  # fmt: skip
            frame = between(f["pelvis"], f["chest"], share)
            head = self.at(joint)
            along = (head[1] - hips[1]) / length
            place = np.array([np.interp(along, BENDS, spine[:, k]) for k in range(3)])
            place += f["pelvis"][:, 1] * min(along, 0) * self.build.lengths["hip_to_neck"]
            aside = head - hips - (neck - hips) * along
            self.put(bone, frame, head, place + frame @ aside, stretch)
        base = self.at("neck")
        half = between(f["chest"], f["head"], 0.5)
        self.put("neck_01", half, base, j["neck"] + f["chest"] @ (base - neck))
        top = self.at("head")
        self.put("head", f["head"], top, self.moved("neck_01", top))

    def limb(
        self, bone: str, frame: Matrix, ends: tuple[Vector, Vector], sideways: Vector, to: tuple[Vector, Vector]
    ) -> Matrix:
        """A segment: its y axis from end to head, its x axis as near as can be to `sideways`; the figure's `frame`
        and where the figure has both ends. Returns the rotation.
        """
        down = unit(ends[1] - ends[0])
        x = unit(sideways - down * (down @ sideways))
        turn = np.asarray(frame @ np.column_stack((x, -down, np.cross(x, -down))).T)
        ratio = float(np.linalg.norm(to[1] - to[0]) / np.linalg.norm(ends[1] - ends[0]))
        self.put(bone, turn, ends[0], to[0], np.eye(3) + (ratio - 1) * np.outer(down, down))
        return turn

    def arm(self, side: str, grip: str) -> None:
        """Collar bone, arm and hand; the upper half of each segment does not twist with the lower."""
        s, sign = side[0], SIDES[side]
        f, j = self.figure.frames, self.figure.joints
        places = [j[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist")]
        low, elbow, wrist, root = (self.at(f"{s}-{name}") for name in ("shoulder", "elbow", "hand", "clavicle"))
        shoulder = low + SHOULDER * (low - elbow)
        at = self.moved("spine_03", root)
        rest, now = shoulder - root, places[0] - at
        girdle = swing(self.chest @ unit(rest), unit(now)) @ self.chest
        d = unit(rest)
        ratio = float(np.linalg.norm(now) / np.linalg.norm(rest))
        self.put(f"clavicle_{s}", girdle, root, at, np.eye(3) + (ratio - 1) * np.outer(d, d))
        hinge = np.cross(wrist - elbow, elbow - shoulder)
        arm = (shoulder, elbow), (elbow, wrist)
        self.limb(f"upperarm_twist_{s}", f[f"{side}_upper_arm"], arm[0], hinge, (places[0], places[1]))
        fore = self.limb(f"lowerarm_{s}", f[f"{side}_forearm"], arm[1], hinge, (places[1], places[2]))
        u = unit(elbow - shoulder)
        ratio = float(np.linalg.norm(places[1] - places[0]) / np.linalg.norm(elbow - shoulder))
        plain = swing(girdle @ u, unit(places[1] - places[0])) @ girdle
        self.put(f"upperarm_{s}", plain, shoulder, places[0], np.eye(3) + (ratio - 1) * np.outer(u, u))
        d = unit(wrist - elbow)
        turned = fore @ about(d, sign * np.radians(GRIPS[grip].pronation))
        ratio = float(np.linalg.norm(places[2] - places[1]) / np.linalg.norm(wrist - elbow))
        self.put(f"lowerarm_twist_{s}", turned, elbow, places[1], np.eye(3) + (ratio - 1) * np.outer(d, d))
        knuckles = unit(self.at(f"{s}-finger-5-1") - self.at(f"{s}-finger-2-1"))
        hand = turned @ about(knuckles, sign * np.radians(GRIPS[grip].wrist))
        self.put(f"hand_{s}", hand, wrist, places[2])
        along = unit(self.at(f"{s}-finger-3-1") - wrist)
        palm = sign * np.cross(knuckles, along)
        for finger, name in FINGERS.items():
            before = f"hand_{s}"
            for k, bend in enumerate(GRIPS[grip].bends[name], 1):
                head, tail = (self.at(f"{s}-finger-{finger}-{n}") for n in (k, k + 1))
                axis = sign * knuckles
                if name == "thumb":  # towards the palm, then across it
                    axis = unit(np.cross(tail - head, knuckles + palm * (k == 1)))
                turn = self.turn(before) @ about(axis, np.radians(bend))
                if k == 1 and name != "thumb":
                    turn = turn @ about(palm, -sign * np.radians(CLOSE[finger]))
                self.put(f"{name}_0{k}_{s}", turn, head, self.moved(before, head))
                before = f"{name}_0{k}_{s}"

    def leg(self, side: str) -> None:
        """Thigh, shin, foot; the toes stay nearer to the floor when the heel is raised."""
        s = side[0]
        f, j = self.figure.frames, self.figure.joints
        hip, knee, ankle, ball = (self.at(f"{s}-{name}") for name in ("upper-leg", "knee", "ankle", "foot-1"))
        places = [j[f"{side}_{name}"] for name in ("hip", "knee", "ankle")]
        across = np.array([1.0, 0, 0])
        self.limb(f"thigh_{s}", f[f"{side}_thigh"], (hip, knee), across, (places[0], places[1]))
        self.limb(f"calf_{s}", f[f"{side}_shin"], (knee, ankle), across, (places[1], places[2]))
        outward = float(np.degrees(np.arctan2(ball[0] - ankle[0], ball[2] - ankle[2])))
        foot = f[f"{side}_foot"] @ turn_y(-outward)
        stretch = np.diag((1, self.build.lengths["ankle_height"] / ankle[1], 1))
        self.put(f"foot_{s}", foot, ankle, places[2], stretch)
        level = swing(unit(f[f"{side}_foot"][:, 1]), UP) @ foot
        raised = foot[1, 2] < 0
        self.put(
            f"ball_{s}", between(foot, level, 0.7 if raised else 0.0), ball, self.moved(f"foot_{s}", ball), stretch
        )


def posed(a: Asset, points: Float32[np.ndarray, "p 3"], build: Build, figure: Figure, grips: dict[str, str]) -> Rig:
    """The rig of an unposed body with all its bones moved.

    Args:
        a: the asset.
        points: the unposed body.
        build: whose it is.
        figure: the pose.
        grips: side → what the hand does.
    """
    rig = Rig(a, points, build, figure)
    rig.trunk()
    for side in SIDES:
        rig.arm(side, grips[side])
        rig.leg(side)
    return rig
