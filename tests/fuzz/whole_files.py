"""Whole files of every kind that the commands read, small and made here."""

import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from rich.console import Console
from torch import nn

import capture.grab
import isp_sim.generate
from isp_sim.dng import read_dng, write_dng
from isp_sim.dng_opcodes import opcode_lists
from isp_sim.isp.pipeline import Pipeline
from isp_sim.rigfile import load_rig, rigs_folder
from isp_sim.shading import edge_to_edge
from models.engine.training import RECIPES, Recipe, Training
from models.enhance.networks.sdag import Sdag, Stem
from models.enhance.weights import build, save_enhancer, save_sdag
from models.isp.learned import LearnedIsp, save_weights
from models.isp.predictor import Predictor
from models.raw_stage import stage
from models.recognisers import movenet
from models.recognisers.multipose import MULTIPOSE
from models.recognisers.weights import SHIPPED, load_network, save_network
from models.tuning.record import Evaluation, Record, open_folder

RIG = "tiny.yaml"
KNOWN_RECIPES = ("sllen-full", "pose-lightning", "isp", "raw-stage", "detector-full")
SEARCH = {"isp": "libraw", "knobs": {"gain": "0 … 1"}, "seed": 0}
"""What identifies the search."""


def make(root: Path) -> None:
    """Write them all, a folder a kind, into an empty folder."""
    _rigs(root / "rigs")
    _run(root)
    _recipes(root / "recipes")
    _labels(root / "labels")
    _captures(root)
    _frames(root)
    _tables(root / "tables")
    _pictures(root)
    _raws(root)
    _weights(root / "weights")
    _search(root / "search")
    _package(root / "package")
    for name in ("labels", "captures", "scenes", "dngs", "pictures"):
        shutil.copy(root / "rigs" / RIG, root / name)


