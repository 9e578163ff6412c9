"""What a row has reached so far, read from its sweep folder: the trials, their tests, the machine, the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, final

from rnnlab.comparison.statistics import Interval, wilson
from rnnlab.core.errors import RnnlabError, UsageError, VerificationError
from rnnlab.inspection.diagnoses import diagnose, diagnoses
from rnnlab.inspection.evaluate import evaluate, recorded
from rnnlab.reproduction.published import SEQUENCES, SOLVED, TEST
from rnnlab.reproduction.rows import Row
from rnnlab.runs.run import Run
from rnnlab.storage.jsonfile import look_up
from rnnlab.storage.metrics import NOT_SCORES
from rnnlab.storage.summary import Summary
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.growth import grow
from rnnlab.sweeps.status import SweepStatus, TrialStatus, sweep_status

State = Literal["not run", "partly", "running", "finished", "changed", "damaged"]
OPEN: frozenset[State] = frozenset({"not run", "partly", "running"})  # something is left to train or to test
Scores = Mapping[str, Any]
_WORKERS = 2  # with which `minutes` of a row was measured


@final
@dataclass(frozen=True)
class TrialResult:
    """What one trial reached.

    Attributes:
        reason: Why it is not completed; may be empty.
        solved: Whether it met the success rule; None where it has not ended, or there is no rule.
        sequences: Training sequences until then.
        test: Metrics of the test; None where it was not made.
    """

    name: str
    state: str
    reason: str = ""
    solved: bool | None = None
    sequences: int | None = None
    summary: Summary | None = None
    test: Scores | None = None


@final
@dataclass(frozen=True)
class Machine:
    """Where and with what some trials were trained, when the first began and the last ended; no host and no path."""

    processors: Sequence[str] = ()
    versions: Sequence[str] = ()
    first: datetime | None = None
    last: datetime | None = None


@final
@dataclass(frozen=True)
class Result:
    """What a row, or a variant, has reached.

    Attributes:
        state: `changed`: the stored trials are of another version of the row, or of another file with its name;
            `damaged`: the stored plan cannot be read. Nothing is then read from them.
        planned: How many trials it has.
        trials: Those that have a run folder or a stored failure.
        seconds: How long any of them was trained, those side by side counted once.
        fault: Why it is changed or damaged.
    """

    row: Row
    state: State
    planned: int
    trials: Sequence[TrialResult] = ()
    machine: Machine = field(default_factory=Machine)
    seconds: float | None = None
    fault: VerificationError | None = None

    @property
    def ended(self) -> list[TrialResult]:
        """The trials that are completed or diverged."""
        return [one for one in self.trials if one.state in {"completed", "diverged"}]

    @property
    def failed(self) -> list[TrialResult]:
        """The trials that failed, diverged or are damaged."""
        return [one for one in self.trials if one.state in {"failed", "diverged", "damaged"}]

    @property
    def solved(self) -> list[TrialResult]:
        """The trials that met the success rule."""
        return [one for one in self.ended if one.solved]

    @property
    def has_rule(self) -> bool:
        """Whether the trials have a success rule."""
        return any(one.solved is not None for one in self.ended)

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the share of trials that are solved; None before one has ended."""
        return wilson(len(self.solved), len(self.ended)) if self.ended else None

    @property
    def sequences(self) -> list[int]:
        """Training sequences until success, of the solved trials in ascending order."""
        return sorted(one.sequences for one in self.solved if one.sequences is not None)

    @property
    def tested(self) -> list[TrialResult]:
        """The trials whose test counts: the solved ones if the row's rule asks for such, else all that ended."""
        return [one for one in (self.solved if self.tests_solved else self.ended) if one.test]

    @property
    def tests_solved(self) -> bool:
        """Whether the tests of solved trials alone count."""
        return self.has_rule and self.row.published.agrees.solved is not None

    def of_test(self, metric: str) -> list[float]:
        """Return a metric of the tests that count, in ascending order."""
        values = (one.test.get(metric) for one in self.tested if one.test)
        return sorted(value for value in values if isinstance(value, int | float) and isfinite(value))

    @property
    def value(self) -> float | None:
        """Our value of what the row compares; None where there is none."""
        measure = self.row.published.measure
        if measure == SOLVED:
            return len(self.solved) / len(self.ended) if self.ended else None
        return fmean(found) if (found := self.values) else None

    @property
    def values(self) -> list[float]:
        """What `value` is the mean of, in ascending order; nothing where it is a share."""
        measure = self.row.published.measure
        if measure == SEQUENCES:
            return [float(one) for one in self.sequences]
        kind, _, metric = measure.partition(".")
        if kind == TEST:
            return self.of_test(metric)
        summaries = (one.summary for one in self.ended if one.summary and measure != SOLVED)
        found = (look_up(one.model_dump(), measure) for one in summaries)
        return sorted(float(one) for one in found if isinstance(one, int | float) and isfinite(one))

    @property
    def ratio(self) -> float | None:
        """Our value relative to the printed one; None where either is missing or the printed one is 0."""
        printed, ours = self.row.published.value, self.value
        return ours / printed if ours is not None and printed else None


