"""What a command line of `isp_sim` offers by name, and its defaults: light, so that `--help` needs no torch."""

from typing import Literal

BUILT_IN = ("people", "charts")
"""Scenes that are no path."""
DEFAULT_COUNT = 20
"""Shots of a run for which no number is given."""
FROZEN = 1
"""Sub-frames of a picture in which nobody moves."""

Subset = Literal["train", "test"]
"""What a data set is for. ExLPose's test set is split by gain, its training set is not."""
Orientation = Literal["upright", "stored"]
"""What labels mean: the picture as EXIF turns it, or the rows as the file stores them."""

Format = Literal["yolo-pose", "coco", "fiftyone", "huggingface", "mmpose"]
"""Layouts that `isp_sim.export` writes."""
Arm = Literal["dark", "bright"]
"""Folders of the arms' pictures."""
