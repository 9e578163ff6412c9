import errno
import os
import re
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import disk
from rnnlab.storage.files import ensure_folder, make_folder, probe, write_atomic
from tests.disk_faults import Faults, Killed

OLD, NEW = b"old " * 1000, b"new " * 1500

WRITE = ["open_new", "write", "fsync", "close", "rename", "open_folder", "fsync", "close"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def attempt(path: Path) -> EnvironmentFault | None:
    try:
        write_atomic(path, NEW)
    except EnvironmentFault as fault:
        return fault
    return None


def test_write_pushes_content_then_name_to_the_disk(tmp_path: Path, faults: Faults) -> None:
    write_atomic(tmp_path / "a", NEW)
    assert faults.calls == WRITE
    assert (tmp_path / "a").read_bytes() == NEW


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("once", [True, False])
def test_each_call_failing_leaves_old_or_new(tmp_path: Path, faults: Faults, once: bool, late: bool, code: int) -> None:
    path = tmp_path / "a"
    for n in range(1, 100):
        path.write_bytes(OLD)
        faults.arm(n, error=OSError(code, os.strerror(code)), once=once, late=late)
        fault = attempt(path)
        faults.disarm()
        if fault is None:
            break
        assert fault.where == str(path)
        assert fault.problem.startswith(f"cannot write 6,000 bytes: {os.strerror(code)}")
        renamed = n > 5 or (n == 5 and late)
        assert path.read_bytes() == (NEW if renamed else OLD)
        if once:
            assert names(tmp_path) == ["a"]
    assert n == len(WRITE) + 1
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_each_call_leaves_old_or_new_and_the_next_write_works(
    tmp_path: Path, faults: Faults, late: bool
) -> None:
    path = tmp_path / "a"
    for n in range(1, len(WRITE) + 1):
        path.write_bytes(OLD)
        faults.arm(n, error=Killed(), once=False, late=late)
        with pytest.raises(Killed):
            write_atomic(path, NEW)
        faults.disarm()
        assert path.read_bytes() == (NEW if n > 5 or (n == 5 and late) else OLD)
        assert all(re.fullmatch(r"a|\.a\.[0-9a-f]{16}\.tmp", name) for name in names(tmp_path))
    write_atomic(path, b"x")
    assert path.read_bytes() == b"x"


def test_interrupt_removes_the_temporary(tmp_path: Path, faults: Faults) -> None:
    faults.arm(3, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", NEW)
    assert names(tmp_path) == []


def test_failed_fsync_is_not_tried_again(tmp_path: Path, faults: Faults) -> None:
    faults.arm(3)
    with pytest.raises(EnvironmentFault):
        write_atomic(tmp_path / "a", NEW)
    assert faults.calls == ["open_new", "write", "fsync", "close", "unlink"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "write", lambda descriptor, data: os.write(descriptor, data[:7]))
    write_atomic(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_a_write_that_takes_nothing_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "write", lambda descriptor, data: 0)
    with pytest.raises(EnvironmentFault, match="cannot write 6,000 bytes: Input/output error"):
        write_atomic(tmp_path / "a", NEW)
    assert names(tmp_path) == []


def test_full_disk_is_told_with_what_is_free_and_what_to_do(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        (617, 9, 9): ", 1,234 bytes free",
        (617, 9, 0): ", no more files can be made there (no free inodes)",
        (617, 0, 0): ", 1,234 bytes free",  # a file system that has no such limit
    }
    for (blocks, files, left), said in told.items():
        state = SimpleNamespace(f_blocks=9999, f_bavail=blocks, f_frsize=2, f_files=files, f_favail=left)
        monkeypatch.setattr("os.statvfs", lambda path, state=state: state)
        faults.arm(2, error=OSError(errno.ENOSPC, "x"))
        with pytest.raises(EnvironmentFault) as caught:
            write_atomic(tmp_path / "a", b"12345")
        assert str(caught.value) == (
            f"{tmp_path}/a: cannot write 5 bytes: No space left on device{said}"
            " — free some space, or keep the runs elsewhere with --runs DIR or RNNLAB_RUNS"
        )
        assert caught.value.exit_code == 5


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o000, 0o666), (0o027, 0o640)])
def test_mode_follows_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "a", NEW)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(OLD)
    (tmp_path / "a").symlink_to("victim")
    write_atomic(tmp_path / "a", NEW)
    assert (tmp_path / "victim").read_bytes() == OLD
    assert (tmp_path / "a").read_bytes() == NEW
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to])
def test_link_planted_at_the_temporary_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: object
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda count: "0" * 16)
    (tmp_path / "victim").write_bytes(OLD)
    plant(tmp_path / ".a.0000000000000000.tmp", tmp_path / "victim")  # type: ignore[operator]
    with pytest.raises(EnvironmentFault, match="File exists"):
        write_atomic(tmp_path / "a", NEW)
    assert (tmp_path / "victim").read_bytes() == OLD


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_file_system_without_folder_sync_is_accepted(tmp_path: Path, faults: Faults, code: int) -> None:
    faults.arm(7, error=OSError(code, ""))
    write_atomic(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_make_folder_is_exclusive_and_synced(tmp_path: Path, faults: Faults) -> None:
    assert make_folder(tmp_path, "a") == tmp_path / "a"
    assert faults.calls == ["mkdir", "open_folder", "fsync", "close"]
    with pytest.raises(FileExistsError):
        make_folder(tmp_path, "a")


def test_ensure_folder_makes_parents_and_refuses_a_file(tmp_path: Path) -> None:
    ensure_folder(tmp_path / "a" / "b")
    ensure_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFault) as caught:
        ensure_folder(tmp_path / "file")
    assert caught.value.problem == "is not a folder, and a folder is needed"


def test_probe_leaves_nothing_and_fails_where_any_call_fails(tmp_path: Path, faults: Faults) -> None:
    probe(tmp_path)
    assert faults.calls == [*WRITE, *WRITE[:5], "open_append", "write", "close", "unlink"]
    for n in range(1, len(faults.calls) + 1):
        faults.arm(n)
        with pytest.raises(EnvironmentFault):
            probe(tmp_path)
        faults.disarm()
    assert [name for name in names(tmp_path) if not name.endswith(".tmp")] == []
