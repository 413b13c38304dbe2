"""Training: variants, one loop that resumes to the same weights, sources of pairs, recognisers of any make."""

import csv
import json
import math
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from torch import nn

from isp_sim.dng import read_dng
from isp_sim.isp.develop import UNCUT, develop_raw, unclipped_srgb
from isp_sim.rectify import crop
from isp_sim.rigfile import load_yaml
from isp_sim.scenes import JOINTS, Person
from models import train_pose
from models.data.crops import Augmentation, crop_affine, drawn_affine
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import FolderPairs, JoinedPairs, PairSample
from models.engine.training import CHECKPOINT, Recipe, Training, load_recipe
from models.pose.batches import Batches, CropPairs, GroupCrops
from models.pose.heatmaps import decode
from models.pose.network import Cpn
from models.pose.variants import VARIANTS, PoseLearner
from models.recognisers.detection import Detection
from models.recognisers.loading import identity, load_recogniser, of_ours
from models.recognisers.recogniser import Recogniser, RecogniserFile
from models.recognisers.weights import SHIPPED, load_network, save_network
from models.runs.pose_training import PoseRecipe, new_network
from models.scoring.pck import pck

QUIET = Console(quiet=True)
RELEASED = {"mean": (0.3457, 0.3460, 0.3463), "std": (0.1477, 0.1482, 0.1483)}
"""How Lee et al.'s released code normalises well-lit pictures."""


def someone(stream):
    joints = tuple((20 + 60 * a, 10 + 100 * b, 2) for a, b in stream.random((14, 2)).tolist())
    return Person(joints, (15.0, 5.0, 70.0, 110.0))


class Invented:
    """Pairs without a camera: noise, with one person a shot."""

    def __init__(self, groups=6):
        self.groups = groups

    def __len__(self):
        return self.groups

    def group(self, index):
        stream = np.random.default_rng(index)
        low = stream.poisson(2, (120, 100, 3)).astype(np.uint8)
        well = stream.integers(0, 255, (120, 100, 3), np.uint8)
        return [PairSample(f"{index}", low, well, (someone(stream), someone(stream)), "LL-N")]


def learner_of(name, seed=0):
    """A small CPN with a variant's norms and loss."""
    return PoseLearner(
        name, new_network(PoseRecipe(variant=name, size="small", training=Recipe(seed=seed)), Invented(1), False), seed
    )


def batch(people=2):
    lots = Batches(GroupCrops(Invented(people), (192, 144), Augmentation(), 0), people)(0)
    return next(iter(lots))[1]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_a_finite_loss_that_reaches_the_network(name):
    learner = learner_of(name)
    terms = learner.losses(batch())
    torch.stack(list(terms.values())).sum().backward()
    assert all(term.isfinite() for term in terms.values())
    assert learner.network.backbone.conv1.weight.grad.abs().sum() > 0
    variant = VARIANTS[name]
    assert set(terms) == {*variant.labelled} | ({"style"} if variant.style else set()) | (
        {"adversary"} if variant.adversary else set()
    )


