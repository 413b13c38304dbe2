"""Pictures from files and into them, R first; a damaged file is one sentence."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

ANY_DEPTH = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
"""Flags for colours of 8 or 16 bits."""


def read_picture(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Codes, `(height, width, 3)` R first, or `(height, width)` where OpenCV's flags give one channel.

    `cv2.imdecode`, not `cv2.imread`: the latter fills what a truncated JPEG lacks with grey and says nothing.

    Args:
        path: of the file.
        flags: of OpenCV's `imdecode`; the default gives three channels of 8 bits.

    Raises:
        ValueError: no such file, or not a whole picture of 8 or 16 bits.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    data = np.frombuffer(path.read_bytes(), np.uint8)
    codes = cv2.imdecode(data, flags) if len(data) else None
    if codes is None or codes.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"{path}: not a readable picture of 8 or 16 bits: empty, truncated, damaged or of another format"
        )
    return codes if codes.ndim == 2 else np.ascontiguousarray(codes[..., 2::-1])


def read_unit(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """A picture of 8 or 16 bits, 1 is white.

    Raises:
        ValueError: see `read_picture`.
    """
    codes = read_picture(path, ANY_DEPTH)
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def jpeg(picture: UInt8[np.ndarray, "height width 3"], quality: int = 88) -> bytes:
    """A picture as the content of a JPEG file."""
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return coded.tobytes()
