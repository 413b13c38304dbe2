"""A whole loss on another device than the CPU: a tensor made on the CPU inside would be refused (no GPU needed)."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from isp_sim.isp.pipeline import Pipeline
from models.data.crops import crop_affine, seen_part
from models.data.samples import Exposure
from models.isp.learned import LearnedIsp
from models.isp.learner import IspLearner, LowLightBatch
from models.isp.predictor import Predictor
from models.raw_stage.learner import RawStageLearner, TunedStageLearner
from models.raw_stage.network import RawInput, RawNet
from models.raw_stage.patches import RawPatches
from models.raw_stage.people import SeenPerson
from models.recognisers.loading import _checked, load_recogniser
from models.recognisers.losses import pose_loss

META = torch.device("meta")
KINDS = ("heatmaps", "spatial-cross-entropy", "decoded-cross-entropy")


def seen(height=64, width=96):
    one = torch.zeros(1, 1, 1, 1)
    return RawInput(torch.zeros(1, 1, height, width), one, one, torch.eye(3)[None]).to(META)


def test_such_a_device_refuses_what_lies_on_the_cpu():
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.conv2d(torch.zeros(1, 1, 4, 4, device=META), torch.zeros(1, 1, 3, 3)).sum().item()


@pytest.mark.parametrize("name", ["movenet-lightning", "blazepose-full", "low-light"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recognisers_loss_and_its_slope(name, kind):
    recogniser = load_recogniser(name).to(META)
    crops = torch.zeros(2, 3, *recogniser.input_size, device=META, requires_grad=True)
    joints = torch.zeros(2, 14, 3, device=META)
    pose_loss(recogniser, crops, joints, kind).backward()
    assert crops.grad.device == META and crops.grad.shape == crops.shape


def test_the_raw_stage_learns():
    learner = RawStageLearner(RawNet((8, 12))).to(META)
    loss = learner.losses(RawPatches(seen(), torch.zeros(1, 3, 64, 96, device=META)))["l1"]
    loss.backward()
    assert all(weight.grad.device == META for weight in learner.parameters())


def test_the_raw_stage_learns_before_a_network(monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which knows no meta device
    recogniser = load_recogniser("movenet-lightning").to(META)
    learner = TunedStageLearner(RawNet((8, 12)).to(META), [recogniser], 1.0)
    affine = crop_affine((20.0, 10.0, 40.0, 44.0), recogniser.input_size, grow=recogniser.grow)
    part = seen_part(affine, recogniser.input_size, (64, 96))
    well, joints = torch.zeros(1, 3, 64, 96, device=META), torch.from_numpy(np.zeros((14, 3), np.float32)).to(META)
    terms = learner.losses([SeenPerson(0, seen(), (), (0, 0), well, part, affine, joints)])
    torch.stack([*terms.values()]).sum().backward()
    assert all(weight.grad.device == META for weight in learner.parameters())


def test_a_factorys_network_is_probed_where_it_is(monkeypatch):
    recogniser = load_recogniser("movenet-lightning").to(META)
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda maps: torch.ones(1))  # of no numbers nobody can tell
    assert _checked(recogniser, "there") is recogniser


@pytest.mark.parametrize("per_person", [False, True])
def test_the_predictor_learns(monkeypatch, per_person):
    """All of a step but the bilateral filter, which has kernels of its own for each device."""
    monkeypatch.setattr(Pipeline, "_check", lambda *_: None)  # looks at numbers
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    pipeline = Pipeline.model_validate({"steps": ["exposure", "gamma"]})
    predictor = Predictor(pipeline, torch.Generator().manual_seed(0), "thumbnail", "thumbnail", informed=True)
    recogniser = load_recogniser("movenet-lightning").to(META)
    learner = IspLearner(LearnedIsp(predictor, pipeline, per_person), recogniser).to(META).train()
    for norm in predictor.norms:
        norm.num_batches_tracked = None  # a count that it reads
    affines = ((crop_affine((20.0, 10.0, 40.0, 44.0), recogniser.input_size, grow=recogniser.grow),),)
    joints = torch.zeros(1, 14, 3, device=META)
    light, exposures = (torch.zeros(1, 3, 64, 96, device=META),), (Exposure(2000.0, 12.0),)
    learner.losses(LowLightBatch(light, affines, joints, (0, 0, 0), (), exposures))["pose"].backward()
    assert all(weight.grad.device == META for weight in predictor.parameters())
