import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.storage.reading import kind, read_bytes, read_lines
from tests.disk_faults import Faults


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


NOT_PLAIN: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to("/dev/zero"),
    "link_to_file": lambda path: path.symlink_to(__file__),
    "loop": lambda path: path.symlink_to(path),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": bind,
}


@pytest.mark.parametrize("make", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_only_plain_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "a"
    make(path)
    with pytest.raises(VerificationError) as caught:
        read_bytes(path, 100)
    assert str(caught.value) == f"{path}: is not a plain file (a link, a folder, a pipe or a device)"


@pytest.mark.parametrize("path", ["missing", "file/below"])
def test_missing_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"is missing$"):
        read_bytes(tmp_path / path, 100)


def test_limit_is_exact_and_holds_for_a_file_that_lies_about_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(VerificationError, match="is larger than the 4 bytes such a file can have"):
        read_bytes(tmp_path / "a", 4)
    assert Path("/proc/self/status").stat().st_size == 0
    with pytest.raises(VerificationError, match="is larger than the 64 bytes"):
        read_bytes(Path("/proc/self/status"), 64)


def test_refusal_to_read_is_a_fault_of_the_machine(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    for n, action in ((1, "open"), (2, "read")):
        faults.arm(n, error=OSError(errno.EACCES, ""))
        with pytest.raises(EnvironmentFault) as caught:
            read_bytes(tmp_path / "a", 5)
        assert caught.value.problem == f"cannot {action}: Permission denied"


def test_kind_looks_at_the_thing_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    found = [kind(tmp_path / name) for name in ("", "file", "link", "no", "file/x", "n" * 300)]
    assert found == ["folder", "file", "other", "missing", "missing", "missing"]


def test_a_close_that_fails_takes_nothing_from_what_was_read(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "a").write_bytes(b"x")
    faults.arm(4)
    assert read_bytes(tmp_path / "a", 10) == b"x"
    assert faults.calls == ["open_read", "read", "read", "close"]


@pytest.mark.parametrize("longest", [5, 65_536, 70_000])
def test_lines_come_whole_however_they_lie_in_the_pieces_that_are_read(tmp_path: Path, longest: int) -> None:
    """A piece is 65,536 bytes: here one ends within a line, at the end of one, and before it."""
    lines = [b"a" * 65_530 + b"\n", b"\n", b"\r\x0b\x85\n", b"b" * 65_535 + b"\n", b"c" * 65_536 + b"\n", b"end"]
    (tmp_path / "a").write_bytes(b"".join(lines))
    too_long = next((n for n, line in enumerate(lines) if len(line) > longest), len(lines))
    cut = [line[: longest + 1] for line in lines[too_long : too_long + 1]]
    assert list(read_lines(tmp_path / "a", longest)) == lines[:too_long] + cut


def test_a_line_without_an_end_is_not_read_on_and_on() -> None:
    """Nothing but NUL bytes, and no end of them."""
    with pytest.raises(VerificationError, match="is not a plain file"):
        next(read_lines(Path("/dev/zero"), 100))


def test_a_file_that_becomes_unreadable_is_told(tmp_path: Path, faults: Faults) -> None:
    (tmp_path / "a").write_bytes(b"1\n2\n")
    faults.arm(3, error=OSError(errno.EIO, ""))
    lines = read_lines(tmp_path / "a", 100)
    assert [next(lines), next(lines)] == [b"1\n", b"2\n"]
    with pytest.raises(EnvironmentFault, match="cannot read: Input/output error"):
        next(lines)
