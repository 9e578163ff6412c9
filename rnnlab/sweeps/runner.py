"""Run a sweep on this machine: worker processes train the trials that are missing, interrupted or failed.

The run folders have the whole state. So a runner that was killed is replaced by the same command, and several runners
share the trials of a sweep through the locks of the runs.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage.files import probe
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.pool import FromWorker, Ready, Score, Train, TrialStepped, Worker, WorkerPool
from rnnlab.sweeps.populations import Populations, group_of
from rnnlab.sweeps.search import Search, open_search
from rnnlab.sweeps.status import SweepStatus, TrialStatus, sweep_status, trial_status
from rnnlab.training.stopping import PRUNER, Stop

_TICK_SECONDS = 0.2  # between two checks of the clock
_POLL_SECONDS = 1.0  # between two looks at files: a request to cancel, trials that others train
_WAIT_SECONDS = 10.0  # for trials that others train: the workers of a killed runner end sooner
_MOST_DEATHS = 2  # of workers with the same trial, after which the trial has failed
_MOST_FAILED_STARTS = 5  # of workers in a row


@final
@dataclass(frozen=True, slots=True)
class SweepStarted:
    """The sweep starts, with so many workers at most."""

    status: SweepStatus
    workers: int


@final
@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A worker starts or resumes a trial."""

    trial: Trial


