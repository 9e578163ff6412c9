"""What happens in a training, as it happens: the command line draws these, scripts may ignore them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnlab.config.experiment import Experiment
from rnnlab.storage import RunFolder
from rnnlab.storage.metrics import Value
from rnnlab.tasks.base import AbstractTask


@dataclass(frozen=True, slots=True)
class Started:
    """The run folder exists and training begins.

    Attributes:
        run: The folder.
        experiment: What is trained.
        task: The task, with its baseline.
        parameters: How many numbers are trained.
        step: Steps done by earlier processes.
        notes: What was out of the ordinary, a sentence each: steps lost, versions changed.
    """

    run: RunFolder
    experiment: Experiment
    task: AbstractTask
    parameters: int
    step: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stepped:
    """One update was done.

    Attributes:
        step: Updates done so far.
        loss: Mean training loss of its batch, before the update.
    """

    step: int
    loss: float


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
        run: The folder.
        summary: What `summary.json` holds.
        already: Whether it was over before, so that there was nothing to do.
    """

    run: RunFolder
    summary: Mapping[str, Any]
    already: bool = False


Event = Started | Stepped | Evaluated | Finished
