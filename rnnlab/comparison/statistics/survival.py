"""How long until success, where some runs ended without: those are censored, not dropped."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Times(NamedTuple):
    """One number a run: when it succeeded, or how far it came without."""

    at: Sequence[float]
    succeeded: Sequence[bool]


def median_time(times: Times) -> float | None:
    """Return the Kaplan-Meier median: the first time by which half have succeeded; None where that was not seen.

    Source: Kaplan & Meier 1958, JASA 53:457.

    Example:
        Two of three by 30, the third given up at 100:

        >>> median_time(Times([10, 30, 100], [True, True, False]))
        30.0
        >>> median_time(Times([10, 100, 100], [True, False, False])) is None
        True
    """
    from scipy.stats import ecdf

    if not any(times.succeeded):
        return None
    survival = ecdf(_censored(times)).sf
    for time, left in zip(survival.quantiles, survival.probabilities, strict=True):
        if left <= 0.5 + 1e-12:
            return float(time)
    return None


def compare_times(one: Times, other: Times) -> float | None:
    """Return the two-sided p value of the log-rank test; None where no run of either succeeded.

    Source: Mantel 1966, Cancer Chemotherapy Reports 50:163; SciPy's `logrank`.
    """
    from scipy.stats import logrank

    if not (any(one.succeeded) or any(other.succeeded)):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        p = float(logrank(_censored(one), _censored(other)).pvalue)
    return 1.0 if np.isnan(p) else p  # all at one and the same time: there is no variance, and no difference


def _censored(times: Times) -> Any:
    from scipy.stats import CensoredData

    pairs = list(zip(times.at, times.succeeded, strict=True))
    return CensoredData(
        uncensored=[time for time, done in pairs if done], right=[time for time, done in pairs if not done]
    )
