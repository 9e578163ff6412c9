"""Forecast one column of a multivariate series: synthetic weather with a known oracle, or a CSV file of your own."""

from copy import copy
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Short
from rnnlab.core.scaling import Scaling
from rnnlab.tasks._csv_options import Column, CsvFile
from rnnlab.tasks._recorded import Recorded
from rnnlab.tasks._weather import Weather
from rnnlab.tasks.base import AbstractTask, Part, Reference, SuccessRule, TaskOptions


class ForecastOptions(TaskOptions):
    """The series, its column to predict, and the horizon."""

    csv: Annotated[CsvFile | None, Short("path")] = Field(
        None, description="a CSV file of numbers, its path or how to read it; none: the built-in weather"
    )
    target: Column | None = Field(None, description="short for `csv.target`", exclude=True)
    ignore: Annotated[tuple[Column, ...], Field(strict=False)] | None = Field(
        None, description="short for `csv.ignore`", exclude=True
    )
    horizon: int = Field(1, ge=1, le=1_000_000, description="steps from the last input to the target")
    train_fraction: float = Field(
        0.75,
        gt=0.0,
        lt=1.0,
        description="share of each series' rows, from its start, for training; half of the rest is for validation",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_csv(cls, data: Any) -> Any:
        """Bring what is short for a key of `csv` there."""
        if not isinstance(data, dict) or data.get("csv") is None:
            return data
        data, csv = dict(data), data["csv"]
        csv = {"path": csv} if isinstance(csv, str) else dict(csv) if isinstance(csv, dict) else csv
        for key in ("target", "ignore"):
            if isinstance(csv, dict) and data.get(key) is not None:
                if key in csv:
                    raise ValueError(f"`{key}` and `csv.{key}` are both given, expected one of them")
                csv[key] = data[key]
                del data[key]
        return {**data, "csv": csv}


class Forecast(AbstractTask):
    """Forecast one column of a series.

    Inputs: 120 hourly steps of 14 features: 12 stations with a daily cycle, a yearly cycle and autoregressive
    weather, and two clocks; the weather of station 1 reaches station 0 three hours later. Target: station 0,
    `horizon` steps after the last. Or the rows of a CSV file: the first for training, half of the others for
    validation, the last for a test; several series are cut each.

    Without `csv`, the weather of `rnnlab.tasks._weather.Weather`; the loss of the oracle is known; it needs the
    neighbour's weather of three hours before. With `csv`, the windows of `rnnlab.tasks._recorded.Recorded`; a loss is
    then in units of the target's variance in the training part.

    The target has mean 0 and variance 1, so a loss is the share of the variance left unexplained. The baseline is the
    best of the references that use the last step alone: the constant, the last value again (persistence) and the best
    forecast from all its features, for a file one that is fitted to the training part. Of a file the value a season ago
    is among them, though it needs the window: the baseline is the best naive forecast of all.

    Raises:
        UsageError: The file cannot be used, or the built-in weather is asked for another column.

    Source: Shape (120 hourly steps, 14 features) and naive forecast after Chollet, "Deep learning with Python", the
        temperature forecast on the Jena weather; the built-in series is ours.
    Differs: The book's rows were measured; ours are synthetic so that the irreducible loss is known. The success rules
        are ours: for the built-in weather 10 % above the oracle, measured without the noise; for a file, better than
        the best of its references.

    Example:
        >>> task = Forecast(ForecastOptions())
        >>> [round(one.loss, 4) for one in task.references((120, 120))]  # constant, persistence, …, two stations
        [1.0, 0.0938, 0.0684, 0.0615, 0.0601]
        >>> round(task.oracle_loss((120, 120)), 4)  # 0.36·(1 - 0.81)·(1 - 0.64)
        0.0246
    """

    name = "forecast"
    Options = ForecastOptions
    loss = "mse"
    output_features = 1

    def __init__(self, options: ForecastOptions) -> None:
        super().__init__(options)
        self._options = options
        self._use(_series(options))

    def _use(self, series: Recorded | Weather) -> None:
        self._series, self.solved, self.input_features = series, series.solved, series.features
        self.default_timesteps = self._series.default_timesteps
        self.input_names, target = self._series.names, self._series.target
        self.output_names, self.forecasts = (self.input_names[target],), (target, self._series.horizon)
        self.scaling = self._series.scaling

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return self._series.timesteps_fault(timesteps)

    def part(self, part: Part) -> Self:
        other = copy(self)
        other._series = self._series.part(part)
        return other

    def success(self, timesteps: Lengths) -> SuccessRule:
        return self._series.success(timesteps)

    def baseline(self, timesteps: Lengths) -> float | None:
        if isinstance(self._series, Weather):
            return super().baseline(timesteps)
        return min(one.loss for one in self.references(timesteps))

    def warnings(self, timesteps: Lengths) -> list[str]:
        return self._series.warnings(timesteps)

    def with_scaling(self, scaling: Scaling) -> Self:
        other = copy(self)
        other._use(_series(self._options, scaling))
        return other

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        return self._series.sample(rng, batch_size=batch_size, timesteps=timesteps)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        return self._series.references(timesteps)

    def correct(self, outputs: Array, batch: Batch) -> Array:
        """Return which forecasts are within 0.1 of the best possible one; of a file, no worse than the last value."""
        return self._series.correct(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        mae = {"mae": float(np.abs(outputs - batch.targets).mean())}
        return super().metrics(outputs, batch) | mae | self._series.metrics(outputs, batch)

    def oracle(self, batch: Batch) -> Array:
        return self._series.oracle(batch)

    def oracle_loss(self, timesteps: Lengths) -> float:
        return self._series.oracle_loss

    def facts(self) -> dict[str, Any]:
        return self._series.facts()


def _series(options: ForecastOptions, scaling: Scaling | None = None) -> Recorded | Weather:
    if options.csv is not None:
        return Recorded(options.csv, horizon=options.horizon, train_fraction=options.train_fraction, scaling=scaling)
    if options.target or options.ignore:
        raise UsageError("the built-in weather predicts its column 0 from all", hint="`target`, `ignore` need `csv`")
    return Weather(options.horizon)


TASKS = (Forecast,)
