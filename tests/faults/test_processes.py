"""Real processes, killed and stopped at random moments, started at once, and two of them at one run."""

import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from rnnlab.inspection.doctor import examine
from rnnlab.storage import RunFolder
from tests.faults.launcher import Launcher
from tests.faults.mounting import Mount, fill
from tests.faults.oracle import Account
from tests.training.resuming import account

# Half a second or so of work, and a checkpoint every few milliseconds, so that a kill often lands in one.
CONFIG = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training: {steps: 500, batch_size: 4, evaluate_every: 40, stop_when_solved: false, checkpoint: {every_seconds: 0.02}}
evaluation: {sequences: 20}
"""
KERAS = CONFIG.replace("steps: 500", "steps: 200") + "backend: keras\n"
Report = Callable[[str], None]
A_BUG = re.compile(r"bug\[|Traceback")


@dataclass(frozen=True)
class Bench:
    """A launcher, a config, and what it comes to when nothing goes wrong."""

    launcher: Launcher
    place: Path
    whole: Account
    seconds: float

    def into(self, name: str) -> tuple[str, ...]:
        return ("train", "x.yaml", "--into", name, "-q")

    def healthy(self, name: str) -> str:
        """Return the state of a run that has nothing bad in it."""
        if not (self.place / name / "status.json").exists():
            return "missing"
        report = examine(RunFolder(self.place / name))
        assert report.is_healthy, [finding for finding in report.findings if finding.result == "bad"]
        return report.state

    def goes_on(self, name: str) -> None:
        """Pass if the same command again ends at the same bits."""
        process = self.launcher.start(*self.into(name))
        assert self.launcher.wait(process) == 0, self.launcher.output(process)
        assert account(RunFolder(self.place / name)) == self.whole
        assert self.healthy(name) == "completed"
        shutil.rmtree(self.place / name)

    def no_bug(self) -> None:
        for path in self.place.glob("*.out"):
            assert not A_BUG.search(path.read_text()), path.read_text()


def bench(place: Path, config: str, *, keras: bool = False) -> Iterator[Bench]:
    (place / "x.yaml").write_text(config)
    with Launcher(place, keras=keras) as launcher:
        launcher.run("--version")
        began = time.monotonic()
        assert launcher.run("train", "x.yaml", "--into", "whole", "-q") == 0
        seconds = time.monotonic() - began
        yield Bench(launcher, place, account(RunFolder(place / "whole")), seconds)


@pytest.fixture(scope="module")
def numpy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp("numpy"), CONFIG)


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp("keras"), KERAS, keras=True)


@dataclass
class Tally:
    """What signals at random moments came to; only one that landed, in a process that had not ended yet, counts."""

    landed: int = 0
    too_late: int = 0
    within_a_write: int = 0
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        left = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{self.landed} landed and left the run {left}, {self.within_a_write} of them within a write;"
            f" {self.too_late} came after the end; every run ended bit-identical and healthy"
        )


def break_off(one: Bench, wanted: int, *, number: signal.Signals, seed: int) -> Tally:
    """Signal runs at random moments until so many signals had an effect; after each, the same command resumes."""
    moments, tally, seconds = random.Random(seed), Tally(), one.seconds
    for name in map(str, count()):
        if tally.landed == wanted:
            one.no_bug()
            return tally
        code = one.launcher.kill_after(moments.uniform(0, seconds), *one.into(name), number=number)
        assert code in {0, -number, 75}, (tally, code)
        state = one.healthy(name)
        assert state == "completed" or code != 0, tally
        assert state == "interrupted" or code != 75, tally
        assert state != "stale" or code == -number, tally
        leftover = bool(list((one.place / name).rglob("*.tmp")))
        one.goes_on(name)
        if code == 0:
            tally.too_late += 1
        else:
            tally.landed += 1
            tally.states[state] += 1
            tally.within_a_write += leftover
        seconds *= 1.03 if code else 0.9  # the machine may be busier, or less so, than when the first run was timed
    raise AssertionError


def test_killed_at_random(numpy: Bench) -> None:
    tally = break_off(numpy, 4, number=signal.SIGKILL, seed=1)
    assert tally.states.keys() <= {"missing", "stale", "completed"}  # the last: all was written, the lock was not gone


def test_stopped_at_random(numpy: Bench) -> None:
    tally = break_off(numpy, 4, number=signal.SIGTERM, seed=2)
    assert tally.states["interrupted"] >= 1


def named(value: object) -> str:
    return value.name if isinstance(value, signal.Signals) else str(value)


# A hundred of each, in parts that are counted each by itself.
@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=named)
def test_numpy_at_25_random_moments(numpy: Bench, number: signal.Signals, part: int, report: Report) -> None:
    report(f"NumPy, {number.name}: {break_off(numpy, 25, number=number, seed=10 + part)}")


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=named)
def test_keras_at_25_random_moments(keras: Bench, number: signal.Signals, part: int, report: Report) -> None:
    report(f"Keras, {number.name}: {break_off(keras, 25, number=number, seed=20 + part)}")


def start_at_once(one: Bench, number: int, *arguments: str) -> list[int]:
    processes = [one.launcher.start(*arguments, wait_for_gate=True) for _ in range(number)]
    one.launcher.open_gate()
    return [one.launcher.wait(process) for process in processes]


@pytest.mark.parametrize("starts", [30, pytest.param(200, marks=pytest.mark.soak)])
def test_each_of_many_that_start_at_once_has_a_folder_of_its_own(numpy: Bench, starts: int, report: Report) -> None:
    runs = numpy.place / f"runs-{starts}"
    command = ("train", "x.yaml", "--runs", str(runs), "-q", "--set", "training.steps=1")
    assert start_at_once(numpy, starts, *command) == [0] * starts
    folders = list(runs.iterdir())
    assert len(folders) == starts
    ids = {RunFolder(folder).read_status().id for folder in folders}
    assert len(ids) == starts
    assert {examine(RunFolder(folder)).state for folder in folders} == {"completed"}
    assert all(examine(RunFolder(folder)).is_healthy for folder in folders)
    if starts == 200:
        report(f"{starts} starts at once: {len(folders)} folders, {len(ids)} runs, all completed and healthy")


def killed_half_way(one: Bench, name: str) -> bool:
    """Leave a run that was killed; return whether the kill came before its end."""
    process = one.launcher.start(*one.into(name))
    while not (one.place / name / "status.json").exists():
        time.sleep(0.005)
    time.sleep(one.seconds / 8)
    os.kill(process, signal.SIGKILL)
    return one.launcher.wait(process) == -signal.SIGKILL


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.soak)])
def test_of_two_that_resume_one_run_one_trains(numpy: Bench, times: int, report: Report) -> None:
    """The other one ends with an error; or, on a busy machine, it starts when all is done."""
    ends, times_left = Counter[int](), times
    while times_left:
        if not killed_half_way(numpy, "shared"):
            shutil.rmtree(numpy.place / "shared")
            continue
        times_left -= 1
        attempt = RunFolder(numpy.place / "shared").read_status().attempt
        codes = start_at_once(numpy, 2, "train", "--resume", str(numpy.place / "shared"), "-q")
        assert sorted(codes) in ([0, 6], [0, 0]), codes
        assert RunFolder(numpy.place / "shared").read_status().attempt == attempt + 1
        numpy.goes_on("shared")
        ends.update(codes)
    numpy.no_bug()
    assert ends[6] > times / 2
    if times == 100:
        report(f"two resume one run, {times} times: one trained each time, the other found it locked {ends[6]} times")


@pytest.mark.parametrize("kibibytes", [0, 4096, 32768, 98304, 1 << 20])
def test_little_memory(numpy: Bench, kibibytes: int) -> None:
    process = numpy.launcher.start(*numpy.into(f"m{kibibytes}"), memory=kibibytes * 1024)
    code = numpy.launcher.wait(process)
    assert code in ({0} if kibibytes >= 1 << 20 else {0, 5}), numpy.launcher.output(process)
    if code:
        assert len(numpy.launcher.output(process).splitlines()) == 1
    numpy.healthy(f"m{kibibytes}")
    numpy.goes_on(f"m{kibibytes}")


@pytest.mark.soak
def test_keras_on_a_disk_that_runs_full(keras: Bench, small_disk: tuple[Path, Mount], report: Report) -> None:
    """Keras and HDF5 do not write here: the process ends with an error of rnnlab, not by a crash in a library."""
    place, _ = small_disk
    for leave in (0, 4096, 8192):
        process = keras.launcher.start(*keras.into(str(place / "run")))
        while not list(place.glob("run/checkpoints/step-*")):
            time.sleep(0.005)
        ballast = fill(place, leave=leave)
        assert keras.launcher.wait(process) == 5, keras.launcher.output(process)
        assert keras.launcher.output(process).count("\n") == 1
        ballast.unlink()
        assert keras.healthy(str(place / "run")) in {"failed", "stale"}  # as its status could still be written
    assert keras.launcher.run(*keras.into(str(place / "run"))) == 0
    assert account(RunFolder(place / "run")) == keras.whole
    report("Keras, the disk full three times: exit code 5 each time, the end bit-identical")