def codes(seed: int = 0) -> np.ndarray:
    """A smooth picture of 96×128 px."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)


def training(folder: Path) -> Training:
    """A training of two outputs."""
    module, recipe = nn.Linear(3, 2), Recipe(epochs=1, bf16=False)
    return Training(
        module, lambda batch: {"square": module(batch).square().mean()}, recipe, folder, torch.device("cpu"), {"x": 1}
    )


def _rigs(folder: Path) -> None:
    folder.mkdir(parents=True)
    tiny = load_rig("exlpose-small").model_dump(mode="json") | {"name": "tiny", "width_px": 128, "height_px": 96}
    sensor = rigs_folder() / "sensors/imx392.yaml"
    (folder / RIG).write_text(yaml.safe_dump(tiny, sort_keys=False))
    (folder / "rig.yaml").write_text(yaml.safe_dump(tiny | {"sensor": "own.yaml"}, sort_keys=False))
    shutil.copy(sensor, folder / "own.yaml")
    shutil.copy(rigs_folder() / "gladnet.yaml", folder / "photo.yaml")
    (folder / "faulty.yaml").write_text(yaml.safe_dump(_with_faults(tiny), sort_keys=False))
    head = "session,place,scene,frame,exposure_ratio,exposure_us,bright_gain_db,dark_gain_db\n"
    rows = "".join(f"0101,place,{n},0000{n},{n}.5,{n}000,1{n}.5,{n}\n" for n in range(1, 4))
    (folder / "shots.csv").write_text(head + rows)


def _with_faults(rig: dict[str, Any]) -> dict[str, Any]:
    """A rig with shading and listed defects."""
    about = {"status": "assumed", "source": "made here"}
    tables = [
        {"colour_temperature_k": t, **{c: [[0.5, 0.75], [0.75, 1.0]] for c in ("red", "green", "blue")}}
        for t in (3000, 6500)
    ]
    listed = {"dead": [[1, 2]], "stuck": [[3, 4, 0.5]], "hot": [[5, 6, 700.0]], "dead_rows": [7], "dead_columns": []}
    faults = {"shading": {"value": tables, **about}, "defects": {"value": listed, **about}}
    many = {"value": {"dead_per_million": 100, "dead_rows": 1}, **about}
    return rig | {"well_lit": rig["well_lit"] | faults, "sensor": rig["sensor"] | {"defects": many}}


def _run(root: Path) -> None:
    """A run of three pairs, and the same before it was closed."""
    run, opened = root / "run", root / "opened"
    rig = str(root / "rigs" / RIG)
    arguments = ["--rig", rig, "--scenes", "charts", "--count", "3", "--workers", "1", "--out", str(run)]
    assert isp_sim.generate.main(arguments) == 0
    shutil.copytree(run, opened)
    (opened / ".pairs").mkdir()
    for number, line in enumerate((run / "manifest.jsonl").read_text().splitlines()):
        (opened / ".pairs" / f"{number:09d}.json").write_text(line)
    (opened / "manifest.jsonl").unlink()


def _recipes(folder: Path) -> None:
    folder.mkdir()
    for name in KNOWN_RECIPES:
        shutil.copy(RECIPES / f"{name}.yaml", folder)
    external = {
        "command": ["develop", "{raw}", "{picture}", "-g", "{gain}", "-s", "{sidecar}"],
        "picture": ".tiff",
        "template": "noise = {noise:d}\n",
        "knobs": {
            "gain": {"low": 0.25, "high": 64, "default": 1, "scale": "log"},
            "noise": {"choices": [0, 100, 200], "default": 0, "says": "threshold"},
        },
    }
    network = {"height": 256, "width": 192, "stride": 4, "joints": ["nose", "left_eye", "head"], "extent": 1.25}
    board = {"board": ["serve"], "raw": "raw12", "settle_frames": 2, "transfer": {
        "put": ["cp", "{here}", "{there}"], "get": ["cp", "{there}", "{here}"], "folder": "/tmp/isp"}}  # fmt: skip
    pipeline = Pipeline().model_dump(mode="json")
    documents = {"pipeline": pipeline, "external": external, "board": board, "network": network}
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def _labels(folder: Path) -> None:
    folder.mkdir()
    images = [{"id": n, "file_name": f"{n}.png", "width": 96, "height": 80} for n in (1, 2)]
    person = {"category_id": 1, "keypoints": [20.0, 30, 2] * 14, "bbox": [10, 10, 40, 60]}
    people = [person | {"id": n, "image_id": n} for n in (1, 2)]
    document = {"images": images, "annotations": people, "categories": []}
    categories = [{"id": 1, "name": "person", "keypoints": [f"joint{n}" for n in range(14)]}]
    (folder / "labels.json").write_text(json.dumps(document))
    (folder / "named.json").write_text(json.dumps(document | {"categories": categories}))
    for n in (1, 2):
        cv2.imwrite(str(folder / f"{n}.png"), codes()[:80, :96])


def _captures(root: Path) -> None:
    """Raws in two lists, and a session of `capture.grab`."""
    folder = root / "captures"
    shutil.copytree(root / "run" / "raw", folder)
    arms = (sorted(path.name for path in folder.glob(f"*{arm}*")) for arm in ("bright", "dark"))
    pairs = list(zip(*arms, strict=True))
    (folder / "pairs.csv").write_text("bright,dark,session\n" + "".join(f"{b},{d},one\n" for b, d in pairs))
    lights = "".join(f"{b},{d},{'yes' if n else 'no'},all\n" for n, (b, d) in enumerate(pairs))
    (folder / "filters.csv").write_text(f"well_lit,low_light,nd_filter,light\n{lights}")
    for number, (bright, dark) in enumerate(pairs[:1]):
        shutil.copy(folder / bright, folder / f"bright{number}.dng")
        shutil.copy(folder / dark, folder / f"dark{number}.dng")
    (folder / "one.csv").write_text("bright,dark,session\nbright0.dng,dark0.dng,one\n")
    rig, out = str(root / "rigs" / RIG), str(root / "session")
    assert capture.grab.main(["--rig", rig, "--scenes", "charts", "--count", "2", "--out", out]) == 0


def _frames(root: Path) -> None:
    """A calibration session as CSV and as EMVA 1288's text, and one of raws."""
    folder, raws = root / "frames", root / "raws"
    folder.mkdir()
    stream = np.random.default_rng(1)
    rows, lines = ["file,kind,exposure_us,gain_db,photons"], ["v 1.0", "n 12 64 80"]
    for kind, level in (("dark", 100), *(("flat", 100 + 300 * n) for n in range(1, 6))):
        photons = level * 2 if kind == "flat" else ""
        lines.append(f"b {level * 1000} {photons}" if kind == "flat" else "d 100000")
        for n in range(2):
            name = f"{kind}{level}_{n}.png"
            frame = stream.normal(level, 3 + level**0.5 / 2, (80, 64)).clip(0, 4095).round().astype(np.uint16)
            cv2.imwrite(str(folder / name), frame)
            rows.append(f"{name},{kind},{level},0,{photons}")
            lines.append(f"i {name}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    for part, arm in (("flats", "bright"), ("darks", "dark")):
        (raws / part).mkdir(parents=True)
        for number, path in enumerate(sorted((root / "run" / "raw").glob(f"*{arm}*"))):
            shutil.copy(path, raws / part / f"{arm}{number}.dng")


def _tables(folder: Path) -> None:
    """Published noise tables and spectral curves."""
    folder.mkdir()
    line = {"slope": 0.8, "bias": 1.0, "sigma": 0.1}
    profile = {"G_scale": line, "R_scale": line}
    bias = [[0.0, 0.1, 0.2, 0.3]]
    camera = {"Kmin": 0.1, "Kmax": 10.0, "lambda": [0.1, 0.1] * 3, "color_bias": bias, "Profile-1": profile}
    row = {"lam": 0.1, "sigTL": 2.0, "sigR": 0.2, "bl": 512, "bias": 0.1}
    isos = {str(iso): row | {"Kmax": iso / 1000} for iso in (100, 400, 2000, 8000)}
    (folder / "noise.json").write_text(json.dumps({"ELD": {"x": camera}, "PMN_SonyA7S2_per_iso": isos}))
    curves = {str(nm): [1.0, 0.5 + nm / 1000, 0.2] for nm in range(360, 840, 5)}
    (folder / "curves.json").write_text(json.dumps({"spectral_data": {"data": {"main": curves}}}))


def _pictures(root: Path) -> None:
    folder, scenes = root / "pictures", root / "scenes"
    folder.mkdir()
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    deep = codes().astype(np.uint16) * 257
    whole = {f"8{suffix}": codes() for suffix in (".png", ".jpg", ".tif", ".webp", ".bmp")}
    whole |= {"16.png": deep, "16.tif": deep, "32.exr": (deep / 65535).astype(np.float32)}
    for name, content in whole.items():
        (folder / name).write_bytes(cv2.imencode(Path(name).suffix, content)[1].tobytes())
    scenes.mkdir()
    shutil.copy(folder / "8.jpg", scenes / "a.jpg")
    shutil.copy(folder / "8.png", scenes / "b.png")


def _raws(root: Path) -> None:
    """A DNG, and a headerless mosaic with its sidecar."""
    folder = root / "dngs"
    folder.mkdir()
    raw = read_dng(sorted((root / "run" / "raw").glob("*bright*"))[0])
    raw = replace(raw, shading=edge_to_edge([np.full((3, 4), 1.5)] * 4), defects=((2, 3, 3, 4), (8, 0, 9, 128)))
    write_dng(folder / "own.dng", raw)
    for name, content in opcode_lists(raw).items():
        (folder / f"{name}.bin").write_bytes(content)
    raw.counts.astype("<u2").tofile(folder / "mosaic.raw")
    about = yaml.safe_load(next((rigs_folder() / "mosaics").glob("*rggb.yaml")).read_text())
    height, width = raw.counts.shape
    (folder / "mosaic.yaml").write_text(yaml.safe_dump(about | {"width_px": width, "height_px": height}))


def _weights(folder: Path) -> None:
    folder.mkdir()
    drawn = torch.Generator().manual_seed(0)
    save_weights(LearnedIsp(Predictor(Pipeline(), drawn), Pipeline()), folder / "isp.safetensors")
    save_enhancer(build("zero-dce++", shrink=2), "zero-dce++", "none", folder / "enhancer.safetensors", {})
    save_sdag(
        Sdag(Stem(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)))), folder / "sdag.safetensors", {}
    )
    stage.save_stage(stage.build((8, 16), 0), folder / "stage.safetensors", {})
    save_network(load_network(SHIPPED), folder / "pose.safetensors", {}, half=True)
    shutil.copy(movenet.shipped_weights("lightning"), folder / "lightning.safetensors")
    shutil.copy(MULTIPOSE, folder / "detector.safetensors")
    cv2.imwrite(str(folder / "picture.png"), codes())
    trained = training(folder / "training")
    trained.open(False)
    trained.run(lambda _: [(1.0, torch.ones(2, 3))], lambda _: {"PCK": 1.0}, Console(quiet=True))


def _search(folder: Path) -> None:
    open_folder(folder, SEARCH, False)
    record = Record(folder / "cma.jsonl")
    for n in range(3):
        record.add(Evaluation({"gain": n / 10, "mode": "x"}, 0.5, (0.5, 0.25), 1.0, (0.1, 0.2)))


def _package(folder: Path) -> None:
    folder.mkdir()
    stored = {"dtype": "float32", "quantization": {"dtype": "float16"}}
    entries = [stored | {"name": f"w{n}", "shape": [2, n]} for n in (1, 2, 3)]
    group = {"paths": ["movenet-lightning.bin"], "weights": entries}
    (folder / "movenet-lightning.json").write_text(json.dumps({"weightsManifest": [group]}))
    (folder / "movenet-lightning.bin").write_bytes(random.Random(0).randbytes(24))
