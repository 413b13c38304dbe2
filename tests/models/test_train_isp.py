"""The learned ISP before a frozen network: who learns, who does not, what the table's rows are, what resumes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig
from isp_sim.scenes import Person
from models import train_isp
from models.data.crops import FLIP, crop_affine, joints_in_crop
from models.data.normalisation import LOW
from models.data.samples import HeldPairs, JoinedPairs, PairSample, RigPairs
from models.data.search_shots import condition, covering
from models.engine.training import Recipe
from models.isp.fixed_settings import FIXED_SHOTS, best_fixed, start_fixed, training_shots
from models.isp.gradient_refinement import refine
from models.isp.grid_search import QUICK_GRID, around
from models.isp.learned import LearnedIsp
from models.isp.learner import IspLearner, LowLightPictures, light_of
from models.isp.predictor import Predictor
from models.isp.region_crops import developed_crops
from models.isp.table import Method, Row, chosen, developed_by, gap_closed, gaps, half_labelled, mean_scaled
from models.isp.trials import HALVES, Search, Trials
from models.pose.network import Cpn
from models.recognisers.detection import Detection
from models.recognisers.loading import of_ours
from models.recognisers.losses import pose_loss
from models.recognisers.recogniser import Recogniser, RecogniserFile
from models.runs import isp_training
from models.scoring.average_precision import SIGMAS, Protocol, oks
from models.scoring.poses import LOW_SPLITS, Poses

CPU = torch.device("cpu")


class Invented:
    """Dark noise with two people a shot."""

    def __init__(self, groups=3):
        self.groups = groups

    def __len__(self):
        return self.groups

    def names(self, index):
        return [shot.name for shot in self.group(index)]

    def group(self, index):
        stream = np.random.default_rng(index)
        low = stream.poisson(3, (120, 100, 3)).astype(np.uint8)
        people = tuple(
            Person(
                tuple((10 + 70 * a, 10 + 90 * b, 2) for a, b in stream.random((14, 2)).tolist()),
                (5.0, 5.0, 80.0, 110.0),
            )
            for _ in range(2)
        )
        return [PairSample(f"imgs_{index}_bright.png", low, low, people, ("LL-N", "LL-H", "LL-E")[index % 3])]


def frozen(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return of_ours(Cpn("tiny", lsbn=True))


def learner(recogniser, pipeline=None):
    pipeline = pipeline or Pipeline()
    isp = LearnedIsp(Predictor(pipeline, torch.Generator().manual_seed(0), "thumbnail", "thumbnail"), pipeline)
    return IspLearner(isp, recogniser)


def test_one_setting_for_all_is_learned_and_nothing_else(tmp_path):
    recogniser, pipeline = frozen(), Pipeline.model_validate({"steps": ["exposure", "gamma"]})
    training = {"epochs": 1, "learning_rate": 0.1, "weight_decay": 0.0}
    options = {"pictures_a_batch": 2, "one_for_all": True, "training": training, "loss": "heatmaps"}
    recipe = isp_training.IspRecipe(pipeline=pipeline, **options)
    isp = isp_training.train(recipe, recogniser, Invented(), tmp_path, False, {}, Console(quiet=True))
    first = Predictor(pipeline, torch.Generator().manual_seed(0), "thumbnail", "thumbnail")
    changed = {
        name for name, value in first.named_parameters() if not torch.equal(value, isp.predictor.get_parameter(name))
    }
    assert changed == {"head.bias"}


def test_gradients_reach_the_predictor_and_the_frozen_network_keeps_every_bit():
    recogniser = frozen()
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    pupil = learner(recogniser).train()
    assert not any("network" in name for name in pupil.state_dict())  # no checkpoint, no optimiser sees it
    pictures = LowLightPictures(Invented(), recogniser.input_size, 2, 8, 0, CPU)
    optimiser = torch.optim.Adam(pupil.parameters(), 1e-2)
    for _, batch in pictures(0):
        optimiser.zero_grad()
        pupil.losses(batch)["pose"].backward()
        optimiser.step()
    assert pupil.isp.predictor.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in recogniser.parameters())
    assert all(torch.equal(before[name], value) for name, value in recogniser.state_dict().items())


def test_an_untrained_predictor_with_its_own_gain_a_channel_is_lees_input():
    """exposure per channel starts at Lee's mean of 0.4: training starts from the baseline itself."""
    pipeline = Pipeline.model_validate({"steps": [{"exposure": {"per_channel": True}}]})
    recogniser, (sample,) = frozen(), Invented().group(0)
    isp = learner(recogniser, pipeline).isp
    ours, lees = developed_by(isp, recogniser, "picture", "none")(sample), mean_scaled(recogniser, "none")(sample)
    raw = replace(sample, pre_quantisation=sample.low_light.astype(np.float32) / 255)  # as if nothing had been lost
    from_raw = mean_scaled(recogniser, "none", "raw")(raw)
    for a, b, c in zip(ours, lees, from_raw, strict=True):
        assert np.allclose(a.keypoints, b.keypoints, atol=1e-2) and np.allclose(b.keypoints, c.keypoints, atol=1e-2)


