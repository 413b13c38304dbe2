"""Lee et al.'s Fig. 6 in simulation: how far low-light features lie from well-lit ones, layer by layer.

    python benchmarks/lee_distances.py --pose out/lee-quick/baseline-all-0/weights.safetensors low-light [--scenes 20]

Crops of everybody in built-in scenes of the test seed, both arms, each lighting's own norms where there are two. Styles
are Gram matrices, features 4×4 means; the distance of the two sets is the modified Hausdorff distance over the root of
the dimensions. LUPI and LSBN are to bring styles together while features stay apart by what darkness took.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from isp_sim.rigfile import load_rig
from isp_sim.tables import terminal_table
from models.choices import TEST_SEED
from models.data.crops import crop
from models.data.normalisation import LOW, WELL, normalise
from models.data.samples import PairSample, RigPairs, shots
from models.recognisers.loading import LOW_LIGHT, of_ours
from models.recognisers.recogniser import Recogniser
from models.recognisers.weights import SHIPPED, load_network
from models.scoring.feature_distance import distances

LAYERS = ("conv1", "R1", "R2", "R3", "R4")


Layers = list[Tensor]


def features(recogniser: Recogniser, held: Sequence[PairSample], lighting: int) -> Layers:
    """Of every layer, everybody's: `(people, C, height, width)`."""
    found: list[Layers] = []
    for shot in held:
        picture = shot.low_light if lighting == LOW else shot.well_lit
        image = normalise(picture, recogniser.normalisation[lighting])
        affines = [recogniser.crop_affine(person.bbox) for person in shot.labelled]
        crops = torch.from_numpy(np.stack([crop(image, one, recogniser.input_size) for one in affines]))
        with torch.inference_mode():
            found.append(list(recogniser.network(crops, lighting).features))
    return [torch.cat(layer) for layer in zip(*found, strict=True)]


def main() -> None:
    """One row a network."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--pose", nargs="+", default=[LOW_LIGHT], help="networks of ours (.safetensors) [low-light]")
    asked.add_argument("--scenes", type=int, default=20)
    given = asked.parse_args()
    source = RigPairs(load_rig("exlpose-small"), TEST_SEED, given.scenes, shots_per_scene=1)
    held = [shot for shot in shots(source, shown=True) if shot.labelled]
    rows = []
    for name in given.pose:
        recogniser = of_ours(load_network(SHIPPED if name == LOW_LIGHT else Path(name)))
        found = distances(*(features(recogniser, held, lighting) for lighting in (LOW, WELL)))
        rows.append((Path(name).parent.name or name, *(f"{s:.3g} / {f:.3g}" for s, f in found)))
    Console(width=150).print(terminal_table("style / feature distance", ("network", *LAYERS), rows))


if __name__ == "__main__":
    main()
