"""Statistics against worked examples in print, and numbers done by hand."""

from functools import partial
from math import comb, inf
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rnnlab.comparison import statistics
from rnnlab.comparison.statistics import (
    bootstrap,
    compare_counts,
    compare_matched,
    compare_values,
    holm,
    interquartile_mean,
    median,
    smallest_p,
    wilson,
)

# Hollander & Wolfe 1973, Nonparametric statistical methods, table 3.1: depression of nine patients before and after.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_wilson_is_the_interval_of_newcombe() -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    expected = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, trials), bounds in expected.items():
        assert wilson(successes, trials) == pytest.approx(bounds, abs=5e-5)


def test_signed_ranks_of_hollander_and_wolfe() -> None:
    """T+ = 40 of 45, two-sided p = 20 / 512."""
    found = compare_values(BEFORE, AFTER, paired=True)
    assert found.p == 20 / 512
    assert "Wilcoxon" in found.test


def test_rank_sums_of_all_orders() -> None:
    """Complete separation of 5 and 4: one order of 126 at each end."""
    found = compare_values([6.0, 7.0, 8.0, 9.0, 10.0], [1.0, 2.0, 3.0, 4.0], paired=False)
    assert found.p == pytest.approx(2 / comb(9, 4))
    assert found.superiority == 1
    males, females = [19, 22, 16, 29, 24], [20, 11, 17, 12]  # SciPy's example of mannwhitneyu: U = 17, p = 1/9
    found = compare_values(males, females, paired=False)
    assert (found.p, found.superiority) == (pytest.approx(1 / 9), 17 / 20)


def test_a_run_that_diverged_is_the_worst_and_no_more() -> None:
    with_inf = compare_values([0.1, 0.2, inf], [0.3, 0.4, 0.5], paired=False)
    with_large = compare_values([0.1, 0.2, 99.0], [0.3, 0.4, 0.5], paired=False)
    assert with_inf == with_large
    assert with_inf.superiority == 3 / 9
    assert compare_values([inf, inf], [inf, inf], paired=True).p == 1
    assert compare_values([0.1, inf, 0.2], [0.2, inf, 0.1], paired=True).p == 1


def test_counts() -> None:
    assert compare_counts((10, 10), (0, 10)) == pytest.approx(2 / comb(20, 10))
    assert compare_counts((3, 5), (3, 5)) == 1
    assert compare_matched(10, 0) == 2 / 2**10
    # Agresti 2002, Categorical data analysis, section 3.5: Fisher's tea taster, three of four cups of each kind right
    assert compare_counts((3, 4), (1, 4)) == pytest.approx(0.486, abs=5e-4)
    # Fay 2010, Biostatistics 11:373, and his R package exact2x2: 9 and 2 discordant pairs
    assert compare_matched(9, 2) == pytest.approx(0.06543, abs=5e-6)


