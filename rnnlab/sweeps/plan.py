"""The plan of a sweep: its trials in order, each with a name and the values that distinguish it from the others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, final

from pydantic import Field, field_validator

from rnnlab.config.blocks import SweepOptions
from rnnlab.config.experiment import Experiment
from rnnlab.core.options import Options
from rnnlab.storage.jsonfile import read_model

Document = TypeVar("Document", bound=Options)
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_LONGEST_NAME = 60
_DIGITS = 4  # of a trial's number, more if the sweep has 10,000 trials or more
_SHORT = {
    "shape.timesteps": "T",
    "training.batch_size": "B",
    "cell.units": "H",
    "training.optimizer.learning_rate": "lr",
    # The value alone is clear.
    "backend": "", "engine": "", "precision": "", "cell": "", "task": "", "type": "", "optimizer": "",
    "schedule": "",
}  # fmt: skip


@final
class Trial(Options):
    """One training of a sweep; immutable."""

    number: Annotated[int, Field(ge=1)] = Field(description="Its place in the plan, from 1.")
    name: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,59}$")] = Field(
        description="Name of its config file and of its run folder, e.g. `0007-carry-T50-seed3`."
    )
    values: dict[str, Any] = Field(description="Dotted key -> value of what the sweep sets, in the order of the axes.")
    sha256: Sha256 = Field(description="`Experiment.sha256` of its resolved config.")
    proposal: Annotated[int, Field(ge=0)] | None = Field(None, description="Method tpe: Optuna's number of its values.")


@final
class Plan(Options):
    """All trials of a sweep; immutable."""

    format: Literal["rnnlab-plan/1"] = Field("rnnlab-plan/1", description="Format and version of this document.")
    name: str = Field(description="The sweep's name.")
    config_sha256: Sha256 = Field(description="SHA-256 of the sweep's config file.")
    options: SweepOptions = Field(description="The `sweep:` section of the config.")
    base: dict[str, Any] | None = Field(None, description="Method tpe: the config that all trials share.")
    trials: tuple[Trial, ...] = Field(description="In order, numbers 1, 2, …; with method tpe, those proposed so far.")

    @property
    def is_search(self) -> bool:
        """Whether trials are proposed one after another, each from the results of those before."""
        return self.options.method == "tpe"

    @property
    def total(self) -> int:
        """How many trials there are or, in a search, how many there can be."""
        return (self.options.trials or 0) * len(self.options.seed_list or [0]) if self.is_search else len(self.trials)

    def same_as(self, other: "Plan") -> bool:
        """Return whether both plans are of one sweep; the trials that a search has proposed so far do not count."""
        changes = {"trials": ()} if self.is_search else {}
        return self.model_copy(update=changes) == other.model_copy(update=changes)

    def with_trials(self, trials: list[Trial]) -> Self:
        """Return the plan with more trials at its end."""
        return self.model_copy(update={"trials": (*self.trials, *trials)})

    @field_validator("trials")
    @classmethod
    def _are_in_order(cls, trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
        if [trial.number for trial in trials] != list(range(1, len(trials) + 1)):
            raise ValueError("the trials are not numbered 1, 2, …")
        if len({trial.name.lower() for trial in trials}) != len(trials):
            raise ValueError("two trials have the same name")
        return trials


@final
@dataclass(frozen=True)
class CheckedSweep:
    """A sweep whose trials were all checked, before anything is created.

    Attributes:
        plan: Its trials.
        experiments: What each trains, by the trial's name; in a search, samples of what can be proposed.
        config: The sweep's config file.
    """

    plan: Plan
    experiments: Mapping[str, Experiment]
    config: bytes


def read_document(model: type[Document], path: Path, name: str) -> Document:
    """Return the document stored at `path`, which messages call `name`.

    Raises:
        VerificationError: The file is missing, damaged, or written by another version of rnnlab.
        EnvironmentFault: The file cannot be read.
    """
    return read_model(path, model, what=f"{name} of this version of rnnlab")


def trial_name(number: int, values: Mapping[str, Any], *, total: int) -> str:
    """Return the name of trial `number` of `total`: its number, then its values in short.

    Example:
        >>> trial_name(7, {"cell.type": "carry", "shape.timesteps": 50, "seed": 3}, total=100)
        '0007-carry-T50-seed3'
        >>> trial_name(12, {"training.optimizer.learning_rate": 0.00012345, "task": "adding@urnn"}, total=20_000)
        '00012-lr0.000123-adding_urnn'
    """
    parts = [_short(key) + text for key, value in values.items() if (text := _text(value))]
    return "-".join([f"{number:0{max(_DIGITS, len(str(total)))}d}", *parts])[:_LONGEST_NAME].rstrip("-._")


def _short(key: str) -> str:
    last = key.rpartition(".")[2]
    return _SHORT.get(key, _SHORT.get(last, last))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _text(value["type"]) if isinstance(value.get("type"), str) else ""
    if isinstance(value, list):
        return "_".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{value:.3g}" if isinstance(value, float) else str(value))
