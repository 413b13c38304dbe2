"""The user's pictures without people as places: photographs, and panoramas that also give the light.

A photograph says little about the light it was taken in. Assumed: the camera stands where the layout puts it (1.15 to
1.65 m high, the horizon 0.30 to 0.46 of the height from the top), the ground is flat, the lower half's median is a
reflectance of 0.18; light comes from all sides and from a soft key behind the camera, on the side where the picture is
brighter, the stronger the more contrast the lower half has. Its colour lies half-way between neutral and the picture's
sixth-power mean (shades of grey, Finlayson and Trezzi, CIC 2004). A panorama's middle row is the horizon; which way the
camera looks in it is drawn. Its brightest spots shine as suns, the rest from all sides.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from isp_sim.picture_files import ANY_DEPTH, read_floats, read_picture
from isp_sim.scenes.people import materials as m
from isp_sim.scenes.people import semantics
from isp_sim.scenes.people.materials import Materials, Rgb
from isp_sim.scenes.people.places.world import World
from isp_sim.scenes.people.raycast import light as li
from isp_sim.scenes.people.raycast.camera import Camera
from isp_sim.scenes.people.shapes import Builder
from isp_sim.scenes.photos import SUFFIXES, CameraCurve, list_files, to_light
from isp_sim.transfer import REC709_LUMA
from isp_sim.units import Radiance

PANORAMAS = (".hdr", ".exr")
GROUND = 0.18
"""Reflectance of the middle of a photograph's lower half. Assumed."""
KEY_HEIGHT_DEG, KEY_ASIDE_DEG, KEY_RADIUS = 50.0, 75.0, 0.12
KEY_SHARE = (0.15, 0.60)
"""A photograph's key: height, how far it can be to a side, half its angle in radians, share of the light. Assumed."""
SPOTS, SPOT_SHARE, SPOT_DEG, SPOT_OVER = 4, 0.04, 10.0, 4.0
"""A panorama's suns: how many at most, the least share of the light, their size, how much brighter than the mean."""
ROWS = 64  # of the panorama in which they are looked for


@dataclass(frozen=True)
class Backdrop:
    """A picture behind people.

    Attributes:
        name: of its file.
        light: linear Rec. 709; of a panorama equirectangular.
        turn: which way the camera looks in a panorama, radians to the right of its middle; None: a photograph.
        scale: what makes white under the scene's light 1 of it.
    """

    name: str
    light: Radiance
    turn: float | None
    scale: float = 1.0

    def seen(self, camera: Camera) -> Float32[np.ndarray, "height width 3"]:
        """What the camera sees, in the scene's units; a photograph is cut to the frame's shape about its middle."""
        height, width = self.light.shape[:2]
        if self.turn is None:
            scale = max(camera.height / height, camera.width / width)
            rows, columns = min(round(camera.height / scale), height), min(round(camera.width / scale), width)
            top, left = (height - rows) // 2, (width - columns) // 2
            part = self.light[top : top + rows, left : left + columns]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            shown = cv2.resize(part, (camera.width, camera.height), interpolation=how)
            return np.maximum(shown, 0) * np.float32(self.scale)
        fine = round(np.pi * camera.focal_px)  # rows at which a pixel of it is one of the picture
        light = cv2.resize(self.light, (2 * fine, fine), interpolation=cv2.INTER_AREA) if height > fine else self.light
        height, width = light.shape[:2]
        x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        u, v = (x - (camera.width - 1) / 2) / camera.focal_px, ((camera.height - 1) / 2 - y) / camera.focal_px
        c, s = np.cos(camera.pitch), np.sin(camera.pitch)
        up, ahead = c * v - s, s * v + c
        across = ((np.arctan2(u, ahead) + self.turn) / (2 * np.pi) + 0.5) % 1.0 * width - 0.5
        down = (0.5 - np.arctan2(up, np.hypot(u, ahead)) / np.pi) * height - 0.5
        maps = across.astype(np.float32), down.astype(np.float32)
        return cv2.remap(light, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) * np.float32(self.scale)


def list_backdrops(folder: Path) -> list[Path]:
    """The pictures and panoramas of a folder, by name.

    Raises:
        ValueError: there are none.
    """
    files = list_files(folder, (*SUFFIXES, *PANORAMAS))
    if not files:
        raise ValueError(f"{folder} holds no backgrounds; expected files ending in {' '.join((*SUFFIXES, *PANORAMAS))}")
    return files


def load(path: Path, stream: np.random.Generator) -> Backdrop:
    """A file as a backdrop.

    Raises:
        ValueError: it cannot be read, is black, or a panorama is not twice as wide as it is high.
    """
    turn = float(stream.uniform(-np.pi, np.pi))
    if path.suffix.lower() not in PANORAMAS:
        light, turned = to_light(read_picture(path, ANY_DEPTH), CameraCurve()), None
    else:
        light, turned = _panorama(path), turn
    if not light.max() > 0:
        raise ValueError(f"{path} is black; expected a picture with light in it")
    return Backdrop(path.name, light, turned)


def _panorama(path: Path) -> Radiance:
    light = read_floats(path)
    height, width = light.shape[:2]
    if width != 2 * height:
        raise ValueError(f"{path}: {width}×{height} px; expected an equirectangular panorama, twice as wide as high")
    return Radiance(np.clip(np.nan_to_num(light), 0, 1e6))


