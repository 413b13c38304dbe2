"""Kernels over the rows of an image, shared out over threads.

Numba's own threads cannot be shared with torch's in one process without fighting for cores, and its parallel
loops take no nested tuples; a kernel here is plain `njit(nogil=True)` over a range of rows.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_rows(kernel: Callable[..., None], height: int, *arguments: object) -> None:
    """Call `kernel(first, last, *arguments)` on bands of rows that cover 0 … height, one band a thread.

    The number of threads is torch's (`torch.set_num_threads`). A kernel writes its own rows alone, so the
    result does not depend on it.
    """
    threads = min(torch.get_num_threads(), height)
    edges = [height * n // threads for n in range(threads + 1)]
    if threads == 1:
        kernel(0, height, *arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        bands = [pool.submit(kernel, first, last, *arguments) for first, last in itertools.pairwise(edges)]
        for band in bands:
            band.result()
