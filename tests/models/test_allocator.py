"""Memory that tensors free stays with the process."""

import ctypes
import subprocess
import sys

import pytest

ASK = """
import resource, numpy as np
from models.engine.allocator import keep_freed_memory
assert not {kept} or keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept):
    return int(subprocess.check_output([sys.executable, "-c", ASK.format(kept=kept)], text=True))


def test_large_arrays_are_mapped_once():
    """64 MiB are 16,384 pages of 4 KiB, or 32 of 2 MiB; kept, the next array finds them mapped."""
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("this C library has no mallopt")
    assert faults(True) < 0.1 * faults(False)
