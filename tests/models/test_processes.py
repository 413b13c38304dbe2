"""Several processes, one training: real ones, started by torchrun, over files."""

import json
import os
import subprocess
import sys

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

RECIPE = (
    "variant: lsbn\nsize: tiny\npeople_a_batch: 2\nvalidation_scenes: 0\n"
    "training: {epochs: 2, learning_rate: 1.0e-3, bf16: false}\n"
)


def together(*arguments):
    """A command in two processes."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Five scenes: the processes' shares differ in how many people, and so how many batches, they hold."""
    from isp_sim import generate

    folder = tmp_path_factory.mktemp("pairs")
    rig = folder / "rig.yaml"
    rig.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 128\nheight_px: 96\n")
    (folder / "pose.yaml").write_text(RECIPE)
    assert generate.main(["--rig", str(rig), "--count", "10", "--out", str(folder / "data"), "--workers", "1"]) == 0
    return folder


@pytest.mark.slow
def test_two_processes_train_one_network_and_end_together(pairs, tmp_path):
    """Unequal shares do not leave one process waiting; the same command gives the same weights again."""

    def trained(name, *more):
        command = ["models.train_pose", "--recipe", str(pairs / "pose.yaml"), "--data", str(pairs / "data")]
        done = together(*command, "--workers", "0", "--device", "cpu", "--out", str(tmp_path / name), *more)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("next: isp-sim evaluate") == 1
        return load_file(tmp_path / name / "weights.safetensors")

    first, again = trained("a"), trained("b")
    assert all((first[name] == again[name]).all() and first[name].isfinite().all() for name in first)
    with safe_open(tmp_path / "a" / "checkpoint.safetensors", "pt") as stored:
        history = json.loads(stored.metadata()["history"])
    assert [row["epoch"] for row in history] == [1, 2]
    longer = (pairs / "pose.yaml").read_text().replace("epochs: 2", "epochs: 1")
    (pairs / "pose-1.yaml").write_text(longer)
    refused = together(
        "models.train_pose", "--recipe", str(pairs / "pose-1.yaml"), "--data", str(pairs / "data"), "--workers", "0",
        "--device", "cpu", "--out", str(tmp_path / "a"), "--resume",
    )  # fmt: skip
    assert refused.returncode != 0 and "of a training with epochs = 2, expected 1" in refused.stderr