def test_batches_are_the_same_again_and_a_crowd_is_cut_by_the_key():
    def seen(epoch):
        return [b for _, b in LowLightPictures(Invented(), (128, 96), 2, 1, 3, CPU)(epoch)]

    first, again = seen(0), seen(0)
    assert len(first) == 1 and first[0].joints.shape == (2, 14, 3)
    assert torch.equal(first[0].joints, again[0].joints) and first[0].key == (3, 0, 0)
    assert not all(torch.equal(a.joints, b.joints) for a, b in zip(first, seen(1), strict=True))


class Fixed(torch.nn.Module):
    """Answers with given heatmaps, whatever the crop; eight times coarser than it."""

    def __init__(self, maps):
        super().__init__()
        self.maps = torch.nn.Parameter(maps)

    def forward(self, crops):
        return self.maps.expand(len(crops), -1, -1, -1)


def answering(maps):
    return Recogniser(Fixed(maps), RecogniserFile(height=64, width=64, stride=8))


def test_the_loss_over_places_is_cross_entropy_and_knows_no_height():
    joints = torch.full((1, 14, 3), 2.0)
    joints[..., :2] = 8 * 3 + 3.5  # heatmap pixel (3, 3)
    joints[0, 5, 2] = 0  # unlabelled
    flat, crops = torch.zeros(1, 14, 8, 8), torch.zeros(1, 3, 64, 64)
    assert pose_loss(answering(flat), crops, joints, "spatial-cross-entropy").item() == pytest.approx(
        np.log(64), rel=1e-5
    )
    assert pose_loss(answering(flat + 7), crops, joints, "spatial-cross-entropy").item() == pytest.approx(
        np.log(64), rel=1e-5
    )
    right, wrong = flat.clone(), flat.clone()
    right[..., 3, 3], wrong[..., 6, 6] = 0.5, 0.5
    right[0, 5] = 9.0  # nobody asks
    losses = [pose_loss(answering(m), crops, joints, "spatial-cross-entropy").item() for m in (right, flat, wrong)]
    assert losses == sorted(losses)
    every = [pose_loss(answering(m), crops, joints, "all-heatmaps").item() for m in (0.2 * wrong, wrong)]
    assert every[0] < every[1]
    faint = [pose_loss(answering(m), crops, joints, "heatmaps").item() for m in (0.2 * wrong, wrong)]
    assert faint[0] < faint[1]  # the squared error rewards showing less: why there is another loss


def test_a_fixed_start_is_the_grids_best_setting():
    recogniser, shots = frozen(), [shot for n in range(3) for shot in Invented().group(n)]
    isp = learner(recogniser).isp.eval()
    start_fixed(isp, recogniser, "picture", shots)
    best = best_fixed(recogniser, isp.pipeline, shots, "picture", QUICK_GRID, "none")
    for shot in shots:
        picture = light_of(shot, "picture", CPU)
        due = around(isp.pipeline, isp.pipeline.base(picture), QUICK_GRID)[best]
        assert torch.allclose(isp.values(picture)[0].log(), due.log(), atol=0.05)  # the mean residual serves them all


