"""Success rules at their edges, and in words."""

import math

import pytest

from rnnlab.tasks.base import NoRule, Streak, SuccessRule, Threshold


@pytest.mark.parametrize(
    ("rule", "metrics", "sequences", "is_met"),
    [
        (Streak(3), {"loss": 0.0, "error_rate": 0.0}, 3, True),
        (Streak(3), {"loss": 0.0, "error_rate": 1 / 3}, 3, False),
        (Streak(3, wrong=1), {"loss": 0.0, "error_rate": 1 / 3}, 3, True),
        (Streak(3, wrong=1), {"loss": 0.0, "error_rate": 2 / 3}, 3, False),
        (Threshold({"error_rate": 0.01}), {"loss": 9.0, "error_rate": 0.01}, 10, True),
        (Threshold({"error_rate": 0.01}), {"loss": 0.0, "error_rate": 0.011}, 10, False),
        (Threshold({"loss": 1, "mae": 2}), {"loss": 1.0, "mae": 2.1}, 10, False),
        (Threshold({"loss": 1, "mae": 2}), {"loss": 1.0, "mae": 2.0}, 10, True),
        (Streak(100), {"loss": 0.0, "error_rate": 0.0}, 7, True),
        (Streak(100), {"loss": 0.0, "error_rate": 1 / 7}, 7, False),
        (Streak(100, wrong=10), {"loss": 0.0, "error_rate": 0.1}, 50, True),
        (Streak(100, wrong=10), {"loss": 0.0, "error_rate": 0.12}, 50, False),
        (Streak(100, loss_below=0.5), {"loss": 0.5, "error_rate": 0.0}, 50, False),
        (Streak(100, loss_below=0.5), {"loss": 0.49, "error_rate": 0.0}, 50, True),
        (Streak(100), {"loss": math.nan, "error_rate": 0.0}, 50, False),
        (Threshold({"loss": 0.5}), {"loss": math.nan, "error_rate": 0.0}, 50, False),
        (Threshold({"loss": 0.5}), {"loss": 0.5}, 50, True),
        (Threshold({"loss": 0.5}), {"loss": math.nextafter(0.5, 1)}, 50, False),
        (NoRule(), {"loss": 0.0, "error_rate": 0.0}, 50, False),
    ],
)
def test_a_rule_at_its_edge(rule: SuccessRule, metrics: dict[str, float], sequences: int, is_met: bool) -> None:
    assert rule.is_met(metrics, sequences) is is_met


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Streak(2000), "all of the last 2,000 training sequences correct"),
        (Streak(256, wrong=3), "all but 3 of the last 256 training sequences correct"),
        (
            Streak(9, loss_below=0.25),
            "all of the last 9 training sequences correct, with a mean training loss below 0.25",
        ),
        (Threshold({"loss": 0.005}), "validation loss at most 0.005"),
        (
            Threshold({"loss": 1, "mae": 0.1}),
            "validation loss at most 1 and validation mae at most 0.1",
        ),
    ],
)
def test_a_rule_in_words(rule: SuccessRule, text: str) -> None:
    assert str(rule) == text
