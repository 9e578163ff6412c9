"""What one run came to: read from its folder, finished or not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, ConfigDict, ValidationError

from rnnlab.comparison.configured import Configured, read_configured
from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.core.text import visible
from rnnlab.runs.summary import own_summary
from rnnlab.storage import RunFolder, Status

Points = list[tuple[int, float | None]]

_NOT_METRICS = {"step", "sequences", "seconds", "nonfinite"}
_LOSS = "validation/loss"


@final
@dataclass(frozen=True)
class Damaged:
    """A run that cannot be read.

    Attributes:
        name: What the user or the folder calls it.
        reason: Why not, and where.
    """

    name: str
    reason: str


@final
class SolvedAt(BaseModel):
    """When the task's success rule was first met: updates, training sequences, seconds of training."""

    model_config = ConfigDict(frozen=True, strict=True)

    step: int
    sequences: int
    seconds: float


@final
class Summary(BaseModel):
    """What is read of `summary.json`; a run that has not ended has only its metrics."""

    model_config = ConfigDict(frozen=True, strict=True)

    stopped: str | None = None
    steps: int | None = None
    sequences: int | None = None
    seconds: float | None = None
    steps_per_second: float | None = None
    parameters: int | None = None
    baseline: float | None = None
    solved: bool | None = None
    solved_at: SolvedAt | None = None


@final
@dataclass(frozen=True)
class Result:
    """What one run came to; a number nobody knows is None.

    Attributes:
        name: The folder's name, or its path where two runs have that name.
        label: The name the user gave.
        path: The folder.
        state: `running`, `completed`, `interrupted`, `failed` or `diverged`.
        message: Why, in one sentence, where the state has a reason.
        stopped: What ended it: `solved`, `budget`, `plateau`, or the state.
        config: The experiment, by dotted key; a list is one value.
        facts: What the run recorded of its task, e.g. the hash of the file that was read.
        steps: Updates done.
        sequences: Training sequences seen.
        seconds: Seconds of training.
        steps_per_second: Mean speed, evaluations included.
        parameters: How many numbers are trained.
        baseline: Loss of the task's best predictor without memory.
        solved: Whether the task's success rule was met; None while that is open.
        solved_at: When it was first met.
        records: The training record; a value that was not finite is None. Of many runs it is read when asked for.
        finals: Final validation metrics by full name, where they are known without the record; else empty.
        torn: Whether the record ends in half a line, which is not counted; of many runs it is not known.
    """

    name: str
    label: str
    path: Path
    state: str
    message: str
    stopped: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    steps: int
    sequences: int | None
    seconds: float | None
    steps_per_second: float | None
    parameters: int | None
    baseline: float | None
    solved: bool | None
    solved_at: SolvedAt | None
    records: Sequence[Mapping[str, Any]]
    finals: Mapping[str, float | None] = field(default_factory=dict)
    torn: bool = False

    def metrics(self) -> list[str]:
        """Return the full names of all metrics recorded, in the order they first appear."""
        items = (item for record in self.records for item in record.items())
        names = dict.fromkeys(name for name, value in items if not isinstance(value, str | bool | list))
        return [name for name in names if name not in _NOT_METRICS]

    def curve(self, metric: str) -> Points:
        """Return (step, value) of each record that has the metric; None for a value that was not finite."""
        return [(record["step"], _number(record[metric])) for record in self.records if metric in record]

    def final(self, metric: str) -> float | None:
        """Return the metric's last value."""
        if metric in self.finals:
            return self.finals[metric]
        curve = self.curve(metric)
        return curve[-1][1] if curve else None

    def best(self, metric: str) -> float | None:
        """Return the metric's value at the best evaluation: that of the lowest validation loss, the first of equals."""
        record = self._best_record()
        return _number(record.get(metric)) if record else None

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation, whose weights the run keeps as its best."""
        record = self._best_record()
        return record["step"] if record else None

    def _best_record(self) -> Mapping[str, Any] | None:
        scored = [record for record in self.records if _number(record.get(_LOSS)) is not None]
        return min(scored, key=lambda record: float(record[_LOSS]), default=None)


def read_result(run: RunFolder) -> Result | Damaged:
    """Return what a run came to, or why it cannot be read."""
    try:
        return _read(run)
    except (VerificationError, EnvironmentFault) as fault:
        where = fault.where.removeprefix(visible(str(run.path))).lstrip("/")
        return Damaged(run.name, f"{where}: {fault.problem}" if where else fault.problem)


def _read(run: RunFolder) -> Result:
    status, metrics = run.read_status(), run.read_metrics()
    records = metrics.records
    configured = read_configured(run)
    summary = _read_summary(run, status) or _summary_so_far(records, status.step, configured)
    return Result(
        name=run.name,
        label=run.label,
        path=run.path,
        state=status.state,
        message=status.message,
        stopped=summary.stopped or status.state,
        config=configured.values,
        facts=configured.facts,
        steps=summary.steps if summary.steps is not None else status.step,
        records=records,
        **summary.model_dump(exclude={"stopped", "steps", "solved_at"}),
        solved_at=summary.solved_at,
        torn=metrics.torn and (status.state != "running" or run.is_stale(status)),  # else a line is being written
    )


def _read_summary(run: RunFolder, status: Status) -> Summary | None:
    if not run.has_result(status):
        return None
    try:
        return Summary.model_validate(own_summary(run, status))
    except ValidationError as fault:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in fault.errors())
        where = visible(str(run.path / "summary.json"))
        raise VerificationError(f"is not a run's summary: {visible(faults)}", where=where) from fault


def _summary_so_far(records: Sequence[Mapping[str, Any]], step: int, configured: Configured) -> Summary:
    last: Mapping[str, Any] = records[-1] if records else {}
    seconds, done = _number(last.get("seconds")), last.get("step", 0)
    sequences = last.get("sequences")
    return Summary(
        steps=max(step, done),
        sequences=sequences if isinstance(sequences, int) else None,
        seconds=seconds,
        steps_per_second=round(done / seconds, 3) if seconds else None,
        parameters=configured.parameters(),
        baseline=configured.baseline(),
    )


def _number(value: Any) -> float | None:
    """Return a record's value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
