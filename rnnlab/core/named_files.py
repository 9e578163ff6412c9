"""The one reader of files that a user names: configs, what they extend, the data of a task.

Links are followed: the user may have made them. What they lead to must be a regular file on a disk. Nothing else is
opened, because that alone can wait, or have an effect: a pipe, a device, a file in which the system reports its state.
"""

import os
import stat
from pathlib import Path

from rnnlab.core.errors import UsageError

_PIECE = 1 << 20  # bytes; between two pieces a signal is handled
# Should the file become a pipe or a terminal between the look and the open; some systems have not all of these.
_SAFE = [getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")]
_OF_THE_SYSTEM = ("/proc", "/sys")


def read_named(path: Path, limit: int, *, hint: str) -> bytes:
    """Return the content of the regular file that `path` leads to.

    Args:
        path: As the user named it.
        limit: The most bytes that such a file has.
        hint: What to do where it cannot be used.

    Raises:
        FileNotFoundError: There is none.
        UsageError: It is no regular file, larger, cannot be read, or changes while it is read.
    """
    try:
        _require_regular(path.stat(), hint)
        descriptor = os.open(path, os.O_RDONLY | sum(_SAFE))
        try:
            status = os.fstat(descriptor)
            _require_regular(status, hint)
            if status.st_size > limit:
                raise UsageError(f"has {status.st_size:,} bytes, more than the {limit:,} that are read", hint=hint)
            content = _read_up_to(descriptor, status.st_size + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"cannot be read: {reason}", hint=hint) from None
    if len(content) != status.st_size:
        raise UsageError("changed while it was read, or is not on a disk", hint=hint)
    return content


def _require_regular(status: os.stat_result, hint: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError("is a folder, a pipe or a device, expected a regular file", hint=hint)
    if status.st_dev in {Path(name).stat().st_dev for name in _OF_THE_SYSTEM if Path(name).is_dir()}:
        raise UsageError(f"is in {' or '.join(_OF_THE_SYSTEM)}, expected a file on a disk", hint=hint)


def _read_up_to(descriptor: int, count: int) -> bytes:
    pieces = []
    while count and (piece := os.read(descriptor, min(count, _PIECE))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
