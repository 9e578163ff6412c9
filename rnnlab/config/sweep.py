"""The `sweep:` section of a config: the values to try, in which combinations, and the metric to compare by."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from rnnlab.config.blocks import LARGEST_SEED
from rnnlab.core.options import Options

MOST_TRIALS = 20_000

Method = Literal["grid", "random", "tpe"]
Scalar = bool | int | float | str | None


class Range(Options):
    """Numbers from `from` to `to`, both included if a step meets it; between integers only integers."""

    from_: int | float = Field(alias="from", description="the first number")
    to: int | float = Field(description="the last number")
    count: int | None = Field(None, ge=2, le=10_000, description="number of values, evenly spaced")
    step: int | float | None = Field(None, gt=0, description="distance between values; with scale: log, their ratio")
    scale: Literal["linear", "log"] = Field(
        "linear", description="log: each value is a fixed multiple of the previous one"
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.from_ >= self.to:
            raise ValueError("expected `from` to be less than `to`")
        if self.count is not None and self.step is not None:
            raise ValueError("expected `count` or `step`, not both")
        if self.scale == "log" and self.from_ <= 0:
            raise ValueError("expected `from` to be more than 0 with scale: log")
        if self.scale == "log" and self.step is not None and self.step <= 1:
            raise ValueError("expected `step`, a ratio with scale: log, to be more than 1")
        return self


class MetricOptions(Options):
    """The metric by which trials are ordered."""

    name: str = Field(
        "loss",
        pattern=r"^[a-z_]+(\.[a-z_]+)*$",
        max_length=200,
        description="dotted name in a run's summary: loss, metrics.error_rate, best.metrics.loss, solved_at.sequences",
    )
    goal: Literal["minimize", "maximize"] = Field("minimize", description="whether lower or higher is better")


def _check_key(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", key):
        raise ValueError("expected a dotted key of a config: cell.units, training.optimizer, seed")
    return key


def _axis_kind(axis: object) -> str | None:
    return "range" if isinstance(axis, dict | Range) else "list" if isinstance(axis, list) else None


Axis = Annotated[
    Annotated[Range, Tag("range")] | Annotated[list[Any], Tag("list")],
    Discriminator(
        _axis_kind,
        custom_error_type="axis_type",
        custom_error_message="a list of values, or a range with `from` and `to`",
    ),
]


class SweepOptions(Options):
    """The trials of a sweep."""

    axes: dict[Annotated[str, AfterValidator(_check_key)], Axis] = Field(
        default_factory=dict, max_length=50, description="dotted key -> values to try: a list, or a range"
    )
    zip: list[list[str]] = Field(
        default_factory=list,
        description="groups of axes that vary together: the first value of each, the second value of each, …",
    )
    when: dict[str, dict[str, Scalar | list[Scalar]]] = Field(
        default_factory=dict,
        description="axis -> {other axis: value, or list of values}: set only where the other axis has that value",
    )
    seeds: int | list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] | None = Field(
        None, description="seeds of each combination: 10 for 0 to 9, or a list; default: the config's seed"
    )
    method: Method = Field(
        "grid",
        description="grid: every combination; random: combinations drawn from the axes; tpe: combinations proposed by "
        "Optuna from the results so far",
    )
    trials: int | None = Field(
        None,
        ge=1,
        le=MOST_TRIALS,
        description="number of combinations with method: random or tpe; each is trained with all seeds",
    )
    pruner: Literal["median", "hyperband"] | None = Field(
        None,
        description="with method: tpe, Optuna's pruner, which stops trials that are unlikely to be among the best",
    )
    metric: MetricOptions = Field(default_factory=MetricOptions, description="metric by which trials are ordered")

    @property
    def seed_list(self) -> list[int] | None:
        """The seeds of each combination; None for the config's own."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: int | list[int] | None) -> int | list[int] | None:
        count = seeds if isinstance(seeds, int) else len(seeds or [0])
        if not 1 <= count <= MOST_TRIALS:
            raise ValueError(f"expected 1 to {MOST_TRIALS:,} seeds")
        if isinstance(seeds, list) and len(set(seeds)) < len(seeds):
            raise ValueError("expected distinct seeds")
        return seeds

    @field_validator("metric", mode="before", json_schema_input_type=str | MetricOptions)
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value
