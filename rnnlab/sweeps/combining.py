"""Which values go together: every combination of a grid, or as many drawn at random as were asked for."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from rnnlab.config.sweep import MOST_TRIALS, SweepOptions
from rnnlab.core.errors import UsageError
from rnnlab.core.streams import stream
from rnnlab.sweeps.axes import draw, values_of

Values = dict[str, Any]
Fault = Callable[[tuple[str, ...], UsageError], None]

_TRIES = 1000  # in a row that bring nothing new, before a random sweep gives up


def combinations(options: SweepOptions, *, seed: int) -> list[Values]:
    """Return what each combination sets, dotted key to value, in order; without the sweep's seeds.

    An axis whose condition does not hold is left out; combinations that are equal then are one.

    Args:
        options: The sweep, as `faults_of` has passed it.
        seed: What random combinations are drawn from.

    Raises:
        UsageError: There are more than a sweep may have, or fewer different ones than asked for.

    Example:
        >>> options = SweepOptions.model_validate({
        ...     "axes": {"cell.type": ["simple", "carry"], "cell.forget_bias": [0.0, 2.0]},
        ...     "when": {"cell.forget_bias": {"cell.type": "carry"}},
        ... })
        >>> for values in combinations(options, seed=0):
        ...     print(values)
        {'cell.type': 'simple'}
        {'cell.type': 'carry', 'cell.forget_bias': 0.0}
        {'cell.type': 'carry', 'cell.forget_bias': 2.0}
    """
    groups = [_Group(keys, options) for keys in groups_of(options)]
    drawn = _grid(groups) if options.method == "grid" else _random(groups, seed)
    wanted = options.trials if options.method == "random" else None
    distinct: dict[str, Values] = {}
    idle = 0
    for values in drawn:
        kept = _kept(values, options.when)
        before = len(distinct)
        distinct.setdefault(json.dumps(kept), kept)
        idle = 0 if len(distinct) > before else idle + 1
        if len(distinct) == wanted:
            break
        if wanted and idle == _TRIES:
            raise UsageError(
                f"{wanted:,} different combinations wanted, and {_TRIES:,} more draws brought none beyond the "
                f"{len(distinct):,} found",
                hint="lower `trials`, or use method: grid",
            )
    return list(distinct.values())


def faults_of(options: SweepOptions) -> Iterator[tuple[tuple[str, ...], UsageError]]:
    """Yield what is wrong with a sweep beyond its single values: the key in the section, and the fault."""
    if not options.axes and options.seeds is None and options.trials is None:
        yield (), UsageError("nothing is varied", hint="add `axes:` or `seeds:`, or leave the section out")
    if options.method != "grid" and options.trials is None:
        yield ("trials",), UsageError("missing: how many combinations to try", hint="add `trials:`")
    if options.method == "grid" and options.trials is not None:
        yield ("trials",), UsageError("a grid has all its combinations", hint="leave it out, or use method: random")
    for key in {"name", "sweep", "extends"} & set(options.axes):
        yield ("axes", key), UsageError(f"`{key}` cannot be an axis", hint="each trial has a name of its own")
    if "seed" in options.axes and options.seeds is not None:
        yield ("seeds",), UsageError("`seed` is an axis already", hint="keep one of them")
    yield from _pruner_faults(options)
    yield from _axis_faults(options)
    yield from _zip_faults(options)
    yield from _when_faults(options)


def _pruner_faults(options: SweepOptions) -> Iterator[tuple[tuple[str, ...], UsageError]]:
    if options.pruner is None:
        return
    if options.method != "tpe":
        yield ("pruner",), UsageError("is for method: tpe", hint="leave it out, or search with method: tpe")
    if (options.seeds if isinstance(options.seeds, int) else len(options.seeds or [0])) > 1:
        yield ("pruner",), UsageError("a trial is judged by its own curve, so one seed is wanted", hint="set seeds: 1")
    if not re.fullmatch(r"loss|metrics\.[a-z_]+", options.metric.name):
        problem = f"{options.metric.name} is known at the end alone"
        yield ("metric",), UsageError(problem, hint="with a pruner take loss or metrics.NAME, or leave the pruner out")


def _axis_faults(options: SweepOptions) -> Iterator[tuple[tuple[str, ...], UsageError]]:
    for key, axis in options.axes.items():
        if isinstance(axis, list) and (problem := _list_fault(axis)):
            yield ("axes", key), UsageError(problem, hint="list each value once")
        zipped = any(key in group for group in options.zip)
        if options.method == "grid" or zipped:
            try:
                values_of(axis)
            except UsageError as fault:
                yield ("axes", key), fault
        inner = [other for other in options.axes if other.startswith(f"{key}.")]
        if inner:
            yield ("axes", inner[0]), UsageError(f"is inside the axis {key}", hint="keep one of them")


def _list_fault(values: list[Any]) -> str:
    if not values:
        return "no values"
    texts = [json.dumps(value) for value in values]
    twice = next((text for text in texts if texts.count(text) > 1), "")
    return f"{twice[:60]} is listed twice" if twice else ""


def _zip_faults(options: SweepOptions) -> Iterator[tuple[tuple[str, ...], UsageError]]:
    keys = [key for group in options.zip for key in group]
    for key in dict.fromkeys(keys):
        if key not in options.axes:
            yield ("zip",), UsageError(f"`{key}` is no axis", hint=f"axes: {', '.join(options.axes) or 'none'}")
        if keys.count(key) > 1:
            yield ("zip",), UsageError(f"`{key}` is named twice", hint="name each axis once")
    for group in options.zip:
        lengths = {key: len(_listed(options, key)) for key in group if key in options.axes}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            yield ("zip",), UsageError(f"axes that go together have equally many values: {told}")


def _when_faults(options: SweepOptions) -> Iterator[tuple[tuple[str, ...], UsageError]]:
    for key, conditions in options.when.items():
        for other in (key, *conditions):
            if other not in options.axes:
                told = f"axes: {', '.join(options.axes) or 'none'}"
                yield ("when", key), UsageError(f"`{other}` is no axis", hint=told)
        if key in _needs(key, options.when):
            yield ("when", key), UsageError("a condition that depends on itself can never hold")


def _needs(key: str, when: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return all axes on which an axis depends, by however many steps."""
    found, left = set[str](), list(when.get(key, ()))
    while left:
        other = left.pop()
        if other not in found:
            found.add(other)
            left += when.get(other, ())
    return found


