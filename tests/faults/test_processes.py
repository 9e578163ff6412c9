"""Real processes, killed and stopped at random moments, started at once, and two of them at one run."""

import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnlab.lab.doctor import examine
from rnnlab.runs import RunFolder
from tests.faults.nursery import Nursery
from tests.faults.oracle import Account
from tests.lab.resuming import account

# Half a second or so of work, and a checkpoint every few milliseconds, so that a kill often lands in one.
CONFIG = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training: {steps: 800, batch_size: 4, evaluate_every: 40, stop_when_solved: false, checkpoint: {every_seconds: 0.02}}
evaluation: {sequences: 20}
"""
KERAS = CONFIG.replace("steps: 800", "steps: 300") + "backend: keras\n"
A_BUG = re.compile(r"bug\[|Traceback")


@dataclass(frozen=True)
class Bench:
    """A nursery, a config, and what it comes to when nothing goes wrong."""

    nursery: Nursery
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
        assert report.is_healthy, [finding for finding in report.findings if finding.verdict == "bad"]
        return report.state

    def goes_on(self, name: str) -> None:
        """Pass if the same command again ends at the same bits."""
        process = self.nursery.start(*self.into(name))
        assert self.nursery.wait(process) == 0, self.nursery.said(process)
        assert account(RunFolder(self.place / name)) == self.whole
        assert self.healthy(name) == "completed"
        shutil.rmtree(self.place / name)

    def no_bug(self) -> None:
        for path in self.place.glob("*.out"):
            assert not A_BUG.search(path.read_text()), path.read_text()


def bench(place: Path, config: str, *, keras: bool = False) -> Iterator[Bench]:
    (place / "x.yaml").write_text(config)
    with Nursery(place, keras=keras) as nursery:
        nursery.run("--version")
        began = time.monotonic()
        assert nursery.run("train", "x.yaml", "--into", "whole", "-q") == 0
        seconds = time.monotonic() - began
        yield Bench(nursery, place, account(RunFolder(place / "whole")), seconds)


@pytest.fixture(scope="module")
def numpy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp("numpy"), CONFIG)


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp("keras"), KERAS, keras=True)


def end_at_random(one: Bench, runs: int, *, number: signal.Signals, seed: int) -> Counter[int]:
    """Break runs off twice each at random moments, and go on; return how often a process ended with each code."""
    moments, codes = random.Random(seed), Counter[int]()
    for name in map(str, range(runs)):
        for _ in range(2):
            moment = moments.uniform(0, one.seconds)
            code = one.nursery.kill_after(moment, *one.into(name), number=number)
            codes[code] += 1
            assert code in {0, -number, 75}, code
            state = one.healthy(name)
            assert state != "stale" or code == -number
            assert state == "interrupted" or code != 75
            assert (state == "completed") or code != 0
        one.goes_on(name)
    one.no_bug()
    return codes


def test_killed_at_random(numpy: Bench) -> None:
    codes = end_at_random(numpy, 4, number=signal.SIGKILL, seed=1)
    assert codes[-signal.SIGKILL] >= 4


def test_stopped_at_random(numpy: Bench) -> None:
    codes = end_at_random(numpy, 4, number=signal.SIGTERM, seed=2)
    assert codes[75] >= 1


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_100_runs_broken_off_at_random(numpy: Bench, number: signal.Signals, report: Callable[[str], None]) -> None:
    codes = end_at_random(numpy, 100, number=number, seed=3)
    report(f"NumPy, {number.name}: 100 of 100 runs end bit-identical; processes by exit code: {dict(codes)}")


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_100_keras_runs_broken_off_at_random(
    keras: Bench, number: signal.Signals, report: Callable[[str], None]
) -> None:
    codes = end_at_random(keras, 100, number=number, seed=4)
    report(f"Keras, {number.name}: 100 of 100 runs end bit-identical; processes by exit code: {dict(codes)}")


def start_at_once(one: Bench, count: int, *arguments: str) -> list[int]:
    processes = [one.nursery.start(*arguments, wait_for_gate=True) for _ in range(count)]
    one.nursery.open_gate()
    return [one.nursery.wait(process) for process in processes]


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.soak)])
def test_each_of_many_that_start_at_once_has_a_folder_of_its_own(numpy: Bench, count: int) -> None:
    runs = numpy.place / f"runs-{count}"
    command = ("train", "x.yaml", "--runs", str(runs), "-q", "--set", "training.steps=1")
    assert start_at_once(numpy, count, *command) == [0] * count
    folders = list(runs.iterdir())
    assert len(folders) == count
    ids = {RunFolder(folder).read_status().id for folder in folders}
    assert len(ids) == count
    assert {examine(RunFolder(folder)).state for folder in folders} == {"completed"}
    assert all(examine(RunFolder(folder)).is_healthy for folder in folders)


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.soak)])
def test_of_two_that_resume_one_run_one_trains(numpy: Bench, times: int) -> None:
    """The other one is refused; or it comes when all is done, and finds that."""
    for _ in range(times):
        process = numpy.nursery.start(*numpy.into("shared"))
        while not (numpy.place / "shared" / "status.json").exists():
            time.sleep(0.005)
        time.sleep(numpy.seconds / 5)
        os.kill(process, signal.SIGKILL)
        assert numpy.nursery.wait(process) == -signal.SIGKILL
        attempt = RunFolder(numpy.place / "shared").read_status().attempt
        codes = start_at_once(numpy, 2, "train", "--resume", str(numpy.place / "shared"), "-q")
        assert sorted(codes) == [0, 6], codes
        assert RunFolder(numpy.place / "shared").read_status().attempt == attempt + 1
        numpy.goes_on("shared")
    numpy.no_bug()


@pytest.mark.parametrize("kibibytes", [0, 4096, 32768, 98304, 1 << 20])
def test_little_memory(numpy: Bench, kibibytes: int) -> None:
    process = numpy.nursery.start(*numpy.into(f"m{kibibytes}"), memory=kibibytes * 1024)
    code = numpy.nursery.wait(process)
    assert code in ({0} if kibibytes >= 1 << 20 else {0, 5}), numpy.nursery.said(process)
    if code:
        assert len(numpy.nursery.said(process).splitlines()) == 1
    numpy.healthy(f"m{kibibytes}")
    numpy.goes_on(f"m{kibibytes}")
