"""One sequence of a task, drawn in letters and little bars: a row for each input, the target, and what is scored.

Inputs that are one-hot become one row of symbols: a module's own letters, where it has them as `SYMBOLS`, else numbers.
Inputs of -1, 0 and 1 only become `-`, `·` and `+`; other numbers become bars from the row's least to its greatest.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.batch import Batch, Lengths
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask

Array = NDArray[Any]
Cells = list[str]

_BARS = "▁▂▃▄▅▆▇█"
_LABEL = 11  # letters, with the gap
_MOST_ROWS = 16


def draw_example(task: AbstractTask, width: int) -> list[str]:
    """Return an example as lines of at most `width` letters, 40 or more; the same every time.

    Sequences too long for the width are drawn at a smaller length where the task has one, else cut in the middle by …
    """
    room = width - _LABEL
    low, high = task.default_timesteps
    batch = _draw(task, (low, high))
    per_step = max(
        len(cell)
        for cell in ["x", *_symbols(task, batch), *(cell for _, cells in _targets(task, batch) for cell in cells)]
    )
    per_step += per_step > 1
    fitting = room // per_step
    smaller = (min(low, fitting), min(high, fitting))
    if batch.mask.shape[1] > fitting and task.timesteps_fault(smaller) is None:
        batch = _draw(task, smaller)
    rows = [("step", _ruler(len(batch.mask[0]), per_step)), *_inputs(task, batch)]
    rows += _targets(task, batch)
    rows.append(("scored", ["^" if scored else " " for scored in batch.mask[0]]))
    lines = [_line(label, _cut(cells, fitting), per_step) for label, cells in rows]
    return lines if task.return_sequences else [*lines, _answer(task, batch)]


def _draw(task: AbstractTask, timesteps: Lengths) -> Batch:
    """Return one sequence without what lies beyond its end."""
    batch = task.sample(stream(0, "example"), batch_size=1, timesteps=timesteps)
    steps = int(batch.lengths[0])
    targets = batch.targets[:, :steps] if task.return_sequences else batch.targets
    return Batch(batch.inputs[:, :steps], targets, batch.mask[:, :steps], batch.lengths)


def _inputs(task: AbstractTask, batch: Batch) -> list[tuple[str, Cells]]:
    if symbols := _symbols(task, batch):
        return [("input", symbols)]
    return _rows("input", batch.inputs[0].T)


def _symbols(task: AbstractTask, batch: Batch) -> Cells:
    """Return the symbol of each step, nothing where the inputs are not one-hot."""
    inputs = batch.inputs[0]
    is_one_hot = inputs.shape[1] > 1 and np.isin(inputs, (0, 1)).all() and (inputs.sum(axis=1) == 1).all()
    return [_symbol(task, code) for code in inputs.argmax(axis=1)] if is_one_hot else []


def _symbol(task: AbstractTask, code: int) -> str:
    letters = str(getattr(sys.modules[type(task).__module__], "SYMBOLS", ""))
    return letters[code] if len(letters) == task.input_features else str(code)


def _targets(task: AbstractTask, batch: Batch) -> list[tuple[str, Cells]]:
    """Return the targets of each step, a row an output; nothing where only the last step has one."""
    if not task.return_sequences:
        return []
    targets, scored = batch.targets[0], batch.mask[0]
    if targets.ndim == 2:
        return _rows("target", targets.T)
    # Classes that are no more than the inputs are the inputs' own symbols.
    own = _symbols(task, batch) and task.output_features <= task.input_features
    classes = [_symbol(task, code) if own else str(code) for code in targets]
    return [("target", [cell if on else " " for cell, on in zip(classes, scored, strict=True)])]


def _rows(name: str, values: Array) -> list[tuple[str, Cells]]:
    """Return a row for each of the numbers (rows, T), up to a bound."""
    names = [name] if len(values) == 1 else [f"{name} {n}" for n in range(len(values))]
    rows = [(label, _marks(row) or _bars(row)) for label, row in zip(names, values, strict=True)]
    left_out = len(rows) - _MOST_ROWS
    return rows if left_out <= 0 else [*rows[:_MOST_ROWS], ("", [*f"… {left_out} more"])]


def _answer(task: AbstractTask, batch: Batch) -> str:
    target = batch.targets[0]
    said = (
        f"class {target} of 0…{task.output_features - 1}" if target.ndim == 0 else ", ".join(f"{y:.4g}" for y in target)
    )
    return f"{'target':{_LABEL}}{said}, at step {int(batch.lengths[0]) - 1}, the last"


def _marks(row: Array) -> Cells:
    return ["-·+"[int(value) + 1] for value in row] if np.isin(row, (-1, 0, 1)).all() else []


def _bars(row: Array) -> Cells:
    low, high = row.min(), row.max()
    heights = np.rint((row - low) * (7 / (high - low) if high > low else 0)).astype(int)
    return [_BARS[height] for height in heights]


def _ruler(steps: int, per_step: int) -> Cells:
    """Return the number of every tenth step (every fifth of wide ones), which reaches over the steps behind it."""
    every = 10 if per_step == 1 else 5
    numbers = [f"{step:<{every * per_step}}" for step in range(0, steps, every)]
    # No room for all digits of the last: rather none.
    last = numbers[-1].rstrip()
    room = (steps - (len(numbers) - 1) * every) * per_step
    line = "".join(numbers[:-1]) + (last if len(last) <= room else "").ljust(room)
    return [line[k * per_step : (k + 1) * per_step] for k in range(steps)]


def _cut(cells: Cells, most: int) -> Cells:
    if len(cells) <= most:
        return cells
    head = (most - 1) // 2
    return [*cells[:head], "…", *cells[head + 1 - most :]]


def _line(label: str, cells: Cells, per_step: int) -> str:
    return (f"{label:{_LABEL}}" + "".join(f"{cell:<{per_step}}" for cell in cells)).rstrip()
