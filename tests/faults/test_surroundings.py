"""Other system errors: a disk that is full or read-only, a clock that goes back, NaN."""

import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab.storage.holder
import rnnlab.storage.provenance
import rnnlab.storage.status
from rnnlab.backends.numpy import NumpyModel
from rnnlab.core.errors import DivergedError, EnvironmentFault, StoppedError
from rnnlab.inspection.doctor import examine
from rnnlab.storage import RunFolder, disk
from rnnlab.training.events import Event, Stepped
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop
from tests.faults.mounting import Mount, fill
from tests.faults.oracle import Trial, begin
from tests.training.resuming import account


def after(step: int, events: Iterable[Event], act: Callable[[], object]) -> None:
    """Follow a training to its end, and do something in the middle."""
    for event in events:
        if isinstance(event, Stepped) and event.step == step:
            act()


@pytest.mark.parametrize("leave", range(0, 48 * 1024, 4096))
def test_a_disk_that_runs_full_in_the_middle(
    trial: Trial, small_disk: tuple[Path, Mount], quick: object, leave: int
) -> None:
    place, _ = small_disk
    ballast = place / "ballast"
    full = None
    try:
        after(1, train_into(place / "run", trial.asked, config=b"", argv=[]), lambda: fill(place, leave=leave))
    except EnvironmentFault as fault:
        full = fault
    if leave <= 4096:
        assert full is not None
    if full is not None:
        assert full.exit_code == 5
        assert "No space left on device" in full.problem
        assert "bytes free" in full.problem
        assert full.hint.startswith("free some space, or ")
    report = examine(RunFolder(place / "run"))
    assert report.is_healthy, report.findings
    ballast.unlink()
    list(resume(RunFolder(place / "run"), argv=[]))
    assert account(RunFolder(place / "run")) == trial.whole


def test_a_full_disk_at_the_start_makes_nothing(trial: Trial, small_disk: tuple[Path, Mount]) -> None:
    place, _ = small_disk
    fill(place, leave=16384)
    with pytest.raises(EnvironmentFault, match=r"the run needs about .* of disk space, and .* are free"):
        begin(trial.asked, place / "run")
    assert [path.name for path in place.iterdir()] == ["ballast"]


@pytest.mark.parametrize("left", range(0, 30, 3))
def test_a_disk_that_takes_no_more_files(
    trial: Trial, small_disk: tuple[Path, Mount], quick: object, left: int
) -> None:
    """So many more names are free; where that is too few, before the start or in the middle, nothing is lost."""
    place, mount = small_disk
    used = os.statvfs(place).f_files - os.statvfs(place).f_ffree
    mount(f"remount,nr_inodes={used + left}")
    refusal = None
    try:
        begin(trial.asked, place / "run")
    except EnvironmentFault as fault:
        refusal = fault
    assert (left > 9) >= (refusal is None) >= (left > 24)
    if refusal is not None:
        assert "cannot " in refusal.problem
        assert "No space left on device, no more files can be made there (no free inodes)" in refusal.problem
    mount("remount,nr_inodes=1000")
    trial.examined(place / "run")
    assert account(begin(trial.asked, place / "run")) == trial.whole


def test_a_disk_that_can_only_be_read(trial: Trial, small_disk: tuple[Path, Mount]) -> None:
    """A run there can be examined; nothing is begun or resumed."""
    place, mount = small_disk
    stop = Stop()
    stop.ask("a test")
    with pytest.raises(StoppedError):
        list(train_into(place / "run", trial.asked, config=b"", argv=[], stop=stop))
    mount("remount,ro")
    run = RunFolder(place / "run")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert examine(run).is_healthy
    for folder in (run.path, place / "new"):
        with pytest.raises(EnvironmentFault, match="Read-only file system") as error:
            begin(trial.asked, folder)
        assert error.value.hint.startswith("ask for the permission to write there, or ")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    mount("remount,rw")
    assert account(begin(trial.asked, run.path)) == trial.whole


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_takes_no_files(trial: Trial) -> None:
    place = trial.place / "closed"
    place.mkdir(mode=0o555)
    with pytest.raises(EnvironmentFault, match="Permission denied"):
        begin(trial.asked, place / "run")
    assert list(place.iterdir()) == []


