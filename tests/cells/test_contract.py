"""The contract of every registered cell, also of those in other packages."""

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.backends.numpy.reference import step_gradients
from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, AbstractDerivedByHand, CellOptions, StepGradients
from rnnlab.cells.carry import Carry
from rnnlab.core import activations
from rnnlab.core.namespace import NUMPY, FrozenNamespace
from rnnlab.core.streams import stream
from rnnlab.testing.cells import check_step

FEATURES, UNITS, ROWS = 3, 5, 4
DIFFERENCE = 1e-6
EVERY_CELL = pytest.mark.parametrize("name", CELLS.names())
_GATE = UNITS * (FEATURES + UNITS + 1)
# Names in order, and how many values.
PARAMETERS = {
    "simple": ("W U b", _GATE),
    "carry": ("Wi Ui bi Wf Uf bf Wk Uk bk Wo Uo Vo bo", 4 * _GATE + UNITS * UNITS),
    "lstm": ("Wi Ui bi Wf Uf bf Wg Ug bg Wo Uo bo", 4 * _GATE),
    "gru": ("Wz Uz bz Wr Ur br Wn Un bn bhn", 3 * _GATE + UNITS),
    "indrnn": ("W u b", UNITS * (FEATURES + 2)),
    "janet": ("Wf Uf bf Wj Uj bj", 2 * _GATE),
    # 3·H hidden units, each with a weight from every input and every hidden unit, and a bias.
    "lstm_1997": ("Wc Uc Vic Voc bc Wi Ui Vii Voi bi Wo Uo Vio Voo bo", 3 * UNITS * (FEATURES + 3 * UNITS + 1)),
    "lstm_peephole": ("Wi Ui pi bi Wf Uf pf bf Wg Ug bg Wo Uo po bo", 4 * _GATE + 3 * UNITS),
    "mingru": ("Wz bz Wk bk", 2 * UNITS * (FEATURES + 1)),
    "slstm": ("Wi Ui bi Wf Uf bf Wz Uz bz Wo Uo bo", 4 * _GATE),
    "ugrnn": ("Wc Uc bc Wg Ug bg", 2 * _GATE),
}


def make(name: str, **options: object) -> AbstractCell:
    kind = CELLS.get(name)
    return kind(kind.Options(units=UNITS, **options))


def normal(what: str, shape: tuple[int, ...], dtype: str = "f8") -> np.ndarray:
    return stream(3, f"test/{what}").normal(0, 0.5, shape).astype(dtype)


def given(cell: AbstractCell, dtype: str = "f8") -> tuple[dict, np.ndarray, dict]:
    """Parameters, inputs and a state, none of them zero."""
    parameters = {name: normal(name, p.shape, dtype) for name, p in cell.parameters(FEATURES).items()}
    state = {name: normal(f"state/{name}", (ROWS, size), dtype) for name, size in cell.state_sizes().items()}
    return parameters, normal("inputs", (ROWS, FEATURES), dtype), state


def cotangents(cell: AbstractCell) -> tuple[np.ndarray, dict]:
    sizes = cell.state_sizes()
    return normal("d/output", (ROWS, UNITS)), {name: normal(f"d/{name}", (ROWS, size)) for name, size in sizes.items()}


def scalar(cell: AbstractCell, point: dict, xp: FrozenNamespace) -> float:
    """A number whose gradient is the vector-Jacobian product with the cotangents."""
    step = cell.step(xp, point, point["inputs"], {name: point[name] for name in cell.states})
    to_output, to_state = cotangents(cell)
    return float((step.output * to_output).sum() + sum((step.state[s] * to_state[s]).sum() for s in cell.states))


def gradients_of(cell: AbstractCell, parameters: dict, inputs: np.ndarray, state: dict) -> StepGradients:
    """What the reference computes: by hand where a cell has that, else derived."""
    step = cell.step(NUMPY, parameters, inputs, state)
    to_output, to_state = cotangents(cell)
    given = {"inputs": inputs, "state": state, "step": step, "output_gradient": to_output.astype(inputs.dtype)}
    flowing = {name: array.astype(inputs.dtype) for name, array in to_state.items()}
    return step_gradients(cell, parameters, **given, state_gradient=flowing)


