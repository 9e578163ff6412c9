"""Which process this is, and whether another one of this machine is still there."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Process:
    """A process, distinct from others that had or will have its number.

    Attributes:
        host: The machine's name, for people.
        machine: Where process numbers are comparable: the boot and the process namespace; else the name.
        pid: Its number.
        started: When it began, in the system's own count since the boot; None where it is not known.
    """

    host: str
    machine: str
    pid: int
    started: str | None


def this_process() -> Process:
    """Return the process that asks."""
    host = platform.node()
    return Process(host, _machine() or host, os.getpid(), _started(os.getpid()))


def is_running(process: Process) -> bool:
    """Return whether a process of this machine is there; one that has ended is not, even if not yet waited for.

    Example:
        >>> is_running(this_process())
        True
    """
    if process.pid <= 0 or os.name != "posix":
        return process == this_process()
    try:
        os.kill(process.pid, 0)  # sends nothing: only asks
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    started = _started(process.pid)
    if started is None:  # hidden from us, or another system than Linux
        return not _has_ended(process.pid)
    return process.started in {None, started} and not _has_ended(process.pid)


def _machine() -> str | None:
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return None


def _started(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else None


def _has_ended(pid: int) -> bool:
    return _stat(pid)[:1] in (["Z"], ["X"])


def _stat(pid: int) -> list[str]:
    """Return the fields of the process that follow its name, which may contain anything."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return text.rpartition(")")[2].split()
    return []
