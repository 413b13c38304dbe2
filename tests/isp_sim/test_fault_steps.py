"""Steps defects and lens_shading: closed forms, a region equals the whole, gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_raw_pipeline import a_raw, in_double, pipeline_of

from isp_sim.isp import defects, raw_operators
from isp_sim.isp.develop import UNCUT
from isp_sim.isp.pipeline import Box
from isp_sim.isp.raw_light import raw_light
from isp_sim.shading import edge_to_edge
from isp_sim.units import Mosaic

NOISE = torch.tensor([[[1e-3, 4e-6]] * 3])
TABLES = [np.array([[3.0, 1.5, 2.0], [2.0, 1.0, 1.5]]) + place / 8 for place in range(4)]


def mended(mosaic, threshold=8.0, listed=None):
    return defects.mended(Mosaic(mosaic), torch.tensor([[threshold]]), NOISE, "RGGB", listed)


def a_plane(height=24, width=32):
    """Light that rises evenly down and across, each place of the tile at its own level."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (0.1 + 0.002 * (down // 2) + 0.001 * (across // 2) + 0.1 * (down % 2) + 0.05 * (across % 2))[None, None]


def known_raw():
    """A raw with gains and a list: a row, a column, a square and single pixels."""
    listed = ((10, 0, 11, 128), (0, 41, 96, 42), (50, 60, 55, 65), (0, 0, 1, 1), (95, 127, 96, 128), (70, 20, 71, 21))
    return raw_light(replace(a_raw(), shading=edge_to_edge(TABLES), defects=listed), UNCUT)


def test_shading_is_made_up_for_by_its_share_and_without_gains_nothing_happens():
    light = known_raw()
    step = pipeline_of("lens_shading").steps[0].step
    for share in (0.0, 0.5, 1.0):
        out = step(light.mosaic, torch.tensor([[share]]), raw=light)
        assert torch.allclose(out, light.mosaic * (1 + share * (light.gains - 1)))
    assert raw_operators.lens_shading(light.mosaic, torch.tensor([[1.0]]), None) is light.mosaic


def test_an_even_frame_behind_the_lens_becomes_even():
    gains = torch.from_numpy(edge_to_edge(TABLES).over(96, 128))[None, None]
    out = raw_operators.lens_shading(Mosaic(0.4 / gains), torch.tensor([[1.0]]), gains)
    assert torch.allclose(out, torch.full_like(out, 0.4))


@pytest.mark.parametrize("place", [(10, 13), (0, 0), (23, 31), (11, 0), (1, 30)])
@pytest.mark.parametrize("value", [0.0, 0.9])
def test_a_pixel_that_stands_out_becomes_the_mean_of_its_more_alike_neighbours_and_others_stay(place, value):
    plane = a_plane()
    wrong = plane.clone()
    wrong[0, 0, *place] = value
    out = mended(wrong)
    others = torch.ones_like(plane, dtype=torch.bool)
    others[0, 0, *place] = False
    assert torch.equal(out[others], plane[others])
    inside = 2 <= place[0] < 22 and 2 <= place[1] < 30
    assert out[0, 0, *place].item() == pytest.approx(plane[0, 0, *place].item(), abs=1e-6 if inside else 0.003)


def test_the_threshold_counts_in_noise_and_in_the_neighbours_range():
    plane = torch.full((1, 1, 16, 16), 0.2)
    plane[0, 0, 8, 6] = 0.24  # a neighbour of the same colour: the range is 0.04
    sigma = (1e-3 * 0.24 + 4e-6 + (defects.CONTRAST * 0.04) ** 2) ** 0.5
    for beyond, share in ((7.4, 0.0), (7.75, 0.25), (8.0, 0.5), (8.25, 0.75), (8.6, 1.0)):
        plane[0, 0, 8, 8] = 0.24 + beyond * sigma
        out = mended(plane)[0, 0, 8, 8].item()
        assert out == pytest.approx(0.24 + beyond * sigma + share * (0.2 - 0.24 - beyond * sigma), rel=1e-4)


def test_detail_of_two_pixels_is_no_defect():
    plane = torch.full((1, 1, 16, 16), 0.1)
    plane[..., 8:12, 8:12] = 0.8  # two by two of each colour
    plane[..., :, 2:4] = 0.5  # a line
    assert torch.equal(mended(plane), plane)


