"""Which groups differ by more than chance: every pair that did the same task, or each against a baseline."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import final

from rnnlab.comparison.comparability import GRAVE
from rnnlab.comparison.groups import Group
from rnnlab.comparison.statistics import Difference, compare_counts, compare_times, compare_values, holm
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import visible

_MOST_OF_ALL_PAIRS = 6  # groups; of more, each is held against the first


@final
@dataclass(frozen=True)
class Contrast:
    """Two groups that did the same task, held against each other.

    Attributes:
        one, other: The groups.
        paired: Whether they have the same seeds, so that the final metrics are compared pair by pair.
        solved: p of Fisher's exact test of how many solved the task; it is not paired, which errs on the side of
            caution where the runs of one seed are alike. None while that is open.
        times: p of the log-rank test of the sequences to success; None where no run succeeded.
        values: The difference of the final metric; None where a group has one run.
        corrected: The three p values by name (`solved`, `times`, `values`), corrected by Holm's method for all
            contrasts of this comparison, each kind by itself.
    """

    one: Group
    other: Group
    paired: bool
    solved: float | None
    times: float | None
    values: Difference | None
    corrected: dict[str, float]


def contrasts_of(groups: Sequence[Group], baseline: str | None = None) -> tuple[Contrast, ...]:
    """Return the contrasts of some groups; only groups of the same task and lengths meet, and of two runs at least one.

    Args:
        groups: The groups.
        baseline: What the baseline is called, or a part of that; all pairs when left out, of more than six groups the
            first against each.

    Raises:
        UsageError: There is no such baseline, or it is not clear which is meant.
    """
    strata: dict[str, list[Group]] = {}
    for group in groups:
        strata.setdefault(_stratum(group), []).append(group)
    pairs: list[tuple[Group, Group]] = []
    meant = {group.heading for group in _named(groups, baseline)} if baseline is not None else set()
    for members in strata.values():
        if not meant or any(group.heading in meant for group in members):
            pairs += _pairs(members, _baseline(members, baseline) if baseline is not None else None)
    if baseline is not None and not pairs:
        raise UsageError("there is nothing to hold against the baseline", where="--baseline", hint="name more runs")
    found = [_contrast(one, other) for one, other in pairs if len(one.results) + len(other.results) > 2]
    return tuple(_corrected(found))


def _stratum(group: Group) -> str:
    config = group.results[0].config
    return json.dumps({key: value for key, value in config.items() if key.startswith(GRAVE)}, sort_keys=True)


def _pairs(members: Sequence[Group], baseline: Group | None) -> list[tuple[Group, Group]]:
    if baseline is None and len(members) <= _MOST_OF_ALL_PAIRS:
        return list(combinations(members, 2))
    first = baseline or members[0]
    return [(first, other) for other in members if other is not first]


def _baseline(members: Sequence[Group], asked: str) -> Group:
    found = _named(members, asked)
    if len(found) == 1:
        return found[0]
    known = [group.heading for group in members]
    problem = f"'{visible(asked[:100])}' is the name of {'several groups' if found else 'no group'}"
    told = f"groups: {', '.join(map(visible, known[:8]))}" + (" and more" if len(known) > 8 else "")
    raise UsageError(problem, where="--baseline", hint=told if found else (nearest(asked, known) or told))


def _named(groups: Sequence[Group], asked: str) -> list[Group]:
    """Return the groups that are meant: those of that heading, else those with it as a word, else as a part."""
    exact = [group for group in groups if group.heading == asked]
    found = exact or [group for group in groups if asked in group.heading.split()]
    return found or [group for group in groups if asked in group.heading]


def _contrast(one: Group, other: Group) -> Contrast:
    paired = len(one.results) > 1 and None not in one.seeds and one.seeds == other.seeds
    several = min(len(one.results), len(other.results)) > 1
    return Contrast(
        one=one,
        other=other,
        paired=paired,
        solved=_counts(one, other),
        times=compare_times(one.times, other.times) if one.times.at and other.times.at else None,
        values=compare_values(one.scores, other.scores, paired=paired) if several else None,
        corrected={},
    )


def _counts(one: Group, other: Group) -> float | None:
    if not (one.decided and other.decided):
        return None
    return compare_counts((one.solved, len(one.decided)), (other.solved, len(other.decided)))


_KINDS: dict[str, Callable[[Contrast], float | None]] = {
    "solved": lambda contrast: contrast.solved,
    "times": lambda contrast: contrast.times,
    "values": lambda contrast: contrast.values.p if contrast.values else None,
}


def _corrected(found: Sequence[Contrast]) -> list[Contrast]:
    corrected: list[dict[str, float]] = [{} for _ in found]
    for name, read in _KINDS.items():
        tested = [(place, p) for place, contrast in enumerate(found) if (p := read(contrast)) is not None]
        for (place, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            corrected[place][name] = p
    return [replace(contrast, corrected=told) for contrast, told in zip(found, corrected, strict=True)]
