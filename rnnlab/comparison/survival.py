"""How fast runs succeed: the times of some runs, their Kaplan-Meier median, and the log-rank test of two groups."""

from collections.abc import Sequence
from math import erfc, inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.runs.run import Run
from rnnlab.training.stopping import PRUNER

_UNSOLVABLE = {"diverged", "plateau"}  # the ends of trainings that would not have solved their task later
_PRUNED = f"stopped by {PRUNER}"  # the message of a run that a search interrupted


class Times(NamedTuple):
    """One number per run: when it succeeded, or when it was censored: after infinite time if it never succeeds."""

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

        Two of five by 30, two never; had those been censored at 5, the median would be 30:

        >>> median_time(Times([inf, inf, 10, 30, 100], [False, False, True, True, False])) is None
        True
    """
    # Who succeeds at the time another is censored succeeds before it.
    ordered = sorted((time, not done) for time, done in zip(times.at, times.succeeded, strict=True))
    left = 1.0
    for place, (time, censored) in enumerate(ordered):
        left *= 1 - (not censored) / (len(ordered) - place)
        if left <= 0.5 + 1e-12:
            return float(time)
    return None


def times_of(runs: Sequence[Run]) -> Times:
    """Return the training sequences until runs solved their task, or until they were censored.

    A run that never solves its task is censored at infinity: to censor it where it ended would say that it might have
    done as well as the runs that went on. One that ended for another reason, its budget, an interruption or an error,
    is censored there.
    """
    found = [(_sequences(run), run.summary.solved_at is not None) for run in runs]
    known = [(seen, succeeded) for seen, succeeded in found if seen is not None]
    return Times([seen for seen, _ in known], [succeeded for _, succeeded in known])


def never_solves(run: Run) -> bool:
    """Return whether a run ended, unsolved, for how it did: it diverged, no longer improved, or a search pruned it."""
    return run.summary.solved is False and (run.summary.stopped in _UNSOLVABLE or run.message == _PRUNED)


def _sequences(run: Run) -> float | None:
    if never_solves(run):
        return inf
    summary = run.summary
    seen = summary.solved_at.sequences if summary.solved_at else summary.sequences
    return None if seen is None else float(seen)


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
