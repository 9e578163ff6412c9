"""Whether two groups differ by more than chance, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

_RESAMPLES = 9999
_SEED = 0
_MOST_PERMUTED = 50  # values in a group, as in SciPy's `wilcoxon`


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """What a test of two groups says.

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
    Mann-Whitney statistic; both under all permutations where there are at most 9,999, else under so many drawn at
    random, and with more than 50 values in a group by the normal approximation. Only ranks count, so that a run that
    diverged, infinitely bad, counts as the worst and no more.

    Source: Wilcoxon 1945, Biometrics Bulletin 1:80; Mann & Whitney 1947, Annals of Mathematical Statistics 18:50;
        Vargha & Delaney 2000, Journal of Educational and Behavioral Statistics 25:101.
    """
    a, b = _finite(one, other)
    superiority = _superiority(a, b)
    if len(set(a) | set(b)) == 1:
        return Difference(1.0, "none: all values are equal", superiority)
    many = min(len(a), len(b)) > _MOST_PERMUTED
    if paired:
        return Difference(_signed_ranks(a - b, many=many), "Wilcoxon's signed-rank test", superiority)
    kind = "Mann and Whitney's U test" if many else "a permutation test of Mann-Whitney's U"
    return Difference(_rank_sums(a, b, many=many), kind, superiority)


def compare_counts(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the two-sided p value of Fisher's exact test for (successes, trials) of two groups.

    Source: Fisher 1935, The design of experiments, chapter 2.

    Example:
        The lady who tasted four cups of each kind and told all eight apart: 1 way in 70, and 1 for all wrong.

        >>> round(compare_counts((4, 4), (0, 4)), 4) == round(2 / 70, 4)
        True
    """
    from scipy.stats import fisher_exact

    (k, n), (j, m) = one, other
    return float(fisher_exact([[k, n - k], [j, m - j]]).pvalue)


def compare_matched(only_one: int, only_other: int) -> float:
    """Return the two-sided p value of McNemar's exact test, from the pairs in which just one succeeded.

    Source: McNemar 1947, Psychometrika 12:153; exact by the sign test.

    Example:
        >>> compare_matched(5, 0), compare_matched(0, 0)
        (0.0625, 1.0)
    """
    from scipy.stats import binomtest

    trials = only_one + only_other
    return float(binomtest(only_one, trials).pvalue) if trials else 1.0


def smallest_p(one: int, other: int, *, paired: bool) -> float:
    """Return the smallest two-sided p value that groups of these sizes can give to the tests of `compare_values`.

    Example:
        >>> smallest_p(4, 4, paired=True), round(smallest_p(3, 3, paired=False), 3)
        (0.125, 0.1)
    """
    from math import comb

    ways = 2 ** min(one, other) if paired else comb(one + other, one)
    return min(1.0, 2 / ways)


def _finite(one: Sequence[float], other: Sequence[float]) -> tuple[Any, Any]:
    """Return the values with infinite ones in place of ones a little beyond all others; their order is the same."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    both = np.concatenate([a, b])
    finite = both[np.isfinite(both)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    beyond = (high - low) or 1.0
    return tuple(np.clip(values, low - beyond, high + beyond) for values in (a, b))  # type: ignore[return-value]


def _superiority(a: Any, b: Any) -> float:
    above = (a[:, None] > b[None, :]).mean()
    equal = (a[:, None] == b[None, :]).mean()
    return float(above + equal / 2)


def _signed_ranks(differences: Any, *, many: bool) -> float:
    """Return the p value of the signed-rank sum; pairs without a difference tell nothing, and are left out."""
    from scipy.stats import permutation_test, rankdata, wilcoxon

    left = differences[differences != 0]
    if not left.size:
        return 1.0
    if many:
        return float(wilcoxon(left, method="asymptotic").pvalue)
    ranks = rankdata(np.abs(left)) * np.sign(left)
    return float(_under_permutations(permutation_test, (ranks,), lambda x, axis: x.sum(axis=axis), "samples"))


def _rank_sums(a: Any, b: Any, *, many: bool) -> float:
    from scipy.stats import mannwhitneyu, permutation_test, rankdata

    if many:
        return float(mannwhitneyu(a, b, method="asymptotic").pvalue)
    ranks = rankdata(np.concatenate([a, b]))
    parts = ranks[: len(a)], ranks[len(a) :]

    def difference(x: Any, y: Any, axis: int) -> Any:
        return x.mean(axis=axis) - y.mean(axis=axis)

    return float(_under_permutations(permutation_test, parts, difference, "independent"))


def _under_permutations(test: Any, data: Any, statistic: Any, kind: str) -> Any:
    rng = np.random.default_rng(_SEED)
    return test(data, statistic, permutation_type=kind, vectorized=True, n_resamples=_RESAMPLES, rng=rng).pvalue