def place(backdrop: Backdrop, table: Materials) -> tuple[World, Backdrop]:
    """Flat ground that only catches shadows, under the backdrop's light; and the backdrop with its scale."""
    scale, lights, sky = _photograph_light(backdrop.light) if backdrop.turn is None else _panorama_light(backdrop)
    falls = np.array(
        li.ambient(np.zeros((1, m.FIRST_COLUMN)), 0, sky.row(), np.zeros((0, 5)), 0.0, 0.0, 9.0, 0.0, 1.0, 0.0)
    )
    falls += sum((max(row[2], 0.0) * np.array(row[7:10]) for row in lights), np.zeros(3))
    add = Builder(semantics.NOTHING)
    red, green, blue = (1 / falls).tolist()
    add.box(np.array([0, -0.5, 400.0]), np.eye(3), (600.0, 0.5, 480.0), table.add((red, green, blue), m.CATCHER))
    return World("background", add, lights, sky), replace(backdrop, scale=scale)


def _sun(way: Float64[np.ndarray, " 3"], colour: Float64[np.ndarray, " 3"], radius: float) -> tuple[float, ...]:
    """A far light's row; `way` points to it, `colour` is irradiance at right angles, over π."""
    aside = np.cross(way, (0, 1.0, 0)) / max(float(np.hypot(way[0], way[2])), 1e-6) * radius
    return li.area(li.SUN, way, (0, 0, 0), colour, aside, np.cross(aside, way))


def _sky(above: Float64[np.ndarray, " 3"], below: Float64[np.ndarray, " 3"], way: Float64[np.ndarray, " 3"]) -> li.Sky:
    """Light from all sides, brighter on the side `way`; what is seen of it is white for the backdrop to colour."""
    up, low, side = ((float(v[0]), float(v[1]), float(v[2])) for v in (above, below, way))
    white: Rgb = (1.0, 1.0, 1.0)
    return li.Sky(True, white, white, 0, side, 0.0, up, low, 0.0)


def _photograph_light(light: Radiance) -> tuple[float, list[tuple[float, ...]], li.Sky]:
    """Scale to white = 1, the key, the light from all sides; see the module's assumptions."""
    small = np.asarray(cv2.resize(light, (96, 64), interpolation=cv2.INTER_AREA), np.float64)
    bright = small @ np.array(REC709_LUMA)
    low, middle, high = np.maximum(np.percentile(bright[32:], (10, 50, 90)), 1e-3 * bright.max())
    tone = np.minimum(small, np.percentile(small, 99))
    tone = (tone**6).mean(axis=(0, 1)) ** (1 / 6)
    colour = np.sqrt(tone / (tone @ np.array(REC709_LUMA)))
    columns = (bright**2).sum(axis=0)
    side = float(columns @ np.linspace(-1, 1, len(columns)) / columns.sum())
    high_deg, round_ = np.radians(KEY_HEIGHT_DEG), np.radians(180 - KEY_ASIDE_DEG * np.clip(3 * side, -1, 1))
    way = np.array([np.cos(high_deg) * np.sin(round_), np.sin(high_deg), np.cos(high_deg) * np.cos(round_)])
    share = float(np.clip((np.log2(high / low) - 1) / 6, *KEY_SHARE))
    lights = [_sun(way, share / way[1] * colour, KEY_RADIUS)]
    above = (1 - share) * colour / 0.75  # about what of it arrives on the ground
    return float(GROUND / middle), lights, _sky(above, GROUND * colour, way)


def _panorama_light(backdrop: Backdrop) -> tuple[float, list[tuple[float, ...]], li.Sky]:
    """Scale to white = 1 on the ground; the brightest spots as suns, what is left from above and below."""
    small = np.asarray(cv2.resize(backdrop.light, (2 * ROWS, ROWS), interpolation=cv2.INTER_AREA), np.float64)
    height = np.pi * (0.5 - (np.arange(ROWS) + 0.5) / ROWS)[:, None]
    turned = 2 * np.pi * ((np.arange(2 * ROWS) + 0.5) / (2 * ROWS) - 0.5)[None] - (backdrop.turn or 0.0)
    ways = np.stack(
        np.broadcast_arrays(np.cos(height) * np.sin(turned), np.sin(height), np.cos(height) * np.cos(turned)), -1
    )
    angle = np.cos(height) * (np.pi / ROWS) ** 2  # solid angle of a pixel
    upper = ways[..., 1] > 0
    whole = float(((small @ np.array(REC709_LUMA)) * angle * upper * ways[..., 1]).sum() / np.pi)
    scale, lights = 1 / max(whole, 1e-9), []
    small *= scale
    for _ in range(SPOTS):
        bright = small @ np.array(REC709_LUMA)
        mean = (bright * angle * upper).sum() / (2 * np.pi)
        sent = cv2.GaussianBlur(np.where(upper & (bright > SPOT_OVER * mean), bright * angle, 0), (0, 0), 1.5)
        middle = ways[np.unravel_index(int(sent.argmax()), sent.shape)]
        disc = upper & (ways @ middle > np.cos(np.radians(SPOT_DEG))) & (bright > mean)
        colour = ((small - mean) * (angle * disc)[..., None]).sum(axis=(0, 1)) / np.pi
        if colour @ np.array(REC709_LUMA) < SPOT_SHARE or not (sent > 0).any():
            break
        weight = (bright - mean) * angle * disc
        way = (ways * weight[..., None]).sum(axis=(0, 1))
        way /= np.linalg.norm(way)
        spread = (weight * np.arccos(np.clip(ways @ way, -1, 1)) ** 2).sum() / weight.sum()
        lights.append(_sun(way, np.maximum(colour, 0), max(float(np.sqrt(spread / 2)), li.SUN_RADIUS)))
        small[disc] = mean
    over = small * (angle * ways[..., 1])[..., None] / np.pi
    above, below = over[upper].sum(axis=0), -over[~upper].sum(axis=0)
    side = (ways * ((small @ np.array(REC709_LUMA)) * angle)[..., None]).sum(axis=(0, 1)) * (1, 0, 1)
    return scale, lights, _sky(above, below, side / max(float(np.linalg.norm(side)), 1e-9))