def test_norms_that_do_not_know_the_lighting_learn_the_statistics_of_both():
    learner, lot = learner_of("baseline-all", 0), batch()
    learner.losses(lot)
    backbone = learner.network.backbone
    with torch.no_grad():
        both = backbone.conv1(torch.cat([lot.low_light, lot.well_lit]))
    assert torch.allclose(backbone.norm1.running_mean, 0.1 * both.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(backbone.norm1.running_var, 0.9 + 0.1 * both.var(dim=(0, 2, 3)), rtol=1e-4)


def test_with_lsbn_each_lighting_has_its_backbone_norms_and_both_share_the_heads():
    learner, lot = learner_of("lsbn", 0), batch()
    network = learner.network
    with torch.no_grad():
        firsts = [network.backbone.conv1(pictures).mean(dim=(0, 2, 3)) for pictures in (lot.low_light, lot.well_lit)]
        low, well = network.both(lot.low_light, lot.well_lit)
        lateral = network.pyramid.laterals[0]
        both = lateral[0](torch.cat([low.features[-1], well.features[-1]])).mean(dim=(0, 2, 3))
    for lighting, mean in zip((LOW, WELL), firsts, strict=True):
        assert torch.allclose(network.backbone.norm1.norms[lighting].running_mean, 0.1 * mean, atol=1e-5)
    assert torch.allclose(lateral[1].running_mean, 0.1 * both, atol=1e-5)


def test_a_learner_starts_from_its_seed_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, second, other = (learner_of("lsbn+lupi", seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [learner.network.backbone.conv1.weight for learner in (first, second, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_reversed_gradient_pulls_the_features_where_the_judge_errs():
    """DANN: the judge descends its loss, the features ascend it, 100 times slower."""
    learner = learner_of("dann", 0)
    features = torch.rand(4, learner.network.backbone.channels[-1], 2, 2, requires_grad=True)
    straight = features.detach().clone().requires_grad_()
    judge = learner.adversary.judge
    from models.pose.adversary import cross_entropy, reverse

    pooled = straight.mean(dim=(2, 3))
    cross_entropy(judge(pooled[:2]), judge(pooled[2:])).backward()
    pooled = reverse(features, 0.01).mean(dim=(2, 3))
    cross_entropy(judge(pooled[:2]), judge(pooled[2:])).backward()
    assert torch.allclose(features.grad, -0.01 * straight.grad)


def test_batches_do_not_depend_on_workers_and_differ_by_epoch():
    def shown(epoch, workers=0):
        crops = GroupCrops(Invented(4), (192, 144), Augmentation(), 7)
        return [b for _, b in Batches(crops, 3, workers)(epoch)]

    first, again, next_epoch = shown(0), shown(0), shown(1)
    assert [len(b) for b in first] == [3, 3]  # eight people: two are left over
    assert all(torch.equal(a.low_light, b.low_light) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].well_lit, next_epoch[0].well_lit)
    assert all(torch.equal(a.joints, b.joints) for a, b in zip(first, shown(0, workers=1), strict=True))


class Line(nn.Module):
    """y = w·x: small enough to train in a test."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, 2))

    def losses(self, x):
        return {"error": ((x @ self.w - 1) ** 2).mean()}


class Stencil(nn.Module):
    """A convolution whose weights lie channels-last, as the pose network's do."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 3, bias=False).to(memory_format=torch.channels_last)
        self.w = self.convolution.weight
        nn.init.zeros_(self.w)

    def losses(self, x):
        picture = x.T.reshape(1, 2, 2, 4).repeat(1, 1, 2, 1)
        return {"error": ((self.convolution(picture) - 1) ** 2).mean()}


def train_line(folder, epochs, resume=False, poison=None, made=Line):
    line = made()
    training = Training(
        line, line.losses, Recipe(epochs=4, bf16=False, learning_rate=0.1), folder, torch.device("cpu"), {}
    )
    training.open(resume)

    def batches(epoch):
        if epoch == epochs:
            raise KeyboardInterrupt
        stream = torch.Generator().manual_seed(epoch)
        for number in range(3):
            x = torch.rand(8, 2, generator=stream)
            yield number / 3, x * math.nan if (epoch, number) == poison else x

    training.run(batches, lambda _: {}, QUIET)
    return line


@pytest.mark.parametrize("made", [Line, Stencil])
def test_a_stopped_training_resumes_to_the_same_weights(tmp_path, made):
    whole = train_line(tmp_path / "whole", 9, made=made)
    with pytest.raises(KeyboardInterrupt):
        train_line(tmp_path / "cut", 2, made=made)
    cut = train_line(tmp_path / "cut", 9, resume=True, made=made)
    assert torch.equal(whole.w, cut.w)
    ends = [(tmp_path / one / CHECKPOINT).read_bytes() for one in ("whole", "cut")]
    assert ends[0] == ends[1]  # no clock in it
    with (tmp_path / "cut" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and all(float(row["seconds"]) >= 0 for row in rows)  # of the epochs before it stopped, too
    assert (tmp_path / "cut" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError, match=r"loss nan at epoch 3, batch 2; the checkpoint of epoch 2 is kept"):
        train_line(tmp_path, 9, poison=(2, 1))
    assert (tmp_path / CHECKPOINT).exists()
    train_line(tmp_path, 9, resume=True)


def test_another_trainings_folder_is_refused(tmp_path):
    train_line(tmp_path, 9)
    with pytest.raises(ValueError, match="holds a training; add --resume"):
        train_line(tmp_path, 9)
    line = Line()
    other = Training(line, line.losses, Recipe(epochs=9, bf16=False), tmp_path, torch.device("cpu"), {})
    with pytest.raises(ValueError, match="of a training with epochs = 4, expected 9"):
        other.open(resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        train_line(tmp_path, 9, resume=True)


def test_cosine_rises_then_falls_to_nothing_and_steps_halve():
    cosine, steps = Recipe(epochs=20, decay="cosine", learning_rate=1.0), Recipe(decay="steps", learning_rate=1.0)
    assert cosine.rate(0) < 0.01 and cosine.rate(1.0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 20)))
    assert cosine.rate(20) == pytest.approx(0)
    assert [steps.rate(e) for e in (0, 5.9, 6, 12)] == [1.0, 1.0, 0.5, 0.25]


def test_the_command_trains_resumes_and_its_weights_load(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "variant: lsbn+lupi\npeople_a_batch: 4\nscenes: 1\nvalidation_scenes: 0\ntraining: {epochs: 1, bf16: false}\n"
    )
    out = tmp_path / "out"
    asked = ["--recipe", str(recipe), "--out", str(out), "--device", "cpu", "--workers", "0"]
    assert train_pose.main(asked) == 0
    assert load_network(out / "weights.safetensors").lsbn
    assert train_pose.main(asked) == 1
    assert "add --resume" in capsys.readouterr().err
    recipe.write_text("variant: lsbn+lupi\ntraining: {epoch: 1}\n")
    assert train_pose.main(asked) == 1
    assert "epoch" in capsys.readouterr().err


def write_pair(folder, low_name, well_name, joints=14):
    for arm, name in (("dark", low_name), ("bright", well_name)):
        (folder / arm).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / arm / name), np.full((40, 60, 3), 9, np.uint8))
    (folder / "Annotations").mkdir(exist_ok=True)
    document = {
        "images": [{"file_name": f"bright/{well_name}", "id": 0, "height": 40, "width": 60}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 1, "iscrowd": 0, "num_keypoints": 15, "bbox": [5, 5, 20, 30],
             "keypoints": [v for j in range(joints) for v in (6 + j, 7 + j, 2)]},
            {"id": 1, "image_id": 0, "category_id": 1, "iscrowd": 0, "num_keypoints": 0, "bbox": [30, 5, 9, 30],
             "keypoints": [0] * 42},
        ],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    (folder / "Annotations" / "ExLPose_test_WL.json").write_text(json.dumps(document))


DARK = "imgs_0212_hwang_vid000020_exp400_dark_000052__gain_3.40_exposure_1250.png"
BRIGHT = "imgs_0212_hwang_vid000020_exp400_bright_000052__gain_15.44_exposure_1250.png"


def test_a_folder_of_pairs_is_read_with_the_real_sets_traps(tmp_path):
    """Ids from 0, num_keypoints 15, people without a joint."""
    write_pair(tmp_path, DARK, BRIGHT)
    source = JoinedPairs([FolderPairs(tmp_path), FolderPairs(tmp_path)])
    assert len(source) == 2
    (sample,) = source.group(1)
    assert (sample.name, sample.split, len(sample.people)) == (BRIGHT, "LL-H", 2)
    crops = GroupCrops(source, (192, 144), Augmentation(), 0)[0, 0]
    assert len(crops) == 1  # nobody learns from a person without joints


def test_labels_for_pictures_of_another_size_are_refused(tmp_path):
    write_pair(tmp_path, DARK, BRIGHT)
    file = tmp_path / "Annotations" / "ExLPose_test_WL.json"
    file.write_text(file.read_text().replace('"width": 60', '"width": 120').replace('"height": 40', '"height": 80'))
    with pytest.raises(ValueError, match="its annotations say 120×80, the picture has 60×40 px"):
        FolderPairs(tmp_path).group(0)


def test_a_picture_without_its_partner_or_truncated_is_named(tmp_path):
    write_pair(tmp_path, DARK, BRIGHT)
    dark = tmp_path / "dark" / DARK
    dark.write_bytes(dark.read_bytes()[:40])
    with pytest.raises(ValueError, match=rf"{DARK}.*truncated"):
        FolderPairs(tmp_path).group(0)
    dark.unlink()
    with pytest.raises(ValueError, match="has no low-light partner"):
        FolderPairs(tmp_path)
    with pytest.raises(ValueError, match=r"holds no Annotations/\*WL.json"):
        FolderPairs(tmp_path / "nowhere")


def test_weights_come_back_and_a_broken_file_is_told(tmp_path):
    network, path = Cpn("small", lsbn=True), tmp_path / "w.safetensors"
    save_network(network, path, {"seed": 0})
    crops = torch.rand(1, 3, 192, 144)
    assert torch.equal(of_ours(load_network(path))(crops, WELL), of_ours(network)(crops, WELL))
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_network(path)


class Foreign(nn.Module):
    """16 maps of an eighth of the input."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 16, 8, 8)

    def forward(self, x):
        return self.layer(x)


def factory():
    return Recogniser(Foreign(), RecogniserFile(height=64, width=64, stride=8))


def clumsy():
    raise RuntimeError("no licence")


def empty():
    return Recogniser(nn.AvgPool2d(8), RecogniserFile(height=64, width=64, stride=8))


def broken():
    made = factory()
    made.network.layer.bias.fill_(float("nan"))
    return made


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
def test_torchscript_and_exported_networks_are_recognisers(tmp_path, ending, monkeypatch):
    monkeypatch.setenv("ISP_SIM_TRUST", "1")
    network, path = Foreign().eval(), tmp_path / f"net{ending}"
    if ending == ".pt":
        torch.jit.script(network).save(path)
    else:
        batch_of_any = {0: torch.export.Dim("batch", min=1, max=64)}
        torch.export.save(
            torch.export.export(network, (torch.rand(2, 3, 64, 64),), dynamic_shapes=(batch_of_any,)), path
        )
    size, names = "height: 64\nwidth: 64\nstride: 8\n", ", ".join(("pelvis", "nose", *JOINTS))
    path.with_suffix(".yaml").write_text(f"{size}joints: [{names}]\nlow_light: none\n")
    recogniser = load_recogniser(path)
    crops = torch.rand(3, 3, 64, 64, requires_grad=True)
    maps = recogniser(crops, LOW)
    assert torch.allclose(maps, network(crops)[:, 2:], atol=1e-6)
    maps.sum().backward()
    assert crops.grad.abs().sum() > 0
    assert recogniser.normalisation[LOW] == "none"
    nose, _ = recogniser.decode(recogniser.seen(crops, joints=("nose",)), ("nose",))
    assert torch.equal(nose, decode(network(crops)[:, 1:2])[0] * 8 + 3.5)
    names = names.replace("head, neck", "chin, thorax")
    path.with_suffix(".yaml").write_text(f"{size}joints: [{names}]\ngrow: [0, 0.25]\ndecoding: highest-pixel\n")
    part = load_recogniser(path)
    assert torch.equal(part(crops)[:, :12], maps[:, :12]) and (part(crops)[:, 12:] == 0).all()
    places, scores = part.decode(part.seen(crops))
    assert places[:, 12:].isnan().all() and not places[:, :12].isnan().any() and (scores[:, 12:] == 0).all()
    assert part.crop_affine((0.0, 0.0, 10.0, 40.0))[0, 0] == pytest.approx(64 / 60)
    path.with_suffix(".yaml").write_text("height: 64\nwidth: 64\nstride: 4\n")
    with pytest.raises(ValueError, match=r"expected .* by its YAML"):
        load_recogniser(path)


def test_a_factorys_recogniser_and_the_refusals(tmp_path):
    assert load_recogniser("tests.models.test_pose_training:factory").input_size == (64, 64)
    for name, said in (
        ("tests.models.test_pose_training:nothing", "nothing"),
        ("net.onnx", "expected .safetensors"),
        (str(tmp_path / "net.pt"), "net.yaml beside it"),
        ("tests.models.test_pose_training:someone", "missing 1 required"),
        ("tests.models.test_pose_training:clumsy", "RuntimeError: no licence"),
        ("tests.models.test_pose_training:broken", "NaN or infinity"),
        ("tests.models.test_pose_training:empty", "has no parameters"),
    ):
        with pytest.raises(ValueError, match=said):
            load_recogniser(name)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"joints": ("l_hip", "leftHip")}, "left_hip is named 2 times"),
        ({"low_light": "imagenet", "brightened": "imagenet"}, "would normalise twice"),
        ({"low_light": RELEASED, "brightened": RELEASED}, "would normalise twice"),
        ({"extent": 0.2}, "greater than or equal to 0.5"),
        ({"joints": ("nose", "tail")}, "names none of left_shoulder"),
        ({"channels": (0,)}, "Extra inputs are not permitted"),
        ({"grow": (-0.1, 0.1)}, "grow"),
    ],
)
def test_what_stands_beside_a_network_is_refused_where_it_contradicts_itself(said, told):
    with pytest.raises(ValueError, match=told):
        RecogniserFile(height=64, width=64, **said)


@pytest.mark.parametrize("field", ["low_light", "well_lit", "brightened"])
@pytest.mark.parametrize(
    "said",
    [
        "image-net",
        3,
        {"mean": [0.3, 0.3, 0.3]},
        {"mean": [0.3, 0.3], "std": [0.1, 0.1, 0.1]},
        {"mean": [0.3, 0.3, 0.3, 0.3], "std": [0.1, 0.1, 0.1]},
        {"mean": [0.3, 0.3, 0.3], "std": [0.1, 0.0, 0.1]},
        {"mean": [0.3, 0.3, 0.3], "std": [0.1, -0.1, 0.1]},
        {"mean": [0.3, float("nan"), 0.3], "std": [0.1, 0.1, 0.1]},
        {"mean": [0.3, 0.3, 0.3], "std": [0.1, float("inf"), 0.1]},
        {"mean": [0.3, 0.3, 0.3], "std": [0.1, 0.1, 0.1], "order": "BGR"},
    ],
)
def test_a_wrong_normalisation_gets_a_sentence_that_says_what_was_expected(tmp_path, field, said):
    beside = tmp_path / "net.yaml"
    beside.write_text(yaml.safe_dump({"height": 64, "width": 64, field: said}))
    with pytest.raises(ValueError, match=rf"net.yaml:\d+: {field}.*got .*expected .*three finite") as caught:
        load_yaml(RecogniserFile, beside)
    assert len(str(caught.value).splitlines()) == 1


def test_a_network_may_want_any_mean_and_spread_of_either_lighting(tmp_path):
    beside = tmp_path / "net.yaml"
    figures = "{mean: [0.3457, 0.3460, 0.3463], std: [0.1477, 0.1482, 0.1483]}"
    beside.write_text(f"height: 64\nwidth: 64\nlow_light: none\nwell_lit: {figures}\nbrightened: {figures}\n")
    said = load_yaml(RecogniserFile, beside)
    recogniser = Recogniser(Foreign(), said.model_copy(update={"stride": 8}))
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    mean, std = np.array(RELEASED["mean"]), np.array(RELEASED["std"])
    seen = normalise(picture, recogniser.normalisation[WELL])
    assert np.allclose(seen, (picture / 255 - mean) / std, atol=1e-5)
    crops = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    shift, spread = (torch.tensor(three, dtype=torch.float32)[:, None, None] for three in (mean, std))
    assert torch.allclose(recogniser(crops, LOW), recogniser((crops - shift) / spread, WELL), atol=1e-5)
    assert not torch.allclose(recogniser(crops, LOW), recogniser(crops, WELL), atol=1e-2)


def test_a_network_is_shown_crops_of_its_own_extent():
    wide = Recogniser(Foreign(), RecogniserFile(height=64, width=64, stride=8, extent=1.2))
    box = (10.0, 20.0, 30.0, 40.0)
    assert (wide.crop_affine(box) == crop_affine(box, (64, 64), 1.2)).all()
    assert (of_ours(Cpn("tiny")).crop_affine(box) == crop_affine(box, (128, 96), 1.0)).all()


def test_the_released_recipe_neither_turns_nor_mirrors_and_others_do():
    def drawn(name):
        augmentation = load_recipe(PoseRecipe, name, train_pose.KNOWN).augmentation
        stream = np.random.default_rng(0)
        return [drawn_affine((0, 0, 50, 90), (256, 192), augmentation, stream) for _ in range(40)]

    assert not any(flip or affine[0, 1] or affine[1, 0] for affine, flip in drawn("exlpose"))
    assert any(flip for _, flip in drawn("quick")) and any(affine[0, 1] for affine, _ in drawn("quick"))


def test_a_recogniser_stays_frozen_whatever_asks_it_to_train():
    recogniser = of_ours(Cpn("small", lsbn=True))
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    nn.Sequential(recogniser).train()
    recogniser(torch.rand(2, 3, 192, 144), LOW)
    assert all(torch.equal(before[n], v) for n, v in recogniser.state_dict().items())


def test_the_well_lit_network_takes_a_brightened_crop_for_a_well_lit_one():
    alone, shipped = load_recogniser("well-lit"), load_recogniser()
    crops = torch.rand(2, 3, *shipped.input_size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(alone(crops, LOW), shipped(crops, WELL))
    assert torch.equal(alone(crops, WELL), shipped(crops, WELL))
    assert not torch.equal(alone(crops, LOW), shipped(crops, LOW))


def test_a_network_is_known_by_its_weights_and_the_yaml_beside_them(tmp_path):
    network, beside = tmp_path / "net.pt", tmp_path / "net.yaml"
    network.write_bytes(b"weights")
    beside.write_text("brightened: imagenet\n")
    first = identity(network)
    beside.write_text("brightened: none\n")
    assert len({first, identity(network), identity(), identity("well-lit"), identity("module:factory")}) == 5
    assert identity() == identity(SHIPPED) and identity("well-lit").endswith(identity())


def test_pck_counted_by_hand():
    joints = [(0.0, 0.0, 0)] * 14
    joints[0], joints[7], joints[12] = (0.0, 0.0, 2), (30.0, 40.0, 1), (9.0, 9.0, 2)  # torso 50: within 10
    found = [(6.0, 7.9, 1.0)] * 14  # 9.92 from the shoulder, 3.2 from the head, far from the hip
    truth = {"a": [Person(tuple(joints), (0, 0, 1, 1)), Person(((0.0, 0.0, 0),) * 14, (0, 0, 1, 1))]}
    answer = [Detection(tuple(found), 1.0)] * 2
    assert pck(truth, {"a": answer}) == pytest.approx(100 * 2 / 3)
    assert math.isnan(pck({"a": []}, {"a": []}))


def test_crop_pairs_slice_and_join():
    whole = batch(3)
    halves = CropPairs.joined([whole[:1], whole[1:]])
    assert torch.equal(halves.joints, whole.joints) and len(halves) == 3


def test_the_only_batch_of_a_training_is_learned_from():
    """A cosine is zero at both ends; the rate of a batch is that of its middle."""
    line = Line()
    recipe = Recipe(epochs=1, bf16=False, learning_rate=0.1, decay="cosine")
    with tempfile.TemporaryDirectory() as folder:
        training = Training(line, line.losses, recipe, Path(folder), torch.device("cpu"), {})
        training.open(False)
        training.run(lambda _: [(1.0, torch.ones(8, 2))], lambda _: {}, QUIET)
        assert training.history[-1]["rate"] == pytest.approx(recipe.rate(0.5)) and recipe.rate(0.5) > 0.04
    assert (line.w > 0).all()


def test_where_nobody_is_labelled_poses_cannot_be_learned(tmp_path):
    write_pair(tmp_path, DARK, BRIGHT)
    file = tmp_path / "Annotations" / "ExLPose_test_WL.json"
    document = json.loads(file.read_text())
    document["annotations"] = document["annotations"][1:]
    file.write_text(json.dumps(document))
    assert len(FolderPairs(tmp_path)) == 1  # an enhancer may learn from it
    with pytest.raises(ValueError, match=r"ExLPose_test_WL\.json: nobody in 1 pictures has a labelled joint"):
        FolderPairs(tmp_path, labelled=True)


def test_a_picture_before_quantisation_lies_on_its_pairs_pixels_whichever_arm_was_kept(tmp_path):
    from isp_sim import generate
    from isp_sim.manifest import read_manifest, to_line

    rig = tmp_path / "rig.yaml"
    rig.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 128\nheight_px: 96\n")
    folder = tmp_path / "pairs"
    assert generate.main(["--rig", str(rig), "--count", "1", "--out", str(folder), "--workers", "1"]) == 0
    (record,) = read_manifest(folder)
    (as_shot,) = FolderPairs(folder, pre_quantisation=True).group(0)
    whole = develop_raw(read_dng(folder / record.raw_dark), UNCUT)[0].permute(1, 2, 0)
    assert np.array_equal(
        as_shot.pre_quantisation, crop(unclipped_srgb(whole).numpy(), record.crop)
    )  # nothing cut at black
    x, y, width, height = record.crop
    moved = np.array([[1, 0, 4.0], [0, 1, -2.0], [0, 0, 1]])
    captured = record.model_copy(
        update={"onto": "well_lit", "low_to_well": moved.tolist(), "crop": (x + 8, y + 6, width - 16, height - 12)}
    )
    (folder / "manifest.jsonl").write_text(to_line(captured) + "\n")
    (measured,) = FolderPairs(folder, pre_quantisation=True).group(0)
    assert measured.pre_quantisation.shape == (height - 12, width - 16, 3)
    there = as_shot.pre_quantisation[8 : 8 + height - 12, 4 : 4 + width - 16]  # 4 to the right, 2 up: whole pixels
    assert np.abs(measured.pre_quantisation - there).max() < 1e-3
    with pytest.raises(ValueError, match=r"raw/.*\.dng: its pair is on arm well_lit"):
        FolderPairs(folder, raw=True).group(0)
    other = to_line(captured.model_copy(update={"dark": "dark/other.png"}))
    (folder / "manifest.jsonl").write_text(
        other + "\n"
    )  # a line that is gone is told, not taken for "no raw was asked for"
    for asked in ({"pre_quantisation": True}, {"raw": True}):
        with pytest.raises(ValueError, match=r"manifest\.jsonl: has no raw_dark for"):
            FolderPairs(folder, **asked).group(0)
