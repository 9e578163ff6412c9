"""The result of a run in figures: what `summary.json` stores, and what is known of it before the run has ended."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, final

from pydantic import Field

from rnnlab.core.code_files import without_path
from rnnlab.core.options import Options
from rnnlab.storage.fields import Count, Name, RunId, Seconds, Step, Text
from rnnlab.storage.status import Attempt, RunState, Status

LOSS = "validation/loss"  # in a line of the training record
Scores = Annotated[dict[Name, float | None], Field(max_length=1000)]  # None where a value was not finite


@final
class SolvedAt(Options):
    """When the task's success rule was first met.

    Attributes:
        step: Updates done.
        sequences: Training sequences seen.
        seconds: Seconds of training.
    """

    step: Step
    sequences: Count
    seconds: Seconds


@final
class Best(Options):
    """The evaluation with the lowest validation loss.

    Attributes:
        step: Updates done.
        metrics: The validation metrics, `loss` among them.
    """

    step: Step
    metrics: Scores


@final
class Summary(Options):
    """The result of a run; a figure that is not known is None.

    Attributes:
        id: The run's.
        attempt: Which process wrote it, from 1.
        run: The folder's name when the run was made.
        name: The name the user gave.
        state: The state the run ended in, `running` or `stale`.
        stopped: What ended the training: `solved`, `budget`, `plateau`, or the state.
        task: The task's full name.
        timesteps: Shortest and longest sequence.
        backend, cell, seed: Of the config.
        parameters: Trained parameters.
        steps: Updates done.
        sequences: Training sequences seen.
        seconds: Seconds of training.
        steps_per_second: Mean speed, evaluations included.
        baseline: Loss of the task's best predictor without memory.
        solved: Whether the task's success rule was met; None while that is open, and where it has no rule.
        solved_rule: The rule in words.
        solved_at: When it was first met.
        loss: The final validation loss.
        metrics: The final validation metrics, `loss` among them.
        best: The best evaluation.
    """

    id: RunId
    attempt: Attempt
    run: Name
    name: Name
    state: RunState
    stopped: Literal["solved", "budget", "plateau"] | RunState
    task: Name | None
    timesteps: Annotated[list[Step], Field(min_length=2, max_length=2)] | None
    backend: Name | None
    cell: Name | None
    seed: Count | None
    parameters: Count | None
    steps: Step
    sequences: Count | None
    seconds: Seconds | None
    steps_per_second: Annotated[float, Field(ge=0)] | None
    baseline: float | None
    solved: bool | None
    solved_rule: Text
    solved_at: SolvedAt | None
    loss: float | None
    metrics: Scores
    best: Best | None

    def __repr__(self) -> str:
        loss = "" if self.loss is None else f", loss={self.loss:.4g}"
        solved = {True: ", solved", False: ", not solved", None: ""}[self.solved]
        return f"<Summary of {self.run!r}: {self.state}, {self.steps:,} steps{loss}{solved}>"

    @property
    def sequences_to_success(self) -> int | None:
        """Training sequences seen when the success rule was first met."""
        return self.solved_at.sequences if self.solved_at else None

    @classmethod
    def so_far(
        cls,
        name: str,
        state: RunState,
        status: Status,
        *,
        config: Mapping[str, Any],
        record: Mapping[str, Any],
    ) -> Self:
        """Return the summary of a run without a stored one.

        Args:
            name: The name the user gave.
            state: The state, which may be `stale`.
            status: The run's.
            config: By dotted key.
            record: The newest line of the training record; empty before the first.
        """
        timesteps, seconds, step = config.get("shape.timesteps"), record.get("seconds"), record.get("step", 0)
        scores = validation_scores(record)
        return cls(
            id=status.id,
            attempt=status.attempt,
            run=status.run,
            name=name,
            state=state,
            stopped=state,
            task=without_path(config.get("task.type")),
            timesteps=[timesteps, timesteps] if isinstance(timesteps, int) else timesteps,
            backend=config.get("backend"),
            cell=without_path(config.get("cell.type")),
            seed=config.get("seed"),
            parameters=None,
            steps=max(status.step, step),
            sequences=record.get("sequences"),
            seconds=seconds,
            steps_per_second=mean_speed(step, seconds),
            baseline=None,
            solved=None,
            solved_rule="",
            solved_at=None,
            loss=scores.get("loss"),
            metrics=scores,
            best=None,
        )


def best_record(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the record with the lowest validation loss, the first of equals; None where no loss is finite."""
    return min((one for one in records if one.get(LOSS) is not None), key=lambda one: float(one[LOSS]), default=None)


def validation_scores(record: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what a line of the training record has of the validation set, by the name of the metric.

    Example:
        >>> validation_scores({"step": 3, "train/loss": 0.5, "validation/loss": 0.25})
        {'loss': 0.25}
    """
    return {key.removeprefix("validation/"): record[key] for key in record if key.startswith("validation/")}


def mean_speed(steps: int, seconds: float | None) -> float | None:
    """Return steps per second; None where the time is not known, as with a clock that stands still."""
    return round(steps / seconds, 3) if seconds else None
