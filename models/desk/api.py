"""What the page asks of the workbench: requests as models, answers as JSON or a picture."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from pydantic import Field

from isp_sim.picture_files import jpeg
from isp_sim.rig import Model
from isp_sim.rigfile import from_json
from isp_sim.scenes import SKELETON
from models.data.normalisation import Normalisation, Picture, normalise
from models.desk.figures import BINS, RANGE, patch_figures, picture_figures, raw_figures
from models.desk.presets import Presets
from models.desk.preview import PREVIEW_PX
from models.desk.rig_settings import SPECS, rig_settings
from models.desk.scoring import Scoring
from models.desk.workbench import At, Pane, Workbench
from models.recognisers.detection import Detection
from models.scoring.average_precision import oks
from models.scoring.drawing import lifted
from models.tuning.settings_file import checked
from models.tuning.tunable import TunableParameter

THUMBNAIL_PX = 160
PREVIEW_QUALITY = 90
Number = bool | int | float | str


@dataclass(frozen=True)
class Reply:
    """An answer: its type and its bytes, and what a picture's header says beside it."""

    kind: str
    content: bytes
    about: Mapping[str, object] | None = None


class Where(Model):
    """A shot under settings of ISP and rig."""

    shot: int = Field(ge=0)
    settings: dict[str, Number]
    rig: dict[str, float] = Field(default_factory=dict)
    small: bool = False


class PictureRequest(Where):
    """A pane; `seen`: each channel at a mean of 0.4, as a network that wants it so is given it."""

    pane: Pane
    seen: bool = False


class PosesRequest(Where):
    """Poses in some panes."""

    panes: tuple[Pane, ...]


class HeatRequest(Where):
    """Heatmaps over a pane."""

    pane: Pane


class FiguresRequest(PosesRequest):
    """Figures of some panes, and of a patch, (x, y, width, height) px, if one is marked; `seen` as for a picture."""

    patch: tuple[int, int, int, int] | None = None
    seen: bool = False


class SaveRequest(Where):
    """Settings to be kept by a name."""

    name: str


def as_json(value: object) -> Reply:
    """JSON; NaN becomes null."""
    return Reply("application/json", json.dumps(_finite(value), ensure_ascii=False).encode())


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


