"""The plan of a sweep: its trials in order, each with its name and with the values that tell it from the others."""

from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import Field, ValidationError, field_validator

from rnnlab.config.sweep import Method, MetricOptions, SweepOptions
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.naming import check_name
from rnnlab.core.options import Options
from rnnlab.core.text import visible
from rnnlab.storage.faults import shown
from rnnlab.storage.jsonfile import LIMIT, parse_object
from rnnlab.storage.reading import read_bytes

FORMAT: Literal["rnnlab-sweep/1"] = "rnnlab-sweep/1"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@final
class Trial(Options):
    """One training of a sweep; immutable."""

    number: Annotated[int, Field(ge=1)] = Field(description="Its place in the plan, from 1.")
    name: str = Field(description="What its config and its folder are called, e.g. `0007-carry-T50-seed3`.")
    values: dict[str, Any] = Field(description="Dotted key -> value of what the sweep sets, in the order of the axes.")
    sha256: Sha256 = Field(description="Of its resolved experiment, as `Experiment.sha256` tells it.")
    proposal: Annotated[int, Field(ge=0)] | None = Field(None, description="Of which combination of a search it is.")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        try:
            check_name(name)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return name


@final
class Plan(Options):
    """All trials of a sweep; immutable."""

    format: Literal["rnnlab-sweep/1"] = Field(default=FORMAT, description="Marks a plan and its version.")
    name: str = Field(description="What the sweep is called.")
    method: Method = Field(description="How the trials were chosen.")
    metric: MetricOptions = Field(description="By which number of the summary trials are ordered.")
    config_sha256: Sha256 = Field(description="Of the sweep's config file, byte for byte.")
    trials: tuple[Trial, ...] = Field(description="In order, numbers 1, 2, …")
    search: SweepOptions | None = Field(None, description="With method: tpe, what trials are proposed from.")

    @property
    def total(self) -> int:
        """How many trials there are, and, in a search, how many there can be."""
        if self.search is None:
            return len(self.trials)
        seeds = self.search.seeds
        return (self.search.trials or 0) * (seeds if isinstance(seeds, int) else len(seeds or [0]))

    def same_as(self, other: "Plan") -> bool:
        """Say whether two plans are of one sweep; what a search has proposed by now is no difference."""
        if self.search is None:
            return self == other
        return self.model_copy(update={"trials": ()}) == other.model_copy(update={"trials": ()})

    @field_validator("trials")
    @classmethod
    def _in_order(cls, trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
        if [trial.number for trial in trials] != list(range(1, len(trials) + 1)):
            raise ValueError("the trials are not numbered 1, 2, …")
        if len({trial.name.lower() for trial in trials}) != len(trials):
            raise ValueError("two trials have one name")
        return trials


def read_plan(path: Path) -> Plan:
    """Return the plan that `path` holds.

    Raises:
        VerificationError: The file is missing, damaged, or written by another version of rnnlab.
        EnvironmentFault: The system refused to read.
    """
    data = read_bytes(path, LIMIT)
    value = parse_object(data, path)
    if value.get("format") != FORMAT:
        problem = f"is in the format '{visible(str(value.get('format'))[:60])}', this rnnlab reads '{FORMAT}'"
        raise VerificationError(problem, where=shown(path), hint="use the version of rnnlab that wrote it")
    try:
        return Plan.model_validate_json(data)
    except ValidationError as fault:
        told = fault.errors()[0]
        problem = f"is not the plan of a sweep: {visible('.'.join(map(str, told['loc'])))}: {visible(told['msg'])}"
        raise VerificationError(problem, where=shown(path)) from fault
