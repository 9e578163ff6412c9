"""The plan of a sweep: its trials in order, each with a name and the values that distinguish it from the others."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, final

from pydantic import AfterValidator, Field, field_validator, model_validator

from rnnlab.config.blocks import MOST_TRIALS, SweepOptions
from rnnlab.config.plain import require_bounds
from rnnlab.core.code_files import without_path
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.options import Options, check_name
from rnnlab.storage.fields import Hash, RunId
from rnnlab.sweeps.axes import faults_of
from rnnlab.sweeps.records import TrialName

if TYPE_CHECKING:  # what only reads a sweep need not build a network
    from rnnlab.config.experiment import Experiment

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


def _require_name(name: str) -> str:
    try:
        check_name(name)
    except UsageError as error:
        raise ValueError(error.problem) from error
    return name


def _require_bounds(values: dict[str, Any]) -> dict[str, Any]:
    try:
        require_bounds(values)
    except VerificationError as error:
        raise ValueError(error.problem) from error
    return values


@final
class Trial(Options):
    """One training of a sweep; immutable."""

    number: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = Field(description="Its place in the plan, from 1.")
    name: TrialName = Field(description="Name of its config file and of its run folder, e.g. `0007-carry-T50-seed3`.")
    values: Annotated[dict[str, Any], Field(max_length=100), AfterValidator(_require_bounds)] = Field(
        description="Dotted key -> value of what the sweep sets, in the order of the axes."
    )
    sha256: Hash = Field(description="`Experiment.sha256` of its resolved config.")
    proposal: Annotated[int, Field(ge=0, lt=1 << 31)] | None = Field(
        None, description="Method tpe: Optuna's number of its values."
    )


@final
class Plan(Options):
    """All trials of a sweep; immutable."""

    format: Literal["rnnlab-plan/1"] = Field("rnnlab-plan/1", description="Format and version of this document.")
    id: RunId = Field(default_factory=lambda: secrets.token_hex(8), description="Random: differs for every sweep.")
    name: Annotated[str, AfterValidator(_require_name)] = Field(description="The sweep's name.")
    config_sha256: Hash = Field(description="SHA-256 of the sweep's config file.")
    options: SweepOptions = Field(description="The `sweep:` section of the config.")
    base: Annotated[dict[str, Any], AfterValidator(_require_bounds)] | None = Field(
        None, description="Method tpe: the config that all trials share."
    )
    trials: Annotated[tuple[Trial, ...], Field(max_length=MOST_TRIALS)] = Field(
        description="In order, numbers 1, 2, …; with method tpe, those proposed so far."
    )

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
        changes = {"id": "", **({"trials": ()} if self.is_search else {})}
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

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_bounds(self.options.model_dump())
        if fault := next(faults_of(self.options), None):
            path, error = fault
            raise ValueError(f"options: {'.'.join(path)}: {error.problem}")
        if self.is_search != (self.base is not None):
            raise ValueError("base: expected with method tpe, and only there")
        if any((trial.proposal is not None) != self.is_search for trial in self.trials):
            raise ValueError("trials: expected a proposal's number with method tpe, and only there")
        return self


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
    experiments: "Mapping[str, Experiment]"
    config: bytes


def trial_name(number: int, values: Mapping[str, Any], *, total: int) -> str:
    """Return the name of trial `number` of `total`: its number, then its values in short.

    Example:
        >>> trial_name(7, {"cell.type": "janet", "shape.timesteps": 50, "seed": 3}, total=100)
        '0007-janet-T50-seed3'
        >>> trial_name(12, {"training.optimizer.learning_rate": 0.00012345, "task": "adding@urnn"}, total=20_000)
        '00012-lr0.000123-adding_urnn'
    """
    parts = [_short(key) + text for key, value in values.items() if (text := _text(value))]
    return "-".join([f"{number:0{max(_DIGITS, len(str(total)))}d}", *parts])[:_LONGEST_NAME].rstrip("-._")


def _short(key: str) -> str:
    last = key.rpartition(".")[2]
    return _SHORT.get(key, _SHORT.get(last, last))


def _text(value: Any) -> str:
    value = without_path(value)
    if isinstance(value, dict):
        return _text(value["type"]) if isinstance(value.get("type"), str) else ""
    if isinstance(value, list):
        return "_".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{value:.3g}" if isinstance(value, float) else str(value))
