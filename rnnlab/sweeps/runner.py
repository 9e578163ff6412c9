"""Run sweeps on this machine: worker processes train the trials that are missing, interrupted or failed.

The run folders have the whole state. So a runner that was killed is replaced by the same command, and several runners
share the trials of a sweep through the locks of the runs.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage.files import probe
from rnnlab.sweeps.events import Event, SweepEnded, SweepStarted, TrialEnded, TrialStarted
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.pool import FromWorker, Ready, Score, Train, TrialStepped, Worker, WorkerPool
from rnnlab.sweeps.populations import Populations, group_of
from rnnlab.sweeps.search import Search, open_search
from rnnlab.sweeps.status import SweepStatus, TrialStatus, sweep_status, trial_status
from rnnlab.training.stopping import PRUNER, Stop

Reported = tuple[SweepFolder, Event]

_TICK_SECONDS = 0.2  # between two checks of the clock
_POLL_SECONDS = 1.0  # between two looks at files: a request to cancel, trials that others train
_WAIT_SECONDS = 10.0  # for trials that others train: the workers of a killed runner end sooner
_MOST_DEATHS = 2  # of workers with the same trial, after which the trial has failed
_MOST_FAILED_STARTS = 5  # of workers in a row


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
    runner = _Runner(sweep, stop or Stop(), timeout=timeout, fail_fast=fail_fast, force_unlock=force_unlock, only=only)
    with closing(_run(iter([runner]), workers)) as events:
        for _, event in events:
            yield event


def run_sweeps(sweeps: Iterable[SweepFolder], *, workers: int, stop: Stop) -> Generator[Reported, None, None]:
    """Train all trials of some sweeps that are not finished, by the same processes.

    Args:
        sweeps: In order; the next one is taken, and starts, when a worker has nothing to do for those before it.
        workers: How many processes.
        stop: Ask it to save the trials and to stop; no sweep should be given from then on.

    Raises:
        RunLockedError, VerificationError, EnvironmentFault: See `run_sweep`.
    """
    return _run((_Runner(sweep, stop) for sweep in sweeps), workers)


def _run(runners: "Iterator[_Runner]", workers: int) -> Generator[Reported, None, None]:
    running = list[_Runner]()
    with ExitStack() as searches, WorkerPool(workers) as pool:
        while True:
            for one in list(running):
                yield from one.assign(pool)
                if one.has_ended(pool):
                    running.remove(one)
                    yield one.end()
            if pool.has_room() and (next_one := next(runners, None)):
                running.append(next_one)
                yield next_one.start(searches, workers)
                continue
            if not running:
                return
            for worker, message in list(pool.read(_TICK_SECONDS)):
                of_it = [one for one in running if one.sweep is worker.sweep]
                yield from (of_it or running)[0].receive(pool, worker, message)
            for one in running:
                one.poll(pool)


@final
class _Runner:
    """The trials of one sweep, and which of them is trained next."""

    def __init__(
        self,
        sweep: SweepFolder,
        stop: Stop,
        *,
        timeout: float | None = None,
        fail_fast: bool = False,
        force_unlock: bool = False,
        only: Sequence[str] | None = None,
    ) -> None:
        self.sweep, self._stop, self._only = sweep, stop, only
        self._search: Search | None = None
        self._plan = sweep.read_plan()
        self._timeout, self._fail_fast, self._force_unlock = timeout, fail_fast, force_unlock
        self._too_long = f"not done within --timeout {timeout or 0:g} s"
        self._cancel_request = sweep.cancel_request(self._plan)
        self._waiting: deque[Trial] = deque()
        self._pruned: dict[str, int] = {}  # the step at which each was pruned, by the trial's name
        self._elsewhere: dict[str, Trial] = {}  # trials that other processes train
        self._populations = Populations(sweep, self._plan)
        self._deaths, self._failed_starts = Counter[str](), 0
        self._polled = self._last_end = time.monotonic()

    def start(self, searches: ExitStack, workers: int) -> Reported:
        if self._plan.is_search:
            self._search = searches.enter_context(open_search(self.sweep, self._stop))
        status = self._status()
        if (len(self._only) if self._only else status.plan.total) > status.finished:
            probe(self.sweep.path)
        for one in status.trials:
            if not one.is_finished:
                self._waiting.append(one.trial)
            elif self._search:
                self._search.report(one)
        return self.sweep, SweepStarted(status, workers)

    def end(self) -> Reported:
        return self.sweep, SweepEnded(self._status(), self._stop.reason)

    def has_ended(self, pool: WorkerPool) -> bool:
        may_end_soon = bool(self._elsewhere) and time.monotonic() - self._last_end < _WAIT_SECONDS
        has_more = self._search is not None and self._search.has_more
        has_work = bool(self._waiting) or has_more or may_end_soon
        return not pool.busy(self.sweep) and (bool(self._stop.reason) or not has_work)

    def _status(self) -> SweepStatus:
        """Return the status of the sweep, of some of its trials alone where these are given."""
        status = sweep_status(self.sweep)
        return replace(
            status, trials=[one for one in status.trials if self._only is None or one.trial.name in self._only]
        )

    def assign(self, pool: WorkerPool) -> Generator[Reported, None, None]:
        while not self._stop.reason and (worker := self._worker_with_room(pool)):
            trial = self._waiting.popleft()
            status = trial_status(self.sweep, self._plan, trial)  # another runner may have finished it
            if status.is_finished:
                yield self._ended(status, None)
            elif status.state == "running" and not self._force_unlock:
                self._elsewhere[trial.name] = trial
            else:
                self.sweep.delete_failure(trial)
                options = self._plan.options
                message = Train(self.sweep, trial, options.metric.name, options.pruner is not None, self._force_unlock)
                worker.train(message, group=self._group(trial))
                yield self.sweep, TrialStarted(trial)

    def _worker_with_room(self, pool: WorkerPool) -> Worker | None:
        """Return a worker that can take the first waiting trial; another one of its group may become the first."""
        if not self._fill_waiting():
            return None
        if worker := pool.idle():
            return worker
        for worker in pool.busy(self.sweep):
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
        if not self._waiting and not self._elsewhere and self._search and self._search.has_more:
            self._waiting.extend(self._search.propose())
        return bool(self._waiting)

    def receive(self, pool: WorkerPool, worker: Worker, message: FromWorker | None) -> Generator[Reported, None, None]:
        if message is None:
            yield from self._replace_dead(pool, worker)
        elif isinstance(message, Ready):
            self._failed_starts = 0
        elif isinstance(message, TrialStepped):
            yield self.sweep, message
        elif isinstance(message, Score):
            if self._search and self._search.should_prune(message.trial, step=message.step, value=message.value):
                self._pruned.setdefault(message.trial.name, message.step)
        elif message.trial.name in worker.assigned:
            yield from self._trial_ended(pool, worker, message)

    def _trial_ended(self, pool: WorkerPool, worker: Worker, status: TrialStatus) -> Generator[Reported, None, None]:
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
        elif status.state == "interrupted" and is_interrupted and not self._stop.reason:
            yield self._fail(trial, self._too_long, seconds)
        else:
            yield self._ended(status, seconds)

    def _ended(self, status: TrialStatus, seconds: float | None) -> Reported:
        if self._search:
            self._search.report(status)
        return self.sweep, TrialEnded(status, seconds)

    def _fail(self, trial: Trial, reason: str, seconds: float) -> Reported:
        """Store why a trial failed; of one that was to be pruned, at which step."""
        step = self._pruned.get(trial.name)
        if step is not None:
            reason = f"pruned at step {step:,}"
        elif self._fail_fast:
            self._stop.ask(f"--fail-fast: {trial.name} failed")
        self.sweep.write_failure(self._plan, trial, reason, pruned=step is not None)
        return self._ended(TrialStatus(trial, "failed" if step is None else "pruned", reason), seconds)

    def _replace_dead(self, pool: WorkerPool, worker: Worker) -> Generator[Reported, None, None]:
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
            if one.interrupted and self._stop.reason:
                yield self._ended(TrialStatus(trial, "interrupted", f"its worker died ({how})"), seconds)
            elif one.interrupted:
                yield self._fail(trial, f"{self._too_long}, and not responding", seconds)
            elif self._deaths[trial.name] < _MOST_DEATHS:
                self._waiting.appendleft(trial)
                reason = f"its worker died ({how}); another resumes it"
                yield self.sweep, TrialEnded(TrialStatus(trial, "interrupted", reason), seconds)
            else:
                yield self._fail(trial, f"{_MOST_DEATHS} workers died while training it, the last {how}", seconds)

    def poll(self, pool: WorkerPool) -> None:
        """Look at the files and at the clock: what others ended or requested, and what takes too long."""
        self._poll_files()
        for worker in pool.busy(self.sweep):
            self._interrupt_if_due(worker)

    def _poll_files(self) -> None:
        if time.monotonic() - self._polled < _POLL_SECONDS:
            return
        self._polled = time.monotonic()
        if self.sweep.cancel_request(self._plan) != self._cancel_request:
            self._stop.ask("`rnnlab sweep cancel`")
        for trial in list(self._elsewhere.values()):
            if trial_status(self.sweep, self._plan, trial).state != "running":
                self._waiting.append(self._elsewhere.pop(trial.name))
                self._last_end = time.monotonic()

    def _interrupt_if_due(self, worker: Worker) -> None:
        for one in list(worker.assigned.values()):
            if self._stop.reason:
                worker.interrupt(one.trial, self._stop.reason)
            elif one.trial.name in self._pruned:
                worker.interrupt(one.trial, PRUNER)
            elif self._timeout is not None and worker.seconds(one.trial) > self._timeout:
                worker.interrupt(one.trial, f"--timeout={self._timeout:g}")
