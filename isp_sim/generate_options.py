"""The command line of `isp_sim.generate`."""

import argparse
from pathlib import Path
from typing import get_args

from isp_sim.choices import DEFAULT_COUNT, FPS, FROZEN, PAIRS_A_SHARD, Format, Orientation, RawFormat, Subset


def parser(prog: str = "python -m isp_sim.generate") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Shoot aligned low-light / well-lit pairs with a simulated dual-camera rig: raw DNG of both "
        "arms, aligned sRGB PNG, COCO labels, in ExLPose's layout.",
        epilog="example: %(prog)s --rig exlpose-small --scenes photos/ --scene-count 100 --out out/small",
    )
    parser.add_argument(
        "--rig",
        default="exlpose",
        help="rig YAML, or exlpose, exlpose-small, exlpose-misaligned, ideal, night-a7m3, night-ricoh3; gladnet makes "
        "training pairs from raw files [%(default)s]",
    )
    parser.add_argument(
        "--scenes",
        default="people",
        help="'people' or 'charts' (both built in), a folder of sRGB pictures, or a raw file or folder of raws "
        "(DNG, NEF …, headerless .raw with a YAML beside it) [%(default)s]",
    )
    parser.add_argument(
        "--linear",
        action="store_true",
        help="the folder's pictures hold linear light, whatever their camera: TIFF or PNG of 16 bits, or OpenEXR",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        help="COCO, CrowdPose or ExLPose JSON of the pictures' people [the one that lies in their folder]",
    )
    parser.add_argument(
        "--labels-orientation",
        choices=get_args(Orientation),
        help="where EXIF turns a photograph, its labels are for it upright, or for its rows as stored [what its size "
        "in the JSON fits, else upright; such photographs are named]",
    )
    _add_backgrounds(parser)
    _add_shots(parser)
    _add_run(parser)
    _add_output(parser)
    _add_machines(parser)
    return parser


def _add_backgrounds(parser: argparse.ArgumentParser) -> None:
    """What stands behind built-in people."""
    parser.add_argument(
        "--backgrounds",
        type=Path,
        metavar="DIR",
        help="for --scenes people: photographs without people (level, at eye height, flat ground) or HDR panoramas "
        "(.hdr, .exr, equirectangular) to stand behind them instead of built-in worlds",
    )
    parser.add_argument(
        "--backgrounds-share",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the scenes that have a background; the others are in built-in worlds [%(default)s]",
    )


def _add_shots(parser: argparse.ArgumentParser) -> None:
    """Which shots of the scenes, and how many."""
    parser.add_argument(
        "--schedule",
        type=Path,
        help="CSV of shots to replay instead of drawing from the rig's: session, place, scene, frame, "
        "exposure_ratio, bright_gain_db, dark_gain_db, exposure_us",
    )
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--count",
        type=int,
        help="shots to make, which are pairs: of one photograph or scene there are 3 to 5; a run keeps its count "
        f"[{DEFAULT_COUNT}, or all shots of --schedule]",
    )
    how_many.add_argument(
        "--scene-count",
        type=int,
        metavar="N",
        help="photographs or scenes to use instead, each with all its shots or --shots-per-scene of them; beyond their "
        "number, photographs come again with other exposures",
    )
    parser.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="shoot sequences of N frames instead of single shots: of each scene one base and ratio, people walk on",
    )
    parser.add_argument("--fps", type=float, default=FPS, help="frames of a sequence a second [%(default)s]")
    parser.add_argument(
        "--auto-exposure",
        action="store_true",
        help="exposure and gain of a sequence follow its light, as the rig's auto_exposure says [they stay]",
    )
    parser.add_argument("--shots-per-scene", type=int, help="of a scene's shots take so many, drawn [all, 3 to 5]")
    parser.add_argument(
        "--seed", type=int, default=0, help="same seed and rig: same bytes; another seed, other people [%(default)s]"
    )
    parser.add_argument(
        "--motion-samples",
        type=int,
        default=FROZEN,
        metavar="N",
        help="people move while the shutter is open: N sub-frames are averaged over each shot's exposure, which makes "
        "a shot N times as long to render; 8 suits 25 ms, and from 2 a rolling shutter leans them [%(default)s: they "
        "stand still]",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    """Where and how the run goes, beside what it shoots."""
    parser.add_argument(
        "--split",
        dest="subset",
        default="test",
        choices=get_args(Subset),
        help="names the annotation files ExLPose_train_* or ExLPose_test_*; it changes no picture: give the two other "
        "seeds or other photographs [%(default)s]",
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where the arms run [%(default)s]")
    parser.add_argument(
        "--skip-unusable",
        action="store_true",
        help="leave out scenes that cannot be read or metered, instead of stopping",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Where the pairs go, and as what."""
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the data set; with --format webdataset any address that fsspec opens, as s3://bucket/run "
        "[out/<rig's name>]",
    )
    parser.add_argument(
        "--format",
        default="folder",
        choices=get_args(Format),
        help="folder: a file for each picture; webdataset: tar shards, for many pairs (docs/scale.md) [%(default)s]",
    )
    parser.add_argument(
        "--pairs-a-shard",
        type=int,
        default=PAIRS_A_SHARD,
        metavar="N",
        help="so many pairs in a shard; a scene's pairs stay together, even where they are more than N [%(default)s]",
    )
    parser.add_argument(
        "--raw",
        default="dng",
        choices=get_args(RawFormat),
        help="both arms' raws: DNG, which any raw developer opens, compressed .npz, or none [%(default)s]",
    )


def _add_machines(parser: argparse.ArgumentParser) -> None:
    """Who carries the run out."""
    parser.add_argument("--workers", type=int, help="processes; the result does not depend on it [number of cores]")
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="share the work out over a Dask cluster: tcp://host:8786 of its scheduler, a scheduler file, or local, "
        "which starts one with --workers processes (docs/scale.md)",
    )
    parser.add_argument(
        "--part",
        type=part,
        metavar="I/N",
        help="do only the I-th of N parts of the run, as 2/3; when all are done, --resume without --part ends it",
    )


def part(text: str) -> tuple[int, int]:
    """`2/3` as (2, 3).

    Raises:
        argparse.ArgumentTypeError: not I/N with 1 ≤ I ≤ N.
    """
    first, slash, last = text.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N with I from 1 to N, as 2/3")
    return int(first), int(last)
