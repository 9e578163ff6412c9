"""Every way in which a training can end, and the true account of it that stays on the disk."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rnnlab
from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyModel
from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import ConfigError, DivergedError, EnvironmentFault
from rnnlab.storage import RunFolder
from rnnlab.training import trainer
from rnnlab.training.train import train
from tests.small import Fit

pytestmark = pytest.mark.usefixtures("single_updates")

Make = Callable[..., Experiment]
EXPLODES = [
    "task=adding",
    "cell.activation=relu",
    "training.optimizer={type: sgd, learning_rate: 1000}",
    "training.steps=50",
]


def test_a_diverged_training(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        fit(*EXPLODES)
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    status, summary = run.folder.read_status(), run.summary
    bad = status.step
    assert re.fullmatch(
        rf"diverged at step {bad}: (training loss|gradient norm) is (inf|nan), expected a finite number",
        caught.value.problem,
    )
    assert caught.value.problem == status.message
    assert caught.value.where == str(run.path)
    assert caught.value.hint == (
        f"weights/last.safetensors there has the last finite weights, of step {bad - 1}; "
        "lower training.optimizer.learning_rate or set training.clip_norm"
    )
    assert (status.state, status.exit_code) == ("diverged", 7)
    assert (summary.state, summary.stopped) == ("diverged", "diverged")
    assert summary.loss is None
    assert set(summary.metrics.values()) == {None}
    assert summary.best.metrics["loss"] == min(
        record["validation/loss"] for record in run.records if record["validation/loss"] is not None
    )
    arrays, description = run.folder.load_weights("last")
    assert description["step"] == bad - 1
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_network_that_never_was_finite(fit: Fit, tmp_path: Path) -> None:
    """The first evaluation overflows: the weights as drawn are kept, and called those of step 0."""
    growing = "cell={activation: linear, initializers: {recurrent_kernel: {type: identity, scale: 100}}}"
    with pytest.raises(DivergedError, match=r"diverged at step 0: validation loss is .* weights, of step 0;"):
        fit(growing, "shape.timesteps=100")
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    assert run.folder.load_weights("last")[1]["step"] == 0
    assert np.array_equal(run.weights("last")["layers.0.U"], 100 * np.eye(32, dtype="f4"))
    assert run.records[0]["validation/loss"] is None


@pytest.mark.parametrize("name", ["inf", "nan"])
def test_a_validation_that_is_not_finite(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The update before it was made, so the last weights are of that very step."""
    score = rnnlab.training.validation.ValidationSet.score
    bad = {"loss": float(name)}
    monkeypatch.setattr(
        rnnlab.training.validation.ValidationSet,
        "score",
        lambda self, model, **more: score(self, model, **more) | (bad if model._slots["step"][0] == 4 else {}),
    )
    with pytest.raises(DivergedError, match=f"step 4: validation loss is {name}, .* weights, of step 4;"):
        fit()
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    assert run.folder.load_weights("last")[1]["step"] == 4
    assert [record["step"] for record in run.records] == [0, 2, 4]
    assert run.records[-1]["nonfinite"] == ["validation/loss"]


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (RuntimeError("lost"), 1, "RuntimeError: lost"),
        (EnvironmentFault("disk full"), 5, "EnvironmentFault: disk full"),
        (MemoryError("no room"), 5, "MemoryError: no room"),
        (RuntimeError("x" * 600), 1, "RuntimeError: " + "x" * 485 + "…"),
    ],
)
def test_an_error_in_the_engine(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, exit_code: int, message: str
) -> None:
    """The weights of the last evaluation are kept, because the error may have left newer ones half updated."""
    real = NumpyModel._train_once

    def fails_later(model: NumpyModel, *given):
        if model._slots["step"][0] == 3:
            raise error
        return real(model, *given)

    monkeypatch.setattr(NumpyModel, "_train_once", fails_later)
    with pytest.raises(type(error)):
        fit()
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    status = run.folder.read_status()
    assert (status.state, status.exit_code, status.step, status.message) == ("failed", exit_code, 3, message)
    assert run.summary.stopped == "failed"
    assert run.folder.load_weights("last")[1]["step"] == 2
    assert [record["step"] for record in run.records] == [0, 2]


@pytest.mark.parametrize("method", ["save_weights", "write_summary", "write_resolved"])
def test_a_disk_that_refuses(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The status is true even where nothing else can be stored."""

    def refuse(*_: object) -> None:
        raise EnvironmentFault("no space")

    monkeypatch.setattr(RunFolder, method, refuse)
    with pytest.raises(EnvironmentFault, match="no space"):
        fit()
    status = rnnlab.open_run("latest", runs=tmp_path / "runs").folder.read_status()
    assert (status.state, status.exit_code, status.message) == ("failed", 5, "EnvironmentFault: no space")


def test_a_provenance_that_fails(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "collect", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit()
    assert rnnlab.open_run("latest", runs=tmp_path / "runs").state == "failed"


@pytest.mark.parametrize(("events", "steps"), [(1, 0), (2, 0), (5, 2)])
@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt])
def test_closing_the_generator_or_the_keyboard_interrupts(
    experiment: Make, tmp_path: Path, events: int, steps: int, error: type[BaseException]
) -> None:
    training = train(experiment(), runs=tmp_path / "runs", config=b"", argv=[])
    for _ in range(events):
        next(training)
    with pytest.raises(error):
        training.throw(error())
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    status = run.folder.read_status()
    reported = (status.state, status.exit_code, status.step, run.summary.stopped)
    assert reported == ("interrupted", 75, steps, "interrupted")
    assert run.folder.load_weights("last")[1]["step"] == steps


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("cell.initializers.bias=orthogonal", "unknown type 'orthogonal'"),
        ("cell.initializers.bias=identity", "unknown type 'identity'"),
        ("cell.units=0", "got 0, expected at least 1"),
        ("shape.input_features=2", "got 2, but task parity has 1"),
    ],
)
def test_an_impossible_experiment_leaves_nothing(fit: Fit, tmp_path: Path, override: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(override)
    assert [(fault.where, fault.problem) for fault in caught.value.faults] == [(f"--set {override}", problem)]
    assert not (tmp_path / "runs").exists()


def test_a_network_too_large_for_the_machine_leaves_nothing(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Network, "draw", refuse)
    with pytest.raises(MemoryError):
        fit()
    assert not (tmp_path / "runs").exists()
