"""The state of a git repository, for the provenance of a run: asked for without changing it or starting a program."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, final

from pydantic import Field

from rnnlab.core.options import Options
from rnnlab.storage.fields import Name

DIFF_LIMIT = 1 << 20  # bytes
PATIENCE = 10.0  # seconds for one call of git

# A config of the repository must not start programs. Asking must not change the repository either: `git diff` would
# rewrite its index, and a commit made at that moment would fail.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "diff.autoRefreshIndex=false")
_STATUS = ("status", "--porcelain", "--untracked-files=no")
_DIFF = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")


@final
class Git(Options):
    """The state of a repository; a value is None if git does not answer in ten seconds.

    Attributes:
        commit: Hex.
        dirty: Whether a tracked file differs from it. Files not tracked do not count: the runs themselves may be such.
        diff: How, at most 1 MiB.
        diff_complete: Whether that is all of it.
    """

    commit: Name
    dirty: bool | None
    diff: Annotated[str, Field(max_length=DIFF_LIMIT)] | None
    diff_complete: bool


Describe = Callable[[Path], Git | None]


def describe_repository(folder: Path) -> Git | None:
    """Return the state of the repository around `folder`, or None without repository or git."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(folder, *_STATUS)
    # A file that was only touched is no change to the first, but a header without lines to the second.
    diff = _git(folder, *_DIFF) if changes else changes
    return Git(
        commit=commit.decode().strip(),
        dirty=None if changes is None else bool(changes),
        diff=None if diff is None else diff[:DIFF_LIMIT].decode("utf-8", "replace"),
        diff_complete=diff is not None and len(diff) <= DIFF_LIMIT,
    )


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git answers, cut one byte over the limit; None where it fails or takes too long."""
    # These would send git to another repository, as inside one of its hooks.
    elsewhere = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | {"LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # noqa: S603
            [*_GIT, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    timer = threading.Timer(PATIENCE, process.kill)
    with process:
        try:
            timer.start()
        except RuntimeError:  # too little memory for a thread: nothing would then end our waiting
            process.kill()
            return None
        assert process.stdout is not None
        output = process.stdout.read(DIFF_LIMIT + 1)
        if is_cut := len(output) > DIFF_LIMIT:
            process.kill()
    timer.cancel()
    return output if is_cut or process.returncode == 0 else None
