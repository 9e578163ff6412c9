"""Training curves of one group, on common steps."""

from itertools import accumulate
from typing import Any

import numpy as np

from rnnlab.comparison.groups import Group

_MOST_POINTS = 400


def together(group: Group) -> tuple[Any, Any]:
    """Return all steps at which a run of a group was evaluated, (K,), and the value of each run by then, (R, K).

    A run that ended early, because it had solved its task, stays at its last value.
    """
    points = [[(step, y) for step, y in run.curve(group.metric) if y is not None] for run in group.results]
    points = [one for one in points if one]
    steps = sorted({step for one in points for step, _ in one})
    if not steps:
        return np.empty(0), np.empty((0, 0))
    rows = []
    for one in points:
        known = dict(one)
        first = one[0][1]
        rows.append(list(accumulate((known.get(step) for step in steps), _last_known, initial=first))[1:])
    every = max(1, len(steps) // _MOST_POINTS)
    kept = sorted({*range(0, len(steps), every), len(steps) - 1})
    return np.array(steps)[kept], np.array(rows, np.float64)[:, kept]


def _last_known(before: Any, value: Any) -> Any:
    return before if value is None else value
