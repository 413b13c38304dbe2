"""darktable as `--isp darktable` sets it, but all shots of a folder in one start: a quarter of the processor time.

    FOLDERS=out/photos:40,out/last300:100 python benchmarks/tune_isp.py --isp benchmarks.darktable_folder:darktable …

`FOLDERS` are those of the search and of the judging, with the numbers of shots that are taken. Whether the pictures are
those of one start each is checked with the first setting of a folder, on its first raw.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from isp_sim.picture_files import read_unit
from models.tuning.external import ExternalIsp, filled
from models.tuning.loading import load_isp
from models.tuning.shots import read_shots
from models.tuning.tunable import Setting, TunableParameter

KEPT = 4
"""Settings."""


class FolderAtOnce:
    """The pictures of the last few settings are kept: the examples of a report go from one to the other."""

    def __init__(self) -> None:
        isp = load_isp("darktable")
        assert isinstance(isp, ExternalIsp)
        self.isp, self.place = isp, tempfile.TemporaryDirectory()
        self.folders: list[dict[Path, Path]] = []
        for number, word in enumerate(os.environ["FOLDERS"].split(",")):
            folder, count = word.rsplit(":", 1)
            into = Path(self.place.name) / f"in{number}"
            into.mkdir()
            copies = {shot.raw: into / f"{n}.dng" for n, shot in enumerate(read_shots(Path(folder), int(count)))}
            for raw, copy in copies.items():
                shutil.copy(raw, copy)
            self.folders.append(copies)
        self.checked: set[int] = set()
        self.made: dict[str, Path] = {}

    @property
    def parameters(self) -> Sequence[TunableParameter]:
        """Those of darktable."""
        return self.isp.parameters

    def develop(self, raw: Path, settings: Mapping[str, Setting]) -> np.ndarray:
        """See `models.tuning.tunable.BlackBoxIsp`."""
        number = next(n for n, copies in enumerate(self.folders) if raw in copies)
        into, key = self.folders[number], f"{number} {sorted(settings.items())}"
        if key not in self.made:
            if len(self.made) == KEPT:
                shutil.rmtree(self.made.pop(next(iter(self.made))))
            self.made[key] = self._make(next(iter(into.values())).parent, settings)
        picture = read_unit(self.made[key] / f"{into[raw].stem}.png")
        if number not in self.checked:
            assert np.array_equal(picture, self.isp.develop(raw, settings)), f"{raw}: another picture than alone"
            self.checked.add(number)
        return picture

    def _make(self, into: Path, settings: Mapping[str, Setting]) -> Path:
        out = Path(tempfile.mkdtemp(dir=self.place.name))
        sidecar = Path(self.place.name) / "settings.xmp"
        assert self.isp.template is not None
        sidecar.write_text(filled(self.isp.template, settings))
        paths = {"raw": str(into), "picture": str(out), "sidecar": str(sidecar), "folder": self.place.name}
        words = [filled(word, paths) for word in self.isp.command]
        files = words.index(str(out)) + 1
        subprocess.run([*words[:files], "--out-ext", ".png", *words[files:]], capture_output=True, check=True)
        return out


def darktable() -> FolderAtOnce:
    """For `--isp benchmarks.darktable_folder:darktable`."""
    return FolderAtOnce()
