"""What lies in a folder of captures: pairs with their settings, and one sentence for everything that does not fit.

Read are a `raw/` folder of DNGs (ours, or what `capture.grab` wrote), `bright/` and `dark/` pictures with ExLPose's
names, and a CSV of pairs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isp_sim.csv_files import read_rows
from isp_sim.files import listed
from isp_sim.schedule import FILE_NAME, Shot

PICTURES, RAWS = (".png", ".jpg", ".jpeg", ".tif", ".tiff"), (".dng",)


@dataclass(frozen=True)
class CapturedPair:
    """Two files of one moment.

    Attributes:
        session: what shares one map: month, day and place of ExLPose's names, or the CSV's column.
        bright, dark: DNG or picture.
        shot: as the names state; gains and exposure of other names are 0.
    """

    session: str
    bright: Path
    dark: Path
    shot: Shot

    @property
    def name(self) -> str:
        """How messages call the pair."""
        return self.bright.name

    @property
    def is_raw(self) -> bool:
        """DNG, not picture."""
        return self.bright.suffix.lower() in RAWS


def find_pairs(where: Path, anywhere: bool = False) -> tuple[list[CapturedPair], list[str]]:
    """Every pair of a folder or CSV, in the order of their names, and what is wrong with the rest.

    Args:
        where: folder or CSV.
        anywhere: whether a CSV may name files that do not lie in its folder.

    Raises:
        ValueError: nothing usable at all, or a CSV leads out of its folder.
        FileNotFoundError: no such folder or file.
    """
    if not where.exists():
        raise FileNotFoundError(f"{where}: no such folder or CSV of pairs")
    if where.is_file():
        return _from_csv(where, anywhere)
    raw = where / "raw" if (where / "raw").is_dir() else where
    files = _files(raw, RAWS)
    if not files:
        files = [file for arm in ("bright", "dark") for file in _files(where / arm, PICTURES)]
    if not files:
        raise ValueError(
            f"{where}: holds neither raw/*.dng nor bright/ and dark/ with pictures; nor is it a CSV of pairs"
        )
    pairs, faults = _matched(files)
    if not pairs:
        raise ValueError("\n".join([*faults, f"{where}: no file has a partner"]))
    return pairs, faults


def _files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in there if file.suffix.lower() in suffixes and not file.name.startswith("."))


def _matched(files: list[Path]) -> tuple[list[CapturedPair], list[str]]:
    arms: dict[tuple[str, ...], dict[str, list[tuple[Path, re.Match[str]]]]] = {}
    faults = []
    for file in files:
        fields = FILE_NAME.fullmatch(file.with_suffix(".png").name)
        if fields is None:
            faults.append(
                f"{file}: the name is not ExLPose's (imgs_<MMDD>[_place]_vid<scene>_exp<ratio×100>_<bright|dark>_"
                "<frame>__gain_<dB>_exposure_<µs>); rename it or list the pairs in a CSV"
            )
            continue
        key = tuple(fields[name] for name in ("place", "video", "ratio", "frame", "exposure_us"))
        arms.setdefault(key, {"bright": [], "dark": []})[fields["arm"]].append((file, fields))
    pairs = []
    for found in arms.values():
        bright, dark = found["bright"], found["dark"]
        if len(bright) == len(dark) == 1:
            pairs.append(_pair(*bright[0], *dark[0]))
        elif not bright or not dark:
            there, lacking = (dark, "bright") if dark else (bright, "dark")
            faults += [f"{file}: its {lacking} partner is missing" for file, _ in there]
        else:
            listed = ", ".join(file.name for file, _ in bright + dark)
            faults.append(
                f"{bright[0][0].parent}: several files of one moment, expected one bright and one dark: {listed}"
            )
    return sorted(pairs, key=lambda pair: pair.name), faults


def _pair(bright: Path, fields: re.Match[str], dark: Path, dark_fields: re.Match[str]) -> CapturedPair:
    session, _, place = fields["place"].partition("_")
    exposure_us, ratio = int(fields["exposure_us"]), int(fields["ratio"]) / 100
    low_db = float(dark_fields["gain_db"])
    shot = Shot(
        scene=int(fields["video"]) if fields["video"].isdigit() else 0,
        session=session,
        place=place,
        video=fields["video"],
        frame=fields["frame"],
        ratio=ratio,
        exposure_us=exposure_us,
        base_exposure_us=exposure_us * ratio,
        base_gain_db=low_db,
        well_lit_gain_db=float(fields["gain_db"]),
        low_light_gain_db=low_db,
    )
    return CapturedPair(fields["place"], bright, dark, shot)


def _from_csv(path: Path, anywhere: bool) -> tuple[list[CapturedPair], list[str]]:
    pairs: list[CapturedPair] = []
    faults: list[str] = []
    for line, row in read_rows(path, ("bright", "dark"), "session"):
        files = [listed(path, row[arm], anywhere) for arm in ("bright", "dark")]
        gone = [str(file) for file in files if not file.is_file()]
        kinds = {file.suffix.lower() in RAWS for file in files}
        if gone:
            faults.append(f"{path}:{line}: no such file: {', '.join(gone)}")
        elif len(kinds) > 1:
            faults.append(f"{path}:{line}: one arm is a DNG, the other a picture; both must be of one kind")
        else:
            pairs.append(_row_pair(files[0], files[1], row.get("session") or path.stem, len(pairs)))
    if not pairs:
        raise ValueError("\n".join([*faults, f"{path}: none of the pairs it lists exists"]))
    return pairs, faults


def _row_pair(bright: Path, dark: Path, session: str, number: int) -> CapturedPair:
    fields, dark_fields = (FILE_NAME.fullmatch(file.with_suffix(".png").name) for file in (bright, dark))
    if fields and dark_fields:
        pair = _pair(bright, fields, dark, dark_fields)
        return CapturedPair(session, bright, dark, pair.shot)
    plain = re.sub(r"[^\w.-]", "-", session)
    shot = Shot(number, plain, "", f"{number:06d}", "000000", 1.0, 0, 0.0, 0.0, 0.0, 0.0)
    return CapturedPair(session, bright, dark, shot)
