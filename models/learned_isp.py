"""Command: one picture, developed with parameters of its own that a predictor finds for it; it explains them.

python -m models.learned_isp photo.png --explain --out brighter.png
python -m models.learned_isp shot.dng --settings out/desk/presets/NAME/settings.yaml --out shot.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isp_sim.command_line import run


def parser(prog: str = "python -m models.learned_isp") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Develop one picture with parameters of its own, which a predictor finds for it; or a raw by an "
        "ISP under test with settings of a file.",
        epilog="example: %(prog)s out/small/raw/FILE_dark_….dng --rig exlpose-small "
        "--weights out/isp/isp.safetensors --out lit.png",
    )
    parser.add_argument("image", type=Path, help="a PNG, JPEG or TIFF, or a low-light DNG that --rig shot")
    parser.add_argument("--explain", action="store_true", help="print its parameters as a table (also without --out)")
    parser.add_argument("--out", type=Path, help="write the result [only the parameters are printed]")
    parser.add_argument("--weights", type=Path, help="a learned ISP (.safetensors) [nothing is learned yet]")
    parser.add_argument("--pipeline", type=Path, help="steps as YAML, without weights [exposure, gamma, smoothing]")
    parser.add_argument(
        "--settings",
        type=Path,
        help="instead of a predictor: ISP under test and its settings, as isp-sim desk saves them",
    )
    parser.add_argument("--isp", help="that --settings is for, as isp-sim tune takes it [the file's, if built in]")
    parser.add_argument("--rig", default="exlpose", help="rig that shot a DNG [%(default)s]")
    parser.add_argument(
        "--crop", choices=("whole", "thumbnail"), default="whole", help="what the predictor sees of it [%(default)s]"
    )
    return parser


def work(args: argparse.Namespace) -> int:
    """Develop the picture; print the parameters or write the result.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    if args.weights and args.pipeline:
        raise ValueError("--weights brings its own pipeline: leave out --pipeline")
    if args.out and not args.out.resolve().parent.is_dir():
        raise ValueError(f"--out {args.out}: its folder does not exist")
    if args.settings and (args.weights or args.pipeline):
        raise ValueError(
            f"--settings {args.settings}: are of the ISP that --isp names; leave out --weights and --pipeline"
        )
    if args.isp and not args.settings:
        raise ValueError(f"--isp {args.isp}: develops with its settings; expected --settings as well")
    if args.settings:
        return developed_by(args.settings, args.isp, args.image, args.out)
    import torch
    from rich.console import Console

    from isp_sim.isp.pipeline import Pipeline, load_pipeline
    from models.isp.learned import LearnedIsp, learned_from, load_weights, read_image, read_raw, write_image
    from models.isp.predictor import Predictor

    console = Console()
    raw, note = args.image.suffix.lower() == ".dng", ""
    if args.weights:
        isp = load_weights(args.weights, args.crop)
        if learned_from(args.weights) == "raw" and not raw:
            note = "note: these weights learned from raws; give a DNG and --rig for what they are good at"
    else:
        pipeline = load_pipeline(args.pipeline) if args.pipeline else Pipeline()
        isp = LearnedIsp(Predictor(pipeline, torch.Generator(), crop=args.crop), pipeline)
        note = "untrained: these are the parameters that training starts from"
    image, exposure = read_raw(args.image, args.rig, isp.pipeline) if raw else (read_image(args.image), None)
    with torch.inference_mode():
        try:
            values = isp.eval().values(image, exposure=exposure)
        except ValueError as fault:
            raise ValueError(f"{args.image}: {fault}") from None
        if args.out:
            write_image(isp(image, values), args.out)  # whose faults come before the first line, too
        if note:
            console.print(note)
        if args.explain or not args.out:
            console.print(*isp.explain(image, values))
        if args.out:
            console.print(f"wrote {args.out}", soft_wrap=True)
        else:
            console.print("next: add --out FILE to write the developed picture")
    return 0


def developed_by(settings: Path, isp: str | None, raw: Path, out: Path | None) -> int:
    """Develop a raw, whole, by an ISP under test.

    Args:
        settings: file of them.
        isp: whose; None: the file's, which then must come with the package: others are programs.
        raw: a DNG.
        out: file of the picture.

    Raises:
        ValueError, OSError: bad input; one sentence.
    """
    if out is None:
        raise ValueError("--settings: needs --out, the file of the picture")
    import torch

    from models.isp.learned import write_image
    from models.tuning.loading import load_isp
    from models.tuning.settings_file import named_isp, read_settings

    name = isp or named_isp(settings)
    tested = load_isp(name)
    picture = tested.develop(raw, read_settings(settings, name, tested.parameters))
    write_image(torch.from_numpy(picture).permute(2, 0, 1)[None], out)
    print(f"wrote {out}")
    return 0


def main(arguments: Sequence[str] | None = None, prog: str = "python -m models.learned_isp") -> int:
    """Entry point; returns the exit status."""
    return run(parser(prog), work, arguments)


if __name__ == "__main__":
    sys.exit(main())