class Ordered(Invented):
    """Scenes at every ratio, darker from shot to shot as ExLPose's are; nobody is labelled in every third."""

    RATIOS = (100, 200, 400, 800, 1200)

    def names(self, index):
        base = (0.0, 3.4, 12.0)[index % 3]
        gains = [base + 20 * np.log10(ratio / 100) for ratio in self.RATIOS]
        return [
            f"imgs_0101_sim_vid{index:06d}_exp{ratio}_bright_000000__gain_{gain:.2f}_exposure_{400000 // ratio}.png"
            for ratio, gain in zip(self.RATIOS, gains, strict=True)
        ]

    def group(self, index):
        (shot,) = super().group(index)
        people = () if index % 3 == 2 else shot.people
        return [replace(shot, name=name, people=people, split=condition(name)[1]) for name in self.names(index)]


def test_the_best_fixed_setting_is_looked_for_in_shots_of_every_split_and_ratio():
    seen = training_shots(Ordered(24))
    splits = Counter(shot.split for shot in seen)
    ratios = Counter(condition(shot.name)[2] for shot in seen)
    assert len(seen) == FIXED_SHOTS and all(shot.people for shot in seen)
    assert len({condition(shot.name)[0] for shot in seen}) == FIXED_SHOTS  # each of another scene
    assert set(splits) == {"LL-N", "LL-H", "LL-E"} and max(splits.values()) - min(splits.values()) <= 1
    assert set(ratios) == {str(ratio) for ratio in Ordered.RATIOS}
    assert [shot.name for shot in training_shots(Ordered(24))] == [shot.name for shot in seen]
    assert len(training_shots(Ordered(24), 20)) == 20


@pytest.mark.parametrize("of_a_scene", [None, 3, 1])
def test_a_rigs_scenes_give_a_search_every_split_and_ratio_they_have(of_a_scene):
    source = RigPairs(load_rig("exlpose-small"), 2001, 40, shots_per_scene=of_a_scene)
    names = [name for index in range(40) for name in source.names(index)]
    there = [condition(name) for name in names]
    taken = [there[number] for number in covering(names, FIXED_SHOTS)]
    for what in (1, 2):
        assert {one[what] for one in taken} == {one[what] for one in there}


def test_a_search_takes_more_shots_where_few_cannot_show_every_ratio_and_all_where_there_are_few():
    names = [name for index in range(4) for name in Ordered().names(index)]
    assert {condition(names[n])[2] for n in covering(names, 2)} == {str(ratio) for ratio in Ordered.RATIOS}
    assert sorted(covering(names, 99)) == list(range(20))
    assert covering(["a", "b", "c"], 2, lambda number: number != 0) == [1, 2]  # names that say nothing


def test_a_source_knows_its_shots_names_before_it_shoots_them():
    rig = load_rig("exlpose-small").model_copy(update={"width_px": 128, "height_px": 96})
    source = RigPairs(rig, 5, 2, shots_per_scene=2)
    joined = JoinedPairs([HeldPairs(source), source])
    assert source.names(1) == joined.names(3) == [shot.name for shot in joined.group(3)]


def test_the_raw_is_asked_for_where_there_is_none():
    with pytest.raises(ValueError, match="has no raw"):
        light_of(Invented().group(0)[0], "raw", CPU)


