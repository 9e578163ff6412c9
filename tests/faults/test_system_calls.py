"""A real process, killed by the system in the N-th call of a kind: what the seam models, without the seam.

Source: strace(1), "Tampering"; the signal comes as the process enters the call.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from rnnlab.config.yaml import dump_yaml
from tests.faults.oracle import Trial, Witness

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


def killed(trial: Trial, folder: Path, call: str, n: int) -> bool:
    """Train in a process that is killed in its n-th call of a kind; return whether it made so many."""
    config = trial.place / "x.yaml"
    config.write_text(dump_yaml(trial.asked.resolved()))
    tamper = ["-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={n}"]
    train = [sys.executable, "-B", "-m", "rnnlab", "train", str(config), "--into", str(folder), "-q"]
    done = subprocess.run([str(STRACE), *tamper, *train], capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("tracing is not allowed")
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


@pytest.mark.parametrize(("call", "n"), [("fsync", 25), ("rename", 9)])
def test_killed_in_a_call(trial: Trial, call: str, n: int) -> None:
    assert killed(trial, trial.place / "run", call, n)
    assert (trial.place / "run" / "status.json").exists()
    trial.check(trial.place / "run", Witness())


@pytest.mark.soak
@pytest.mark.parametrize("call", ["write", "fsync", "rename", "link", "unlink", "mkdir"])
def test_killed_in_every_call(trial: Trial, call: str, report: Callable[[str], None]) -> None:
    for n in count(1):
        folder = trial.place / str(n)
        landed = killed(trial, folder, call, n)
        try:
            trial.check(folder, Witness(finished=not landed))
        except BaseException as error:
            error.add_note(f"killed in {call} number {n}")
            raise
        if not landed:
            report(f"a real process killed in each {call}: {n - 1} of {n - 1} survived")
            return
