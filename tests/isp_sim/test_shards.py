"""Tar shards and parts of a run: the same bytes as in folders, resumable, read back by us and by others."""

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isp_sim import export, generate, unpack
from isp_sim.dng import read_dng
from isp_sim.manifest import read_manifest
from isp_sim.raw_npz import decode_npz, encode_npz
from isp_sim.shards import Shards, members
from isp_sim.stores import Store
from models.data.samples import FolderPairs
from models.data.shard_pairs import ShardPairs, open_pairs

COUNT = 12
SHARDS = ("--format", "webdataset", "--pairs-a-shard", "4")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    file = tmp_path_factory.mktemp("rig") / "tiny.yaml"
    file.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 96\nheight_px: 64\n")
    return file


def shoot(rig: Path, out: object, *more: str) -> int:
    return generate.main(["--rig", str(rig), "--count", str(COUNT), "--workers", "1", "--out", str(out), *more])


@pytest.fixture(scope="module")
def folder(rig, tmp_path_factory):
    out = tmp_path_factory.mktemp("folder") / "run"
    assert shoot(rig, out) == 0
    return out


@pytest.fixture(scope="module")
def shards(rig, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards") / "run"
    assert shoot(rig, out, *SHARDS) == 0
    return out


def test_shards_unpacked_are_the_folder(folder, shards, tmp_path):
    assert unpack.main([str(shards), "--out", str(tmp_path / "run")]) == 0
    assert tree(tmp_path / "run") == tree(folder)


def test_a_scene_stays_in_one_shard_and_the_index_has_its_digests(shards):
    run = Shards(shards)
    scenes = [{pair.record.scene for pair in run.shard(n).pairs} for n in range(len(run.index.shards))]
    assert len(scenes) > 1 and sum(map(len, scenes)) == len(set().union(*scenes))
    for line in run.index.shards:
        content = (shards / line.tar).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (line.bytes, line.sha256)
        index = json.loads((shards / line.tar).with_suffix(".json").read_text())
        for pair in index["pairs"]:
            for place in pair["files"].values():
                part = content[place["start"] : place["start"] + place["size"]]
                assert hashlib.sha256(part).hexdigest() == place["sha256"]


def test_plain_tarfile_reads_the_files_of_the_folder(folder, shards):
    records = {f"{record.id - 1:09d}": record for record in read_manifest(folder)}
    seen = 0
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as tar:
            for entry in tar:
                key, _, member = entry.name.partition(".")
                content = tar.extractfile(entry).read()
                if member == "json":
                    assert json.loads(content)["bright"] == records[key].bright
                    continue
                assert content == (folder / members(records[key])[member]).read_bytes()
                seen += 1
    assert seen == sum(len(record.files) for record in records.values())


def test_webdataset_reads_the_files_of_the_folder(folder, shards):
    webdataset = pytest.importorskip("webdataset")
    records = {f"{record.id - 1:09d}": record for record in read_manifest(folder)}
    urls = [str(path) for path in sorted(shards.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == sorted(records)
    for sample in samples:
        for member, file in members(records[sample["__key__"]]).items():
            assert sample[member] == (folder / file).read_bytes()


def test_our_loaders_give_the_same_samples_from_both(folder, shards):
    from_folder = {
        s.name: s for i in range(COUNT) for s in FolderPairs(folder, None, None, True, True, raw=True).group(i)
    }
    source = open_pairs(shards, pre_quantisation=True, semantic=True, labelled=True, raw=True)
    assert isinstance(source, ShardPairs) and len(source) == COUNT
    for index in range(COUNT):
        (sample,) = source.group(index)
        other = from_folder[sample.name]
        assert source.names(index) == [sample.name]
        for name in ("low_light", "well_lit", "pre_quantisation", "semantic"):
            np.testing.assert_array_equal(getattr(sample, name), getattr(other, name))
        assert (sample.people, sample.split, sample.exposure) == (other.people, other.split, other.exposure)
        assert (sample.raw.counts == other.raw.counts).all() and sample.raw.gain_db == other.raw.gain_db


def test_three_parts_then_resume_are_one_run(rig, folder, shards, tmp_path, capsys):
    for out, whole, form in ((tmp_path / "f", folder, ()), (tmp_path / "s", shards, SHARDS)):
        for part in ("2/3", "1/3", "3/3", "1/3"):
            assert shoot(rig, out, "--part", part, *form) == 0
        assert not (out / "manifest.jsonl").exists() and not (out / "index.json").exists()
        assert shoot(rig, out, *form) == 1
        assert "add --resume" in capsys.readouterr().err
        assert shoot(rig, out, "--resume", *form) == 0
        assert tree(out) == tree(whole)
        assert shoot(rig, out, "--part", "1/3", *form) == 1
        assert "this run is finished" in capsys.readouterr().err


def test_what_was_lost_of_shards_is_made_again(rig, shards, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for path in shards.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    (out / "index.json").unlink()
    (out / "pairs-000000.json").unlink()  # stopped between tar and index
    (out / "pairs-000001.tar").write_bytes(b"short")
    (out / ".part-1-pairs-000002.tar").write_bytes(b"half")
    kept = (out / "pairs-000002.tar").stat().st_mtime_ns
    assert shoot(rig, out, "--resume", *SHARDS) == 0
    assert tree(out) == tree(shards)
    assert (out / "pairs-000002.tar").stat().st_mtime_ns == kept


def test_a_shard_that_fails_halfway_leaves_nothing(rig, tmp_path, monkeypatch, capsys):
    from isp_sim import shard_writer

    real, calls = shard_writer.encoded, []

    def full_disk(pair, record):
        calls.append(record.id)
        if len(calls) == 6:
            raise OSError(28, "No space left on device", "pairs")
        return real(pair, record)

    monkeypatch.setattr(shard_writer, "encoded", full_disk)
    assert shoot(rig, tmp_path / "run", *SHARDS) == 1
    assert "No space left" in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"run.json", "rig.yaml", "pairs-000000.tar", "pairs-000000.json"}


def test_an_address_of_fsspecs_holds_the_same(rig, shards, capsys):
    address = "memory://bucket/run"
    assert shoot(rig, address, *SHARDS) == 0
    store = Store(address)
    assert {name: store.read(name) for name in store.names()} == tree(shards)
    (sample,) = open_pairs(Path(address), raw=True).group(COUNT - 1)
    (other,) = open_pairs(shards, raw=True).group(COUNT - 1)
    assert (sample.low_light == other.low_light).all() and sample.name == other.name
    assert shoot(rig, address, *SHARDS) == 1
    assert "add --resume" in capsys.readouterr().err
    store.remove("pairs-000001.tar")
    assert shoot(rig, address, *SHARDS, "--resume") == 0
    assert {name: store.read(name) for name in store.names()} == tree(shards)
    assert shoot(rig, address, *SHARDS, "--seed", "1", "--resume") == 1
    assert "holds a run with seed = 0, not 1" in capsys.readouterr().err


def test_a_raw_as_npz_is_the_same_raw(folder):
    raw = read_dng(folder / next(read_manifest(folder)).raw_dark)
    content = encode_npz(raw)
    assert content == encode_npz(raw) and len(content) < raw.counts.nbytes
    again = decode_npz(content, "x.npz")
    assert (again.counts == raw.counts).all()
    for name, value in vars(raw).items():
        assert name == "counts" or getattr(again, name) == value, name
    for damaged in (content[:-30], content[:40], b"", content.replace(b"high", b"hugh")):
        with pytest.raises(ValueError, match=r"^x\.npz cannot be read as a raw \.npz: "):
            decode_npz(damaged, "x.npz")


def test_raws_as_npz_or_not_at_all(rig, folder, tmp_path, capsys):
    assert shoot(rig, tmp_path / "npz", "--raw", "npz") == 0
    assert shoot(rig, tmp_path / "none", "--raw", "none") == 0
    assert not (tmp_path / "none" / "raw").exists()
    for out in ("npz", "none"):
        pictures = {k: v for k, v in tree(tmp_path / out).items() if k.startswith(("bright", "dark", "depth", "Annot"))}
        assert pictures == {k: v for k, v in tree(folder).items() if k in pictures} and len(pictures) > 3 * COUNT
    (npz,), (dng,) = (FolderPairs(f, raw=True).group(0) for f in (tmp_path / "npz", folder))
    assert (npz.raw.counts == dng.raw.counts).all()
    with pytest.raises(ValueError, match="has no raw_dark"):
        FolderPairs(tmp_path / "none", raw=True).group(0)
    assert shoot(rig, tmp_path / "npz", "--resume") == 1
    assert "holds a run with raw = 'npz', not 'dng'" in capsys.readouterr().err


def test_damage_is_named(shards, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    for path in shards.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    index, run = ((out / name).read_text() for name in ("pairs-000000.json", "index.json"))
    place = Shards(out).pair(1)[1].files["bright.png"]
    content = bytearray((out / "pairs-000000.tar").read_bytes())
    content[place.start + 9] ^= 1
    (out / "pairs-000000.tar").write_bytes(content)
    for damage, message in (
        (lambda: None, "pairs-000000.tar: 000000001.bright.png is damaged: its SHA-256 is not the index's"),
        (lambda: (out / "pairs-000000.tar").write_bytes(content[:2000]), "pairs-000000.tar: truncated: 2000 bytes"),
        (lambda: (out / "pairs-000000.tar").unlink(), "pairs-000000.tar: no such file; its index is there"),
        (
            lambda: (out / "pairs-000000.json").write_text(index.replace('"size":', '"size":-')),
            "pairs-000000.json: pairs.0.files.json.size",
        ),
        (lambda: (out / "pairs-000000.json").write_bytes(b"{"), "pairs-000000.json: Invalid JSON"),
        (lambda: (out / "index.json").write_text(run.replace("pairs-0", "../pairs-0")), "index.json: shards.0.tar"),
        (lambda: (out / "index.json").unlink(), "has no index.json; expected a finished run of --format webdataset"),
    ):
        damage()
        assert unpack.main([str(out), "--out", str(tmp_path / "folders")]) == 1
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert [path.name for path in tmp_path.iterdir()] == ["run"], "nothing half-written"
    shutil.copytree(shards, out, dirs_exist_ok=True)
    assert unpack.main([str(out), "--out", str(tmp_path / "folders")]) == 0  # the same --out, as soon as it is mended


def changed(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def damage(out: Path) -> None:
        document = json.loads((out / name).read_text())
        change(document)
        (out / name).write_text(json.dumps(document))

    return damage


LAST, OWN = "index.json: shards.2.", "pairs-000000.json: pairs.1."


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("index.json", lambda run: run["shards"][2].update(pairs=1), f"{LAST}pairs is 1; expected 2, as the index of"),
        ("index.json", lambda run: run["shards"][2].update(pairs=6), f"{LAST}pairs is 6; expected 2, as the index of"),
        ("index.json", lambda run: run["shards"][2].update(bytes=1), f"{LAST}bytes is 1; expected "),
        ("index.json", lambda run: run["shards"][2].update(sha256="0"), f"{LAST}sha256 is 0; expected "),
        ("index.json", lambda run: run.update(pairs=7), "index.json: pairs is 7; expected 12, those of its shards"),
        (
            "index.json",
            lambda run: run["shards"][2].update(run["shards"][0]),
            f"{LAST}tar is pairs-000000.tar, as shards.0.tar; expected each once",
        ),
        (
            "index.json",
            lambda run: run.update(pairs=8, shards=run["shards"][:2]),
            "index.json: shards lack pairs-000002.tar; expected every shard of the folder",
        ),
        ("pairs-000000.json", lambda own: own.update(tar="pairs-000001.tar"), "pairs-000000.json: tar is pairs-000001"),
        (
            "pairs-000000.json",
            lambda own: own["pairs"][1]["record"].update(id=9),
            f"{OWN}record.id is 9; expected one more than its key, 000000001",
        ),
        (
            "pairs-000000.json",
            lambda own: own["pairs"][1]["files"].pop("dark.png"),
            f"{OWN}files lack dark.png; expected it by the pair's record",
        ),
        (
            "pairs-000000.json",
            lambda own: own["pairs"][1]["files"]["dark.png"].update(start=10**9),
            f"{OWN}files.dark.png ends behind the tar; expected at most ",
        ),
    ],
)
def test_an_index_that_contradicts_is_refused_by_every_reader(shards, tmp_path, capsys, name, change, message):
    out = tmp_path / "run"
    shutil.copytree(shards, out)
    changed(name, change)(out)
    assert unpack.main([str(out), "--out", str(tmp_path / "folders")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    with pytest.raises(ValueError, match=re.escape(message)):
        source = ShardPairs(out)
        for index in range(len(source)):
            source.group(index)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "run.json").write_text("{}"), "run.json: subset: Field required"),
        (changed("run.json", lambda run: run.update(subset="../x")), "run.json: subset: Input should be 'train' or"),
        (changed("run.json", lambda run: run.update(raw="x")), "run.json: raw: Input should be 'none', 'dng' or 'npz'"),
        (lambda out: (out / "run.json").unlink(), "run.json: No such file"),
        (lambda out: (out / "rig.yaml").unlink(), "rig.yaml: No such file"),
        (lambda out: (out / "pairs-000002.tar").unlink(), "pairs-000002.tar: no such file; its index is there"),
        (
            changed("pairs-000001.json", lambda own: own["pairs"][0].update(own["pairs"][1])),
            "pairs-000001.tar: 000000006 is in the shards twice; expected each pair once",
        ),
        (
            changed("pairs-000001.json", lambda own: own["pairs"][1]["record"].update(own["pairs"][0]["record"], id=7)),
            "as another pair; expected its own",
        ),
        (
            changed("pairs-000002.json", lambda own: own["pairs"][-1]["record"].update(people=[])),
            "pairs-000002.tar: 000000011.json is not the record that the shard's index has",
        ),
    ],
)
def test_unpack_refuses_in_a_sentence_and_leaves_nothing(shards, tmp_path, capsys, damage, message):
    shutil.copytree(shards, tmp_path / "run")
    damage(tmp_path / "run")
    (tmp_path / "folders").mkdir()
    assert unpack.main([str(tmp_path / "run"), "--out", str(tmp_path / "folders")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if tmp_path / "run" not in path.parents) == [
        "folders",
        "run",
    ]


def test_unpack_removes_what_a_killed_one_left_and_nothing_else(shards, tmp_path, capsys):
    left = [tmp_path / f".part-0a1b2c3d-{name}" / "bright" for name in ("run", "other-run")]
    for path in left:
        path.mkdir(parents=True)
    out = tmp_path / "run"
    fcntl = pytest.importorskip("fcntl")
    held = os.open(left[0].parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert unpack.main([str(shards), "--out", str(out)]) == 1
    assert f"{left[0].parent}: another process is writing here" in capsys.readouterr().err and left[0].is_dir()
    os.close(held)
    assert unpack.main([str(shards), "--out", str(out)]) == 0
    assert not left[0].parent.exists() and left[1].is_dir() and (out / "run.json").is_file()


def test_shards_are_sent_to_unpack_by_export(shards, tmp_path, capsys):
    for data in (shards, "memory://bucket/run"):
        assert export.main([str(data), "--format", "coco", "--out", str(tmp_path / "coco")]) == 1
        assert (
            f"{data}: pairs in tar shards; expected them in folders: isp-sim unpack {data}" in capsys.readouterr().err
        )
        assert not (tmp_path / "coco").exists()


def test_a_scene_of_more_pairs_than_a_shard_shall_have_stays_together(rig, folder, tmp_path, capsys):
    assert shoot(rig, tmp_path / "run", *SHARDS[:-1], "1") == 0
    scenes = [record.scene for record in read_manifest(folder)]
    run = Shards(tmp_path / "run")
    assert [line.pairs for line in run.index.shards] == [scenes.count(one) for one in dict.fromkeys(scenes)]
    assert max(line.pairs for line in run.index.shards) > 1
    capsys.readouterr()
    with pytest.raises(SystemExit):
        generate.main(["--help"])
    assert "even where they are more than N" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--out", "memory://x"), "--format folder writes to a disk; expected --format webdataset"),
        (("--out", "memory://x", *SHARDS, "--workers", "2"), "lives in one process; expected --workers 1"),
        (("--out", "nowhere://x", *SHARDS), "fsspec cannot open it"),
        (("--part", "1/2", "--cluster", "local"), "expected one of --part and --cluster"),
        (("--pairs-a-shard", "0"), "--pairs-a-shard 0: expected a whole number from 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(rig, tmp_path, capsys, more, message):
    assert shoot(rig, tmp_path / "run", *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_a_part_is_one_of_so_many(rig, tmp_path, capsys, text):
    with pytest.raises(SystemExit):
        shoot(rig, tmp_path / "run", "--part", text)
    assert "expected I/N with I from 1 to N, as 2/3" in capsys.readouterr().err
