"""Statistics over seeds: exact or by a closed formula, so the same numbers every time, and none where there is no data.

They need no SciPy, whose import takes longer than a whole comparison; tests compare each of them with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, erfc, isnan, sqrt
from statistics import NormalDist
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

_LEVEL = 0.95
_RESAMPLES = 9999
_MOST_DRAWN = 10_000_000  # values; of more than 1,000 runs fewer resamples are drawn
_MOST_COUNTED = 5e7  # additions, for two groups of 50 values; of more, the normal approximation is as good

Array = NDArray[np.float64]


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
    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    share, weight = successes / trials, z * z / trials
    middle = share + weight / 2
    half = z * sqrt(share * (1 - share) / trials + weight / trials / 4)
    low, high = (middle - half) / (1 + weight), (middle + half) / (1 + weight)
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def median(ordered: Array) -> Array:
    """Return the medians of the rows of an array, (..., n) in ascending order."""
    n = ordered.shape[-1]
    low, high = ordered[..., (n - 1) // 2], ordered[..., n // 2]
    return np.where(low == high, low, (low + high) / 2)  # the middle of two infinite values is that value


def interquartile_mean(ordered: Array) -> Array:
    """Return the means of the middle half of the rows of an array, (..., n) in ascending order.

    A quarter of the values is cut off at each end, rounded down.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, NeurIPS.

    Example:
        >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 3.0, 100.0])))
        2.0
    """
    n = ordered.shape[-1]
    return np.asarray(ordered[..., n // 4 : n - n // 4].mean(axis=-1))


def bootstrap(values: Sequence[float], statistic: Callable[[Array], Array]) -> Interval | None:
    """Return the percentile bootstrap interval of a statistic of ascending values, None for fewer than two of them.

    An infinite value is a run that diverged.

    Source: Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return Interval(values[0], values[0])
    with np.errstate(invalid="ignore"):
        found = np.sort(statistic(np.sort(values)[_resamples(len(values))]))
    low, high = _quantile(found, (1 - _LEVEL) / 2), _quantile(found, (1 + _LEVEL) / 2)
    return None if isnan(low) or isnan(high) else Interval(low, high)


def _quantile(ordered: Array, share: float) -> float:
    """Return a quantile, between two values in proportion; `numpy.quantile` gives NaN between two infinite ones."""
    place, part = divmod(share * (len(ordered) - 1), 1)
    low, high = (float(value) for value in ordered[int(place) : int(place) + 2])
    return low if low == high else low + (high - low) * part