def test_listed_lines_and_clusters_are_filled_as_light_goes_on():
    plane = a_plane(40, 48)
    listed = torch.zeros_like(plane, dtype=torch.bool)
    listed[..., 10, :] = listed[..., :, 21] = listed[..., 24:30, 30:36] = True
    out = mended(torch.where(listed, 0.0, plane), listed=listed)
    assert torch.equal(out[~listed], plane[~listed])
    assert (out - plane)[..., 2:-2, 2:-2].abs().max() < 0.004  # two steps of the ramp
    line = torch.zeros_like(listed)
    line[..., 10, :] = True
    out = mended(torch.where(line, 0.0, plane), listed=line)
    assert torch.allclose(out[..., 2:-2], plane[..., 2:-2], atol=2.1e-3)  # diagonal pairs differ least, by none


def test_a_list_is_asked_for_and_what_is_listed_alone_is_touched():
    light = known_raw()
    with_list, without = (pipeline_of({"defects": {"listed": flag}}).steps[0].step for flag in (True, False))
    high = torch.tensor([[100.0]])
    assert torch.equal(without(light.mosaic, high, raw=light), light.mosaic)
    changed = with_list(light.mosaic, high, raw=light) != light.mosaic
    assert (changed & ~light.listed).sum() == 0 and changed.sum() > 0.9 * light.listed.sum()


def test_a_cluster_deeper_than_the_passes_keeps_its_core():
    plane, listed = torch.full((1, 1, 64, 64), 0.3), torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    listed[..., 10:50, 10:50] = True
    out = defects.fill(Mosaic(torch.where(listed, 0.0, plane)), listed)
    depth = 2 * defects.PASSES
    assert (out[..., 10 + depth : 50 - depth, 10 + depth : 50 - depth] == 0).all()
    assert (out == 0.3).sum() == 64 * 64 - (40 - 2 * depth) ** 2


@pytest.mark.parametrize("box", [Box(30, 5, 17, 9), Box(0, 0, 5, 5), Box(55, 45, 20, 20), Box(0, 0, 128, 96)])
def test_a_region_equals_the_whole(box):
    pipeline, light = pipeline_of("defects", "lens_shading", {"exposure": {"plane": "linear"}}), known_raw()
    values = pipeline.base(light)
    inside = (..., slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    assert torch.allclose(pipeline.region(light, values, box), pipeline(light, values)[inside], atol=1e-6)


def test_gradients_of_mosaic_and_parameters():
    raw = replace(a_raw(8, 12), shading=edge_to_edge(TABLES), defects=((2, 3, 3, 4), (5, 0, 6, 12)))
    light = in_double(raw_light(raw, UNCUT))
    light = replace(light, gains=light.gains.double())
    mosaic = light.mosaic.clone()
    step = pipeline_of("defects").steps[0].step
    mosaic[0, 0, 4, 6] = mosaic[0, 0, 2:7:2, 4:9:2].max() + 0.03
    pipeline = pipeline_of("defects", "lens_shading")
    values = pipeline.base(light).detach()
    unlimited = step(mosaic, values[:, :1] * 0 + 1, raw=light)[0, 0, 4, 6]
    for threshold in torch.linspace(1.1, 9, 80):
        values[0, 0] = threshold
        once = step(mosaic, values[:, :1], raw=light)[0, 0, 4, 6]
        share = (once - mosaic[0, 0, 4, 6]) / (unlimited - mosaic[0, 0, 4, 6])
        if 0.2 < share < 0.8:  # on the slope
            break

    def developed(mosaic, values):
        return pipeline(replace(light, mosaic=Mosaic(mosaic)), values)

    values.requires_grad_()
    assert torch.autograd.gradcheck(developed, (mosaic.requires_grad_(), values), atol=1e-4, fast_mode=True)
    (gradient,) = torch.autograd.grad(developed(mosaic, values).sum(), values)
    assert gradient[0, 0] != 0 and gradient[0, 1] != 0


def test_one_list_serves_many_and_a_picture_does_not_know_its_batch():
    pipeline, light = pipeline_of("defects", "lens_shading"), known_raw()
    values = torch.tensor([[8.0, 1.0], [3.0, 0.5]])
    together = pipeline(light, values)
    for place in range(2):
        assert torch.equal(pipeline(light, values[place : place + 1])[0], together[place])
