"""Enhancers side by side and before the pose network; the option of models.evaluate; drawn pictures never differ."""

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
    assert "--enhancer nothing: expected gamma, clahe, msr, msrcr, dehz, lime, zero-dce" in capsys.readouterr().err
