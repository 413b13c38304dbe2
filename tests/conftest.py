"""Things several tests stand on."""

import os
from pathlib import Path

# As many workers as cores, and commands that they start: a thread that spins for another one keeps it from running.
# Read when torch is imported, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch

from isp_sim.rig import Rig, Sensor
from isp_sim.rigfile import load_rig

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def one_thread():
    """pytest-xdist already fills the cores; a command that ran in this process may have asked for more threads, which
    would then wait for each other in every small operation."""
    torch.set_num_threads(1)


@pytest.fixture
def shared() -> Path:
    """Development data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no development data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def exlpose() -> Rig:
    return load_rig("exlpose")


@pytest.fixture(scope="session")
def ideal() -> Rig:
    return load_rig("ideal")


@pytest.fixture(scope="session")
def small() -> Rig:
    return load_rig("exlpose-small")


def change(model, **values):
    """A copy of a rig block with other values; figures keep their source."""
    updates = {}
    for name, value in values.items():
        old = getattr(model, name)
        updates[name] = old.model_copy(update={"value": value}) if hasattr(old, "source") else value
    return model.model_copy(update=updates)


@pytest.fixture(scope="session")
def quiet(ideal: Rig) -> Sensor:
    """A noiseless, mapless sensor that still counts whole photons, black at 64 DN."""
    return ideal.sensor.model_copy(update={"shot_noise": True})
