"""How fast runs succeed: worked examples in print, SciPy, and runs that cannot succeed any more."""

from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rnnlab.comparison import compare
from rnnlab.comparison.survival import Times, compare_times, median_time
from tests.comparison.runs_by_hand import SOLVED, UNSOLVED, make_run

# Remission of leukaemia in weeks, Freireich et al. 1963, Blood 21:699, the example of most texts on survival.
DRUG = Times([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], [True] * 9 + [False] * 12)
PLACEBO = Times([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [True] * 21)


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


@pytest.mark.parametrize("seed", range(20))
def test_times_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [(rng.integers(1, 9, size).astype(float), rng.random(size) < 0.7) for size in (8, 11)]
    one, other = (stats.CensoredData(uncensored=at[done], right=at[~done]) for at, done in groups)
    ours = [Times(list(at), list(map(bool, done))) for at, done in groups]
    assert compare_times(*ours) == pytest.approx(stats.logrank(one, other).pvalue)
    survival = stats.ecdf(one).sf
    half = [float(t) for t, p in zip(survival.quantiles, survival.probabilities, strict=True) if p <= 0.5 + 1e-12]
    assert median_time(ours[0]) == (half[0] if half else None)


BUDGET = 3000


def trial(root: Path, units: int, number: int, *, at: int | None = None, ended: str = "budget", by: int = 320) -> Any:
    """Make one run: solved after `at` sequences, or ended so after `by`."""
    state = {"budget": "completed", "plateau": "completed", "pruned": "interrupted"}.get(ended, ended)
    unsolved = {
        **UNSOLVED,
        "stopped": "interrupted" if ended == "pruned" else ended,
        "steps": 200,
        "sequences": BUDGET if ended == "budget" else by,
    }
    solved = {**SOLVED, "solved_at": {"step": 100, "sequences": at, "seconds": 1.0}}
    config = {"seed": number, "cell.units": units}
    name = f"20260101T000000Z-h{units}-{number:06}"
    status = {"state": "completed" if at else state, "message": "stopped by the pruner" * (ended == "pruned")}
    return make_run(root, name, config=config, summary=solved if at else unsolved, **status)


def test_runs_that_diverged_do_not_make_their_group_look_fast(tmp_path: Path) -> None:
    """Five of ten diverge after 320 sequences and five solve in 1,000 … 1,400; of the others all ten in 1,500 … 2,400.

    By hand: the first curve falls by a tenth with each success, to a half at 1,400. Censored at 320, it would fall by a
    fifth, to 0.4 at 1,200, and the log-rank test would find the half that diverged much the better group.
    """
    half = [trial(tmp_path, 1, n, at=1000 + 100 * n) for n in range(5)]
    half += [trial(tmp_path, 1, n, ended="diverged") for n in range(5, 10)]
    comparison = compare([*half, *(trial(tmp_path, 2, n, at=1500 + 100 * n) for n in range(10))])
    worse, better = comparison.groups
    assert (worse.sequences_to_success, better.sequences_to_success) == (1400, 1900)
    assert (worse.solved, len(worse.decided), better.solved) == (5, 10, 10)
    solved, all_ten = 1000 + 100 * np.arange(5.0), 1500 + 100 * np.arange(10.0)
    never, left_out = (stats.CensoredData(uncensored=solved, right=np.full(5, end)) for end in (1e9, 320.0))
    (contrast,) = comparison.contrasts
    assert contrast.p["sequences"] == pytest.approx(stats.logrank(never, all_ten).pvalue)
    assert contrast.p["sequences"] > 0.1
    # What it was before: the worse group significantly the faster.
    assert stats.logrank(left_out, all_ten, alternative="greater").pvalue < 1e-4
    survival = stats.ecdf(left_out).sf
    assert survival.evaluate(1100) > 0.5 > survival.evaluate(1200)


def test_most_that_diverged_leave_no_median(tmp_path: Path) -> None:
    runs = [trial(tmp_path, 1, n, at=500) for n in range(4)] + [trial(tmp_path, 1, n, ended="diverged") for n in (4, 5)]
    (group,) = compare(runs).groups
    assert group.sequences_to_success == 500  # four of six
    runs += [trial(tmp_path, 1, n, ended="diverged") for n in (6, 7, 8)]
    (group,) = compare(runs).groups
    assert group.sequences_to_success is None  # four of nine, and the others never


@pytest.mark.parametrize(
    ("ended", "time", "decided"),
    [
        ("pruned", inf, True),
        ("diverged", inf, True),  # never: a run that went on is no evidence for it
        ("plateau", inf, True),
        ("budget", BUDGET, True),  # might have solved it with more
        ("interrupted", 320, False),
        ("failed", 320, False),  # of an error that has nothing to do with the task
    ],
)
def test_how_a_run_that_did_not_solve_its_task_counts(tmp_path: Path, ended: str, time: float, decided: bool) -> None:
    runs = [trial(tmp_path, 1, 0, at=400), trial(tmp_path, 1, 1, ended=ended)]
    (group,) = compare(runs).groups
    assert group.times == ([400, time], [True, False])
    assert (group.solved, len(group.decided)) == (1, 1 + decided)


def test_a_task_solved_before_the_end_of_the_run_is_solved(tmp_path: Path) -> None:
    """With `stop_when_solved: false` a run may diverge, or be interrupted, later."""
    at = {"step": 100, "sequences": 700, "seconds": 1.0}
    runs = [
        make_run(tmp_path, f"20260101T000000Z-x-00000{n}", config={"seed": n}, state=state, summary=summary)
        for n, state in enumerate(("diverged", "interrupted", "failed"))
        for summary in [{**SOLVED, "stopped": state, "solved_at": at}]
    ]
    (group,) = compare(runs).groups
    assert group.times == ([700, 700, 700], [True, True, True])
    assert (group.solved, len(group.decided)) == (3, 3)
