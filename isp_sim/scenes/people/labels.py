"""What is true of a rendered scene: joints with visibility, boxes, planes."""

import numpy as np
from jaxtyping import Bool, Float64

from isp_sim.scenes import JOINTS, Person
from isp_sim.scenes.people.bodies.body import joint_slack
from isp_sim.scenes.people.figure.skeleton import Build
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.raycast.mesh import Mesh
from isp_sim.scenes.people.raycast.render import Rendered
from isp_sim.scenes.people.raycast.triangles import entered

Planes = dict[str, np.ndarray]
DEPTH_LIMIT_MM = 65535
SLACK_M = 0.03
"""What may lie before a visible joint's own surface."""


def joints_visible(
    spots: Float64[np.ndarray, "joints 3"], under_m: Float64[np.ndarray, " joints"], camera: Camera, rendered: Rendered
) -> Bool[np.ndarray, " joints"]:
    """A joint is visible when it is in the picture and what its pixel shows is its own limb's surface, or not more than
    `SLACK_M` and a pixel's width before it.

    Args:
        spots: joints as `Camera.project` gives them: pixels and depth in m.
        under_m: how deep each joint lies under its own limb's surface.
        camera: as rendered.
        rendered: the depth buffer.
    """
    height, width = rendered.depth_m.shape
    x, y = np.rint(spots[:, 0]).astype(int), np.rint(spots[:, 1]).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (spots[:, 2] > 0)
    surface = rendered.depth_m[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    slack = SLACK_M + spots[:, 2] / camera.focal_px
    return np.asarray(inside & (surface >= spots[:, 2] - under_m - slack))


def depths_under_skin(
    mesh: Mesh, joints: Float64[np.ndarray, "joints 3"], build: Build, camera: Camera
) -> Float64[np.ndarray, " joints"]:
    """How deep each joint lies under its own limb's surface, cloth and hair included, seen from the camera, m along the
    axis (`entered`), but not deeper than a limb is thick (`joint_slack`); so deep, too, if it lies in no limb.
    """
    eye = np.array([camera.x, camera.y, camera.z])
    share = np.empty(len(joints))
    entered(mesh.vertices, mesh.triangles, eye, joints, share)
    most = joint_slack(build, JOINTS)
    return np.where(share < 1, np.minimum((1 - share) * camera.project(joints)[:, 2], most), most)


def person(
    instance: int,
    joints: Float64[np.ndarray, "joints 3"],
    under_m: Float64[np.ndarray, " joints"],
    camera: Camera,
    rendered: Rendered,
) -> Person | None:
    """One person's labels; nothing of someone who has no pixel.

    Args:
        instance: number in the instance plane.
        joints: in the world, m.
        under_m: how deep each lies in its limb.
        camera: as rendered.
        rendered: planes.
    """
    rows = np.flatnonzero((rendered.instance == instance).any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero((rendered.instance == instance).any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0])
    spots = camera.project(joints)
    visible = joints_visible(spots, under_m, camera, rendered)
    height, width = rendered.depth_m.shape
    keypoints = []
    for (x, y, _), v in zip(spots.tolist(), visible.tolist(), strict=True):
        inside = -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5
        keypoints.append((x, y, 2 if v else 1) if inside else (0.0, 0.0, 0))
    return Person(tuple(keypoints), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))


def planes(rendered: Rendered) -> Planes:
    """The maps that are written beside the pictures: class, person, depth in mm (0: farther than 65.5 m)."""
    depth = np.rint(np.where(np.isfinite(rendered.depth_m), rendered.depth_m, 0) * 1000)
    depth = np.where(depth > DEPTH_LIMIT_MM, 0, depth).astype(np.uint16)
    return {"semantic": rendered.semantic, "instances": rendered.instance, "depth": depth}
