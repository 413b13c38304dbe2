"""Training of enhancers: patches, batches in turn, resuming to the same weights, the command; scores of pictures."""

import copy
import math

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from models import train_enhancer
from models.choices import ENHANCERS, SLLEN_LOSSES
from models.data.samples import PairSample
from models.engine.training import CHECKPOINT, Recipe, Training
from models.enhance.learners import (
    Guidance,
    RuasLearner,
    SciLearner,
    SllenBatch,
    SllenLearner,
    ZeroDceLearner,
    sllen_batches,
)
from models.enhance.networks.sdag import Sdag, stem_of
from models.enhance.networks.sllen_losses import VOID
from models.enhance.patches import Patches
from models.enhance.recipe import EnhancerRecipe, Frozen, load_recipe, new_learner, new_network
from models.enhance.voc import VocPictures, darkened, read_map
from models.enhance.weights import build, load_enhancer_network, load_sdag, save_sdag
from models.pose.network import Cpn
from models.recognisers.weights import SHIPPED, load_network
from models.runs import enhancer_training
from models.scoring.picture_quality import ClassOverlap, QualityProtocol, psnr_ssim

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


class Invented:
    """Dark and bright pictures of the same thing, with a map of two classes."""

    def __init__(self, groups=4):
        self.groups = groups

    def __len__(self):
        return self.groups

    def group(self, index):
        stream = np.random.default_rng(index)
        well = stream.integers(0, 255, (40, 48, 3), np.uint8)
        semantic = (well[..., 0] > 127).astype(np.uint8)
        return [PairSample(f"{index}", (well // 8).astype(np.uint8), well, (), "LL-N", None, semantic)]


def patches(source=None, **changes):
    settings = {"side": 16, "batch": 2, "each": 2, "scaling": "none", "seed": 0} | changes
    return Patches(source or Invented(), *settings.values(), CPU)


def stem():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return stem_of(Cpn("small", lsbn=True))


def frozen():
    return Frozen(stem=stem(), enhancer=build("sci").eval().requires_grad_(False))


def recipe(model="gladnet", **changes):
    training = Recipe(epochs=2, learning_rate=1e-3, bf16=False)
    return EnhancerRecipe(patch=16, patches=2, width=8, training=training).model_copy(update=changes)


def test_patches_are_the_same_of_both_pictures_and_of_the_map():
    seen = list(patches()(0))
    assert [round(share, 2) for share, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    for _, batch in seen:
        well = (batch.well_lit * 255).round()
        assert torch.equal((batch.low_light * 255).round(), (well / 8).floor())
        assert torch.equal(batch.classes, (well[:, 0] > 127).to(torch.uint8))


def test_patches_depend_on_seed_and_epoch_alone():
    first, again, later = (next(iter(patches()(epoch)))[1] for epoch in (0, 0, 1))
    assert torch.equal(first.low_light, again.low_light) and not torch.equal(first.low_light, later.low_light)
    assert first.key == (0, 0, 0)


def test_scaling_takes_the_whole_picture():
    lots = [batch.low_light for _, batch in patches(scaling="mean-0.4", side=40, each=1)(0)]
    assert torch.cat(lots).mean() == pytest.approx(0.4, abs=0.03)  # what is above white is cut, a column or so lacks


def test_a_picture_smaller_than_a_patch_is_told():
    with pytest.raises(ValueError, match="48×40 px; patches of 64 px"):
        list(patches(side=64)(0))


APART = "sllen trained apart"
"""SLLEN-4: in the first epoch only the segmenter learns, so that most weights have no moments in its checkpoint."""


@pytest.mark.parametrize("model", [*ENHANCERS, APART])
def test_every_model_trains_resumes_to_the_same_weights_and_is_written(tmp_path, model):
    about = {"data": "invented"}
    changes, calls = {}, 5
    if model == APART:
        model, changes, calls = "sllen", {"alternating": False}, 9  # once more for the gradient
    elif model == "sllen":
        calls = 13  # it looks twice
    for name, epochs in (("whole", 2), ("parts", 1)):
        optimiser = "sgd" if model == "ruas" else "adam"
        training = recipe().training.model_copy(update={"epochs": 2, "optimiser": optimiser})
        said = recipe(**changes).model_copy(update={"training": training, "denoise": True})
        folder = tmp_path / name
        if epochs == 1:  # stopped after an epoch
            with pytest.raises(KeyboardInterrupt):
                enhancer_training.train(model, said, Stopping(calls), None, folder, CPU, False, about, QUIET, frozen())
            assert (folder / CHECKPOINT).exists()
        resume = epochs == 1
        enhancer_training.train(model, said, Invented(), Invented(1), folder, CPU, resume, about, QUIET, frozen())
    whole, parts = ((tmp_path / n / "weights.safetensors") for n in ("whole", "parts"))
    if model == "sdag":
        first, second = (load_sdag(path) for path in (whole, parts))
    else:
        (first, said_model, _), (second, *_) = (load_enhancer_network(path) for path in (whole, parts))
        assert said_model == model
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    log = (tmp_path / "whole" / "log.csv").read_text()
    assert ("rebuilt apart" if model == "sdag" else "PSNR") in log
    assert ("mIoU" in log) == (model == "sllen")


class Stopping(Invented):
    """Ctrl-C in the second epoch."""

    def __init__(self, limit):
        super().__init__()
        self.asked, self.limit = 0, limit

    def group(self, index):
        self.asked += 1
        if self.asked > self.limit:
            raise KeyboardInterrupt
        return super().group(index)


def test_a_guidance_on_the_shipped_networks_stem_is_read_again(tmp_path):
    with torch.random.fork_rng(devices=[]):
        network = Sdag(stem_of(load_network(SHIPPED))).eval()
    save_sdag(network, tmp_path / "sdag.safetensors", {})
    image = torch.rand(1, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_sdag(tmp_path / "sdag.safetensors")(image), network(image))


def test_another_training_in_the_folder_is_refused(tmp_path):
    enhancer_training.train("sci", recipe(), Invented(), None, tmp_path, CPU, False, {}, QUIET)
    with pytest.raises(ValueError, match="--resume"):
        enhancer_training.train("sci", recipe(), Invented(), None, tmp_path, CPU, False, {}, QUIET)
    with pytest.raises(ValueError, match="model = 'sci'"):
        enhancer_training.train("gladnet", recipe(), Invented(), None, tmp_path, CPU, True, {}, QUIET)


@pytest.mark.parametrize("learner_of", [ZeroDceLearner, SciLearner, RuasLearner])
def test_guidance_moves_the_enhancer_and_nothing_frozen(learner_of):
    with torch.random.fork_rng(devices=[]):
        guide = Sdag(stem()).eval().requires_grad_(False)
    before = copy.deepcopy(guide.state_dict())
    network = build({ZeroDceLearner: "zero-dce", SciLearner: "sci", RuasLearner: "ruas"}[learner_of])
    learner = learner_of(network, Guidance(guide, 2.0))
    batch = next(iter(patches(side=32)(0)))[1]
    terms = learner.losses(batch)
    assert "guidance" in terms
    terms["guidance"].backward()
    assert sum(p.grad.abs().sum() for p in network.parameters() if p.grad is not None) > 0
    assert all(p.grad is None for p in guide.parameters())
    assert all(torch.equal(value, guide.state_dict()[name]) for name, value in before.items())
    assert not any("guid" in name or "stem" in name for name in learner.state_dict())


@pytest.mark.parametrize("model", ["gladnet", "sllen", "sdag"])
def test_guidance_is_refused_where_there_is_a_target(model):
    network = new_network(model, recipe(), stem())
    with pytest.raises(ValueError, match="which have no target"):
        new_learner(network, recipe(), Frozen(Sdag(stem()), stem()), Invented())


def test_gradient_descent_has_a_momentum_of_0_9_and_its_rate_as_released(tmp_path):
    """Of a sum of weights the gradient is 1: two steps at 0.015 go 0.015·(1 + 1.9)."""
    network = nn.Linear(3, 1)
    start = network.weight.detach().clone()
    released = load_recipe("full", "ruas").training
    said = released.model_copy(update={"epochs": 1, "weight_decay": 0.0})
    training = Training(network, lambda _: {"sum": network.weight.sum()}, said, tmp_path, CPU, {})
    training.open(False)
    training.run(lambda _: [(0.5, None), (1.0, None)], lambda _: {}, QUIET)
    assert training.steps == 2 and torch.allclose(start - network.weight, torch.tensor(0.015 * 2.9), atol=1e-6)


def test_ruass_denoiser_learns_apart_and_begins_by_taking_nothing_away():
    network = build("ruas", denoise=True)
    batch = next(iter(patches(side=32)(0)))[1]
    with torch.no_grad():
        assert torch.equal(network(batch.low_light), network.unrolled(batch.low_light)[-1][0])
    terms = RuasLearner(network).losses(batch)
    assert set(terms) == {"fidelity", "smoothness", "denoise"}
    terms["denoise"].backward(retain_graph=True)
    assert all(p.grad is None for p in network.stages.parameters())
    assert network.denoiser.leave.weight.grad.abs().sum() > 0
    terms["fidelity"].backward()
    assert all(p.grad is not None for p in network.stages.parameters())


def test_sllens_segmenter_and_enhancer_learn_in_turn():
    own, other = patches(), patches(seed=1)
    turns = [(b.segment is not None, b.enhance is not None) for _, b in sllen_batches(own, other)(0)]
    assert turns == [(True, False), (False, True)] * 4
    assert all(b.segment is None for _, b in sllen_batches(own, None)(0))
    apart = sllen_batches(own, other, apart=1)  # SLLEN-4: one after the other
    assert all(b.enhance is None for _, b in apart(0)) and all(b.segment is None for _, b in apart(1))


def test_sllens_losses_have_their_names_and_the_perceptual_one_only_with_a_stem():
    network = build("sllen", classes=2, width=8)
    batch = SllenBatch(*(next(iter(patches()(0)))[1] for _ in range(2)))
    plain = SllenLearner(network, 0.1).losses(batch)
    five = {"fidelity", "distillation", "illumination", "gradient"}
    assert set(plain) == five | {"segmentation"}
    assert set(SllenLearner(network, 0.1, stem()).losses(batch)) == five | {"segmentation", "perceptual"}
    for name in SLLEN_LOSSES:
        left = set(SllenLearner(network, 0.1, stem(), [name]).losses(batch))
        assert left == (five | {"segmentation", "perceptual"}) - {name}


def test_a_moving_average_is_written_and_judged_and_the_rate_falls_by_steps(tmp_path):
    """Released SDAG's halvings and GLADNet's 0.96 every 100 steps; after one step the average has a quarter of it."""
    halved = Recipe(learning_rate=2e-4, decay="exponential", factor_steps=20_000, falls=5)
    assert [halved.rate(0, n) for n in (0, 19_999, 20_000, 10**6)] == pytest.approx([2e-4, 2e-4, 1e-4, 2e-4 / 32])
    even = load_recipe("full", "gladnet").training
    assert [even.rate(0, n) for n in (0, 50, 100)] == pytest.approx([1e-3, 1e-3 * 0.96**0.5, 0.96e-3])
    training = Recipe(epochs=1, learning_rate=1e-3, bf16=False, average=0.75)
    said = recipe().model_copy(update={"training": training, "patches": 8})  # one step
    enhancer_training.train("sci", said, Invented(), None, tmp_path / "a", CPU, False, {}, QUIET)
    plain = said.model_copy(update={"training": training.model_copy(update={"average": 0.0})})
    enhancer_training.train("sci", plain, Invented(), None, tmp_path / "b", CPU, False, {}, QUIET)
    averaged, last = (load_enhancer_network(tmp_path / n / "weights.safetensors")[0] for n in "ab")
    for mean, end, start in zip(averaged.parameters(), last.parameters(), build("sci").parameters(), strict=True):
        assert torch.allclose(mean, 0.75 * start + 0.25 * end, atol=1e-6)


@pytest.mark.parametrize("model", ENHANCERS)
@pytest.mark.parametrize("name", ["quick", "full"])
def test_recipes_that_come_with_the_package_can_be_read(model, name):
    assert isinstance(load_recipe(name, model), EnhancerRecipe)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--recipe", "no"], "one of full, quick"),
        (["--model", "ruas", "--recipe", "no"], "one of full, photos, quick"),
        (["--model", "sci", "--without", "fusion"], "parts of --model sllen"),
        (["--model", "sci", "--without-losses", "gradient"], "parts of --model sllen"),
        (["--model", "sllen", "--semantic-judge", "VOC"], "needs --semantic-data"),
        (["--model", "sci", "--guidance", "sdag", "--sdag", "nowhere"], "--model sdag"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_the_command_tells_what_is_wrong(arguments, told, capsys):
    assert train_enhancer.main(arguments) == 1
    assert told in capsys.readouterr().err


def voc(folder, indices, palette=True):
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "SegmentationClass").mkdir()
    cv2.imwrite(str(folder / "JPEGImages" / "a.jpg"), np.full((*indices.shape, 3), 200, np.uint8))
    codes = indices
    if palette:
        colours = np.zeros((256, 3), np.uint8)
        for index in range(256):  # the published colour map, bit by bit
            rest = index
            for j in range(8):
                for c in range(3):
                    colours[index, c] |= ((rest >> c) & 1) << (7 - j)
                rest >>= 3
        codes = colours[indices][..., ::-1]
    cv2.imwrite(str(folder / "SegmentationClass" / "a.png"), codes)


@pytest.mark.parametrize("palette", [True, False])
def test_vocs_palette_is_undone(tmp_path, palette):
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    voc(tmp_path, indices, palette)
    assert np.array_equal(read_map(tmp_path / "SegmentationClass" / "a.png"), indices)


def test_a_voc_folder_is_a_source_whose_classes_are_counted(tmp_path):
    voc(tmp_path, np.array([[0, 20], [VOID, 3]], np.uint8).repeat(8, 0).repeat(8, 1))
    shot = VocPictures(tmp_path, 4.0).group(0)[0]  # VOC's 21 classes
    assert shot.semantic.shape == (16, 16) and shot.low_light.mean() < shot.well_lit.mean() / 2
    with pytest.raises(ValueError, match="class 20"):
        VocPictures(tmp_path, 0.0, 14).group(0)
    with pytest.raises(ValueError, match="VOC's layout"):
        VocPictures(tmp_path / "JPEGImages")


def test_darkening_takes_linear_light():
    """sRGB 188 is half the light of 255; 188.0 from the curve: 1.055·0.5^(1/2.4) − 0.055 = 0.7354."""
    assert np.unique(darkened(np.full((2, 2, 3), 255, np.uint8), 1.0)).tolist() == [188]


def test_psnr_of_an_even_difference():
    target = np.full((32, 32, 3), 100, np.uint8)
    psnr, ssim = psnr_ssim((target + 10).astype(np.uint8), target)
    assert psnr == pytest.approx(-20 * math.log10(10 / 255), abs=1e-3)
    luminance = (2 * 100 * 110 / 255**2 + 1e-4) / ((100**2 + 110**2) / 255**2 + 1e-4)  # flat pictures: contrast is 1
    assert ssim == pytest.approx(luminance, abs=5e-4)  # variances by difference in float32: 4·1.2e-7 / 9e-4


def test_matching_the_means_forgives_brightness():
    stream = np.random.default_rng(0)
    target = stream.integers(100, 200, (32, 32, 3), np.uint8)
    dark = (target // 2).astype(np.uint8)
    plain, matched = (psnr_ssim(dark, target, QualityProtocol(mean_matched=m))[0] for m in (False, True))
    assert plain < 12 and matched > 40  # halved codes are off by at most one after doubling: 48 dB and more


def test_mean_iou_of_a_half_right_map():
    """Two classes; one of four pixels wrong: 2/3 and 1/2."""
    overlap = ClassOverlap(3, VOID)
    assert math.isnan(overlap.value())
    overlap.add(torch.tensor([[0, 0, 0, 1, 2]]), torch.tensor([[0, 0, 1, 1, VOID]]))
    assert overlap.value() == pytest.approx(100 * (2 / 3 + 1 / 2) / 2, abs=1e-3)


def test_learners_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    for model in ENHANCERS:
        network = new_network(model, recipe(), stem())
        assert isinstance(new_learner(network, recipe(), frozen(), Invented()), nn.Module)
    assert torch.equal(before, torch.random.get_rng_state())
