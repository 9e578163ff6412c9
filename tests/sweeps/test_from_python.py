"""A sweep started from Python, and its runs compared; the numbers are those of the same trainings one by one."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import rnnlab
from rnnlab.core.errors import ConfigError, RunNotFoundError, UsageError
from rnnlab.sweeps.events import SweepEnded, TrialEnded
from tests.cli.program import DIVERGING
from tests.small import SMALL

CONFIG = {**SMALL, "name": "both", "sweep": {"axes": {"cell.type": ["simple", "carry"]}, "seeds": 2}}
NAMES = ["0001-simple-seed0", "0002-simple-seed1", "0003-carry-seed0", "0004-carry-seed1"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> rnnlab.Sweep:
    return rnnlab.sweep(CONFIG, {"training": {"steps": 3}}, runs=tmp_path_factory.mktemp("runs"), workers=1)


def test_its_runs_and_status(done: rnnlab.Sweep) -> None:
    assert (done.name, done.path.name) == ("both", "both")
    assert [run.name for run in done.runs] == NAMES
    assert [run.summary.steps for run in done.runs] == [3] * 4
    assert done.status.counts == {"completed": 4}
    assert repr(done) == "<Sweep 'both': 4 completed, of 4 trials>"
    assert repr(done.status) == "<SweepStatus of 'both': 4 completed, of 4 trials>"
    losses = {run.name: run.summary.loss for run in done.runs}
    assert done.best is not None
    assert done.best.name == min(losses, key=lambda name: losses[name])


def test_a_trial_is_the_training_of_its_config(done: rnnlab.Sweep, tmp_path: Path) -> None:
    overrides = {"training.steps": 3, "cell.type": "carry", "seed": 1, "numpy.shards": 1}
    alone = rnnlab.train(SMALL, overrides, runs=tmp_path)
    for name, array in done.runs[3].weights("last").items():
        np.testing.assert_array_equal(alone.weights("last")[name], array)


def test_the_same_again_trains_nothing(done: rnnlab.Sweep) -> None:
    events: list[object] = []
    again = rnnlab.sweep(CONFIG, ["training.steps=3"], runs=done.path.parent, watch=events.append)
    assert again.path == done.path
    assert not any(isinstance(event, TrialEnded) for event in events)
    assert isinstance(events[-1], SweepEnded)


def test_its_runs_are_compared(done: rnnlab.Sweep) -> None:
    runs = done.path.parent
    found = rnnlab.compare(done)
    assert repr(found) == "<Comparison of 4 runs in 2 groups by validation/loss>"
    of_cells = {group.values["cell.type"]: sorted(run.name for run in group.results) for group in found.groups}
    assert of_cells == {"simple": NAMES[:2], "carry": NAMES[2:]}
    for given in ("both", ["both"], done.path, done.runs, [run.path for run in done.runs]):
        assert rnnlab.compare(given, runs=runs).conclusion == found.conclusion
    text = str(found)
    assert all(title.splitlines()[0] in text for title in (one.title for one in found.tables()))
    assert " ".join(found.conclusion.split()[:4]) in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_cannot_be_compared_or_swept(done: rnnlab.Sweep, tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError):
        rnnlab.compare(["none"], runs=tmp_path)
    with pytest.raises(UsageError, match="expected at least 2 runs, got 1"):
        rnnlab.compare(done.runs[0])
    with pytest.raises(ConfigError, match="no `sweep` section"):
        rnnlab.sweep(SMALL, runs=tmp_path)
    with pytest.raises(UsageError, match="already has another sweep"):
        rnnlab.sweep(CONFIG, {"training.steps": 4}, into=done.path)


def test_a_trial_that_diverges_is_in_the_status(tmp_path: Path) -> None:
    wild = yaml.safe_load(DIVERGING)
    sweep = rnnlab.sweep({**wild, "sweep": {"seeds": 1}}, into=tmp_path / "wild", workers=1)
    (failure,) = sweep.status.failures
    assert failure.state == "diverged"
    assert repr(sweep) == "<Sweep 'wild': 1 diverged, of 1 trial>"