@lru_cache(maxsize=2)
def _resamples(n: int) -> NDArray[np.intp]:
    """Return resamples of the places 0 to n - 1, (R, n), each row in ascending order."""
    # The places are sorted once, here, in place of the values of every resample of every group of that size.
    size = (min(_RESAMPLES, _MOST_DRAWN // n), n)
    return np.sort(np.random.default_rng(0).integers(n, size=size), axis=1)


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """The result of a test of two groups.

    Attributes:
        p: The two-sided p value.
        test: Which test.
        superiority: The chance that a value of the first group exceeds one of the second, ties counting half; 0.5 is no
            difference. Vargha & Delaney's A.
    """

    p: float
    test: str
    superiority: float


def compare_values(one: Sequence[float], other: Sequence[float], *, paired: bool) -> Difference:
    """Return whether two groups of values differ.

    Paired values, of the same seeds in the same order, are tested by Wilcoxon's signed ranks, others by the
    Mann-Whitney statistic; both under all permutations, for many values by the normal approximation. Only ranks count,
    so that a run that diverged, infinitely bad, counts as the worst and no more.

    Source: Wilcoxon 1945, Biometrics Bulletin 1:80; Mann & Whitney 1947, Annals of Mathematical Statistics 18:50;
        Vargha & Delaney 2000, Journal of Educational and Behavioral Statistics 25:101.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    superiority = float((a[:, None] > b).mean() + (a[:, None] == b).mean() / 2)
    if len(set(a) | set(b)) == 1:
        return Difference(1.0, "none: all values are equal", superiority)
    if paired:
        with np.errstate(invalid="ignore"):
            differences = np.nan_to_num(a - b, nan=0.0, posinf=np.inf, neginf=-np.inf)  # two that diverged are equal
        left = differences[differences != 0]
        p = _rank_test(_ranks(np.abs(left)), left > 0, paired=True)
    else:
        fewer, more = sorted((a, b), key=len)
        p = _rank_test(_ranks(np.concatenate([fewer, more])), np.arange(len(a) + len(b)) < len(fewer), paired=False)
    return Difference(p, "Wilcoxon's signed-rank test" if paired else "the Mann-Whitney U test", superiority)


def _ranks(values: Array) -> Array:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _rank_test(ranks: Array, chosen: NDArray[np.bool_], *, paired: bool) -> float:
    """Return the two-sided p value of the sum of the chosen ranks, among all choices: of as many, or of any number."""
    n, most = len(ranks), len(ranks) if paired else int(chosen.sum())
    total = float(ranks[chosen].sum())
    doubled = (2 * ranks).astype(int)  # integers, also where values are equal
    highest = int(np.sort(doubled)[n - most :].sum())
    if most * highest * n > _MOST_COUNTED:
        if paired:
            excess, variance = abs(total - ranks.sum() / 2), (ranks**2).sum() / 4
        else:  # with a correction for continuity
            excess, variance = (
                max(0.0, abs(total - most * ranks.mean()) - 0.5),
                ranks.var() * most * (n - most) / (n - 1),
            )
        return erfc(excess / sqrt(2 * variance))
    ways = np.zeros((most + 1, highest + 1))  # to choose so many of all values, by the doubled sum of their ranks
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : highest + 1 - rank].copy()
    of_sum = ways.sum(axis=0) if paired else ways[most]
    at = round(2 * total)
    return min(1.0, 2 * float(min(of_sum[: at + 1].sum(), of_sum[at:].sum()) / of_sum.sum()))


def compare_counts(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the two-sided p value of Fisher's exact test for (successes, trials) of two groups.

    Source: Fisher 1935, The design of experiments, chapter 2.

    Example:
        The lady who tasted four cups of each kind and named all eight: 1 way in 70, and 1 for all wrong.

        >>> round(compare_counts((4, 4), (0, 4)), 4) == round(2 / 70, 4)
        True
    """
    (k, n), (j, m) = one, other
    successes = k + j
    lowest, highest = max(0, successes - m), min(n, successes)
    ways = [comb(n, lowest) * comb(m, successes - lowest)]
    for i in range(lowest, highest):
        ways.append(ways[-1] * (n - i) * (successes - i) // ((i + 1) * (m - successes + i + 1)))
    return sum(way for way in ways if way <= ways[k - lowest]) / comb(n + m, successes)


def compare_matched(only_one: int, only_other: int) -> float:
    """Return the two-sided p value of McNemar's exact test, from the pairs in which just one succeeded.

    Source: McNemar 1947, Psychometrika 12:153; exact by the sign test.

    Example:
        >>> compare_matched(5, 0), compare_matched(0, 0)
        (0.0625, 1.0)
    """
    trials = only_one + only_other
    way = ways = 1
    for i in range(min(only_one, only_other)):
        way = way * (trials - i) // (i + 1)
        ways += way
    return min(1.0, 2 * ways / (1 << trials))


def smallest_p(one: int, other: int, *, paired: bool) -> float:
    """Return the smallest two-sided p value that groups of these sizes can give to the tests of `compare_values`.

    Example:
        >>> smallest_p(4, 4, paired=True), round(smallest_p(3, 3, paired=False), 3)
        (0.125, 0.1)
    """
    ways = 2 ** min(one, other) if paired else comb(one + other, one)
    return min(1.0, 2 / ways)


def p_text(p: float) -> str:
    """Return a p value in two digits.

    Example:
        >>> p_text(0.0004), p_text(0.0079), p_text(1.0)
        ('< 0.001', '0.0079', '1')
    """
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for the number of tests by Holm's step-down method, in the order given.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        0.01 × 4, then 0.013 × 3 = 0.039, raised to the 0.04 before it, then 0.02 × 2 and 0.06 × 1:

        >>> [round(p, 4) for p in holm([0.06, 0.01, 0.02, 0.013])]
        [0.06, 0.04, 0.04, 0.04]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected
