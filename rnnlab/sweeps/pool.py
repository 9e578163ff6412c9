"""The worker processes of a sweep, and the messages to and from them.

Each is started once and trains one trial after another, or some side by side. A new process per trial would be simpler,
but starting Python and NumPy takes about 0.5 s of processor time, and a small trial 0.01 s.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Self, final

import rnnlab
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.system_errors import limit_hint
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.status import TrialStatus

# Each processor has a worker, so one thread computes in each.
_ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_START_SECONDS = 120.0  # that a worker may take to start
_KILL_SECONDS = 10.0  # from the request to stop to the kill


@final
@dataclass(frozen=True, slots=True)
class Train:
    """To a worker: train this trial now. `report_scores`: send a `Score` at each evaluation."""

    sweep: SweepFolder
    trial: Trial
    metric: str
    report_scores: bool
    force_unlock: bool


@final
@dataclass(frozen=True, slots=True)
class Interrupt:
    """To a worker: save a trial and end it, for this reason."""

    trial: str
    reason: str


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has started and waits for a trial."""


@final
@dataclass(frozen=True, slots=True)
class TrialStepped:
    """From a worker: steps or streams done, of how many, and the loss of the newest batch; None: it is not finite."""

    trial: Trial
    done: int
    budget: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class Score:
    """From a worker: the sweep's metric on the validation set after so many steps."""

    trial: Trial
    step: int
    value: float


ToWorker = Train | Interrupt
# A trial that is `running` is trained by another process; one that is `missing` needs another worker.
FromWorker = Ready | TrialStepped | Score | TrialStatus


@final
@dataclass(slots=True)
class Assignment:
    """A trial that a worker trains, since when, and since when it is to end; 0 while it is not."""

    trial: Trial
    since: float
    interrupted: float = 0.0


@final
class Worker:
    """One worker process, seen from the runner.

    Attributes:
        assigned: What it trains, by the trial's name; nothing while it waits.
        sweep: Of which sweep that is, or was.
        group: What the trials have in common that it trains side by side.
        started: When it sent its first message; 0 before.
        connection: For messages; closed at this end, it makes the worker save its trials and end.
    """

    def __init__(self) -> None:
        self.assigned: dict[str, Assignment] = {}
        self.sweep: SweepFolder | None = None
        self.group, self.started = "", 0.0
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process runs
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "rnnlab.sweeps.worker", str(theirs.fileno())],
                env=worker_environment(os.environ),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,  # Ctrl-C in the terminal is for the runner
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def seconds(self, trial: Trial) -> float:
        """Return since when it has a trial, without the time that it took to start, unless that was very long."""
        now, since = time.monotonic(), self.assigned[trial.name].since
        if self.started:
            return now - max(since, self.started)
        return now - since if now - since > _START_SECONDS else 0.0

    def is_interrupted(self, trial: Trial) -> bool:
        """Return whether it was requested to end a trial."""
        return self.assigned[trial.name].interrupted > 0

    def train(self, message: Train, *, group: str) -> None:
        """Give it a trial, one of a group."""
        self.sweep, self.group = message.sweep, group
        self.assigned[message.trial.name] = Assignment(message.trial, time.monotonic())
        self._send(message)

    def interrupt(self, trial: Trial, reason: str) -> None:
        """Request that it saves a trial and ends it; repeated for some seconds without success, kill it."""
        assignment = self.assigned[trial.name]
        if not assignment.interrupted:
            assignment.interrupted = time.monotonic()
            self._send(Interrupt(trial.name, reason))
        elif time.monotonic() - assignment.interrupted > _KILL_SECONDS:
            self.kill()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def read(self) -> FromWorker | None:
        """Wait for its next message and return it; None if it has ended."""
        try:
            message: FromWorker = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.started = self.started or time.monotonic()
        return message

    def close(self) -> str:
        """Let it end, wait for it, and return how it ended."""
        self.connection.close()
        try:
            code = self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        with self._output:
            self._output.seek(0)
            return _describe_exit(code, self._output.read().decode(errors="replace"))

    def _send(self, message: ToWorker) -> None:
        with suppress(OSError):  # it is dead, which `read` reports
            self.connection.send(message)


@final
class WorkerPool:
    """The workers of some sweeps; a context, at the end of which all of them have ended.

    Args:
        size: How many at most.

    Raises:
        EnvironmentFault: The system is Windows.

    Attributes:
        workers: The processes; they start when they are needed.
    """

    def __init__(self, size: int) -> None:
        if not hasattr(os, "fork"):  # a child there inherits no open file
            hint = "use its Subsystem for Linux (WSL), or train one config after another with `rnnlab train`"
            raise EnvironmentFault("the worker processes of a sweep do not run on Windows", hint=hint)
        self.workers: list[Worker] = []
        self._size = size

    def idle(self) -> Worker | None:
        """Return a worker without a trial, a new one if there may be one more; None if all are busy.

        Raises:
            EnvironmentFault: It cannot be started.
        """
        for worker in self.workers:
            if not worker.assigned:
                return worker
        if len(self.workers) == self._size:
            return None
        try:
            self.workers.append(Worker())
        except OSError as fault:
            started = len(self.workers)
            fewer = f"start fewer workers: --workers {started}" if started else "train one config with `rnnlab train`"
            problem = f"cannot start worker {started + 1} of {self._size}: {fault.strerror or fault}"
            hint = ", or ".join(filter(None, [limit_hint(fault), fewer]))
            raise EnvironmentFault(problem, hint=hint) from fault
        return self.workers[-1]

    def has_room(self) -> bool:
        """Return whether `idle` would return a worker."""
        return len(self.workers) < self._size or not all(one.assigned for one in self.workers)

    def busy(self, sweep: SweepFolder) -> list[Worker]:
        """Return the workers that have a trial of a sweep, those with the fewest first."""
        found = [one for one in self.workers if one.assigned and one.sweep is sweep]
        return sorted(found, key=lambda one: len(one.assigned))

    def read(self, seconds: float) -> Iterator[tuple[Worker, FromWorker | None]]:
        """Wait so long for messages at most, and yield one of each worker that has sent any; None if it has ended."""
        ready = wait([worker.connection for worker in self.workers], seconds)
        for worker in [worker for worker in self.workers if worker.connection in ready]:
            yield worker, worker.read()

    def remove(self, worker: Worker) -> str:
        """Let a worker end, and return how it ended."""
        self.workers.remove(worker)
        return worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self.workers:
            if kind is not None:
                worker.kill()
            worker.connection.close()  # now, so that all save their trials at once
        while self.workers:
            self.remove(self.workers[0])


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: this rnnlab, one thread."""
    package = str(Path(rnnlab.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH", "")]))
    return {**environment, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path}


def _describe_exit(code: int, output: str) -> str:
    r"""Return how a worker ended: its signal, or its exit code and the last line of its output.

    Example:
        >>> _describe_exit(-9, ""), _describe_exit(1, "Traceback …\nMemoryError\n")
        ('killed by SIGKILL', 'ended with exit code 1: MemoryError')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    last = [line.strip() for line in output.splitlines() if line.strip()][-1:]
    return ": ".join([f"ended with exit code {code}", *last])[:300]
