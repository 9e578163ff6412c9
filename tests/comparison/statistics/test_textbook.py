"""Statistics against worked examples in print, and numbers done by hand."""

from math import comb, inf

import numpy as np
import pytest
from scipy import stats

from rnnlab.comparison.statistics import (
    bootstrap,
    compare_counts,
    compare_matched,
    compare_times,
    compare_values,
    differences,
    holm,
    median_time,
    wilson,
)
from rnnlab.comparison.statistics.differences import smallest_p
from rnnlab.comparison.statistics.intervals import interquartile_mean
from rnnlab.comparison.statistics.survival import Times

# Remission of leukaemia in weeks, Freireich et al. 1963, Blood 21:699, the example of most texts on survival.
DRUG = Times([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], [True] * 9 + [False] * 12)
PLACEBO = Times([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [True] * 21)
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


def test_kaplan_meier_medians_of_the_leukaemia_trial() -> None:
    """Kleinbaum & Klein 2012, Survival analysis, chapter 2: 23 and 8 weeks; log-rank chi square 16.79."""
    assert (median_time(DRUG), median_time(PLACEBO)) == (23, 8)
    assert compare_times(DRUG, PLACEBO) == pytest.approx(stats.chi2.sf(16.79, 1), rel=5e-3)


def test_censored_runs_are_not_dropped() -> None:
    """Dropped, the two successes alone would give a median of 10 or 20; with the others, half are never seen."""
    assert median_time(Times([10, 20, 50, 50, 50], [True, True, False, False, False])) is None
    assert median_time(Times([10, 20, 30, 50, 50], [True, True, True, False, False])) == 30
    assert compare_times(Times([5], [False]), Times([5], [False])) is None
    assert compare_times(Times([5, 5], [True, True]), Times([5, 5], [True, True])) == 1


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
    """It comes near what 9,999 permutations of the same values give, and can tell of smaller p than they."""
    rng = np.random.default_rng(0)
    one, other = list(rng.normal(0.3, 1, 60)), list(rng.normal(0, 1, 60))
    approximate = compare_values(one, other, paired=paired).p
    far = compare_values([value + 5 for value in one], other, paired=paired).p
    monkeypatch.setattr(differences, "_MOST_PERMUTED", 60)
    permuted = compare_values(one, other, paired=paired).p
    assert 0.01 < permuted < 0.9
    assert approximate == pytest.approx(permuted, rel=0.1)
    assert far < 1e-8


def test_smallest_p_is_what_the_tests_reach() -> None:
    for n in (2, 3, 4, 5):
        low, high = list(map(float, range(n))), [float(10 + 2 * i) for i in range(n)]
        assert compare_values(low, high, paired=True).p == pytest.approx(smallest_p(n, n, paired=True))
        assert compare_values(low, high, paired=False).p == pytest.approx(smallest_p(n, n, paired=False))


def test_holm() -> None:
    """Holm 1979, section 3: each times the number of those not smaller, and never below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_bootstrap() -> None:
    """A mean's percentile interval is near the normal one for many values; the same every time; and it knows limits."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap(list(values), np.mean) or (0, 0)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert bootstrap(list(values), np.mean) == (low, high)
    # Efron 1979, Annals of Statistics 7:1, section 3, has the exact bootstrap distribution of the median of 13 values:
    # the third or less with probability 0.0015 + 0.0142, the fourth with 0.0550.
    assert bootstrap([float(value) for value in range(1, 14)], np.median) == (4, 10)
    assert bootstrap([1.0], np.median) is None
    assert bootstrap([2.0, 2.0, 2.0], np.median) == (2, 2)
    assert bootstrap([1.0, 2.0, inf], np.median) == (1, inf)


def test_interquartile_mean() -> None:
    assert interquartile_mean(np.array([1.0, 2, 3, 4, 5, 6, 7, 100])) == 4.5
    assert interquartile_mean(np.array([0.0, 1, inf])) == inf  # a quarter of three, rounded down, is none
