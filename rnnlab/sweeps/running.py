"""Running a sweep on this machine: what is missing, interrupted or failed is trained by worker processes.

Nothing is remembered here: where each trial stands is in its run folder, so a controller that was killed is replaced by
the same command, and two controllers share the work through the locks of the runs.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.lab.stopping import Stop
from rnnlab.sweeps.crew import Crew, Member
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.orders import Ended, Line, Progress, Ready, Train
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.states import Standing, standing, standings

_TICK = 0.2  # seconds between two looks at the clock
_LOOK = 1.0  # between two looks at what only files tell: a wish to cancel, trials that others train
_FOREIGN = 10.0  # how long to wait for trials that others train: those of a controller that was killed end soon
_DEATHS = 2  # of workers at one trial, then it is given up
_STILLBORN = 5  # workers in a row that end before they begin


@final
@dataclass(frozen=True, slots=True)
class Begun:
    """The sweep begins; where each of its trials stands."""

    sweep: SweepFolder
    plan: Plan
    standings: Sequence[Standing]
    workers: int


@final
@dataclass(frozen=True, slots=True)
class TrialBegun:
    """A worker has begun with a trial, or goes on with it."""

    trial: Trial


@final
@dataclass(frozen=True, slots=True)
class TrialStepped:
    """How far a trial is: steps done, of how many, and the newest training loss."""

    trial: Trial
    step: int
    steps: int
    loss: float | None


@final
@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial has ended, for now.

    Attributes:
        trial: Which.
        state: `completed`, `interrupted`, `diverged`, `failed`, or `elsewhere`: another process trains it.
        reason: Why it is not completed.
        seconds: Since it was given to its worker.
        result: The sweep's metric.
        solved: Whether the task was solved.
    """

    trial: Trial
    state: str
    reason: str
    seconds: float
    result: float | None = None
    solved: bool | None = None


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """A worker has died; its trial is trained on by another."""

    trial: Trial
    how: str