def assert_vjp(cell: AbstractCell) -> None:
    parameters, inputs, state = given(cell)
    back = gradients_of(cell, parameters, inputs, state)
    point = {**parameters, "inputs": inputs, **state}
    gradients = {**back.parameters, "inputs": back.inputs, **back.state}
    assert {name: array.shape for name, array in gradients.items()} == {name: a.shape for name, a in point.items()}
    xp = FrozenNamespace()
    scalar(cell, point, xp)
    for name, n in itertools.product(point, range(3)):
        direction = stream(n, f"test/direction/{name}").normal(size=point[name].shape)
        direction /= np.linalg.norm(direction)
        ahead, behind = (
            scalar(cell, {**point, name: point[name] + sign * DIFFERENCE * direction}, xp.again()) for sign in (1, -1)
        )
        expected, got = (ahead - behind) / (2 * DIFFERENCE), float((gradients[name] * direction).sum())
        assert abs(got - expected) <= 1e-7 * max(abs(expected), 1e-2), (name, got, expected)


@EVERY_CELL
def test_the_file_the_name_and_the_type_are_one_word(name: str) -> None:
    kind = CELLS.get(name)
    assert kind.name == name
    assert kind.Options().type == name
    assert kind.__module__.rpartition(".")[2] == name


@EVERY_CELL
def test_it_says_what_it_is(name: str) -> None:
    kind = CELLS.get(name)
    assert type(kind.version) is int
    assert kind.version >= 1
    assert ">>>" in kind.__doc__
    assert "Source:" in kind.__doc__
    assert all(text.strip() for text in (kind.title, kind.equations, kind.source))
    assert [key for key, field in kind.Options.model_fields.items() if not field.description and key != "type"] == []


@EVERY_CELL
def test_parameters(name: str) -> None:
    """W reads the inputs, b is a bias, everything else is recurrent: names, order, shapes, roles."""
    parameters = make(name).parameters(FEATURES)
    if name in PARAMETERS:
        names, count = PARAMETERS[name]
        assert list(parameters) == names.split()
        assert sum(p.size for p in parameters.values()) == count
    for key, parameter in parameters.items():
        shape, role = {"W": ((FEATURES, UNITS), "kernel"), "b": ((UNITS,), "bias")}.get(
            key[0], ((UNITS, UNITS) if len(parameter.shape) == 2 else (UNITS,), "recurrent_kernel")
        )
        assert (parameter.shape, parameter.role) == (shape, role), key


def test_the_forget_bias_is_added_to_bf_alone() -> None:
    offsets = {name: p.offset for name, p in make("carry", forget_bias=2.5).parameters(FEATURES).items()}
    assert offsets == {**dict.fromkeys(PARAMETERS["carry"][0].split(), 0.0), "bf": 2.5}


@EVERY_CELL
def test_a_step_is_what_every_engine_needs(name: str) -> None:
    """Shapes, dtypes, no argument that is written to, rows by themselves: as of a user's cell."""
    check_step(make(name))


@EVERY_CELL
def test_the_first_state_is_zero(name: str) -> None:
    cell = make(name)
    state = cell.initial_state(np, ROWS, "f4")
    assert list(state) == list(cell.states)
    for name, array in state.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, np.zeros((ROWS, cell.state_sizes()[name])))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softsign", "linear"])
@EVERY_CELL
def test_the_derivative_is_that_of_the_step(name: str, activation: str) -> None:
    assert_vjp(make(name, activation=activation))


