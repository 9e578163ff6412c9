"""The axes of a sweep: the values of each, and their combinations in a grid or drawn at random."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Any

import numpy as np

from rnnlab.config.blocks import MOST_TRIALS, Range, SweepOptions
from rnnlab.core.errors import UsageError
from rnnlab.core.streams import stream

Axis = Range | list[Any]
Values = dict[str, Any]  # dotted key -> value

_TRIES = 1000  # draws in a row without a new combination, after which a random sweep ends with an error


def combinations(options: SweepOptions, *, seed: int) -> list[Values]:
    """Return the distinct combinations of a grid or random sweep in order, without the sweep's seeds.

    An axis whose condition is false is left out; combinations that are equal then count once.

    Args:
        options: The sweep, for which `faults_of` has returned nothing.
        seed: Seed of random combinations.

    Raises:
        UsageError: There are more than a sweep may have, or fewer different ones than requested.

    Example:
        >>> options = SweepOptions.model_validate({
        ...     "axes": {"cell.type": ["indrnn", "janet"], "cell.forget_bias": [0.0, 2.0]},
        ...     "when": {"cell.forget_bias": {"cell.type": "janet"}},
        ... })
        >>> for values in combinations(options, seed=0):
        ...     print(values)
        {'cell.type': 'indrnn'}
        {'cell.type': 'janet', 'cell.forget_bias': 0.0}
        {'cell.type': 'janet', 'cell.forget_bias': 2.0}
    """
    if options.method == "grid":
        return list({json.dumps(values): values for values in _grid(options)}.values())
    wanted = options.trials or 0
    found = random_combinations(options, seed=seed, count=wanted, tries=_TRIES)
    if len(found) < wanted:
        problem = f"`trials` is {wanted:,}, but {_TRIES:,} draws in a row found nothing new after {len(found):,}"
        raise UsageError(problem, hint="lower `trials`, or use method: grid")
    return found


def random_combinations(options: SweepOptions, *, seed: int, count: int, tries: int) -> list[Values]:
    """Return `count` distinct combinations drawn at random; fewer if `tries` draws in a row find no new one."""
    distinct: dict[str, Values] = {}
    number = idle = 0
    while len(distinct) < count and idle < tries:
        rng, before = stream(seed, "sweep", number), len(distinct)
        drawn = {key: value for keys in groups_of(options) for key, value in _draw_group(options, keys, rng).items()}
        values = _where_conditions_hold(drawn, options)
        distinct.setdefault(json.dumps(values), values)
        number, idle = number + 1, 0 if len(distinct) > before else idle + 1
    return list(distinct.values())


def groups_of(options: SweepOptions) -> list[list[str]]:
    """Return the axes, those that are zipped in one group, in the order of the first axis of each group."""
    groups: list[list[str]] = []
    for key in options.axes:
        group = next((group for group in options.zip if key in group), [key])
        if group not in groups:
            groups.append(group)
    return groups


def condition_holds(key: str, values: Mapping[str, Any], options: SweepOptions) -> bool:
    """Return whether an axis is set where these values are."""
    return all(
        other in values
        and condition_holds(other, values, options)
        and values[other] in (allowed if isinstance(allowed, list) else [allowed])
        for other, allowed in options.when.get(key, {}).items()
    )


def values_of(axis: Axis) -> list[Any]:
    """Return all values of an axis, in order; between integers only integers.

    Raises:
        UsageError: It is a range of infinitely many values, or of more than a sweep has trials.

    Example:
        >>> values_of(Range.model_validate({"from": 10, "to": 100, "count": 4}))
        [10, 40, 70, 100]
        >>> values_of(Range.model_validate({"from": 1e-4, "to": 1e-2, "count": 3, "scale": "log"}))
        [0.0001, 0.001, 0.01]
        >>> values_of(Range.model_validate({"from": 8, "to": 100, "step": 2, "scale": "log"}))
        [8, 16, 32, 64]
    """
    if isinstance(axis, list):
        return axis
    if is_open(axis):
        raise UsageError("a grid needs a list of values", hint="add `count:` or `step:`, or use method: random")
    return list(dict.fromkeys(exact(axis, number) for number in _numbers(axis)))


def draw(axis: Axis, rng: np.random.Generator) -> Any:
    """Return one value of an axis at random; of a range without `count` and `step`, any number in it."""
    if not is_open(axis):
        values = values_of(axis)
        return values[int(rng.integers(len(values)))]
    assert isinstance(axis, Range)
    if has_integers(axis) and axis.scale == "linear":
        return int(rng.integers(int(axis.from_), int(axis.to) + 1))
    return exact(axis, _between(axis, float(rng.random())), digits=6)


def is_open(axis: Axis) -> bool:
    """Return whether an axis is a range without `count` and `step`."""
    return isinstance(axis, Range) and axis.count is None and axis.step is None


def has_integers(axis: Range) -> bool:
    """Return whether an axis has only integers."""
    step = axis.step if axis.scale == "linear" else None
    return all(isinstance(number, int) for number in (axis.from_, axis.to, step) if number is not None)


def exact(axis: Range, number: float, *, digits: int = 12) -> int | float:
    """Return a number of a range, rounded: to an integer if the axis has only integers, else to so many digits."""
    return round(number) if has_integers(axis) else float(f"{number:.{digits}g}")


def _between(axis: Range, share: float) -> float:
    is_log = axis.scale == "log"
    return axis.from_ * (axis.to / axis.from_) ** share if is_log else axis.from_ + (axis.to - axis.from_) * share


def _numbers(axis: Range) -> list[float]:
    if axis.count is not None:
        return [_between(axis, place / (axis.count - 1)) for place in range(axis.count)]
    low, step, is_log = axis.from_, axis.step or 1, axis.scale == "log"
    steps = math.log(axis.to / low) / math.log(step) if is_log else (axis.to - low) / step
    if steps >= MOST_TRIALS:
        raise UsageError(f"more than {MOST_TRIALS:,} numbers", hint="take a larger `step`, or `count:`")
    places = range(math.floor(steps + 1e-9) + 1)  # `to` counts although 0.1 + 0.2 is not 0.3
    return [low * step**place if is_log else low + step * place for place in places]


def _rows(options: SweepOptions, keys: Sequence[str]) -> list[Values]:
    columns = [values_of(options.axes[key]) for key in keys]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _draw_group(options: SweepOptions, keys: Sequence[str], rng: np.random.Generator) -> Values:
    return {keys[0]: draw(options.axes[keys[0]], rng)} if len(keys) == 1 else draw(_rows(options, keys), rng)


def _grid(options: SweepOptions) -> Iterator[Values]:
    rows = [_rows(options, keys) for keys in groups_of(options)]
    count = math.prod(map(len, rows))
    if count > MOST_TRIALS:
        problem = f"{count:,} combinations, but a sweep has at most {MOST_TRIALS:,} trials"
        raise UsageError(problem, hint="take fewer values, or method: random")
    for parts in product(*rows):
        yield _where_conditions_hold({key: value for part in parts for key, value in part.items()}, options)


def _where_conditions_hold(values: Values, options: SweepOptions) -> Values:
    return {key: value for key, value in values.items() if condition_holds(key, values, options)}


Fault = tuple[tuple[str, ...], UsageError]


def faults_of(options: SweepOptions) -> Iterator[Fault]:
    """Yield what is wrong with a sweep beyond its single values: the key in the section, and the error."""
    is_listed = options.trials is None
    if not options.axes and options.seeds is None and is_listed:
        yield (), UsageError("nothing is varied", hint="add `axes:` or `seeds:`, or leave the section out")
    if options.method != "grid" and is_listed:
        yield ("trials",), UsageError("missing: how many combinations to try", hint="add `trials:`")
    if options.method == "grid" and not is_listed:
        yield ("trials",), UsageError("a grid has all its combinations", hint="leave it out, or use method: random")
    for key in {"name", "sweep", "extends"} & set(options.axes):
        yield ("axes", key), UsageError(f"`{key}` cannot be an axis", hint="each trial has a name of its own")
    if "seed" in options.axes and options.seeds is not None:
        yield ("seeds",), UsageError("`seed` is an axis already", hint="keep one of them")
    if options.pruner is not None:
        yield from _pruner_faults(options)
    for key, axis in options.axes.items():
        yield from ((("axes", key), fault) for fault in _axis_faults(key, axis, options))
        if inner := [other for other in options.axes if other.startswith(f"{key}.")]:
            yield ("axes", inner[0]), UsageError(f"is inside the axis {key}", hint="keep one of them")
    yield from ((("zip",), fault) for fault in _zip_faults(options))
    yield from _when_faults(options)


def _pruner_faults(options: SweepOptions) -> Iterator[Fault]:
    if options.method != "tpe":
        yield ("pruner",), UsageError("is for method: tpe", hint="leave it out, or search with method: tpe")
    if len(options.seed_list or [0]) > 1:
        yield ("pruner",), UsageError("compares single trials, so it needs one seed", hint="set seeds: 1")
    if not (options.metric.name == "loss" or options.metric.name.startswith("metrics.")):
        problem = f"{options.metric.name} is known only at the end of a training"
        yield ("metric",), UsageError(problem, hint="with a pruner use loss or metrics.NAME, or leave the pruner out")


def _axis_faults(key: str, axis: Axis, options: SweepOptions) -> Iterator[UsageError]:
    if isinstance(axis, list):
        texts = [json.dumps(value) for value in axis]
        may_repeat = any(key in group for group in options.zip)  # then the combinations must differ: see `_zip_faults`
        twice = [] if may_repeat else [text for text, count in Counter(texts).items() if count > 1]
        if twice or not axis:
            yield UsageError(f"{twice[0][:60]} is listed twice" if twice else "no values", hint="list each value once")
    if options.method == "grid" or any(key in group for group in options.zip):
        try:
            values_of(axis)
        except UsageError as fault:
            yield fault


def _zip_faults(options: SweepOptions) -> Iterator[UsageError]:
    keys = [key for group in options.zip for key in group]
    for key in dict.fromkeys(keys):
        if key not in options.axes:
            yield _no_axis(key, options)
        if keys.count(key) > 1:
            yield UsageError(f"`{key}` is named twice", hint="name each axis once")
    for group in options.zip:
        with suppress(UsageError):  # reported with the axis
            lengths = {key: len(values_of(options.axes[key])) for key in group if key in options.axes}
            if len(set(lengths.values())) > 1:
                counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
                yield UsageError(f"zipped axes need equally many values: {counts}")
            else:
                rows = Counter(zip(*(map(json.dumps, values_of(options.axes[key])) for key in lengths), strict=True))
                for row in (row for row, count in rows.items() if count > 1):
                    named = ", ".join(f"{key} {value[:30]}" for key, value in zip(lengths, row, strict=True))
                    yield UsageError(f"{named} is listed twice", hint="list each combination once")


def _when_faults(options: SweepOptions) -> Iterator[Fault]:
    for key, conditions in options.when.items():
        for other in (key, *conditions):
            if other not in options.axes:
                yield ("when", key), _no_axis(other, options)
    try:
        TopologicalSorter(options.when).prepare()
    except CycleError as error:
        for key in options.when:
            if key in error.args[1]:
                yield ("when", key), UsageError("depends on itself", hint="remove one of the conditions")


def _no_axis(key: str, options: SweepOptions) -> UsageError:
    return UsageError(f"`{key}` is not an axis", hint=f"axes: {', '.join(options.axes) or 'none'}")
