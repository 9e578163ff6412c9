"""What a training reports while it runs: the command line draws these events, scripts may ignore them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnlab.config.experiment import Experiment
from rnnlab.storage import RunFolder
from rnnlab.storage.metrics import Value
from rnnlab.storage.summary import Summary
from rnnlab.tasks.base import AbstractTask


@dataclass(frozen=True, slots=True)
class Started:
    """The run folder exists and training begins.

    Attributes:
        task: The task, with its baseline.
        parameters: How many numbers are trained.
        step: Steps done by earlier processes.
        done: How much of `training.budget` is done: steps, or streams.
        notes: What was unusual, a sentence each: steps lost, versions changed.
    """

    run: RunFolder
    experiment: Experiment
    task: AbstractTask
    parameters: int
    step: int = 0
    done: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stepped:
    """A block of updates was done.

    Attributes:
        step: Updates done so far.
        loss: Mean training loss of the newest batch, before its update.
        done: How much of `training.budget` is done.
    """

    step: int
    loss: float
    done: int


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation set was scored.

    Attributes:
        step: Updates done so far.
        record: The line written to `metrics.jsonl`.
        solved: Whether the task's success rule has been met by now.
    """

    step: int
    record: Mapping[str, Value]
    solved: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """Training is over and everything is stored.

    Attributes:
        summary: The result, as stored.
        already: Whether the run was complete before, so that there was nothing to do.
    """

    run: RunFolder
    summary: Summary
    already: bool = False


Event = Started | Stepped | Evaluated | Finished


def record_line(record: Mapping[str, Value]) -> str:
    """Return a record as one line for a log or a terminal that cannot redraw, the same columns every time.

    Example:
        >>> record_line({"step": 200, "seconds": 1.5, "train/loss": 0.17, "validation/loss": 0.16, "validation/mae": 1})
        'step 200  1.5 s  train/loss 0.17  validation/loss 0.16  validation/mae 1'
    """
    skipped = {"step", "seconds", "sequences", "learning_rate"}
    head = [f"step {record['step']}", f"{record['seconds']:.1f} s"]
    return "  ".join(
        head
        + [
            f"{name} {_short(value)}"
            for name, value in record.items()
            if name not in skipped and not isinstance(value, list)
        ]
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