def median_of(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return float(median(values)) if values else None


def mean_of(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return fmean(values) if values else None


def result_of(row: Row, root: Path) -> Result:
    """Return what a row has reached, from the runs in the folder of all runs.

    Raises:
        ConfigError: The row has an error.
    """
    plan, sweep = row.checked.plan, SweepFolder(row.folder(root))
    if not sweep.is_sweep():
        return Result(row, "not run", len(plan.trials))
    try:
        row.require_own(root)
    except VerificationError as fault:
        return Result(row, "changed", len(plan.trials), fault=fault)
    try:
        status = sweep_status(sweep)
    except VerificationError as fault:
        return Result(row, "damaged", len(plan.trials), fault=fault)
    try:
        grow(status.plan, plan)
    except UsageError as error:
        problem = f"the results are of another version of the row, and are not used: {error.problem}"
        hint = "delete or rename the folder to train the row again"
        changed = VerificationError(problem, where=str(sweep.path), hint=hint)
        return Result(row, "changed", len(plan.trials), fault=changed)
    trials = [_trial(row, status, one) for one in status.trials if one.state != "missing"]
    whole = {one.name: one for one in trials if one.state == "completed"}
    runs = [Run(sweep.run(one.trial)) for one in status.trials if one.trial.name in whole]
    is_tested = row.published.test is None or all(one.test for one in whole.values())
    is_whole = all(one.state != "damaged" for one in trials)
    if not trials:
        state: State = "not run"
    elif status.finished == len(plan.trials) and is_tested and is_whole:
        state = "finished"
    else:
        state = "running" if status.counts["running"] else "partly"
    return Result(row, state, len(plan.trials), trials, _machine(runs), _seconds(runs))


def seconds_left(result: Result, *, workers: int) -> float | None:
    """Return about how long the rest of a row takes, by what ended here or elsewhere; None where that is not known."""
    left = result.planned - len(result.ended)
    if result.state not in OPEN or not left:
        return 0.0
    if result.ended and result.seconds:
        return result.seconds / len(result.ended) * left
    minutes = result.row.published.minutes
    return minutes and 60 * minutes * _WORKERS / min(workers, left) * left / result.planned


def untested(row: Row, root: Path) -> list[Run]:
    """Return the completed trials of a row that lack its test; none where it has no test, and no damaged ones."""
    if row.published.test is None:
        return []
    status = sweep_status(SweepFolder(row.folder(root)))
    trials = [(one, _trial(row, status, one)) for one in status.trials if one.state == "completed"]
    return [Run(status.sweep.run(one.trial)) for one, read in trials if read.state == "completed" and not read.test]


def test_trial(row: Row, run: Run) -> None:
    """Score the weights at the end of a trial on the fresh sequences of the row's test, and store the score."""
    assert row.published.test
    test = row.published.test
    figures: Mapping[str, float] = {}
    if test.diagnosis:
        found = diagnose(run, test.diagnosis, weights="last").results
        figures = diagnoses()[test.diagnosis].figures(found[test.diagnosis]) if found else {}
    evaluate(run, test.changes, weights="last", sequences=test.sequences, figures=figures)


def _trial(row: Row, status: SweepStatus, one: TrialStatus) -> TrialResult:
    name, state = one.trial.name, one.state
    if state == "diverged":
        return TrialResult(name, state, one.reason, solved=False)
    if state != "completed":
        return TrialResult(name, state, one.reason)
    run = Run(status.sweep.run(one.trial))
    try:
        summary, test, _ = run.summary, _test(row, run), run.provenance
    except RnnlabError as fault:
        return TrialResult(name, "damaged", str(fault))
    return TrialResult(name, state, "", summary.solved, summary.sequences_to_success, summary, test)


def _test(row: Row, run: Run) -> Scores | None:
    """Return the newest score of the test that the row asks for, of the weights that the run has now."""
    if (test := row.published.test) is None:
        return None
    wanted = {"step": run.summary.steps, "weights": "last", "stream": "test", "sequences": test.sequences}
    wanted["overrides"] = recorded(test.changes)
    figures = diagnoses()[test.diagnosis].measures if test.diagnosis else ()
    for one in reversed(run.evaluations):
        if all(one.get(key, "") == value for key, value in wanted.items()) and one.keys() >= set(figures):
            return {key: value for key, value in one.items() if key not in NOT_SCORES}
    return None


def _machine(runs: Sequence[Run]) -> Machine:
    processors, versions = dict[str, None](), dict[str, None]()
    for run in runs:
        git = run.provenance.git
        commit = f" (commit {git.commit[:10]}{', with changes' * bool(git.dirty)})" if git else ""
        for one in run.provenance.processes:
            cores = f", {one.cpu.logical_cores} logical cores" if one.cpu.logical_cores else ""
            processors[f"{one.cpu.model or one.machine}{cores}"] = None
            versions[" ".join(filter(None, ("rnnlab", one.versions.get("rnnlab")))) + commit] = None
    first = min((run.status.started for run in runs), default=None)
    last = max((run.status.updated for run in runs), default=None)
    return Machine([*processors], [*versions], first, last)


def _seconds(runs: Sequence[Run]) -> float | None:
    """Return the length of the union of the times in which the runs were trained."""
    total, until = 0.0, float("-inf")
    ends = [run.status.updated.timestamp() for run in runs]
    for start, end in sorted((end - (run.summary.seconds or 0.0), end) for run, end in zip(runs, ends, strict=True)):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total if runs else None
