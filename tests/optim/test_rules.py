"""The contract of every update rule: Keras's numbers, in place, all memory in the slots, bad options rejected."""

import inspect

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.optim.rules import OPTIMIZERS
from tests.rule_steps import update

# Beside the defaults, which every registered rule is tested with; a new rule adds its own variants here.
VARIANTS = {
    "sgd": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "rmsprop": [
        {"momentum": 0.5},
        {"centered": True},
        {"momentum": 0.9, "centered": True, "rho": 0.8, "epsilon": 0.01},
    ],
    "adam": [{"amsgrad": True}, {"beta_1": 0.0, "beta_2": 0.99, "epsilon": 0.1}],
    "adamw": [{"weight_decay": 0.5}, {"amsgrad": True, "beta_1": 0.8}],
}
CASES = [
    pytest.param(name, numbers, id=f"{name}-{'-'.join(numbers) or 'defaults'}")
    for name in OPTIMIZERS.names()
    for numbers in [{}, *VARIANTS.get(name, [])]
]
DTYPES = ["float32", "float64"]
SIZE = 64

each_case = pytest.mark.parametrize(("name", "numbers"), CASES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def rule_of(name, numbers):
    member = OPTIMIZERS.get(name)
    return member(member.Options(**numbers))


def start(dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(SIZE).astype(dtype)


def gradients_of(step, dtype):
    """Small and large, dense and sparse, with the first never moved at all."""
    rng = np.random.default_rng([1, step])
    gradients = rng.standard_normal(SIZE) * np.logspace(-3, 1, SIZE) * (rng.random(SIZE) < 0.8)
    gradients[0] = 0.0
    return gradients.astype(dtype)


def rate_of(step):
    """A new rate at each step, exact in float32, which is how Keras keeps it."""
    return (8 - step % 8) / 1024


def advance(rule, parameters, slots, steps):
    for step in steps:
        update(rule, parameters, gradients_of(step, parameters.dtype), slots, learning_rate=rate_of(step))


def keras_run(keras, *, name, numbers, dtype, steps):
    """Return Keras's parameters and slots by name."""
    config = rule_of(name, numbers).options.model_dump(exclude={"type"})
    if dtype == "float64":  # a Python number Keras would round to float32 first
        config = {key: np.float64(value) if type(value) is float else value for key, value in config.items()}
    optimizer = keras.optimizers.deserialize({"class_name": name, "config": config})
    variable = keras.Variable(start(dtype), dtype=dtype, name="theta")
    for step in steps:
        optimizer.learning_rate = rate_of(step)
        optimizer.apply([keras.ops.convert_to_tensor(gradients_of(step, dtype))], [variable])
    slots = {v.name.removeprefix("theta_"): np.asarray(v) for v in optimizer.variables if v.name.startswith("theta_")}
    return np.asarray(variable), slots


@each_case
@each_dtype
def test_100_steps_give_the_parameters_and_slots_of_keras(keras, name, numbers, dtype):
    rule, ours = rule_of(name, numbers), start(dtype)
    slots = rule.initial_slots(SIZE, dtype)
    advance(rule, ours, slots, range(100))
    theirs, their_slots = keras_run(keras, name=name, numbers=numbers, dtype=dtype, steps=range(100))
    assert abs(theirs - start(dtype)).max() > 0.01  # what is compared has moved
    tolerance = {"float32": 1e-6, "float64": 1e-12}[dtype]
    assert abs(ours - theirs).max() <= tolerance * abs(theirs).max()
    assert slots.pop("step").tolist() == [100]
    assert sorted(slots) == sorted(their_slots)
    for key, slot in slots.items():
        assert abs(slot - their_slots[key]).max() <= tolerance * abs(their_slots[key]).max(), key


# Parameter 1, gradient 2, learning rate 0.1, and numbers under which every square root is exact.
@pytest.mark.parametrize(
    ("name", "numbers", "steps", "expected"),
    [
        ("sgd", {}, 1, 0.8),  # 1 - 0.1·2
        ("sgd", {"momentum": 0.9}, 2, 0.42),  # v: -0.2, then -0.18 - 0.2; 1 - 0.2 - 0.38
        ("sgd", {"momentum": 0.9, "nesterov": True}, 1, 0.62),  # v = -0.2; 1 + 0.9·(-0.2) - 0.2
        # v = 0.25·4 = 1; 1 - 0.2/√(1 + 0.44) = 1 - 0.2/1.2
        ("rmsprop", {"rho": 0.75, "epsilon": 0.44}, 1, 5 / 6),
        # v = 1, a = 0.25·2 = 0.5; 1 - 0.2/√(1 - 0.25 + 0.06) = 1 - 0.2/0.9
        ("rmsprop", {"rho": 0.75, "epsilon": 0.06, "centered": True}, 1, 7 / 9),
        # rho 0 makes v = 4 at both steps: d = 0.2/√(4 + 2.25) = 0.08; m: 0.08, then 0.04 + 0.08
        ("rmsprop", {"rho": 0.0, "epsilon": 2.25, "momentum": 0.5}, 2, 0.8),
        # m = 0.25·2 = 0.5, v = 0.25·4 = 1, rate 0.1·√0.25/0.25 = 0.2; 1 - 0.2·0.5/(1 + 0.25)
        ("adam", {"beta_1": 0.75, "beta_2": 0.75, "epsilon": 0.25}, 1, 0.92),
        # decay 1 - 0.1·0.5 = 0.95, then the 0.08 of adam
        ("adamw", {"beta_1": 0.75, "beta_2": 0.75, "epsilon": 0.25, "weight_decay": 0.5}, 1, 0.87),
    ],
)
@each_dtype
def test_the_first_steps_worked_by_hand(name, numbers, steps, expected, dtype):
    rule, parameters = rule_of(name, numbers), np.array([1.0], dtype)
    slots = rule.initial_slots(1, dtype)
    for _ in range(steps):
        update(rule, parameters, np.array([2.0], dtype), slots, learning_rate=0.1)
    assert parameters[0] == pytest.approx(expected, rel=4 * float(np.finfo(dtype).eps), abs=0)


@each_case
@each_dtype
def test_the_update_is_in_place_and_keeps_dtypes_and_gradients(name, numbers, dtype):
    rule, parameters, gradients = rule_of(name, numbers), start(dtype), gradients_of(0, dtype)
    before, gradients_before, slots = parameters.copy(), gradients.copy(), rule.initial_slots(SIZE, dtype)
    view, buffers = parameters[1:5], {key: slot.ctypes.data for key, slot in slots.items()}
    # A NumPy float64 scalar is what a schedule written by others may return.
    update(rule, parameters, gradients, slots, learning_rate=np.float64(0.01))
    assert (view != before[1:5]).any()
    assert gradients.tobytes() == gradients_before.tobytes()
    assert {key: slot.ctypes.data for key, slot in slots.items()} == buffers
    assert {key: slot.dtype.name for key, slot in slots.items()} == {"step": "int64"} | dict.fromkeys(
        rule.slot_names(), dtype
    )
    python_rate = before.copy()
    update(rule, python_rate, gradients, rule.initial_slots(SIZE, dtype), learning_rate=0.01)
    assert parameters.tobytes() == python_rate.tobytes()


@each_case
@each_dtype
def test_copied_slots_resume_bit_identically_in_a_new_rule(name, numbers, dtype):
    rule, whole = rule_of(name, numbers), start(dtype)
    slots = rule.initial_slots(SIZE, dtype)
    advance(rule, whole, slots, range(7))
    resumed, saved = whole.copy(), {key: slot.copy() for key, slot in slots.items()}
    advance(rule, whole, slots, range(7, 20))
    advance(rule_of(name, numbers), resumed, saved, range(7, 20))
    assert resumed.tobytes() == whole.tobytes()
    assert {key: slot.tobytes() for key, slot in saved.items()} == {key: slot.tobytes() for key, slot in slots.items()}


@each_case
def test_one_rule_serves_vectors_of_several_sizes_and_dtypes(name, numbers):
    shared = rule_of(name, numbers)
    for size, dtype in [(5, "float32"), (9, "float32"), (9, "float64")]:
        results = []
        for rule in (shared, rule_of(name, numbers)):
            parameters = np.ones(size, dtype)
            gradients = np.arange(size, dtype=dtype)
            update(rule, parameters, gradients, rule.initial_slots(size, dtype), learning_rate=0.1)
            results.append(parameters.tobytes())
        assert results[0] == results[1]


@each_case
def test_a_rate_of_zero_moves_nothing(name, numbers):
    rule, parameters = rule_of(name, numbers), start("float32")
    slots = rule.initial_slots(SIZE, "float32")
    update(rule, parameters, gradients_of(0, "float32"), slots, learning_rate=0.0)
    assert parameters.tobytes() == start("float32").tobytes()
    assert slots["step"].tolist() == [1]


def test_a_steady_gradient_does_not_poison_centered_rmsprop_as_it_does_in_keras(keras):
    gradient = np.full(1, -22.218792, "float32")
    rule, ours, numbers = rule_of("rmsprop", {"centered": True}), np.ones(1, "float32"), {"centered": True}
    slots = rule.initial_slots(1, "float32")
    optimizer = keras.optimizers.deserialize({"class_name": "rmsprop", "config": numbers})
    theirs = keras.Variable(ours.copy())
    for _ in range(200):
        update(rule, ours, gradient, slots, learning_rate=0.001)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [theirs])
    assert np.isnan(np.asarray(theirs)).all()
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_options_are_named_and_set_as_in_keras(keras, name):
    member = OPTIMIZERS.get(name)
    arguments = inspect.signature(type(keras.optimizers.get(name)).__init__).parameters
    ours = member.Options().model_dump()
    assert ours.pop("type") == name == member.name
    assert ours == {key: arguments[key].default for key in ours}


BAD = {
    "learning_rate": [-0.1, 0.0, 1001.0, float("nan"), float("inf"), "0.1"],
    "momentum": [-0.1, 1.0, float("nan")],
    "nesterov": [1],
    "rho": [-0.1, 1.0, float("nan")],
    "beta_1": [-0.1, 1.0, float("nan")],
    "beta_2": [-0.1, 1.0, float("nan")],
    "epsilon": [-1e-7, 0.0, float("nan")],
    "centered": ["yes"],
    "amsgrad": ["yes"],
    "weight_decay": [-0.1, 1.5, float("nan")],
}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (name, key, value)
        for name in OPTIMIZERS.names()
        for key in OPTIMIZERS.get(name).Options.model_fields
        if key != "type"
        for value in BAD[key]
    ],
)
def test_options_refuse_bad_values(name, key, value):
    with pytest.raises(ValidationError) as caught:
        OPTIMIZERS.get(name).Options(**{key: value})
    assert [error["loc"] for error in caught.value.errors()] == [(key,)]


