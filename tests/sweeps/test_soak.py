"""Workers and runners killed at random and restarted until all is done: nothing lost, nothing trained twice."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from rnnlab.core.errors import VerificationError
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.status import sweep_status
from tests.cli.program import start
from tests.sweeps.trying import Undisturbed, accounts, make

# A fraction of a second of work, saved every few milliseconds, so that a kill often lands in a write.
CONFIG = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training: {steps: 400, batch_size: 4, evaluate_every: 100, stop_when_solved: false, checkpoint: {every_seconds: 0.02}}
evaluation: {sequences: 20}
"""

NO_START = "error[E_ENVIRONMENT]: workers cannot start: killed by SIGKILL"


def children(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a runner that has not been waited for, so that no process id is reused yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == process.pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def disturb(sweep: SweepFolder, *, seed: int, calm: float) -> Counter[str]:
    """Run a sweep until all is completed, killing a process now and then; return how often each kind was killed.

    Args:
        sweep: The sweep.
        seed: Of the times, and of the processes that are killed.
        calm: Seconds between two kills, at most, besides those in which a worker starts.
    """
    moments, killed, starting = random.Random(seed), Counter[str](), 1.0
    done: dict[str, bytes] = {}
    while killed.total() < 10_000:
        with start("sweep", "resume", sweep.path, "-q", "--workers", "2") as process:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(starting + moments.uniform(0, calm))
                    break
                before = len(done)
                note_done(sweep, done)
                starting = 1.0 if len(done) > before else 1.2 * starting  # on a busy machine a worker takes longer
                victims = children(process)
                if moments.random() < 0.15:
                    process.kill()
                    killed["runner"] += 1
                elif victims:
                    os.kill(moments.choice(victims), signal.SIGKILL)
                    killed["worker"] += 1
            _, stderr = process.communicate()
            note_done(sweep, done)
            if process.returncode == 0:
                return killed
            # Where five workers in a row were hit before they had started, the runner reports it and stops.
            is_expected = process.returncode in {-signal.SIGKILL, 6, 8} or NO_START in stderr
            assert is_expected, (process.returncode, stderr)
            killed["restart"] += process.returncode > 0
    raise AssertionError(killed)


def note_done(sweep: SweepFolder, done: dict[str, bytes]) -> None:
    """Pass if no trial that was completed has been touched since, and note those that are completed now."""
    for trial in sweep.read_plan().trials:
        run_ = sweep.run(trial)
        if not run_.is_run():
            continue
        with suppress(VerificationError):
            data = (run_.path / "status.json").read_bytes()
            if run_.read_status().state == "completed":
                assert done.setdefault(trial.name, data) == data, trial.name


@pytest.mark.parametrize(("trials", "calm"), [(8, 0.5), pytest.param(300, 1.5, marks=pytest.mark.soak)])
def test_killed_at_random_and_restarted_until_done(
    place: Path, undisturbed: Undisturbed, trials: int, calm: float
) -> None:
    sweep, began = make(place, CONFIG, seeds=trials), time.monotonic()
    killed = disturb(sweep, seed=1, calm=calm)
    assert sweep_status(sweep).counts == {"completed": trials}
    assert len([path for path in sweep.trials.iterdir() if path.is_dir()]) == trials
    assert accounts(sweep) == undisturbed(CONFIG, trials)
    assert killed["worker"] > trials // 100, killed
    print(f"{trials} of {trials} bit-identical; killed {dict(killed)} in {time.monotonic() - began:.0f} s")  # noqa: T201
