"""Groups of runs that differ only in their seed, measured by one metric, and what to call runs, groups and values."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from math import inf, isfinite
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.comparison.statistics import Interval, bootstrap, interquartile_mean, median, wilson
from rnnlab.comparison.survival import Times, median_time, never_solves, times_of
from rnnlab.core.code_files import with_code_labels
from rnnlab.core.data_file import is_place
from rnnlab.core.errors import RnnlabError, UsageError
from rnnlab.core.registry import nearest
from rnnlab.runs.run import Run
from rnnlab.storage.status import FOLDER_NAME
from rnnlab.storage.summary import LOSS
from rnnlab.tasks import described_task

_SCORE = "validation/"

# The results of a run do not depend on these, except for rounding.
_FREE = {"name", "seed", "training.recompute"}
_FREE_BLOCKS = ("numpy.", "logging.", "training.checkpoint.")
_FIRST = ("backend", "engine", "cell.type", "cell.units", "cell.layers", "task.type", "shape.timesteps")
_BARE = {"cell.type", "backend", "engine", "task.type"}  # the value is enough to know the key
_LETTERS = {"shape.timesteps": "T", "cell.units": "H"}
_WORDS = {"shape.timesteps": "length", "cell.units": "size", "cell.type": "cell"}
_MOST_POINTS = 400
_MISSING = object()


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

    @cached_property
    def decided(self) -> list[Run]:
        """The runs of which it is known whether they solve the task.

        Of one that was interrupted, failed or has not ended, that is not known before it does.
        """
        return [
            run
            for run in self.results
            if run.summary.solved or never_solves(run) or (run.summary.solved is False and run.state == "completed")
        ]

    @cached_property
    def solved(self) -> int:
        """How many solved the task."""
        return sum(run.summary.solved is True for run in self.results)

    @cached_property
    def solved_interval(self) -> Interval | None:
        """Wilson's interval of the share that solves the task; None while nothing is known."""
        return wilson(self.solved, len(self.decided)) if self.decided else None

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the metric is better."""
        return higher_is_better(self.results[0], self.metric)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """The final metric of each run; one that diverged, or has no finite value, counts as infinitely bad."""
        worst = -inf if self.higher_is_better else inf
        finals = [None if run.state == "diverged" else run.final(self.metric) for run in self.results]
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
        """Training sequences until the task was solved, or until the run was censored (`survival`)."""
        return times_of(self.results)

    @cached_property
    def sequences_to_success(self) -> float | None:
        """The Kaplan-Meier median of the sequences to success; None where fewer than half were seen to succeed."""
        return median_time(self.times)

    @cached_property
    def seeds(self) -> list[int | None]:
        """The seed of each run."""
        return [seed_of(run) for run in self.results]

    def curves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return all steps at which a run was evaluated, (K,), and the metric of each run by then, (R, K).

        A run that ended early, because it had solved its task, keeps its last value.
        """
        points = [[(step, y) for step, y in run.curve(self.metric) if y is not None] for run in self.results]
        points = [one for one in points if one]
        steps = sorted({step for one in points for step, _ in one})
        if not steps:
            return np.empty(0), np.empty((0, 0))
        every = max(1, len(steps) // _MOST_POINTS)
        kept = np.array(sorted({*steps[::every], steps[-1]}), np.float64)
        rows = []
        for one in points:
            at, values = np.array(one, np.float64).T
            rows.append(values[np.maximum(np.searchsorted(at, kept, side="right") - 1, 0)])
        return kept, np.array(rows)


def groups_of(runs: Sequence[Run], metric: str) -> tuple[Group, ...]:
    """Return the groups of some runs, measured by a metric, in the order of the values in which they differ."""
    configs = with_code_labels(run.config for run in runs)
    varying = varying_keys(configs)
    keys = [key for key in varying if key not in _FREE and not key.startswith(_FREE_BLOCKS)]
    keys.sort(key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    parts: dict[tuple[Hashable, ...], list[Run]] = {}
    of_parts: dict[tuple[Hashable, ...], Mapping[str, Any]] = {}
    for run, config in zip(runs, configs, strict=True):
        parts.setdefault(kinds := _kinds(config, keys), []).append(run)
        of_parts.setdefault(kinds, config)
    values = [{key: config[key] for key in keys if key in config} for config in of_parts.values()]
    headings = _group_headings(values, keys, [part[0].label for part in parts.values()])
    ordered = [tuple(sorted(part, key=_by_seed)) for part in parts.values()]
    groups = [Group(*each, metric) for each in zip(headings, values, ordered, strict=True)]
    return tuple(sorted(groups, key=lambda group: [_by_value(group.values.get(key)) for key in keys]))


def varies(values: Sequence[Any]) -> bool:
    """Return whether values of a config are not all the same; to Python 1, 1.0 and True are equal, but not here."""
    first = values[0]
    if isinstance(first, list | dict):
        return len({_kind(value) for value in values}) > 1
    return any(type(value) is not type(first) or value != first for value in values)


def varying_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose value is not the same in all configs, in order; not the places of a task's files."""
    keys = [key for key in dict.fromkeys(chain(*configs)) if not any(is_place(key, config) for config in configs)]
    return [key for key in keys if varies([config.get(key, _MISSING) for config in configs])]


def _kinds(config: Mapping[str, Any], keys: Sequence[str]) -> tuple[Hashable, ...]:
    return tuple(_kind(config.get(key, _MISSING)) for key in keys)


def _kind(value: Any) -> Hashable:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else (type(value), value)


def _group_headings(values: Sequence[Mapping[str, Any]], keys: Sequence[str], labels: Sequence[str]) -> Sequence[str]:
    """Return what to call each group: the first keys that suffice to distinguish all."""
    for key in reversed(keys):
        fewer = [other for other in keys if other != key]
        if len({_kinds(one, fewer) for one in values}) == len(values):
            keys = fewer
    if not keys:
        return labels
    shown = [[value_label(key, one[key]) for key in keys if key in one] for one in values]
    return [" ".join(parts) or "the others" for parts in shown]


def run_headings(runs: Sequence[Run]) -> dict[str, str]:
    """Return name of a run -> heading: its label; with the seed, else the random letters, where labels are equal."""
    ways: list[Callable[[Run], str]] = [
        lambda run: run.label,
        lambda run: f"{run.label} seed {seed_of(run)}",
        lambda run: f"{run.label} {match['token'] if (match := FOLDER_NAME.fullmatch(run.name)) else run.name}",
        lambda run: run.name,
    ]
    labelled: dict[str, list[Run]] = {}
    for run in runs:
        labelled.setdefault(run.label, []).append(run)
    headings: dict[str, str] = {}
    for alike in labelled.values():
        every_way = ([way(run) for run in alike] for way in ways)
        texts = next(texts for texts in every_way if len(set(texts)) == len(alike))
        headings |= {run.name: text for run, text in zip(alike, texts, strict=True)}
    # One label may be another label with its seed.
    return headings if len(set(headings.values())) == len(headings) else {run.name: run.name for run in runs}


def value_label(key: str, value: Any) -> str:
    """Return a value for a heading.

    Example:
        >>> value_label("cell.type", "janet"), value_label("shape.timesteps", 50), value_label("training.clip_norm", 1)
        ('janet', 'T=50', 'clip_norm=1')
    """
    text = value if isinstance(value, str) else "…".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if key in _BARE else f"{_LETTERS.get(key, key.rpartition('.')[2])}={text}"


def key_label(key: str) -> str:
    """Return a key for a sentence.

    Example:
        >>> key_label("shape.timesteps"), key_label("training.clip_norm")
        ('length', 'training.clip_norm')
    """
    return _WORDS.get(key, key)


def _by_value(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, json.dumps(value, sort_keys=True, ensure_ascii=False))


def seed_of(run: Run) -> int | None:
    """Return the seed in a run's config; None where that has none."""
    seed = run.config.get("seed")
    return seed if type(seed) is int else None


def _by_seed(run: Run) -> tuple[float, str]:
    return inf if (seed := seed_of(run)) is None else seed, run.name


def resolve_metric(runs: Sequence[Run], asked: str | None, *, option: str = "--metric") -> str:
    """Return the full name of the metric `asked`; a bare name is one of the validation metrics.

    Raises:
        UsageError: No run recorded it; the hint names the nearest.
    """
    if asked is None or asked in {LOSS, short_name(LOSS)}:
        return LOSS
    known: set[str] = {LOSS}
    for run in runs:
        known.update(run.metrics())
        for name in (asked, _SCORE + asked):
            if name in known:
                return name
    hint = nearest(asked, {name for full in known for name in (full, short_name(full))})
    raise UsageError(f"no run recorded the metric '{asked[:100]}'", where=option, hint=hint)


def short_name(metric: str) -> str:
    """Return the name without `validation/`.

    Example:
        >>> short_name("validation/error_rate"), short_name("train/loss")
        ('error_rate', 'train/loss')
    """
    return metric.removeprefix(_SCORE)


def has_baseline(metric: str) -> bool:
    """Return whether the task's baseline, a loss, is a value of this metric."""
    return metric.rpartition("/")[2] == "loss"


def higher_is_better(run: Run, metric: str) -> bool:
    """Return whether the run's task declares that a higher value of a metric is better."""
    return _is_maximised(str(run.config.get("task.type")), metric)


@lru_cache(maxsize=256)
def _is_maximised(task: str, metric: str) -> bool:
    with suppress(RnnlabError):  # of a package that is not installed here
        return described_task(task).higher_is_better(metric)
    return False
