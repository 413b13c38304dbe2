"""What reads each kind of file: functions, and whole commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzzing import Command, Subject
from whole_files import KNOWN_RECIPES, RIG, SEARCH, training

import calibration.colour
import calibration.sensor
import capture.align
import capture.grab
import isp_sim.generate
import models.learned_isp
from calibration.emva.noise_tables import read_tables
from calibration.emva.session_files import open_session
from calibration.filter_ratios import read_pairs
from calibration.spectral import rec709_to_camera
from capture.captures import find_pairs
from isp_sim.dng import read_dng
from isp_sim.dng_opcodes import defects_of, shading_of
from isp_sim.isp.pipeline import load_pipeline
from isp_sim.manifest import read_manifest
from isp_sim.photo_pairs.frames import open_frame
from isp_sim.photo_pairs.rig import load_any_rig
from isp_sim.picture_files import read_linear, read_picture, read_unit
from isp_sim.raw_files import open_raw, through_libraw
from isp_sim.rigfile import load_rig, load_sensor, load_yaml, rigs_folder
from isp_sim.scenes.annotations import read_keypoint_file
from isp_sim.scenes.raws import Raws
from isp_sim.schedule import replay
from models.data.samples import FolderPairs
from models.enhance.recipe import EnhancerRecipe
from models.enhance.weights import load_enhancer_network, load_sdag
from models.isp.learned import load_weights
from models.raw_stage.stage import load_stage
from models.recognisers import movenet, tensorflow_js
from models.recognisers.person_detector import load_detector
from models.recognisers.recogniser import RecogniserFile
from models.recognisers.weights import load_network
from models.runs.detector_training import DetectorRecipe
from models.runs.isp_training import IspRecipe
from models.runs.pose_training import PoseRecipe
from models.runs.raw_stage_training import RawStageRecipe
from models.tuning.external import load_external
from models.tuning.record import Record, open_folder

KINDS = {".yaml": "yaml", ".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".txt": "text", ".png": "png",
         ".tif": "tiff", ".dng": "tiff", ".safetensors": "safetensors"}  # fmt: skip
"""Of damage, by a file's ending; others are damaged as bytes."""
Files = dict[str, Callable[[Path], Any]]
"""What reads a file, by its name."""
RECIPES = (EnhancerRecipe, PoseRecipe, IspRecipe, RawStageRecipe, DetectorRecipe)


def subjects(root: Path) -> list[Subject | Command]:
    """Everything that is tried with the files that `whole_files.make` wrote to a folder."""
    folders: dict[str, Files] = {
        "rigs": {
            "rig.yaml": load_any_rig,
            RIG: load_rig,
            "own.yaml": load_sensor,
            "faulty.yaml": load_rig,
            "photo.yaml": load_any_rig,
            "shots.csv": replay,
        },
        "recipes": _recipes(),
        "labels": {"labels.json": read_keypoint_file, "named.json": read_keypoint_file},
        "frames": {"list.csv": _opened, "list.txt": _opened},
        "tables": {"noise.json": read_tables, "curves.json": rec709_to_camera},
        "pictures": _pictures(),
        "weights": {
            "isp.safetensors": load_weights,
            "enhancer.safetensors": load_enhancer_network,
            "sdag.safetensors": load_sdag,
            "stage.safetensors": load_stage,
            "pose.safetensors": load_network,
            "lightning.safetensors": movenet.load_movenet,
            "detector.safetensors": load_detector,
            "training/checkpoint.safetensors": _resumed,
        },
        "search": {
            "cma.jsonl": lambda path: Record(path).lines,
            "search.json": lambda path: open_folder(path.parent, SEARCH, True),
        },
        "package": {"movenet-lightning.json": lambda path: tensorflow_js.read_weights(path.parent, "lightning")},
    }
    plain = [
        Subject(f"{name}: {file}", root / name, file, kind_of(file), lambda f, file=file, read=read: read(f / file))
        for name, files in folders.items()
        for file, read in files.items()
    ]
    return [*plain, *_others(root), *_generate(root), *_commands(root)]


def kind_of(file: str) -> str:
    """How a file is damaged."""
    return KINDS.get(Path(file).suffix, "binary")


