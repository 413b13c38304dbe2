"""What a command line of `isp_sim` offers by name, and its defaults: light, so that `--help` needs no torch."""

from typing import Literal

BUILT_IN = ("people", "charts")
"""Scenes that are no path."""
DEFAULT_COUNT = 20
"""Shots of a run for which no number is given."""
FPS = 25.0
"""Frames a second of a sequence."""
FROZEN = 1
"""Sub-frames of a picture in which nobody moves."""

PAIRS_A_SHARD = 64
"""About 1 GB at 1920×1200, and 40 s of a core's work that a stopped worker loses."""

Format = Literal["folder", "webdataset"]
"""Of a data set on disk."""
RawFormat = Literal["none", "dng", "npz"]
"""Of both arms' raws in a data set."""
Subset = Literal["train", "test"]
"""What a data set is for. ExLPose's test set is split by gain, its training set is not."""
Orientation = Literal["upright", "stored"]
"""What labels mean: the picture as EXIF turns it, or the rows as the file stores them."""

ExportFormat = Literal["yolo-pose", "coco", "fiftyone", "huggingface", "mmpose"]
"""Layouts that `isp_sim.export` writes."""
Arm = Literal["dark", "bright"]
"""Folders of the arms' pictures."""
