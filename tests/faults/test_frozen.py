"""A process freezes at one call to the disk, is overtaken, and wakes when the other one has finished.

As a virtual machine that was paused, or a node that was cut off. Wherever it was frozen, nothing that it does counts.
"""

import hashlib
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from rnnlab.storage.reading import kind
from tests.faults.launcher import Freeze
from tests.faults.test_processes import Bench, Report, bench
from tests.training.resuming import account

CONFIG = """\
task: adding
shape: {timesteps: 5}
cell: {units: 4}
training: {steps: 4, batch_size: 4, evaluate_every: 2, stop_when_solved: false,
  checkpoint: {every_steps: 2, every_seconds: null}}
evaluation: {sequences: 20}
"""
UPSET = 150  # a call within the first save


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield from bench(tmp_path_factory.mktemp("frozen"), CONFIG)


@pytest.fixture(scope="module")
def half(small: Bench) -> Path:
    """A run that was killed within its last save."""
    for at in range(10_000):
        folder = small.place / f"half-{at}"
        process = small.launcher.start(*small.into(folder.name), freeze=Freeze(290 + 8 * at))
        assert small.launcher.is_frozen(process)
        os.kill(process, signal.SIGKILL)
        small.launcher.wait(process)
        if kind(folder / "status.json") == "file" and RunFolder(folder).read_status().step == 2:
            return folder
        shutil.rmtree(folder)
    raise AssertionError


def content(folder: Path) -> dict[str, str]:
    """Return the hash of each file, the log apart."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def overtaken(one: Bench, freeze: Freeze, *, template: Path | None, ctrl_c: bool) -> str:
    """Return how a process ended that froze, was overtaken and woke; empty if it was through before it came to that."""
    folder, launcher = one.place / "overtaken", one.launcher
    shutil.rmtree(folder, ignore_errors=True)
    if template:
        shutil.copytree(template, folder)
    command = (*one.into("overtaken"), "--no-plots")
    loser = launcher.start(*command, freeze=freeze)
    if not launcher.is_frozen(loser):
        launcher.wait(loser)
        return ""
    run = RunFolder(folder)
    had_lock = any(f'"pid": {loser},' in path.read_text() for path in folder.glob("lock-*.json"))
    has_ended = run.is_run() and run.read_status().state == "completed"
    winner = launcher.start(*command, "--force-unlock")
    code = launcher.wait(winner)
    try:
        assert code == 0, launcher.output(winner)
        before = content(folder)
        os.kill(loser, signal.SIGCONT)
        if ctrl_c:
            os.kill(loser, signal.SIGINT)
            time.sleep(0.005)
            os.kill(loser, signal.SIGINT)
        code = launcher.wait(loser)
        may_end = {6, 75, 130, *[5] * (freeze.upset_at > 0), *[0] * has_ended}
        assert code in may_end or (code == 0 and "already complete" in launcher.output(loser)), code
        after = content(folder)
        # What it may still do is to delete a checkpoint of its own that two newer ones have replaced.
        superseded = {path for path in before if "/step-" in path and path.endswith("-0001.safetensors")}
        assert after.items() <= before.items()
        assert before.keys() - after.keys() <= superseded
        assert one.healthy("overtaken") == "completed"
        assert account(run) == one.whole
        assert not list(folder.glob("lock-*"))
    except BaseException as error:
        error.add_note(f"{freeze}, ctrl_c={ctrl_c}: {launcher.output(loser)}")
        raise
    return f"{code} after its end" if has_ended else str(code) if had_lock else f"{code} without the lock"


def points(upset_at: int, upset: str, numbers: Iterable[int]) -> Iterator[tuple[Freeze, bool]]:
    """Yield where to freeze, before and after each call by turns, with and without Ctrl-C."""
    variants = cycle([(False, False), (True, True), (True, False), (False, True)])
    for number, (after, ctrl_c) in zip(numbers, variants, strict=False):
        yield Freeze(number, after=after, upset_at=upset_at, upset="full" if upset == "full" else "interrupt"), ctrl_c


WAYS = {
    "begins": (0, "full"),
    "is resumed": (0, "full"),
    "disk full": (UPSET, "full"),
    "Ctrl-C": (UPSET, "interrupt"),
}


@pytest.mark.parametrize("way", WAYS)
def test_frozen_overtaken_and_woken(small: Bench, half: Path, way: str) -> None:
    template = half if way == "is resumed" else None
    numbers = {"begins": (26, 67, 142, 198), "is resumed": (55, 90, 130)}.get(way, (UPSET + 9, UPSET + 16))
    for freeze, ctrl_c in points(*WAYS[way], numbers):
        assert overtaken(small, freeze, template=template, ctrl_c=ctrl_c)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("way", WAYS)
def test_frozen_at_every_call(small: Bench, half: Path, way: str, part: int, report: Report) -> None:
    """In four parts; the four variants of a call are one in each."""
    ends, template = Counter[str](), half if way == "is resumed" else None
    upset_at = WAYS[way][0]
    variants = list(points(*WAYS[way], range(upset_at + 1, upset_at + 1000)))
    for index, (freeze, _) in enumerate(variants):
        _, ctrl_c = variants[index + part]
        end = overtaken(small, replace(freeze, after=variants[index + part][0].after), template=template, ctrl_c=ctrl_c)
        if not end:
            break
        ends[end] += 1
    small.no_bug()
    report(f"{way}: frozen at each of {ends.total()} calls, overtaken, woken: 0 broke; exit codes {dict(ends)}")
