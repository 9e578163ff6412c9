"""Each call to the disk goes wrong in turn, in each way: while a run begins, and while it is resumed.

Source: the loops of SQLite's tests, sqlite.org/testing.html, section 3: fail the N-th call, once and from then on,
for N = 1, 2, … until the operation is through before it comes to N.
"""

import errno
from collections.abc import Callable
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import EnvironmentFault
from tests.faults.oracle import Trial
from tests.faults.seam import Fault, Killed, Seam, When

Report = Callable[[str], None]
WHEN: tuple[When, ...] = ("early", "half", "late")
KILLS = [Fault(when=when) for when in WHEN]
ERRORS = [
    Fault(code, once, when)
    for code, once, when in product((errno.ENOSPC, errno.EIO, errno.EACCES), (True, False), WHEN)
]
MEMORY = [Fault(errno.ENOMEM, once, when) for once, when in product((True, False), ("early", "late"))]
RARER = [Fault(code, once=False) for code in (errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EMFILE)]
SOME = [*KILLS, ERRORS[0], ERRORS[4], ERRORS[8], ERRORS[10], ERRORS[12], ERRORS[17], MEMORY[0], MEMORY[3]]
STRIDE = 31  # of these, the default suite tries one call in so many, each way beginning with another call
LEAST = 120  # a training makes more calls than this


@pytest.fixture(autouse=True)
def saves_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save for the first time as the config asks, as outside of tests."""
    monkeypatch.setattr("rnnlab.training.store.FIRST_SECONDS", 1.0)


def expected(fault: Fault) -> Any:
    """What may break a training off; an error may also come where nothing depends on the call."""
    if fault.code is None:
        return Killed
    return (MemoryError if fault.code == errno.ENOMEM else EnvironmentFault) | None


def loop(trial: Trial, seam: Seam, fault: Fault, *, template: Path | None, begin_at: int, stride: int) -> int:
    """Let every so many-th call go wrong; return how many did."""
    for tried, n in enumerate(count(begin_at, stride)):
        folder = trial.copy(template, str(n)) if template else trial.place / str(n)
        seam.arm(n, fault)
        broken = trial.run(folder)
        left_open = [] if isinstance(broken.error, Killed) else seam.left_open()
        happened = seam.end_process()
        try:
            assert isinstance(broken.error, expected(fault)) or not happened
            assert happened or broken.finished
            assert left_open == []
            trial.check(folder, broken)
        except BaseException as error:
            error.add_note(f"call {n}, {seam.calls[n - 1 : n]}, {fault}")
            raise
        if not happened:
            assert n > LEAST
            return tried
    raise AssertionError


_INTERRUPTED: list[Path] = []  # made by the first test that needs it, as the seam is of one test


@pytest.fixture
def interrupted(trial: Trial, seam: Seam) -> Path:
    """A run that was killed half-way, to be copied."""
    if not _INTERRUPTED:
        folder = trial.place / "interrupted"
        trial.run(trial.place / "counted")
        seam.arm(len(seam.calls) * 2 // 3, Fault())
        trial.run(folder)
        assert seam.end_process()
        _INTERRUPTED.append(folder)
    return _INTERRUPTED[0]


@pytest.mark.parametrize("fault", SOME, ids=str)
def test_a_run_begins(trial: Trial, seam: Seam, fault: Fault) -> None:
    loop(trial, seam, fault, template=None, begin_at=1 + SOME.index(fault), stride=STRIDE)


@pytest.mark.parametrize("fault", SOME, ids=str)
def test_a_run_is_resumed(trial: Trial, seam: Seam, interrupted: Path, fault: Fault) -> None:
    loop(trial, seam, fault, template=interrupted, begin_at=1 + SOME.index(fault), stride=STRIDE)


@pytest.mark.soak
@pytest.mark.parametrize("fault", [*KILLS, *ERRORS, *MEMORY, *RARER], ids=str)
def test_a_run_begins_every_call(trial: Trial, seam: Seam, fault: Fault, report: Report) -> None:
    tried = loop(trial, seam, fault, template=None, begin_at=1, stride=1)
    report(f"a run begins, {fault} at each call: {tried} of {tried} survived")


@pytest.mark.soak
@pytest.mark.parametrize("fault", [*KILLS, *ERRORS, *MEMORY, *RARER], ids=str)
def test_a_run_is_resumed_every_call(trial: Trial, seam: Seam, interrupted: Path, fault: Fault, report: Report) -> None:
    tried = loop(trial, seam, fault, template=interrupted, begin_at=1, stride=1)
    report(f"a run is resumed, {fault} at each call: {tried} of {tried} survived")
