"""A whole loss on another device than the CPU: a tensor made on the CPU inside would be refused (no GPU needed)."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from models.data.crops import crop_affine, seen_part
from models.raw_stage.learner import RawStageLearner, TunedStageLearner
from models.raw_stage.network import RawInput, RawNet
from models.raw_stage.patches import RawPatches
from models.raw_stage.people import SeenPerson
from models.recognisers.loading import load_recogniser
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
