from typing import Any

import pytest

from rnnlab.training import stopping
from rnnlab.training.stopping import Deadline, Stop


def test_the_first_reason_counts() -> None:
    stop = Stop()
    assert stop.reason == ""
    stop.ask("SIGTERM")
    stop.ask("SIGINT")
    assert stop.reason == "SIGTERM"


@pytest.mark.parametrize(
    ("at", "saving", "near"),
    [
        ([1, 2, 3], 0.0, [False] * 3),
        ([1, 2, 88, 97], 0.0, [False, False, True, True]),  # a step of 86 s would not fit again
        ([1, 2, 97.1], 0.0, [False, False, True]),
        ([90, 91, 92, 93], 0.0, [True] * 4),
        ([60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70], 0.0, [True] * 6 + [False] * 5),  # starting up is forgotten
        ([1, 69], 10.0, [False, True]),
        ([1, 2, 3], 33.0, [True] * 3),
    ],
)
def test_it_is_time_when_another_step_and_the_saving_might_not_fit(
    monkeypatch: pytest.MonkeyPatch, at: list[float], saving: float, near: list[bool]
) -> None:
    """Of 100 seconds."""
    clock: Any = iter([0.0, *at])
    monkeypatch.setattr(stopping.time, "perf_counter", lambda: next(clock))
    deadline = Deadline(100.0)
    assert [deadline.is_near(saving=saving) for _ in at] == near
