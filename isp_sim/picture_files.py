"""Pictures from files and into them, R first; what cannot be read rightly is one sentence that names the file.

The only place that decodes a picture. Its header is looked at before: a few bytes can ask for gigabytes, and colours
that are not sRGB are brought there, or refused.
"""

import io
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageCms

ANY_DEPTH = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
"""Flags for colours of 8 or 16 bits."""
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "TIFF", "PPM")
"""That are read, in Pillow's words."""


def read_picture(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Codes, `(height, width, 3)` R first, or `(height, width)` where OpenCV's flags give one channel.

    Colours come upright by EXIF and in sRGB by the file's ICC profile; `cv2.IMREAD_UNCHANGED` gives what is stored.
    `cv2.imdecode`, not `cv2.imread`: the latter fills what a truncated JPEG lacks with grey and says nothing, and it
    crashes on folders whose names are not UTF-8.

    Args:
        path: of the file.
        flags: of OpenCV's `imdecode`; the default gives three channels of 8 bits.

    Raises:
        ValueError: no such file, not a whole picture of 8 or 16 bits, too large, or its colours are not read.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return decode_picture(path.read_bytes(), path, flags)


def decode_picture(content: bytes, path: object, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """As `read_picture`, of a file's content; `path` names it in the sentence."""
    profile = _check_header(path, content)
    try:
        codes = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        codes = None
    if codes is None or codes.dtype not in (np.uint8, np.uint16):
        raise _unreadable(path)
    codes = codes if codes.ndim == 2 else np.ascontiguousarray(codes[..., 2::-1])
    return _in_srgb(path, codes, profile) if profile and flags in (cv2.IMREAD_COLOR, ANY_DEPTH) else codes


def _unreadable(path: object) -> ValueError:
    return ValueError(f"{path}: not a readable picture of 8 or 16 bits: empty, truncated, damaged or of another format")


def _check_header(path: object, content: bytes) -> bytes:
    """A picture's ICC profile, empty without one; raises as `read_picture`, before anything is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size: twice Pillow's limit is read; of damage: ours follows
            with Image.open(io.BytesIO(content)) as picture:
                mode, name, profile = picture.mode, picture.format, picture.info.get("icc_profile")
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception:  # Pillow raises whatever it meets in a damaged file
        raise _unreadable(path) from None
    if name not in FORMATS:
        raise ValueError(f"{path}: is {name}, which is not read; convert it to PNG")
    if mode == "CMYK":
        raise ValueError(f"{path}: its colours are CMYK; convert it to sRGB")
    return profile or b""


def _in_srgb(path: object, codes: np.ndarray, profile: bytes) -> np.ndarray:
    """Codes of an ICC profile's colours as sRGB, relative colorimetric; those of sRGB stay as they are.

    Raises:
        ValueError: the profile is damaged or for other than grey or RGB, or the codes have 16 bits.
    """
    name = "one that cannot be read"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "sRGB" in name:
            return codes
        if codes.dtype == np.uint8:
            grey = source.profile.xcolor_space.strip() == "GRAY"
            picture = Image.fromarray(codes[..., 0].copy() if grey else codes)
            srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
            return np.array(ImageCms.profileToProfile(picture, source, srgb, intent, outputMode="RGB"))
    except (ImageCms.PyCMSError, OSError):
        pass
    expected = "expected sRGB, or a readable profile and 8 bits: convert it to sRGB"
    raise ValueError(f"{path}: {codes.dtype.itemsize * 8} bits with the ICC profile {name}; {expected}")


def read_unit(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """A picture of 8 or 16 bits, 1 is white.

    Raises:
        ValueError: see `read_picture`.
    """
    codes = read_picture(path, ANY_DEPTH)
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)


def read_linear(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """Linear light of a picture of 16 bits, whose top code is 1, or of OpenEXR; what lies below 0 becomes 0.

    Raises:
        ValueError: not such a picture, or it holds NaN or infinity.
    """
    if path.suffix.lower() != ".exr":
        codes = read_picture(path, ANY_DEPTH)
        if codes.dtype != np.uint16:
            raise ValueError(f"{path}: has 8 bits, too few for linear light; expected 16, or OpenEXR")
        return codes.astype(np.float32) / np.float32(65535)
    light = read_floats(path)
    if not np.isfinite(light).all():
        raise ValueError(f"{path}: holds NaN or infinity; expected an OpenEXR picture of finite numbers")
    return light.clip(0, None)


def read_floats(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """An OpenEXR or Radiance (.hdr) picture as it is, NaN and infinity included.

    Raises:
        ValueError: not such a picture, or not a whole one.
    """
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # OpenCV reads strangers' only where told to
    content = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        light = cv2.imdecode(content, ANY_DEPTH) if len(content) else None
    except cv2.error:
        light = None
    if light is None or light.dtype != np.float32:
        raise ValueError(f"{path}: not a whole OpenEXR or Radiance picture of floats")
    return np.ascontiguousarray(light[..., ::-1])


def png(plane: np.ndarray, path: object) -> bytes:
    """A map of 8 or 16 bits, or three of them in the order B, G, R, as the content of a PNG file.

    Raises:
        OSError: it cannot be encoded; `path` names it in the sentence.
    """
    whole, data = cv2.imencode(".png", plane)
    if not whole:
        raise OSError(f"{path}: could not be encoded as PNG")
    return data.tobytes()


def jpeg(picture: UInt8[np.ndarray, "height width 3"], quality: int = 88) -> bytes:
    """A picture as the content of a JPEG file."""
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return coded.tobytes()