def test_a_grid_moves_what_it_names_from_the_pictures_own_start():
    pipeline, picture = Pipeline(), torch.full((1, 3, 8, 8), 0.01)
    base = pipeline.base(picture)
    values = around(pipeline, base, {"exposure.gain": (0.5, 2.0), "smoothing.sigma_range": (1.0, 4.0)})
    assert torch.equal(values[0], base[0]) and len(values) == 5
    assert torch.allclose(values[1:, 0], base[0, 0] * torch.tensor([0.5, 0.5, 2.0, 2.0]))
    assert torch.allclose(values[2, 5:8], base[0, 5:8] * 4) and torch.equal(values[2, 2:5], base[0, 2:5])
    assert len(around(pipeline, base, {"exposure.gain": (0.5, 1.0), "gamma.gamma": (1.0,)})) == 2  # the start once
    high = around(pipeline, pipeline.base(torch.full((1, 3, 8, 8), 1e-5)), {"exposure.gain": (4.0,)})
    assert high[1, 0] == pipeline.specs[0].high  # never outside the range
    with pytest.raises(ValueError, match=r"grid over exposure\.gamma: expected a parameter of the pipeline"):
        around(pipeline, base, {"exposure.gamma": (1.0,)})


def test_a_trial_finds_what_the_developed_picture_gives():
    """Crops developed on their own, a batch of settings at once = the ISP over the whole picture, one setting."""
    recogniser, pipeline, (sample,) = frozen(), Pipeline(), Invented().group(1)
    values = around(pipeline, pipeline.base(light_of(sample, "picture", CPU)), {"exposure.gain": (0.5, 2.0)})
    tried = Search(recogniser, pipeline, sample, "picture").trial(values)
    isp = LearnedIsp(None, pipeline)
    isp.values = lambda *_: values[1:2]
    whole = developed_by(isp, recogniser, "picture", "none")(sample)
    for a, b in zip(tried.detections(1), whole, strict=True):
        apart = np.hypot(*(np.array(a.keypoints) - np.array(b.keypoints))[:, :2].T)
        assert np.median(apart) < 0.5  # of an untrained network's flat maps, a peak may fall elsewhere


def fails(*_):
    raise AssertionError("searched again")


