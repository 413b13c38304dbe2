"""Triangles: shadow rays, the rasteriser and the sky against the same found by trying every triangle."""

import numpy as np
import pytest
import torch

from isp_sim.scenes.people import materials
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.raycast.hierarchy import shadowed
from isp_sim.scenes.people.raycast.light import Lights, Sky
from isp_sim.scenes.people.raycast.mesh import Mesh
from isp_sim.scenes.people.raycast.render import render
from isp_sim.scenes.people.raycast.triangles import OPEN, entered, gather_bodies, on_triangle, rasterise
from isp_sim.scenes.people.shapes import Builder, turn_x, turn_y


def sphere(radius, at, rings=24, row=0):
    """A ball of triangles, wound outwards: `Mesh` at rest round the origin."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1))
    normals = np.stack((np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)), -1)
    normals = normals.reshape(-1, 3).astype(np.float32)
    corner = (np.arange(2 * rings)[:, None] * (rings + 1) + np.arange(rings)).ravel()
    one = np.column_stack((corner, corner + rings + 2, corner + 1))
    other = np.column_stack((corner, corner + rings + 1, corner + rings + 2))
    triangles = np.concatenate((one, other)).astype(np.int32)
    sides = normals[triangles]
    area = np.linalg.norm(np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0]), axis=1)
    triangles = triangles[area > 1e-9]
    sides = normals[triangles]
    assert (np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0]) * sides[:, 0]).sum(axis=1).min() > 0
    rest = normals * np.float32(radius)
    return Mesh(rest + np.asarray(at, np.float32), normals, triangles, np.full(len(triangles), row, np.int32), rest)


def crossings(mesh, start, way):
    """Every triangle: where a ray crosses it, NaN elsewhere; and whether it looks at the ray's start."""
    a, b, c = (mesh.vertices[mesh.triangles[:, n]].astype(float) for n in range(3))
    normal = np.cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = ((a - start) * normal).sum(axis=1) / (normal @ way)
    point = start + t[:, None] * way
    inside = [(np.cross(q - p, point - p) * normal).sum(axis=1) >= 0 for p, q in ((a, b), (b, c), (c, a))]
    return np.where(np.logical_and.reduce(inside), t, np.nan), normal @ way < 0


@pytest.fixture(scope="module")
def meshes():
    return [sphere(0.5, (0.0, 0.2, 4.0)), sphere(0.3, (0.6, 0.9, 3.2)), sphere(0.4, (-0.9, 0.0, 5.0))]


def packed(meshes):
    return gather_bodies(meshes, [np.full(len(mesh.triangles), n) for n, mesh in enumerate(meshes)])


def test_a_shadow_ray_is_stopped_where_any_triangle_stops_it(meshes):
    bodies, stream = packed(meshes), np.random.default_rng(0)
    stopped = 0
    for _ in range(400):
        start, way = stream.uniform((-2, -1, 2), (2, 2, 6)), stream.normal(size=3)
        t = np.concatenate([crossings(mesh, start, way)[0] for mesh in meshes])
        expected = bool(((t > 0) & (t < 1.5)).any())
        assert shadowed(bodies.nodes, bodies.triangles, *start, *way, 1.5) == expected
        stopped += expected
    assert 15 < stopped < 385


def test_the_rasteriser_sees_the_first_triangle_on_each_ray(meshes):
    camera, bodies = Camera(0.0, 0.3, 0.0, 0.1, 60.0, 48, 64), packed(meshes)
    spots = camera.project(np.concatenate([mesh.vertices for mesh in meshes]))
    spots[:, 2] = 1 / spots[:, 2]
    nearness, which = np.empty((48, 64), np.float32), np.empty((48, 64), np.int32)
    rasterise(0, 48, bodies.triangles, spots, 0.25, -0.125, nearness, which)
    eye, c, s = np.array([0.0, 0.3, 0.0]), np.cos(0.1), np.sin(0.1)
    for y in range(0, 48, 2):
        for x in range(0, 64, 2):
            u, v = (x + 0.25 - 31.5) / 60, (23.5 - y + 0.125) / 60
            t = np.concatenate([crossings(m, eye, np.array([u, c * v - s, s * v + c]))[0] for m in meshes])
            assert (which[y, x] >= 0) == np.isfinite(t).any()
            if which[y, x] >= 0:
                assert 1 / nearness[y, x] == pytest.approx(np.nanmin(t), rel=1e-5)
    assert 200 < (which >= 0).sum() < 2000


