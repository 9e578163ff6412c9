"""System errors as the user reads them: the path, the reason, what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.threads import MORE_PROCESSES

ELSEWHERE = "keep the runs elsewhere with --runs DIR or RNNLAB_RUNS"

_LACKING = {errno.ENOTSUP, errno.ENOSYS}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MORE_FILES = "raise the limit on open files (ulimit -n)"
_LIMITS = {errno.EMFILE: _MORE_FILES, errno.ENFILE: _MORE_FILES, errno.EAGAIN: MORE_PROCESSES}


@contextmanager
def reported(action: str, path: Path, *, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn an `OSError` inside the block into an `EnvironmentFault`.

    Args:
        action: What was tried, as in "cannot `action`": `write 120 bytes`.
        path: The file or folder it was tried on.
        elsewhere: How the user chooses another place.

    Raises:
        EnvironmentFault: There was one; the hint fits the reason.
    """
    try:
        yield
    except OSError as fault:
        raise system_error(action, path, fault, elsewhere=elsewhere) from fault


def system_error(action: str, path: Path, fault: OSError, *, elsewhere: str = ELSEWHERE) -> EnvironmentFault:
    """Return the error to raise for `fault`; the arguments are those of `reported`."""
    return EnvironmentFault(f"cannot {action}: {_reason(fault, path)}", where=str(path), hint=_hint(fault, elsewhere))


def _reason(fault: OSError, path: Path) -> str:
    reason = os.strerror(fault.errno) if fault.errno else str(fault)
    return reason + (_free_space(path) if fault.errno == errno.ENOSPC else "")


def _free_space(path: Path) -> str:
    try:
        state = os.statvfs(path.parent)
    except (AttributeError, OSError):  # Windows does not have it
        return ""
    if state.f_files and not state.f_favail:
        return ", no more files can be made there (no free inodes)"
    if not state.f_blocks:  # not reported
        return ""
    return f", {state.f_bavail * state.f_frsize:,} bytes free"


def limit_hint(fault: OSError) -> str:
    """Return how to raise the limit that a call of the system ran into; empty if it was none."""
    # A stream that does not block has the same number, and a text of Python's own.
    is_of_system = fault.errno is not None and fault.strerror == os.strerror(fault.errno)
    return _LIMITS.get(fault.errno, "") if fault.errno and is_of_system else ""


def _hint(fault: OSError, elsewhere: str) -> str:
    if fault.errno == errno.ENOSPC:
        return f"free some space, or {elsewhere}"
    if fault.errno == errno.EDQUOT:  # the space of the whole file system has no part in it
        return f"free some space within your quota, or {elsewhere}"
    if fault.errno in _LACKING:
        return f"that file system lacks what runs need: {elsewhere}"
    if fault.errno in _DENIED:
        return f"ask for the permission to write there, or {elsewhere}"
    return limit_hint(fault) or f"check the disk (its log may say more), or {elsewhere}"