def test_a_search_that_was_stopped_goes_on(tmp_path, monkeypatch):
    recogniser, pipeline, (sample,) = frozen(), Pipeline(), Invented().group(0)
    values = around(pipeline, pipeline.base(light_of(sample, "picture", CPU)), {"gamma.gamma": (0.5,)})

    def search(network=recogniser, shot=sample):
        return Search(network, pipeline, shot, "picture").kept(tmp_path, lambda: values, values)

    first = search()
    (kept,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(Search, "trial", fails)
        assert np.array_equal(search().keypoints, first.keypoints)
        brighter = replace(sample, low_light=sample.low_light + 1)
        moved = replace(sample, people=sample.people[:1])
        for other in ({"shot": brighter}, {"shot": moved}, {"network": frozen(seed=1)}):  # of the same name
            with pytest.raises(AssertionError, match="searched again"):
                search(**other)
    kept.write_bytes(kept.read_bytes()[:50])  # torn: made anew
    assert np.array_equal(search().keypoints, first.keypoints)


def made_up_trials(settings=3):
    stream = np.random.default_rng(0)
    truth = np.dstack([stream.random((1, 14, 2)) * 80, np.full((1, 14, 1), 2)])
    person = Person(tuple(map(tuple, truth[0])), (0.0, 0.0, 80.0, 100.0))
    noisy = np.stack([truth + np.array([s * 4.0, 0, -2 + 0.1 * s]) for s in range(settings)])
    return Trials(noisy, (person,), torch.arange(settings)[:, None].float())


def test_the_oracle_takes_the_nearest_setting_and_confidence_the_highest_peaks():
    tried = made_up_trials()
    gains = tried.mean_oks()
    assert gains[0] == pytest.approx(1) and (np.diff(gains) < 0).all()
    area = 0.53 * 80 * 100
    assert gains[1] == pytest.approx(np.mean([np.exp(-16 / (8 * area * s**2)) for s in SIGMAS]))
    picks = chosen(tried, fixed=1)
    assert picks[Method.ORACLE] == tried.detections(0)
    assert picks[Method.PERSON_ORACLE] == tried.detections(0)  # who is alone
    assert picks[Method.FIXED] == tried.detections(1)
    assert picks[Method.CONFIDENT] == tried.detections(2)
    assert picks[Method.SELECTED] == tried.of_each(tried.selected())


def test_the_selected_setting_is_each_persons_own_and_agrees_with_others():
    tried = made_up_trials(1)
    joints, person = tried.keypoints[0, 0, :, :2], tried.people[0]
    found = np.zeros((4, 2, 14, 3))
    for n, (shift, peak) in enumerate(((0, 0.50), (1, 0.52), (40, 0.60), (0, 0.48))):
        found[n, 0] = np.column_stack([joints + shift, np.full(14, peak)])  # the sharpest stands alone
        found[n, 1] = np.column_stack([joints, np.full(14, 0.4 + 0.1 * (n == 3))])  # all agree: the sharpest
    both = Trials(found, (person, person), torch.arange(4)[:, None].float())
    assert both.selected().tolist() == [1, 3]
    assert [d.score for d in both.of_each(both.selected())] == pytest.approx([0.52, 0.5])
    torn = found.copy()
    torn[1] = np.nan  # the one selected for the first person
    assert Trials(torn, (person, person), torch.arange(4)[:, None].float()).selected().tolist() == [0, 3]
    found[..., 2] -= 1  # logits below 0 are no confidence
    assert Trials(found, (person, person), torch.arange(4)[:, None].float()).selected().tolist() == [0, 0]


def test_an_oracle_per_person_takes_everybodys_nearest_setting():
    tried = made_up_trials()
    joints = np.concatenate([tried.keypoints, tried.keypoints[::-1]], axis=1)  # for the second the last is nearest
    unlabelled = Person(tuple((x, y, 0) for x, y, _ in tried.people[0].keypoints), tried.people[0].bbox)
    two = Trials(joints, tried.people * 2, tried.values)
    assert two.best_of_each().tolist() == [0, 2]
    assert np.nanmax(two.mean_oks()) < two.oks_of_each().max(axis=0).mean() == pytest.approx(1)
    assert Trials(joints, (*tried.people, unlabelled), tried.values).best_of_each()[0] == 0


def test_the_selected_of_noisy_poses_is_nearer_the_truth_than_the_mean_one():
    stream, better = np.random.default_rng(2), []
    for _ in range(100):
        tried = made_up_trials(1)
        noisy = np.repeat(tried.keypoints, 15, axis=0)
        noisy[..., :2] += stream.normal(0, 8, (15, 1, 1, 2)) * stream.exponential(1, (15, 1, 1, 1))
        noisy[..., 2] = 0.5
        many = Trials(noisy, tried.people, tried.values.repeat(15, 1))
        better.append(many.mean_oks()[many.selected()[0]] - many.mean_oks().mean())
    assert np.mean(better) > 4 * np.std(better) / np.sqrt(100)


def test_an_oracle_over_noise_shows_no_gain_on_the_other_half():
    """Settings that are pure noise: the oracle over all joints seems to gain, the cross-validated one does not."""
    stream, whole, cross = np.random.default_rng(1), [], []
    for _ in range(200):
        tried = made_up_trials(1)
        noise = stream.normal(0, 6, (30, 1, 14, 2))
        keypoints = np.repeat(tried.keypoints, 30, axis=0)
        keypoints[..., :2] += noise
        many = Trials(keypoints, tried.people, tried.values.repeat(30, 1))
        whole.append(many.mean_oks().max() - many.mean_oks().mean())
        pick = int(many.mean_oks(HALVES[0]).argmax())
        cross.append(many.mean_oks(HALVES[1])[pick] - many.mean_oks(HALVES[1]).mean())
    assert np.mean(whole) > 0.05
    assert abs(np.mean(cross)) < 4 * np.std(cross) / np.sqrt(200)


def test_gradient_refinement_starts_at_its_start_lowers_the_loss_and_leaves_the_network_alone():
    recogniser, pipeline, (sample,) = frozen(), Pipeline(), Invented().group(0)
    before = {name: value.clone() for name, value in recogniser.state_dict().items()}
    start = pipeline.base(light_of(sample, "picture", CPU))[0]
    every = tuple(range(14))
    shot = Search(recogniser, pipeline, sample, "picture")
    path = refine(shot, start, every, 8)
    assert torch.equal(path[0], start) and path.shape == (9, pipeline.size)

    def loss(values, joints):
        affines = [crop_affine(p.bbox, recogniser.input_size) for p in sample.people]
        there = [
            joints_in_crop(p, a, recogniser.input_size, False) for p, a in zip(sample.people, affines, strict=True)
        ]
        labels = torch.from_numpy(np.stack(there))
        labels[:, [j for j in range(14) if j not in joints], 2] = 0
        picture = light_of(sample, "picture", CPU)
        crops = developed_crops(pipeline, [picture], values.expand(len(affines), -1), [affines], recogniser.input_size)
        return float(pose_loss(recogniser, crops, labels, "spatial-cross-entropy"))

    losses = [loss(values, every) for values in path]
    assert min(losses) < losses[0] - 1e-4
    half = refine(shot, start, HALVES[0], 8)
    assert loss(half[-1], HALVES[0]) < loss(half[0], HALVES[0])
    assert not torch.equal(half[1], path[1])  # the other half's labels were not used
    assert all(torch.equal(value, before[name]) for name, value in recogniser.state_dict().items())


def test_a_refinement_that_was_stopped_goes_on_and_another_start_is_another_one(tmp_path, monkeypatch):
    recogniser, pipeline, (sample,) = frozen(), Pipeline(), Invented().group(0)
    start = pipeline.base(light_of(sample, "picture", CPU))[0]

    def refined(start, joints=HALVES[0]):
        there = Search(recogniser, pipeline, sample, "picture")
        return there.kept(tmp_path, lambda: refine(there, start, joints, 2), "refinement", start, joints, 2)

    first, other = refined(start), refined(start, HALVES[1])
    assert not torch.equal(other.values[1], first.values[1])
    assert torch.equal(refined(start * 1.1).values[0], start * 1.1)
    monkeypatch.setattr(Search, "trial", fails)
    assert np.array_equal(refined(start).keypoints, first.keypoints)


def test_halves_part_left_from_right():
    assert sorted(HALVES[0] + HALVES[1]) == list(range(14))
    assert all((FLIP[j] in HALVES[1]) for j in HALVES[0] if FLIP[j] != j)
    (half,) = half_labelled(made_up_trials().people, HALVES[0])
    assert [v > 0 for _, _, v in half.keypoints] == [j in HALVES[0] for j in range(14)]


def test_oks_is_nan_for_nobody_and_gap_closed_is_its_formula():
    assert np.isnan(oks(np.zeros((1, 14, 3)), np.zeros((1, 14, 3)), np.array([100.0])))
    assert gap_closed(37.0, 32.0, 42.0) == pytest.approx(0.5)
    assert np.isnan(gap_closed(37.0, 32.0, 31.0))


def test_gaps_are_of_rows_that_are_judged_alike():
    ap = {Row(Method.MEAN_SCALED): 30.0, Row(Method.LEARNED): 33.0, Row(Method.ORACLE): 36.0}
    ap |= {Row(Method.ORACLE, "raw"): 40.0, Row(Method.ORACLE, cross_validated=True): 50.0}
    ap |= {Row(Method.WELL_LIT): 60.0}
    assert [str(gap) for gap in gaps(ap)] == [
        "learned ISP: closes 50 % of the gap to oracle: grid search",
        "learned ISP: closes 10 % of the gap to the well-lit picture",
        "learned ISP: closes 30 % of the gap to oracle: grid search, from raw",
    ]


def test_rows_keep_splits_apart():
    poses, tried = Poses(), made_up_trials()
    found = [Detection(tuple((x, y, 1.0) for x, y, _ in tried.people[0].keypoints), 1.0)]
    poses.add_low_light("LL-H", "a", tried.people, found)
    scores = poses.scores(Protocol(), LOW_SPLITS)
    assert tuple(scores) == ("LL-N", "LL-H", "LL-E", "LL-A")
    assert scores["LL-H"].ap == scores["LL-A"].ap == pytest.approx(100)
    assert np.isnan(scores["LL-N"].ap)


RECIPE = "pictures_a_batch: 2\npeople_a_picture: 2\ntraining: {epochs: 3, learning_rate: 0.01, bf16: false}\n"


def test_a_training_gives_the_same_weights_again_and_others_by_another_seed(tmp_path):
    def trained(name, seed):
        recipe = isp_training.IspRecipe(pictures_a_batch=2, training=Recipe(epochs=1, bf16=False, seed=seed))
        isp = isp_training.train(recipe, frozen(), Invented(), tmp_path / name, False, {}, Console(quiet=True))
        return isp.predictor.convolutions[0].weight

    assert torch.equal(trained("a", 0), trained("b", 0))
    assert not torch.equal(trained("c", 1), trained("d", 0))


@pytest.mark.slow
def test_the_command_killed_and_resumed_equals_the_uninterrupted_run(tmp_path):
    """Real commands over real files: SIGKILL in the middle, --resume, the same bytes."""
    from isp_sim import generate
    from models.recognisers.weights import save_network

    rig = tmp_path / "rig.yaml"
    rig.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 128\nheight_px: 96\n")
    data = tmp_path / "data"
    assert generate.main(["--rig", str(rig), "--count", "6", "--out", str(data), "--workers", "1"]) == 0
    with torch.random.fork_rng(devices=[]):
        save_network(Cpn("tiny", lsbn=True), tmp_path / "pose.safetensors", {})
    (tmp_path / "isp.yaml").write_text(RECIPE)
    held_out = shutil.copytree(data, tmp_path / "held-out")

    def command(out):
        return [
            sys.executable, "-m", "models.train_isp", "--recipe", str(tmp_path / "isp.yaml"), "--data", str(data),
            "--judge", str(held_out), "--pose", str(tmp_path / "pose.safetensors"), "--device", "cpu",
            "--out", str(out),
        ]  # fmt: skip

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    cut = subprocess.Popen(command(tmp_path / "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "cut" / "checkpoint.safetensors").exists():
        assert cut.poll() is None
        time.sleep(0.02)
    os.kill(cut.pid, signal.SIGKILL)
    cut.wait()
    subprocess.run([*command(tmp_path / "cut"), "--resume"], check=True, capture_output=True)
    for name in ("isp.safetensors",):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    page = (tmp_path / "cut" / "report.html").read_text()
    rows = Row(Method.LEARNED), Row(Method.MEAN_SCALED), Row(Method.ORACLE, cross_validated=True)
    assert all(str(row) in page for row in rows) and "http" not in page.split("base64", 1)[0]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--recipe", "nowhere.yaml"], "no such file, expected a file or one of isp, isp-quick"),
        (["--pose", "nowhere.safetensors"], "nowhere.safetensors: not a whole safetensors file"),
        (["--data", "nowhere"], "holds no Annotations"),
        (["--device", "tpu"], "expected auto, cpu or cuda"),
        (["--epochs", "0"], "--epochs 0: expected a whole number from 1"),
        (["--data", "here", "--judge", "here/"], "is learned from (--data); expected held-out pairs"),
    ],
)
def test_bad_arguments_get_one_sentence(tmp_path, capsys, more, told):
    asked = ["--out", str(tmp_path / "out"), "--pose", "tests.models.test_train_isp:frozen", *more]
    assert train_isp.main(asked) == 1
    said = capsys.readouterr().err
    assert told in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_held_pairs_ask_once():
    class Counting(Invented):
        asked = 0

        def group(self, index):
            Counting.asked += 1
            return super().group(index)

    held = HeldPairs(Counting())
    assert held.group(1) is held.group(1)
    assert Counting.asked == 1 and len(held) == 3
    assert LOW == 0 and json.dumps(held.group(1)[0].split) == '"LL-H"'
