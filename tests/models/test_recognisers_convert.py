"""Conversion of MoveNet: a package made up from the shipped weights gives them back; what is wrong is told."""

import io
import json
import tarfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.recognisers import convert, tensorflow_js
from models.recognisers.movenet import shipped_weights
from models.recognisers.npm_package import read_file

TRUNK = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
MODEL, MODELS = "movenet-lightning.json", "package/models"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with Lightning's weights as TensorFlow.js lays them out, after a constant that is no weight."""
    folder = tmp_path_factory.mktemp("package")
    ours, entries, content = load_file(shipped_weights("lightning")), [], np.int32(7).tobytes()
    entries.append({"name": "ArgMax/dimension", "shape": [], "dtype": "int32"})
    for layer, names in tensorflow_js.tensorflow_names().items():
        for part, name in zip(("weight", "bias"), names, strict=True):
            if name is None:
                continue
            array = ours[f"{layer}.{part}"]
            if part == "weight":
                array = array.transpose(2, 3, 0, 1) if layer.endswith("depthwise") else array.transpose(2, 3, 1, 0)
            quantisation = {"dtype": "float16", "original_dtype": "float32"}
            entries.append({"name": name, "shape": array.shape, "dtype": "float32", "quantization": quantisation})
            content += array.tobytes()
    write(folder, entries, content)
    return folder


def write(folder, entries, content, file="movenet-lightning.bin"):
    manifest = {"weightsManifest": [{"paths": [file], "weights": entries}]}
    (folder / MODEL).write_text(json.dumps(manifest))
    (folder / "movenet-lightning.bin").write_bytes(content)


def test_a_package_of_the_shipped_weights_gives_them_back(package, tmp_path):
    path = tensorflow_js.convert(package, "lightning", tmp_path)
    made, shipped = load_file(path), load_file(shipped_weights("lightning"))
    assert made.keys() == shipped.keys()
    assert all(np.array_equal(made[name], shipped[name]) for name in made)


def test_names_are_those_of_the_published_graph():
    names = tensorflow_js.tensorflow_names()
    assert names["blocks.16.project"][0] == f"{TRUNK}model/block_16_project/Conv2D_weights"
    assert names["smooth.1.depthwise"] == (f"{TRUNK}separable_conv2d_1/separable_conv2d/ReadVariableOp", None)
    assert names["offsets.1"][1] == "StatefulPartitionedCall/kpt_offset_0/conv2d_7/BiasAdd/ReadVariableOp"
    flat = [name for pair in names.values() for name in pair if name]
    assert len(flat) == len(set(flat)) == len(load_file(shipped_weights("lightning")))


def test_an_archive_is_read_without_unpacking_and_only_plain_files(package, tmp_path):
    archive = tmp_path / "models.tgz"
    with tarfile.open(archive, "w:gz") as out:
        for name in (MODEL, "movenet-lightning.bin"):
            out.add(package / name, f"package/models/{name}")
        link = tarfile.TarInfo("package/models/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
        out.addfile(tarfile.TarInfo("package/models/empty.bin"), io.BytesIO())
    assert (
        tensorflow_js.read_weights(archive, "lightning")[0].keys()
        == tensorflow_js.read_weights(package, "lightning")[0].keys()
    )
    assert read_file(archive, "empty.bin", MODELS) == b""
    with pytest.raises(ValueError, match=r"link\.bin is not a plain file"):
        read_file(archive, "link.bin", MODELS)
    with pytest.raises(ValueError, match=r"holds no package/models/movenet-thunder\.json"):
        read_file(archive, "movenet-thunder.json", MODELS)
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a readable"):
        read_file(archive, "empty.bin", MODELS)


def test_paths_stay_inside_the_package(package, tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    for name, told in (("../secret", "is not a file name"), ("link", "holds no")):
        with pytest.raises(ValueError, match=told):
            read_file(inside, name)
    write(inside, [], b"", "../secret")
    with pytest.raises(ValueError, match="is not a file name"):
        tensorflow_js.read_weights(inside, "lightning")


def entry(shape, kind="float32", **more):
    return {"name": "w", "shape": shape, "dtype": kind, **more}


@pytest.mark.parametrize(
    ("entries", "content", "told"),
    [
        ([entry([2])], b"1234", "ends behind its file's 4 bytes"),
        ([entry([-1])], b"1234", "shape.0: Input should be greater than or equal to 0"),
        ([entry([1])], b"12345", "has 5 bytes; .* describes 4"),
        ([entry([1], quantization={"dtype": "uint8"})], b"1", "stored as uint8; expected float16"),
        ([{"name": "w"}], b"", "not a TensorFlow.js graph model"),
        ([entry([1])], b"1234", "has no constant"),
    ],
)
def test_a_file_that_is_not_movenets_gets_one_sentence(tmp_path, capsys, entries, content, told):
    write(tmp_path, entries, content)
    with pytest.raises(ValueError, match=told):
        tensorflow_js.convert(tmp_path, "lightning", tmp_path / "out")
    assert convert.main(["--package", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_a_weight_of_another_shape_is_named(package, tmp_path):
    document = json.loads((package / MODEL).read_text())
    first = next(e for e in document["weightsManifest"][0]["weights"] if e["name"].endswith("Conv1/Conv2D_weights"))
    first["shape"] = [3, 3, 32, 3]
    content = (package / "movenet-lightning.bin").read_bytes()
    write(tmp_path, document["weightsManifest"][0]["weights"], content)
    with pytest.raises(ValueError, match=r"Conv1/Conv2D_weights has shape \[3, 3, 32, 3\]"):
        tensorflow_js.convert(tmp_path, "lightning", tmp_path)
