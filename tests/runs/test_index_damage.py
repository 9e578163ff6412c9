"""An index that is damaged, cannot be written, or is written by two at once: all is told as without it."""

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.runs.index import Index
from rnnlab.runs.rows import read_table
from tests.disk_faults import Faults, Killed
from tests.runs.many_runs import NOW, path_of, remember, told, without_index


def sealed(entries: Any) -> bytes:
    """Return an index of `entries` as rnnlab would write it."""
    from rnnlab.runs.rows import _VERSION

    one = Index(Path("/nowhere"), name="rows", files=(), version=_VERSION)
    return one._sealed(entries if isinstance(entries, bytes) else json.dumps(entries).encode())


def forged(many: Path, change: Callable[[list[Any]], object]) -> bytes:
    entries = json.loads((many / ".index.rows").read_bytes().partition(b"\n")[2])
    for entry in entries.values():
        change(entry)
    return sealed(entries)


DAMAGE: dict[str, Callable[[Path, bytes], bytes]] = {
    "empty": lambda many, data: b"",
    "no line": lambda many, data: b"x" * 100,
    "cut": lambda many, data: data[:-1],
    "longer": lambda many, data: data + b" ",
    "a digit": lambda many, data: data.replace(b"0.125", b"0.025"),
    "another version": lambda many, data: data.replace(b"rnnlab-index/1", b"rnnlab-index/2"),
    "sealed: no JSON": lambda many, data: sealed(b"{"),
    "sealed: a list": lambda many, data: sealed([1]),
    "sealed: deep": lambda many, data: sealed(b"[" * 100_000),
    "sealed: not UTF-8": lambda many, data: sealed(b"\xff"),
    "sealed: entries of another kind": lambda many, data: sealed({path_of(many, 1).name: 3}),
    "sealed: rows of another kind": lambda many, data: forged(many, lambda entry: entry.__setitem__(1, {})),
    "sealed: rows of another length": lambda many, data: forged(many, lambda entry: entry[1].pop()),
    "sealed: infinity": lambda many, data: sealed(forged(many, len).partition(b"\n")[2].replace(b"0.125", b"1e999")),
    "sealed: times of another kind": lambda many, data: forged(
        many, lambda entry: entry.__setitem__(1, ["x" if str(v).startswith("2026") else v for v in entry[1]])
    ),
    "sealed: states of another kind": lambda many, data: forged(
        many, lambda entry: entry.__setitem__(1, ["running" if v == "completed" else v for v in entry[1]])
    ),
    "sealed: steps of another kind": lambda many, data: forged(
        many, lambda entry: entry.__setitem__(1, ["3000" if v == 3000 else v for v in entry[1]])
    ),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_is_passed_over_and_replaced(many: Path, harm: Callable[[Path, bytes], bytes]) -> None:
    expected = told(many)
    remember(many)
    path = many / ".index.rows"
    data = path.read_bytes()
    path.write_bytes(harm(many, data))
    assert path.read_bytes() != data
    assert told(many) == expected
    remember(many)
    assert path.read_bytes() == data


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_at_its_name_is_replaced_not_followed(many: Path, tmp_path: Path, dangling: bool) -> None:
    expected, victim = told(many), tmp_path / "victim"
    remember(many)
    (many / ".index.rows").rename(victim)
    lie = victim.read_bytes().replace(b"0.125", b"0.025")
    (many / ".index.rows").symlink_to(tmp_path / "none" if dangling else victim)
    victim.write_bytes(lie)
    assert told(many) == expected
    remember(many)
    assert not (many / ".index.rows").is_symlink()
    assert victim.read_bytes() == lie
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_at_its_name_never_blocks(many: Path, make: Callable[[Path], None]) -> None:
    expected = told(many)
    for name in ("rows", "configs"):
        make(many / f".index.{name}")
    remember(many)
    assert told(many) == expected


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_fault_in_writing_is_passed_over(many: Path, faults: Faults, code: int, once: bool) -> None:
    table = read_table(many, now=NOW)
    for n in range(1, 20):
        faults.arm(n, error=OSError(code, os.strerror(code)), once=once)
        table.remember()
        calls = faults.calls[:]
        faults.disarm()
        assert {path.name for path in many.glob(".*")} <= {".index.rows"} or not once
        assert told(many) == without_index(many)
        for path in many.glob("..index.*"):
            path.unlink()
        if len(calls) < n:
            break
    assert calls == ["open_new", "write", "fsync", "close", "rename", "open_folder", "fsync", "close"]


def test_what_a_kill_leaves_goes_in_time(many: Path, faults: Faults) -> None:
    table, expected = read_table(many, now=NOW), told(many)
    faults.arm(3, error=Killed(), once=False)
    with pytest.raises(Killed):
        table.remember()
    faults.disarm()
    [left] = many.glob(".*")
    assert told(many) == expected
    table.remember()
    assert left.exists()  # it may be another process's, which is writing it now
    os.utime(left, (0, 0))
    without_index(many)
    table.remember()
    assert [path.name for path in many.glob(".*")] == [".index.rows"]


def again_and_again(many: Path, expected: Any) -> None:
    for _ in range(20):
        (many / ".index.rows").unlink(missing_ok=True)
        table = read_table(many, now=NOW)
        table.remember()
        assert [row.values for row in table.rows] == expected


def test_two_processes_write_at_once(many: Path) -> None:
    expected = [row.values for row in read_table(many, now=NOW).rows]
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=again_and_again, args=(many, expected)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert [path.name for path in many.glob(".*")] == [".index.rows"]
    assert [values for (values, *_) in told(many)[0]] == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_can_only_be_read(many: Path) -> None:
    expected = told(many)
    many.chmod(0o555)
    remember(many)
    many.chmod(0o755)
    assert list(many.glob(".*")) == []
    assert told(many) == expected
