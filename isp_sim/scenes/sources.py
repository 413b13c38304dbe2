"""Opening a source of scenes by its name."""

from pathlib import Path

from isp_sim.choices import BUILT_IN, FROZEN, Orientation
from isp_sim.rig import Rig
from isp_sim.scenes import SceneSource
from isp_sim.scenes.charts import Charts
from isp_sim.scenes.people.source import People
from isp_sim.scenes.photos import LINEAR, SUFFIXES, Photos, list_files, unread
from isp_sim.scenes.raws import SUFFIXES as RAW_SUFFIXES
from isp_sim.scenes.raws import Raws


def open_scenes(
    scenes: str,
    annotations: Path | None,
    rig: Rig,
    seed: int,
    motion_samples: int = FROZEN,
    labels_orientation: Orientation | None = None,
    linear: bool = False,
    backgrounds: Path | None = None,
    backgrounds_share: float = 1.0,
) -> SceneSource:
    """`people`, `charts`, a folder of pictures, or a raw file or folder of raw files.

    Args:
        scenes: which.
        annotations: COCO JSON of the pictures' people.
        rig: gives the size.
        seed: of the run; other seeds show other people.
        motion_samples: sub-frames over each exposure, in which people move.
        labels_orientation: what the labels of pictures turned by EXIF mean; None: unknown.
        linear: the pictures hold linear light.
        backgrounds: folder of pictures to stand behind built-in people.
        backgrounds_share: of the scenes that have one.

    Raises:
        ValueError: no such source, or nothing usable in it.
    """
    if motion_samples != FROZEN and scenes != "people":
        raise ValueError(
            f"--motion-samples {motion_samples}: only --scenes people move; expected {FROZEN} with --scenes {scenes}"
        )
    if linear and (scenes in BUILT_IN or not Path(scenes).is_dir()):
        raise ValueError(f"--linear: --scenes {scenes} is no folder of pictures, whose light it is about")
    if backgrounds is not None and scenes != "people":
        raise ValueError(f"--backgrounds {backgrounds}: stands behind --scenes people, got --scenes {scenes}")
    if backgrounds is None and backgrounds_share != 1:
        raise ValueError(f"--backgrounds-share {backgrounds_share}: needs --backgrounds, the folder of the pictures")
    if scenes in BUILT_IN:
        if annotations is not None:
            raise ValueError(f"--annotations {annotations}: --scenes {scenes} brings its own labels")
        if scenes == "people":
            return People(rig.height_px, rig.width_px, seed, motion_samples, backgrounds, backgrounds_share)
        return Charts(rig.height_px, rig.width_px)
    path = Path(scenes)
    if not path.exists():
        raise ValueError(f"--scenes {scenes}: neither 'people' nor 'charts' nor an existing file or folder")
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise ValueError(f"--scenes {scenes}: is a single picture; expected the folder that holds it")
    suffixes = LINEAR if linear else SUFFIXES
    pictures = path.is_dir() and any(list_files(folder, suffixes) for folder in (path, path / "images"))
    raws = path.is_file() or bool(list_files(path, RAW_SUFFIXES))
    if pictures and raws:
        raise ValueError(f"--scenes {scenes}: holds pictures and raw files; expected a folder with one kind")
    if pictures:
        limits = rig.height_px, rig.width_px
        return Photos(path, annotations, *limits, labels_orientation=labels_orientation, linear=linear)
    if not raws:
        convert = "".join(
            f"; {sentence}" for folder in (path, path / "images") for sentence in unread(folder, suffixes)
        )
        raise ValueError(f"--scenes {scenes}: holds neither pictures ({' '.join(suffixes)}) nor raw files{convert}")
    if annotations is not None:
        raise ValueError(f"--annotations {annotations}: raw files take no labels; a folder of pictures does")
    return Raws(path, rig.height_px, rig.width_px)
