"""Every call that changes a file or opens one, and nothing else: the one seam between rnnlab and the disk.

The functions do what the operating system does and raise what it raises (`OSError`). Tests replace them one by one to
fail, cut short or kill at the N-th call; a call that went round this module would go untested.
"""

import os
import time
from pathlib import Path

# Absent on some systems, where they are not needed either; without O_BINARY, Windows would change the ends of lines.
_SAFE = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
CAN_OPEN_FOLDERS = hasattr(os, "O_DIRECTORY")  # on Windows no folder can be, and the system syncs names itself
# Windows renames nothing, and deletes nothing, that anybody has open: a reader does for milliseconds, a virus scanner
# for longer. Seconds to wait, in turn, before the next try.
_PATIENCE = () if CAN_OPEN_FOLDERS else (0.01, 0.1, 0.5, 2.0)

CALLS = (
    "open_new",
    "open_append",
    "open_read",
    "open_folder",
    "read",
    "write",
    "fsync",
    "close",
    "rename",
    "link",
    "unlink",
    "mkdir",
)


def open_new(path: Path) -> int:
    """Create `path` for writing, mode 0666 less the umask; raise `FileExistsError` where anything is there."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o666)


def open_append(path: Path) -> int:
    """Open `path` so that each write lands at its end, created if absent; never through a link, never blocking."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _SAFE, 0o666)


def open_read(path: Path) -> int:
    """Open `path` for reading; never through a link, never blocking on a pipe."""
    return os.open(path, os.O_RDONLY | _SAFE)


def open_folder(path: Path) -> int:
    """Open a folder, to be synced."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def read(descriptor: int, count: int) -> bytes:
    """Read at most `count` bytes; none at the end of the file."""
    return os.read(descriptor, count)


def write(descriptor: int, data: bytes | memoryview) -> int:
    """Write as much of `data` as the system takes, and return how many bytes that was."""
    return os.write(descriptor, data)


def fsync(descriptor: int) -> None:
    """Wait until the content is on the disk."""
    os.fsync(descriptor)


def close(descriptor: int) -> None:
    """Close the file."""
    os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Give `source` the name `target`, in one step, replacing what has it."""
    for seconds in _PATIENCE:
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(seconds)
        else:
            return
    source.replace(target)


def link(source: Path, target: Path) -> None:
    """Give the file `source` the second name `target`; raise `FileExistsError` where anything has it."""
    target.hardlink_to(source)


def unlink(path: Path) -> None:
    """Remove a file, or a link without following it."""
    path.unlink()


def mkdir(path: Path) -> None:
    """Create a folder; raise `FileExistsError` where anything is there."""
    path.mkdir()
