"""The system's limits on open files, processes and threads: the work is done with less, or one line names the limit."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.program import TINY, Result, rnnlab
from tests.cli.test_bad_input import error_lines

SHARDS = TINY.replace("batch_size: 4", "batch_size: 64") + "numpy: {shards: 2}\n"
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "shards.yaml", "--into", "run", "-q", "--no-plots"),
    "sweep": ("sweep", "six.yaml", "--into", "six", "-q", "-j", "6"),
    "list": ("list", "done"),
    "compare": ("compare", "done"),
    "report": ("report", "done", "--out", "x.html"),
}
ENGINES = ("tensorflow", "jax", "torch")
# A user whose processes are counted, who may read the files of any other: the interpreter may be in a home.
ANOTHER = (
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


@pytest.fixture
def configs(here: Path) -> Path:
    (here / "shards.yaml").write_text(SHARDS)
    (here / "six.yaml").write_text(TINY + "sweep: {seeds: 6}\n")
    (here / "keras.yaml").write_text(TINY + "backend: keras\n")
    here.chmod(0o777)
    return here


def limited(command: Sequence[str], *, limit: int, most: int, prefix: Sequence[str] = ()) -> Result:
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "rnnlab", *command],
        preexec_fn=lambda: resource.setrlimit(limit, (most, most)),
        env={**os.environ, "HOME": str(Path.cwd()), "MPLCONFIGDIR": str(Path.cwd())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def command_of(name: str) -> tuple[str, ...]:
    """Return the arguments of a command, and make the sweep that it reads."""
    if "done" in COMMANDS[name]:
        assert rnnlab("sweep", "six.yaml", "--into", "done", "-q", "-j", "1").code == 0
    return COMMANDS[name]


def require_named(result: Result, limit: str) -> None:
    """The work was done, or one line names the limit and how to raise it."""
    assert "stdout" not in result.stderr
    if result.code:
        assert result.code == 5, result.stderr
        (line,) = error_lines(result)
        assert re.search(rf"raise the limit on .*\(ulimit {limit}\b", line)


def of_open_files(command: str, most: int) -> None:
    require_named(limited(command_of(command), limit=resource.RLIMIT_NOFILE, most=most), "-n")


@pytest.mark.parametrize(("command", "most"), [("train", 9), ("sweep", 8), ("sweep", 14)])
def test_few_open_files(configs: Path, command: str, most: int) -> None:
    of_open_files(command, most)


@pytest.mark.soak
@pytest.mark.parametrize("most", [*range(5, 17), 20, 24, 30, 40, 50, 60])
@pytest.mark.parametrize("command", COMMANDS)
def test_any_number_of_open_files(configs: Path, command: str, most: int) -> None:
    of_open_files(command, most)


def of_processes(command: Sequence[str], most: int) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    require_named(limited(command, limit=resource.RLIMIT_NPROC, most=most, prefix=ANOTHER), "-u")


@pytest.mark.parametrize(("command", "most"), [("train", 1), ("sweep", 3)])
def test_few_processes(configs: Path, command: str, most: int) -> None:
    of_processes(command_of(command), most)


@pytest.mark.soak
@pytest.mark.parametrize("most", [1, 2, 3, 4, 6, 8, 9, 10, 12, 16, 20])
@pytest.mark.parametrize("command", COMMANDS)
def test_any_number_of_processes(configs: Path, command: str, most: int) -> None:
    of_processes(command_of(command), most)


@pytest.mark.soak
@pytest.mark.parametrize("most", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("engine", ENGINES)
def test_few_threads_for_an_engine(configs: Path, engine: str, most: int) -> None:
    """An engine that cannot start a thread would abort the process."""
    pytest.importorskip(engine)
    of_processes(("train", "keras.yaml", "--set", f"engine={engine}", "--into", "k", "-q", "--no-plots"), most)
