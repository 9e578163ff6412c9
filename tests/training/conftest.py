"""A training so small that a test can work it out by hand, and its parts."""

from collections.abc import Callable
from pathlib import Path

import pytest

import rnnlab
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml_writer import dump_yaml

SMALL = {
    "task": "parity",
    "shape": {"timesteps": 4},
    "cell": {"units": 4},
    "training": {"steps": 5, "batch_size": 6, "evaluate_every": 2, "stop_when_solved": False},
    "evaluation": {"sequences": 20},
}

Fit = Callable[..., rnnlab.Run]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Train the small config, changed by `key=value` texts."""
    return lambda *overrides, **more: rnnlab.train(SMALL, overrides, runs=tmp_path / "runs", **more)


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Experiment]:
    """The small config, changed, as a checked experiment."""
    path = tmp_path / "small.yaml"
    path.write_text(dump_yaml(SMALL))
    return lambda *overrides: load_experiment(path, overrides).experiment
