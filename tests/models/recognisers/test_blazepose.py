"""BlazePose: the published graph's own answers, its decoding, a mirrored picture, its file and how that is made."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from models.data.normalisation import LOW, WELL
from models.engine.weights_file import write_tensors
from models.recognisers import convert, tensorflow_lite
from models.recognisers.blazepose import BLAZEPOSE, KEYPOINTS, SIDE, STRIDE, Landmarks, load_blazepose
from models.recognisers.decoding import decode, mirrored, pick
from models.recognisers.inference import heatmaps
from models.recognisers.loading import load_recogniser
from models.recognisers.movenet import shipped_weights
from tests.models.drawn_figure import figure

REFERENCE = np.load(Path(__file__).parent / "blazepose_reference.npz")
"""What LiteRT says of figures 0 to 3; benchmarks/blazepose_parity.py made it."""
PAIRS = tuple(
    KEYPOINTS.index(name.replace("left", "right") if "left" in name else name.replace("right", "left"))
    for name in KEYPOINTS
)


@pytest.fixture(scope="module")
def network():
    return load_blazepose()


def pictures(seeds):
    return torch.stack([torch.from_numpy(figure(SIDE, seed)[0]).permute(2, 0, 1) for seed in seeds]).float() / 255


def test_heatmaps_and_places_are_those_of_the_published_graph(network):
    with torch.no_grad():
        seen = network(pictures(range(4)))
    maps, places = REFERENCE["heatmaps"], REFERENCE["places"]
    assert np.abs(seen.heatmaps.logit()[..., ::8, ::8].clamp(-15, 15).numpy() - maps.clip(-15, 15)).max() < 1e-2
    assert np.hypot(*(seen.places.numpy() * STRIDE - places).reshape(-1, 2).T).max() < 0.01


def test_a_heatmap_is_averaged_round_its_highest_cell_and_a_flat_one_leaves_the_regressed_place():
    seen = Landmarks(torch.zeros(1, 2, 8, 8), torch.tensor([[[1.0, 6.0], [-0.5, 9.0]]]))
    seen.heatmaps[0, 0, 2, 4], seen.heatmaps[0, 0, 5, 4] = 0.6, 0.2  # 3 rows below, still counted
    seen.heatmaps[0, 0, 2, 0] = 0.5  # 4 columns beside: not counted
    seen.heatmaps[0, 1] = 0.05
    places, scores = decode(seen)
    assert places[0].numpy() == pytest.approx(np.array([[4.0, 2.75], [-0.5, 9.0]]))
    assert scores[0].tolist() == pytest.approx([0.6, 0.05])
    assert torch.equal(decode(pick(seen, (1, 0)))[0], places[:, [1, 0]])


def test_a_mirrored_picture_says_the_same_of_the_other_side(network):
    crops = pictures(range(2))
    with torch.no_grad():
        there, mirror = network(crops), mirrored(network(crops.flip(-1)), PAIRS)
    (places, scores), (others, _) = decode(there), decode(mirror)
    for apart in ((there.places - mirror.places), (places - others)[scores > 0.5]):
        assert apart.norm(dim=-1).median() < 0.5  # cells; a wrong convention would be a whole cell off
        assert apart[..., 0].mean().abs() < 0.25
    turned = mirrored(there, PAIRS)
    assert torch.equal(mirrored(turned, PAIRS).heatmaps[..., 1:], there.heatmaps[..., 1:])


def test_as_a_recogniser_it_knows_twelve_joints_and_the_flip_test_keeps_sides():
    recogniser = load_recogniser("blazepose-full")
    assert recogniser.input_size == (256, 256) and recogniser.normalisation == {LOW: "mean-0.4", WELL: "none"}
    crops = pictures(range(2))
    joints, scores = recogniser.decode(heatmaps(recogniser, crops, WELL, "none"))
    assert torch.equal(joints.isnan().any(dim=2), ~recogniser.known.expand(2, 14)) and recogniser.known.sum() == 12
    assert (scores[:, 12:] == 0).all() and (scores[:, :12] > 0.2).all()
    flipped, _ = recogniser.decode(heatmaps(recogniser, crops, WELL, "right"))
    assert (flipped - joints)[:, :12].norm(dim=-1).median() < 3
    with pytest.raises(ValueError, match=r"pictures of 192×256 px; expected 256×256"):
        recogniser.network(crops[:, :, :192])


def test_it_is_as_large_as_published_and_other_files_are_refused(network):
    assert sum(p.numel() for p in network.parameters()) == 3_031_586
    assert BLAZEPOSE.stat().st_size < 8 * 2**20
    with pytest.raises(ValueError, match="not BlazePose by its metadata"):
        load_blazepose(shipped_weights("thunder"))


def write(out, fields):
    """Append a FlatBuffers table of numbers, vectors of numbers and vectors of tables, by field; gives its place."""
    offsets, size = len(out), 4 + 2 * (max(fields) + 1)
    out += bytes(size)
    at, later = len(out), []
    out += struct.pack("<i", at - offsets)
    for field, value in fields.items():
        struct.pack_into("<H", out, offsets + 4 + 2 * field, len(out) - at)
        later += [] if isinstance(value, int) else [(len(out), value)]
        out += struct.pack("<i", value if isinstance(value, int) else 0)
    struct.pack_into("<HH", out, offsets, size, len(out) - at)
    for hole, value in later:
        struct.pack_into("<I", out, hole, len(out) - hole)
        out += struct.pack("<I", len(value))
        if isinstance(value, np.ndarray):
            out += value.tobytes()
            continue
        slots = len(out)
        out += bytes(4 * len(value))
        for place, child in zip(range(slots, len(out), 4), value, strict=True):
            struct.pack_into("<I", out, place, write(out, child) - place)
    return at


def model(convolutions):
    """A TensorFlow Lite model of convolutions whose weights are kept as 16-bit floats, dequantised before each."""
    tensors, buffers, operators = [], [], []
    for name, arrays in convolutions:
        stored = []
        for array in arrays:
            stored.append(len(tensors))
            tensors.append({0: np.array(array.shape, "<i4"), 1: 1, 2: len(buffers)})
            buffers.append({0: np.frombuffer(array.tobytes(), "u1")})
            tensors.append({0: np.array(array.shape, "<i4"), 2: 0})
            operators.append({0: 2, 1: np.array([stored[-1]], "<i4"), 2: np.array([stored[-1] + 1], "<i4")})
        inputs = [0, stored[0] + 1, stored[1] + 1]
        operators.append({0: int(name in ("depthwise", "around")), 1: np.array(inputs, "<i4")})
    out = bytearray(b"....TFL3")
    graph = {0: tensors, 3: operators}
    root = write(out, {1: [{0: 3}, {3: 4}, {0: 6}], 2: [graph], 4: buffers})
    struct.pack_into("<I", out, 0, root)
    return bytes(out)


@pytest.fixture(scope="module")
def published():
    """The shipped weights as TensorFlow Lite lays them out, by the last part of our name."""
    ours, found = load_file(BLAZEPOSE), []
    for name in tensorflow_lite.names():
        weight = ours[f"{name}.weight"] if name else np.zeros((1, 1, 1, 1), "<f2")
        kind = name.rpartition(".")[2] if name else ""
        axes = (1, 2, 3, 0) if kind in ("depthwise", "around") else (0, 2, 3, 1)
        found.append((kind, (weight.transpose(axes), ours[f"{name}.bias"] if name else np.zeros(1, "<f2"))))
    return found


def test_a_package_of_the_shipped_weights_gives_them_back(published, tmp_path, capsys):
    (tmp_path / tensorflow_lite.FILE).write_bytes(model(published))
    out = tmp_path / "out"
    assert convert.main(["--blazepose", "--package", str(tmp_path), "--out", str(out)]) == 0
    made, shipped = load_file(out / BLAZEPOSE.name), load_file(BLAZEPOSE)
    assert made.keys() == shipped.keys()
    assert all(np.array_equal(made[name], shipped[name]) for name in made)
    assert "--pose blazepose-full" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda right: b"", "does not begin as a TensorFlow Lite model"),
        (lambda right: model(right)[:2000], "is not a TensorFlow Lite model of one graph"),
        (lambda right: b"\xff\xff\xff\xffTFL3", "is not a TensorFlow Lite model of one graph"),
        (lambda right: model(right[:-1]), "has 95 convolutions; expected 96"),
        (lambda right: model([*right[1:], right[0]]), r"the weight of stem has shape \[1, 24, 3, 3\]; expected"),
    ],
)
def test_a_file_that_is_not_blazeposes_gets_one_sentence(published, tmp_path, capsys, content, told):
    (tmp_path / tensorflow_lite.FILE).write_bytes(content(published))
    with pytest.raises(ValueError, match=told):
        tensorflow_lite.convert(tmp_path, tmp_path / "out")
    assert convert.main(["--blazepose", "--package", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "Traceback" not in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_weights_that_do_not_say_what_they_are_get_one_sentence(tmp_path):
    for text, told in (("{", "not whole JSON"), ("{}", "not BlazePose by its metadata")):
        write_tensors(tmp_path / "odd.safetensors", {}, {"network": text})
        with pytest.raises(ValueError, match=rf"odd\.safetensors: .*{told}"):
            load_blazepose(tmp_path / "odd.safetensors")
