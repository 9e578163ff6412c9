"""What an update does to a network, against PyTorch's and Keras's own optimisers on separate parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.base import Network
from tests.backends.contenders import TOLERANCES, Contender, assert_close, reference
from tests.networks import LEARNING_RATE, batch, parameters

Arrays = dict[str, Any]
DECAY, STEPS = 0.5, 10
ALIKE = {"epsilon": 1e-12}  # where PyTorch and Keras add it does not matter then


def is_bias(name: str) -> bool:
    return name.rpartition(".")[2].startswith("b")


def array_of(variable: Any) -> Any:
    """Return the value of a Keras variable of any engine; NumPy cannot ask all of them itself."""
    value = variable.value.detach() if hasattr(variable.value, "detach") else variable.value
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def torch_adamw(net: Network, gradients: Callable[[Arrays], Arrays]) -> Arrays:
    """Ten steps of `torch.optim.AdamW` with two groups of parameters, as everybody writes it."""
    torch = pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    own = {name: torch.tensor(array, dtype=torch.float64) for name, array in parameters(net).items()}
    weights, biases = ([own[name] for name in own if is_bias(name) is which] for which in (False, True))
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, eps=1e-12)
    for _ in range(STEPS):
        for name, array in gradients({name: tensor.numpy() for name, tensor in own.items()}).items():
            own[name].grad = torch.tensor(array)
        optimizer.step()
    return {name: tensor.numpy() for name, tensor in own.items()}


@pytest.mark.parametrize("contender", ["numpy-fast", "numpy-compiled", "keras-derived"], indirect=True)
@pytest.mark.parametrize("cell", ["simple", "carry"])
def test_weight_decay_spares_biases(contender: Contender, cell: str) -> None:
    net = contender.network(cell)
    data, start = batch(net), parameters(net)

    def gradients(at: Arrays) -> Arrays:
        return reference(net, at).loss_and_gradients(data)[1]

    model = contender.build(net, rule="adamw", weight_decay=DECAY, **ALIKE)
    for _ in range(STEPS):
        model.train_step(data)
    expected = torch_adamw(net, gradients)
    assert_close(model.parameters(), expected, net, "trained")
    # What is compared matters: without decay the weights are elsewhere, and so are the biases if they decay.
    plain = reference(net, rule="adamw", weight_decay=0.0, **ALIKE)
    for _ in range(STEPS):
        plain.train_step(data)
    moved = {name: np.abs(plain.parameters()[name] - expected[name]).max() for name in start}
    assert min(moved[name] for name in start if not is_bias(name)) > 5e-3 >= 5 * TOLERANCES[net.precision]["trained"]


@pytest.mark.parametrize("contender", ["numpy-fast", "keras-derived"], indirect=True)
def test_weight_decay_is_that_of_keras_with_biases_excluded(contender: Contender, keras: Any) -> None:
    net = contender.network("carry")
    data, start = batch(net), parameters(net)
    variables = {name: keras.Variable(array, name=name.replace(".", "_")) for name, array in start.items()}
    optimizer = keras.optimizers.AdamW(learning_rate=LEARNING_RATE, weight_decay=DECAY, **ALIKE)
    optimizer.exclude_from_weight_decay(var_list=[variable for name, variable in variables.items() if is_bias(name)])
    model = contender.build(net, rule="adamw", weight_decay=DECAY, **ALIKE)
    for _ in range(STEPS):
        at = {name: array_of(variable) for name, variable in variables.items()}
        found = reference(net, at).loss_and_gradients(data)[1]
        optimizer.apply(
            [keras.ops.convert_to_tensor(found[name].astype(net.precision)) for name in variables],
            list(variables.values()),
        )
        model.train_step(data)
    theirs = {name: array_of(variable) for name, variable in variables.items()}
    for name, array in model.parameters().items():
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=2e-3 * LEARNING_RATE, err_msg=name)
