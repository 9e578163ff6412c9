"""Files that a user names: what is no regular file on a disk is not even opened."""

import os
import time
from pathlib import Path

import pytest

from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import read_named


def problem(path: Path | str, limit: int = 1000) -> str:
    with pytest.raises(UsageError) as error:
        read_named(Path(path), limit, hint="another")
    assert error.value.hint == "another"
    return error.value.problem


def test_a_file_is_read_whole_through_links(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").symlink_to("a")
    assert read_named(tmp_path / "b", len(content), hint="") == content
    assert problem(tmp_path / "b", len(content) - 1) == "has 3,000,001 bytes, more than the 3,000,000 that are read"
    with pytest.raises(FileNotFoundError):
        read_named(tmp_path / "none", 1, hint="")


SYSTEM = ["/proc/kmsg", "/proc/self/environ", "/proc/self/mem", "/proc/kcore", "/sys/kernel/uevent_seqnum"]
DEVICES = ["/dev/zero", "/dev/tty", "/dev/full", "/dev/random", "/proc", "pipe"]


@pytest.mark.parametrize("name", SYSTEM + DEVICES)
def test_nothing_else_is_opened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    if not path.exists():
        pytest.skip("not on this system")
    monkeypatch.setattr(os, "open", None)
    began = time.perf_counter()
    (tmp_path / "link").symlink_to(path)
    for one in (path, tmp_path / "link"):
        if name in SYSTEM:
            assert problem(one) == "is in /proc or /sys, expected a file on a disk"
        else:
            assert problem(one) == "is a folder, a pipe or a device, expected a regular file"
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("change", [b"", b"12", b"12345"])
def test_a_file_that_changes_meanwhile_is_refused(
    tmp_path: Path, change: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    real = os.fstat

    def look(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        (tmp_path / "a").write_bytes(change)
        return status

    monkeypatch.setattr(os, "fstat", look)
    assert problem(tmp_path / "a") == "changed while it was read, or is not on a disk"


def test_a_regular_file_that_becomes_a_pipe_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    real = os.open

    def swap(path: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap)
    assert problem(tmp_path / "a") == "is a folder, a pipe or a device, expected a regular file"


def test_a_file_that_would_have_to_be_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"1234")

    def wait(descriptor: int, count: int) -> bytes:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "read", wait)
    assert problem(tmp_path / "a") == "cannot be read: Resource temporarily unavailable"
