"""A real file system that is small, and how to fill it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Mount = Callable[..., None]


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Mount]:
    """Mount a file system in memory on a folder and yield what mounts it anew; skip where that is not allowed."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "rnnlab-test", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed")

    mount(options)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(place: Path, *, leave: int) -> Path:
    """Take all the space of a file system but so many bytes."""
    ballast = place / "ballast"
    state = os.statvfs(place)
    ballast.write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - leave)))
    return ballast
