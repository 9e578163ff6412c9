"""What a training writes while it runs: checkpoints, the gradient by lag, event files for TensorBoard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.backends.numpy import NumpyModel
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import EnvironmentFault, UsageError
from rnnlab.inspection.diagnoses import diagnose
from rnnlab.inspection.diagnoses.gradient_history import recorded_gradient
from rnnlab.storage import RunFolder
from rnnlab.training.events import Started, Stepped
from rnnlab.training.resume import resume, train_into
from rnnlab.training.train import train
from tests.training.resuming import account, begin, killed

pytestmark = pytest.mark.usefixtures("single_updates")

TINY = {
    "name": "tiny",
    "task": "adding",
    "cell": {"type": "carry", "units": 4},
    "shape": {"timesteps": 12},
    "training": {"steps": 40, "batch_size": 4, "evaluate_every": 10},
    "evaluation": {"sequences": 20},
}
RECORDED = ["training.record=gradient"]


def test_the_gradient_by_lag_is_recorded_with_each_evaluation(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, RECORDED, runs=tmp_path)
    history = recorded_gradient(run)
    assert history.steps.tolist() == [0, 10, 20, 30, 40]
    assert history.lags.tolist() == list(range(12))
    assert set(history.shares) == {"layers.0.h", "layers.0.c"}
    at_end = diagnose(run, ["gradient"], weights="last", sequences=400)["gradient"]
    ratio = history.shares["layers.0.h"][-1] / at_end.share["layers.0.h"]
    assert np.all((ratio > 0.1) & (ratio < 10))  # other sequences, the same network
    assert "gradient/lags" not in run.metrics()
    assert "gradient/" not in (run.path / "log.txt").read_text()


def test_it_changes_no_weight_and_is_the_same_after_an_interruption(tmp_path: Path) -> None:
    plain, recorded = rnnlab.train(TINY, runs=tmp_path / "a"), rnnlab.train(TINY, RECORDED, runs=tmp_path / "b")
    half = rnnlab.train(TINY, [*RECORDED, "training.steps=20"], runs=tmp_path / "c")
    resumed = rnnlab.resume(half.path, ["training.steps=40"])
    for name, array in plain.weights("last").items():
        np.testing.assert_array_equal(array, recorded.weights("last")[name])
        np.testing.assert_array_equal(array, resumed.weights("last")[name])
    one, other = recorded_gradient(recorded), recorded_gradient(resumed)
    np.testing.assert_array_equal(one.steps, other.steps)
    for name, norms in one.shares.items():
        np.testing.assert_array_equal(norms, other.shares[name])


def test_both_backends_record_the_same(tmp_path: Path) -> None:
    settings = [*RECORDED, "training.steps=10", "precision=float64"]
    ours = recorded_gradient(rnnlab.train(TINY, settings, runs=tmp_path / "a"))
    keras = recorded_gradient(rnnlab.train({**TINY, "backend": "keras"}, settings, runs=tmp_path / "b"))
    for name, norms in ours.shares.items():
        np.testing.assert_allclose(keras.shares[name], norms, rtol=1e-4)


def test_a_run_that_recorded_none(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, ["training.steps=1"], runs=tmp_path)
    with pytest.raises(UsageError, match="recorded no gradient — train with"):
        recorded_gradient(run)


def events(run: Any) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run.path / "tensorboard"))
    read.Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.mark.tensorboard
def test_tensorboard_reads_what_was_recorded(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    run = rnnlab.train(TINY, ["logging.tensorboard=true", "training.steps=20"], runs=tmp_path)
    found = events(run)
    expected = [(record["step"], pytest.approx(record["validation/loss"])) for record in run.records]
    assert found["validation/loss"] == expected
    assert {"train/loss", "gradient_norm", "sequences"} <= set(found)
    resumed = rnnlab.resume(run.path, ["training.steps=40"])
    assert [step for step, _ in events(resumed)["validation/loss"]] == [0, 10, 20, 30, 40]
    assert len(list((run.path / "tensorboard").iterdir())) == 1
    twin = rnnlab.train(TINY, runs=tmp_path)
    for name, array in twin.weights("last").items():
        np.testing.assert_array_equal(array, resumed.weights("last")[name])


def test_without_tensorboard_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.training.store.is_installed", lambda _: False)
    with pytest.raises(EnvironmentFault, match=r"pip install 'rnnlab\[tensorboard\]'"):
        rnnlab.train(TINY, ["logging.tensorboard=true"], runs=tmp_path)
    assert [path for path in tmp_path.iterdir() if RunFolder(path).is_run()] == []


@pytest.mark.parametrize(
    ("often", "stored"),
    [
        ("{every_seconds: 0}", [0, 1, 2, 3, 4]),
        ("{every_seconds: 60}", [0, 0, 0, 0, 0]),
        ("{every_steps: 2, every_seconds: null}", [0, 0, 2, 2, 4]),
        ("{every_seconds: null}", [0, 0, 0, 0, 0]),
    ],
)
def test_the_state_is_written_now_and_then(
    experiment: Callable[..., Experiment], tmp_path: Path, often: str, stored: list[int]
) -> None:
    """The status shows the step of the weights and of the checkpoint, so that what a kill has cost is known."""
    found = []
    events = train(experiment(f"training.checkpoint={often}"), runs=tmp_path, config=b"", argv=[])
    folder: RunFolder = next(events).run
    for event in events:
        if isinstance(event, Stepped):
            found.append(folder.load_weights("last")[1]["step"])
            assert folder.read_status().step == folder.checkpoints().steps()[0] == found[-1]
    assert found == stored
    assert folder.load_weights("last")[1]["step"] == folder.checkpoints().steps()[0] == 5


def small(tmp_path: Path) -> Experiment:
    (tmp_path / "tiny.yaml").write_text(dump_yaml(TINY))
    return load_experiment(tmp_path / "tiny.yaml").experiment


def test_a_run_of_a_moment_is_saved_once_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had done by then is done again in as little time, to the same bits."""
    monkeypatch.setattr("rnnlab.training.store.FIRST_SECONDS", 1000.0)
    experiment = small(tmp_path)
    events = train_into(tmp_path / "run", experiment, config=b"", argv=[])
    folder = RunFolder(tmp_path / "run")
    for event in events:
        if isinstance(event, Stepped) and event.step < 40:
            assert (folder.checkpoints().steps(), folder.has_weights("last")) == ([], False)
    assert folder.checkpoints().steps() == [40]
    run = killed(experiment, tmp_path / "killed", 30)
    assert (run.read_status().step, run.read_status().saved, run.checkpoints().steps()) == (0, None, [])
    started = next(event for event in resume(run, argv=[]) if isinstance(event, Started))
    assert started.notes == ("no checkpoint was written yet: training begins at step 0",)


def test_what_failed_before_its_first_save_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.training.store.FIRST_SECONDS", 1000.0)
    experiment = small(tmp_path)
    with monkeypatch.context() as patch:
        real = NumpyModel._train_once

        def fails_later(model: NumpyModel, *given: Any) -> Any:
            if model._slots["step"][0] == 3:
                raise MemoryError
            return real(model, *given)

        patch.setattr(NumpyModel, "_train_once", fails_later)
        with pytest.raises(MemoryError):
            begin(experiment, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert (run.read_status().state, run.read_status().step, run.read_status().saved) == ("failed", 3, None)
    assert account(begin(experiment, run.path)) == account(begin(experiment, tmp_path / "whole"))
