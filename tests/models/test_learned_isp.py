"""LearnedIsp: predicted or free parameters, weights on disk, the command."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from isp_sim import generate
from isp_sim.isp.pipeline import Pipeline, load_pipeline
from models.engine.weights_file import file_bytes
from models.isp.learned import LearnedIsp, load_weights, read_image, save_weights
from models.isp.predictor import Predictor
from models.learned_isp import main


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def untrained():
    return LearnedIsp(Predictor(Pipeline(), stream()), Pipeline()).eval()


@pytest.fixture
def photo(tmp_path):
    """A dim picture of 8 bits."""
    picture = np.random.default_rng(0).integers(0, 20, (260, 270, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), picture)
    return path


def test_untrained_it_is_the_baseline(photo):
    image = read_image(photo)
    assert image.shape == (1, 3, 260, 270)
    isp = untrained()
    due = Pipeline()(image, Pipeline().base(image))
    assert torch.allclose(isp(image), due, atol=1e-4)
    assert isp(image).mean().item() == pytest.approx(0.4, abs=0.01)


def test_free_parameters_without_a_predictor_learn_or_not():
    isp = LearnedIsp(None, Pipeline())
    image = torch.rand(2, 3, 20, 20, generator=stream()) * 0.1
    assert torch.equal(isp(image), Pipeline()(image, Pipeline().base(image)))
    free = torch.nn.Parameter(Pipeline().base(image))
    isp(image, free).sum().backward()
    assert free.grad.abs().sum() > 0
    assert not isp(image, free.detach()).requires_grad
    shared = Pipeline().base(image)[:1]
    assert isp(image, shared).shape == image.shape


def test_predictor_and_pipeline_must_agree(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("steps: [gamma]\n")
    with pytest.raises(ValueError, match=r"the predictor gives .*, expected \('gamma.gamma',\)"):
        LearnedIsp(Predictor(Pipeline(), stream()), load_pipeline(path))


def test_weights_come_back_with_their_pipeline(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text("steps: [gamma, {smoothing: {window: 5}}]\n")
    pipeline = load_pipeline(path)
    isp = LearnedIsp(Predictor(pipeline, stream()), pipeline).eval()
    with torch.no_grad():
        isp.predictor.head.weight.normal_(0, 0.01, generator=stream(1))
    save_weights(isp, tmp_path / "isp.safetensors")
    back = load_weights(tmp_path / "isp.safetensors").eval()
    assert back.pipeline == pipeline
    image = torch.rand(1, 3, 256, 256, generator=stream())
    assert torch.equal(back(image), isp(image))


def test_files_that_are_no_weights_get_a_sentence(tmp_path, photo):
    from safetensors.torch import save_file

    with pytest.raises(ValueError, match=r"photo\.png: not a whole safetensors file"):
        load_weights(photo)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="its metadata has no pipeline"):
        load_weights(tmp_path / "a.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors", metadata={"pipeline": "{}"})
    with pytest.raises(ValueError, match="missing; expected shape"):
        load_weights(tmp_path / "b.safetensors")


def test_the_command_explains_and_writes(photo, tmp_path, capsys):
    assert main([str(photo), "--explain", "--out", str(tmp_path / "bright.png")]) == 0
    told = capsys.readouterr().out
    assert "untrained" in told and "smoothing.sigma_range.B" in told and "0.25 … 1024" in told
    assert cv2.imread(str(tmp_path / "bright.png")).mean() == pytest.approx(0.4 * 255, abs=3)


def test_the_command_with_weights_does_not_call_them_untrained(photo, tmp_path, capsys):
    save_weights(untrained(), tmp_path / "isp.safetensors")
    assert main([str(photo), "--weights", str(tmp_path / "isp.safetensors")]) == 0
    told = capsys.readouterr().out
    assert "untrained" not in told and "exposure.gain" in told


def test_weights_that_learned_from_raws_take_the_rigs_raw_and_say_so_of_a_picture(photo, tmp_path, capsys):
    rig = tmp_path / "rig.yaml"
    rig.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 128\nheight_px: 96\n")
    asked = ["--rig", str(rig), "--count", "1", "--out", str(tmp_path / "pairs"), "--workers", "1"]
    assert generate.main(asked) == 0
    (dark,) = (tmp_path / "pairs" / "raw").glob("*dark*.dng")
    save_weights(untrained(), tmp_path / "isp.safetensors", "raw")
    weights = ["--weights", str(tmp_path / "isp.safetensors"), "--crop", "thumbnail"]
    capsys.readouterr()
    assert main([str(dark), "--rig", str(rig), *weights, "--out", str(tmp_path / "lit.png")]) == 0
    assert "note" not in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "lit.png")).shape == (96, 128, 3)  # of the frame as captured
    assert main([str(photo), *weights]) == 0
    assert "learned from raws; give a DNG" in capsys.readouterr().out
    assert main([str(dark), "--rig", str(rig), "--out", str(tmp_path / "no" / "lit.png")]) == 1
    assert "its folder does not exist" in capsys.readouterr().err


def test_sixteen_bits_are_read_as_such(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4, 3), (0, 0, 65535), np.uint16))
    assert read_image(tmp_path / "deep.png")[0, :, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.png"], "none.png"),
        (["bad.png"], "not a readable picture of 8 or 16 bits"),
        (["photo.png", "--out", "a.xyz"], "OpenCV does not write this format"),
        (["photo.png", "--weights", "a", "--pipeline", "b"], "leave out --pipeline"),
        (["photo.png", "--weights", "bad.png"], "bad.png: not a whole safetensors file"),
        (["photo.png", "--pipeline", "bad.yaml"], "bad.yaml:1: step: unknown field"),
        (["small.png"], "or crop 'thumbnail'"),
    ],
)
def test_faults_of_the_command_are_a_sentence(arguments, told, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "bad.yaml").write_text("step: []\n")
    cv2.imwrite("small.png", np.zeros((10, 10, 3), np.uint8))
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert told in err and not out


def test_the_same_weights_are_the_same_bytes_in_every_process(tmp_path):
    """The library orders metadata anew in each process."""
    code = (
        "import hashlib, torch; from models.engine.weights_file import file_bytes; "
        "said = {name: name for name in 'pipeline input about history network'.split()}; "
        "print(hashlib.sha256(file_bytes({'a': torch.arange(3.0), 'b': torch.ones(2, 2)}, said)).hexdigest())"
    )
    ran = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert len({one.stdout for one in ran}) == 1
    tensors = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    (tmp_path / "w.safetensors").write_bytes(file_bytes(tensors, {"z": "ä", "a": "1"}))
    with safe_open(tmp_path / "w.safetensors", "pt") as stored:
        assert stored.metadata() == {"a": "1", "z": "ä"}
        assert all(torch.equal(stored.get_tensor(name), value) for name, value in tensors.items())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--isp", "libraw"], "--isp libraw: develops with its settings; expected --settings as well"),
        (["--settings", "a.yaml", "--pipeline", "b.yaml"], "leave out --weights and --pipeline"),
    ],
)
def test_options_that_would_be_dropped_are_refused(capsys, more, said):
    assert main(["picture.png", *more]) == 1
    assert said in capsys.readouterr().err
