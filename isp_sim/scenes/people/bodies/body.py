"""One dressed, posed body with its joints."""

import numpy as np
from jaxtyping import Float64

from isp_sim.scenes import JOINTS
from isp_sim.scenes.people.bodies.asset import asset
from isp_sim.scenes.people.bodies.blend import skinned, smooth_normals
from isp_sim.scenes.people.bodies.carried import carried
from isp_sim.scenes.people.bodies.dress import dressed
from isp_sim.scenes.people.bodies.pose import posed
from isp_sim.scenes.people.bodies.shape import shaped
from isp_sim.scenes.people.figure.clothes import Outfit
from isp_sim.scenes.people.figure.poses import Pose
from isp_sim.scenes.people.figure.skeleton import Build, Figure, joint_array
from isp_sim.scenes.people.raycast.mesh import Mesh

SLACK = {
    "shoulder": 0.060, "elbow": 0.046, "wrist": 0.036, "hip": 0.105, "knee": 0.056, "ankle": 0.052, "head": 0.065,
    "neck": 0.072,
}  # fmt: skip
"""How deep a joint may lie under its own surface, cloth included; a surface nearer than that hides it. Over stature;
read off rendered figures."""


def body(build: Build, figure: Figure, outfit: Outfit, pose: Pose) -> tuple[Mesh, Float64[np.ndarray, "joints 3"]]:
    """A person's mesh, standing on y = 0, and its `JOINTS`, m, in the frame of the package.

    Args:
        build: shape and lengths.
        figure: bones in that build's pose.
        outfit: what is worn and carried.
        pose: for what the hands do.
    """
    a = asset()
    points = shaped(a, build)
    rig = posed(a, points, build, figure, pose.hands)
    cloth = dressed(a, outfit, points)
    used, triangles = np.unique(cloth.triangles, return_inverse=True)
    rest, triangles = cloth.points[used], triangles.reshape(-1, 3).astype(np.int32)
    place, material = skinned(rest, cloth.weights[used], rig.moves), cloth.material
    for thing, faces, row in carried(rig, outfit, pose):
        triangles = np.concatenate((triangles, (faces + len(place)).astype(np.int32)))
        material = np.concatenate((material, np.full(len(faces), row, np.int32)))
        place, rest = (np.concatenate((points, thing.astype(np.float32))) for points in (place, rest))
    joints = joint_array(figure, JOINTS)
    joints[JOINTS.index("head")] = rig.moved("head", rig.crown)
    low = place[:, 1].min()
    place[:, 1] -= low
    joints[:, 1] -= low
    return Mesh(place, smooth_normals(place, triangles), triangles, material, rest), joints


def joint_slack(build: Build, names: tuple[str, ...]) -> Float64[np.ndarray, " joints"]:
    """`SLACK` of the named joints, m."""
    thick = build.stature_m * max(build.girth, 1.0)
    return np.array([SLACK[name.split("_")[-1]] * thick for name in names])
