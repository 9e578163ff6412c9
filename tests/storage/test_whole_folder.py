"""A folder is there whole, old or new, whatever fails on the way."""

import errno
from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage.files import write_folder
from tests.disk_faults import Faults

NEW = {"graph.pb": b"new " * 10, "variables/data": b"12", "variables/deep/index": b""}
OLD = {"graph.pb": b"old", "assets": b"x"}
# Three folders made; three files opened, written (one is empty), synced and closed; three folders opened, synced and
# closed; the rename; the folder around it synced.
CALLS = 3 + (4 + 4 + 3) + 3 * 3 + 1 + 3


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def attempt(folder: Path) -> EnvironmentFault | None:
    try:
        write_folder(folder / "a", NEW, elsewhere="choose another place")
    except EnvironmentFault as fault:
        return fault
    return None


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("there", [False, True])
def test_the_folder_holds_the_files_and_nothing_else(tmp_path: Path, there: bool) -> None:
    if there:
        write_folder(tmp_path / "a", OLD, elsewhere="go")
    write_folder(tmp_path / "a", NEW, elsewhere="go")
    assert content(tmp_path / "a") == NEW
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [False, True])
def test_each_call_failing_leaves_old_or_new(tmp_path: Path, faults: Faults, there: bool) -> None:
    before = OLD if there else {}
    for n in range(1, 100):
        folder = tmp_path / str(n)
        folder.mkdir()
        if there:
            write_folder(folder / "a", OLD, elsewhere="go")
        faults.arm(n, error=OSError(errno.ENOSPC, "x"))
        fault, calls = attempt(folder), faults.calls[:]
        faults.disarm()
        if fault is None:
            break
        renamed = "rename" in calls and calls[-1] != "rename"
        assert str(fault).startswith(f"{folder}/a: cannot create the folder: No space left on device, ")
        assert str(fault).endswith(" bytes free — free some space, or choose another place")
        assert content(folder / "a") == (NEW if renamed else before)
        assert names(folder) == (["a"] if there or renamed else [])
    assert n == CALLS + there + 1  # what is there is moved aside first
