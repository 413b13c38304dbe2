"""Distances between lightings' features against values worked out by hand."""

import pytest
import torch

from models.scoring.feature_distance import content, distances, modified_hausdorff, style


def test_the_modified_hausdorff_distance_is_the_larger_of_the_mean_nearest_distances():
    """From {0, 10} to {0}: mean of 0 and 10; back: 0. The larger, whichever comes first."""
    two, one = torch.tensor([[0.0], [10.0]]), torch.tensor([[0.0]])
    assert modified_hausdorff(two, one) == modified_hausdorff(one, two) == 5
    assert modified_hausdorff(two, two) == 0


def test_style_does_not_see_where_a_feature_is_and_content_does():
    """A Gram matrix sums over places: 2 channels of 8×8, one cell of 3 and 4 → 9, 12, 12, 16 over 128 weights."""
    here, there = torch.zeros(2, 1, 2, 8, 8)
    here[0, :, 0, 0] = there[0, :, 7, 7] = torch.tensor([3.0, 4.0])
    assert (style(here) * 128).flatten().tolist() == pytest.approx([9, 12, 12, 16])
    assert torch.equal(style(here), style(there)) and not torch.equal(content(here), content(there))
    ((styles, features),) = distances([here], [there])
    assert styles == 0 and features == pytest.approx((2 * (0.75**2 + 1)) ** 0.5 / 32**0.5)  # a cell of 4: a quarter
