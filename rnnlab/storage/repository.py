"""The state of a git repository, for the provenance of a run: asked for without changing it or starting a program."""

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, final

from pydantic import Field

from rnnlab.core.options import Options
from rnnlab.storage.fields import Name

DIFF_LIMIT = 1 << 20  # bytes
PATIENCE = 10.0  # seconds for one call of git

# A repository may come with the config, from anywhere: what its own settings name must not be started. Asking must not
# change it either: `git diff` would rewrite its index, and a commit made at that moment would fail.
_GIT = ("git", "--no-pager", "--no-optional-locks")
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "diff.autoRefreshIndex": "false",
    "safe.bareRepository": "explicit",
}
# A partial clone fetches what it lacks, by a program or from an address of its own.
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
_FILTERS = ("config", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\.")
# A submodule has settings of its own: git would start itself in it to look for changes.
_STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
_DIFF = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", *_STATUS[-1:])


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
    folder = folder.resolve()
    root = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if root is None:
        return None
    # A repository may call another folder its own.
    here = _OFFLINE | {"GIT_WORK_TREE": str(root), "GIT_CEILING_DIRECTORIES": str(root.parent)}
    settings = dict(_SETTINGS)
    commit = _git(folder, here, settings, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    settings |= _without_filters(_git(folder, here, settings, *_FILTERS) or b"")
    changes = _git(folder, here, settings, *_STATUS)
    # A file that was only touched is no change to the first, but a header without lines to the second.
    diff = _git(folder, here, settings, *_DIFF) if changes else changes
    return Git(
        commit=commit.decode().strip(),
        dirty=None if changes is None else bool(changes),
        diff=None if diff is None else diff[:DIFF_LIMIT].decode("utf-8", "replace"),
        diff_complete=diff is not None and len(diff) <= DIFF_LIMIT,
    )


def _without_filters(listed: bytes) -> dict[str, str]:
    """Return settings that take the repository's own filters away; those of the user and the system stay."""
    words = listed.decode(errors="surrogateescape").split("\0")
    own = {
        name.rpartition(".")[0]
        for scope, name in zip(words[::2], words[1::2], strict=False)
        if scope not in {"global", "system"}
    }
    values = {"clean": "", "process": "", "required": "false"}
    return {f"{name}.{key}": value for name in sorted(own) for key, value in values.items()}


def _git(folder: Path, here: Mapping[str, str], settings: Mapping[str, str], *arguments: str) -> bytes | None:
    """Return what git answers, cut one byte over the limit; None where it fails or takes too long.

    Args:
        folder: Where to ask.
        here: Variables of its environment.
        settings: Stronger than those of any file.
        arguments: The command.
    """
    # These would send git to another repository, as inside one of its hooks.
    elsewhere = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | {**here, "LC_ALL": "C"}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)  # `-c` cannot set a name that contains an equals sign
    for number, (name, value) in enumerate(settings.items(), start=first):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    environment["GIT_CONFIG_COUNT"] = str(first + len(settings))
    try:
        process = subprocess.Popen(  # noqa: S603
            [*_GIT, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
    except OSError:
        return None
    with process:
        output = _read(process)
        is_cut = output is not None and len(output) > DIFF_LIMIT
        if output is None or is_cut:
            process.kill()
    return output if is_cut or process.returncode == 0 else None


def _read(process: "subprocess.Popen[bytes]") -> bytes | None:
    """Return what a process writes, cut one byte over the limit; None where that takes too long.

    No thread has a part in it: one that begins in too little memory can end unseen, with its creator waiting forever.
    """
    assert process.stdout is not None
    if not hasattr(select, "poll"):  # on Windows, which can wait for no pipe but by a thread
        try:
            return process.communicate(timeout=PATIENCE)[0][: DIFF_LIMIT + 1]
        except subprocess.TimeoutExpired:
            return None
    deadline, output = time.monotonic() + PATIENCE, b""
    while len(output) <= DIFF_LIMIT:
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        if not (piece := process.stdout.read(DIFF_LIMIT + 1 - len(output))):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
            break
        output += piece
    return output
