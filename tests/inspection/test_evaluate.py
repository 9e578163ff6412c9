"""Scoring a run again gives the very numbers of its training, and leaves its record alone."""

from functools import partial
from pathlib import Path

import pytest

import rnnlab
from rnnlab.core.errors import ConfigError, DivergedError, UsageError, VerificationError
from rnnlab.core.streams import stream
from rnnlab.tasks.base import Streak
from rnnlab.tasks.parity import Parity
from tests.cli.jobs import everything
from tests.small import Fit

# A rate so high that the loss goes up as well as down: the best weights are not the last.
RESTLESS = ["training.optimizer={type: adam, learning_rate: 0.5}", "training.steps=12", "seed=1"]


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("shape.timesteps=[2, 9]", "cell.type=carry"),
        ("task=flip_flop", "precision=float64"),
        ("task=temporal_order",),
    ],
)
def test_the_best_weights_are_those_of_the_lowest_loss_to_the_bit(fit: Fit, changes: tuple[str, ...]) -> None:
    shape = () if "task=temporal_order" not in changes else ("shape.timesteps=20",)
    run = fit(*RESTLESS, *changes, *shape)
    lowest = min(run.records, key=lambda record: record["validation/loss"])
    best, last = (rnnlab.evaluate(run, weights=which, on="validation") for which in ("best", "last"))
    assert (best.step, last.step) == (lowest["step"], 12)
    assert best.metrics == run.summary.best.metrics
    assert best.metrics["loss"] == lowest["validation/loss"]
    assert last.metrics == run.summary.metrics


def test_best_and_last_do_differ(fit: Fit) -> None:
    run = fit(*RESTLESS)
    assert 0 < run.summary.best.step < 12
    assert rnnlab.evaluate(run, weights="best").metrics["loss"] < rnnlab.evaluate(run, weights="last").metrics["loss"]


def test_test_sequences_are_others_than_those_that_chose_the_weights(fit: Fit) -> None:
    """Weights are the best of several by the validation set: its score flatters them, that of the test does not."""
    run = fit(*RESTLESS)
    test, validation = rnnlab.evaluate(run), rnnlab.evaluate(run, on="validation")
    assert (test.stream, validation.stream) == ("test", "validation")
    assert [one["stream"] for one in run.evaluations] == ["test", "validation"]
    assert validation.metrics == run.summary.best.metrics
    assert test.metrics["loss"] != validation.metrics["loss"]
    task, shown = run.experiment().build_task(), []
    for name in ("data/train", "data/validation", "data/test"):
        batch = task.sample(stream(run.experiment().seed, name, 0), batch_size=50, timesteps=(60, 60))
        shown.append({row.tobytes() for row in batch.inputs})
    assert not (shown[0] | shown[1]) & shown[2]


def test_of_a_task_with_parts_the_test_part_is_scored(fit: Fit) -> None:
    run = fit("task=mackey_glass", "shape.timesteps=[35, 40]", "evaluation.sequences=2000")
    test, validation = rnnlab.evaluate(run), rnnlab.evaluate(run, on="validation")
    task = run.experiment().build_task()
    assert validation.baseline == run.summary.baseline == task.baseline((35, 40))
    assert test.baseline == task.part("test").baseline((35, 40)) != validation.baseline


def test_an_evaluation_is_shown_in_a_line(fit: Fit) -> None:
    run = fit()
    shown = repr(rnnlab.evaluate(run, weights="last", sequences=50))
    assert shown.startswith(f"<Evaluation of {run.name}: last weights, 50 test sequences of parity, T=")
    assert shown.endswith(", not solved>")
    assert len(shown) < 200


