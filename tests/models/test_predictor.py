"""The predictor: its size, where it starts, what it looks at, that it draws from its own generator alone."""

import pytest
import torch

from isp_sim.isp.pipeline import Entry, Pipeline
from models.isp.predictor import CROP, Predictor


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch=2, height=288, width=320, seed=1, level=0.02):
    return torch.rand(batch, 3, height, width, generator=stream(seed)) * level


def trained(**settings):
    """A predictor whose head and normalisation say something."""
    predictor = Predictor(Pipeline(), stream(), **settings).eval()
    with torch.no_grad():
        predictor.head.weight.normal_(0, 0.01, generator=stream(2))
        for norm in predictor.norms:
            norm.running_mean.normal_(0, 0.1, generator=stream(3))
            norm.running_var.uniform_(0.5, 2, generator=stream(4))
    return predictor


def test_it_has_454408_parameters_for_8_outputs():
    predictor = Predictor(Pipeline(), stream())
    assert sum(p.numel() for p in predictor.parameters() if p.requires_grad) == 454_408
    assert sum(t.numel() for t in predictor.state_dict().values()) == 454_859
    assert Pipeline().size == 8


def test_the_head_follows_the_pipeline():
    pipeline = Pipeline(steps=(Entry.model_validate("gamma"), Entry.model_validate("white_balance")))
    assert Predictor(pipeline, stream()).eval()(pictures(1)).shape == (1, 4)


@pytest.mark.parametrize("training", [False, True])
def test_untrained_it_says_where_the_pipeline_starts(training):
    image = pictures()
    predictor = Predictor(Pipeline(), stream()).train(training)
    values = predictor(image, stream()).detach()
    assert torch.allclose(values, Pipeline().base(image), rtol=1e-4)
    assert Pipeline()(image, values).mean(dim=(1, 2, 3)) == pytest.approx([0.4, 0.4], abs=1e-3)


@pytest.mark.parametrize("crop", ["whole", "thumbnail"])
def test_evaluated_an_image_does_not_know_its_batch(crop):
    predictor = trained(crop=crop)
    image = pictures(3) * torch.tensor([0.1, 1, 40])[:, None, None, None]
    together = predictor(image)
    for place in range(3):
        assert torch.allclose(predictor(image[place : place + 1])[0], together[place], rtol=1e-4)
    assert torch.equal(predictor(image), together)


def test_the_whole_images_map_is_the_mean_over_windows():
    predictor = trained()
    image = pictures(1, CROP + 32, CROP, level=1.0)
    features = image * 0.4 / image.mean()
    for place in range(5):
        features = torch.relu(predictor._layer(place, features))
    windows = [predictor.head(features[:, :, top : top + 8] / 8192**0.5).flatten() for top in (0, 1)]
    base = predictor.pipeline.base(image)
    due = predictor.pipeline.steer(base, torch.stack(windows).mean(0)[None])
    assert torch.allclose(predictor(image), due, rtol=1e-4)


def test_running_statistics_begin_as_the_mean_of_what_was_seen():
    predictor = Predictor(Pipeline(), torch.Generator().manual_seed(0)).train()
    means = []
    for number in range(3):
        image = pictures(1, CROP, CROP, seed=number) ** (1 + number)
        with torch.no_grad():
            first = predictor.convolutions[0](image * 0.4 / image.mean())
        means.append(first.mean(dim=(0, 2, 3)))
        predictor(image, torch.Generator().manual_seed(number))
    assert torch.allclose(predictor.norms[0].running_mean, torch.stack(means).mean(0), atol=1e-5)


@pytest.mark.parametrize("height", [256, 257, 300, 511, 544, 600])
def test_bands_give_what_the_whole_gives(height):
    predictor = trained()
    image = pictures(1, height, 256, level=1.0)
    whole = image
    for place in range(5):
        whole = torch.relu(predictor._layer(place, whole))
    assert torch.allclose(predictor._features(image, torch.ones(1)), whole, atol=1e-4)


def test_normalisation_folded_into_the_convolution_is_the_same():
    predictor = trained()
    seen = pictures(1, level=1.0)
    for place in range(3):
        due = predictor.norms[place](predictor.convolutions[place](seen))
        seen = predictor._layer(place, seen)
        assert torch.allclose(seen, due, atol=1e-4)


def test_random_crops_and_dropout_come_from_the_generator_alone():
    predictor = trained().train()
    before = torch.get_rng_state()
    first, again, other = (predictor(pictures(), stream(seed)) for seed in (5, 5, 6))
    fresh = Predictor(Pipeline(), stream())
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.allclose(first, other)
    assert again.shape == first.shape
    twin = Predictor(Pipeline(), stream())
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), twin.parameters(), strict=True))
    cropping = trained(crop="random")
    assert torch.equal(cropping(pictures(), stream(5)), cropping(pictures(), stream(5)))
    assert not torch.equal(cropping(pictures(), stream(5)), cropping(pictures(), stream(6)))


def test_training_or_random_crops_without_a_generator_are_refused():
    with pytest.raises(ValueError, match=r"expected a torch\.Generator"):
        trained().train()(pictures())
    with pytest.raises(ValueError, match=r"expected a torch\.Generator"):
        trained(crop="random")(pictures())


def test_a_small_image_is_told_to_use_the_thumbnail():
    image = pictures(1, 100, 300)
    with pytest.raises(ValueError, match="300×100 pixels: expected at least 256×256, or crop 'thumbnail'"):
        trained()(image)
    assert trained(crop="thumbnail")(image).isfinite().all()


def test_a_black_image_gives_finite_values():
    assert trained()(torch.zeros(1, 3, CROP, CROP)).isfinite().all()


def test_it_learns():
    """A few steps bring the picture's mean to where the loss wants it."""
    predictor = Predictor(Pipeline(), stream()).train()
    image = pictures(4, CROP, CROP)
    optimiser = torch.optim.Adam(predictor.parameters(), 1e-3)
    losses = []
    for step in range(6):
        values = predictor(image, stream(step))
        loss = (torch.log2(values[:, 0] * image.mean(dim=(1, 2, 3))) - torch.log2(torch.tensor(0.1))).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_frozen_its_gradients_still_reach_the_image():
    predictor = trained().requires_grad_(False)
    image = pictures(1).requires_grad_()
    Pipeline()(image, predictor(image)).sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in predictor.parameters())
