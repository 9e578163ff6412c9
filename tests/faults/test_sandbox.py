"""Hostile run folders and configs: no command writes outside the run, uses a network, starts a program, or hangs."""

import hashlib
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest

from tests.cli.program import TINY, rnnlab
from tests.faults.launcher import Launcher

RUN = "runs/job"
COMMANDS = {
    "resume": ("train", "--resume", RUN, "--set", "training.steps=30", "-q"),
    "into": ("train", "x.yaml", "--into", RUN, "-q"),
    "evaluate": ("evaluate", RUN),
    "doctor": ("doctor", RUN),
    "diagnose": ("diagnose", RUN),
    "plot": ("plot", RUN),
    "report": ("report", RUN, "--out", "runs/report.html"),
    "export": ("export", RUN, "--format", "npz", "--out", "runs/out.npz"),
    "show": ("show", RUN),
    "list": ("list",),
    "compare": ("compare", RUN),
}
FILES = (
    "config.yaml", "resolved.yaml", "provenance.json", "status.json", "metrics.jsonl", "evaluations.jsonl",
    "summary.json", "log.txt", "lock-0001.json", "lock-0002.json", "lock-0003.json", "weights/best.safetensors",
    "weights/last.safetensors", "checkpoints/step-0000000020-0001.safetensors",
    "checkpoints/step-0000000030-0002.safetensors", "plots/curves.png", "plots/curves-loss.png",
)  # fmt: skip
FOLDERS = ("weights", "checkpoints", "plots", "tensorboard")
CODES = {0, 2, 3, 4, 5, 6}  # not that of a bug
# Python itself asks `uname` for the kind of processor, and Matplotlib makes its folder where there is none.
ALLOWED = (
    "write '/dev/null'",
    "program git ",
    "program uname ",
    *(f"write '{one}'" for one in (matplotlib.get_configdir(), matplotlib.get_cachedir())),
)
PATIENCE = 10.0  # seconds


def linked(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("new"))


def hard_linked(path: Path, victim: Path) -> None:
    path.hardlink_to(victim) if victim.is_file() else path.symlink_to(victim)


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def of_the_system(path: Path, victim: Path) -> None:
    path.symlink_to("/proc/self/fd" if victim.is_dir() else "/proc/kmsg")


def device(path: Path, victim: Path) -> None:
    path.symlink_to("/dev/zero")


def other(path: Path, victim: Path) -> None:
    path.write_text("x") if victim.is_dir() else path.mkdir()


KINDS = (linked, dangling, hard_linked, pipe, of_the_system, device, other)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a file of every kind."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "x.yaml").write_text(TINY)
    often = "training.checkpoint={every_steps: 10, every_seconds: null}"
    assert rnnlab("train", folder / "x.yaml", "--into", folder / "job", "-q", "--set", often).code == 0
    assert rnnlab("evaluate", folder / "job").code == 0
    assert rnnlab("plot", folder / "job").code == 0
    return folder


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    folder = tmp_path_factory.mktemp("sandbox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("RNNLAB_RUNS", "runs")
        with Launcher(folder) as launcher:
            yield launcher


class Sandbox:
    """A folder with a run that something hostile can be put into, and files beside it that must stay as they are."""

    def __init__(self, good: Path, launcher: Launcher) -> None:
        self.launcher, self.folder = launcher, launcher.folder
        self.victims, self.run = self.folder / "victims", self.folder / RUN
        for name in ("victims", "runs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        for path in self.folder.glob("[0-9]*.*"):
            path.unlink()
        shutil.copytree(good / "job", self.run)
        shutil.copy(good / "x.yaml", self.folder)

    def plant(self, name: str, kind: Callable[[Path, Path], None]) -> None:
        """Put something else in the place of a file or folder; where it leads has what was there."""
        path, victim = self.run / name, self.victims / Path(name).name
        if path.is_dir() or path.exists():
            shutil.move(path, victim)
        elif "." in name:
            victim.write_text("a secret")
        else:
            victim.mkdir()
        kind(path, victim)

    def start(self, *arguments: str) -> int:
        self.before = self._fingerprint()
        return self.launcher.start(*arguments)

    def require_no_harm(self, number: int, code: int, codes: set[int] = CODES) -> None:
        output = self.launcher.output(number)
        assert code in codes, output
        assert "Traceback" not in output
        assert "E_BUG" not in output
        assert self._fingerprint() == self.before
        effects = self.launcher.effects(number)
        assert [line for line in effects if not line.startswith((f"write '{self.folder}/runs/", *ALLOWED))] == []

    def wait(self, number: int) -> int:
        """Return how a process ended; one that does not is killed."""
        timer = threading.Timer(PATIENCE, os.kill, (number, signal.SIGKILL))
        timer.start()
        try:
            return self.launcher.wait(number)
        finally:
            timer.cancel()

    def _fingerprint(self) -> dict[str, object]:
        return {
            str(path): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
            for path in sorted(self.victims.rglob("*"))
        }


@pytest.fixture
def sandbox(good: Path, launcher: Launcher) -> Callable[[], Sandbox]:
    return lambda: Sandbox(good, launcher)


CASES = [(name, kind) for name in (*FILES, *FOLDERS) for kind in KINDS]


def test_hostile_run_folders(sandbox: Callable[[], Sandbox], report: Callable[[str], None]) -> None:
    """Each name, each kind and each command, though not all combinations of them."""
    rng = random.Random(14)
    cases = [(name, rng.choice(KINDS), list(COMMANDS)[k % len(COMMANDS)]) for k, name in enumerate((*FILES, *FOLDERS))]
    for name, kind, command in cases:
        try_one(sandbox(), name, kind, command)


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_run_folders_in_all_combinations(
    sandbox: Callable[[], Sandbox], command: str, report: Callable[[str], None]
) -> None:
    for name, kind in CASES:
        try_one(sandbox(), name, kind, command)
    report(f"{command}: {len(CASES)} hostile folders, no harm")


def try_one(sandbox: Sandbox, name: str, kind: Callable[[Path, Path], None], command: str) -> None:
    sandbox.plant(name, kind)
    number = sandbox.start(*COMMANDS[command])
    code = sandbox.wait(number)
    try:
        sandbox.require_no_harm(number, code)
    except AssertionError as error:
        raise AssertionError(f"{command} with {name} {kind.__name__}: exit {code}: {error}") from error
