"""Estimates of a proportion, a location and a time to success, with their intervals."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isnan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_RESAMPLES = 9999
_MOST_DRAWN = 10_000_000  # values; of more than 1,000 runs fewer resamples are drawn
_SEED = 0

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Interval(NamedTuple):
    """A lower and an upper bound at 95 % confidence."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Return the Wilson score interval of a proportion, without continuity correction.

    Args:
        successes: 0 to `trials`.
        trials: At least 1.

    Source: Wilson 1927, JASA 22:209; recommended for small n by Brown, Cai & DasGupta 2001, Statistical Science 16:101.

    Example:
        All of ten is no certainty:

        >>> [round(bound, 4) for bound in wilson(10, 10)]
        [0.7225, 1.0]
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, weight = successes / trials, z * z / trials
    middle = share + weight / 2
    half = z * sqrt(share * (1 - share) / trials + weight / trials / 4)
    low, high = (middle - half) / (1 + weight), (middle + half) / (1 + weight)
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def median(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the medians of the rows of an array, (..., n) in ascending order."""
    n = ordered.shape[-1]
    low, high = ordered[..., (n - 1) // 2], ordered[..., n // 2]
    return np.where(low == high, low, (low + high) / 2)  # the middle of two infinite values is that value


def interquartile_mean(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of the middle half of the rows of an array, (..., n) in ascending order.

    A quarter of the values is cut off at each end, rounded down.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, NeurIPS.

    Example:
        >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 3.0, 100.0])))
        2.0
    """
    n = ordered.shape[-1]
    return np.asarray(ordered[..., n // 4 : n - n // 4].mean(axis=-1))


def bootstrap(values: Sequence[float], statistic: Statistic) -> Interval | None:
    """Return the percentile bootstrap interval of a statistic, None for fewer than two values.

    Args:
        values: One per run; an infinite one is a run that diverged.
        statistic: A function of ascending values along the last axis, `median` or `interquartile_mean`.

    Source: Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return Interval(values[0], values[0])
    with np.errstate(invalid="ignore"):
        found = np.sort(statistic(np.sort(values)[_resamples(len(values))]))
    low, high = _quantile(found, (1 - LEVEL) / 2), _quantile(found, (1 + LEVEL) / 2)
    return None if isnan(low) or isnan(high) else Interval(low, high)


def _quantile(ordered: NDArray[np.float64], share: float) -> float:
    """Return a quantile, between two values in proportion; `numpy.quantile` gives NaN between two infinite ones."""
    place, part = divmod(share * (len(ordered) - 1), 1)
    low, high = (float(value) for value in ordered[int(place) : int(place) + 2])
    return low if low == high else low + (high - low) * part


@lru_cache(maxsize=2)
def _resamples(n: int) -> NDArray[np.intp]:
    """Return resamples of the places 0 to n - 1, (R, n), each row in ascending order."""
    # The places are sorted once, here, in place of the values of every resample of every group of that size.
    size = (min(_RESAMPLES, _MOST_DRAWN // n), n)
    return np.sort(np.random.default_rng(_SEED).integers(n, size=size), axis=1)


class Times(NamedTuple):
    """One number per run: when it succeeded, or when it ended without, which is censored, not dropped."""

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
