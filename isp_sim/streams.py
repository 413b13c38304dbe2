"""Counter-based random numbers: what is drawn depends on its key alone.

A key is (seed, scene, shot, arm, plane, pixel). The first five are hashed to the two words of a Philox key,
the pixel is Philox's counter; so no pixel knows in which order, tile, thread or process it was computed.

Source: Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011 (Philox4x32-10).
"""

import hashlib
import math
import os
from pathlib import Path

import numba
import numpy as np
import torch

Word = int

if not numba.config.CACHE_DIR:
    # Numba renews a cached kernel when the kernel's own file changes, not when a function it inlines from
    # another file does. So the cache is named after all kernel sources together.
    _here = Path(__file__).parent
    _stages = ("streams", "optics", "sensor", "readout", "camera", "table_noise", "isp/bilateral_numba")
    _people = _here / "scenes" / "people"
    _drawn = (_people / "materials.py", _people / "shapes.py", *sorted((_people / "raycast").glob("*.py")))
    _kernels = b"".join(path.read_bytes() for path in (*(_here / f"{name}.py" for name in _stages), *_drawn))
    _home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    numba.config.CACHE_DIR = str(_home / "isp-sim" / hashlib.blake2b(_kernels, digest_size=8).hexdigest())


def key_words(seed: int, *parts: int | str) -> tuple[Word, Word]:
    """The Philox4x32 key of a stream: 64 bits of BLAKE2b over the key's parts, as two 32-bit words."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def generator(seed: int, *parts: int | str) -> np.random.Generator:
    """A NumPy generator (Philox4x64) for the few numbers that are not one a pixel: row noise, fixed maps."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


@numba.njit(inline="always")
def philox(pixel, draw, key0, key1):  # type: ignore[no-untyped-def]
    """Four 32-bit words for (pixel, draw): ten Philox4x32 rounds over the counter (pixel, draw, 0, 0)."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.uint64(pixel) & mask, np.uint64(draw), np.uint64(pixel) >> np.uint64(32), np.uint64(0)
    k0, k1 = np.uint64(key0), np.uint64(key1)
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0 = (product1 >> np.uint64(32)) ^ c1 ^ k0
        c1 = product1 & mask
        c2 = (product0 >> np.uint64(32)) ^ c3 ^ k1
        c3 = product0 & mask
        k0 = (k0 + np.uint64(0x9E3779B9)) & mask
        k1 = (k1 + np.uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


@numba.njit(nogil=True, cache=True)
def words_row(first_pixel, key0, key1, words):  # type: ignore[no-untyped-def]
    """Fill `words`, uint32 `(4, width)`, with the first block of the pixels from `first_pixel` on."""
    for x in range(words.shape[1]):
        c0, c1, c2, c3 = philox(first_pixel + x, 0, key0, key1)
        words[0, x], words[1, x], words[2, x], words[3, x] = c0, c1, c2, c3


@numba.njit(inline="always")
def unit(word):  # type: ignore[no-untyped-def]
    """A 32-bit word as a number strictly inside (0, 1): `(w + ½) / 2³²`."""
    return (np.float64(np.uint32(word)) + 0.5) * 2.3283064365386963e-10


@numba.njit(inline="always")
def unit53(high, low):  # type: ignore[no-untyped-def]
    """Two words as a number strictly inside (0, 1) with 53 random bits."""
    bits = ((np.uint64(high) << np.uint64(32)) | np.uint64(low)) >> np.uint64(11)
    return (np.float64(np.int64(bits)) + 0.5) * 1.1102230246251565e-16


@numba.njit(inline="always")
def normal_quantile(p):  # type: ignore[no-untyped-def]
    """Standard normal quantile to one part in 10⁷ (Wichura, AS 241, *Applied Statistics* 37, 1988: PPND7)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return _central_quantile(q)
    r = math.sqrt(-math.log(min(p, 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        top = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777
        bottom = (0.12021132975 * r + 0.73700164250) * r + 1.0
    else:
        r -= 5.0
        top = ((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150
        bottom = (0.012258202635 * r + 0.24197894225) * r + 1.0
    return math.copysign(top / bottom, q)


@numba.njit(inline="always")
def _central_quantile(q):  # type: ignore[no-untyped-def]
    r = 0.180625 - q * q
    top = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
    bottom = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0
    return q * top / bottom


@numba.njit(nogil=True, cache=True)
def normal_row(values):  # type: ignore[no-untyped-def]
    """Turn numbers in (0, 1) into standard normal ones, in place: the middle in one vector pass, then the tails."""
    tail = np.empty(values.shape[0], np.bool_)
    kept = values.copy()
    for x in range(values.shape[0]):
        q = kept[x] - 0.5
        tail[x] = abs(q) > 0.425
        values[x] = _central_quantile(q)
    for x in range(values.shape[0]):
        if tail[x]:
            values[x] = normal_quantile(kept[x])


def torch_generator(device: str, key: tuple[Word, Word], plane: str) -> torch.Generator:
    """A torch generator on a device, seeded by a shot's key and the plane it draws."""
    seed = int.from_bytes(hashlib.blake2b(repr((key, plane)).encode(), digest_size=8).digest(), "little")
    return torch.Generator(device=device).manual_seed(seed >> 1)
