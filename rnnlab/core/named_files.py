"""The one reader of files that a user names: configs, what they extend, the data of a task.

Links are followed: the user may have made them. What they lead to must be a regular file on a disk. Nothing else is
opened, because that alone can wait, or have an effect: a pipe, a device, a file in which the system reports its state.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from rnnlab.core.errors import UsageError

_PIECE = 1 << 20  # bytes; between two pieces a signal is handled
# Should the file become a pipe or a terminal between the look and the open; some systems have not all of these.
_SAFE = [getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")]
_OF_THE_SYSTEM = ("/proc", "/sys")


def home_expanded(text: str | Path) -> Path:
    """Return a path that the user gave, with a `~` at its start replaced by the home folder, as a shell does.

    A shell leaves it where it follows an equals sign, and so do cron, systemd and Dockerfiles; taken as it is, it would
    become a folder that is called `~`.

    Raises:
        UsageError: There is no such user, or the text cannot be a path.

    Example:
        >>> str(home_expanded("a/~/b")), home_expanded("~/b") == Path.home() / "b"
        ('a/~/b', True)
    """
    path = Path(text)
    if "\0" in str(path):
        raise UsageError("contains the character NUL, which no path can", where=str(path))
    first = path.parts[0] if path.parts else ""
    if not first.startswith("~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        if path == Path(first):  # a file beside us, as some editors make it
            return path
        hint = f"write ~/… for your home folder, or ./{first} for a folder of that name"
        raise UsageError(f"there is no user {first[1:61]!r}", where=str(path), hint=hint) from None


def read_named(path: Path, limit: int, *, hint: str) -> bytes:
    """Return the content of the regular file that `path` leads to, if it has `limit` bytes at most.

    `hint` says what to do where it cannot be used.

    Raises:
        FileNotFoundError: There is none.
        UsageError: It is no regular file, larger, cannot be read, or changes while it is read.
    """
    with _opened(path, limit, hint) as (descriptor, status):
        return b"".join(_pieces(descriptor, status.st_size, hint))


def sha256_of(path: Path, limit: int, *, hint: str) -> str:
    """Return the SHA-256 of the content, 64 hex digits; a file is read again only once it has changed.

    Raises: See `read_named`.
    """
    with _opened(path, limit, hint) as (_, status):
        stamp = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return _sha256(path, limit, hint, stamp)


@lru_cache(maxsize=64)
def _sha256(path: Path, limit: int, hint: str, _: tuple[int, ...]) -> str:
    digest = hashlib.sha256()
    with _opened(path, limit, hint) as (descriptor, status):
        for piece in _pieces(descriptor, status.st_size, hint):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path, limit: int, hint: str) -> Iterator[tuple[int, os.stat_result]]:
    try:
        _require_regular(path.stat(), hint)
        descriptor = os.open(path, os.O_RDONLY | sum(_SAFE))
        try:
            status = os.fstat(descriptor)
            _require_regular(status, hint)
            if status.st_size > limit:
                raise UsageError(f"has {status.st_size:,} bytes, more than the {limit:,} that are read", hint=hint)
            yield descriptor, status
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"cannot be read: {reason}", hint=hint) from None


def _require_regular(status: os.stat_result, hint: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError("is a folder, a pipe or a device, expected a regular file", hint=hint)
    # In a bare chroot they are plain folders of the disk.
    if status.st_dev in {Path(name).stat().st_dev for name in _OF_THE_SYSTEM if os.path.ismount(name)}:
        raise UsageError(f"is in {' or '.join(_OF_THE_SYSTEM)}, expected a file on a disk", hint=hint)


def _pieces(descriptor: int, size: int, hint: str) -> Iterator[bytes]:
    left = size + 1
    while left and (piece := os.read(descriptor, min(left, _PIECE))):
        yield piece
        left -= len(piece)
    if left != 1:
        raise UsageError("changed while it was read, or is not on a disk", hint=hint)
