"""Cells against numbers that others computed: unit tests of frameworks, published arrays, layers of PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, Step
from rnnlab.core.namespace import NUMPY
from rnnlab.equations.evaluate import pull_back
from rnnlab.equations.plan import plan_of

Array = NDArray[Any]
Arrays = Mapping[str, Array]


def make(name: str, **options: Any) -> AbstractCell:
    kind = CELLS.get(name)
    return kind(kind.Options(**options))


def run(cell: AbstractCell, given: Arrays, inputs: Array, state: Arrays | None = None) -> list[Step]:
    """Return each step over inputs (T, B, I), from the zero state unless another is given."""
    state = cell.initial_state(np, inputs.shape[1], "f8") if state is None else state
    steps = list[Step]()
    for x in inputs:
        steps.append(cell.step(NUMPY, given, x, state))
        state = steps[-1].state
    return steps


def back(cell: AbstractCell, given: Arrays, inputs: Array, to_outputs: Sequence[Array]) -> dict[str, Array]:
    """Return the gradients of the parameters and of the inputs, derived, from those of the outputs of all steps."""
    first = cell.initial_state(np, inputs.shape[1], "f8")
    before = [first, *(step.state for step in run(cell, given, inputs)[:-1])]
    plan, flowing = plan_of(cell, inputs.shape[2]), {name: np.zeros_like(array) for name, array in first.items()}
    total = {name: np.zeros_like(array) for name, array in given.items()} | {"inputs": np.zeros_like(inputs)}
    for t in reversed(range(len(inputs))):
        at = {"inputs": inputs[t], "state": before[t], "output_gradient": to_outputs[t], "state_gradient": flowing}
        found = pull_back(plan, NUMPY, given, **at)
        for name, array in found.parameters.items():
            total[name] += array
        total["inputs"][t], flowing = found.inputs, found.state
    return total


def constant(cell: AbstractCell, features: int, values: Mapping[str, float]) -> dict[str, Array]:
    """Return parameters that all have the value of their name, or of its first letter."""
    shapes = {name: one.shape for name, one in cell.parameters(features).items()}
    return {name: np.full(shape, values.get(name, values.get(name[0], 0.0))) for name, shape in shapes.items()}


def counted(*shape: int) -> Array:
    """Return 0, 1, 2 … as inputs (T, B, I) of the shape (B, T, I)."""
    return np.arange(float(np.prod(shape))).reshape(shape).swapaxes(0, 1)


STATE = np.arange(4.0).reshape(2, 2)
# Keras 3.8, lstm_test.py, gru_test.py and simple_rnn_test.py: kernel 0.01, recurrent 0.02, biases 0.03.
KERAS = {"W": 0.01, "U": 0.02, "b": 0.03}
WITHOUT_BIAS = KERAS | {"b": 0.0}
AFTER = KERAS | {"bz": 0.06, "br": 0.06}  # Keras has two biases of each gate there


@pytest.mark.parametrize(
    ("cell", "values", "expected"),
    [
        (make("lstm", units=3), KERAS | {"bf": 1.0}, [0.6288687, 0.86899155, 0.9460773]),
        (make("lstm", units=3), KERAS, [0.57019705, 0.8661914, 0.9459622]),
        (make("lstm", units=3), WITHOUT_BIAS, [0.54986924, 0.86226785, 0.9443936]),
        (make("gru", units=3), AFTER, [0.5217289, 0.6371659, 0.39384964]),
        (make("gru", units=3, reset_after=False), KERAS, [0.51447755, 0.6426879, 0.40208298]),
        (make("gru", units=3, reset_after=False), WITHOUT_BIAS, [0.49988455, 0.64701194, 0.4103359]),
    ],
    ids=["lstm", "lstm-no-forget-bias", "lstm-no-bias", "gru-after", "gru-before", "gru-no-bias"],
)
def test_keras_last_output(cell: AbstractCell, values: Mapping[str, float], expected: list[float]) -> None:
    last = run(cell, constant(cell, 4, values), counted(3, 6, 4))[-1].output
    np.testing.assert_allclose(last, np.repeat(expected, 3).reshape(3, 3), atol=2e-7)


@pytest.mark.parametrize(
    ("cell", "values", "expected"),
    [
        (make("lstm", units=2), KERAS | {"bf": 1.0}, [[0.20574439, 0.3558822], [0.64930826, 0.66276]]),
        (make("gru", units=2), AFTER, [[0.23774096, 0.33508456], [0.83659905, 1.0227708]]),
    ],
    ids=["lstm", "gru"],
)
def test_keras_from_an_initial_state(
    cell: AbstractCell, values: Mapping[str, float], expected: list[list[float]]
) -> None:
    last = run(cell, constant(cell, 3, values), counted(2, 4, 3), dict.fromkeys(cell.states, STATE))[-1].output
    np.testing.assert_allclose(last, expected, atol=2e-7)


def test_keras_simple_rnn() -> None:
    cell = make("simple", units=4)
    last = run(cell, constant(cell, 4, KERAS), counted(2, 3, 4))[-1].output
    np.testing.assert_allclose(last[:, 0], [0.405432, 0.73605347], atol=2e-7)


def from_torch(cell: AbstractCell, tensors: Mapping[str, Array], order: str) -> dict[str, Array]:
    """Return the parameters that `torch.nn` keeps as rows of gates in this order."""
    parts = {name: np.split(tensor, len(order)) for name, tensor in tensors.items()}
    given = {}
    for n, gate in enumerate(order):
        of_input, of_state = parts["bias_ih_l0"][n], parts["bias_hh_l0"][n]
        given |= {f"W{gate}": parts["weight_ih_l0"][n].T, f"U{gate}": parts["weight_hh_l0"][n].T}
        apart = cell.name == "gru" and gate == "n"
        given |= {"bn": of_input, "bhn": of_state} if apart else {f"b{gate}": of_input + of_state}
    return given


def test_the_numbers_of_pytorchs_test_in_cpp() -> None:
    """test/cpp/api/rnn.cpp, CheckOutputValuesMatchPyTorch: each tensor is i / size in its own order."""
    shapes = {"weight_ih_l0": (8, 2), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}
    tensors = {name: (np.arange(np.prod(shape)) / np.prod(shape)).reshape(shape) for name, shape in shapes.items()}
    cell, inputs = make("lstm", units=2), ((24 - np.arange(24.0)) / 24).reshape(3, 4, 2)
    steps = run(cell, from_torch(cell, tensors, "ifgo"), inputs)
    first = [0.4391, 0.5402, 0.4330, 0.5324, 0.4261, 0.5239, 0.4183, 0.5147]
    last = [0.7889, 0.9003, 0.7769, 0.8905, 0.7635, 0.8794, 0.7484, 0.8666]
    carry = [1.1647, 1.6106, 1.1425, 1.5726, 1.1187, 1.5329, 1.0931, 1.4911]
    for array, expected in ((steps[0].output, first), (steps[2].output, last), (steps[2].state["c"], carry)):
        np.testing.assert_allclose(array.ravel(), expected, atol=6e-5)


def test_the_arrays_of_cs231n() -> None:
    """Stanford CS231n, assignment 3, `lstm_step_forward`; its order of gates is i, f, o, g."""

    def spread(low: float, high: float, *shape: int) -> Array:
        return np.linspace(low, high, int(np.prod(shape))).reshape(shape)

    cell, given = make("lstm", units=5), {}
    packed = {"W": spread(-2.1, 1.3, 4, 20), "U": spread(-0.7, 2.2, 5, 20), "b": spread(0.3, 0.7, 20)}
    for letter, array in packed.items():
        given |= {f"{letter}{gate}": part for gate, part in zip("ifog", np.split(array, 4, axis=-1), strict=True)}
    state = {"h": spread(-0.3, 0.7, 3, 5), "c": spread(-0.4, 0.9, 3, 5)}
    step = cell.step(NUMPY, given, spread(-0.4, 1.2, 3, 4), state)
    np.testing.assert_allclose(step.output[0], [0.24635157, 0.28610883, 0.32240467, 0.35525807, 0.38474904], atol=1e-8)
    np.testing.assert_allclose(
        step.state["c"][0], [0.32986176, 0.39145139, 0.451556, 0.51014116, 0.56717407], atol=1e-8
    )


@pytest.mark.peers
@pytest.mark.parametrize(("name", "kind", "order"), [("lstm", "LSTM", "ifgo"), ("gru", "GRU", "rzn")])
def test_the_layers_of_pytorch(name: str, kind: str, order: str) -> None:
    """Outputs of each step, and all gradients, in float64."""
    torch = pytest.importorskip("torch")
    cell, rng = make(name, units=4), np.random.default_rng(5)
    inputs, weights = rng.normal(size=(7, 3, 2)), rng.normal(size=(7, 3, 4))
    layer, x = getattr(torch.nn, kind)(2, 4).double(), torch.tensor(inputs, requires_grad=True)
    outputs, _ = layer(x)
    (outputs * torch.tensor(weights)).sum().backward()
    given = from_torch(cell, {name: tensor.detach().numpy() for name, tensor in layer.named_parameters()}, order)
    np.testing.assert_allclose(
        [step.output for step in run(cell, given, inputs)], outputs.detach().numpy(), rtol=0, atol=1e-14
    )
    found = back(cell, given, inputs, weights)
    # Of two biases that are added up, each has the gradient of the sum.
    theirs = {name: tensor.grad.numpy() for name, tensor in layer.named_parameters()}
    halves = theirs | {name: theirs[name] / 2 for name in ("bias_ih_l0", "bias_hh_l0")}
    expected = from_torch(cell, halves, order) | {"inputs": x.grad.numpy()}
    if name == "gru":
        expected |= {"bn": np.split(theirs["bias_ih_l0"], 3)[2], "bhn": np.split(theirs["bias_hh_l0"], 3)[2]}
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-13, err_msg=key)


def test_onnx_peepholes() -> None:
    """ONNX, backend/test/case/node/lstm.py, test_lstm_with_peepholes: all weights 0.1, no biases, one step."""
    cell = make("lstm_peephole", units=3)
    inputs = np.arange(1.0, 9).reshape(1, 2, 4)
    output = run(cell, constant(cell, 4, {"W": 0.1, "U": 0.1, "p": 0.1}), inputs)[0].output
    np.testing.assert_allclose(output, np.repeat([0.37506910, 0.68013094], 3).reshape(2, 3), atol=1e-8)


def test_tensorflow_addons_peepholes() -> None:
    """PeepholeLSTMCell, its unit test: all weights 1, no biases; a one-hot input, and one of zeros."""
    cell = make("lstm_peephole", units=2)
    output = run(cell, constant(cell, 2, {"W": 1.0, "U": 1.0, "p": 1.0}), np.array([[[1.0, 0.0], [0.0, 0.0]]]))[
        0
    ].output
    np.testing.assert_allclose(output, [[0.417551, 0.417551], [0, 0]], atol=5e-7)


def test_tensorflow_contrib_ugrnn() -> None:
    """tf.contrib.rnn, rnn_cell_test.py, testUGRNNCell: weights 0.5, forget bias 1, a state of 0.1."""
    cell = make("ugrnn", units=2)
    given = constant(cell, 4, {"W": 0.5, "U": 0.5, "bg": 1.0})
    step = cell.step(NUMPY, given, np.repeat([1.0, 2.0, 3.0], 4).reshape(3, 4), {"h": np.full((3, 2), 0.1)})
    np.testing.assert_allclose(step.output, np.repeat([0.13752282, 0.10545051, 0.10074195], 2).reshape(3, 2), atol=1e-7)


def test_batzners_indrnn() -> None:
    """indrnn, its unit test: inputs 1, W 1, a state of 2, and u = -5, -2, 0.1, 5 clipped in size to [1, 3]."""
    cell = make("indrnn", units=4, recurrent_min=1.0, recurrent_max=3.0)
    given = {"W": np.ones((4, 4)), "u": np.array([-5, -2, 0.1, 5]), "b": np.zeros(4)}
    assert cell.step(NUMPY, given, np.ones((1, 4)), {"h": np.full((1, 4), 2.0)}).output.tolist() == [[0, 0, 6, 10]]


THREE = np.array([1.0, -0.5, 0.25]).reshape(3, 1, 1)


def scalars(cell: AbstractCell, values: Mapping[str, float]) -> dict[str, Array]:
    """Return the parameters of a cell of one unit and one input."""
    return {name: np.full(one.shape, values[name]) for name, one in cell.parameters(1).items()}


CANDIDATE_AND_GATE = (0.5, 0.4, 0.1), (-0.3, 0.2, 0.6)  # of x, of h, alone


def wired(*parts: str) -> dict[str, float]:
    names = [f"{letter}{part}" for part in parts for letter in "WUb"]
    return dict(zip(names, np.ravel(CANDIDATE_AND_GATE), strict=True))


# Computed outside rnnlab from the papers' equations, three steps of one unit.
@pytest.mark.parametrize(
    ("cell", "values", "expected"),
    [
        (make("ugrnn", units=1), wired("c", "g") | {"bg": 1.6}, [0.11501723, 0.08327786, 0.11314877]),
        (make("janet", units=1), wired("j", "f"), [0.35884995, 0.24574442, 0.34622476]),
        (make("indrnn", units=1), {"W": 0.5, "u": 0.9, "b": 0.1}, [0.6, 0.39, 0.576]),
        (make("mingru", units=1), {"Wk": 0.5, "bk": 0.1, "Wz": -0.3, "bz": 0.6}, [0.63188677, 0.51689053, 0.64764908]),
        (
            make("mingru", units=1, positive=False),
            {"Wk": 0.5, "bk": 0.1, "Wz": -0.3, "bz": 0.6},
            [0.34466551, 0.00869923, 0.14460451],
        ),
        (
            make("slstm", units=1),
            {"Wi": 0.7, "Ui": 0.3, "bi": -0.2, "Wo": 0.2, "Uo": -0.1, "bo": 0.3} | wired("z", "f"),
            [0.33429151, 0.18354395, 0.18371329],
        ),
        (
            make("lstm_peephole", units=1, activation="linear"),
            dict(zip([f"{a}{b}" for b in "gifo" for a in "WUb"], np.linspace(-0.5, 0.9, 12), strict=True))
            | {"pi": 0.1, "pf": 0.2, "po": 0.3},
            [-0.30364159, -0.08195690, -0.19104765],
        ),
    ],
    ids=["ugrnn", "janet", "indrnn", "mingru", "mingru-not-positive", "slstm", "lstm_peephole"],
)
def test_three_steps_of_one_unit(cell: AbstractCell, values: Mapping[str, float], expected: list[float]) -> None:
    steps = run(cell, scalars(cell, values), THREE)
    np.testing.assert_allclose([step.output.item() for step in steps], expected, atol=5e-9)
    if cell.name == "slstm":
        np.testing.assert_allclose([s.state["m"].item() for s in steps], [0.5, 0.13409551, 0.03006318], atol=5e-9)


def test_slstm_does_not_overflow_and_forgets_what_one_step_outweighs() -> None:
    """With exp(1000 x) as the input gate, the mean of z is that of the step with the largest x alone."""
    cell = make("slstm", units=1, forget_activation="exp")
    values = dict.fromkeys(cell.parameters(1), 0.0) | {"Wi": 1000.0, "Wz": 1.0, "bo": 100.0}
    outputs = [step.output.item() for step in run(cell, scalars(cell, values), THREE)]
    np.testing.assert_allclose(outputs, np.tanh([1, 1, 1]), atol=1e-12)


FIRST_CELL = [-0.02504520, 0.01416034, -0.05671659, -0.07283121, -0.12608080]
FIRST_IN = [0.01036214, -0.00163263, 0.00627785, 0.00786292, 0.01896716]
FIRST_OUT = [0.00167324, -0.00121133, 0.00454067, 0.00559436, 0.00669296]
FULL_CELL = [-0.01947625, 0.01333834, -0.05316346, -0.06807036, -0.11160955]
FULL_IN = [0.00963796, -0.00217578, 0.00862564, 0.01100874, 0.02412532]
FULL_OUT = [0.00215210, -0.00142939, 0.00548325, 0.00685734, 0.00953344]


@pytest.mark.parametrize(
    ("truncate", "expected"),
    [(True, [FIRST_CELL, FIRST_IN, FIRST_OUT]), (False, [FULL_CELL, FULL_IN, FULL_OUT])],
    ids=["truncated", "full"],
)
def test_lstm_1997_and_both_its_gradients(truncate: bool, expected: list[list[float]]) -> None:
    """Computed outside rnnlab from the paper's equations: rows (c, i, o) of weights from x, y, i, o and the bias.

    The truncated gradient was checked there against automatic differentiation with every recurrent input detached.
    The output is sigmoid(1.2·y - 0.3), the target of the last step 1, the error half its square.
    """
    cell = make("lstm_1997", units=1, truncate=truncate)
    names = [f"{letter}{target}" for target in "cio" for letter in ("W", "U", "Vi", "Vo", "b")]
    given = scalars(cell, dict(zip(names, np.linspace(-0.5, 0.9, 15), strict=True)))
    steps = run(cell, given, THREE)
    np.testing.assert_allclose(
        [step.state["s"].item() for step in steps], [-0.34881053, -0.44001701, -0.78957831], atol=5e-9
    )
    y = [step.output.item() for step in steps]
    np.testing.assert_allclose(y, [-0.13850364, -0.18098511, -0.33303466], atol=5e-9)
    output = 1 / (1 + np.exp(0.3 - 1.2 * y[-1]))
    delta = (output - 1) * output * (1 - output)
    assert [output, delta * y[-1], delta] == pytest.approx([0.33189170, 0.04933777, -0.14814607], abs=5e-9)
    found = back(cell, given, THREE, [np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), 1.2 * delta)])
    np.testing.assert_allclose(np.reshape([found[name].item() for name in names], (3, 5)), expected, rtol=0, atol=6e-9)


@pytest.mark.parametrize(
    ("inputs", "outputs", "blocks", "size", "biases", "printed"),
    [
        (7, 7, 4, 1, ("gates", False), 264), (7, 7, 3, 2, ("gates", False), 276), (54, 2, 2, 1, ("none", False), 364),
        (1, 1, 3, 1, ("all", False), 102), (2, 1, 2, 2, ("all", True), 93), (8, 4, 2, 2, ("all", True), 156),
        (8, 8, 3, 2, ("all", True), 308),
    ],
    ids=["1-4x1", "1-3x2", "2c", "3", "4-5", "6a", "6b"],
)  # fmt: skip
def test_the_weights_that_hochreiter_and_schmidhuber_printed(
    inputs: int, outputs: int, blocks: int, size: int, biases: tuple[str, bool], printed: int
) -> None:
    """Tables 1 to 10 of the paper; the output layer reads the cells, and has biases in experiments 4 to 6."""
    cell = make("lstm_1997", units=blocks * size, cells_per_block=size, hidden_bias=biases[0])
    hidden = sum(one.size for one in cell.parameters(inputs).values())
    assert hidden + outputs * (blocks * size + biases[1]) == printed
