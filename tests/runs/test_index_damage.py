"""An index that is damaged, cannot be written, or is written by two at once: everything is reported as without it."""

import errno
import hashlib
import json
import multiprocessing
import os
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.runs import index
from rnnlab.runs.find import RunTable, read_runs
from rnnlab.runs.index import FORMAT
from tests.disk_faults import Faults, Killed
from tests.faults.wrong_values import edited
from tests.runs.many_runs import COUNT, contents, path_of, remember, without_index
from tests.stored_runs import rnnlab


def sealed(results: bytes, configs: bytes = b"{}") -> bytes:
    """Return an index of `results` and `configs` with the checksums it should have."""
    parts = [zlib.compress(part, level=1) for part in (results, configs)]
    digests = [hashlib.sha256(part).hexdigest() for part in parts]
    return f"{FORMAT} {len(parts[0])} {digests[0]} {digests[1]}\n".encode() + b"".join(parts)


def forged(data: bytes, change: Callable[[list[Any]], object]) -> bytes:
    """Return the index with every result changed, and sealed again."""
    head, _, body = data.partition(b"\n")
    results = json.loads(zlib.decompress(body[: int(head.split()[1])]))
    for _, value in results.values():
        change(value)
    return sealed(json.dumps(results).encode())


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no line": lambda data: b"x" * 100,
    "cut": lambda data: data[:-1],
    "longer": lambda data: data + b" ",
    "a byte": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "another version": lambda data: data.replace(b"rnnlab-index/3", b"rnnlab-index/2"),
    "sealed: no JSON": lambda data: sealed(b"{"),
    "sealed: a list": lambda data: sealed(b"[1]"),
    "sealed: deep": lambda data: sealed(b"[" * 100_000),
    "sealed: entries of another kind": lambda data: sealed(json.dumps({path_of(Path(), 1).name: 3}).encode()),
    "sealed: results of another length": lambda data: forged(data, list.pop),
    "sealed: a state of another kind": lambda data: forged(data, lambda value: value.__setitem__(0, 3)),
    "sealed: a summary of another kind": lambda data: forged(data, lambda value: value[3].__setitem__("steps", "x")),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_is_passed_over_and_replaced(many: Path, harm: Callable[[bytes], bytes]) -> None:
    expected = contents(many)
    remember(many)
    path = many / ".index"
    data = path.read_bytes()
    path.write_bytes(harm(data))
    assert path.read_bytes() != data
    assert contents(many) == expected
    remember(many)
    assert path.read_bytes() == data


def test_an_index_with_a_wrong_value_at_any_place_is_passed_over_or_safe_to_show(many: Path) -> None:
    expected, run = contents(many)[0][1:], path_of(many, 0).name
    remember(many)
    head, _, body = (many / ".index").read_bytes().partition(b"\n")
    size = int(head.split()[1])
    results, configs = (json.loads(zlib.decompress(part)) for part in (body[:size], body[size:]))
    fields = ("state", "message", "started", "summary")
    good = {"result": dict(zip(fields, results[run][1], strict=True)), "config": configs[run][1]}
    every = list(edited(good))
    for name, bad in random.Random(14).sample(every, 16):
        is_result = name.startswith("result") and isinstance(bad["result"], dict)
        changed = list(bad["result"].values()) if is_result else bad.get("result")
        texts = [
            json.dumps({**part, run: [part[run][0], value]}).encode()
            for part, value in ((results, changed), (configs, bad.get("config")))
        ]
        (many / ".index").write_bytes(sealed(*texts))
        assert contents(many)[0][1:] == expected, name
        shown = rnnlab("list", "--runs", many, "--filter", "cell.units!=5", "--sort", "shape.timesteps")
        assert shown.code == 0, (name, shown)
        assert len(shown.lines) == COUNT + 1, (name, shown)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", shown.out + shown.err), name


def test_an_index_that_is_large_when_decompressed_is_passed_over(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = contents(many)
    remember(many)
    monkeypatch.setattr(index, "LARGEST", (many / ".index").stat().st_size)
    assert len(zlib.decompress((many / ".index").read_bytes().partition(b"\n")[2])) > index.LARGEST
    assert not any(run.is_remembered for run in read_runs(many).runs)
    assert contents(many) == expected


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_at_its_name_is_replaced_not_followed(many: Path, tmp_path: Path, dangling: bool) -> None:
    expected, victim = contents(many), tmp_path / "victim"
    remember(many)
    (many / ".index").rename(victim)
    lie = forged(victim.read_bytes(), lambda value: value[3].__setitem__("loss", 0.025))
    (many / ".index").symlink_to(tmp_path / "none" if dangling else victim)
    victim.write_bytes(lie)
    assert contents(many) == expected
    remember(many)
    assert not (many / ".index").is_symlink()
    assert victim.read_bytes() == lie
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_at_its_name_never_blocks(many: Path, make: Callable[[Path], None]) -> None:
    expected = contents(many)
    make(many / ".index")
    remember(many)
    assert contents(many) == expected


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_fault_in_writing_is_passed_over(many: Path, faults: Faults, code: int, once: bool) -> None:
    table = read_runs(many)
    for n in range(1, 20):
        faults.arm(n, error=OSError(code, os.strerror(code)), once=once)
        table.save_index()
        calls = faults.calls[:]
        faults.disarm()
        assert {path.name for path in many.glob(".*")} <= {".index"} or not once
        assert contents(many) == without_index(many)
        for path in many.glob("..index.*"):
            path.unlink()
        if len(calls) < n:
            break
    assert calls == ["open_new", "write", "fsync", "close", "rename", "open_folder", "fsync", "close"]


def test_what_a_kill_leaves_goes_in_time(many: Path, faults: Faults) -> None:
    table, expected = read_runs(many), contents(many)
    faults.arm(3, error=Killed(), once=False)
    with pytest.raises(Killed):
        table.save_index()
    faults.disarm()
    [left] = many.glob(".*")
    assert contents(many) == expected
    table.save_index()
    assert left.exists()  # it may be another process's, which is writing it now
    os.utime(left, (0, 0))
    without_index(many)
    table.save_index()
    assert [path.name for path in many.glob(".*")] == [".index"]


def again_and_again(many: Path, expected: Any) -> None:
    for _ in range(20):
        (many / ".index").unlink(missing_ok=True)
        table = read_runs(many)
        table.save_index()
        assert figures(table) == expected


def figures(table: RunTable) -> Any:
    return [(run.path, run.state, run.summary) for run in table.runs]


def test_two_processes_write_at_once(many: Path) -> None:
    expected = figures(read_runs(many))
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=again_and_again, args=(many, expected)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert [path.name for path in many.glob(".*")] == [".index"]
    assert figures(read_runs(many)) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_can_only_be_read(many: Path) -> None:
    expected = contents(many)
    many.chmod(0o555)
    remember(many)
    many.chmod(0o755)
    assert list(many.glob(".*")) == []
    assert contents(many) == expected