def _listed(options: SweepOptions, key: str) -> list[Any]:
    try:
        return values_of(options.axes[key])
    except UsageError:  # told for the axis itself
        return []


def groups_of(options: SweepOptions) -> list[list[str]]:
    """Return the axes in groups of those that go together, in the order of the first of each."""
    groups: list[list[str]] = []
    for key in options.axes:
        together = next((group for group in options.zip if key in group), [key])
        if together not in groups:
            groups.append(together)
    return groups


@dataclass
class _Group:
    keys: list[str]
    options: SweepOptions

    def rows(self) -> list[Values]:
        columns = [values_of(self.options.axes[key]) for key in self.keys]
        return [dict(zip(self.keys, row, strict=True)) for row in zip(*columns, strict=True)]

    def draw(self, rng: np.random.Generator) -> Values:
        if len(self.keys) == 1:
            return {self.keys[0]: draw(self.options.axes[self.keys[0]], rng)}
        rows = self.rows()
        return rows[int(rng.integers(len(rows)))]


def _grid(groups: Sequence[_Group]) -> Iterator[Values]:
    rows = [group.rows() for group in groups]
    most = math.prod(map(len, rows))
    if most > MOST_TRIALS:
        problem = f"{most:,} combinations, and a sweep has at most {MOST_TRIALS:,} trials"
        raise UsageError(problem, hint="take fewer values, or method: random")
    for parts in product(*rows):
        yield {key: value for part in parts for key, value in part.items()}


def _random(groups: Sequence[_Group], seed: int) -> Iterator[Values]:
    number = 0
    while True:
        rng = stream(seed, "sweep", number)
        yield {key: value for group in groups for key, value in group.draw(rng).items()}
        number += 1


def _kept(values: Values, when: Mapping[str, Mapping[str, Any]]) -> Values:
    return {key: value for key, value in values.items() if holds(key, values, when)}


def holds(key: str, values: Values, when: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether an axis counts where these values are set."""
    return all(
        other in values
        and holds(other, values, when)
        and values[other] in (allowed if isinstance(allowed, list) else [allowed])
        for other, allowed in when.get(key, {}).items()
    )


def samples(options: SweepOptions, *, seed: int, count: int) -> list[Values]:
    """Return different combinations drawn at random, `count` at most: those that may be proposed in a search."""
    drawn = _random([_Group(keys, options) for keys in groups_of(options)], seed)
    distinct: dict[str, Values] = {}
    for _, values in zip(range(2 * count), drawn, strict=False):
        kept = _kept(values, options.when)
        distinct.setdefault(json.dumps(kept), kept)
    return list(distinct.values())[:count]
