"""One run of many whose reading fails in a way that nobody thought of: all commands show the others."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import rnnlab as package
from rnnlab.storage import RunFolder, Status
from tests.stored_runs import rnnlab, store

POISONED = "20261122T102531Z-run-000050"
UNEXPECTED = [AttributeError("\x1b[31m"), OverflowError(""), RecursionError("x" * 10_000), MemoryError(), KeyError("a")]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    first = store(root, "run-000000")
    for number in range(1, 100):
        shutil.copytree(first.path, root / f"{first.name[:-6]}{number:06d}")
    return root


@pytest.fixture
def many(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNLAB_RUNS", str(stored))
    return stored


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_the_other_99_runs_are_shown(many: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    read = RunFolder.read_status

    def fail(folder: RunFolder) -> Status:
        if folder.name == POISONED:
            raise error
        return read(folder)

    monkeypatch.setattr(RunFolder, "read_status", fail)
    listed = rnnlab("list", "--json")
    (damaged,) = listed.json["damaged"]
    assert (listed.code, len(listed.json["runs"]), damaged["run"]) == (0, 99, POISONED)
    assert type(error).__name__ in damaged["reason"]
    shown = rnnlab("list", "--sort", "loss", "--filter", "cell.units>=1")
    assert (shown.code, len(shown.lines)) == (0, 101)
    assert shown.err.startswith(f"rnnlab: warning: {many / POISONED}: a bug in rnnlab: {type(error).__name__}")
    assert len(shown.err) < 1000
    assert "\x1b" not in shown.err
    if find_spec("pandas"):
        assert len(package.table()) == 99
    compared = rnnlab("compare", many, "--format", "csv")
    assert (compared.code, len(compared.lines)) == (4, 100)
    assert POISONED in compared.err


def test_the_latest_is_the_latest_that_can_be_read(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = RunFolder.read_status

    def fail(folder: RunFolder) -> Status:
        if folder.name.endswith("99"):
            raise OverflowError
        return read(folder)

    monkeypatch.setattr(RunFolder, "read_status", fail)
    assert package.open_run("latest").name.endswith("98")
