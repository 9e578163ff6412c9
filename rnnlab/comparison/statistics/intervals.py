"""How far a count or a location could be from the truth."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95
_RESAMPLES = 9999
_SEED = 0


class Interval(NamedTuple):
    """From where to where, at 95 % confidence."""

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
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(LEVEL, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def bootstrap(values: Sequence[float], statistic: Callable[..., Any]) -> Interval | None:
    """Return the percentile bootstrap interval of a statistic, None for fewer than two values.

    Args:
        values: One a run; an infinite one is a run that came to nothing.
        statistic: Takes an array and `axis`.

    Source: Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    from scipy.stats import bootstrap as resample

    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return Interval(values[0], values[0])
    with np.errstate(invalid="ignore"):
        found = resample(
            (np.asarray(values, np.float64),),
            statistic,
            n_resamples=_RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            vectorized=True,
            rng=np.random.default_rng(_SEED),
        )
    low, high = (float(bound) for bound in found.confidence_interval)
    return None if np.isnan(low) or np.isnan(high) else Interval(low, high)


def interquartile_mean(values: Any, axis: int = -1) -> Any:
    """Return the mean of the middle half: a quarter of the values is cut off at each end, rounded down.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, NeurIPS.

    Example:
        >>> float(interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, 0.0])))
        2.0
    """
    from scipy.stats import trim_mean

    return trim_mean(values, 0.25, axis=axis)
