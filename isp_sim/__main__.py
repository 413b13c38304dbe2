"""The command `isp-sim`: everything that `python -m …` does, under one name.

A sub-command is imported by its name when it is asked for, so that `isp_sim` knows nobody and `--help` is fast.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import isp_sim

COMMANDS = {
    "generate": ("isp_sim.generate", "a rig and scenes → aligned low-light / well-lit pairs"),
    "unpack": ("isp_sim.unpack", "pairs in tar shards → the same in folders"),
    "grab": ("capture.grab", "two cameras and a schedule → a session of raw pairs"),
    "align": ("capture.align", "captures of a two-camera rig → aligned pairs"),
    "export": ("isp_sim.export", "pairs → the layouts of YOLO, COCO, FiftyOne, Hugging Face, MMPose"),
    "calibrate sensor": ("calibration.sensor", "flats and darks → a sensor file (EMVA 1288)"),
    "calibrate colour": ("calibration.colour", "a ColorChecker → white balance and colour matrix"),
    "calibrate geometry": ("calibration.geometry", "a still scene or a chessboard → the arms' geometry"),
    "calibrate faults": ("calibration.faults", "flats and darks → lens shading, defective pixels, libcamera tuning"),
    "calibrate filter": ("calibration.filter", "pairs at known exposures → ND filter and beam splitter"),
    "calibrate published": ("calibration.published", "published noise tables and spectra → sensor files"),
    "train-isp": ("models.train_isp", "an ISP before a frozen pose network"),
    "train-pose": ("models.train_pose", "a pose network on pairs"),
    "train-detector": ("models.train_detector", "a detector of people in low light, on pairs"),
    "train-enhancer": ("models.train_enhancer", "an enhancer on pairs"),
    "train-raw-stage": ("models.train_raw_stage", "the learned raw stage on pairs"),
    "evaluate": ("models.evaluate", "a pose network → AP for each of ExLPose's splits"),
    "quality": ("models.measure_quality", "an ISP before a chart, or pictures of one → SNR, MTF50, ΔE2000, texture"),
    "tune": ("models.tune_isp", "a tunable ISP, in the loop with a pose network → its best settings"),
    "isp-serve": ("models.isp_serve", "an ISP as a board that answers lines of JSON"),
    "desk": ("models.serve_desk", "a page with sliders for an ISP and a rig before a pose network"),
    "develop": ("models.learned_isp", "one picture or raw, developed by a learned ISP"),
    "convert": ("models.recognisers.convert", "MoveNet's TensorFlow.js files → weights"),
}
"""Sub-commands: module, and what it does."""


def overview(first: str = "") -> str:
    """The help: every sub-command in a line; those of `first`, if it is given."""
    names = [name for name in COMMANDS if name.startswith(first)]
    lines = [f"  {name:20} {COMMANDS[name][1]}" for name in names]
    start = f"isp-sim {first}".rstrip()
    about = f"isp-sim {isp_sim.__version__}: a simulated dual-camera rig, and what learns from its pairs\n\n"
    return (
        f"usage: {start} COMMAND [options]\n\n{'' if first else about}"
        + "\n".join(lines)
        + f"\n\n{start} COMMAND --help says more"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status, 2 for an unknown sub-command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--version"]:
        print(f"isp-sim {isp_sim.__version__}")
        return 0
    for count in (1, 2):
        name = " ".join(words[:count])
        if name in COMMANDS:
            module = _imported(COMMANDS[name][0])
            status: int = module.main(words[count:], prog=f"isp-sim {name}")
            return status
    group = "calibrate" if words[:1] == ["calibrate"] else ""
    rest = words[1:] if group else words
    if not rest or rest[0] in ("-h", "--help"):
        print(overview(group))
        return 0
    print(f"isp-sim: unknown command {' '.join(words[:2] if group else words[:1])}", file=sys.stderr)
    print(overview(group), file=sys.stderr)
    return 2


def _imported(name: str) -> ModuleType:
    """A command's module from beside `isp_sim`, also where the current folder has a package of that name."""
    home = str(Path(__file__).resolve().parent.parent)
    package = name.partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not Path(spec.origin).resolve().is_relative_to(home):
        sys.path.insert(0, home)  # worker processes inherit it
    return importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
