"""A network's heatmaps laid over the picture they are of."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from isp_sim.scenes import Person
from models.data.crops import crop
from models.recognisers.recogniser import Recogniser

LONGEST_PX = 640
"""Of the layer: heatmaps are coarser than that."""
OPAQUE = 0.8
"""How much the highest peak hides of the picture."""


def heat_layer(
    recogniser: Recogniser, image: Float32[np.ndarray, "height width 3"], people: Sequence[Person], lighting: int
) -> UInt8[np.ndarray, "rows columns 4"]:
    """B, G, R and opacity of the highest of all joints' heatmaps, as shares of the highest peak.

    Args:
        recogniser: frozen.
        image: normalised for it.
        people: in whose boxes it looks.
        lighting: which norms are used.
    """
    height, width = image.shape[:2]
    factor = max(1.0, max(height, width) / LONGEST_PX)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    heat = np.zeros(size[::-1], np.float32)
    if people:
        affines = [recogniser.crop_affine(person.bbox) for person in people]
        crops = np.stack([crop(image, affine, recogniser.input_size) for affine in affines])
        with torch.inference_mode():
            maps = recogniser(torch.from_numpy(crops), lighting).amax(dim=1).float().numpy()
        scale = np.array([width / size[0], height / size[1]])
        for affine, values in zip(affines, maps, strict=True):
            matrix = np.empty((2, 3))  # layer px → heatmap px
            matrix[:, :2] = affine[:, :2] * scale / recogniser.stride
            at_first = affine[:, :2] @ ((scale - 1) / 2) + affine[:, 2]
            matrix[:, 2] = (at_first - recogniser.first_px) / recogniser.stride
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            heat = np.maximum(heat, cv2.warpAffine(np.ascontiguousarray(values), matrix, size, flags=flags))
    share = (heat / max(float(heat.max()), 1e-6)).clip(0, 1)
    colour = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.dstack([colour, (255 * OPAQUE * share**0.5).astype(np.uint8)])
