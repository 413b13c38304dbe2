"""What a command line of `models` offers by name, and its defaults: light, so that `--help` needs no torch.

A test holds the names against the dictionaries they are keys of.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

TRUST = "ISP_SIM_TRUST"
"""Variable of the environment, and so of every process that a command starts: `1` lets network files run."""
WEIGHTS = "weights.safetensors"
"""What a training of a pose network or an enhancer writes into its folder."""
POSE = "movenet-thunder"
"""What evaluate scores where nothing is named: of the networks that come along, the best reader of people."""
LEARN_POSE = "movenet-lightning"
"""What train_isp and tune_isp put behind an ISP where nothing is named: a public network, thrice as fast as Thunder."""
JUDGE_SEED = 900_001
"""Of the built-in scenes that judge while a training goes on; added to the training's own seed."""
TEST_SEED = 31
"""Of the built-in test set's scenes and noise; no training that comes with the package uses it."""

BOXES = ("true", "detected")
"""Where a pose network's boxes come from."""
DETECTOR = "movenet-multipose"
"""What detects where nothing is named: `models.recognisers.person_detector.MULTIPOSE_NAME`."""
FLIPS = ("none", "right", "released")
"""Tests with the mirror image: keys of `models.recognisers.inference.FLIPS`."""
EXTENTS = (0.5, 3.0)
"""Smallest and largest extent of a person's crop over the grown box."""
RAW_STAGES = ("faithful", "tuned", "tuned-low-light")
"""Raw stages that come with the package: trained on well-lit pictures, and then by MoveNet Lightning's loss."""
VARIANTS = (
    "baseline-low", "baseline-well", "baseline-all", "baseline-all-apart", "lupi", "lsbn", "lsbn+lupi-feat",
    "lsbn+lupi", "unpaired", "uda", "dann", "advent",
)  # fmt: skip
"""Of the pose network's training: keys of `models.pose.variants.VARIANTS`."""
ENHANCERS = ("gladnet", "sllen", "zero-dce", "zero-dce++", "sci", "ruas", "sdag")
"""Networks of `models.enhance.networks` that are trained."""
SLLEN_PARTS = ("attention", "modulation", "fusion", "alternating")
"""What `--without` leaves out: HSEB and HSBAB, RSAEB, FFB, learning in turn (SLLEN-4)."""
SLLEN_LOSSES = ("perceptual", "distillation", "illumination", "gradient")
"""Beside smooth L1: keys of `models.enhance.networks.sllen_losses.WEIGHTS`."""
SHIPPED_ENHANCERS = ("zero-dce", "zero-dce++", "sci", "ruas")
"""Whose weights come with the package, in models/enhance/shipped."""
DEPTHS = ("uint8", "uint16", "float32")
"""Of a board's picture: `models.tuning.boards.messages.DEPTHS`."""
BOARD = "board"
"""Instead of a network's name: the network that the board under test has itself."""
PROGRAMS = ("darktable", "rawtherapee", "dcraw")
"""External ISPs whose YAML comes with the package, in models/tuning/programs."""
GOALS = ("recognition", "snr_db", "mtf50", "texture", "delta_e", "dynamic_range_ev")
"""Of a search over several: `models.tuning.goals.GOALS`; all but the last where none is named."""
SEARCHES = {"cma": "CMA-ES", "gradient": "gradient"}
"""Of `models.tuning.search`, with their names in a report."""


def add_raw_stage(parser: argparse.ArgumentParser, what: str) -> None:
    """The option that puts a raw stage in front.

    Args:
        parser: of the command line.
        what: what comes after it, for the help.
    """
    parser.add_argument(
        "--raw-stage",
        help=f"{what} the low-light picture as this learned stage makes it of the raw: {', '.join(RAW_STAGES)}, or "
        "weights of train-raw-stage (.safetensors) [none]",
    )


def add_training(parser: argparse.ArgumentParser, seeded: str, out: str | None = None, named: str = "") -> None:
    """What every training's command line has: how long, by which rig and seed, on what, where, and whether it goes on.

    Args:
        parser: of the command line.
        seeded: what the seed draws, for the help.
        out: the folder where none is given; None: the command names it.
        named: in that case how.
    """
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--rig", default="exlpose-small", help="rig that shoots if there is no --data [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help=f"of {seeded} [%(default)s]")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto [%(default)s]")
    where = named or "%(default)s"
    parser.add_argument(
        "--out", type=Path, default=Path(out) if out else None, help=f"folder of the training [{where}]"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")


class _Trust(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, args: argparse.Namespace, values: str | Sequence[object] | None,
                 option: str | None = None) -> None:  # fmt: skip
        os.environ[TRUST] = "1"


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The option `--trust`."""
    parser.add_argument(
        "--trust",
        action=_Trust,
        nargs=0,
        default=argparse.SUPPRESS,
        help="load .pt and .pt2, which are programs: such a file can run any code and write any file as you; its "
        "digest is printed. Weights (.safetensors) hold numbers alone and need no trust",
    )
