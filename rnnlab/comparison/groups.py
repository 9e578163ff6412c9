"""Groups of runs: those that differ in nothing but their seed repeat one experiment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from typing import Any, final

import numpy as np

from rnnlab.comparison.metric import higher_is_better
from rnnlab.comparison.statistics import (
    Interval,
    Times,
    bootstrap,
    interquartile_mean,
    median,
    median_time,
    wilson,
)
from rnnlab.runs.run import Run

# What a run computes does not depend on these, but for the last bits.
_FREE = {"name", "seed", "training.recompute"}
_FREE_BLOCKS = ("numpy.", "logging.", "training.checkpoint.")
_FIRST = ("backend", "engine", "cell.type", "cell.units", "cell.layers", "task.type", "shape.timesteps")
_BARE = {"cell.type", "backend", "engine", "task.type"}  # told by their value alone
_LETTERS = {"shape.timesteps": "T", "cell.units": "H"}
_WORDS = {"shape.timesteps": "length", "cell.units": "size", "cell.type": "cell"}


@final
@dataclass(frozen=True)
class Group:
    """Runs of one config, each with a seed of its own.

    Attributes:
        heading: What to call it: the values in which it differs from the other groups, else the runs' label.
        values: Dotted key -> value, of the keys in which the groups differ; a key that its config lacks is left out.
        results: The runs, in the order of their seeds.
        metric: The full name of the metric.
    """

    heading: str
    values: Mapping[str, Any]
    results: tuple[Run, ...]
    metric: str

    @property
    def decided(self) -> list[Run]:
        """The runs of which it is known whether the task was solved."""
        return [one for one in self.results if one.summary.solved is not None]

    @property
    def solved(self) -> int:
        """How many solved the task."""
        return sum(one.summary.solved is True for one in self.results)

    @cached_property
    def solved_interval(self) -> Interval | None:
        """Wilson's interval of the share that solves the task; None while nothing is known."""
        return wilson(self.solved, len(self.decided)) if self.decided else None

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """The final metric of each run; a run without a finite one, as one that diverged, counts as infinitely bad."""
        worst = -inf if higher_is_better(self.metric) else inf
        finals = [one.final(self.metric) for one in self.results]
        return tuple(worst if value is None or not isfinite(value) else value for value in finals)

    @cached_property
    def median(self) -> float:
        """The median of the final metric."""
        return float(median(np.sort(self.scores)))

    @cached_property
    def median_interval(self) -> Interval | None:
        """Its bootstrap interval; None for one run."""
        return bootstrap(self.scores, median)

    @cached_property
    def interquartile_mean(self) -> float:
        """The mean of the middle half of the final metric."""
        return float(interquartile_mean(np.sort(self.scores)))

    @cached_property
    def interquartile_mean_interval(self) -> Interval | None:
        """Its bootstrap interval; None for one run."""
        return bootstrap(self.scores, interquartile_mean)

    @cached_property
    def times(self) -> Times:
        """Training sequences until the task was solved, or seen in vain."""
        at, done = [], []
        for one in self.results:
            at_success = one.summary.solved_at
            seen = at_success.sequences if at_success else one.summary.sequences
            if seen is not None:
                at.append(float(seen))
                done.append(at_success is not None)
        return Times(at, done)

    @cached_property
    def sequences_to_success(self) -> float | None:
        """The Kaplan-Meier median of the sequences to success; None where fewer than half were seen to succeed."""
        return median_time(self.times)

    @property
    def seeds(self) -> list[Any]:
        """The seed of each run."""
        return [one.config.get("seed") for one in self.results]


def same_but_for_seed(results: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups of one config each, in the order the groups first appear."""
    groups: dict[str, list[Run]] = {}
    for result in results:
        groups.setdefault(json.dumps(_fixed(result), sort_keys=True), []).append(result)
    return list(groups.values())


def groups_of(results: Sequence[Run], metric: str) -> tuple[Group, ...]:
    """Return the groups of some runs, in the order of the values in which they differ.

    Args:
        results: The runs.
        metric: The full name of the metric they are measured by.
    """
    parts = [sorted(part, key=_seed) for part in same_but_for_seed(results)]
    fixed = [_fixed(part[0]) for part in parts]
    keys = _varying(fixed)
    values = [{key: one[key] for key in keys if key in one} for one in fixed]
    made = [
        Group(heading, told, tuple(part), metric)
        for heading, told, part in zip(_headings(values, parts), values, parts, strict=True)
    ]
    return tuple(sorted(made, key=lambda group: [_order(group.values.get(key)) for key in keys]))


def _fixed(result: Run) -> dict[str, Any]:
    return {key: value for key, value in result.config.items() if key not in _FREE and not key.startswith(_FREE_BLOCKS)}


def _varying(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys in which configs differ, those that people name first at the front."""
    keys = dict.fromkeys(key for one in configs for key in one)
    found = [key for key in keys if len({_canonical(one.get(key)) for one in configs}) > 1]
    return sorted(found, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))


def _headings(values: Sequence[Mapping[str, Any]], parts: Sequence[Sequence[Run]]) -> list[str]:
    """Return what to call each group: the first keys that suffice to tell all apart."""
    keys = _varying(values)
    for key in reversed(keys):
        fewer = [other for other in keys if other != key]
        if len({tuple(_canonical(one.get(other)) for other in fewer) for one in values}) == len(values):
            keys = fewer
    if not keys:
        return [part[0].label for part in parts]
    return [" ".join(told_value(key, one[key]) for key in keys if key in one) or "the others" for one in values]


def told_value(key: str, value: Any) -> str:
    """Return a value as a heading tells it.

    Example:
        >>> told_value("cell.type", "carry"), told_value("shape.timesteps", 50), told_value("training.clip_norm", 0.3)
        ('carry', 'T=50', 'clip_norm=0.3')
    """
    text = value if isinstance(value, str) else "…".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if key in _BARE else f"{_LETTERS.get(key, key.rpartition('.')[2])}={text}"


def told_key(key: str) -> str:
    """Return a key as a sentence tells it.

    Example:
        >>> told_key("shape.timesteps"), told_key("training.clip_norm")
        ('length', 'training.clip_norm')
    """
    return _WORDS.get(key, key)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, _canonical(value))


def _seed(result: Run) -> tuple[float, str]:
    seed = result.config.get("seed")
    return float(seed) if isinstance(seed, int) else inf, result.name
