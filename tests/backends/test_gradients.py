"""Every gradient against central differences along random directions: all cells, activations, layers, masks, cuts."""

import itertools

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.cells import CELLS
from rnnlab.core import activations
from rnnlab.core.batch import Batch
from rnnlab.core.losses import LOSSES
from rnnlab.core.namespace import NUMPY, FrozenNamespace
from rnnlab.core.streams import stream
from tests.networks import VARIANTS, batch, network, parameters, training

STEP = 1e-5
TOLERANCE = 1e-7
# Points where a function has a kink make a central difference meaningless; these seeds keep clear of them.
PAIRS = [("simple", name, None) for name in activations.names()] + [
    ("carry", *pair) for pair in itertools.product(activations.names(), activations.names())
]


def assert_gradients(net: Network, data: Batch, *, bptt_steps: int | None = None, reference: bool = False) -> None:
    start = parameters(net)
    recipe = training(bptt_steps=bptt_steps)
    backend = NumpyBackend(reference=reference)
    _, gradients = backend.build(net, parameters=start, training=recipe).loss_and_gradients(data)

    xp = FrozenNamespace()

    def loss(moved: dict[str, np.ndarray]) -> float:
        return cut_loss(net, data, start=start, moved=moved, stretch=bptt_steps, xp=xp)

    loss(start)
    xp.again()

    for n, name in enumerate(start):
        for direction_number in range(2):
            direction = stream(direction_number, f"test/direction/{n}").normal(size=start[name].shape)
            direction /= np.linalg.norm(direction)
            ahead = loss({**start, name: start[name] + STEP * direction})
            xp.again()
            behind = loss({**start, name: start[name] - STEP * direction})
            xp.again()
            expected = (ahead - behind) / (2 * STEP)
            got = float((gradients[name] * direction).sum())
            assert abs(got - expected) <= TOLERANCE * max(abs(expected), 1e-2), (name, got, expected)


def cut_loss(net: Network, data: Batch, *, start: dict, moved: dict, stretch: int | None, xp: FrozenNamespace) -> float:
    """The loss whose gradient truncated back-propagation is.

    Each stretch starts from the state that the unmoved parameters reach, so moving them acts within a stretch only; of
    each sequence stretches are counted back from its own end. A loop over the cell's step, independent of the backend.
    """
    layers, cell = net.cell.options.layers, net.cell
    own = [{k.split(".")[2]: v for k, v in moved.items() if k.startswith(f"layers.{n}.")} for n in range(layers)]
    fixed = [{k.split(".")[2]: v for k, v in start.items() if k.startswith(f"layers.{n}.")} for n in range(layers)]
    timesteps = data.inputs.shape[1]
    free = [cell.initial_state(np, data.size, "f8") for _ in range(layers)]
    anchor = [dict(state) for state in free]
    total = 0.0
    for t in range(timesteps):
        if stretch:
            begins = ((data.lengths - t) % stretch == 0)[:, None]
            free = [
                {name: np.where(begins, fixed_state[name], array) for name, array in state.items()}
                for state, fixed_state in zip(free, anchor, strict=True)
            ]
        x = y = data.inputs[:, t]
        for n in range(layers):
            step = cell.step(xp, own[n], x, free[n])
            x, free[n] = step.output, step.state
            kept = cell.step(NUMPY, fixed[n], y, anchor[n])
            y, anchor[n] = kept.output, kept.state
        rows = np.flatnonzero(data.mask[:, t])
        if len(rows):
            outputs = x[rows] @ moved["head.W"] + moved["head.b"]
            targets = data.targets[rows, t] if net.return_sequences else data.targets[rows]
            total += float(net.loss_function.values(outputs, targets).sum())
    return total / int(data.mask.sum())


def options_of(cell: str, activation: str, recurrent: str | None) -> dict[str, object]:
    return {"activation": activation} | ({"recurrent_activation": recurrent} if recurrent else {})


@pytest.mark.parametrize(("cell", "activation", "recurrent"), PAIRS)
def test_every_activation(cell: str, activation: str, recurrent: str | None) -> None:
    net = network(cell, **options_of(cell, activation, recurrent))
    assert_gradients(net, batch(net))


@pytest.mark.parametrize("reference", [False, True], ids=["fast", "reference"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_every_loss_and_output(cell: str, sequences: bool, loss: str, reference: bool) -> None:
    net = network(cell, sequences=sequences, loss=loss)
    assert_gradients(net, batch(net), reference=reference)


@pytest.mark.parametrize(
    ("bptt_steps", "layers"),
    [
        pytest.param(cut, layers, marks=[pytest.mark.soak] * (layers == 3 and cut != 3))
        for cut in (None, 1, 3, 100)
        for layers in (1, 2, 3)
    ],
)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_layers_masks_and_cuts(cell: str, sequences: bool, bptt_steps: int | None, layers: int) -> None:
    net = network(cell, sequences=sequences, layers=layers)
    assert_gradients(net, batch(net, ragged=True, holes=sequences), bptt_steps=bptt_steps)


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=[f"{name}-{'-'.join(one)}" for name, one in VARIANTS])
def test_every_form_of_a_cell(cell: str, options: dict[str, object]) -> None:
    net = network(cell, units=4, layers=2, sequences=True, **options)
    assert_gradients(net, batch(net, ragged=True, holes=True), bptt_steps=3)


@pytest.mark.parametrize("cell", CELLS.names())
def test_a_cut_takes_gradient_away_unless_it_is_beyond_the_sequence(cell: str) -> None:
    net = network(cell)
    data, start = batch(net, timesteps=9), parameters(net)

    def gradient(bptt_steps: int | None) -> np.ndarray:
        model = NumpyBackend().build(net, parameters=start, training=training(bptt_steps=bptt_steps))
        return np.concatenate([array.ravel() for array in model.loss_and_gradients(data)[1].values()])

    assert np.array_equal(gradient(9), gradient(None))
    assert np.array_equal(gradient(1000), gradient(None))
    assert np.abs(gradient(5) - gradient(None)).max() > 1e-6