def test_weight_decay_shrinks_what_it_is_told_to():
    """A gradient of zero moves nothing, so that θ·(1 - 0.1·0.5) is left where it decays."""
    rule, parameters = rule_of("adamw", {"weight_decay": 0.5}), np.array([1.0, 2.0, 4.0])
    slots = rule.initial_slots(3, "float64")
    update(rule, parameters, np.zeros(3), slots, learning_rate=0.1, decays=np.array([True, False, True]))
    assert parameters.tolist() == pytest.approx([0.95, 2.0, 3.8])


def test_under_a_schedule_momentum_is_that_of_keras_and_not_of_pytorch(keras):
    """Gradient 1, rate 0.1 and then 0.05, momentum 0.9.

    Inside the velocity: v = -0.1, then -0.09 - 0.05 = -0.14; θ = -0.24. Outside, as PyTorch has it: v = 1, then 1.9;
    θ = -0.1 - 0.095 = -0.195. At a constant rate both are -0.1 - 0.19 = -0.29.
    """
    torch = pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    for rates, ours, theirs in (((0.1, 0.05), -0.24, -0.195), ((0.1, 0.1), -0.29, -0.29)):
        rule, parameters = rule_of("sgd", {"momentum": 0.9}), np.zeros(1)
        slots = rule.initial_slots(1, "float64")
        tensor, variable = torch.zeros(1, dtype=torch.float64), keras.Variable(np.zeros(1), dtype="float64")
        in_torch = torch.optim.SGD([tensor], lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LambdaLR(in_torch, lambda step, rates=rates: rates[min(step, 1)] / 0.1)
        in_keras = keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)
        for rate in rates:
            update(rule, parameters, np.ones(1), slots, learning_rate=rate)
            tensor.grad = torch.ones(1, dtype=torch.float64)
            in_torch.step()
            schedule.step()
            in_keras.learning_rate = rate
            in_keras.apply([keras.ops.ones(1, dtype="float64")], [variable])
        assert parameters[0] == pytest.approx(ours, abs=1e-15)
        assert np.asarray(variable)[0] == pytest.approx(ours, rel=1e-6)  # its rate is a float32
        assert tensor[0].item() == pytest.approx(theirs, abs=1e-15)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValidationError) as caught:
        OPTIMIZERS.get("sgd").Options(nesterov=True)
    assert caught.value.errors()[0]["msg"] == (
        "Value error, nesterov changes nothing without momentum; set momentum above 0, or leave nesterov out"
    )