@pytest.mark.parametrize("paired", [True, False])
def test_many_values_are_tested_by_the_normal_approximation(paired: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes near the exact value, and is SciPy's."""
    rng = np.random.default_rng(0)
    one, other = list(rng.normal(0.3, 1, 60)), list(rng.normal(0, 1, 60))
    monkeypatch.setattr(statistics, "_MOST_COUNTED", inf)
    exact = compare_values(one, other, paired=paired).p
    monkeypatch.setattr(statistics, "_MOST_COUNTED", 0)
    approximate = compare_values(one, other, paired=paired).p
    assert 0.01 < exact < 0.9
    assert approximate == pytest.approx(exact, rel=0.02)
    reference = stats.wilcoxon(one, other, method="asymptotic") if paired else None
    reference = reference or stats.mannwhitneyu(one, other, method="asymptotic")
    assert approximate == pytest.approx(reference.pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_all_tests_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = (int(size) for size in rng.integers(2, 7, 2))
    a, b, c = (rng.integers(0, 9, size).astype(float) for size in (n, m, n))
    counts = [[int(rng.integers(0, 30)) for _ in range(2)] for _ in range(2)]
    (k, lost), (j, failed) = counts
    assert compare_counts((k, k + lost), (j, j + failed)) == pytest.approx(stats.fisher_exact(counts).pvalue)
    assert compare_matched(k, j + 1) == pytest.approx(stats.binomtest(k, k + j + 1).pvalue)
    reference = stats.binomtest(k, k + lost + 1).proportion_ci(method="wilson")
    assert wilson(k, k + lost + 1) == pytest.approx((reference.low, reference.high))
    ranks = stats.rankdata([*a, *b])
    assert compare_values(a, b, paired=False).p == pytest.approx(_permuted([ranks[:n], ranks[n:]], "independent"))
    signed = (a - c)[a != c]
    if len(signed) > 1:
        expected = _permuted([stats.rankdata(abs(signed)) * np.sign(signed)], "samples")
        assert compare_values(a, c, paired=True).p == pytest.approx(expected)


def _permuted(data: list[np.ndarray], kind: str) -> float:
    """Return the p value of a difference of means, or of a mean, under all permutations."""

    def statistic(x: np.ndarray, y: np.ndarray | float = 0.0, axis: int = -1) -> np.ndarray:
        return x.mean(axis=axis) - np.mean(y, axis=axis if np.ndim(y) else None)

    return stats.permutation_test(data, statistic, permutation_type=kind, vectorized=True, n_resamples=9999).pvalue


def test_an_unbalanced_test_of_many_values_takes_no_time() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    assert compare_values(list(values), list(values[:3] + 9), paired=False).p < 0.01
    assert compare_counts((4900, 5000), (3000, 5000)) < 1e-100
    assert compare_matched(4000, 3900) == pytest.approx(stats.binomtest(4000, 7900).pvalue)


def test_smallest_p_is_what_the_tests_reach() -> None:
    for n in (2, 3, 4, 5):
        low, high = list(map(float, range(n))), [float(10 + 2 * i) for i in range(n)]
        assert compare_values(low, high, paired=True).p == pytest.approx(smallest_p(n, n, paired=True))
        assert compare_values(low, high, paired=False).p == pytest.approx(smallest_p(n, n, paired=False))


def test_holm() -> None:
    """Holm 1979, section 3: each times the number of those not smaller, and never below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # Wright 1992, Biometrics 48:1005, and R's p.adjust: 0.0001·5, 0.0058·4, 0.0132·3, 0.0289·2 and 0.2·1
    assert holm([0.2, 0.0289, 0.0132, 0.0058, 0.0001]) == pytest.approx([0.2, 0.0578, 0.0396, 0.0232, 0.0005])
    assert holm([]) == []


@pytest.mark.parametrize(("ours", "theirs"), [(median, np.median), (interquartile_mean, stats.trim_mean)])
def test_bootstrap_agrees_with_scipy(ours: Any, theirs: Any) -> None:
    values = np.sort(np.random.default_rng(1).normal(size=33))
    cut = {"proportiontocut": 0.25} if theirs is stats.trim_mean else {}
    reference = stats.bootstrap(
        (values,), partial(theirs, **cut), n_resamples=9999, method="percentile", rng=np.random.default_rng(0)
    )
    assert bootstrap(list(values), ours) == pytest.approx(tuple(reference.confidence_interval))


def test_bootstrap() -> None:
    """A mean's percentile interval is near the normal one for many values; the same every time; and it knows limits."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap(list(values), _mean) or (0, 0)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert bootstrap(list(values), _mean) == (low, high)
    # Efron 1979, Annals of Statistics 7:1, section 3, has the exact bootstrap distribution of the median of 13 values:
    # the third or less with probability 0.0015 + 0.0142, the fourth with 0.0550.
    assert bootstrap([float(value) for value in range(1, 14)], median) == (4, 10)
    assert bootstrap([1.0], median) is None
    assert bootstrap([2.0, 2.0, 2.0], median) == (2, 2)
    assert bootstrap([1.0, 2.0, inf], median) == (1, inf)


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows.mean(axis=-1)


def test_interquartile_mean() -> None:
    assert interquartile_mean(np.array([1.0, 2, 3, 4, 5, 6, 7, 100])) == 4.5
    values = np.sort(np.random.default_rng(0).normal(size=37))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert interquartile_mean(np.array([0.0, 1, inf])) == inf  # a quarter of three, rounded down, is none
