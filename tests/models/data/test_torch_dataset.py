"""Pairs as a torch data set: a folder's and a rig's, through a loader's workers."""

import numpy as np
import torch
from torch.utils.data import DataLoader

from isp_sim.generate import main
from models.data.samples import FolderPairs, RigPairs
from models.data.torch_dataset import PairDataset, collate


def test_a_folder_s_pairs_come_through_a_loader(tmp_path):
    assert main(["--rig", "exlpose-small", "--count", "3", "--out", str(tmp_path / "d"), "--seed", "5"]) == 0
    dataset = PairDataset(FolderPairs(tmp_path / "d", raw=True))
    (batch,) = DataLoader(dataset, batch_size=3, num_workers=2, collate_fn=collate, multiprocessing_context="spawn")
    assert len(dataset) == 3 and batch["low_light"].dtype == torch.uint8
    assert batch["low_light"].shape == batch["well_lit"].shape == (3, 3, *batch["mosaic"].shape[2:])
    assert batch["well_lit"].float().mean() > 10 * batch["low_light"].float().mean()
    sample = FolderPairs(tmp_path / "d").group(1)[0]
    assert batch["name"][1] == sample.name and batch["exposure_us"][1] == sample.exposure.time_us
    np.testing.assert_array_equal(batch["well_lit"][1].permute(1, 2, 0).numpy(), sample.well_lit)
    assert [len(one) for one in batch["keypoints"]] == [
        len(FolderPairs(tmp_path / "d").group(n)[0].people) for n in (0, 1, 2)
    ]
    np.testing.assert_allclose(batch["boxes"][1].numpy(), [person.bbox for person in sample.people], rtol=1e-6)


def test_a_rig_s_shots_are_items(small):
    dataset = PairDataset(RigPairs(small, seed=1, scenes=1, shots_per_scene=2))
    assert len(dataset) == 2
    first, again = dataset[0], dataset[0]
    assert torch.equal(first["low_light"], again["low_light"]) and first["split"].startswith("LL-")
    assert first["keypoints"].shape[1:] == (14, 3) and len(first["boxes"]) == len(first["keypoints"])
