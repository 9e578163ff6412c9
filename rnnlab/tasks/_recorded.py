"""Recorded series, each cut into a training part and later ones for validation and test, seen through windows."""

from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any, Self

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.errors import UsageError
from rnnlab.core.scaling import Scaling
from rnnlab.tasks._csv_gaps import gaps_in_words
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks._csv_table import read_table
from rnnlab.tasks._fitted import Predictor, fitted
from rnnlab.tasks._naive import best_lag, weights_of_rows
from rnnlab.tasks._prepared import PARTS, Prepared, prepare
from rnnlab.tasks.base import Part, Reference, SuccessRule, Threshold, always, last_step, too_short

FEW = 30  # distinct windows; fewer are reported


class Recorded:
    """The series of a CSV file: the first rows of each for training, then some for validation, the last for a test.

    No window and no target crosses a cut, a gap in the times, or the end of a series. Every column of every series is
    normalised by the mean and standard deviation of its training rows; a column that never changes there is only
    centred. Lengths are uniform and so is the start of a window, over all series. The losses of the reference
    predictors are exact: they are computed over every window of the validation part, or of the part asked for. One of
    them is fitted, to all columns of one row of the training part, by `rnnlab.tasks._fitted.fitted`. The lag of the
    seasonal one is that of the training part, see `rnnlab.tasks._naive.best_lag`.

    Args:
        scaling: The scaling of a network that was trained on another file; left out, that of this one.

    Raises:
        UsageError: The file cannot be used; see `read_table`. Or a part is too short for a single window, the target
            never changes, or the scaling is of other columns or series.
    """

    oracle_loss = 0.0

    def __init__(self, file: CsvFile, *, horizon: int, train_fraction: float, scaling: Scaling | None = None) -> None:
        self.path, self.horizon = file.place, horizon
        table = read_table(file)
        self.prepared = prepare(table, self.path, train_fraction, horizon, scaling)
        self.scaling = self.prepared.scaling
        self._is_target_set = file.target is not None
        self.names, self.target, self.features = table.names, table.target, len(table.names)
        self._part: Part = "validation"

    @property
    def solved(self) -> SuccessRule:
        """The rule at the lengths that a config has by default."""
        return self.success(self.default_timesteps)

    def success(self, timesteps: Lengths) -> SuccessRule:
        """Return the rule at these lengths: at least as good as the best of the references."""
        return Threshold({"loss": min(one.loss for one in self.references(timesteps))})

    @property
    def default_timesteps(self) -> Lengths:
        # Half of the shortest part, so that as many windows differ as they are long.
        steps = min(120, max(1, (self._longest + 1) // 2))
        return (steps, steps)

    def part(self, part: Part) -> Self:
        other = copy(self)
        other._part = part
        return other

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        rows = f"parts of {self._rows()}" + (", cut at gaps in the times" if self.prepared.table.gaps else "")
        longest = f"has windows of at most {self._longest:,} steps, the target {self.horizon} after them, in {rows}"
        return too_short(timesteps, 1) or (longest if timesteps[1] > self._longest else None)

    def warnings(self, timesteps: Lengths) -> list[str]:
        """Return which parts have few distinct windows of these lengths, and what is predicted if that is not set."""
        found, table = [], self.prepared.table
        if table.gaps and table.times is not None:
            text = gaps_in_words(table.times, table.gaps, table.series)
            found += [f"{text}; no window runs across a gap: fill the rows if they should"]
        if len(self.names) > 1 and not self._is_target_set:
            listed = ", ".join(self.names[:8]) + (", …" if len(self.names) > 8 else "")
            found += [f"no `target` is set: {self.names[self.target]} is predicted, the first of {listed}"]
        counts = {part: int(self.part(part)._starts(timesteps[1])[1].sum()) for part in PARTS}
        few = [f"{count} for {part}" for part, count in counts.items() if count < FEW]
        length = f"T={timesteps[1]} and horizon {self.horizon}"
        if few:
            found += [f"few distinct windows of {length}: {', '.join(few)}; scores repeat them, and mean little"]
        return found

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest, values = timesteps[1], self.prepared.values
        lengths = draw_lengths(rng, batch_size, timesteps)
        first, counts = self._starts(longest)
        ends = np.cumsum(counts)
        drawn = rng.integers(0, ends[-1], size=batch_size)
        series = np.searchsorted(ends, drawn, side="right")
        start = first[series] + drawn - (ends[series] - counts[series])
        inputs = values[start[:, None] + np.arange(longest)]  # (B, T, I)
        inputs *= within_lengths(lengths, longest)[:, :, None]
        targets = values[start + lengths - 1 + self.horizon, self.target]
        return Batch(inputs, targets[:, None], last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        constant, persistence, curve, lag, seasonal = _losses(
            self.prepared, self._part, self.horizon, timesteps, self._fitted
        )
        references = [
            Reference("constant: the training mean", constant, always(0.0)),
            Reference("persistence: the last value again", persistence, self._last),
            Reference("fitted: from the last row", curve, lambda batch: self._fitted(last_step(batch))[:, None]),
        ]
        if lag:
            name = f"seasonal: the value {lag} steps before the target"
            references.append(Reference(name, seasonal, self._seasonal(lag), needs_memory=True))
        # Of a series that has changed since its training part, the mean may be the best of these.
        better = [one for one in references[1:] if one.loss < constant]
        return tuple(references[:1] + sorted(better, key=lambda one: -one.loss))

    def correct(self, outputs: Array, batch: Batch) -> Array:
        naive = np.abs(self._last(batch) - batch.targets)
        return np.asarray(np.abs(outputs - batch.targets) <= naive)[:, 0]

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        if len(self.scaling.series) > 1:  # each has its own unit
            return {}
        mae = float(np.abs(outputs - batch.targets).mean() * self.scaling.outputs.deviation[0, 0])
        return {"mae_in_file_units": mae}

    def oracle(self, batch: Batch) -> Array:
        raise UsageError(
            "a recorded series has no oracle: its lowest possible loss is unknown",
            where=str(self.path),
            hint="compare with the task's reference predictors, or leave out `csv` for a series with an oracle",
        )

    def facts(self) -> dict[str, Any]:
        table, scale = self.prepared.table, self.scaling.inputs
        columns = [
            {**({"series": series} if series else {}), "name": name, "mean": float(mean), "deviation": float(deviation)}
            for series, means, deviations in zip(self.scaling.series, scale.mean, scale.deviation, strict=True)
            for name, mean, deviation in zip(scale.names, means, deviations, strict=True)
        ]
        return {
            "csv_sha256": table.sha256,
            **{f"{part if part != 'train' else 'training'}_rows": self._count(part) for part in PARTS},
            "series": len(table.series),
            "filled": table.filled,
            "sorted": not table.was_sorted,
            "columns": columns,
        }

    @property
    def _fitted(self) -> Predictor:
        return _fitted(self.prepared, self.horizon)

    @property
    def _longest(self) -> int:
        """The longest window that each part has."""
        longest = [max(one.stop - one.start for one in self.prepared.stretches[part]) for part in PARTS]
        return int(min(longest)) - self.horizon

    def _starts(self, longest: int) -> tuple[Array, Array]:
        """Return the first row of each stretch of this part, and how many windows begin there or later, (G,)."""
        rows = self.prepared.stretches[self._part]
        first = np.array([one.start for one in rows])
        lengths = np.array([one.stop - one.start for one in rows])
        return first, np.maximum(0, lengths - longest - self.horizon + 1)

    def _count(self, part: Part) -> int:
        return sum(rows.stop - rows.start for rows in self.prepared.parts[part])

    def _rows(self) -> str:
        more = "" if len(self.prepared.table.series) == 1 else f" of {len(self.prepared.table.series):,} series"
        return ", ".join(f"{self._count(part):,} {part}" for part in PARTS) + f" rows{more}"

    def _last(self, batch: Batch) -> Array:
        return last_step(batch)[:, self.target, None]

    def _seasonal(self, lag: int) -> Callable[[Batch], Array]:
        def predict(batch: Batch) -> Array:
            step = batch.lengths - 1 + self.horizon - lag
            return np.asarray(batch.inputs[np.arange(batch.size), step, self.target])[:, None]

        return predict


@lru_cache(maxsize=4)
def _fitted(prepared: Prepared, horizon: int) -> Predictor:
    rows = [(prepared.values[one], one) for one in prepared.stretches["train"]]
    now = np.concatenate([values[:-horizon] for values, _ in rows])
    ahead = np.concatenate([values[horizon:, prepared.table.target] for values, _ in rows])
    return fitted(now, ahead)


@lru_cache(maxsize=64)
def _losses(
    prepared: Prepared, part: Part, horizon: int, timesteps: Lengths, predictor: Predictor
) -> tuple[float, float, float, int | None, float]:
    """Return the losses of constant, persistence, fitted and, with its lag, seasonal, over all windows of a part."""
    column = prepared.values[:, prepared.table.target]
    rows, weight = weights_of_rows(prepared.stretches[part], horizon=horizon, timesteps=timesteps)
    ahead, now = column[rows + horizon], column[rows]
    lag = best_lag([column[one] for one in prepared.stretches["train"]], horizon=horizon, shortest=timesteps[0])
    constant, persistence, curve = (
        float(weight @ (ahead - guess) ** 2) for guess in (np.zeros(1), now, predictor(prepared.values[rows]))
    )
    seasonal = float(weight @ (ahead - column[rows + horizon - lag]) ** 2) if lag else np.inf
    return constant, persistence, curve, lag, seasonal
