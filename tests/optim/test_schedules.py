"""The contract of every schedule: Keras's decay after one warm-up; and the plateau, which follows the evaluations."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.optim.schedules import SCHEDULES

NEEDED = {"step": {"decay_steps": 30}}
ONE = np.float64(1.0)  # Keras works in the dtype of the initial rate, to which other numbers come by way of float32


def schedule_of(name, numbers=None, total_steps=100):
    member = SCHEDULES.get(name)
    return member(member.Options(**NEEDED.get(name, {}), **(numbers or {})), total_steps=total_steps)


def factors(schedule, steps=150):
    return [schedule.factor(step) for step in range(steps)]


def keras_decay(keras, name, numbers):
    schedules = keras.optimizers.schedules
    return {
        "constant": lambda: schedules.PiecewiseConstantDecay([40], [ONE, ONE]),
        "step": lambda: schedules.ExponentialDecay(ONE, numbers["decay_steps"], numbers["decay_rate"], staircase=True),
        "exponential": lambda: schedules.ExponentialDecay(ONE, numbers["decay_steps"], numbers["decay_rate"]),
        "cosine": lambda: schedules.CosineDecay(ONE, numbers["decay_steps"], alpha=numbers["final_fraction"]),
    }[name]()


@pytest.mark.parametrize("warmup", [0, 20])
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("constant", {}),
        ("step", {"decay_steps": 30, "decay_rate": 0.3125}),
        ("exponential", {"decay_steps": 30, "decay_rate": 0.3125}),
        ("cosine", {"decay_steps": 90, "final_fraction": 0.1}),
        ("cosine", {"decay_steps": 37, "final_fraction": 0.0}),
    ],
)
def test_after_the_warmup_the_decay_is_that_of_keras(keras, name, numbers, warmup):
    member = SCHEDULES.get(name)
    schedule = member(member.Options(**numbers, warmup_steps=warmup), total_steps=100)
    theirs = keras_decay(keras, name, numbers)
    expected = [float(theirs(step)) for step in range(130)]
    np.testing.assert_allclose(factors(schedule)[warmup : warmup + 130], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_the_warmup_is_linear_from_just_above_zero_and_delays_the_decay(name):
    without, warmed = schedule_of(name, total_steps=100), schedule_of(name, {"warmup_steps": 4}, total_steps=104)
    assert factors(warmed, 5) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors(warmed)[4:] == factors(without)[:146]


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_between_evaluations_the_factor_is_a_pure_function_of_the_step_within_0_and_1(name):
    schedule = schedule_of(name, {"warmup_steps": 7})
    forwards, backwards = factors(schedule), [schedule.factor(step) for step in reversed(range(150))]
    assert forwards == backwards[::-1]
    assert {type(factor) for factor in forwards} == {float}
    assert min(forwards) >= 0
    assert max(forwards) == 1


@pytest.mark.parametrize(("name", "end"), [("cosine", 0.25), ("exponential", 0.25)])
def test_a_decay_without_steps_spans_what_the_warmup_leaves_of_the_training(name, end):
    key = {"cosine": "final_fraction", "exponential": "decay_rate"}[name]
    schedule = schedule_of(name, {key: end, "warmup_steps": 10}, total_steps=50)
    given = schedule_of(name, {key: end, "warmup_steps": 10, "decay_steps": 40}, total_steps=9999)
    assert factors(schedule) == factors(given)
    assert schedule.factor(49) > end
    assert schedule.factor(50) == end


@pytest.mark.parametrize("name", ["cosine", "exponential"])
@pytest.mark.parametrize("total", [2, 10])
def test_a_training_that_ends_in_its_warmup_sees_the_warmup_whole_if_asked_for_more(name, total):
    schedule = schedule_of(name, {"warmup_steps": 10}, total_steps=total)
    assert factors(schedule, 11) == [*((step + 1) / 10 for step in range(10)), 1.0]


def test_cosine_stays_at_its_lowest():
    schedule = schedule_of("cosine", {"final_fraction": 0.125}, total_steps=10)
    assert {schedule.factor(step) for step in (10, 11, 25, 10**9)} == {0.125}


def test_a_very_late_step_of_a_geometric_decay_is_zero_not_an_error():
    assert [schedule_of(name).factor(10**9) for name in ("step", "exponential")] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        *((name, "warmup_steps", value) for name in SCHEDULES.names() for value in (-1, 1.5)),
        *((name, "decay_steps", 0) for name in ("step", "exponential", "cosine")),
        *((name, "decay_rate", value) for name in ("step", "exponential") for value in (0.0, 1.1, float("nan"))),
        *(("plateau", "factor", value) for value in (0.0, 1.0, float("nan"))),
        *(("plateau", key, -1) for key in ("patience", "min_delta", "cooldown", "min_learning_rate")),
        *(("cosine", "final_fraction", value) for value in (-0.1, 1.1, float("nan"))),
    ],
)
def test_options_refuse_bad_values(name, key, value):
    with pytest.raises(ValidationError) as caught:
        SCHEDULES.get(name).Options(**{**NEEDED.get(name, {}), key: value})
    assert [error["loc"] for error in caught.value.errors()] == [(key,)]


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_the_type_is_the_file_name(name):
    member = SCHEDULES.get(name)
    assert name == member.name == member.Options(**NEEDED.get(name, {})).type


def plateau(**numbers):
    member = SCHEDULES.get("plateau")
    return member(member.Options(**numbers), total_steps=100)


def rates(schedule, losses, learning_rate=1.0):
    """Return the rate after each evaluation."""
    found = []
    for loss in losses:
        schedule.after_evaluation(loss, learning_rate=learning_rate)
        found.append(learning_rate * schedule.factor(0))
    return found


@pytest.mark.parametrize(
    ("numbers", "losses", "expected"),
    [
        ({"factor": 0.5, "patience": 1}, [3, 2, 2, 1, 1, 1], [1, 1, 0.5, 0.5, 0.25, 0.125]),
        ({"factor": 0.5, "patience": 2}, [3, 3, 2, 2, 2, 2, 2], [1, 1, 1, 1, 0.5, 0.5, 0.25]),
        ({"factor": 0.5, "patience": 2, "min_delta": 0.75}, [3, 2.5, 2.5, 2, 1.5, 1.5], [1, 1, 0.5, 0.5, 0.5, 0.25]),
        ({"factor": 0.5, "patience": 1, "cooldown": 2}, [1] * 7, [1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
        ({"factor": 0.5, "patience": 1, "cooldown": 3}, [1, 1, 1, 0.5, 1, 1], [1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        ({"factor": 0.25, "patience": 1, "min_learning_rate": 0.125}, [1, 1, 1, 1], [1, 0.25, 0.125, 0.125]),
    ],
)
def test_plateau_by_hand(numbers, losses, expected):
    assert rates(plateau(**{"min_delta": 0.0, **numbers}), losses) == expected


@pytest.mark.parametrize("seed", range(20))
def test_plateau_is_the_callback_of_keras(keras, seed):
    rng = np.random.default_rng(seed)
    numbers = {"factor": float(rng.uniform(0.1, 0.9)), "min_delta": float(rng.choice([0, 0.01, 0.1]))}
    numbers |= {"patience": int(rng.integers(1, 5)), "cooldown": int(rng.integers(0, 4))}
    # A lowest rate that float32 has exactly: Keras rounds it.
    lowest, losses = float(rng.choice([0, 2**-10])), rng.uniform(0, 1, 60) + np.linspace(1, 0, 60)
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", min_lr=lowest, **numbers)
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.1)))
    callback.on_train_begin()
    theirs = []
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        theirs.append(float(callback.model.optimizer.learning_rate))
    ours = rates(plateau(min_learning_rate=lowest, **numbers), losses.tolist(), learning_rate=0.1)
    assert len(set(ours)) > 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("cut", range(8))
def test_plateau_resumes_from_its_state(cut):
    losses = [3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    numbers = {"factor": 0.3, "patience": 2, "cooldown": 1}
    whole, first, second = (plateau(**numbers) for _ in range(3))
    expected = rates(whole, losses)
    begun = rates(first, losses[:cut])
    second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert begun + rates(second, losses[cut:]) == expected


@pytest.mark.parametrize("name", [name for name in SCHEDULES.names() if name != "plateau"])
def test_other_schedules_ignore_evaluations_and_remember_nothing(name):
    schedule = schedule_of(name)
    before = factors(schedule)
    schedule.after_evaluation(1.0, learning_rate=0.1)
    schedule.restore({})
    assert (factors(schedule), schedule.state()) == (before, {})
