"""The GPU kernels: by Triton's interpreter everywhere, compiled for Hopper without one, on a GPU where there is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bilateral_reference import case, largest_difference

from isp_sim.isp.bilateral import bilateral

pytest.importorskip("triton", reason="triton is not installed")
TESTS = Path(__file__).resolve().parent

INTERPRET = """
import json, torch
from isp_sim.isp import bilateral as ours
from bilateral_reference import bilateral_reference, case, largest_difference
found = {}
for window, kind, size in ((3, torch.float32, (9, 131)), (7, torch.float32, (6, 13)), (5, torch.float64, (5, 9))):
    leaves, gradient = case(kind, size)
    due = bilateral_reference(*leaves, window)
    expected = [due, *torch.autograd.grad(due, leaves, gradient)]
    plain = [leaf.detach() for leaf in leaves]
    out, weight = ours._bilateral_cuda(*plain, window)
    given = [out, *ours._bilateral_backward_cuda(gradient, *plain, out, weight, window)]
    found[f"{window} {kind}"] = [largest_difference(a, b) for a, b in zip(given, expected, strict=True)]
print(json.dumps(found))
"""
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from isp_sim.isp import bilateral_triton
for kernel, pointers in ((bilateral_triton._forward, 5), (bilateral_triton._backward, 8)):
    constants = {"REACH": 3, "ROWS": bilateral_triton.TILE_ROWS, "COLUMNS": bilateral_triton.TILE_COLUMNS}
    kinds = dict.fromkeys(kernel.arg_names[:pointers], "*fp32") | {"height": "i32", "width": "i32"}
    kinds |= dict.fromkeys(constants, "constexpr")
    source = triton.compiler.ASTSource(kernel, kinds, constexprs=constants)
    binary = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4})
    assert binary.asm["cubin"] and "ex2.approx" in binary.asm["ptx"]
print("compiled")
"""


def in_a_process(script, **environment):
    """Run a script from the repository's root; triton reads its environment when it is first imported."""
    search = {"PYTHONPATH": os.pathsep.join([str(TESTS.parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=TESTS, env=os.environ | search | environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


def test_the_kernels_equal_the_reference_in_tritons_interpreter():
    found = json.loads(in_a_process(INTERPRET, TRITON_INTERPRET="1"))
    assert len(found) == 3
    for name, differences in found.items():
        assert max(differences) < (1e-12 if "64" in name else 1e-5), (name, differences)


def test_the_kernels_compile_for_a_gpu_that_is_not_there(tmp_path):
    assert in_a_process(COMPILE, TRITON_CACHE_DIR=str(tmp_path)) == "compiled"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("window", [3, 7, 15])
def test_the_gpu_equals_the_cpu(window):
    leaves, gradient = case(size=(50, 301))
    there = [leaf.detach().cuda().requires_grad_() for leaf in leaves]
    ours, due = bilateral(*there, window), bilateral(*leaves, window)
    assert largest_difference(ours.cpu(), due) < 1e-5
    pairs = zip(
        torch.autograd.grad(ours, there, gradient.cuda()), torch.autograd.grad(due, leaves, gradient), strict=True
    )
    assert all(largest_difference(a.cpu(), b) < 1e-5 for a, b in pairs)
