"""The learned raw stage: its stabilised domain, tiles and mirrors, patches, weights, the commands."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from isp_sim.raw import Raw, cropped
from isp_sim.transfer import REC709_TO_XYZ
from models import evaluate, train_raw_stage
from models.choices import RAW_STAGES
from models.data.samples import PairSample, RigPairs
from models.engine.training import Recipe
from models.engine.weights_file import digest, read_tensors, write_tensors
from models.raw_stage.learner import TunedStageLearner
from models.raw_stage.network import AVERAGES, FLIPS, LEVEL, RawNet, _average, _chosen, as_input, restore
from models.raw_stage.patches import Patches
from models.raw_stage.people import PeopleOfRaws
from models.raw_stage.stage import RestoredPairs, build, load_stage, restored, save_stage
from models.recognisers.loading import load_recogniser
from models.runs.raw_stage_training import RawStageRecipe, judged, train

CPU = torch.device("cpu")
WIDTHS = (8, 12)
REC709_CAMERA = tuple(tuple(row) for row in np.linalg.inv(REC709_TO_XYZ).tolist())


def raw_of(counts, cfa="RGGB", neutral=(0.5, 1.0, 0.8), noise=((1e-4, 1e-6),) * 3):
    """A raw of 12 bits, black 64 DN."""
    return Raw(
        np.ascontiguousarray(counts, np.uint16), cfa, (64.0,) * 4, 4095, 1000.0, 0.0, 100, neutral, REC709_CAMERA,
        noise, "make", "model", "serial",
    )  # fmt: skip


def random_raw(seed=0, height=40, width=48, **what):
    return raw_of(np.random.default_rng(seed).integers(64, 400, (height, width)), **what)


def stirred(widths=WIDTHS, seed=3):
    """A network whose last layer is not 0."""
    network = build(widths, seed)
    torch.nn.init.normal_(network.last.weight, std=0.05, generator=torch.Generator().manual_seed(seed))
    return network.eval()


def quiet(network):
    """A network whose last layer says nothing."""
    torch.nn.init.zeros_(network.last.weight)
    return network


class Held:
    """Pairs made in memory."""

    def __init__(self, *held):
        self.held = held

    def __len__(self):
        return len(self.held)

    def group(self, index):
        return [self.held[index]]


def pair(raw, well_lit=None):
    height, width = raw.counts.shape
    low = np.zeros((height, width, 3), np.uint8)
    return PairSample("one", low, low if well_lit is None else well_lit, (), "LL-N", raw=raw)


def test_the_input_has_a_known_mean_and_its_noise_is_found_as_the_noise_profile_says_it():
    """Without light, black at 64 DN holds all noise: what the picture shows is what the raw says."""
    stream, offset = np.random.default_rng(1), 1e-5
    counts = np.round(64 + 4031 * offset**0.5 * stream.normal(size=(400, 400)) + 40)
    seen = as_input(raw_of(counts, noise=((2e-3, offset),) * 3, neutral=(1.0, 1.0, 1.0)))
    assert seen.mosaic.mean().item() == pytest.approx(LEVEL, rel=0.01)  # rows' offsets were taken off after
    # A median of n absolute differences is known to 1.2/√n; the counts' rounding adds 1/12 DN².
    assert seen.spread.item() == pytest.approx(seen.read.item(), rel=4 * 1.2 / 40_000**0.5 + 1e-3)


@pytest.mark.parametrize("cfa", FLIPS)
def test_every_bayer_tile_is_restored_alike(cfa):
    network, raw = stirred(), random_raw()
    mirrored = np.flip(raw.counts, [axis - 2 for axis in FLIPS[cfa]])
    there = restore(network, replace(raw, counts=np.ascontiguousarray(mirrored), cfa=cfa), bf16=False)
    # The mean that scales a mosaic is summed in another order: a last bit.
    assert torch.allclose(there.flip(FLIPS[cfa]), restore(network, raw, bf16=False), rtol=1e-4, atol=1e-5)


def test_an_untrained_stage_gives_a_bright_grey_as_grey():
    """Neutral light at 1 : 2 : 1.6 of the counts: averages are light, whatever the network says of them."""
    counts = np.full((16, 16), 64 + 2000)
    counts[::2, ::2], counts[1::2, 1::2] = 64 + 1000, 64 + 1600
    light = restore(quiet(build(WIDTHS, 0)), raw_of(counts, noise=((1e-9, 1e-16),) * 3), bf16=False)
    # The root's ε: (√(L + 1e-4) − 0.01)² lies 2·0.01·√L below L.
    assert torch.allclose(light, torch.full_like(light, LEVEL), rtol=0.06)
    assert torch.allclose(light, light.mean().expand_as(light), rtol=1e-4)


def test_the_network_chooses_how_far_to_average_light_and_colour():
    """Weights of one average alone give that average; a step is sharp by the first and soft by the last."""
    tile = torch.zeros(1, 4, 16, 16)
    tile[..., 8:] = 1
    averages = [_average(tile[:, :3], k) for k in range(AVERAGES)]
    for k in range(AVERAGES):
        weights = torch.full((1, 2 * AVERAGES, 16, 16), -50.0)
        weights[:, k] = weights[:, AVERAGES + (AVERAGES - 1 - k)] = 50
        chosen = _chosen(tile, weights)  # grey: its colour is the same in all averages
        assert torch.allclose(chosen, averages[k], atol=1e-6)
    assert averages[0][0, 0, 0, 7] == 0 and averages[4][0, 0, 0, 7] == pytest.approx(0.5)
    of_r_g_b = torch.tensor([2.0, 1.0, 0.0])[:, None, None]
    mixed = _chosen(tile * torch.tensor([2.0, 1.0, 1.0, 0.0])[:, None, None], weights)
    first, last = (averages[k] * of_r_g_b for k in (0, 4))  # light from the last, colour from the first
    assert torch.allclose(mixed.mean(dim=1), last.mean(dim=1), atol=1e-6)
    assert torch.allclose(mixed - mixed.mean(dim=1, keepdim=True), first - first.mean(dim=1, keepdim=True), atol=1e-6)


def test_any_size_goes_through_and_gradients_reach_all_weights():
    network = stirred((8, 12, 16))
    light = network(as_input(random_raw(height=26, width=38)))
    assert light.shape == (1, 3, 26, 38)
    light.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_patches_keep_the_tile_and_the_place_of_the_well_lit_picture():
    """R holds the row, G a constant, B the column; the picture holds the same, so that a mirror or a shift shows."""
    height, width = 40, 48
    rows, columns = np.mgrid[:height, :width]
    counts = np.full((height, width), 64 + 1000)
    counts[::2, ::2], counts[1::2, 1::2] = 64 + 10 * (1 + rows[::2, ::2]), 64 + 10 * (1 + columns[1::2, 1::2])
    well = np.stack([rows, np.full_like(rows, 7), columns], axis=-1).astype(np.uint8)
    raw = raw_of(counts, neutral=(1.0, 1.0, 1.0))
    per_count = as_input(raw).mosaic.max().item() / 1000
    found = Patches(Held(pair(raw, well)), 16, 1, 24, 0, CPU).patches(pair(raw, well), np.random.default_rng(0))
    turned = set()
    for patch in found:
        red, green, other, blue = torch.nn.functional.pixel_unshuffle(patch.low_light.mosaic, 2)[0] / per_count
        assert torch.allclose(green, torch.tensor(1000.0)) and torch.allclose(other, torch.tensor(1000.0))
        picture = patch.well_lit[0] * 255
        assert torch.allclose(red / 10 - 1, picture[0, ::2, ::2], atol=0.01)
        assert torch.allclose(blue / 10 - 1, picture[2, 1::2, 1::2], atol=0.01)
        turned.add((bool(picture[0, 0, 0] > picture[0, -1, 0]), bool(picture[2, 0, 0] > picture[2, 0, -1])))
    assert len(turned) == 4


def test_what_the_stage_cannot_use_is_said():
    with pytest.raises(ValueError, match="NoiseProfile"):
        as_input(random_raw(noise=()))
    with pytest.raises(ValueError, match="even sides"):
        as_input(random_raw(height=41))
    with pytest.raises(ValueError, match="even column"):
        cropped(random_raw(), 1, 0, 8, 8)
    with pytest.raises(ValueError, match="has no raw"):
        restored(replace(pair(random_raw()), raw=None), build(WIDTHS, 0))
    assert Patches(Held(), 40, 1, 1, 0, CPU).patches(pair(random_raw()), np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match="fewer than 1 patches of 40 px in 1 groups"):
        list(Patches(Held(pair(random_raw())), 40, 1, 1, 0, CPU)(0))


def test_weights_come_back_and_others_are_refused(tmp_path):
    network, file = stirred(), tmp_path / "weights.safetensors"
    save_stage(network, file, {"data": "made"})
    raw = random_raw()
    assert torch.equal(restore(load_stage(file), raw), restore(network, raw))
    from models.recognisers.movenet import shipped_weights

    with pytest.raises(ValueError, match="not the weights of a raw stage"):
        load_stage(shipped_weights("lightning"))


def test_files_that_claim_too_much_or_hold_no_numbers_are_refused(tmp_path):
    network, file = stirred(), tmp_path / "weights.safetensors"
    save_stage(network, file, {})
    tensors, metadata = read_tensors(file)
    write_tensors(file, tensors, metadata | {"widths": "[4096, 4096, 4096, 4096]"})  # would take gigabytes
    with pytest.raises(ValueError, match=r"weights.safetensors: metadata field widths: .*its tensors have \[8, 12\]"):
        load_stage(file)
    tensors["last.bias"][3] = float("nan")
    write_tensors(file, tensors, metadata)
    with pytest.raises(ValueError, match=r"weights\.safetensors: tensor last\.bias: holds NaN"):
        load_stage(file)
    with pytest.raises(ValueError, match="'tunde': no file; expected faithful, tuned, tuned-low-light or weights"):
        load_stage("tunde")
    assert train_raw_stage.main(["--recipe", "tuned", "--out", str(tmp_path / "out")]) == 1
    assert RAW_STAGES == ("faithful", "tuned", "tuned-low-light")
    assert all(load_stage(name).widths == RawNet().widths for name in RAW_STAGES)


def test_training_brings_a_dark_raw_nearer_to_its_partner_and_resumes_to_the_same_weights(tmp_path):
    stream = np.random.default_rng(5)
    pairs = []
    for _ in range(6):
        well = np.kron(stream.integers(40, 200, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        light = (well / 255.0) ** 2.2 * 0.02
        mosaic = light[..., 1].copy()
        mosaic[::2, ::2], mosaic[1::2, 1::2] = light[::2, ::2, 0], light[1::2, 1::2, 2]
        counts = 64 + stream.poisson(mosaic * 1000) / 1000 * 4031 + stream.normal(size=mosaic.shape) * 2
        noise = ((1e-3, (2 / 4031) ** 2),) * 3
        pairs.append(pair(raw_of(counts.round().clip(0, 4095), neutral=(1.0, 1.0, 1.0), noise=noise), well))
    source = Held(*pairs)
    training = Recipe(epochs=4, learning_rate=1e-2, decay="constant", bf16=False)
    recipe = RawStageRecipe(widths=WIDTHS, patch=32, patches=4, patches_a_picture=8, training=training)

    def run(folder, epochs, resume=False):
        asked = recipe.model_copy(update={"training": training.model_copy(update={"epochs": 4})})
        if epochs < 4:
            with pytest.raises(KeyboardInterrupt):
                train(asked, Stops(source, epochs), source, folder, CPU, resume, {}, Console(quiet=True))
            return {}
        return train(asked, source, source, folder, CPU, resume, {}, Console(quiet=True))

    last = run(tmp_path / "whole", 4)
    assert last["PSNR"] > judged(build(WIDTHS, 0).eval(), source)["PSNR"] + 3
    run(tmp_path / "cut", 2)
    run(tmp_path / "cut", 4, resume=True)
    whole, cut = (load_stage(tmp_path / name / "weights.safetensors").state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.mark.parametrize("cfa", ["RGGB", "GRBG"])
def test_a_person_is_shown_as_the_recogniser_is_shown_the_whole_picture(small, cfa):
    """The crop of the part is the crop of the whole; a network's edge is within 32 tiles of the part's own."""
    (shot, *_) = RigPairs(small, 4, 1, shots_per_scene=1, raw=True).group(0)
    raw = replace(shot.raw, counts=np.ascontiguousarray(np.flip(shot.raw.counts, [a - 2 for a in FLIPS[cfa]])), cfa=cfa)
    if FLIPS[cfa]:  # the picture of a mirrored mosaic
        shot = replace(shot, well_lit=np.flip(shot.well_lit, [a - 2 for a in FLIPS[cfa]]).copy())
    shot, recogniser = replace(shot, raw=raw), load_recogniser("movenet-lightning")
    people = PeopleOfRaws(Held(shot), [recogniser], 1, 0, CPU).people(shot, np.random.default_rng(0))
    assert len(people) == len(shot.labelled)
    network = quiet(build(WIDTHS, 0))
    torch.nn.init.constant_(network.last.bias[0:1], 50.0)  # the finest average alone, so that edges are near
    torch.nn.init.constant_(network.last.bias[AVERAGES : AVERAGES + 1], 50.0)
    whole = restore(network, raw, bf16=False)
    for person in people:
        part = person.seen(network(person.low_light).flip(person.axes))
        left, top, width, height, _ = person.part
        there = whole[:, :, top : top + height, left : left + width]
        assert part.shape == there.shape
        assert torch.allclose(part[..., 4:-4, 4:-4], there[..., 4:-4, 4:-4], rtol=1e-3, atol=1e-4)
        lit = torch.from_numpy(shot.well_lit[top : top + height, left : left + width]).permute(2, 0, 1)
        assert torch.equal(person.seen(person.well_lit)[0], lit.float() / 255)


def test_a_frozen_networks_loss_tunes_the_stage_and_leaves_the_network_alone(small):
    source, recogniser = RigPairs(small, 4, 1, shots_per_scene=1, raw=True), load_recogniser("movenet-lightning")
    before = recogniser.digest()
    (batch,) = (batch[:1] for _, batch in [next(PeopleOfRaws(source, [recogniser], 2, 0, CPU)(0))])
    learner = TunedStageLearner(build(WIDTHS, 0), [recogniser], fidelity=4.0)
    optimiser, seen = torch.optim.Adam(learner.parameters(), 1e-3), []
    for _ in range(6):
        terms = learner.losses(batch)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        seen.append({name: term.item() for name, term in terms.items()})
    assert set(seen[0]) == {"pose", "l1"}
    assert sum(seen[-1].values()) < sum(seen[0].values())
    assert recogniser.digest() == before and not any(p.requires_grad for p in recogniser.parameters())
    assert not any("recogniser" in name for name, _ in learner.named_parameters())


def test_the_command_tunes_a_trained_stage(small, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text("people: 2\nscenes: 1\njudged_scenes: 0\ntraining: {epochs: 1, bf16: false}\n")
    save_stage(build(WIDTHS, 0), tmp_path / "start.safetensors", {})
    words = ["--recipe", str(tmp_path / "tiny.yaml"), "--pose", "movenet-lightning", "movenet-thunder"]
    words += ["--device", "cpu", "--start-from", str(tmp_path / "start.safetensors"), "--out", str(tmp_path / "stage")]
    assert train_raw_stage.main(words) == 0
    tuned = load_stage(tmp_path / "stage" / "weights.safetensors")
    assert tuned.widths == WIDTHS
    assert digest(tuned) != digest(build(WIDTHS, 0))


class Stops(Held):
    """Ctrl-C after some epochs."""

    def __init__(self, source, epochs):
        super().__init__(*source.held)
        self.left = epochs * len(source)

    def group(self, index):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().group(index)


def test_a_rig_trains_it_and_evaluate_reads_through_it(small, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text(
        "widths: [8, 12]\nscenes: 1\njudged_scenes: 0\npatch: 64\ntraining: {epochs: 1, bf16: false}\n"
    )
    out = tmp_path / "stage"
    assert train_raw_stage.main(["--recipe", str(tmp_path / "tiny.yaml"), "--out", str(out), "--device", "cpu"]) == 0
    weights = out / "weights.safetensors"
    assert str(weights) in capsys.readouterr().out.replace("\n", "")
    source = RigPairs(small, 0, 1, shots_per_scene=1, raw=True)
    (shot,) = RestoredPairs(source, load_stage(weights)).group(0)
    (plain,) = source.group(0)
    assert shot.low_light.shape == plain.low_light.shape and shot.low_light.mean() > 10 * plain.low_light.mean()
    words = ["--raw-stage", str(weights), "--count", "1", "--flip", "none", "--pose", "movenet-lightning"]
    assert evaluate.main([*words, "--out", str(tmp_path / "report")]) == 0
    assert "after the raw stage" in capsys.readouterr().out
    assert evaluate.main([*words, "--raw-stage", str(tmp_path / "no"), "--out", str(tmp_path / "none")]) == 1


def test_the_network_of_the_package_has_less_than_a_million_parameters():
    assert sum(p.numel() for p in RawNet().parameters()) == 472_431
