"""Success, the best so far, plateaus and averages, each followed step by step."""

import math

import numpy as np
import pytest

from rnnlab.config.blocks import PlateauOptions
from rnnlab.tasks.base import Streak, Threshold
from rnnlab.training.events import record_line
from rnnlab.training.progress import Averages, Best, Success


def follow(rule: Streak, batches: list[str], losses: list[float] | None = None) -> list[bool]:
    """Return whether the rule is met after each batch, given as text: `1` right, `0` wrong."""
    success, size = Success(rule, len(batches[0])), len(batches[0])
    correct = np.array([bit == "1" for bit in "".join(batches)])
    given = np.array(losses or [0.0] * len(batches))
    met, first = [], []
    for number in range(len(batches)):
        rows, one = correct[number * size : (number + 1) * size], given[number : number + 1]
        # What a block of all the rest would find, and what one of this batch alone does.
        first.append(success.first_met(correct[number * size :], given[number:]))
        met.append(success.first_met(rows, one) == 0)
        assert success.may_be_met(1) or not met[-1]
        success.take(rows, one)
    assert first == [next((n for n, is_met in enumerate(met[start:]) if is_met), None) for start in range(len(met))]
    return met


@pytest.mark.parametrize(
    ("rule", "batches", "met"),
    [
        (Streak(4), ["11", "11"], [False, True]),
        (Streak(4), ["11", "10", "11", "11"], [False, False, False, True]),
        (Streak(3), ["01", "11"], [False, True]),
        (Streak(3), ["10", "11", "11"], [False, False, True]),
        (Streak(2), ["0011", "1110", "0111"], [True, False, True]),
        (Streak(4), ["1111", "0111"], [True, False]),
        (Streak(4, wrong=1), ["10", "11", "00", "11"], [False, True, False, False]),
        (Streak(5, wrong=2), ["111", "110"], [True, True]),
    ],
)
def test_a_streak_runs_across_batches(rule: Streak, batches: list[str], met: list[bool]) -> None:
    """A sequence that was not seen yet counts as wrong."""
    assert follow(rule, batches) == met


@pytest.mark.parametrize(
    ("window", "losses", "met"),
    [
        (4, [0.9, 0.3, 0.1], [False, False, True]),  # means of two batches: -, 0.6, 0.2
        (3, [0.9, 0.3, 0.1], [False, False, True]),  # three sequences touch two batches
        (2, [0.9, 0.3, 0.1], [False, True, True]),
        (4, [0.9, math.nan, 0.1], [False, False, False]),
    ],
)
def test_the_loss_is_the_mean_over_the_batches_of_the_streak(window: int, losses: list[float], met: list[bool]) -> None:
    assert follow(Streak(window, loss_below=0.5), ["11"] * 3, losses) == met


def test_each_rule_listens_to_its_own_evidence() -> None:
    right = np.ones(4, bool)
    streak, threshold = Success(Streak(4), 4), Success(Threshold({"loss": 0.1}), 4)
    assert streak.first_met(right, np.zeros(1)) == 0
    assert not streak.is_met_by({"loss": 0.0})
    assert threshold.first_met(right, np.zeros(1)) is None
    assert [threshold.is_met_by({"loss": loss}) for loss in (0.11, 0.1, math.nan)] == [False, True, False]


@pytest.mark.parametrize(
    ("plateau", "losses", "best", "stop"),
    [
        (None, [3.0, 2.0, 2.0, 2.5], [True, True, False, False], [False] * 4),
        ((2, 0.0), [3.0, 2.0, 2.0, 2.5], [True, True, False, False], [False, False, False, True]),
        ((2, 0.0), [3.0, 3.0, 2.9, 2.9], [True, False, True, False], [False, False, False, False]),
        # Small steps count as best, but only 1 in all counts as an improvement.
        ((2, 1.0), [3.0, 2.6, 2.2, 1.9], [True, True, True, True], [False, False, True, False]),
        ((1, 0.5), [3.0, 2.5], [True, True], [False, True]),
    ],
)
def test_the_best_and_the_plateau(
    plateau: tuple[int, float] | None, losses: list[float], best: list[bool], stop: list[bool]
) -> None:
    tracker = Best(PlateauOptions(evaluations=plateau[0], min_improvement=plateau[1]) if plateau else None)
    reported = [(tracker.take(loss), tracker.is_plateau()) for loss in losses]
    assert reported == list(zip(best, stop, strict=True))


def test_averages_begin_anew() -> None:
    averages = Averages()
    assert averages.take() == {}
    for losses in ([1.0, 2.0], [6.0]):
        averages.add({"loss": np.array(losses), "norm": 2 * np.array(losses)})
    assert averages.take() == {"loss": 3.0, "norm": 6.0}
    averages.add({"loss": np.array([5.0])})
    assert averages.take() == {"loss": 5.0}


def test_a_record_in_words() -> None:
    record = {"step": 7, "sequences": 70, "seconds": 0.04, "learning_rate": 0.1, "validation/loss": 1234567.0, "x": "y"}
    assert record_line(record) == "step 7  0.0 s  validation/loss 1.235e+06  x y"