def _recipes() -> Files:
    kinds = zip(KNOWN_RECIPES, RECIPES, strict=True)
    return {f"{name}.yaml": lambda path, kind=kind: load_yaml(kind, path) for name, kind in kinds} | {
        "pipeline.yaml": lambda path: load_pipeline(path).specs,
        "external.yaml": load_external,
        "board.yaml": load_external,
        "network.yaml": lambda path: load_yaml(RecogniserFile, path),
    }


def _pictures() -> Files:
    of_8_bits = {f"8{suffix}": read_unit for suffix in (".png", ".jpg", ".tif", ".webp", ".bmp")}
    return of_8_bits | {name: read_linear for name in ("16.png", "16.tif", "32.exr")}


def _resumed(path: Path) -> Any:
    trained = training(path.parent)
    trained.open(True)
    return trained.history


def _opened(path: Path) -> Any:
    """A calibration session with every frame."""
    session = open_session(path)
    return list(session.frames), [source.read() for each in session.frames.values() for source in each]


def _opcodes(path: Path, read: Callable[[bytes], Any]) -> Any:
    """An opcode list, as `read_dng` reads it: it names the file."""
    try:
        return read(path.read_bytes())
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from None


def _records(folder: Path) -> Any:
    records = list(read_manifest(folder))
    free = {"labels": {}, "key": {}}  # which hold anything
    return [(one.persons, one.arm_map, one.files, one.model_copy(update=free)) for one in records]


def _pairs(folder: Path) -> Any:
    source = FolderPairs(folder, pre_quantisation=True)
    return [source.group(number) for number in range(len(source))]


def _others(root: Path) -> list[Subject]:
    """Readers of several files, or of one in more than one way."""
    run, dngs, raws, captures = (root / name for name in ("run", "dngs", "raws", "captures"))
    labels = next((run / "Annotations").glob("*WL.json")).relative_to(run)
    dark, raw = (str(sorted((run / f).glob("*dark*"))[0].relative_to(run)) for f in ("dark", "raw"))
    rig = load_rig(root / "rigs" / RIG)
    pictures = tuple(path.name for path in (run / "bright").iterdir())
    return [
        Subject("sensor of a rig", root / "rigs", "own.yaml", "yaml", lambda f: load_rig(f / "rig.yaml")),
        Subject("manifest", run, "manifest.jsonl", "jsonl", _records),
        Subject("pairs: annotations", run, str(labels), "json", _pairs, also=pictures),
        Subject("pairs: manifest", run, "manifest.jsonl", "jsonl", _pairs),
        Subject("pairs: rig", run, "rig.yaml", "yaml", _pairs),
        Subject("pairs: picture", run, dark, "png", _pairs),
        Subject("pairs: raw", run, raw, "tiff", _pairs),
        Subject("list of captures", captures, "pairs.csv", "csv", lambda f: find_pairs(f / "pairs.csv")),
        Subject("list of filters", captures, "filters.csv", "csv", lambda f: read_pairs(f / "filters.csv", rig), True),
        Subject("calibration: raw", raws, "flats/bright0.dng", "tiff", _opened),
        Subject("map", root / "pictures", "8.png", "png", lambda f: read_picture(f / "8.png", cv2.IMREAD_UNCHANGED)),
        Subject("DNG", dngs, "own.dng", "tiff", lambda f: read_dng(f / "own.dng")),
        Subject(
            "defects",
            dngs,
            "OpcodeList1.bin",
            "binary",
            lambda f: _opcodes(f / "OpcodeList1.bin", lambda some: defects_of(some, np.zeros((96, 128)))),
        ),
        Subject(
            "shading",
            dngs,
            "OpcodeList2.bin",
            "binary",
            lambda f: _opcodes(f / "OpcodeList2.bin", lambda some: shading_of(some, 96, 128)),
        ),
        Subject("raw", dngs, "own.dng", "tiff", lambda f: open_raw(f / "own.dng"), True),
        Subject("raw, LibRaw", dngs, "own.dng", "tiff", lambda f: through_libraw(f / "own.dng"), True),
        Subject("raw as a scene", dngs, "own.dng", "tiff", lambda f: Raws(f / "own.dng", 96, 128).scene(0)),
        Subject("sidecar", dngs, "mosaic.yaml", "yaml", lambda f: open_frame(f / "mosaic.raw")),
        Subject("mosaic", dngs, "mosaic.raw", "binary", lambda f: Raws(f / "mosaic.raw", 96, 128).scene(0)),
    ]


