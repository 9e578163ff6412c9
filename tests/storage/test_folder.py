import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.core.errors import EnvironmentFault, RunLockedError, RunNotFoundError, UsageError, VerificationError
from rnnlab.storage import RunFolder, Status, disk, status
from rnnlab.storage.checkpoint import Checkpoint
from rnnlab.storage.metrics import Value
from rnnlab.storage.summary import Summary
from tests.disk_faults import Faults
from tests.networks import network
from tests.stored_runs import provenance

SUMMARY = Summary.so_far("demo", "failed", Status.start("demo"), config={}, record={"step": 1, "seconds": 0.5})
RECORD: dict[str, Value] = {"step": 1, "sequences": 4, "seconds": 0.5}
EVALUATION: dict[str, Value] = {
    **RECORD, "weights": "best", "task": "adding@urnn", "shortest": 5, "longest": 6, "seed": 0, "stream": "test",
    "baseline": 1.0, "solved": False,
}  # fmt: skip
NOW = datetime(2026, 11, 22, 10, 25, 31, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder.create(tmp_path / "runs", "demo", now=NOW)
    run.write_status(Status.start(run.name, now=NOW))
    return run


def test_200_threads_at_one_frozen_instant_get_200_folders(tmp_path: Path) -> None:
    barrier, made = threading.Barrier(200), []

    def start() -> None:
        barrier.wait()
        made.append(RunFolder.create(tmp_path / "new" / "runs", "demo", now=NOW).path)

    threads = [threading.Thread(target=start) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 200
    assert set(made) == set((tmp_path / "new" / "runs").iterdir())


START = """
import random, sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from rnnlab.storage import RunFolder, status
# A clock that stands still and ten names for twenty starts: only the exclusive mkdir keeps them apart.
status.random_token = lambda: f"aaaaa{random.choice('0123456789abcdefghijklmnopqrstuvwxyz')}"
for _ in range(5):
    print(RunFolder.create(Path(sys.argv[1]), "demo", now=datetime(2026, 11, 22, tzinfo=UTC)).name)
"""


def test_processes_that_draw_the_same_names_get_folders_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "runs")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    made = [name for process in processes for name in process.communicate()[0].split()]
    assert len(made) == len(set(made)) == 20


def test_a_taken_name_is_drawn_again_and_a_hundred_times_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = itertools.chain(["aaaaaa"] * 3, itertools.repeat("bbbbbb"))
    monkeypatch.setattr(status, "random_token", lambda: next(tokens))
    made = [RunFolder.create(tmp_path, "demo", now=NOW).name for _ in range(2)]
    assert made == ["20261122T102531Z-demo-aaaaaa", "20261122T102531Z-demo-bbbbbb"]
    with pytest.raises(EnvironmentFault, match="found no free folder name in 100 tries"):
        RunFolder.create(tmp_path, "demo", now=NOW)


def test_a_bad_name_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        RunFolder.create(tmp_path / "runs", "../x")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_creation_is_a_fault_of_the_machine(tmp_path: Path, faults: Faults) -> None:
    faults.arm(1)
    with pytest.raises(EnvironmentFault, match="cannot create the folder: Input/output error"):
        RunFolder.create(tmp_path, "demo")
    assert list(tmp_path.iterdir()) == []


def described(step: int) -> dict[str, Any]:
    return {"id": "ab" * 8, "step": step, "network": network().describe(), "task": "parity"}


def test_every_file_has_its_name_and_comes_back(run: RunFolder) -> None:
    run.write_config(b"seed: 1 \xff\r\n")
    id = run.read_status().id
    run.write_resolved({"seed": 1, "name": "é"}, id)
    run.write_provenance(provenance(id=id))
    run.write_summary(SUMMARY)
    with run.metrics_writer(id) as metrics, run.open_log() as log:
        metrics.write(RECORD)
        log.append(b"hello")
    assert run.read_evaluations().records == []
    with run.evaluations_writer(id) as evaluations:
        evaluations.write(EVALUATION)
    best, last = described(4), described(9)
    run.save_weights("best", {"W": np.eye(2)}, best)
    run.save_weights("last", {"W": np.zeros(2)}, last)
    run.write_plot("loss.svg", b"<svg/>")
    files = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert files == {
        "config.yaml", "resolved.yaml", "provenance.json", "status.json", "metrics.jsonl", "evaluations.jsonl",
        "summary.json", "log.txt", "weights/best.safetensors", "weights/last.safetensors", "plots/loss.svg",
    }  # fmt: skip
    assert run.read_config() == b"seed: 1 \xff\r\n"
    assert run.read_resolved() == {"seed": 1, "name": "é"}
    assert run.read_provenance() == provenance(id=id)
    assert run.read_summary() == SUMMARY
    assert (run.read_metrics().records, run.read_evaluations().records) == ([RECORD], [EVALUATION])
    assert (run.path / "log.txt").read_bytes() == b"hello\n"
    assert run.load_weights("best", {"W": ((2, 2), "float64")})[1] == best
    assert run.load_weights("last")[1] == last


def test_a_run_may_be_moved_and_renamed(run: RunFolder, tmp_path: Path) -> None:
    assert (run.label, run.name[:22]) == ("demo", "20261122T102531Z-demo-")
    moved = RunFolder.open(run.path.rename(tmp_path / "keep this"))
    assert (moved.label, moved.name) == ("keep this", "keep this")
    assert moved.read_status().run == run.name


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        Path.touch,
        lambda path: path.symlink_to("/"),
        lambda path: None,
        lambda path: path.joinpath("status.json").mkdir(parents=True),
        lambda path: (path.mkdir(), path.joinpath("status.json").write_text('{"status": "ok"}')),
        lambda path: (path.mkdir(), path.joinpath("status.json").symlink_to("/etc/hostname")),
        lambda path: (path.mkdir(), os.mkfifo(path / "status.json")),
    ],
)
def test_what_is_no_run_is_not_opened_and_not_touched(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "a"
    make(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunNotFoundError) as caught:
        RunFolder.open(path)
    assert str(caught.value) == f"{path}: is not an rnnlab run — `rnnlab list` shows the runs"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_to_a_run_is_that_run(run: RunFolder, tmp_path: Path) -> None:
    """As where a run was moved to a larger disk and linked back."""
    (tmp_path / "link").symlink_to(run.path)
    opened = RunFolder.open(tmp_path / "link")
    assert (opened.name, opened.read_status().id) == ("link", run.read_status().id)


def test_a_damaged_status_is_a_damaged_run(run: RunFolder) -> None:
    status = run.path / "status.json"
    status.write_bytes(status.read_bytes()[:40])
    with pytest.raises(VerificationError) as caught:
        RunFolder.open(run.path)
    assert str(caught.value).startswith(f"{status}:3: is not valid JSON: ")


@pytest.mark.parametrize("name", ["weights", "plots"])
def test_inner_folders_that_lead_out_are_refused(run: RunFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (run.path / name).symlink_to(tmp_path / "outside")
    for act in (
        lambda: run.write_plot("a.png", b"") if name == "plots" else run.save_weights("best", {}, {}),
        lambda: run.write_plot("a.png", b"") if name == "plots" else run.load_weights("best"),
    ):
        with pytest.raises(VerificationError) as caught:
            act()
        assert caught.value.problem == "is not a folder of this run (a link, or a file)"
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_plot_cannot_leave_its_folder(run: RunFolder) -> None:
    with pytest.raises(UsageError):
        run.write_plot("../status.json", b"")


def test_a_process_that_was_overtaken_changes_nothing(run: RunFolder) -> None:
    """Wherever it was frozen: the guard is called when only the rename, or the append, is left to do."""

    arrays = {"w": np.zeros(3)}
    run.save_weights("best", arrays, {})
    with run.locked() as overtaken, run.locked(force=True):
        require_harmless(run, overtaken, arrays)
    require_harmless(run, overtaken, arrays)  # released


def require_harmless(run: RunFolder, overtaken: RunFolder, arrays: dict[str, Any]) -> None:
    """Pass if none of the writes of a process that was overtaken changes a file."""
    checkpoint = Checkpoint(id="a", attempt=1, step=4, metrics_bytes=0, about={}, state={"model": arrays})
    writes: list[Callable[[], object]] = [
        lambda: overtaken.write_config(b"task: parity"),
        lambda: overtaken.write_resolved({}, "a" * 16),
        lambda: overtaken.cut_metrics(0),
        lambda: overtaken.write_plot("curves.png", b"x"),
        lambda: overtaken.write_status(run.read_status()),
        lambda: overtaken.write_summary(SUMMARY),
        lambda: overtaken.write_provenance(provenance()),
        lambda: overtaken.save_weights("best", {"w": np.ones(3)}, {}),
        lambda: checkpoints.save(checkpoint),
        lambda: log.append(b"line"),
        lambda: metrics.write(RECORD),
    ]
    checkpoints = overtaken.checkpoints(make=True)
    with overtaken.open_log() as log, overtaken.metrics_writer("0" * 16) as metrics:
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        for write in writes:
            with pytest.raises(RunLockedError):
                write()
        assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_status_is_there_only_with_what_was_written_before(run: RunFolder, faults: Faults) -> None:
    """The names are pushed to the disk first, so that no power cut leaves a status without its summary."""
    run.write_summary(SUMMARY)
    assert faults.calls == ["open_new", "write", "fsync", "close", "rename"]
    faults.calls.clear()
    run.write_status(Status.start("demo"))
    names = ["open_folder", "fsync", "close"]
    assert faults.calls == ["open_new", "write", "fsync", "close", *names, "rename", *names]


def test_the_lock_is_checked_at_the_first_append_alone(run: RunFolder) -> None:
    """Who takes over replaces the file: what is appended later goes into one without a name."""
    with run.locked() as first, first.metrics_writer("0" * 16) as metrics:
        metrics.write(RECORD)
        with run.locked(force=True) as second:
            second.cut_metrics(metrics.size)
            before = (run.path / "metrics.jsonl").read_bytes()
            metrics.write(RECORD)
            assert (run.path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("folder", [".", "weights", "checkpoints"])
def test_where_an_unfinished_file_cannot_be_deleted_the_run_is_not_taken_over(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    run.save_weights("best", {"w": np.zeros(3)}, {})
    run.checkpoints(make=True)
    path = run.path / folder / ".last.safetensors.0123456789abcdef.tmp"
    path.write_bytes(b"x")
    real = disk.unlink

    def refuse(other: Path) -> None:
        if other == path:
            raise PermissionError(13, "Permission denied")
        real(other)

    monkeypatch.setattr(disk, "unlink", refuse)
    with pytest.raises(EnvironmentFault, match="cannot delete an unfinished file: Permission denied"), run.locked():
        raise AssertionError
    monkeypatch.setattr(disk, "unlink", real)
    with run.locked() as held:
        assert (held.attempt, path.exists()) == (2, False)  # the status is of attempt 1
    assert not list(run.path.glob("lock-*"))


def test_a_resolved_config_that_is_not_utf8(run: RunFolder) -> None:
    (run.path / "resolved.yaml").write_bytes(b"a: \xff")
    with pytest.raises(VerificationError, match="was changed since it was written"):
        run.read_resolved()