class Api:
    """Every request the page can make, by its path.

    Args:
        bench: with the shots.
        presets: what is kept by name.
        pose: name of the network.
    """

    def __init__(self, bench: Workbench, presets: Presets, pose: str) -> None:
        self.bench, self.kept, self.pose = bench, presets, pose
        self.scoring = Scoring(bench)

    @property
    def routes(self) -> dict[str, Callable[[bytes], Reply]]:
        """Path → what answers it."""
        return {
            "/api/desk": self.desk,
            "/api/thumbnail": self.thumbnail,
            "/api/picture": self.picture,
            "/api/poses": self.poses,
            "/api/heat": self.heat,
            "/api/figures": self.figures,
            "/api/scores": self.scores,
            "/api/progress": self.progress,
            "/api/presets": self.presets_,
            "/api/save": self.save,
        }

    def desk(self, body: bytes) -> Reply:
        """What lies on the desk, for the page to build itself."""
        bench = self.bench
        shots = []
        for one in bench.shots:
            _, _, width, height = one.shot.box
            truth = [[list(joint) for joint in person.keypoints] for person in one.shot.people]
            about = {} if one.record is None else {
                "exposure_us": one.record.exposure_us, "gain_db": one.record.low_light_gain_db,
                "ratio": one.record.ratio, "scene": one.record.scene,
            }  # fmt: skip
            shots.append(
                {"name": one.shot.name, "split": one.shot.split, "width": width, "height": height, "people": truth}
                | {"well_lit": one.record is not None} | about
            )  # fmt: skip
        rig = [TunableParameter(spec) for spec in SPECS] if bench.reshooting else []
        return as_json(
            {
                "isp": bench.isp_name,
                "pose": self.pose,
                "parameters": [_described(one) for one in bench.isp.parameters],
                "fixed": bench.fixed,
                "rig": [_described(one) for one in rig],
                "shots": shots,
                "skeleton": SKELETON,
                "preview_px": PREVIEW_PX,
                "histogram": {"bins": BINS, "low": RANGE[0], "high": RANGE[1]},
            }
        )

    def thumbnail(self, body: bytes) -> Reply:
        """A shot, small: the well-lit picture where there is one."""
        at = self._at(from_json(Where, body, "request"))
        pane: Pane = "well-lit" if self.bench.shots[at.shot].record else "scaled"
        picture = self.bench.picture(at, pane)
        height, width = picture.shape[:2]
        size = (THUMBNAIL_PX, max(1, round(THUMBNAIL_PX * height / width)))
        return Reply("image/jpeg", jpeg(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), 80))

    def picture(self, body: bytes) -> Reply:
        """A pane: a preview as JPEG, the whole as it is, uncompressed."""
        request = from_json(PictureRequest, body, "request")
        at = self._at(request)
        picture = self.bench.picture(at, request.pane)
        mean = float(picture.mean()) / (255 if picture.dtype == np.uint8 else 1)
        codes = shown(picture, request.seen and request.pane != "well-lit")
        about = {"mean": round(mean, 5), "width": codes.shape[1], "height": codes.shape[0]}
        if at.small:
            return Reply("image/jpeg", jpeg(codes, PREVIEW_QUALITY), about)
        _, coded = cv2.imencode(".bmp", codes[..., ::-1])
        return Reply("image/bmp", coded.tobytes(), about)

    def poses(self, body: bytes) -> Reply:
        """People found in some panes: x, y, score of each joint; null for one the network does not know."""
        request = from_json(PosesRequest, body, "request")
        at = self._at(request)
        truth = np.array([person.keypoints for person in self.bench.shots[at.shot].shot.people])
        areas = np.array([person.bbox[2] * person.bbox[3] for person in self.bench.shots[at.shot].shot.people])
        reply = {}
        for pane in request.panes:
            found = self.bench.poses(at, pane)
            both = len(truth) and found
            near = oks(truth, np.array([one.keypoints for one in found]), areas).mean() if both else math.nan
            reply[pane] = {"people": [_joints(one) for one in found], "oks": float(near)}
        return as_json(reply)

    def heat(self, body: bytes) -> Reply:
        """Heatmaps over a pane, a PNG."""
        request = from_json(HeatRequest, body, "request")
        _, coded = cv2.imencode(".png", self.bench.heat(self._at(request), request.pane))
        return Reply("image/png", coded.tobytes())

    def figures(self, body: bytes) -> Reply:
        """Histograms of some panes, and noise of a patch in them and in the raw."""
        request = from_json(FiguresRequest, body, "request")
        at, reply = self._at(request), {}
        for pane in request.panes:
            picture = self.bench.picture(at, pane)
            how: Normalisation = "mean-0.4" if request.seen and pane != "well-lit" else "none"
            unit = normalise(picture if picture.dtype == np.uint8 else 255 * picture, how)
            patch = None if request.patch is None else asdict(patch_figures(unit, request.patch))
            reply[pane] = asdict(picture_figures(unit)) | {"patch": patch}
        raw = None
        if request.patch is not None:
            left, top, _, _ = self.bench.shots[at.shot].shot.box
            x, y, width, height = request.patch
            raw = asdict(raw_figures(self.bench.raw(at), (x + left, y + top, width, height)))
        return as_json({"panes": reply, "raw": raw})

    def scores(self, body: bytes) -> Reply:
        """Begin to score all shots."""
        self.scoring.start(self._at(from_json(Where, body, "request")))
        return as_json(self.scoring.progress)

    def progress(self, body: bytes) -> Reply:
        """How far the scoring is, and its result."""
        return as_json(self.scoring.progress)

    def presets_(self, body: bytes) -> Reply:
        """Settings by name."""
        return as_json(self.kept.all())

    def save(self, body: bytes) -> Reply:
        """Keep settings by a name, as files."""
        request = from_json(SaveRequest, body, "request")
        return as_json(self.kept.save(request.name, self._at(request)))

    def _at(self, where: Where) -> At:
        if where.shot >= len(self.bench.shots):
            raise ValueError(f"request: shot: is {where.shot}, expected 0 … {len(self.bench.shots) - 1}")
        settings = checked(self.bench.isp.parameters, where.settings, "request")
        return At(where.shot, settings, rig_settings(where.rig), where.small)


def shown(picture: np.ndarray, seen: bool) -> Picture:
    """A picture as 8-bit codes, cut at black and white; `seen`: each channel brought to a mean of 0.4."""
    if seen:
        codes = picture if picture.dtype == np.uint8 else (255 * picture.clip(0, None)).astype(np.float32)
        return lifted(codes)
    if picture.dtype == np.uint8:
        return picture
    return np.asarray(np.rint(255 * picture.clip(0, 1)).astype(np.uint8))


def _joints(found: Detection) -> list[list[float]]:
    return [[round(float(value), 3) for value in joint] for joint in found.keypoints]


def _described(one: TunableParameter) -> dict[str, Any]:
    spec = one.spec
    return {
        "name": one.name, "low": spec.low, "high": spec.high, "scale": spec.scale, "unit": spec.unit,
        "says": spec.says, "default": one.default, "choices": list(one.choices),
    }  # fmt: skip
