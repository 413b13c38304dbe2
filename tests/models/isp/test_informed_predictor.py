"""What a predictor knows beside the picture, and parameters for everybody: closed forms, and who is affected."""

import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig
from models.data.crops import crop_affine
from models.data.samples import Exposure, PairSample, RigPairs, shots
from models.isp import evidence
from models.isp.learned import LearnedIsp, load_weights, save_weights
from models.isp.learner import IspLearner, LowLightPictures
from models.isp.predictor import Predictor
from models.isp.table import developed_by
from models.recognisers.loading import load_recogniser

CPU = torch.device("cpu")
SIZE = (192, 192)
EXPOSURE = Exposure(2000.0, 12.0)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def stirred(per_person=True):
    """An informed ISP whose last layers say something."""
    isp = LearnedIsp(Predictor(Pipeline(), stream(), "thumbnail", "thumbnail", True), Pipeline(), per_person).eval()
    with torch.no_grad():
        isp.predictor.head.weight.normal_(0, 0.01, generator=stream(1))
        isp.predictor.known[2].weight.normal_(0, 0.1, generator=stream(2))
    return isp


@pytest.fixture(scope="module")
def sample():
    return next(shots(RigPairs(load_rig("exlpose-small"), 3, 1, shots_per_scene=1)))


def test_evidence_is_gain_noise_exposure_and_histogram():
    noise, level = 0.01, 0.05
    image = (level + noise * torch.randn(1, 1, 300, 480, generator=stream())).expand(1, 3, -1, -1)
    found = evidence.evidence(image, EXPOSURE)[0]
    gain = 0.4 / level
    assert found.shape == (evidence.SIZE,)
    assert 2 ** (8 * found[0]) == pytest.approx(gain, rel=1e-3)
    assert 2 ** (8 * found[1]) == pytest.approx(gain * noise, rel=0.03)  # 36,000 px a plane: 0.7 % each
    assert 2 ** (4 * found[2]) == pytest.approx(2.0) and 24 * found[3] == pytest.approx(12.0)
    below = torch.special.ndtr((torch.tensor(evidence.EDGES) - 0.4) / (gain * noise))
    assert torch.allclose(found[4:], below, atol=4 * 0.5 / 144_000**0.5)


def test_a_shots_exposure_is_the_low_light_arms(sample):
    assert sample.exposure.time_us > 0 and f"_exposure_{sample.exposure.time_us:.0f}.png" in sample.name
    assert Exposure.named("imgs_s_vid0_exp100_dark_1__gain_3.40_exposure_1250.png") == (1250.0, 3.4)
    assert Exposure.named("photo.png") is None


def test_an_informed_predictor_asks_for_the_exposure():
    isp, image = stirred(), torch.rand(1, 3, 96, 96, generator=stream()) * 0.02
    with pytest.raises(ValueError, match="exposure time and gain of a picture are unknown; expected a DNG"):
        isp.values(image)
    longer = isp.values(image, exposure=Exposure(8000.0, 12.0))
    assert not torch.allclose(isp.values(image, exposure=EXPOSURE), longer)


def test_everybody_has_parameters_of_what_their_own_crop_sees():
    isp = stirred()
    picture = torch.rand(1, 3, 200, 300, generator=stream()) * 0.02
    picture[..., :150] *= 0.2
    affines = [crop_affine((20.0, 40.0, 60.0, 90.0), SIZE), crop_affine((220.0, 40.0, 60.0, 90.0), SIZE)]
    own = isp.of_people([picture], [EXPOSURE], [affines], SIZE)
    alone = isp.of_people([picture], [EXPOSURE], [affines[1:]], SIZE)
    assert torch.allclose(own[1:], alone, rtol=1e-5) and not torch.allclose(own[0], own[1], rtol=1e-2)
    shared = stirred(per_person=False).of_people([picture], [EXPOSURE], [affines], SIZE)
    assert torch.equal(shared[0], shared[1])
    assert torch.allclose(shared[:1], stirred(False).values(picture, exposure=EXPOSURE))


def test_what_was_learned_comes_back_from_disk_and_reads_poses(tmp_path, sample):
    isp, path = stirred(), tmp_path / "isp.safetensors"
    save_weights(isp, path)
    again = load_weights(path, "thumbnail").eval()
    assert again.per_person and again.predictor.informed
    recogniser = load_recogniser("movenet-lightning")
    found, there = (developed_by(one, recogniser, "picture", "none")(sample) for one in (isp, again))
    assert len(found) == len(sample.labelled)
    assert all(np.array_equal(a.keypoints, b.keypoints, equal_nan=True) for a, b in zip(found, there, strict=True))


def test_gradients_reach_what_is_known(sample):
    class Lone:
        def __len__(self):
            return 1

        def names(self, index):
            return [sample.name]

        def group(self, index) -> list[PairSample]:
            return [sample]

    recogniser = load_recogniser("movenet-lightning")
    isp = stirred().train()
    pictures = LowLightPictures(Lone(), recogniser.input_size, 1, 2, 0, CPU, grow=recogniser.grow)
    ((_, batch),) = list(pictures(0))
    assert batch.exposures == (sample.exposure,)
    IspLearner(isp, recogniser).losses(batch)["pose"].backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in isp.predictor.known.parameters())
