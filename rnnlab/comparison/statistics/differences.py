"""Whether two groups differ by more than chance, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, erfc, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.comparison.statistics.estimates import Times

_MOST_COUNTED = 5e7  # additions, for two groups of 50 values; of more, the normal approximation is as good

Array = NDArray[np.float64]


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
    a, b = _finite(one, other)
    superiority = float((a[:, None] > b).mean() + (a[:, None] == b).mean() / 2)
    if len(set(a) | set(b)) == 1:
        return Difference(1.0, "none: all values are equal", superiority)
    if paired:
        return Difference(_signed_ranks(a - b), "Wilcoxon's signed-rank test", superiority)
    return Difference(_rank_sums(*sorted((a, b), key=len)), "the Mann-Whitney U test", superiority)


def _finite(one: Sequence[float], other: Sequence[float]) -> tuple[Array, Array]:
    """Return the values with infinite ones in place of ones a little beyond all others; their order is the same."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    both = np.concatenate([a, b])
    finite = both[np.isfinite(both)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    beyond = (high - low) or 1.0
    return np.clip(a, low - beyond, high + beyond), np.clip(b, low - beyond, high + beyond)


def _signed_ranks(differences: Array) -> float:
    """Return the p value of the signed-rank sum; pairs without a difference are left out."""
    left = differences[differences != 0]
    ranks = _ranks(np.abs(left))
    positive = float(ranks[left > 0].sum())
    doubled = (2 * ranks).astype(int)  # integers, also where values are equal
    if len(left) * int(doubled.sum()) > _MOST_COUNTED:
        return _normal(positive - ranks.sum() / 2, (ranks**2).sum() / 4)
    share = np.zeros(int(doubled.sum()) + 1)  # of all choices of signs, by the sum of the positive ranks
    share[0] = 1
    for rank in doubled:
        share /= 2
        share[rank:] += share[:-rank].copy()
    return _two_sided(share, round(2 * positive))


def _rank_sums(fewer: Array, more: Array) -> float:
    """Return the p value of the sum of ranks of the group with fewer values."""
    ranks = _ranks(np.concatenate([fewer, more]))
    n, both = len(fewer), len(ranks)
    total = float(ranks[:n].sum())
    doubled = (2 * ranks).astype(int)
    highest = int(np.sort(doubled)[-n:].sum())
    if n * highest * both > _MOST_COUNTED:
        variance = ((ranks - ranks.mean()) ** 2).sum() * n * len(more) / both / (both - 1)
        return _normal(max(0.0, abs(total - n * ranks.mean()) - 0.5), variance)  # with a correction for continuity
    ways = np.zeros((n + 1, highest + 1))  # to choose so many of all values, by the sum of their ranks
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : highest + 1 - rank].copy()
    return _two_sided(ways[n], round(2 * total))


def _ranks(values: Array) -> Array:
    """Return the rank of each value, from 1; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _two_sided(ways: Array, at: int) -> float:
    """Return the two-sided p value of a sum, from the number, or share, of ways to reach each sum."""
    smaller = min(ways[: at + 1].sum(), ways[at:].sum())
    return min(1.0, 2 * float(smaller / ways.sum()))


def _normal(distance: float, variance: float) -> float:
    return erfc(abs(distance) / sqrt(2 * variance))


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
