"""Processes that begin to train at once: one process imports everything, and forks a child for every command.

A fresh interpreter spends a second on imports, in which a kill at a random moment would mostly land. A child is a
process like any other: it has its own number, takes signals, dies of a kill, and ends through the program's own `main`.
"""

import errno
import importlib
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.faults.auditing import watch


@dataclass(frozen=True)
class Freeze:
    """Where a process stops itself, as SIGSTOP does, until it is woken.

    Attributes:
        at: The number of the call to the disk, from 1.
        after: Whether the call was made by then.
        upset_at: The number of an earlier call that goes wrong, 0 for none.
        upset: How: the disk is full, once, or Ctrl-C was pressed twice.
    """

    at: int
    after: bool = False
    upset_at: int = 0
    upset: Literal["full", "interrupt"] = "full"


class Launcher:
    """Starts processes of the program; use it as a context.

    Args:
        folder: Where the children work; their output goes into `PID.out` there.
        keras: Whether to import Keras too, before any fork.
    """

    def __init__(self, folder: Path, *, keras: bool = False) -> None:
        self.folder = folder
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "tests.faults.launcher", *["keras"] * keras]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env={**environment, "RNNLAB_FOLDER": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def start(
        self,
        *arguments: str | Path,
        wait_for_gate: bool = False,
        memory: int | None = None,
        freeze: Freeze | None = None,
    ) -> int:
        """Start the program and return its process number.

        Args:
            arguments: The command line.
            wait_for_gate: Begin only when `open_gate` is called, like all others that wait.
            memory: Bytes that it may take beyond what it has when it starts.
            freeze: Where it freezes.
        """
        request = {"arguments": [str(one) for one in arguments], "gate": wait_for_gate, "memory": memory}
        return self._ask("start", **request, freeze=freeze and asdict(freeze))

    def open_gate(self) -> None:
        """Let those that wait begin, all at once."""
        self._ask("open")

    def wait(self, number: int) -> int:
        """Wait until a process ends; return its exit code, or minus the signal that ended it."""
        return self._ask("wait", number=number)

    def is_frozen(self, number: int) -> bool:
        """Wait until a process freezes or ends; return whether it is frozen."""
        return self._ask("freeze", number=number) == 1

    def output(self, number: int) -> str:
        return (self.folder / f"{number}.out").read_text()

    def effects(self, number: int) -> list[str]:
        """Return what a process did to the world outside itself, in the words of `tests.faults.auditing`."""
        return (self.folder / f"{number}.audit").read_text().splitlines()

    def run(self, *arguments: str | Path) -> int:
        return self.wait(self.start(*arguments))

    def kill_after(self, seconds: float, *arguments: str | Path, number: signal.Signals = signal.SIGKILL) -> int:
        """Start the program, send it a signal this long after, and return how it ended."""
        process = self.start(*arguments)
        time.sleep(seconds)
        os.kill(process, number)  # it is not waited for yet, so the number is still its own
        return self.wait(process)

    def _ask(self, what: str, **more: Any) -> int:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"what": what, **more}), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()


def _serve(folder: Path) -> None:
    gate = os.pipe()
    for line in sys.stdin:
        request = json.loads(line)
        answer = 0
        if request["what"] == "start":
            answer = os.fork()
            if not answer:
                _become(folder, gate, request)
        elif request["what"] == "open":
            for end in gate:
                os.close(end)
            gate = os.pipe()
        elif request["what"] == "freeze":
            options = os.WSTOPPED | os.WEXITED | os.WNOWAIT
            state = os.waitid(os.P_PID, request["number"], options)
            answer = int(state is not None and state.si_code == os.CLD_STOPPED)
        else:
            _, status = os.waitpid(request["number"], 0)
            answer = os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _become(folder: Path, gate: tuple[int, int], request: dict[str, Any]) -> None:
    """Turn this process into one of the program."""
    from rnnlab.cli.main import main

    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(folder / f"{os.getpid()}.out", os.O_WRONLY | os.O_CREAT, 0o666)
    for end, stream in ((null, 0), (out, 1), (out, 2)):
        os.dup2(end, stream)
    os.chdir(folder)
    if request["memory"] is None:  # where there is little memory, the watching itself would fail
        watch(folder / f"{os.getpid()}.audit")
    os.close(gate[1])
    if request["gate"]:
        os.read(gate[0], 1)
    if request["memory"] is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + request["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if request["freeze"]:
        _freeze(Freeze(**request["freeze"]))
    sys.argv = ["rnnlab", *request["arguments"]]
    code = 130  # where Ctrl-C comes after the program has given its signals back
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


def _freeze(freeze: Freeze) -> None:
    from rnnlab.storage import disk

    count, main = 0, threading.get_ident()

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            nonlocal count
            if threading.get_ident() != main:
                return call(*arguments)
            count += 1
            now = count
            if now == freeze.upset_at and freeze.upset == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if now == freeze.upset_at:
                for _ in range(2):
                    signal.raise_signal(signal.SIGINT)
            if now == freeze.at and not freeze.after:
                os.kill(os.getpid(), signal.SIGSTOP)
            try:
                return call(*arguments)
            finally:
                if now == freeze.at and freeze.after:
                    os.kill(os.getpid(), signal.SIGSTOP)

        return counted

    for name in disk.CALLS:
        setattr(disk, name, wrapped(getattr(disk, name)))


if __name__ == "__main__":
    import rnnlab.backends.numpy
    import rnnlab.cli.commands
    import rnnlab.inspection.doctor
    import rnnlab.training.resume
    import rnnlab.training.store

    rnnlab.training.store.FIRST_SECONDS = 0.0  # as in `conftest`

    # Where no memory is left, Python can take its failure to read a module anew for a fault in the module.
    for module in pkgutil.iter_modules(rnnlab.cli.commands.__path__, "rnnlab.cli.commands."):
        importlib.import_module(module.name)
    if sys.argv[1:] == ["keras"]:
        from rnnlab.backends.keras import Carry  # noqa: F401
    _serve(Path(os.environ["RNNLAB_FOLDER"]))
