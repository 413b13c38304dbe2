"""Command: one picture or raw → its parameters in the learned ISP, and what the ISP makes of it.

python -m models.learned_isp photo.png --explain --out brighter.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from isp_sim.isp.pipeline import Pipeline, load_pipeline
from models.isp.learned import LearnedIsp, learned_from, load_weights, read_image, read_raw, write_image
from models.isp.predictor import Predictor


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    asked = argparse.ArgumentParser(
        prog="python -m models.learned_isp",
        description="Develop one picture with parameters of its own, which a predictor finds for it.",
        epilog="example: python -m models.learned_isp out/small/raw/FILE_dark_….dng --rig exlpose-small "
        "--weights out/isp/isp.safetensors --out lit.png",
    )
    asked.add_argument("image", type=Path, help="a PNG, JPEG or TIFF, or a low-light DNG that --rig shot")
    asked.add_argument("--explain", action="store_true", help="print its parameters as a table (also without --out)")
    asked.add_argument("--out", type=Path, help="write the result [only the parameters are printed]")
    asked.add_argument("--weights", type=Path, help="a learned ISP (.safetensors) [nothing is learned yet]")
    asked.add_argument("--pipeline", type=Path, help="steps as YAML, without weights [exposure, gamma, smoothing]")
    asked.add_argument("--rig", default="exlpose", help="that shot a DNG [%(default)s]")
    asked.add_argument(
        "--crop", choices=("whole", "thumbnail"), default="whole", help="what the predictor looks at [%(default)s]"
    )
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        if given.weights and given.pipeline:
            raise ValueError("--weights brings its own pipeline: leave out --pipeline")
        if given.out and not given.out.resolve().parent.is_dir():
            raise ValueError(f"--out {given.out}: its folder does not exist")
        raw = given.image.suffix.lower() == ".dng"
        image = read_raw(given.image, given.rig) if raw else read_image(given.image)
        if given.weights:
            isp = load_weights(given.weights, given.crop)
            if learned_from(given.weights) == "raw" and not raw:
                console.print("note: these weights learned from raws; give a DNG and --rig for what they are good at")
        else:
            pipeline = load_pipeline(given.pipeline) if given.pipeline else Pipeline()
            isp = LearnedIsp(Predictor(pipeline, torch.Generator(), crop=given.crop), pipeline)
            console.print("untrained: these are the parameters that training starts from")
        with torch.inference_mode():
            values = isp.eval().values(image)
            if given.explain or not given.out:
                console.print(*isp.explain(image, values))
            if given.out:
                write_image(isp(image, values), given.out)
                console.print(f"wrote {given.out}", soft_wrap=True)
    except (ValueError, OSError) as fault:
        print(f"models.learned_isp: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