def test_a_point_is_entered_where_the_outermost_layer_over_it_is():
    """Two balls, one in the other, are a limb and its sleeve; the ball before them is another limb."""
    sleeve, limb, other = (sphere(r, (0.0, 0.2, z)) for r, z in ((0.5, 4.0), (0.44, 4.0), (0.4, 2.9)))
    starts = np.cumsum([0, len(sleeve.vertices), len(limb.vertices)])
    triangles = [mesh.triangles + start for mesh, start in zip((sleeve, limb, other), starts, strict=True)]
    vertices = np.concatenate([mesh.vertices for mesh in (sleeve, limb, other)])
    eye, stream = np.array([0.1, 0.3, 0.0]), np.random.default_rng(1)
    points = stream.uniform((-0.6, -0.4, 3.4), (0.6, 0.8, 4.6), (200, 3))
    out = np.empty(200)
    entered(vertices, np.concatenate(triangles).astype(np.int32), eye, points, out)
    inside = np.linalg.norm(points - (0.0, 0.2, 4.0), axis=1) < 0.495
    assert inside.sum() > 40
    for point, share in zip(points[inside], out[inside], strict=True):
        t, looks = crossings(sleeve, eye, point - eye)
        assert share == pytest.approx(t[looks & (t <= 1)][0], abs=1e-6)


def test_a_ball_sees_the_whole_sky_and_a_ball_in_a_ball_none_of_it():
    alone, within = sphere(0.4, (0, 0, 3)), sphere(0.4, (0, 0, 3))
    shell = sphere(0.9, (0, 0, 3), rings=160)  # the depth maps take vertices for the surface
    both = Mesh(
        np.concatenate((within.vertices, shell.vertices)),
        np.concatenate((within.normals, shell.normals)),
        np.concatenate((within.triangles, shell.triangles + len(within.vertices))).astype(np.int32),
        np.zeros(len(within.triangles) + len(shell.triangles), np.int32),
        np.concatenate((within.rest, shell.rest)),
    )
    free, hidden = packed([alone]).vertices[:, OPEN], packed([both]).vertices[:, OPEN]
    assert free.min() > 0.95
    assert hidden[: len(within.vertices)].max() < 0.15
    assert hidden[len(within.vertices) :].mean() > 0.9


def test_normals_and_places_at_rest_move_with_the_triangle(meshes):
    turn, shift = turn_y(40) @ turn_x(25), np.array([0.3, 0.1, -0.2])
    moved = meshes[0].moved(turn, shift)
    for mesh in (meshes[0], moved):
        bodies = packed([mesh])
        for i in range(0, len(bodies.triangles), 97):
            row = bodies.triangles[i]
            point = row[:3] + 0.2 * row[3:6] + 0.5 * row[6:9]
            nx, ny, nz, *rest, _, ox, oy, oz = on_triangle(bodies.triangles, bodies.vertices, i, *point)
            normal, start = np.array([nx, ny, nz]), np.array([ox, oy, oz])
            back = (point - shift) @ turn if mesh is moved else point
            assert np.array(rest[:3]) == pytest.approx(back - (0, 0.2, 4.0), abs=2e-5)
            centre = turn @ (0, 0.2, 4.0) + shift if mesh is moved else np.array([0, 0.2, 4.0])
            assert normal @ (point - centre) > 0.99 * np.linalg.norm(point - centre)
            assert 0.5 - np.linalg.norm(start - centre) < 1e-3  # shadow rays start on the ball, not on its facets


def test_bodies_and_solids_hide_each_other_and_threads_change_nothing():
    table = materials.Materials()
    grey = table.add((0.5, 0.5, 0.5))
    add = Builder(5)
    add.box(np.array([0.0, 0, 3.0]), np.eye(3), (0.2, 2.0, 0.1), grey)  # before the one body, behind the other
    people = [sphere(0.5, (0, 0, 4.0), row=grey), sphere(0.25, (0, 0.5, 2.0), row=grey)]
    sky = Sky(True, (1, 1, 1), (1, 1, 1), 0, (0, 1, 0), 0, (1, 1, 1), (1, 1, 1), 0)
    lights = Lights(np.zeros((0, 16)), sky.row(), np.zeros((0, 5)))
    camera = Camera(0.0, 0.0, 0.0, 0.0, 100.0, 96, 128)
    threads, seen = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            seen.append(render(add.shapes(), people, table.table(), lights, camera))
    finally:
        torch.set_num_threads(threads)
    for other in seen[1:]:
        assert all((a == b).all() for a, b in zip(seen[0], other, strict=True))
    first = seen[0]
    assert first.instance[48, 64] == 0 and first.semantic[48, 64] == 5 and first.depth_m[48, 64] == pytest.approx(2.9)
    assert first.instance[48, 72] == 1 and first.depth_m[48, 72] == pytest.approx(3.56, abs=0.1)
    assert first.instance[24, 64] == 2 and first.depth_m[24, 64] == pytest.approx(1.75, abs=0.03)
    assert set(np.unique(first.instance)) == {0, 1, 2}
