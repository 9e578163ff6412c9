"""The one reader of files: plain files only, of a size that such a file can have, without ever blocking."""

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from rnnlab.core.errors import RnnlabError, VerificationError
from rnnlab.core.system_errors import reported, system_error
from rnnlab.storage import disk

# What a file is reported as whose content does not match its checksum.
CHANGED = "was changed since it was written: its content does not match its SHA-256"
_PIECE = 1 << 16  # bytes asked for at a time: they are all set aside, however small the file
_MISSING = {errno.ENOENT, errno.ENOTDIR}
_NO_SUCH_NAME = _MISSING | {errno.ENAMETOOLONG, errno.ELOOP}
# What opening a link, a socket or a folder answers.
_NOT_PLAIN = {errno.ELOOP, errno.ENXIO, errno.EISDIR}


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a plain file of at most `limit` bytes.

    Raises:
        VerificationError: It is missing, a link, a pipe, a folder or another thing that is no plain file, or too large.
        EnvironmentFault: It cannot be read.
    """
    with opened(path) as descriptor, reported("read", path):
        data = read_full(descriptor, limit + 1)
    if len(data) > limit:
        raise VerificationError(f"is larger than the {limit:,} bytes such a file can have", where=str(path))
    return data


def read_start(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of a plain file, or all it has; raises as `read_bytes`."""
    with opened(path) as descriptor, reported("read", path):
        return read_full(descriptor, size)


def read_text(path: Path, limit: int) -> str:
    """Return the content of a plain file of at most `limit` bytes of UTF-8; raises as `read_bytes`."""
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as fault:
        raise VerificationError(f"is not UTF-8 at byte {fault.start}", where=str(path)) from fault


def read_lines(path: Path, longest: int) -> Generator[bytes, None, None]:
    """Yield the lines of a plain file with their ends, which the last may lack.

    A line of more than `longest` bytes is yielded cut after one byte more than that, and is the last.

    Raises:
        VerificationError: It is missing or no plain file.
        EnvironmentFault: It cannot be read.
    """
    rest = b""
    with opened(path) as descriptor:
        while (piece := _piece(descriptor, path)) and len(rest) <= longest:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield (line + b"\n")[: longest + 1]
                if len(line) >= longest:
                    return
    if rest:
        yield rest[: longest + 1]


def _piece(descriptor: int, path: Path) -> bytes:
    with reported("read", path):
        return disk.read(descriptor, _PIECE)


def open_plain(path: Path, *, append: bool = False) -> int:
    """Open a plain file for reading, or to append to it (then created if absent), and return its descriptor.

    Raises:
        VerificationError: It is no plain file; or, to be read, missing.
        EnvironmentFault: It cannot be opened.
    """
    try:
        descriptor = disk.open_append(path) if append else disk.open_read(path)
    except OSError as fault:
        raise _not_opened(path, fault, append=append) from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        _close(descriptor)
        raise _not_plain(path)
    return descriptor


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a plain file for reading, and close it at the end of the block; raises as `open_plain`."""
    descriptor = open_plain(path)
    try:
        yield descriptor
    finally:
        _close(descriptor)


def read_full(descriptor: int, count: int) -> bytes:
    """Return the next `count` bytes, fewer at the end of the file; raise `OSError` where that fails."""
    pieces = []
    while count and (piece := disk.read(descriptor, min(count, _PIECE))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def kind(path: Path, *, follow: bool = False) -> Literal["missing", "file", "folder", "other"]:
    """Return what `path` itself is: a link is `other`; with `follow`, what it leads to.

    Raises:
        EnvironmentFault: The folder cannot be read.
    """
    try:
        mode = path.stat(follow_symlinks=follow).st_mode
    except OSError as fault:
        if fault.errno in _NO_SUCH_NAME:
            return "missing"
        raise system_error("look at", path, fault) from fault
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def _not_opened(path: Path, fault: OSError, *, append: bool) -> RnnlabError:
    if fault.errno in _NOT_PLAIN:
        return _not_plain(path)
    if fault.errno in _MISSING and not append:
        return VerificationError("is missing", where=str(path))
    return system_error("open", path, fault)


def _not_plain(path: Path) -> VerificationError:
    return VerificationError("is not a plain file (a link, a folder, a pipe or a device)", where=str(path))


def _close(descriptor: int) -> None:
    with suppress(OSError):  # what was read is read; and the descriptor is gone all the same
        disk.close(descriptor)
