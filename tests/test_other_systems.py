"""Windows and macOS, as far as Linux can show them: what Python does not have there is taken away before it starts.

This shows that nothing is used that is not there. It does not show that what is there does the same.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import TINY, Result

# Both lack these. What the standard library and NumPy need on this system stays.
_COMMON = """
import os, sys

def no_proc(event, arguments):
    path = str(arguments[0]) if event == "open" else ""
    if path.startswith(("/proc/", "/sys/")) and path != "/proc/self/maps":  # which threadpoolctl reads on Linux
        raise FileNotFoundError(2, "No such file or directory", arguments[0])

sys.addaudithook(no_proc)
for name in ("sched_getaffinity", "sched_setaffinity", "pidfd_open", "posix_fadvise", "O_DIRECT", "O_TMPFILE"):
    if hasattr(os, name):
        delattr(os, name)
"""
MACOS = _COMMON
WINDOWS = (
    _COMMON
    + """
import collections, select, shutil, signal

usage = collections.namedtuple("usage", "total used free")(1 << 40, 0, 1 << 40)
shutil.disk_usage = lambda _: usage  # Windows has this, by other means
for name in (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "fork", "forkpty", "geteuid", "getuid",
    "getgid", "getpgid", "killpg", "setsid", "statvfs", "sysconf", "mkfifo", "register_at_fork", "fchmod",
    "chown", "nice", "getloadavg", "getrlimit",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGTSTP", "pthread_kill"):
    if hasattr(signal, name):
        delattr(signal, name)
del select.poll, select.epoll
for name in ("fcntl", "resource", "termios", "pwd", "grp", "pty"):
    sys.modules[name] = None

def no_pipes(*_):
    raise OSError(10038, "An operation was attempted on something that is not a socket")

def no_question(process, number):
    raise AssertionError("os.kill ends a process")

select.select, os.kill = no_pipes, no_question
really_open = os.open

def no_folders(path, flags, mode=0o777, **more):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return really_open(path, flags, mode, **more)

os.open = no_folders
"""
)


class System:
    """Another system, in a folder of its own."""

    def __init__(self, folder: Path, lacks: str) -> None:
        self._folder, self._site = folder / "work", folder / "site"
        self._folder.mkdir()
        self._site.mkdir()
        (self._site / "sitecustomize.py").write_text(lacks)
        (self._folder / "x.yaml").write_text(TINY)

    def rnnlab(self, *arguments: str) -> Result:
        """Run the program, and its children, there."""
        environment = {**os.environ, "PYTHONPATH": str(self._site), "RNNLAB_RUNS": "runs"}
        child = subprocess.run(
            [sys.executable, "-m", "rnnlab", *arguments],
            cwd=self._folder,
            env=environment,
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        return Result(child.returncode, child.stdout, child.stderr)

    def write(self, name: str, content: str) -> None:
        """Write a file into its current folder."""
        (self._folder / name).write_text(content)


@pytest.fixture(params=[WINDOWS, MACOS], ids=["windows", "macos"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> System:
    return System(tmp_path, request.param)


def test_a_run_is_trained_and_read(system: System) -> None:
    assert system.rnnlab("check", "x.yaml").code == 0
    trained = system.rnnlab("train", "x.yaml", "--json")
    assert (trained.code, trained.stderr.count("bug[")) == (0, 0), trained.stderr
    listed = system.rnnlab("list", "--json")
    assert json.loads(listed.stdout)["runs"][0]["state"] == "completed"
    shown = system.rnnlab("show", "latest")
    assert (shown.code, "completed" in shown.stdout) == (0, True), shown.stderr
    assert system.rnnlab("doctor", "latest").code == 0


def test_a_file_replaces_another_that_somebody_reads_for_a_moment(tmp_path: Path) -> None:
    lacks = """
import pathlib
really, refused = pathlib.Path.replace, []
def replace(source, target):
    if pathlib.Path(target).exists() and not refused:
        refused.append(target)
        raise PermissionError(13, "Permission denied", str(target))
    return really(source, target)
pathlib.Path.replace = replace
"""
    trained = System(tmp_path, WINDOWS + lacks).rnnlab("train", "x.yaml", "--quiet")
    assert trained.code == 0, trained.stderr


SWEEP = "sweep: {axes: {seed: [0, 1]}}\n"


def test_a_sweep_on_macos(tmp_path: Path) -> None:
    system = System(tmp_path, MACOS)
    system.write("s.yaml", TINY + SWEEP)
    swept = system.rnnlab("sweep", "s.yaml", "--workers", "1", "--json")
    assert swept.code == 0, swept.stderr
    assert json.loads(swept.stdout)["counts"]["completed"] == 2


def test_a_sweep_on_windows_names_what_is_missing(tmp_path: Path) -> None:
    system = System(tmp_path, WINDOWS)
    system.write("s.yaml", TINY + SWEEP)
    swept = system.rnnlab("sweep", "s.yaml", "--workers", "1")
    assert swept.code == 5
    assert "error[E_ENVIRONMENT]: the worker processes of a sweep do not run on Windows — use its " in swept.stderr
