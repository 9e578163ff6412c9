"""The standard streams of the program, whatever state they are inherited in."""

import io
import os
import sys
from pathlib import Path


def settle_streams() -> None:
    """See to it that writing to a standard stream fails for no other reason than that it is closed or full."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # inherited closed: the next file opened, one of a run, would get its number
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")  # where the locale has no such character


def forget_stdout() -> None:
    """Send what is still buffered for stdout nowhere: Python would report a second error when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
