"""Rules of a user's file whose numbers change in ways that machine code does not know beforehand."""

from pathlib import Path

import pytest

import rnnlab

RULES = """
from rnnlab.optim.rules.base import AbstractOptimizer, OptimizerOptions

class Own(AbstractOptimizer):
    Options = OptimizerOptions
    def slot_names(self):
        return ()
    def move(self, xp, at, numbers):
        return {"parameters": at["parameters"] - at["gradients"] * sum(numbers.values())}

class Later(Own):
    def numbers(self, step, learning_rate):
        return {"rate": 4 * learning_rate if step > 30 else learning_rate}

class Doubled(Own):
    def numbers(self, step, learning_rate):
        return {"rate": learning_rate, "more": learning_rate}

class Unnamed(Own):
    def numbers(self, step, learning_rate):
        return {"step_size": 2 * learning_rate}
"""
TASKS = {
    "batches": ("adding", "shape.timesteps=5", "training.batch_size=2"),
    "stream": ("continual_reber", "training.batch_size=1", "training.update=step"),
}


@pytest.mark.parametrize("rule", ["Later", "Doubled", "Unnamed"])
@pytest.mark.parametrize("task", TASKS)
def test_machine_code_uses_the_numbers_of_each_step(tmp_path: Path, task: str, rule: str) -> None:
    pytest.importorskip("llvmlite", reason="makes machine code")
    (tmp_path / "own.py").write_text(RULES)
    name, *settings = TASKS[task]
    optimizer = f"{{type: '{tmp_path / 'own.py'}:{rule}', learning_rate: 0.05}}"
    settings += ["cell={type: indrnn, units: 2}", f"training.optimizer={optimizer}", "precision=float64"]
    settings += ["training.steps=40", "evaluation.sequences=10"]
    both = [
        rnnlab.train({"task": name}, [*settings, f"numpy.compiled={compiled}"], runs=tmp_path / compiled)
        for compiled in ("true", "false")
    ]
    losses = [run.records[-1]["validation/loss"] for run in both]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert losses[1] != both[1].records[0]["validation/loss"]
