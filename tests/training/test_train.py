"""The training loop against the same loop written out by hand, and its two good ends: solved, and out of ideas."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from rnnlab.backends.numpy import NumpyBackend, NumpyModel
from rnnlab.config.experiment import Experiment
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Streak, Threshold, mean_loss
from rnnlab.tasks.parity import Parity
from rnnlab.training.events import Evaluated, Event, Finished, Started, Stepped
from tests.small import Fit

Make = Callable[..., Experiment]
LEARNS_AT_ONCE = ["shape.timesteps=1", "training.steps=400", "training.optimizer.learning_rate=0.05"]


def by_hand_model(experiment: Experiment) -> tuple[AbstractTask, NumpyModel]:
    task = experiment.build_task()
    network = experiment.network()
    parameters = network.draw(experiment.seed)
    return task, NumpyBackend().build(network, parameters=parameters, training=experiment.recipe())


def by_hand(experiment: Experiment) -> tuple[list[dict[str, float]], NumpyModel]:
    """The training loop: one dictionary per step, and the model at the end."""
    task, model = by_hand_model(experiment)
    reported, size = [], experiment.training.batch_size
    # One unit has 65,536 numbers of inputs, or 1,024 batches.
    unit = min(1024, 65_536 // (size * experiment.timesteps[1] * task.input_features))
    rng = stream(experiment.seed, "data/train", 0)
    sequences = task.sample(rng, batch_size=unit * size, timesteps=experiment.timesteps)
    with NumpyBackend().running():
        for step in range(experiment.training.steps):
            batch = sequences.rows(step * size, (step + 1) * size)
            result = model.train_step(batch)
            outputs = 1 / (1 + np.exp(-result.outputs)) if task.loss.startswith("sigmoid_mse") else result.outputs
            reported.append(
                {
                    "train/loss": result.loss,
                    "train/error_rate": 1 - task.correct(outputs, batch).mean(),
                    "gradient_norm": result.gradient_norm,
                    "learning_rate": result.learning_rate,
                }
            )
    return reported, model


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("cell.type=carry", "cell.layers=2", "precision=float64"),
        ("shape.timesteps=[2, 9]", "training.optimizer=sgd", "seed=3"),
        ("task=adding@hs1997", "shape.timesteps=[8, 9]", "training.loss=sigmoid_mse"),
        ("task=temporal_order", "shape.timesteps=9", "training.loss=sigmoid_mse"),
        ("task=flip_flop", "training.bptt_steps=3", "training.clip_norm=0.1", "training.schedule=cosine"),
    ],
    ids=["simple", "carry", "lengths", "sigmoids", "classes", "sequence"],
)
def test_the_record_is_what_a_loop_by_hand_gives(fit: Fit, experiment: Make, overrides: tuple[str, ...]) -> None:
    asked = experiment(*overrides)
    reported, model = by_hand(asked)
    run = fit(*overrides)
    records = run.records
    assert [record["step"] for record in records] == [0, 2, 4, 5]
    assert [record["sequences"] for record in records] == [0, 12, 24, 30]
    assert not set(reported[0]) & set(records[0])
    for record, since in zip(records[1:], [reported[0:2], reported[2:4], reported[4:5]], strict=True):
        for name in since[0]:
            assert record[name] == sum(one[name] for one in since) / len(since), (record["step"], name)
    for name, array in run.weights("last").items():
        assert array.dtype == np.dtype(asked.precision)
        assert np.array_equal(array, model.parameters()[name]), name


@pytest.mark.parametrize("overrides", [(), ("shape.timesteps=[2, 9]", "precision=float64")])
def test_the_validation_set_is_one_draw_of_its_own_stream(
    fit: Fit, experiment: Make, overrides: tuple[str, ...]
) -> None:
    asked = experiment(*overrides)
    task = asked.build_task()
    batch = task.sample(stream(0, "data/validation", 0), batch_size=20, timesteps=asked.timesteps)
    network = asked.network()
    outputs = NumpyBackend().build(network, parameters=network.draw(0)).predict(batch.inputs, batch.lengths).outputs
    first = fit(*overrides).records[0]
    assert first["validation/loss"] == mean_loss(task, outputs, batch)
    assert first["validation/error_rate"] == 1 - task.correct(outputs, batch).mean()


@pytest.mark.usefixtures("single_updates")
def test_events_in_order(fit: Fit) -> None:
    events: list[Event] = []
    run = fit(watch=events.append)
    kinds = [type(event) for event in events]
    assert kinds == [
        *(Started, Evaluated),
        *(Stepped, Stepped, Evaluated, Stepped, Stepped, Evaluated, Stepped, Evaluated),
        Finished,
    ]
    started, finished = events[0], events[-1]
    assert (started.run, started.task.name, started.parameters) == (run.folder, "parity", 4 * (1 + 4 + 1) + 4 + 1)
    assert [event.step for event in events[1:-1]] == [0, 1, 2, 2, 3, 4, 4, 5, 5]
    assert [dict(event.record) for event in events if isinstance(event, Evaluated)] == run.records
    assert finished.summary == run.summary


def test_the_summary(fit: Fit) -> None:
    run = fit()
    last, best = run.records[-1], min(run.records, key=lambda record: record["validation/loss"])
    summary = run.summary.model_dump()
    seconds = summary.pop("seconds")
    assert 0 < seconds < 60
    assert summary.pop("steps_per_second") == pytest.approx(5 / seconds, rel=0.2)
    assert summary == {
        "id": run.status.id,
        "attempt": 1,
        "run": run.path.name,
        "name": "run",
        "state": "completed",
        "stopped": "budget",
        "task": "parity",
        "timesteps": [4, 4],
        "backend": "numpy",
        "cell": "simple",
        "seed": 0,
        "parameters": 29,
        "steps": 5,
        "sequences": 30,
        "baseline": math.log(2),
        "solved": False,
        "solved_rule": "validation error_rate at most 0.01",
        "solved_at": None,
        "loss": last["validation/loss"],
        "metrics": {"loss": last["validation/loss"], "error_rate": last["validation/error_rate"]},
        "best": {
            "step": best["step"],
            "metrics": {"loss": best["validation/loss"], "error_rate": best["validation/error_rate"]},
        },
    }
    status = run.folder.read_status()
    assert (status.state, status.step, status.exit_code, status.message) == ("completed", 5, 0, "")


def test_weights_say_what_they_are(fit: Fit) -> None:
    run = fit("cell={type: carry, units: 4, forget_bias: 2}")
    expected = {
        "cell": "carry",
        "cell_version": 1,
        "cell_options": {
            "units": 4,
            "layers": 1,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "forget_bias": 2.0,
        },
        "input_features": 1,
        "output_features": 1,
        "return_sequences": False,
        "loss": "binary_cross_entropy",
        "precision": "float32",
        "output": {"bias": True, "inputs": False},
    }
    for which, step in (("best", run.summary.best.step), ("last", 5)):
        description = run.folder.load_weights(which)[1]
        assert description == {"network": expected, "task": "parity", "id": run.id, "step": step}


def test_it_stops_when_a_validation_meets_the_rule(fit: Fit) -> None:
    run = fit(*LEARNS_AT_ONCE, "training.stop_when_solved=true")
    rates = [record["validation/error_rate"] for record in run.records]
    assert [rate <= 0.01 for rate in rates] == [False] * (len(rates) - 1) + [True]
    at = run.summary.solved_at
    assert run.summary.stopped == "solved"
    assert (at.step, at.sequences) == (run.records[-1]["step"], 6 * run.records[-1]["step"])
    assert run.summary.steps == at.step < 400


def test_it_continues_after_success_where_asked(fit: Fit) -> None:
    first = fit(*LEARNS_AT_ONCE, "training.stop_when_solved=true").summary.solved_at
    summary = fit(*LEARNS_AT_ONCE).summary
    assert (summary.stopped, summary.steps, summary.solved) == ("budget", 400, True)
    assert (summary.solved_at.step, summary.solved_at.sequences) == (first.step, first.sequences)


@pytest.mark.parametrize("window", [4, 6, 45])
def test_it_stops_when_the_training_stream_meets_the_rule(
    fit: Fit, experiment: Make, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """At the very step, evaluated or not; the window may be shorter, as long, or longer than a batch of 6."""
    monkeypatch.setattr(Parity, "solved", Streak(window))
    task, model = by_hand_model(experiment(*LEARNS_AT_ONCE))
    seen: list[bool] = []
    sequences = task.sample(stream(0, "data/train", 0), batch_size=1024 * 6, timesteps=(1, 1))
    for step in range(400):
        batch = sequences.rows(6 * step, 6 * (step + 1))
        seen += task.correct(model.train_step(batch).outputs, batch).tolist()
        if len(seen) >= window and all(seen[-window:]):
            break
    run = fit(*LEARNS_AT_ONCE, "training.stop_when_solved=true", "training.evaluate_every=1000")
    assert run.summary.stopped == "solved"
    assert run.summary.solved_at.step == run.summary.steps == step + 1
    assert [record["step"] for record in run.records] == [0, step + 1]


def test_before_the_first_step_nothing_counts_as_solved(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parity, "solved", Threshold({"loss": 1e9}))
    assert fit("training.stop_when_solved=true").summary.solved_at.step == 2


@pytest.mark.parametrize(("evaluations", "step"), [(1, 2), (2, 4)])
def test_it_stops_on_a_plateau(fit: Fit, evaluations: int, step: int) -> None:
    """No loss here falls by 100, so every evaluation after the first is one without improvement."""
    run = fit(f"training.stop_on_plateau={{evaluations: {evaluations}, min_improvement: 100}}", "training.steps=50")
    assert (run.summary.stopped, run.summary.steps, run.state) == ("plateau", step, "completed")
