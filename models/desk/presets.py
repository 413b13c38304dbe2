"""What the desk keeps by name, as files that the commands read."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from isp_sim.dng import write_dng
from isp_sim.files import write_atomically
from models.desk.rig_settings import RigSettings, rig_settings, rig_with
from models.desk.workbench import At, Workbench
from models.tuning.pipeline import PipelineIsp
from models.tuning.settings_file import checked, found_settings, load_settings, write_settings
from models.tuning.tunable import Settings

NAME = re.compile(r"\w[\w.-]{0,59}")
SETTINGS, PIPELINE, RIG = "settings.yaml", "pipeline.yaml", "rig.yaml"


class Presets:
    """A folder with a folder for each preset.

    Args:
        bench: whose settings these are.
        folder: is made when the first is saved.
        given: files of settings to begin with, see `found_settings`.
        search: options of `isp-sim tune` that make its search one of this desk: network, data.

    Raises:
        ValueError: a given file cannot be used.
    """

    def __init__(self, bench: Workbench, folder: Path, given: list[Path], search: Sequence[str] = ()) -> None:
        self._bench, self._folder, self._search = bench, folder, search
        self._given: dict[str, Settings] = {}
        for path in given:
            found = found_settings(path, bench.isp_name, bench.isp.parameters)
            self._given |= {f"{path.parent.name}/{name}": settings for name, settings in found.items()}

    def all(self) -> dict[str, dict[str, object]]:
        """Settings of ISP and rig by name; what was saved for another ISP is left out."""
        known: dict[str, dict[str, object]] = {name: {"settings": one, "rig": {}} for name, one in self._given.items()}
        for path in sorted(self._folder.glob(f"*/{SETTINGS}")):
            try:
                file = load_settings(path)
                if file.isp == self._bench.isp_name:
                    settings = checked(self._bench.isp.parameters, file.settings, str(path))
                    known[path.parent.name] = {"settings": settings, "rig": vars(rig_settings(file.rig))}
            except ValueError:
                continue  # of an ISP file that has changed since
        return known

    def save(self, name: str, at: At) -> dict[str, object]:
        """Write a preset's files; one of that name is replaced.

        Returns:
            `files`: their paths; `commands` that read them; `note`: what a rig file could not say.

        Raises:
            ValueError: not a name, or the rig cannot be written.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"name: is {name!r}, expected letters, digits, '_', '-' and '.', 60 at most")
        folder, bench = self._folder / name, self._bench
        moved = self._moved_rig(at.rig) if at.rig.moved else None  # complains before anything is written
        folder.mkdir(parents=True, exist_ok=True)
        raw = bench.shots[at.shot].shot.raw
        for old in (folder / PIPELINE, folder / RIG):
            old.unlink(missing_ok=True)
        write_settings(folder / SETTINGS, bench.isp_name, at.settings, at.rig.named)
        files, note = [folder / SETTINGS], ""
        if isinstance(bench.isp, PipelineIsp):
            steps = [{entry.name: entry.step.model_dump(mode="json")} for entry in bench.isp.pipeline.steps]
            write_atomically(folder / PIPELINE, yaml.safe_dump({"steps": steps}, sort_keys=False).encode())
            files.append(folder / PIPELINE)
        if moved is not None:
            text, note = moved
            write_atomically(folder / RIG, text)
            (folder / "raw").mkdir(exist_ok=True)
            raw = folder / "raw" / raw.name
            write_dng(raw, bench.raw(at))
            files += [folder / RIG, raw]
        return {
            "files": list(map(str, files)),
            "commands": self._commands(folder, raw, moved is not None),
            "note": note,
        }

    def _moved_rig(self, rig: RigSettings) -> tuple[bytes, str]:
        reshooting = self._bench.reshooting
        if reshooting is None:
            raise ValueError("rig: these shots cannot be taken again")
        moved, left_out = rig_with(reshooting.rig, rig)
        notes = []
        if left_out:
            notes.append(f"{left_out} shots of the schedule would be exposed beyond their base and are left out.")
        if rig.light != 1:
            notes.append("Built-in scenes are drawn by the light: with this rig they are others.")
        text = yaml.safe_dump(moved.model_dump(mode="json"), sort_keys=False, width=110)
        return text.encode(), " ".join(notes)

    def _commands(self, folder: Path, raw: Path, rig: bool) -> list[str]:
        settings, isp = shlex.quote(str(folder / SETTINGS)), shlex.quote(self._bench.isp_name)
        commands = [
            f"isp-sim develop {shlex.quote(str(raw))} --isp {isp} --settings {settings} --out picture.png",
            " ".join([f"isp-sim tune --isp {isp} --start {settings}", *map(shlex.quote, self._search)]),
        ]
        if rig:
            commands.append(f"isp-sim generate --rig {shlex.quote(str(folder / RIG))} --out out/moved")
        return commands
