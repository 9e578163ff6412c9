"""The worker processes of a sweep, and the messages to and from them: one JSON object per line on stdin and stdout.

Each is started once and trains one trial after another. A new process per trial would be simpler, but starting Python
and NumPy takes about 0.5 s of processor time, and a small trial 0.02 s.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self, final, get_args

import rnnlab
from rnnlab.sweeps.plan import Trial

# Each processor has a worker, so one thread computes in each.
_ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_CHUNK = 1 << 16  # bytes
_START_SECONDS = 120.0  # that a worker may take to start
_KILL_SECONDS = 10.0  # from the request to stop to the kill


@final
@dataclass(frozen=True, slots=True)
class Train:
    """To a worker: train this trial next. `report_scores`: send a `Score` at each evaluation."""

    config: str
    into: str
    metric: str
    report_scores: bool


@final
@dataclass(frozen=True, slots=True)
class Interrupt:
    """To a worker: save the current trial and end it."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has started and waits for a trial."""


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """From a worker: steps done, of how many, and the loss of the newest batch; None: it is not finite."""

    step: int
    steps: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class Score:
    """From a worker: the sweep's metric on the validation set after so many steps."""

    step: int
    value: float


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """From a worker: its trial has ended, and why if it is not completed.

    `locked`: another process trains it. `needs new worker`: a process can use only one Keras engine.
    """

    outcome: Literal["completed", "interrupted", "diverged", "failed", "locked", "needs new worker"]
    reason: str = ""
    result: float | None = None
    solved: bool | None = None


Message = Train | Interrupt | Ready | Progress | Score | Ended
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def to_line(message: Message) -> bytes:
    """Return a message as a line of JSON."""
    return (json.dumps({"kind": type(message).__name__, **asdict(message)}) + "\n").encode()


def from_line(line: bytes) -> Message:
    """Return the message in a line.

    Example:
        >>> from_line(to_line(Progress(step=2, steps=4, loss=0.5)))
        Progress(step=2, steps=4, loss=0.5)
    """
    values = json.loads(line)
    return _KINDS[values.pop("kind")](**values)


@final
class Worker:
    """One worker process, seen from the runner.

    Attributes:
        trial: What it trains; None while it waits.
        has_started: Whether it has sent a message.
    """

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.has_started = False
        self._since, self._interrupted = 0.0, 0.0
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process runs
        self._rest = b""  # the start of a line
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "rnnlab.sweeps.worker"],
            env=worker_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C in the terminal is for the runner
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self.stdout = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Since it got its trial, without the time that it took to start, unless that was very long."""
        seconds = time.monotonic() - self._since
        return seconds if self.has_started or seconds > _START_SECONDS else 0.0

    @property
    def is_interrupted(self) -> bool:
        """Whether it was requested to end its trial."""
        return self._interrupted > 0

    def train(self, trial: Trial, message: Train) -> None:
        """Give it a trial."""
        self.trial, self._since, self._interrupted = trial, time.monotonic(), 0.0
        self._send(message)

    def interrupt(self, reason: str) -> None:
        """Request that it saves its trial and ends it; the first request counts."""
        if not self.is_interrupted:
            self._interrupted = time.monotonic()
            self._send(Interrupt(reason))

    def kill_if_overdue(self) -> None:
        """Kill it if it has not ended its trial some seconds after it was requested to."""
        if self.is_interrupted and time.monotonic() - self._interrupted > _KILL_SECONDS:
            self.kill()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def read(self) -> Iterator[Message | None]:
        """Yield the messages that have arrived, and None if it has ended."""
        chunk = os.read(self.stdout.fileno(), _CHUNK)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if not self.has_started:
                self.has_started, self._since = True, time.monotonic()
            yield from_line(line)
        if not chunk:
            yield None

    def close_stdin(self) -> None:
        """Let it end: first it saves the trial that it has."""
        with suppress(OSError):
            self._stdin.close()

    def close(self) -> str:
        """Let it end, wait for it, and return how it ended."""
        self.close_stdin()
        try:
            code = self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self.stdout.close()
        with self._stderr:
            self._stderr.seek(0)
            return _describe_exit(code, self._stderr.read().decode(errors="replace"))

    def _send(self, message: Message) -> None:
        with suppress(OSError):  # it is dead, which `read` reports
            self._stdin.write(to_line(message))
            self._stdin.flush()


@final
class WorkerPool:
    """The workers of a sweep; a context, at the end of which all of them have ended.

    Args:
        size: How many at most.

    Attributes:
        workers: The processes; they start when they are needed.
    """

    def __init__(self, size: int) -> None:
        self.workers: list[Worker] = []
        self._size = size
        self._selector = selectors.DefaultSelector()

    def idle(self) -> Worker | None:
        """Return a worker without a trial, a new one if there may be one more; None if all are busy."""
        for worker in self.workers:
            if worker.trial is None:
                return worker
        if len(self.workers) == self._size:
            return None
        worker = Worker()
        self.workers.append(worker)
        self._selector.register(worker.stdout, selectors.EVENT_READ, worker)
        return worker

    def busy(self) -> list[Worker]:
        """Return the workers that have a trial."""
        return [worker for worker in self.workers if worker.trial is not None]

    def read(self, seconds: float) -> Iterator[tuple[Worker, Message | None]]:
        """Wait so long for messages at most, and yield those that have arrived; None if a worker has ended."""
        for key, _ in self._selector.select(seconds):
            worker: Worker = key.data
            for message in worker.read():
                yield worker, message

    def remove(self, worker: Worker) -> str:
        """Let a worker end, and return how it ended."""
        self._selector.unregister(worker.stdout)
        self.workers.remove(worker)
        return worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self.workers:
            if kind is not None:
                worker.kill()
            worker.close_stdin()
        for worker in list(self.workers):
            self.remove(worker)
        self._selector.close()


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: this rnnlab, one thread."""
    package = str(Path(rnnlab.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH", "")]))
    return {**environment, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path}


def _describe_exit(code: int, stderr: str) -> str:
    r"""Return how a worker ended: its signal, or its exit code and the last line of stderr.

    Example:
        >>> _describe_exit(-9, ""), _describe_exit(1, "Traceback …\nMemoryError\n")
        ('killed by SIGKILL', 'ended with exit code 1: MemoryError')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    last = [line.strip() for line in stderr.splitlines() if line.strip()][-1:]
    return ": ".join([f"ended with exit code {code}", *last])[:300]
