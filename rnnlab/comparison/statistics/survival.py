"""Time to success, where some runs ended without it: those are censored, not dropped."""

from collections.abc import Sequence
from math import erfc, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Times(NamedTuple):
    """One number per run: when it succeeded, or when it ended without."""

    at: Sequence[float]
    succeeded: Sequence[bool]


def median_time(times: Times) -> float | None:
    """Return the Kaplan-Meier median: the first time by which half have succeeded; None where that was not seen.

    Source: Kaplan & Meier 1958, JASA 53:457.

    Example:
        Two of three by 30, the third ended at 100:

        >>> median_time(Times([10, 30, 100], [True, True, False]))
        30.0
        >>> median_time(Times([10, 100, 100], [True, False, False])) is None
        True
    """
    left = 1.0
    # Who succeeds at the time another is censored succeeds before it.
    for place, (time, done) in enumerate(sorted(zip(times.at, times.succeeded, strict=True), key=_successes_first)):
        left *= 1 - done / (len(times.at) - place)
        if left <= 0.5 + 1e-12:
            return float(time)
    return None


def _successes_first(pair: tuple[float, bool]) -> tuple[float, bool]:
    return pair[0], not pair[1]


def compare_times(one: Times, other: Times) -> float | None:
    """Return the two-sided p value of the log-rank test; None where no run of either succeeded.

    Source: Mantel 1966, Cancer Chemotherapy Reports 50:163.
    """
    done = [time for times in (one, other) for time, done in zip(times.at, times.succeeded, strict=True) if done]
    if not done:
        return None
    times, successes = np.unique(np.array(done, np.float64), return_counts=True)  # (K,)
    of_one = _at_risk(one, times)
    at_risk = of_one + _at_risk(other, times)
    share = of_one / at_risk
    variance = successes * share * (1 - share) * (at_risk - successes) / np.maximum(at_risk - 1, 1)
    excess = sum(one.succeeded) - float((successes * share).sum())
    if not variance.sum():
        return 1.0  # all at one and the same time: no difference
    return erfc(abs(excess) / sqrt(2 * float(variance.sum())))


def _at_risk(group: Times, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many runs had not ended before each of some times, (K,)."""
    return len(group.at) - np.searchsorted(np.sort(group.at), times)
