"""Keras trials in a worker that has trained others before: the same bits as alone in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from tests.sweeps.trying import QUICK, make_sweep, run
from tests.training.resuming import account

SWEEP = "sweep: {axes: {backend: [numpy, keras]}, seeds: 2}\n"


def test_in_a_reused_worker_the_bits_are_those_of_a_fresh_process(place: Path) -> None:
    sweep = make_sweep(place, QUICK + SWEEP)
    assert {state for _, state in run(sweep, workers=1)} == {"completed"}
    trials = sweep.read_plan().trials
    assert [(one.values["backend"], one.values["seed"]) for one in trials] == [
        ("numpy", 0), ("numpy", 1), ("keras", 0), ("keras", 1),
    ]  # fmt: skip
    assert len({sweep.run(one).read_status().pid for one in trials}) == 1  # one worker trained them all
    seconds = trials[1::2]  # of each backend, after another of the same
    alone = {trial.name: RunFolder(place / "alone" / trial.name) for trial in seconds}
    trained = [subprocess.Popen(_command(sweep.config(one), alone[one.name].path)) for one in seconds]
    assert [one.wait() for one in trained] == [0, 0]
    for trial in seconds:
        assert account(sweep.run(trial)) == account(alone[trial.name])
    numpy0, numpy1, keras0, keras1 = (account(sweep.run(one))["last"] for one in trials)
    assert numpy0 != numpy1
    assert keras0 != keras1


def _command(config: Path, into: Path) -> list[str]:
    return [sys.executable, "-m", "rnnlab", "train", str(config), "--into", str(into), "--quiet", "--no-plots"]


ON_JAX = """\
backend: keras
engine: jax
task: adding
shape: {timesteps: [3, 6]}
cell: {units: 3}
training: {steps: 120, batch_size: 1, evaluate_every: 50, optimizer: adam}
evaluation: {sequences: 8}
sweep: {axes: {training.optimizer.learning_rate: [0.01, 0.02], training.steps: [120, 60]}, population: auto}
"""


def test_a_population_on_jax_gives_the_bits_of_each_alone(place: Path) -> None:
    """Two end before the others; eight networks share a program, also where seven of them are none."""
    pytest.importorskip("jax", reason="an engine of Keras")
    sweep = make_sweep(place, ON_JAX)
    assert {state for _, state in run(sweep, workers=1)} == {"completed"}
    trial = sweep.read_plan().trials[2]
    alone = RunFolder(place / "alone")
    assert subprocess.run(_command(sweep.config(trial), alone.path), check=False).returncode == 0
    assert account(sweep.run(trial)) == account(alone)
    assert alone.read_provenance().processes[0].backend.model_dump()["lanes"] == 8
