"""Enhancers before the pose network, and the figures of their pictures; the option of models.evaluate."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from isp_sim.scenes import Person
from models import evaluate
from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.engine.weights_file import read_tensors
from models.enhance.enhancer import SHIPPED, Enhancer, load_enhancer
from models.enhance.pairs import EnhancedPairs
from models.enhance.poses import enhanced_by
from models.enhance.quality import MEASURES, measured
from models.pose.network import Cpn
from models.recognisers.inference import detect
from models.recognisers.loading import of_ours
from models.scoring.niqe import published_pristine
from models.scoring.picture_quality import psnr_ssim
from models.scoring.poses import find_poses


@pytest.fixture(scope="module")
def recogniser():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return of_ours(Cpn("small", lsbn=True))


def sample(seed=0):
    stream = np.random.default_rng(seed)
    well = stream.integers(60, 255, (100, 110, 3), np.uint8)
    joints = tuple((20 + 60 * a, 10 + 70 * b, 2) for a, b in stream.random((14, 2)).tolist())
    return PairSample(
        f"{seed}", (well // 16).astype(np.uint8), well, (Person(joints, (15.0, 5.0, 70.0, 80.0)),), "LL-N"
    )


def test_the_partner_itself_scores_best():
    shot, pristine = sample(), published_pristine()
    perfect, untouched = (measured(picture, shot, pristine) for picture in (shot.well_lit, shot.low_light))
    assert tuple(perfect) == MEASURES
    assert perfect["PSNR"] == np.inf and perfect["SSIM"] == pytest.approx(1)
    assert untouched["LOE"] == 0 < perfect["LOE"]  # sixteen levels into one: orders appear that were not there
    error = np.mean((shot.low_light.astype(float) - shot.well_lit) ** 2)
    assert untouched["PSNR"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-4)
    assert untouched["PSNR matched"] > untouched["PSNR"] + 10


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_enhancer_is_small_brightens_and_names_no_folder_of_a_machine(name):
    assert SHIPPED[name].stat().st_size <= 1e6
    _, metadata = read_tensors(SHIPPED[name])
    assert json.loads(metadata["about"])["data"] == ["photos320"]
    across, down = np.meshgrid(np.linspace(30, 220, 64), np.linspace(0, 30, 48))
    well = np.repeat((across + down)[..., None], 3, axis=2).astype(np.uint8)
    low = (well // 20).astype(np.uint8)
    brightened = load_enhancer(name).enhance(low)
    assert brightened.mean() > 1.5 * low.mean()
    assert psnr_ssim(brightened, well)[0] > psnr_ssim(low, well)[0] + 0.5


def test_an_enhancer_that_changes_nothing_changes_no_pose(recogniser):
    """Lee's mean of 0.4 follows in both cases."""
    shot = sample()
    same = Enhancer("same", lambda picture: picture)
    assert enhanced_by(same, recogniser, "none")(shot) == detect(recogniser, shot.low_light, shot.labelled, LOW, "none")
    plain = find_poses(recogniser, [shot], "none")
    hooked = find_poses(recogniser, [shot], "none", enhanced_by(same, recogniser, "none"))
    assert plain.found == hooked.found


def test_evaluate_tells_what_is_no_enhancer(capsys, tmp_path):
    assert evaluate.main(["--enhancer", "nothing", "--out", str(tmp_path)]) == 1
    assert "--enhancer nothing: expected gamma, clahe, msr, msrcr, dehz, lime, srie" in capsys.readouterr().err


def test_pairs_of_an_enhancer_keep_all_but_the_low_light_picture():
    source = [[replace(sample(0), pre_quantisation=sample(0).low_light / np.float32(255))], [sample(1), sample(2)]]

    class Source:
        def __len__(self):
            return 2

        def names(self, index):
            return [shot.name for shot in source[index]]

        def group(self, index):
            return source[index]

    pairs = EnhancedPairs(Source(), Enhancer("thrice", lambda picture: picture * 3))
    assert len(pairs) == 2 and pairs.names(1) == ["1", "2"]
    for index in range(2):
        for shot, before in zip(pairs.group(index), source[index], strict=True):
            assert shot.low_light.dtype == np.uint8 and np.array_equal(shot.low_light, before.low_light * 3)
            assert shot.raw is None and shot.pre_quantisation is None  # of a picture that is no longer this one
            kept = replace(shot, low_light=before.low_light, pre_quantisation=before.pre_quantisation)
            assert kept == before
