"""What the C library does with memory that tensors free."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
LARGEST_KEPT = 2**30
"""Bytes; what is larger is mapped and given back as before."""


def keep_freed_memory() -> bool:
    """Have the process keep freed memory for its next tensors; whether the C library can (glibc can).

    By default every tensor above 32 MB is mapped from the kernel, zeroed page by page, and unmapped again. A training
    step of 16 pairs of 192×192 crops spends a quarter of its processor time on that (benchmarks/allocator.py).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, -1))
