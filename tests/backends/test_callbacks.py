"""Keras callbacks hear a training as they would hear `fit`, may stop it, and change no number."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.backends.keras.callbacks import KerasCallbacks
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml_writer import dump_yaml
from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.training.events import Event, Stepped
from tests.training.resuming import account, begin, resumed

SMALL: dict[str, Any] = {
    "task": "adding",
    "backend": "keras",
    "cell": {"type": "simple", "units": 4},
    "shape": {"timesteps": 5},
    "training": {"steps": 6, "batch_size": 4, "evaluate_every": 2},
    "evaluation": {"sequences": 20},
}


@pytest.fixture(autouse=True)
def on_the_engine_under_test(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SMALL, "engine", engine)


def trained(folder: Path, *callbacks: Any, **keras: Any) -> Any:
    return rnnlab.train({**SMALL, "keras": {"callbacks": list(callbacks), **keras}}, runs=folder)


def test_they_hear_each_epoch_and_change_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    heard = trained(tmp_path, {"name": "keras.callbacks.CSVLogger", "options": {"filename": str(log)}})
    plain = trained(tmp_path)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    evaluated = heard.metrics[1:]  # the first is of the untrained network
    assert [float(row["val_loss"]) for row in rows] == [one["validation/loss"] for one in evaluated]
    assert [float(row["loss"]) for row in rows] == pytest.approx([one["train/loss"] for one in evaluated], rel=1e-6)
    for name, array in plain.weights("last").items():
        assert np.array_equal(array, heard.weights("last")[name]), name


def test_they_may_stop_it(tmp_path: Path) -> None:
    never_enough = {"monitor": "val_loss", "patience": 0, "min_delta": 1e6}
    run = trained(tmp_path, {"name": "keras.callbacks.EarlyStopping", "options": never_enough})
    assert (run.summary["stopped"], run.summary["state"], run.summary["steps"]) == ("callback", "completed", 4)


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        ("keras.callbacks.EarlyStoping", "keras.callbacks[0]: unknown callback 'keras.callbacks.EarlyStoping'"),
        ("keras.callbacks.ReduceLROnPlateau", "ReduceLROnPlateau would set the learning rate — use training.schedule"),
        ("keras.callbacks.SwapEMAWeights", "keras.callbacks.SwapEMAWeights would change the weights — weights/best"),
        (
            {"name": "keras.callbacks.EarlyStopping", "options": {"restore_best_weights": True}},
            "keras.callbacks.EarlyStopping would change the weights",
        ),
        ({"name": "keras.callbacks.EarlyStopping", "options": {"patienc": 1}}, "does not take these options"),
        ("os.system", "got 'os.system': expected a name from keras.callbacks"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path: Path, callback: Any, told: str) -> None:
    with pytest.raises(RnnlabError) as caught:
        trained(tmp_path, callback)
    assert told in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop_at", [3, 4])
def test_stopped_and_resumed_they_go_on_as_if_nothing_had_been(tmp_path: Path, stop_at: int) -> None:
    """In the middle of an epoch, and at the end of one."""

    def asked(name: str) -> Experiment:
        never_enough = {"monitor": "val_loss", "patience": 2, "min_delta": 1e6}
        callbacks = [
            {"name": "keras.callbacks.CSVLogger", "options": {"filename": str(tmp_path / f"{name}.csv")}},
            {"name": "keras.callbacks.EarlyStopping", "options": never_enough},
        ]
        training = {**SMALL["training"], "steps": 20}
        (tmp_path / f"{name}.yaml").write_text(
            dump_yaml({**SMALL, "name": "x", "training": training, "keras": {"callbacks": callbacks}})
        )
        return load_experiment(tmp_path / f"{name}.yaml", []).experiment

    whole = account(begin(asked("whole"), tmp_path / "whole"))
    assert (whole["summary"]["stopped"], whole["summary"]["steps"]) == ("callback", 6)
    again = account(resumed(begin(asked("cut"), tmp_path / "cut", stop_at=stop_at)))
    assert again == whole
    assert (tmp_path / "cut.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_one_that_wants_to_stop_still_does_after_a_resume(tmp_path: Path) -> None:
    model = SimpleNamespace(stop_training=False)
    callbacks = KerasCallbacks(model, [])
    callbacks.restore({"epoch": 1, "steps": 0, "loss": 0.0, "stop": True, "counts": []})
    callbacks.begin()
    assert callbacks.wants_stop


def test_one_that_fails_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(EnvironmentFault, match="a callback failed: IsADirectoryError") as caught:
        trained(tmp_path, {"name": "keras.callbacks.CSVLogger", "options": {"filename": str(folder)}})
    assert caught.value.where == "keras.callbacks"


def test_they_hear_of_the_end_however_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(KerasCallbacks, "end", lambda self: heard.append("the end"))
    config = {**SMALL, "keras": {"callbacks": ["keras.callbacks.TerminateOnNaN"]}}

    def leave(event: Event) -> None:
        if isinstance(event, Stepped):
            raise RuntimeError("left")

    with pytest.raises(RuntimeError, match="left"):
        rnnlab.train(config, runs=tmp_path, watch=leave)
    assert heard == ["the end"]
