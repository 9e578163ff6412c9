"""A run that is made longer: it keeps its schedule, and its config repeats it."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.core.errors import UsageError
from rnnlab.training.store import moments

CONFIG: dict[str, Any] = {
    "task": "parity",
    "cell": {"type": "carry", "units": 3},
    "shape": {"timesteps": 3},
    "training": {"steps": 8, "batch_size": 4, "evaluate_every": 4, "stop_when_solved": False},
    "evaluation": {"sequences": 8},
}


def trained(runs: Path, **training: Any) -> rnnlab.Run:
    return rnnlab.train({**CONFIG, "training": {**CONFIG["training"], **training}}, runs=runs)


def without_time(run: rnnlab.Run) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "seconds"} for one in run.records]


def require_repeatable(run: rnnlab.Run, folder: Path) -> None:
    """Pass if training from the run's config gives what the run has."""
    again = rnnlab.train(run.path / "resolved.yaml", runs=folder)
    assert without_time(again) == without_time(run)
    for name, array in run.weights("last").items():
        np.testing.assert_array_equal(again.weights("last")[name], array)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        # The rate of step s, counted from 0, is in the record of step s + 1. cos: from step 8 on the lowest rate.
        ({"type": "cosine", "final_fraction": 0.5}, {1: 1.0, 5: 0.75, 9: 0.5, 12: 0.5}),
        # 0.1 ** (s / 8), which continues to fall
        ({"type": "exponential"}, {1: 1.0, 5: 0.1**0.5, 9: 0.1, 12: 0.1**1.375}),
    ],
)
def test_a_schedule_keeps_the_length_that_it_began_with(
    tmp_path: Path, schedule: dict[str, Any], rates: dict[int, float]
) -> None:
    run = trained(tmp_path, schedule=schedule, evaluate_every=1)
    longer = rnnlab.resume(run.path, ["training.steps=12"])
    assert longer.config["training.schedule.decay_steps"] == 8
    base = longer.config["training.optimizer.learning_rate"]
    found = {one["step"]: one["learning_rate"] / base for one in longer.records if one["step"] in rates}
    assert found == pytest.approx(rates)
    require_repeatable(longer, tmp_path / "again")


def test_steps_at_a_rate_of_0_are_refused(tmp_path: Path) -> None:
    run = trained(tmp_path, schedule="cosine")
    with pytest.raises(UsageError) as caught:
        rnnlab.resume(run.path, ["training.steps=12"])
    assert caught.value.where == "--set training.steps=12"
    assert caught.value.problem == "under schedule cosine of 8 steps, the learning rate of more steps is 0"
    assert rnnlab.open_run(run.path).config["training.steps"] == 8


@pytest.mark.parametrize("schedule", ["constant", {"type": "plateau", "patience": 1, "min_delta": 1.0}], ids=str)
def test_an_evaluation_at_the_former_end_is_repeated(tmp_path: Path, schedule: Any) -> None:
    """The former last step, 6, is none of the steps 4, 8, 12; a schedule may depend on what was measured there."""
    run = trained(tmp_path, schedule=schedule, steps=6)
    longer = rnnlab.resume(run.path, ["training.steps=12"])
    assert [one["step"] for one in longer.records] == [0, 4, 6, 8, 12]
    assert longer.config["training.evaluate_at"] == [6]
    require_repeatable(longer, tmp_path / "again")
    third = rnnlab.resume(longer.path, ["training.steps=16"])
    assert third.config["training.evaluate_at"] == [6]  # 12 is a step with an evaluation anyway


def process(step: int, minute: int) -> Any:
    return SimpleNamespace(step=step, started=datetime(2026, 11, 27, 10, minute, tzinfo=UTC))


def test_the_times_of_tensorboard_are_times() -> None:
    """The second process began at 10:30, at step 20, after 5 seconds of training."""
    records = [{"step": step, "seconds": seconds} for step, seconds in ((0, 0.5), (10, 2.0), (20, 5.0), (30, 8.0))]
    found = [datetime.fromtimestamp(one, UTC) for one in moments(records, [process(0, 0), process(20, 30)])]
    assert [f"{one:%H:%M:%S.%f}"[:-4] for one in found] == ["10:00:00.50", "10:00:02.00", "10:00:05.00", "10:30:03.00"]
