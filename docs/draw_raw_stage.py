"""Draws docs/pictures/raw_stage.jpg: built-in shots as they are, after the raw stages, and their well-lit partners.

python docs/draw_raw_stage.py
"""

from pathlib import Path

import numpy as np

from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg
from isp_sim.rigfile import load_rig
from models.choices import RAW_STAGES, TEST_SEED
from models.data.normalisation import LOW, Picture, normalise
from models.data.samples import PairSample, RigPairs, shots
from models.raw_stage.stage import load_stage, restored
from models.recognisers.inference import detect_in
from models.recognisers.loading import load_recogniser
from models.scoring.drawing import caption, draw_poses, stacked

SHEET = Path(__file__).resolve().parent / "pictures" / "raw_stage.jpg"
SCENES = 12


def views(shot: PairSample) -> dict[str, np.ndarray]:
    """What the network sees, by the caption."""
    stages = {f"raw stage, {name}": restored(shot, load_stage(name)).low_light for name in RAW_STAGES}
    seen = {"8 bits, mean 0.4 (Lee)": normalise(shot.low_light, "mean-0.4")}
    seen |= {words: normalise(picture, "none") for words, picture in stages.items()}
    return seen | {"well-lit partner": normalise(shot.well_lit, "none")}


def main() -> None:
    """One shot of each split, the poses that MoveNet Thunder finds on it."""
    recogniser = load_recogniser("movenet-thunder")
    chosen: dict[str, PairSample] = {}
    for shot in shots(RigPairs(load_rig("exlpose-small"), TEST_SEED + 1, SCENES, raw=True)):
        if len(shot.labelled) >= 2:
            chosen.setdefault(shot.split, shot)
    rows: list[Picture] = []
    for split in sorted(chosen, key=["LL-N", "LL-H", "LL-E"].index):
        panels = []
        for words, image in views(chosen[split]).items():
            image = np.ascontiguousarray(image, np.float32)
            found = detect_in(recogniser, [image], chosen[split].labelled, LOW, "none")
            panel = draw_poses((image.clip(0, 1) * 255 + 0.5).astype(np.uint8), (), found)
            caption(panel, f"{split}: {words}")
            panels.append(panel)
        rows.append(np.hstack(panels))
    write_atomically(SHEET, jpeg(stacked(rows), 80))


if __name__ == "__main__":
    main()
