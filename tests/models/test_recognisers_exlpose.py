"""ExLPose's released checkpoint: its names in its modules' order, a norm for each lighting, weights alone."""

import pytest
import torch

from models.data.normalisation import LOW, WELL
from models.pose.network import Cpn
from models.recognisers.exlpose import load_exlpose
from models.recognisers.loading import load_recogniser


def released_names():
    """The released network's state, named as its modules are (sohyun-l/ExLPose: resnetlsbn, globalNet; refineNet of
    the CPN that it builds on)."""

    def norm(name, lighted=False):
        kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return [f"{name}{f'.bns.{n}' if lighted else ''}.{k}" for n in range(1 + lighted) for k in kinds]

    def bottleneck(name, lighted, down):
        found = []
        for n in (1, 2, 3):
            found += [f"{name}.conv{n}.weight", *norm(f"{name}.bn{n}", lighted)]
        return found + ([f"{name}.downsample.0.weight", *norm(f"{name}.downsample.1", lighted)] if down else [])

    names = ["resnet_lsbn.conv1.weight", *norm("resnet_lsbn.bn1", True)]
    for layer, depth in enumerate((3, 4, 6, 3), start=1):
        for block in range(depth):
            names += bottleneck(f"resnet_lsbn.layer{layer}.{block}", True, block == 0)
    for n in range(4):
        names += [f"global_net.laterals.{n}.0.weight", *norm(f"global_net.laterals.{n}.1")]
    for n in range(3):
        names += [f"global_net.upsamples.{n}.1.weight", *norm(f"global_net.upsamples.{n}.2")]
    for n in range(4):
        head = f"global_net.predict.{n}"
        names += [f"{head}.0.weight", *norm(f"{head}.1"), f"{head}.3.weight", *norm(f"{head}.5")]
    for n, count in enumerate((3, 2, 1, 0)):
        for block in range(count):
            names += bottleneck(f"refine_net.cascade.{n}.{block}", False, True)
    last = "refine_net.final_predict"
    return names + bottleneck(f"{last}.0", False, True) + [f"{last}.1.weight", *norm(f"{last}.2")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network of ours, stored under the released names as data parallelism writes it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = Cpn("resnet50", lsbn=True).eval()
    state = network.state_dict()
    names = released_names()
    assert len(names) == len(state)
    for name, tensor in state.items():  # each lighting's norms differ, so that an exchange is seen
        if name.endswith("norms.1.running_mean"):
            tensor += 0.01
    stored = {f"module.{name}": tensor for name, tensor in zip(names, state.values(), strict=True)}
    path = tmp_path_factory.mktemp("exlpose") / "Ours.pth.tar"
    torch.save({"epoch": 32, "state_dict": stored, "optimizer": {}}, path)
    return path, network


def test_the_released_checkpoint_is_read_and_gives_its_networks_heatmaps(checkpoint):
    path, network = checkpoint
    recogniser = load_recogniser(path)
    assert sum(p.numel() for p in recogniser.parameters()) == 27_372_236 + 53_120  # LSBN: the backbone's norms twice
    crops = torch.rand(1, 3, 256, 192, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for lighting in (LOW, WELL):
            assert torch.equal(recogniser(crops, lighting), network(crops, lighting).heatmaps)
        assert not torch.equal(recogniser(crops, LOW), recogniser(crops, WELL))
    assert recogniser.normalisation[WELL].mean == (0.3457, 0.3460, 0.3463)


def test_other_checkpoints_and_code_are_refused(tmp_path, checkpoint):
    path, _ = checkpoint
    stored = torch.load(path, weights_only=True)
    stored["state_dict"].popitem()
    torch.save(stored, tmp_path / "short.pth.tar")
    with pytest.raises(ValueError, match=r"expected the \d+ of ExLPose's CPN"):
        load_exlpose(tmp_path / "short.pth.tar")
    torch.save({"state_dict": {"conv.weight": torch.ones(1)}}, tmp_path / "other.pth.tar")
    with pytest.raises(ValueError, match="no tensor of a resnet"):
        load_exlpose(tmp_path / "other.pth.tar")
    torch.save({"state_dict": print}, tmp_path / "code.pth.tar")
    with pytest.raises(ValueError, match="weights alone"):
        load_exlpose(tmp_path / "code.pth.tar")
