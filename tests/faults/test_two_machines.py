"""Two machines, made of two process namespaces: neither knows whether a process of the other is alive."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from rnnlab.inspection.doctor import examine
from rnnlab.storage import RunFolder
from rnnlab.storage.holder import read_holder
from tests.training.resuming import account

ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROGRAM = """\
import sys
from datetime import datetime, timedelta
import rnnlab.storage.holder, rnnlab.storage.lock
from rnnlab.cli.main import main
minutes = float(sys.argv[1])

class Shifted(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(minutes=minutes)

rnnlab.storage.holder.datetime = Shifted
rnnlab.storage.holder.LEASE_SECONDS, rnnlab.storage.lock.BEAT_SECONDS = 3.0, 0.2
sys.argv = ["rnnlab", *sys.argv[2:]]
main()
"""
CONFIG = """\
task: adding
shape: {timesteps: 5}
cell: {units: 4}
training: {steps: STEPS, batch_size: 4, evaluate_every: 1000, stop_when_solved: false,
  checkpoint: {every_steps: 200, every_seconds: null}}
evaluation: {sequences: 20}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("process namespaces are not allowed here")
    return tmp_path


@contextmanager
def machine(place: Path, *arguments: str, minutes: float = 0) -> Iterator[subprocess.Popen[str]]:
    """A process on a machine of its own, the clock of which is wrong by some minutes."""
    command = [*ALONE, sys.executable, "-c", PROGRAM, str(minutes), *arguments, "-q", "--no-plots"]
    with subprocess.Popen(command, cwd=place, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def of(process: subprocess.Popen[str]) -> int:
    """Return the number of the process in its namespace's parent."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def training(place: Path, steps: int) -> RunFolder:
    """Wait until a training has saved its first steps."""
    run = RunFolder(place / "job")
    for _ in range(1200):
        if run.is_run() and run.read_status().step >= steps:
            return run
        time.sleep(0.05)
    raise AssertionError


def first_line(stream: IO[str] | None) -> str:
    assert stream
    return stream.readline()


def write(place: Path, steps: int) -> None:
    (place / "x.yaml").write_text(CONFIG.replace("STEPS", str(steps)))


@pytest.mark.parametrize("minutes", [-6, pytest.param(6, marks=pytest.mark.soak)])
def test_a_live_training_is_not_taken_over_whatever_its_clock_shows(place: Path, minutes: float) -> None:
    write(place, 10**9)
    with machine(place, "train", "x.yaml", "--into", "job", minutes=minutes) as first:
        run = training(place, 200)
        with machine(place, "train", "--resume", "job") as second:
            assert second.wait(60) == 6
            _, error = second.communicate()
        assert "job: locked by process 1 on " in error
        assert "job: is being trained by process 1 on " in error
        os.kill(of(first), signal.SIGTERM)
        assert first.wait(60) == 75
    assert (run.read_status().state, run.read_status().attempt) == ("interrupted", 1)


def test_a_frozen_one_is_taken_over_after_a_lease_and_loses(place: Path) -> None:
    write(place, 4000)
    with machine(place, "train", "x.yaml", "--into", "job", minutes=6) as first:
        run = training(place, 200)
        os.kill(of(first), signal.SIGSTOP)
        began = time.monotonic()
        with machine(place, "train", "x.yaml", "--into", "job") as second:
            assert "waiting up to " in first_line(second.stderr)
            assert second.wait(120) == 0
        assert time.monotonic() - began >= 3
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "log.txt"}
        os.kill(of(first), signal.SIGCONT)
        assert first.wait(60) == 6
    assert {path: path.read_bytes() for path in before} == before
    assert not list(run.path.glob("lock-*"))
    report = examine(run)
    assert (report.is_healthy, report.state) == (True, "completed")
    with machine(place, "train", "x.yaml", "--into", "whole") as whole:
        assert whole.wait(120) == 0
    assert account(run) == account(RunFolder(place / "whole"))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)], ids=["SIGTERM", "SIGINT"]
)
def test_a_wait_for_a_lock_is_stopped_at_once(place: Path, number: int) -> None:
    write(place, 10**9)
    with machine(place, "train", "x.yaml", "--into", "job") as first:
        run = training(place, 0)
        os.kill(of(first), signal.SIGSTOP)
        with machine(place, "train", "--resume", "job") as second:
            assert "waiting up to " in first_line(second.stderr)
            os.kill(of(second), number)
            assert second.wait(2) == 75
            _, error = second.communicate()
        assert "while waiting for the lock" in error
        holder = read_holder(run.path)
        assert (run.read_status().attempt, holder and holder.pid) == (1, 1)
