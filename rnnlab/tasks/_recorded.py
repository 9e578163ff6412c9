"""A recorded series, cut into a training part and later ones for validation and test, seen through windows."""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.errors import UsageError
from rnnlab.core.scaling import Scale, Scaling
from rnnlab.tasks._csv_table import Column, Table, read_table
from rnnlab.tasks._fitted import fitted
from rnnlab.tasks.base import Part, Reference, SuccessRule, Threshold, always, last_step, too_short


class Recorded:
    """A CSV file: the first rows for training, half of the rest for validation, the last rows for a test.

    No window and no target crosses a cut.

    Every column is normalised by the mean and standard deviation of its training rows; a column that never changes
    there is only centred. Lengths are uniform and so is the start of a window. The losses of the
    reference predictors are exact: they are computed over every window of the validation part, or of the part asked
    for. One of them is fitted, to all columns of one row of the training part, by `rnnlab.tasks._fitted.fitted`.

    Args:
        path: The file.
        target: Name or index of the column to predict.
        ignore: Columns left out.
        horizon: Rows from the last input to the target.
        train_fraction: Share of the rows used for training.

    Raises:
        UsageError: The file cannot be used; see `read_table`. Or a part is too short for a single window, or the target
            never changes.
    """

    oracle_loss = 0.0
    solved: SuccessRule

    def __init__(
        self, path: Path, *, target: Column, ignore: Sequence[Column], horizon: int, train_fraction: float
    ) -> None:
        table = read_table(path, ignore=ignore)
        self.path, self.horizon, self.sha256 = path, horizon, table.sha256
        self.names, self.target = table.names, table.find(target, path=path)
        self.features = len(table.names)
        cut = int(len(table.values) * train_fraction)
        self._check(table, cut)
        self.mean, self.deviation = table.values[:cut].mean(axis=0), table.values[:cut].std(axis=0)
        self.deviation[np.ptp(table.values[:cut], axis=0) == 0] = 0.0  # by rounding it may be a little more
        inputs = Scale(tuple(table.names), self.mean[None], self.deviation[None])
        column = slice(self.target, self.target + 1)
        outputs = Scale(inputs.names[column], inputs.mean[:, column], inputs.deviation[:, column])
        self.scaling = Scaling(("",), inputs, outputs)
        values = inputs.scaled(table.values)
        middle = cut + (len(values) - cut + 1) // 2
        self._parts = {"train": values[:cut], "validation": values[cut:middle], "test": values[middle:]}
        self._drawn = self._parts["validation"]
        train = self._parts["train"]
        self._fitted = fitted(train[: -self.horizon], train[self.horizon :, self.target])
        self.solved = Threshold({"loss": min(one.loss for one in self.references(self.default_timesteps))})

    @property
    def default_timesteps(self) -> Lengths:
        longest = min(120, self._longest)
        return (longest, longest)

    def part(self, part: Part) -> Self:
        other = copy(self)
        other._drawn = self._parts[part]
        return other

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        rows = f"parts of {self._rows()}"
        longest = f"a window and the target {self.horizon} ahead fit up to {self._longest:,} steps into {rows}"
        return too_short(timesteps, 1) or (longest if timesteps[1] > self._longest else None)

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        start = rng.integers(0, len(self._drawn) - longest - self.horizon + 1, size=batch_size)
        inputs = self._drawn[start[:, None] + np.arange(longest)]  # (B, T, I)
        inputs *= within_lengths(lengths, longest)[:, :, None]
        targets = self._drawn[start + lengths - 1 + self.horizon, self.target]
        return Batch(inputs, targets[:, None], last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        rows, first = self._drawn, timesteps[0] - 1
        column = rows[:, self.target]
        starts = len(column) - timesteps[1] - self.horizon + 1
        # How often each row is the last of a window, over all starts and lengths.
        weight = np.convolve(np.ones(starts), np.ones(timesteps[1] - first)) / starts / (timesteps[1] - first)
        now = column[first : first + len(weight)]
        ahead = column[first + self.horizon :][: len(weight)]
        constant = float(weight @ ahead**2)
        persistence = float(weight @ (ahead - now) ** 2)
        curve = float(weight @ (ahead - self._fitted(rows[first : first + len(weight)])) ** 2)
        references = (
            Reference("constant: the training mean", constant, always(0.0)),
            Reference("persistence: the last value again", persistence, self._last),
            Reference("fitted: from the last row", curve, lambda batch: self._fitted(last_step(batch))[:, None]),
        )
        # Of a series that has changed since its training part, the mean may be the best of these.
        better = [one for one in references[1:] if one.loss < constant]
        return references[:1] + tuple(sorted(better, key=lambda one: -one.loss))

    def correct(self, outputs: Array, batch: Batch) -> Array:
        naive = np.abs(self._last(batch) - batch.targets)
        return np.asarray(np.abs(outputs - batch.targets) <= naive)[:, 0]

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        return {"mae_in_file_units": float(np.abs(outputs - batch.targets).mean() * self.deviation[self.target])}

    def oracle(self, batch: Batch) -> Array:
        raise UsageError(
            "a recorded series has no oracle: its lowest possible loss is unknown",
            where=str(self.path),
            hint="compare with the task's reference predictors, or leave out `csv` for a series with an oracle",
        )

    def facts(self) -> dict[str, Any]:
        columns = zip(self.names, self.mean.tolist(), self.deviation.tolist(), strict=True)
        return {
            "csv_sha256": self.sha256,
            "training_rows": len(self._parts["train"]),
            "validation_rows": len(self._parts["validation"]),
            "test_rows": len(self._parts["test"]),
            "columns": [{"name": name, "mean": mean, "deviation": deviation} for name, mean, deviation in columns],
        }

    @property
    def _longest(self) -> int:
        return min(map(len, self._parts.values())) - self.horizon

    def _rows(self) -> str:
        return ", ".join(f"{len(rows):,} {name}" for name, rows in self._parts.items()) + " rows"

    def _last(self, batch: Batch) -> Array:
        return np.asarray(batch.inputs[np.arange(batch.size), batch.lengths - 1, self.target])[:, None]

    def _check(self, table: Table, cut: int) -> None:
        where, rows, least = str(self.path), len(table.values), self.horizon + 1
        test = (rows - cut) // 2
        if min(cut, test) < least:
            parts = (
                f"{rows:,} rows make {cut:,} for training, {rows - cut - test:,} for validation, {test:,} for a test"
            )
            hint = "give more rows, a smaller `horizon` or another `train_fraction`"
            raise UsageError(f"{parts}, but each part needs at least {least}", where=where, hint=hint)
        if np.ptp(table.values[:cut, self.target]) == 0:
            name = table.names[self.target]
            raise UsageError(f"the target, {name}, never changes in the {cut:,} training rows", where=where)
