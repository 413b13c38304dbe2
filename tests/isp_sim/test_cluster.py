"""A run on a Dask cluster: the same bytes with a worker killed; a scheduler that dies leaves a run to resume."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from isp_sim import generate

distributed = pytest.importorskip("distributed")
COUNT = 24


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    file = tmp_path_factory.mktemp("rig") / "tiny.yaml"
    file.write_text("extends: exlpose-small\nname: tiny\nwidth_px: 96\nheight_px: 64\n")
    return ["--rig", str(file), "--scenes", "charts", "--count", str(COUNT)]


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert generate.main([*asked, "--workers", "1", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def cluster():
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, memory_limit=0, dashboard_address=None, silence_logs=50
    )
    yield cluster
    with contextlib.suppress(TimeoutError):  # its scheduler is dead by then
        cluster.close(timeout=1)


def when_pairs_come(out: Path, act) -> threading.Thread:
    """Do something as soon as the run has written a pair."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not list(out.glob(".pairs/*.json")) and time.monotonic() < deadline:
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_killed_worker_changes_no_byte_and_a_dead_scheduler_leaves_a_run_to_resume(
    asked, whole, cluster, tmp_path, capsys
):
    victim = next(iter(cluster.workers.values())).pid
    killer = when_pairs_come(tmp_path / "run", lambda: os.kill(victim, signal.SIGKILL))
    address = cluster.scheduler_address
    assert generate.main([*asked, "--cluster", address, "--out", str(tmp_path / "run")]) == 0
    killer.join()
    assert tree(tmp_path / "run") == tree(whole)

    again = tmp_path / "again"
    killer = when_pairs_come(again, lambda: cluster.sync(cluster.scheduler.close))
    assert generate.main([*asked, "--cluster", address, "--out", str(again)]) == 1
    killer.join()
    error = capsys.readouterr().err
    assert "the scheduler is gone; what is finished is kept: add --resume to go on" in error
    assert generate.main([*asked, "--workers", "1", "--resume", "--out", str(again)]) == 0
    assert tree(again) == tree(whole)


def test_a_scheduler_that_is_not_there_is_named(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("isp_sim.cluster.ANSWERS_WITHIN", "1s")
    for address, message in (
        ("tcp://127.0.0.1:9", "--cluster tcp://127.0.0.1:9: no scheduler answers"),
        ("nowhere.json", "expected tcp://…, tls://…, a scheduler file or local"),
    ):
        assert generate.main([*asked, "--cluster", address, "--out", str(tmp_path / "run")]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
