"""Stored files that were cut, flipped, zeroed or mixed up: never a wrong number, and never silently."""

from collections.abc import Callable

import pytest

from rnnlab.core.errors import VerificationError
from rnnlab.storage import RunFolder
from rnnlab.storage.metrics import Metrics
from rnnlab.training.events import Started
from rnnlab.training.resume import resume
from tests.faults.oracle import Trial
from tests.faults.seam import Fault, Seam
from tests.training.resuming import account

Harm = Callable[[bytes, int], bytes]


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]


def zero(data: bytes, at: int) -> bytes:
    """A block that was never written."""
    return data[:at] + bytes(min(512, len(data) - at)) + data[at + 512 :]


HARMS: list[Harm] = [cut, flip, zero]


@pytest.fixture
def interrupted(trial: Trial, seam: Seam) -> RunFolder:
    """A run that was killed in its last step, with checkpoints of steps 0 and 2 and a record of step 2."""
    folder = trial.place / "interrupted"
    trial.run(trial.place / "counted")
    last = [n for n, name in enumerate(seam.calls) if name == "rename"]
    for at in range(last[-7], 1, -1):
        seam.arm(at, Fault())
        trial.run(folder)
        seam.end_process()
        run = RunFolder(folder)
        if run.checkpoints().steps() == [2, 0]:
            return run
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    raise AssertionError


def outcome(run: RunFolder) -> tuple[Started | None, str]:
    """Resume; return how it began, or the error."""
    try:
        events = list(resume(run, argv=[], force_unlock=True))
    except VerificationError as error:
        return None, str(error)
    assert isinstance(events[0], Started)
    return events[0], ""


@pytest.mark.parametrize("harm", HARMS)
def test_a_checkpoint_at_many_bytes(interrupted: RunFolder, harm: Harm) -> None:
    """Every bit counts: damage anywhere is an error that names the file."""
    checkpoints = interrupted.checkpoints()
    path = checkpoints.path(2)
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        harmed = harm(data, at)
        path.write_bytes(harmed)
        if harmed == data:
            continue
        with pytest.raises(VerificationError) as error:
            checkpoints.load(2)
        assert str(error.value).startswith(str(path)), at


@pytest.mark.parametrize("harm", HARMS)
def test_resumed_past_a_damaged_checkpoint(trial: Trial, interrupted: RunFolder, harm: Harm) -> None:
    path = interrupted.checkpoints().path(2)
    data = path.read_bytes()
    for at in range(8, len(data), len(data) // 5):
        run = RunFolder(trial.copy(interrupted.path, f"{harm.__name__}-{at}"))
        run.checkpoints().path(2).write_bytes(harm(data, at))
        started, _ = outcome(run)
        assert started is not None
        assert started.step == 0
        assert started.notes[0].startswith("step-0000000002-0001.safetensors "), at
        assert started.notes[1] == "resuming from the checkpoint of step 0: 2 steps will be trained again"
        assert account(run) == trial.whole


def read(run: RunFolder) -> Metrics | str:
    try:
        return run.read_metrics()
    except VerificationError as error:
        return str(error)


@pytest.mark.parametrize("harm", HARMS)
def test_metrics_at_every_byte(interrupted: RunFolder, harm: Harm) -> None:
    """An error that names the line; or the whole records before the damage, with the rest reported as torn."""
    path = interrupted.path / "metrics.jsonl"
    data = path.read_bytes()
    records = interrupted.read_metrics().records
    for at in range(len(data)):
        harmed = harm(data, at)
        path.write_bytes(harmed)
        if harmed == data:
            continue
        found = read(interrupted)
        if isinstance(found, str):
            assert found.startswith(f"{path}:"), at
            continue
        assert found.records == records[: len(found.records)], at
        assert len(found.records) >= data[:at].count(b"\n"), at
        assert found.torn == (not harmed.endswith(b"\n") or b"\0" in harmed) or harmed in data, at


@pytest.mark.parametrize("harm", HARMS)
def test_resumed_with_damaged_metrics(trial: Trial, interrupted: RunFolder, harm: Harm) -> None:
    """Damage before all checkpoints is an error that names the line; with damage after one, that one is used."""
    data = (interrupted.path / "metrics.jsonl").read_bytes()
    seen = set()
    for at in sorted({*range(0, len(data), len(data) // 7), len(data) - 1}):  # the length varies with the seconds
        run = RunFolder(trial.copy(interrupted.path, f"{harm.__name__}-{at}"))
        (run.path / "metrics.jsonl").write_bytes(harm(data, at))
        started, refusal = outcome(run)
        seen.add(started and started.step)
        if started is None:
            assert "no checkpoint can be used: metrics.jsonl" in refusal, at
            continue
        assert bool(started.notes) == (started.step != 2)
        assert account(run) == trial.whole
    assert seen == {None, 0}


@pytest.mark.parametrize("name", ["status.json", "resolved.yaml", "provenance.json"])
@pytest.mark.parametrize("harm", HARMS)
def test_other_files(trial: Trial, interrupted: RunFolder, name: str, harm: Harm) -> None:
    """A change is an error that names the file, or it changes no value."""
    data = (interrupted.path / name).read_bytes()
    for at in range(1, len(data), len(data) // 12):
        run = RunFolder(trial.copy(interrupted.path, f"{harm.__name__}-{at}"))
        (run.path / name).write_bytes(harm(data, at))
        started, refusal = outcome(run)
        assert (started is None) == bool(refusal)
        if started is None:
            assert str(run.path) in refusal, at
        else:
            assert account(run) == trial.whole, at
