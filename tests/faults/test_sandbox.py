"""Hostile run folders and configs: no command writes outside the run, uses a network, starts a program, or hangs."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
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


def ended(launcher: Launcher, number: int) -> int:
    """Return how a process ended; one that does not is killed."""
    timer = threading.Timer(PATIENCE, os.kill, (number, signal.SIGKILL))
    timer.start()
    try:
        return launcher.wait(number)
    finally:
        timer.cancel()


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

    def _fingerprint(self) -> dict[str, object]:
        return {
            str(path): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
            for path in sorted(self.victims.rglob("*"))
        }


@pytest.fixture
def sandbox(good: Path, launcher: Launcher) -> Callable[[], Sandbox]:
    return lambda: Sandbox(good, launcher)


CASES = [(name, kind) for name in (*FILES, *FOLDERS) for kind in KINDS]


def test_hostile_run_folders(sandbox: Callable[[], Sandbox]) -> None:
    """Each command and kind, and half of the names."""
    rng = random.Random(14)
    names = rng.sample((*FILES, *FOLDERS), len(COMMANDS))
    for number, (name, command) in enumerate(zip(names, COMMANDS, strict=True)):
        try_one(sandbox(), name, KINDS[number % len(KINDS)], command)


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
    code = ended(sandbox.launcher, number)
    try:
        sandbox.require_no_harm(number, code)
    except AssertionError as error:
        raise AssertionError(f"{command} with {name} {kind.__name__}: exit {code}: {error}") from error


UNREADABLE = ("pipe", "/proc/kmsg", "/proc/self/mem", "/dev/zero", "/dev/tty", "link", "/sys/kernel/uevent_seqnum", ".")
CONFIGS = {
    "csv": "task: {{type: forecast, csv: '{}'}}\n",
    "extends": "extends: ['{}']\ntask: adding\n",
}


@pytest.fixture
def hostile(launcher: Launcher) -> Path:
    for path in launcher.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.mkfifo(launcher.folder / "pipe")
    (launcher.folder / "link").symlink_to("pipe")
    return launcher.folder


@pytest.mark.parametrize("key", [*CONFIGS, "the config itself"])
def test_hostile_configs(launcher: Launcher, hostile: Path, key: str) -> None:
    """What cannot be read without waiting is an error, at once, and nothing is made."""
    commands = (("check",), ("train", "-q"))
    for number, name in enumerate(UNREADABLE):
        if key in CONFIGS:
            (hostile / "x.yaml").write_text(CONFIGS[key].format(name))
        config = "x.yaml" if key in CONFIGS else name
        before = sorted(hostile.iterdir())
        began = time.perf_counter()
        process = launcher.start(*commands[number % 2], config)
        assert ended(launcher, process) == 2, name
        assert time.perf_counter() - began < 2
        output = launcher.output(process)
        assert "is a folder, a pipe or a device" in output or "is in /proc or /sys" in output, output
        assert launcher.effects(process) == []
        made = {hostile / f"{process}.{ending}" for ending in ("out", "audit")}
        assert {*hostile.iterdir()} - made == {*before}


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", ".x", "~", "$HOME", "x\\n"])
def test_a_run_cannot_be_named_out_of_its_folder(launcher: Launcher, hostile: Path, name: str) -> None:
    (hostile / "x.yaml").write_text(TINY + f'name: "{name}"\n')
    process = launcher.start("train", "x.yaml", "-q")
    assert ended(launcher, process) == 2
    assert launcher.effects(process) == []


def ended_by_sigterm(sandbox: Sandbox, rng: random.Random) -> int:
    """Send SIGTERM at a random moment to a command on something hostile; return how it ended."""
    sandbox.plant(rng.choice((*FILES, *FOLDERS)), rng.choice(KINDS))
    os.mkfifo(sandbox.run.parent / "pipe")
    hanging = rng.choice(("runs/pipe", "/proc/kmsg", "/dev/zero"))
    (sandbox.folder / "y.yaml").write_text(CONFIGS[rng.choice([*CONFIGS])].format(hanging))
    commands = [*COMMANDS.values(), ("check", "y.yaml"), ("train", "y.yaml"), ("check", "runs/pipe")]
    process = sandbox.start(*rng.choice(commands))
    while not (sandbox.folder / f"{process}.audit").exists():
        time.sleep(0.001)
    time.sleep(rng.random() ** 2 * 0.5)
    os.kill(process, signal.SIGTERM)
    code = ended(sandbox.launcher, process)
    sandbox.require_no_harm(process, code, CODES | {75, -signal.SIGTERM})
    return code


def test_sigterm_ends_each(sandbox: Callable[[], Sandbox]) -> None:
    rng = random.Random(14)
    for _ in range(8):
        ended_by_sigterm(sandbox(), rng)


@pytest.mark.soak
def test_sigterm_ends_each_of_many(sandbox: Callable[[], Sandbox], report: Callable[[str], None]) -> None:
    rng = random.Random(15)
    codes = Counter(ended_by_sigterm(sandbox(), rng) for _ in range(300))
    report(f"300 SIGTERM: ended with {dict(codes)}, none later than {PATIENCE} s")


@pytest.mark.soak
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_library_does_more_than_python_sees(good: Path, tmp_path: Path) -> None:
    """The system calls themselves: those of libraries in C too."""
    (tmp_path / "runs").mkdir()
    shutil.copytree(good / "job", tmp_path / RUN)
    shutil.copy(good / "x.yaml", tmp_path)
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "RNNLAB_RUNS": "runs",
        "TMPDIR": str(tmp_path / "runs"),
    }
    calls = "trace=network,openat,open,creat,rename,renameat,renameat2,link,linkat,symlink,unlink,unlinkat,mkdir,execve"
    for command in (("train", "x.yaml", "-q"), COMMANDS["resume"], COMMANDS["evaluate"], COMMANDS["doctor"]):
        log = tmp_path / "calls"
        traced = ["strace", "-f", "-qq", "-o", str(log), "-e", calls, sys.executable, "-m", "rnnlab", *command]
        subprocess.run(traced, cwd=tmp_path, env=environment, check=True, capture_output=True)
        done = [line.partition(" ")[2].strip() for line in log.read_text().splitlines() if " = -1 " not in line]
        sockets = [line for line in done if line.startswith(("socket(", "connect(", "bind(", "sendto("))]
        assert sockets == []
        programs = [line for line in done if line.startswith("execve(")][1:]
        assert [line for line in programs if not re.search(r'/(git|uname)", \[', line)] == []
        writing = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^creat|^rename|^link|^symlink|^unlink|^mkdir")
        outside = [
            line for line in done if writing.search(line) and not re.search(r'"(runs/|/dev/null|/dev/shm)', line)
        ]
        assert [line for line in outside if str(tmp_path / "runs") not in line] == []
