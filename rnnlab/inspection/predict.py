"""Forecasts of a trained network for the rows of a CSV file and past its end, in the units of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import AbstractModel
from rnnlab.core.errors import UsageError
from rnnlab.core.scaling import Scaling
from rnnlab.core.system_errors import reported
from rnnlab.runs.find import open_run
from rnnlab.runs.run import Run, Which
from rnnlab.tasks._csv_gaps import stretches
from rnnlab.tasks._csv_table import read_table
from rnnlab.tasks._prepared import cut, places
from rnnlab.tasks.forecast import ForecastOptions

Array = NDArray[Any]
_AT_ONCE = 1 << 21  # numbers of a batch of windows
_MOST_STEPS = 100_000


@final
@dataclass(frozen=True, slots=True, eq=False)
class SeriesForecast:
    """One series of the file, its rows in order of time, then those past its end; N in all.

    Attributes:
        name: Of the series; empty where the file has one.
        times: (N,) datetime64 or float64, where the file has times; NaT or NaN where the next one is not known.
        truth: (N,) the target; NaN past the end, and where the file has none.
        forecast: (N,) NaN for rows that have no whole window before them: the first, also after a gap in the times.
        last: (N,) the last value that the forecast of a row knows; NaN likewise.
        parts: (N,) `train`, `validation`, `test`, empty for another file, `ahead` past the end.
    """

    name: str
    times: Array | None
    truth: Array
    forecast: Array
    last: Array
    parts: Array


@final
@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """What a run forecasts.

    Attributes:
        run: The run.
        weights: Which weights.
        step: The training step they are of.
        csv: The file.
        target: The name of the column.
        time: The name of the column of times; empty where there is none.
        horizon: Rows from the last input to what is forecast.
        timesteps: T, the rows of a window.
        series: Of the file.
    """

    run: Run
    weights: Which
    step: int
    csv: Path
    target: str
    time: str
    horizon: int
    timesteps: int
    series: tuple[SeriesForecast, ...]

    def errors(self) -> Mapping[str, tuple[int, float, float]]:
        """Return of each part the rows that have a truth, and mean absolute errors of network and last value again."""
        found = {}
        for part in dict.fromkeys(str(part) for one in self.series for part in one.parts if part != "ahead"):
            rows = [(one.parts == part) & np.isfinite(one.forecast + one.truth) for one in self.series]
            pairs = [
                (np.abs(one.forecast - one.truth)[chosen], np.abs(one.last - one.truth)[chosen])
                for one, chosen in zip(self.series, rows, strict=True)
            ]
            network, last = (np.concatenate(values) for values in zip(*pairs, strict=True))
            if network.size:
                found[part] = int(network.size), float(network.mean()), float(last.mean())
        return found


def predict(
    run: Run | str | Path, *, csv: str | Path | None = None, steps: int | None = None, weights: Which = "best"
) -> Forecasts:
    """Return forecasts for every row that has a whole window before it, and past the end of the file.

    The network reads the scale that it was trained on; what it reads and returns is in the units of the file.

    Args:
        run: The run, or its path or name; it was trained on a CSV file.
        csv: Another file with the same columns, read in the same way; left out, that of the run.
        steps: Rows past the end; left out, the horizon. More than that needs a file of the target alone: its own
            forecasts are then read as if they had happened.
        weights: `best` by validation loss, or `last`.

    Raises:
        UsageError: The run was trained on no file; the file has other columns or too few rows; or `steps` is more than
            can be forecast.
        VerificationError: The weights are damaged, or the file of the run has changed.
    """
    run = open_run(run)
    experiment = run.experiment()
    options = experiment.task
    if not isinstance(options, ForecastOptions) or options.csv is None:
        problem = f"{run.name} was trained on {options.type}, not on a CSV file: there is nothing to forecast"
        raise UsageError(problem, hint="`task: {type: forecast, csv: FILE}` is what can be forecast")
    file = options.csv.found() if csv is None else options.csv.of(Path(csv))
    table, arrays = read_table(file), run.weights(weights)
    if arrays.scaling is None:
        raise UsageError(f"the weights of {run.name} have no scaling", hint="train the run again")
    order = places(arrays.scaling, table, file.place)
    ahead = options.horizon if steps is None else steps
    if len(table.names) > 1 and ahead > options.horizon:
        problem = (
            f"{ahead:,} rows past the end, but the network, which reads {', '.join(table.names)}, knows these only"
        )
        hint = f"up to --steps {options.horizon}; train with a larger `horizon`, or on the target alone"
        raise UsageError(f"{problem} up to the end", where="--steps", hint=hint)
    if ahead > _MOST_STEPS:
        raise UsageError(f"{ahead:,} rows past the end, expected at most {_MOST_STEPS:,}", where="--steps")
    whole = [stretches([rows], table.gaps) for _, rows in table.series]  # between gaps
    (low, high), shortest = experiment.timesteps, min(rows[-1].stop - rows[-1].start for rows in whole)
    window = min(high, shortest)
    if window < low:
        of = " after the last gap in the times" if table.gaps else ""
        problem = f"{shortest:,} rows{of}, fewer than the {low:,} that the network reads"
        raise UsageError(problem, where=str(file.place), hint="give a file with more rows")
    parts = cut(table, options.train_fraction) if csv is None else {}
    backend = experiment.build_backend()
    with backend.running(), reported("forecast", file.place):
        model = backend.build(run.network(), parameters=arrays)
        found = []
        for number, (name, rows) in enumerate(table.series):
            place, values = order[number], table.values[rows]
            forecast = _forecast(
                model,
                arrays.scaling,
                values,
                whole=[slice(one.start - rows.start, one.stop - rows.start) for one in whole[number]],
                place=place,
                window=window,
                horizon=options.horizon,
                ahead=ahead,
            )
            truth = np.append(values[:, table.target], np.full(ahead, np.nan))
            truth[: len(values)][~table.is_recorded[rows]] = np.nan
            known = np.append(values[:, table.target], forecast[len(values) :])
            last = np.full(len(truth), np.nan)
            last[options.horizon :] = known[: len(truth) - options.horizon]
            last[np.isnan(forecast)] = np.nan
            labels = np.full(len(truth), "ahead", dtype="<U10")
            labels[: len(values)] = ""
            for part, of_series in parts.items():
                labels[of_series[number].start - rows.start : of_series[number].stop - rows.start] = part
            times, end = None, whole[number][-1]
            if table.times is not None:
                times = np.append(table.times[rows.start : end.start], continued(table.times[end], ahead))
            found.append(SeriesForecast(name, times, truth, forecast, last, labels))
    time = file.time if isinstance(file.time, tuple) else (file.time,)
    label = " ".join(str(one) for one in time if one is not None)
    target = table.names[table.target]
    return Forecasts(run, weights, arrays.step, file.place, target, label, options.horizon, window, tuple(found))


def _forecast(
    model: AbstractModel,
    scaling: Scaling,
    values: Array,
    *,
    whole: Sequence[slice],
    place: int,
    window: int,
    horizon: int,
    ahead: int,
) -> Array:
    """Return the forecast of each row of one series and of those past its end, (N,)."""
    rows = len(values)
    scaled, found = scaling.inputs.scaled(values, place), np.full(rows + max(ahead, horizon), np.nan)
    last = [one.stop if one.stop == rows else one.stop - horizon for one in whole]  # windows end before it
    ends = np.concatenate([np.arange(one.start + window - 1, end) for one, end in zip(whole, last, strict=True)])
    size = max(1, _AT_ONCE // (window * values.shape[1]))
    for first in range(0, len(ends), size):
        chosen = ends[first : first + size]
        inputs = scaled[chosen[:, None] + np.arange(1 - window, 1)]  # (B, T, I)
        found[chosen + horizon] = np.asarray(model.predict(inputs).outputs)[:, 0]
    for row in range(rows, rows + ahead - horizon):  # what was forecast is read
        scaled = np.append(scaled, found[row : row + 1, None], axis=0)
        found[row + horizon] = np.asarray(model.predict(scaled[None, row + 1 - window : row + 1]).outputs)[0, 0]
    return scaling.outputs.in_units(found[: rows + ahead, None], place)[:, 0]


def continued(times: Array, more: int) -> Array:
    """Return times and the next ones: an even step is continued, in months where they are the same day of each.

    Example:
        >>> months = np.array(["2020-11-01", "2020-12-01", "2021-01-01"], "datetime64[ns]")
        >>> continued(months, 2)[-2:].astype("datetime64[D]").astype(str).tolist()
        ['2021-02-01', '2021-03-01']
        >>> continued(np.array([1.0, 2.0, 4.0]), 1).tolist()
        [1.0, 2.0, 4.0, nan]
    """
    steps = np.diff(times)
    if len(steps) and (steps == steps[0]).all():
        return np.append(times, times[-1] + steps[0] * np.arange(1, more + 1))
    if times.dtype.kind == "M":
        months = times.astype("datetime64[M]")
        within, apart = times - months.astype(times.dtype), np.diff(months)
        if len(apart) and (within == within[0]).all() and (apart == apart[0]).all():
            return np.append(times, (months[-1] + apart[0] * np.arange(1, more + 1)).astype(times.dtype) + within[0])
        return np.append(times, np.full(more, np.datetime64("NaT"), times.dtype))
    return np.append(times, np.full(more, np.nan))
