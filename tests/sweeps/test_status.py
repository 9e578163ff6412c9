"""The best trial of a sweep: solved before unsolved, then by the metric."""

from pathlib import Path
from typing import Literal

import pytest

from rnnlab.config.blocks import MetricOptions
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.status import SweepStatus, TrialStatus
from tests.sweeps.trying import plan, trial


@pytest.mark.parametrize(
    ("goal", "results", "best"),
    [
        # The short, unsolved trial has the lowest loss of all.
        ("minimize", [(0.001, False), (0.02, True), (0.01, True), (None, None)], 3),
        ("maximize", [(0.99, False), (0.9, True), (0.8, True)], 2),
        ("minimize", [(0.3, False), (0.2, False), (0.2, False)], 2),  # none solved it: the first of the best
        ("minimize", [(None, True), (0.2, False)], 2),  # the metric of a solved trial that has none cannot be shown
        ("minimize", [(None, None)], None),
    ],
)
def test_the_best_trial(
    goal: Literal["minimize", "maximize"], results: list[tuple[float | None, bool | None]], best: int | None
) -> None:
    planned = plan([trial(number + 1) for number in range(len(results))])
    options = planned.options.model_copy(update={"metric": MetricOptions(goal=goal)})
    trials = [
        TrialStatus(one, "completed", result=result, solved=solved)
        for one, (result, solved) in zip(planned.trials, results, strict=True)
    ]
    status = SweepStatus(SweepFolder(Path("s")), planned.model_copy(update={"options": options}), trials)
    assert (status.best and status.best.trial.number) == best
