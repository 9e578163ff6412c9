"""The git repository around a folder: commit, whether anything was changed since, and the change itself."""

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

DIFF_LIMIT = 1 << 20  # bytes
PATIENCE = 10.0  # seconds for one call of git

# A config of the repository must not start programs. Asking must not change the repository either: `git diff` would
# rewrite its index, and a commit made at that moment would fail.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "diff.autoRefreshIndex=false")
_STATUS = ("status", "--porcelain", "--untracked-files=no")
_DIFF = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")


def describe_repository(folder: Path) -> dict[str, Any] | None:
    """Return the state of the repository that holds `folder`, or None where there is none, or no git.

    Keys: `commit` (hex); `dirty`: a tracked file differs from it; `diff`: how, at most 1 MiB; `diff_complete`: whether
    that is all of it. None stands for what git could not tell in ten seconds. Files not tracked do not count: the runs
    themselves may be such.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(folder, *_STATUS)
    # A file that was only touched is no change to the first, but a header without lines to the second.
    diff = _git(folder, *_DIFF) if changes else changes
    return {
        "commit": commit.decode().strip(),
        "dirty": None if changes is None else bool(changes),
        "diff": None if diff is None else diff[:DIFF_LIMIT].decode("utf-8", "replace"),
        "diff_complete": diff is not None and len(diff) <= DIFF_LIMIT,
    }


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git answers, cut one byte over the limit; None where it fails or takes too long."""
    try:
        process = subprocess.Popen(  # noqa: S603
            [*_GIT, *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    return _answer(process)


def _answer(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return the output of `process` up to one byte over the limit; then it has ended, one way or the other."""
    timer = threading.Timer(PATIENCE, process.kill)
    try:
        timer.start()
    except RuntimeError:  # too little memory for a thread: nothing would then end our waiting
        with process:
            process.kill()
        return None
    with process:
        assert process.stdout is not None
        output = process.stdout.read(DIFF_LIMIT + 1)
        cut = len(output) > DIFF_LIMIT
        if cut:
            process.kill()
    timer.cancel()
    return output if cut or process.returncode == 0 else None


def _environment() -> dict[str, str]:
    """Return the environment without what would send git to another repository (as inside one of its hooks)."""
    elsewhere = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    return {name: value for name, value in os.environ.items() if name not in elsewhere} | {"LC_ALL": "C"}
