"""The parts of a card: labelled paragraphs, the options of a config block, and an example sequence of a task.

An example has a row for each input, one for the target and one for the scored steps. One-hot inputs become one row of
symbols: a module's own letters if it has `SYMBOLS`, else numbers. Inputs of -1, 0 and 1 become `-`, `·` and `+`; other
numbers become bars from the lowest to the highest value of the row.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel
from rich.table import Table as Grid

from rnnlab.cli.render.curves import sparkline
from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.streams import stream
from rnnlab.core.table import Table, table
from rnnlab.tasks.base import AbstractTask

Row = dict[str, str]
Cells = list[str]

_LABEL = 11  # letters, with the gap
_MOST_ROWS = 16
_MOST_NUMBERS = 4


def facts(pairs: Iterable[tuple[str, str]]) -> Grid:
    """Return labelled paragraphs; those without text are left out, and a label is not repeated."""
    grid, last = Grid.grid(padding=(0, 2)), ""
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in pairs:
        if text:
            grid.add_row("" if label == last else label, text)
            last = label
    return grid


def option_rows(options: type[BaseModel]) -> list[Row]:
    """Return `name`, `type`, `default`, `bounds` and `description` of each option but `type`; nested ones dotted.

    Example:
        >>> from rnnlab.tasks.parity import ParityOptions
        >>> [(row["name"], row["type"], row["default"], row["bounds"]) for row in option_rows(ParityOptions)]
        [('noise', 'number', '0.0', '0 ≤ x < 1')]
    """
    schema = options.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), prefix="", default={}))


def option_table(rows: Iterable[Row]) -> Table:
    """Return the options as a table."""
    cells = [
        (row["name"], row["default"], f"{row['description']} ({', '.join(filter(None, (row['type'], row['bounds'])))})")
        for row in rows
    ]
    return table(["option", "default", "description"], cells, text=["default", "description"])


def _rows(
    schema: Mapping[str, Any], known: Mapping[str, Any], *, prefix: str, default: Mapping[str, Any]
) -> Iterator[Row]:
    for name, field in schema.get("properties", {}).items():
        if name == "type":
            continue
        inner = known.get(str(field.get("$ref", "")).rpartition("/")[2], {})
        absent = "required" if name in schema.get("required", []) else {}
        start = default.get(name, field.get("default", absent))
        if "properties" in inner:
            yield from _rows(inner, known, prefix=f"{prefix}{name}.", default=start if start != "required" else {})
        else:
            yield {
                "name": prefix + name,
                "type": kind(field),
                "default": _value(start),
                "bounds": _bounds(field),
                "description": field.get("description", ""),
            }
            for block in _blocks(field, known):  # a mapping is one of the forms
                yield from _rows(block, known, prefix=f"{prefix}{name}.", default={})


def _blocks(field: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for form in field.get("anyOf", []):
        if "properties" in (block := known.get(str(form.get("$ref", "")).rpartition("/")[2], {})):
            yield block
        yield from _blocks(form, known)


_WORDS = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null",
    "array": "list", "object": "mapping",
}  # fmt: skip


def kind(field: Mapping[str, Any]) -> str:
    """Return the type of a field of a JSON Schema in words, or its values where they are enumerated."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "discriminator" in field:
        return ", ".join(field["discriminator"]["mapping"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(one) for one in field["anyOf"]))
    if "const" in field:
        return _value(field["const"])
    if "$ref" in field:
        return "mapping"
    return _WORDS.get(field.get("type", ""), "")


def _bounds(field: Mapping[str, Any]) -> str:
    """Return the interval as `1 ≤ x ≤ 65,536`; of several types, that of the one with bounds."""
    fields = [field, *field.get("anyOf", [])]
    found = {key: _number(value) for one in reversed(fields) for key, value in one.items() if key in _ENDS}
    low = f"{found['minimum']} ≤ " if "minimum" in found else ""
    low = f"{found['exclusiveMinimum']} < " if "exclusiveMinimum" in found else low
    high = f" ≤ {found['maximum']}" if "maximum" in found else ""
    high = f" < {found['exclusiveMaximum']}" if "exclusiveMaximum" in found else high
    return f"{low}x{high}" if low or high else ""


_ENDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def _number(value: float) -> str:
    """Return a whole number with all its digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _value(value: Any) -> str:
    """Return a default as YAML writes it; of a block with a type, the name of the type."""
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    return value if isinstance(value, str) else json.dumps(value)


def draw_example(task: AbstractTask, width: int) -> list[str]:
    """Return an example as lines of at most `width` letters, 40 or more; the same every time.

    A sequence too long for the width is drawn at a smaller length if the task has one, else its middle is left out.
    """
    room = width - _LABEL
    low, high = task.default_timesteps
    batch = _draw(task, (low, high))
    rows = [*_inputs(task, batch), *_targets(task, batch)]
    per_step = max(len(cell) for _, cells in rows for cell in cells)
    per_step += per_step > 1
    fitting = room // per_step
    smaller = (min(low, fitting), min(high, fitting))
    if batch.mask.shape[1] > fitting and task.timesteps_fault(smaller) is None:
        batch = _draw(task, smaller)
        rows = [*_inputs(task, batch), *_targets(task, batch)]
    scored = ["^" if one else " " for one in batch.mask[0]]
    rows = [("step", _ruler(len(scored), per_step)), *rows, ("scored", scored)]
    lines = [_line(label, _cut(cells, fitting), per_step) for label, cells in rows]
    return lines if task.return_sequences else [*lines, _answer(task, batch)]


def _draw(task: AbstractTask, timesteps: Lengths) -> Batch:
    """Return one sequence, cut at its end."""
    batch = task.sample(stream(0, "example"), batch_size=1, timesteps=timesteps)
    steps = int(batch.lengths[0])
    targets = batch.targets[:, :steps] if task.return_sequences else batch.targets
    return Batch(batch.inputs[:, :steps], targets, batch.mask[:, :steps], batch.lengths)


def _inputs(task: AbstractTask, batch: Batch) -> list[tuple[str, Cells]]:
    if symbols := _symbols(task, batch):
        return [("input", symbols)]
    return _number_rows("input", batch.inputs[0].T)


def _symbols(task: AbstractTask, batch: Batch) -> Cells:
    """Return the symbol of each step; nothing if the inputs are not one-hot."""
    inputs = batch.inputs[0]
    is_one_hot = inputs.shape[1] > 1 and np.isin(inputs, (0, 1)).all() and (inputs.sum(axis=1) == 1).all()
    return [_symbol(task, code) for code in inputs.argmax(axis=1)] if is_one_hot else []


def _symbol(task: AbstractTask, code: int) -> str:
    names = task.input_names
    return names[code] if all(len(name) == 1 for name in names[: code + 1]) and code < len(names) else str(code)


def _targets(task: AbstractTask, batch: Batch) -> list[tuple[str, Cells]]:
    """Return the targets of each step, a row per output; nothing if only the last step has one."""
    if not task.return_sequences:
        return []
    targets, scored = batch.targets[0], batch.mask[0]
    if targets.ndim == 2:
        return _number_rows("target", targets.T)
    # If there are no more classes than inputs, they are the symbols of the inputs.
    shared = _symbols(task, batch) and task.output_features <= task.input_features
    classes = [_symbol(task, code) if shared else str(code) for code in targets]
    return [("target", [cell if on else " " for cell, on in zip(classes, scored, strict=True)])]


def _number_rows(name: str, values: Array) -> list[tuple[str, Cells]]:
    """Return a row for each row of `values`, (rows, T), up to a limit."""
    names = [name] if len(values) == 1 else [f"{name} {n}" for n in range(len(values))]
    rows = [(label, _drawn(row)) for label, row in zip(names, values, strict=True)]
    left_out = len(rows) - _MOST_ROWS
    return rows if left_out <= 0 else [*rows[:_MOST_ROWS], ("", [*f"… {left_out} more"])]


def _answer(task: AbstractTask, batch: Batch) -> str:
    target = batch.targets[0]
    if target.ndim == 0:
        answer = f"class {target} of 0…{task.output_features - 1}"
    else:
        numbers = [f"{y:.4g}" for y in target[:_MOST_NUMBERS]]
        left_out = len(target) - len(numbers)
        answer = ", ".join(numbers) + (f", … {left_out} more" if left_out else "")
    return f"{'target':{_LABEL}}{answer}, at step {int(batch.lengths[0]) - 1}, the last"


def _drawn(row: Array) -> Cells:
    if np.isin(row, (-1, 0, 1)).all():
        return ["-·+"[int(value) + 1] for value in row]
    return list(sparkline(row.tolist(), len(row)))


def _ruler(steps: int, per_step: int) -> Cells:
    """Return the number of every tenth step (every fifth if steps are wide), written over the steps after it."""
    every = 10 if per_step == 1 else 5
    numbers = [f"{step:<{every * per_step}}" for step in range(0, steps, every)]
    # The last number is left out if there is no room for all its digits.
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