def test_it_adds_a_record_and_changes_nothing_else(fit: Fit) -> None:
    run = fit()
    before = everything(run.path)
    result = rnnlab.evaluate(run, ["shape.timesteps=[3, 11]", "seed=8"], weights="last", sequences=50)
    assert {name: digest for name, digest in everything(run.path).items() if name != "evaluations.jsonl"} == before
    (record,) = run.evaluations
    assert 0 <= record.pop("seconds") < 60
    assert record == {
        "step": 5,
        "weights": "last",
        "task": "parity",
        "shortest": 3,
        "longest": 11,
        "sequences": 50,
        "seed": 8,
        "stream": "test",
        "baseline": result.baseline,
        "solved": False,
        "overrides": "shape.timesteps=[3, 11] seed=8",
        **result.metrics,
    }
    rnnlab.evaluate(run)
    assert [one["weights"] for one in run.evaluations] == ["last", "best"]


@pytest.mark.parametrize("timesteps", [1, 10, 300])
def test_other_lengths_than_trained(fit: Fit, timesteps: int) -> None:
    """300 steps are more than one stretch of prediction."""
    run = fit("shape.timesteps=[2, 4]", "cell.type=carry")
    result = rnnlab.evaluate(run, [f"shape.timesteps={timesteps}"])
    assert result.experiment.timesteps == (timesteps, timesteps)
    assert 0.2 < result.metrics["loss"] < 2
    assert result.metrics["loss"] != rnnlab.evaluate(run).metrics["loss"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cell.units=5", "--set would change the network: cell.units from 4 to 5"),
        ("cell.activation=relu", "--set would change the network: cell.activation from tanh to relu"),
        ("cell=carry", "--set would change the network: cell from simple to carry"),
        ("precision=float64", "--set would change the network: precision from float32 to float64"),
        ("training.steps=9", "--set changes training, which has no part in an evaluation"),
        ("training.optimizer.learning_rate=1", "--set changes training.optimizer, which has no part in an evaluation"),
        ("cell.initializers.bias=normal", "--set changes cell, which has no part in an evaluation"),
        ("name=other", "--set changes name, which has no part in an evaluation"),
    ],
)
def test_only_what_is_scored_can_be_changed(fit: Fit, override: str, message: str) -> None:
    run = fit()
    with pytest.raises(UsageError) as caught:
        rnnlab.evaluate(run, [override])
    assert caught.value.problem == message
    assert (
        caught.value.hint
        == "evaluate may change shape.timesteps, task, seed and evaluation; train a new run for the rest"
    )
    assert run.evaluations == []


def test_a_bad_override_adds_nothing(fit: Fit) -> None:
    run = fit()
    with pytest.raises(ConfigError, match=r"--set evaluation.sequences=0: got 0, expected at least 1"):
        rnnlab.evaluate(run, sequences=0)
    assert run.evaluations == []


def test_weights_of_another_network_are_refused(fit: Fit) -> None:
    """Of one shape, but another activation: only the description can tell, where the id was changed too."""
    run, other = fit(), fit("cell.activation=relu")
    stolen = run.path / "weights" / "best.safetensors"
    arrays, about = other.folder.load_weights("best")
    run.folder.save_weights("best", arrays, {**about, "id": run.id})
    for call in (partial(rnnlab.evaluate, run), run.weights, run.model):
        with pytest.raises(VerificationError) as caught:
            call()
        assert caught.value.problem == (
            "these weights are of another network: cell.activation: stored relu, expected tanh"
        )
        assert caught.value.where == str(stolen)


def test_a_run_without_best_weights(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        fit(
            "cell={activation: linear, initializers: {recurrent_kernel: {type: identity, scale: 100}}}",
            "shape.timesteps=90",
        )
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    with pytest.raises(VerificationError):
        rnnlab.evaluate(run, weights="best")
    assert rnnlab.evaluate(run, ["shape.timesteps=1"], weights="last").step == 0


def test_solved_is_judged_on_the_sequences_asked_for(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fit()
    wrong = rnnlab.evaluate(run, weights="last").metrics["error_rate"]
    for allowed, solved in ((wrong, True), (wrong - 0.05, False)):
        monkeypatch.setattr(Parity, "solved", Streak(1000, wrong=round(1000 * allowed)))
        assert rnnlab.evaluate(run, weights="last").solved is solved
