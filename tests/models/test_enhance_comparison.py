"""Enhancers side by side and before the pose network; the option of models.evaluate; drawn pictures never differ."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.scenes import Person
from models import evaluate
from models.data.normalisation import LOW
from models.data.samples import PairSample
from models.enhance.comparison import MEAN_SCALED, MEASURES, NOT_ENHANCED, compare_enhancers, inputs, of_isp
from models.enhance.enhancer import Enhancer
from models.enhance.pairs import EnhancedPairs
from models.enhance.poses import enhanced_by
from models.isp.learned import LearnedIsp
from models.pose.network import Cpn
from models.recognisers.inference import detect
from models.recognisers.loading import of_ours
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


def perfect(pairs):
    """An enhancer that knows the partner."""
    partners = {pair.low_light.tobytes(): pair.well_lit for pair in pairs}
    return Enhancer("perfect", lambda picture: partners[picture.tobytes()], 7)


def test_the_table_ranks_the_partner_itself_first(recogniser):
    pairs = [sample(0), sample(1)]
    rows = compare_enhancers([*inputs(), perfect(pairs)], pairs, None, recogniser)
    means = {name: row.means() for name, row in rows.items()}
    assert means["perfect"]["SSIM"] == pytest.approx(1)
    assert np.isnan(means["perfect"]["PSNR"])  # infinite for every picture: none is left to average
    assert means[NOT_ENHANCED]["PSNR"] < means[MEAN_SCALED]["PSNR"]
    assert means[NOT_ENHANCED]["LOE"] == 0 and set(means[NOT_ENHANCED]) == set(MEASURES)
    assert rows["perfect"].parameters == 7 and len(rows["perfect"].seconds) == 2
    assert set(rows["perfect"].pck()) == {"LL-N", "LL-H", "LL-E", "LL-A"}


def test_without_a_network_there_are_no_poses():
    rows = compare_enhancers(inputs()[:1], [sample()])
    assert rows[NOT_ENHANCED].pck() == {}


def test_an_enhancer_that_changes_nothing_changes_no_pose(recogniser):
    """Lee's mean of 0.4 follows in both cases."""
    shot = sample()
    same = Enhancer("same", lambda picture: picture)
    assert enhanced_by(same, recogniser, "none")(shot) == detect(recogniser, shot.low_light, shot.labelled, LOW, "none")
    plain = find_poses(recogniser, [shot], "none")
    hooked = find_poses(recogniser, [shot], "none", enhanced_by(same, recogniser, "none"))
    assert plain.found == hooked.found


def test_the_learned_isp_stands_in_the_same_table():
    isp = of_isp(LearnedIsp(None, Pipeline()))
    picture = sample().low_light
    out = isp.enhance(picture)
    assert out.dtype == np.uint8 and out.shape == picture.shape and out.mean() > picture.mean()


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