@final
@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is done.

    Attributes:
        standings: Where each trial stands.
        stopped: Why not all was done, where somebody asked to stop.
    """

    standings: Sequence[Standing]
    stopped: str = ""


Event = Begun | TrialBegun | TrialStepped | TrialEnded | Lost | Over


def run_sweep(
    sweep: SweepFolder,
    *,
    workers: int,
    timeout: float | None = None,
    fail_fast: bool = False,
    stop: Stop | None = None,
) -> Generator[Event, None, None]:
    """Train all trials of a sweep that are not over; close the generator to stop at once.

    Args:
        sweep: Where.
        workers: How many processes.
        timeout: Seconds for which one trial may be trained; None for any.
        fail_fast: Stop at the first trial that fails.
        stop: Through it somebody may ask the sweep to stop: what is being trained is saved.

    Raises:
        VerificationError: The plan, or a note beside it, is damaged.
        EnvironmentFault: Workers cannot be started, or the disk refuses.
    """
    plan = sweep.read_plan()
    found = standings(sweep, plan)
    yield Begun(sweep, plan, found, workers)
    left = [one.trial for one in found if not one.is_over]
    controller = _Controller(sweep, plan, stop=stop or Stop(), timeout=timeout, fail_fast=fail_fast)
    with Crew(min(workers, len(left))) as crew:
        yield from controller.run(crew, left)
    yield Over(standings(sweep, plan), controller.stop.reason)


@final
class _Controller:
    def __init__(self, sweep: SweepFolder, plan: Plan, *, stop: Stop, timeout: float | None, fail_fast: bool) -> None:
        self.stop = stop
        self._sweep, self._plan = sweep, plan
        self._timeout, self._fail_fast = timeout, fail_fast
        self._noted = set(sweep.read_failures())
        self._cancel = sweep.read_cancel()
        self._waiting: deque[Trial] = deque()
        self._elsewhere: dict[str, Trial] = {}
        self._deaths, self._stillborn = Counter[str](), 0
        self._looked = self._news = time.monotonic()

    def run(self, crew: Crew, left: Sequence[Trial]) -> Generator[Event, None, None]:
        self._waiting.extend(left)
        while crew.busy() or (self._is_work_left() and not self.stop.reason):
            yield from self._assign(crew)
            for member, line in list(crew.hear(_TICK)):
                yield from self._heard(crew, member, line)
            yield from self._look()
            self._hurry(crew)

    def _is_work_left(self) -> bool:
        return bool(self._waiting) or (bool(self._elsewhere) and time.monotonic() - self._news < _FOREIGN)

    def _assign(self, crew: Crew) -> Generator[Event, None, None]:
        while self._waiting and not self.stop.reason and (member := crew.idle()) is not None:
            trial = self._waiting.popleft()
            now = standing(self._sweep, trial)  # another controller may have been here
            if now.is_over:
                yield TrialEnded(trial, now.state, now.reason, 0.0)
            elif now.state == "running":
                self._elsewhere[trial.name] = trial
            else:
                self._forget(trial)
                run, config = self._sweep.run(trial).path, self._sweep.config(trial)
                member.train(trial, Train(trial.name, str(config), str(run), self._plan.metric.name))
                yield TrialBegun(trial)

    def _forget(self, trial: Trial) -> None:
        if trial.name in self._noted:
            self._sweep.forget_failure(trial)
            self._noted.discard(trial.name)

    def _note(self, trial: Trial, reason: str, exit_code: int | None) -> None:
        self._sweep.write_failure(trial, reason, exit_code=exit_code)
        self._noted.add(trial.name)

    def _heard(self, crew: Crew, member: Member, line: Line | None) -> Generator[Event, None, None]:
        trial = member.trial
        if line is None:
            yield from self._died(crew, member)
        elif isinstance(line, Ready):
            self._stillborn = 0
        elif trial is not None and isinstance(line, Progress):
            yield TrialStepped(trial, line.step, line.steps, line.loss)
        elif trial is not None and isinstance(line, Ended):
            member.trial = None
            yield from self._ended(crew, member, trial, line)

    def _ended(self, crew: Crew, member: Member, trial: Trial, line: Ended) -> Generator[Event, None, None]:
        self._news = time.monotonic()
        if line.outcome == "retire":
            self._waiting.appendleft(trial)
            crew.dismiss(member)
            return
        if line.outcome == "elsewhere":
            self._elsewhere[trial.name] = trial
            return
        state, reason, code = line.outcome, line.reason, line.exit_code
        if state == "interrupted" and not self.stop.reason and member.is_halted:
            state, reason, code = "failed", f"not done within the --timeout of {self._timeout:g} s", 75
        if state == "failed":
            self._fail(trial, reason, code)
        yield TrialEnded(trial, state, reason, member.seconds, line.result, line.solved)

    def _fail(self, trial: Trial, reason: str, code: int | None) -> None:
        self._note(trial, reason, code)
        if self._fail_fast:
            self.stop.ask(f"--fail-fast: {trial.name} failed")

    def _died(self, crew: Crew, member: Member) -> Generator[Event, None, None]:
        """Replace a dead worker; its trial goes on, unless it has cost workers before."""
        trial, ready, halted = member.trial, member.is_ready, member.is_halted
        how = crew.dismiss(member)
        if not ready:
            self._stillborn += 1
            if self._stillborn == _STILLBORN:
                raise EnvironmentFault(f"workers cannot start: {how}", hint="`rnnlab train` on one config tells more")
        if trial is None:
            return
        if not ready:
            self._waiting.appendleft(trial)
            return
        self._deaths[trial.name] += 1
        if halted and self.stop.reason:  # the run says it is running, but its process is gone: it will be resumed
            yield TrialEnded(trial, "interrupted", f"its worker was {how}", member.seconds)
        elif halted:
            reason = f"not done within the --timeout of {self._timeout:g} s, and deaf"
            self._fail(trial, reason, None)
            yield TrialEnded(trial, "failed", reason, member.seconds)
        elif self._deaths[trial.name] < _DEATHS:
            self._waiting.appendleft(trial)
            yield Lost(trial, how)
        else:
            reason = f"two workers died of it, the last {how}"
            self._fail(trial, reason, None)
            yield TrialEnded(trial, "failed", reason, member.seconds)

    def _look(self) -> Generator[Event, None, None]:
        """Look at what only files tell."""
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        if self._sweep.read_cancel() != self._cancel:
            self.stop.ask("`rnnlab sweep cancel`")
        for trial in list(self._elsewhere.values()):
            now = standing(self._sweep, trial)
            if now.state == "running":
                continue
            del self._elsewhere[trial.name]
            self._news = time.monotonic()
            if now.is_over:
                yield TrialEnded(trial, now.state, now.reason, 0.0)
            else:
                self._waiting.append(trial)

    def _hurry(self, crew: Crew) -> None:
        """Ask those to stop whose time is up."""
        for member in crew.busy():
            if self.stop.reason:
                member.halt(self.stop.reason)
            elif self._timeout is not None and member.seconds > self._timeout:
                member.halt(f"--timeout={self._timeout:g}")
            member.kill_if_deaf()