def _generate(root: Path) -> list[Command]:
    main, tiny = isp_sim.generate.main, f"--workers 1 --out FOLDER/out --rig FOLDER/{RIG}"
    photo = f"--workers 1 --out FOLDER/out --rig {rigs_folder() / 'gladnet.yaml'} --count 1"
    resumed = f"--rig {root / 'rigs' / RIG} --scenes charts --count 3 --workers 1 --out FOLDER --resume"

    def of(name: str, folder: str, file: str, arguments: str, **more: Any) -> Command:
        where = root / folder
        return Command(f"generate {name}", where, file, kind_of(file), main, arguments, nothing_left=False, **more)

    return [
        of("--rig", "rigs", RIG, f"{tiny} --scenes charts --count 1"),
        of("--schedule", "rigs", "shots.csv", f"{tiny} --scenes charts --schedule FOLDER/shots.csv"),
        of("--annotations", "labels", "labels.json", f"{tiny} --scenes FOLDER --annotations FOLDER/labels.json"
           " --count 2", also=("1.png", "2.png")),
        of("--scenes", "scenes", "a.jpg", f"{tiny} --scenes FOLDER --count 2"),
        of("--scenes, sidecar", "dngs", "mosaic.yaml", f"{photo} --scenes FOLDER/mosaic.raw"),
        of("--scenes, DNG", "dngs", "own.dng", f"{photo} --scenes FOLDER/own.dng"),
        of("--resume, manifest", "run", "manifest.jsonl", resumed, out="."),
        of("--resume, run.json", "run", "run.json", resumed, out="."),
        of("--resume, .pairs", "opened", ".pairs/000000001.json", resumed, out="."),
    ]  # fmt: skip


def _commands(root: Path) -> list[Command]:
    align = f"--rig FOLDER/{RIG} --workers 1 --out FOLDER/out"
    grabbed = f"--rig {root / 'rigs' / RIG} --scenes charts --count 3 --out FOLDER --resume"
    learned = "--crop thumbnail --out FOLDER/out.png"

    def of(main: Any, name: str, folder: str, file: str, arguments: str, out: str = "out", **more: Any) -> Command:
        return Command(name, root / folder, file, kind_of(file), main, arguments, out, **more)

    isp, sensor = models.learned_isp.main, calibration.sensor.main
    names = tuple(path.name for path in (root / "captures").glob("imgs*"))
    refused = {"nothing_left": False, "passes": (3,), "also": names}
    return [
        of(capture.align.main, "align, raw", "captures", "bright0.dng", f"FOLDER/one.csv {align}", **refused),
        of(capture.align.main, "align, list", "captures", "pairs.csv", f"FOLDER/pairs.csv {align}", **refused),
        of(capture.grab.main, "grab --resume", "session", "session.json", grabbed, ".", nothing_left=False),
        of(sensor, "sensor, list", "frames", "list.csv", "FOLDER/list.csv --out FOLDER/out"),
        of(sensor, "sensor, frame", "frames", "flat700_0.png", "FOLDER/list.csv --out FOLDER/out", passes=(0,)),
        of(calibration.colour.main, "colour", "pictures", "8.png", "FOLDER/8.png --out FOLDER/out"),
        of(isp, "learned-isp, PNG", "pictures", "8.png", f"FOLDER/8.png {learned}", "out.png"),
        of(isp, "learned-isp, JPEG", "pictures", "8.jpg", f"FOLDER/8.jpg {learned}", "out.png"),
        of(isp, "learned-isp, DNG", "dngs", "own.dng", f"FOLDER/own.dng --rig FOLDER/{RIG} {learned}", "out.png"),
        of(isp, "learned-isp, weights", "weights", "isp.safetensors",
           f"FOLDER/picture.png --weights FOLDER/isp.safetensors {learned}", "out.png"),
    ]  # fmt: skip
