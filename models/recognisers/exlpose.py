"""The checkpoint that Lee et al. released with ExLPose (`.pth.tar`): CPN on ResNet-50, by torch's weights-only loader.

Their modules register the same layers in the same order as ours, each batch norm twice under LSBN, so tensors are taken
in their order, and names' ends and shapes must agree.
"""

from pathlib import Path

import torch

from models.data.normalisation import MeanStd
from models.engine.weights_file import fill, read_torch_tensors
from models.pose.network import Cpn
from models.recognisers.recogniser import Recogniser, RecogniserFile

WELL_LIT = MeanStd(mean=(0.3457, 0.3460, 0.3463), std=(0.1477, 0.1482, 0.1483))
"""How the released code normalises well-lit pictures."""
SUFFIXES = (".tar", ".pth")


def load_exlpose(path: Path) -> Recogniser:
    """The released network, frozen.

    Raises:
        ValueError: not such a checkpoint.
    """
    tensors = read_torch_tensors(path)
    lsbn = any(".bns." in name for name in tensors)
    if not any(name.startswith("resnet") for name in tensors):
        raise ValueError(f"{path}: no tensor of a resnet; expected ExLPose's released CPN")
    with torch.random.fork_rng(devices=[]):
        network = Cpn("resnet50", lsbn=lsbn)
    wanted = network.state_dict()
    if len(tensors) != len(wanted):
        raise ValueError(f"{path}: {len(tensors)} tensors, expected the {len(wanted)} of ExLPose's CPN on ResNet-50")
    named = {}
    for theirs, ours in zip(tensors, wanted, strict=True):
        if theirs.rpartition(".")[2] != ours.rpartition(".")[2]:
            raise ValueError(f"{path}: tensor {theirs}: stands where ExLPose's CPN has {ours}")
        named[ours] = tensors[theirs]
    fill(network, named, path)
    return Recogniser(network, RecogniserFile(height=256, width=192, well_lit=WELL_LIT))
