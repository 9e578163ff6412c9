"""What a process does to the world outside itself: each change of a file, each socket, each program, as a line of text.

Python's audit events come from all calls that Python makes, of any package; a hook cannot be removed again.
"""

import os
import sys
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_OF_TWO_NAMES = {"os.rename", "os.link", "os.symlink"}
_OF_ONE_NAME = {"os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"}
_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"}


def watch(path: Path) -> None:
    """Write a line to `path` for each effect of this process from here on."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if line := _line(event, arguments):
            os.write(log, line.encode("utf-8", "backslashreplace") + b"\n")

    sys.addaudithook(note)


def _line(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "open":
        name, _, flags = arguments
        # A number is a descriptor that was opened before.
        return f"write {_real(name)}" if flags & _WRITING and not isinstance(name, int) else ""
    if event in _OF_TWO_NAMES:
        return "\n".join(f"write {_real(name)}" for name in arguments[:2])
    if event in _OF_ONE_NAME:
        return "" if isinstance(arguments[0], int) else f"write {_real(arguments[0])}"
    if event in _PROGRAMS:
        return f"program {arguments[0]} {list(arguments[1])[:6]}"
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")) and event != "socket.gethostname":
        return f"network {event}"
    return ""


def _real(name: Any) -> str:
    """Return where a name is: its folder resolved, its last part as it is."""
    path = Path(os.fsdecode(name)).absolute()
    return repr(str(path.parent.resolve() / path.name))
