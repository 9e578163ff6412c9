"""Success rules at their edges, and in words."""

import math

import numpy as np
import pytest

from rnnlab.tasks.base import Evidence, Streak, SuccessRule, Threshold


def newest(bits: str, loss: float = 0.0) -> Evidence:
    """Return the evidence of these training sequences, oldest first: `1` right, `0` wrong."""
    return Evidence(None, np.array([bit == "1" for bit in bits], bool), loss)


def scored(**metrics: float) -> Evidence:
    return Evidence(metrics, np.zeros(0, bool), math.inf)


@pytest.mark.parametrize(
    ("rule", "evidence", "is_met"),
    [
        (Streak(3), newest("0111"), True),
        (Streak(3), newest("1101"), False),
        (Streak(3), newest("11"), False),
        (Streak(3, wrong=1), newest("1101"), True),
        (Streak(3, wrong=1), newest("11"), False),
        (Streak(3, loss_below=0.5), newest("111", loss=0.49), True),
        (Streak(3, loss_below=0.5), newest("111", loss=0.5), False),
        (Streak(3), newest("111", loss=math.nan), False),
        (Threshold({"loss": 0.5}), scored(loss=0.5), True),
        (Threshold({"loss": 0.5}), scored(loss=math.nextafter(0.5, 1)), False),
        (Threshold({"loss": 0.5}), scored(loss=math.nan), False),
        (Threshold({"loss": 0.5}), newest("111"), False),
        (Threshold({"loss": 1.0, "mae": 2.0}), scored(loss=1.0, mae=2.0), True),
        (Threshold({"loss": 1.0, "mae": 2.0}), scored(loss=1.0, mae=2.1), False),
        (Threshold({"loss": 1.0, "mae": 2.0}), newest("111"), False),
    ],
)
def test_a_rule_at_its_edge(rule: SuccessRule, evidence: Evidence, is_met: bool) -> None:
    assert rule.is_met(evidence) is is_met


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
