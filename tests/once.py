"""Commands that several tests need: each is run once for all of them, and what it leaves is copied for each."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import final


@final
class Once:
    """The commands run so far, by all test processes.

    Args:
        folder: The folder of these processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self, command: str, *, environment: Mapping[str, str], to: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in an empty folder, or recall how it ended; copy what it left there to the folder `to`."""
        folder = self.folder(command, environment=environment)
        if to is not None:
            shutil.copytree(folder / "left", to, dirs_exist_ok=True)
        code, stdout, stderr = json.loads((folder / "end.json").read_text())
        return subprocess.CompletedProcess(command, code, stdout, stderr)

    def folder(self, command: str, *, environment: Mapping[str, str]) -> Path:
        """Run a command if it was not yet; return the folder with what it left, in `left`, to be read only."""
        folder = self._folder / sha256(command.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may run it just now
            if not (folder / "end.json").exists():
                (folder / "left").mkdir()
                with _one_processor():
                    done = subprocess.run(
                        command, shell=True, cwd=folder / "left", env=environment, capture_output=True, text=True,
                        check=False, timeout=300,
                    )  # fmt: skip
                (folder / "end.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))
        return folder


@contextmanager
def _one_processor() -> Iterator[None]:
    """Allow one, also to children: the last bits of a training depend on among how many a batch is divided."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
