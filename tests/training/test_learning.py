"""The point of it all: networks learn, and the carry cell learns what lies far back."""

from pathlib import Path

import pytest

import rnnlab

ADAM = {"batch_size": 32, "clip_norm": 1.0, "optimizer": {"type": "adam", "learning_rate": 0.01}}


def test_carry_adds_two_numbers_fifty_steps_apart(tmp_path: Path) -> None:
    config = {
        "task": "adding@urnn",
        "shape": {"timesteps": 50},
        "cell": {"type": "carry", "recurrent_activation": "tanh", "forget_bias": 0.0},
        "training": {
            **ADAM,
            "batch_size": 64,
            "steps": 3000,
            "evaluate_every": 50,
            "optimizer": {"type": "adam", "learning_rate": 0.003},
        },
    }
    summary = rnnlab.train(config, runs=tmp_path).summary
    assert (summary.stopped, summary.solved) == ("solved", True)
    assert summary.loss < 0.005 < summary.baseline / 30


@pytest.mark.parametrize("cell", ["simple", "carry"])
@pytest.mark.parametrize(("task", "timesteps"), [("temporal_order", 20), ("parity", 5)])
def test_both_cells_solve_what_is_short(tmp_path: Path, cell: str, task: str, timesteps: int) -> None:
    config = {
        "task": task,
        "shape": {"timesteps": timesteps},
        "cell": {"type": cell, "units": 16},
        "training": {**ADAM, "steps": 2000},
        "evaluation": {"sequences": 200},
    }
    run = rnnlab.train(config, runs=tmp_path)
    assert run.summary.solved
    assert rnnlab.evaluate(run, ["seed=99"], sequences=2000).metrics["error_rate"] <= 0.02
