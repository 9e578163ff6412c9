"""Running a sweep on this machine: what is missing, interrupted or failed is trained by worker processes.

Nothing is remembered here: where each trial stands is in its run folder, so a controller that was killed is replaced by
the same command, and two controllers share the work through the locks of the runs.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.sweeps.crew import Crew, Member
from rnnlab.sweeps.events import Begun, Event, Lost, Over, TrialBegun, TrialEnded, TrialStepped
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.orders import Ended, Line, Progress, Ready, Scored, Train
from rnnlab.sweeps.plan import Plan, Trial
from rnnlab.sweeps.states import standing, standings
from rnnlab.training.stopping import Stop

if TYPE_CHECKING:
    from rnnlab.sweeps.proposals import Proposals

_TICK = 0.2  # seconds between two looks at the clock
_LOOK = 1.0  # between two looks at what only files tell: a wish to cancel, trials that others train
_FOREIGN = 10.0  # how long to wait for trials that others train: those of a controller that was killed end soon
_DEATHS = 2  # of workers at one trial, then it is given up
_STILLBORN = 5  # workers in a row that end before they begin


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
    proposals = _search(sweep) if plan.search is not None else None
    try:
        plan = proposals.plan if proposals else plan
        found = standings(sweep, plan)
        if proposals:
            proposals.take_stock(found)
        yield Begun(sweep, plan, found, workers)
        left = [one.trial for one in found if not one.is_over]
        controller = _Controller(
            sweep, plan, proposals=proposals, stop=stop or Stop(), timeout=timeout, fail_fast=fail_fast
        )
        more = plan.total - len(plan.trials) if proposals and proposals.has_more else 0
        with Crew(min(workers, len(left) + more)) as crew:
            yield from controller.run(crew, left)
    finally:
        if proposals:
            proposals.close()
    yield Over(standings(sweep, sweep.read_plan()), controller.stop.reason)


def _search(sweep: SweepFolder) -> "Proposals":
    from rnnlab.sweeps.proposals import Proposals

    return Proposals(sweep)


@final
class _Controller:
    def __init__(
        self,
        sweep: SweepFolder,
        plan: Plan,
        *,
        proposals: "Proposals | None",
        stop: Stop,
        timeout: float | None,
        fail_fast: bool,
    ) -> None:
        self.stop, self._proposals = stop, proposals
        self._sweep, self._plan = sweep, plan
        self._timeout, self._fail_fast = timeout, fail_fast
        self._noted = set(sweep.read_failures())
        self._cancel = sweep.read_cancel()
        self._waiting: deque[Trial] = deque()
        self._pruned: dict[str, int] = {}  # the step at which each was given up
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
        is_proposed = self._proposals is not None and self._proposals.has_more
        is_elsewhere = bool(self._elsewhere) and time.monotonic() - self._news < _FOREIGN
        return bool(self._waiting) or is_proposed or is_elsewhere

    def _assign(self, crew: Crew) -> Generator[Event, None, None]:
        while not self.stop.reason and (member := crew.idle()) is not None and self._is_something_waiting():
            trial = self._waiting.popleft()
            now = standing(self._sweep, trial)  # another controller may have been here
            if now.is_over:
                if self._proposals is not None:
                    self._proposals.take_stock([now])
                yield TrialEnded(trial, now.state, now.reason, None)
            elif now.state == "running":
                self._elsewhere[trial.name] = trial
            else:
                self._forget(trial)
                run, config = self._sweep.run(trial).path, self._sweep.config(trial)
                scores = self._plan.search is not None and self._plan.search.pruner is not None
                member.train(trial, Train(trial.name, str(config), str(run), self._plan.metric.name, scores))
                yield TrialBegun(trial)

    def _is_something_waiting(self) -> bool:
        # What another process still trains, as one that outlives its controller, is waited for: it has a say.
        if not self._waiting and not self._elsewhere and self._proposals is not None and self._proposals.has_more:
            self._waiting.extend(self._proposals.next())
        return bool(self._waiting)

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
        elif trial is not None and isinstance(line, Scored):
            if self._proposals is not None and self._proposals.gives_up(trial, line.step, line.value):
                self._pruned[trial.name] = line.step
                member.halt("the pruner")
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
        state: str = line.outcome
        reason, code = line.reason, line.exit_code
        if state == "interrupted" and trial.name in self._pruned:
            yield self._prune(trial, member.seconds)
            return
        if state == "interrupted" and not self.stop.reason and member.is_halted:
            state, reason, code = "failed", f"not done within the --timeout of {self._timeout:g} s", 75
        if state == "failed":
            self._fail(trial, reason, code)
        if self._proposals is not None:
            self._proposals.ended(trial, state, line.result)
        yield TrialEnded(trial, state, reason, member.seconds, line.result, line.solved)

    def _prune(self, trial: Trial, seconds: float) -> TrialEnded:
        reason = f"pruned at step {self._pruned[trial.name]:,}"
        self._sweep.write_failure(trial, reason, pruned=True)
        assert self._proposals is not None
        self._proposals.ended(trial, "pruned", None)
        return TrialEnded(trial, "pruned", reason, seconds)

    def _fail(self, trial: Trial, reason: str, code: int | None) -> None:
        self._note(trial, reason, code)
        if self._proposals is not None:
            self._proposals.ended(trial, "failed", None)
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
        elif trial.name in self._pruned:
            yield self._prune(trial, member.seconds)
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
                if self._proposals is not None:
                    self._proposals.take_stock([now])
                yield TrialEnded(trial, now.state, now.reason, None)
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