@final
@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has ended so many seconds after its worker got it; None: another process trained it.

    It is `interrupted` also if its worker died; another worker resumes it.
    """

    status: TrialStatus
    seconds: float | None


@final
@dataclass(frozen=True, slots=True)
class SweepEnded:
    """The sweep has ended; `stop_reason` is empty unless it was stopped."""

    status: SweepStatus
    stop_reason: str


Event = SweepStarted | TrialStarted | TrialStepped | TrialEnded | SweepEnded


def run_sweep(
    sweep: SweepFolder,
    *,
    workers: int,
    timeout: float | None = None,
    fail_fast: bool = False,
    stop: Stop | None = None,
    only: Sequence[str] | None = None,
    force_unlock: bool = False,
) -> Generator[Event, None, None]:
    """Train all trials of a sweep that are not finished; close the generator to stop at once.

    Args:
        sweep: The sweep.
        workers: How many processes.
        timeout: Seconds after which a trial is saved and has failed; None for any.
        fail_fast: Stop when the first trial fails.
        stop: Ask it to save the trials and to stop.
        only: The names of the trials that are to be trained; None for all.
        force_unlock: Take the locks of trials from their holders, even if these seem alive.

    Raises:
        RunLockedError: Another process runs this search.
        VerificationError: The plan or another file of the sweep is damaged.
        EnvironmentFault: Workers cannot be started, or a file cannot be written.
    """
    runner = _Runner(sweep, stop or Stop(), timeout=timeout, fail_fast=fail_fast, force_unlock=force_unlock)
    with ExitStack() as stack:
        if sweep.read_plan().is_search:
            runner.search = stack.enter_context(open_search(sweep, runner.stop))
        status = _status_of(sweep, only)
        left = (len(only) if only else status.plan.total) - status.finished
        if left:
            probe(sweep.path)
        yield SweepStarted(status, workers)
        with WorkerPool(min(workers, left)) as pool:
            yield from runner.run(pool, status.trials)
    yield SweepEnded(_status_of(sweep, only), runner.stop.reason)


def _status_of(sweep: SweepFolder, only: Sequence[str] | None) -> SweepStatus:
    """Return the status of a sweep, of some of its trials alone where these are given."""
    status = sweep_status(sweep)
    return replace(status, trials=[one for one in status.trials if only is None or one.trial.name in only])


@final
class _Runner:
    def __init__(
        self, sweep: SweepFolder, stop: Stop, *, timeout: float | None, fail_fast: bool, force_unlock: bool
    ) -> None:
        self.stop = stop
        self.search: Search | None = None
        self._sweep, self._plan = sweep, sweep.read_plan()
        self._timeout, self._fail_fast, self._force_unlock = timeout, fail_fast, force_unlock
        self._too_long = f"not done within --timeout {timeout or 0:g} s"
        self._cancel_request = sweep.cancel_request(self._plan)
        self._waiting: deque[Trial] = deque()
        self._pruned: dict[str, int] = {}  # the step at which each was pruned, by the trial's name
        self._elsewhere: dict[str, Trial] = {}  # trials that other processes train
        self._populations = Populations(sweep, self._plan)
        self._deaths, self._failed_starts = Counter[str](), 0
        self._polled = self._last_end = time.monotonic()

    def run(self, pool: WorkerPool, trials: Iterable[TrialStatus]) -> Generator[Event, None, None]:
        for status in trials:
            if not status.is_finished:
                self._waiting.append(status.trial)
            elif self.search:
                self.search.report(status)
        while pool.busy() or (self._has_work() and not self.stop.reason):
            yield from self._assign(pool)
            for worker, message in list(pool.read(_TICK_SECONDS)):
                yield from self._receive(pool, worker, message)
            self._poll_files()
            for worker in pool.busy():
                self._interrupt_if_due(worker)

    def _has_work(self) -> bool:
        may_end_soon = bool(self._elsewhere) and time.monotonic() - self._last_end < _WAIT_SECONDS
        return bool(self._waiting) or (self.search is not None and self.search.has_more) or may_end_soon

    def _assign(self, pool: WorkerPool) -> Generator[Event, None, None]:
        while not self.stop.reason and (worker := self._worker_with_room(pool)):
            trial = self._waiting.popleft()
            status = trial_status(self._sweep, self._plan, trial)  # another runner may have finished it
            if status.is_finished:
                yield self._ended(status, None)
            elif status.state == "running" and not self._force_unlock:
                self._elsewhere[trial.name] = trial
            else:
                self._sweep.delete_failure(trial)
                options = self._plan.options
                message = Train(self._sweep, trial, options.metric.name, options.pruner is not None, self._force_unlock)
                worker.train(message, group=self._group(trial))
                yield TrialStarted(trial)

    def _worker_with_room(self, pool: WorkerPool) -> Worker | None:
        """Return a worker that can take the first waiting trial; another one of its group may become the first."""
        if not self._fill_waiting():
            return None
        if worker := pool.idle():
            return worker
        for worker in pool.busy():
            fitting = (trial for trial in self._waiting if self._group(trial) == worker.group)
            if (trial := next(fitting, None)) and len(worker.assigned) < self._most(trial):
                self._waiting.remove(trial)
                self._waiting.appendleft(trial)
                return worker
        return None

    def _group(self, trial: Trial) -> str:
        # What has cost a worker is trained alone: it may have been another's fault.
        return trial.name if self._deaths[trial.name] else group_of(trial)

    def _most(self, trial: Trial) -> int:
        return 1 if self._deaths[trial.name] else self._populations.most(trial)

    def _fill_waiting(self) -> bool:
        # A search first waits for the trials of other processes, whose results count.
        if not self._waiting and not self._elsewhere and self.search and self.search.has_more:
            self._waiting.extend(self.search.propose())
        return bool(self._waiting)

    def _receive(self, pool: WorkerPool, worker: Worker, message: FromWorker | None) -> Generator[Event, None, None]:
        if message is None:
            yield from self._replace_dead(pool, worker)
        elif isinstance(message, Ready):
            self._failed_starts = 0
        elif isinstance(message, TrialStepped):
            yield message
        elif isinstance(message, Score):
            if self.search and self.search.should_prune(message.trial, step=message.step, value=message.value):
                self._pruned.setdefault(message.trial.name, message.step)
        elif message.trial.name in worker.assigned:
            yield from self._trial_ended(pool, worker, message)

    def _trial_ended(self, pool: WorkerPool, worker: Worker, status: TrialStatus) -> Generator[Event, None, None]:
        trial, self._last_end = status.trial, time.monotonic()
        seconds, is_interrupted = worker.seconds(trial), worker.is_interrupted(trial)
        del worker.assigned[trial.name]
        if status.state == "missing":
            self._waiting.extendleft([trial, *(one.trial for one in worker.assigned.values())])
            pool.remove(worker)
        elif status.state == "running":
            self._elsewhere[trial.name] = trial
        elif status.state == "failed":
            yield self._fail(trial, status.reason, seconds)
        elif status.state == "interrupted" and trial.name in self._pruned:
            yield self._fail(trial, "", seconds)
        elif status.state == "interrupted" and is_interrupted and not self.stop.reason:
            yield self._fail(trial, self._too_long, seconds)
        else:
            yield self._ended(status, seconds)

    def _ended(self, status: TrialStatus, seconds: float | None) -> TrialEnded:
        if self.search:
            self.search.report(status)
        return TrialEnded(status, seconds)

    def _fail(self, trial: Trial, reason: str, seconds: float) -> TrialEnded:
        """Store why a trial failed; of one that was to be pruned, at which step."""
        step = self._pruned.get(trial.name)
        if step is not None:
            reason = f"pruned at step {step:,}"
        elif self._fail_fast:
            self.stop.ask(f"--fail-fast: {trial.name} failed")
        self._sweep.write_failure(self._plan, trial, reason, pruned=step is not None)
        return self._ended(TrialStatus(trial, "failed" if step is None else "pruned", reason), seconds)

    def _replace_dead(self, pool: WorkerPool, worker: Worker) -> Generator[Event, None, None]:
        """Put the trials of a dead worker first in the queue, but those that have cost a worker before."""
        how = pool.remove(worker)
        if not worker.started:
            self._failed_starts += 1
            if self._failed_starts == _MOST_FAILED_STARTS:
                hint = "try `rnnlab train` with one of the configs"
                raise EnvironmentFault(f"workers cannot start: {how}", hint=hint)
            self._waiting.extendleft(one.trial for one in reversed(worker.assigned.values()))
            return
        for one in reversed(worker.assigned.values()):
            trial, seconds = one.trial, worker.seconds(one.trial)
            self._deaths[trial.name] += 1
            if one.interrupted and self.stop.reason:
                yield self._ended(TrialStatus(trial, "interrupted", f"its worker died ({how})"), seconds)
            elif one.interrupted:
                yield self._fail(trial, f"{self._too_long}, and not responding", seconds)
            elif self._deaths[trial.name] < _MOST_DEATHS:
                self._waiting.appendleft(trial)
                reason = f"its worker died ({how}); another resumes it"
                yield TrialEnded(TrialStatus(trial, "interrupted", reason), seconds)
            else:
                yield self._fail(trial, f"{_MOST_DEATHS} workers died while training it, the last {how}", seconds)

    def _poll_files(self) -> None:
        if time.monotonic() - self._polled < _POLL_SECONDS:
            return
        self._polled = time.monotonic()
        if self._sweep.cancel_request(self._plan) != self._cancel_request:
            self.stop.ask("`rnnlab sweep cancel`")
        for trial in list(self._elsewhere.values()):
            if trial_status(self._sweep, self._plan, trial).state != "running":
                self._waiting.append(self._elsewhere.pop(trial.name))
                self._last_end = time.monotonic()

    def _interrupt_if_due(self, worker: Worker) -> None:
        for one in list(worker.assigned.values()):
            if self.stop.reason:
                worker.interrupt(one.trial, self.stop.reason)
            elif one.trial.name in self._pruned:
                worker.interrupt(one.trial, PRUNER)
            elif self._timeout is not None and worker.seconds(one.trial) > self._timeout:
                worker.interrupt(one.trial, f"--timeout={self._timeout:g}")