BY_HAND = [name for name in CELLS.names() if issubclass(CELLS.get(name), AbstractDerivedByHand)]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_step_saves_all_that_its_derivative_by_hand_needs(name: str) -> None:
    """Another instance, which never made the step, gives the same derivative; no argument was written to."""
    cell = make(name)
    parameters, inputs, state = given(cell)
    arrays = [*parameters.values(), inputs, *state.values(), *cotangents(cell)[1].values()]
    for array in arrays:
        array.flags.writeable = False
    saved = cell.step(np, parameters, inputs, state).saved
    to_output, to_state = cotangents(cell)
    own, other = (
        c.step_vjp(np, parameters, saved, output_gradient=to_output, state_gradient=to_state)
        for c in (cell, make(name))
    )
    assert np.array_equal(own.inputs, other.inputs)
    assert all(np.array_equal(own.parameters[p], other.parameters[p]) for p in parameters)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("units", 0, "greater than or equal to 1"),
        ("units", 65_537, "less than or equal to 65536"),
        ("units", 2.5, "valid integer"),
        ("units", True, "valid integer"),
        ("layers", 0, "greater than or equal to 1"),
        ("layers", 65, "less than or equal to 64"),
        ("activation", "tanhh", "unknown activation 'tanhh' — did you mean 'tanh'?"),
        ("activtion", "tanh", "Extra inputs are not permitted"),
        ("initializers", {"kernel": "glorot"}, "does not match any of the expected tags"),
        ("initializers", {"bias": "orthogonal"}, "does not match any of the expected tags"),
        ("initializers", {"bias": "identity"}, "does not match any of the expected tags"),
        ("initializers", {"kernel": {"type": "normal", "scale": 0.0}}, "greater than 0"),
    ],
)
@EVERY_CELL
def test_bad_options_are_refused(name: str, key: str, value: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CELLS.get(name).Options(**{key: value})
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("recurrent_activation", "sigmoidd", "did you mean 'sigmoid'?"),
        ("forget_bias", 101.0, "less than or equal to 100"),
        ("forget_bias", float("nan"), "finite number"),
    ],
)
def test_bad_options_of_carry_are_refused(key: str, value: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Carry.Options(**{key: value})
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "options", "reason"),
    [
        ("lstm", {"chrono": 2}, "greater than or equal to 3"),
        ("lstm_1997", {"cells_per_block": 2, "units": 5}, "expected units as a multiple of cells_per_block, 2"),
        ("lstm_1997", {"units": 3, "input_gate_bias": [-1.0, -3.0]}, "expected 3 numbers in input_gate_bias"),
        ("lstm_1997", {"units": 1, "output_gate_bias": [-101.0]}, "expected numbers from -100 to 100"),
        ("lstm_1997", {"units": 1, "output_gate_bias": [-1.0], "hidden_bias": "none"}, "no output_gate_bias with"),
        ("lstm_1997", {"units": 1, "output_gate_bias": [-1.0], "output_gate": False}, "with `output_gate: false`"),
        ("lstm_1997", {"state_activation": "tahn"}, "did you mean 'tanh'?"),
        ("lstm_peephole", {"peephole_initializer": {"type": "orthogonal"}}, "does not match any of the expected tags"),
        ("indrnn", {"recurrent_min": 2.0, "recurrent_max": 1.0}, "expected recurrent_min of at most recurrent_max, 1"),
        ("slstm", {"forget_activation": "tanh"}, "Input should be 'sigmoid' or 'exp'"),
    ],
)
def test_bad_options_of_a_cell_are_refused(cell: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CELLS.get(cell).Options(**options)
    assert reason in str(caught.value)


def test_the_gate_biases_of_each_block_are_not_drawn() -> None:
    cell = make("lstm_1997", cells_per_block=5, input_gate_bias=[-3.0])
    described = cell.parameters(FEATURES)
    assert (described["bi"].offset, described["bi"].initializer.type) == ((-3.0,), "zeros")
    assert (described["bo"].offset, described["bo"].initializer) == (0.0, None)


@EVERY_CELL
def test_every_activation_is_an_option(name: str) -> None:
    for activation in activations.names():
        assert make(name, activation=activation).activation is activations.get(activation)


def test_options_of_the_contract_are_those_of_every_cell() -> None:
    shared = set(CellOptions.model_fields)
    assert all(shared <= set(CELLS.get(name).Options.model_fields) for name in CELLS.names())