def test_renaming_is_refused_from_a_step_on(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    folder = trial.place / "run"
    with monkeypatch.context() as patch, pytest.raises(EnvironmentFault) as error:
        after(1, train_into(folder, trial.asked, config=b"", argv=[]), lambda: patch.setattr(disk, "rename", refuse))
    assert error.value.where == str(folder / "checkpoints" / "step-0000000002-0001.safetensors")
    assert error.value.problem.endswith("bytes: Permission denied")
    report = examine(RunFolder(folder))
    assert (report.is_healthy, report.state, report.step) == (True, "stale", 0)
    assert account(begin(trial.asked, folder)) == trial.whole


@pytest.mark.parametrize("mask", [0o077, 0o027, 0o000])
def test_files_and_folders_follow_the_umask(trial: Trial, mask: int) -> None:
    """The umask decides what others may read in a shared folder."""
    before = os.umask(mask)
    try:
        run = begin(trial.asked, trial.place / "run")
    finally:
        os.umask(before)
    for path in (run.path, *run.path.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path


def test_stopped_before_its_first_step_again_and_again(trial: Trial) -> None:
    """As a job that is preempted twenty times; each attempt is counted, and the numbers stay the same."""
    folder = trial.place / "run"
    for attempt in range(1, 21):
        stop = Stop()
        stop.ask("preemption")
        with pytest.raises(StoppedError):
            list(train_into(folder, trial.asked, config=b"", argv=[], stop=stop))
        status = RunFolder(folder).read_status()
        assert (status.state, status.step, status.attempt) == ("interrupted", 0, attempt)
    run = begin(trial.asked, folder)
    assert (account(run), run.read_status().attempt) == (trial.whole, 21)
    assert len(run.read_provenance().attempts) == 20
    assert examine(run).is_healthy


CLOCKS = (rnnlab.storage.holder, rnnlab.storage.provenance, rnnlab.storage.status)


@pytest.mark.parametrize("hours", [-1, -24 * 365 * 57, 24 * 365 * 80])
def test_a_clock_that_is_set_anew_in_the_middle(trial: Trial, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """To an hour ago, to about 1970, to about 2106: order is by step, durations have another clock."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=hours)

    folder, stop = trial.place / "run", Stop()

    def set_anew() -> None:
        for module in CLOCKS:
            monkeypatch.setattr(module, "datetime", Shifted)
        stop.ask("a test")

    with pytest.raises(StoppedError):
        after(2, train_into(folder, trial.asked, config=b"", argv=[], stop=stop), set_anew)
    assert examine(RunFolder(folder)).is_healthy
    run = begin(trial.asked, folder)
    assert account(run) == trial.whole
    assert (run.read_status().attempt, run.read_status().updated < run.read_status().started) == (2, hours < 0)
    seconds = [record["seconds"] for record in run.read_metrics().records]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < 60


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_turn_bad_at_step_k(trial: Trial, monkeypatch: pytest.MonkeyPatch, k: int, value: float) -> None:
    """The newest checkpoint and the last weights stay finite, and resuming does not go round in circles."""
    step = NumpyModel._train_once

    def poisoned(model: NumpyModel, *given: Any) -> Any:
        if model._slots["step"][0] == k - 1:
            model._parameters.views["layers.0.U"][0, 0] = value
        return step(model, *given)

    monkeypatch.setattr(NumpyModel, "_train_once", poisoned)
    run = RunFolder(trial.place / "run")
    with pytest.raises(DivergedError, match=f"diverged at step {k}: "):
        begin(trial.asked, run.path)
    assert (run.read_status().state, run.read_status().exit_code) == ("diverged", 7)
    assert run.checkpoints().steps()[0] == (k - 1) // 2 * 2
    for step_saved in run.checkpoints().steps():
        run.checkpoints().load(step_saved)
    assert run.load_weights("last")[1]["step"] < k
    assert examine(run).is_healthy
    with pytest.raises(DivergedError):
        begin(trial.asked, run.path)
