"""The contract of every backend, on each of its paths: its numbers are those of the readable NumPy model.

That one is compared with central differences in `test_gradients.py`, and with all others to outside references in
`test_outside.py`.
"""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pytest

from rnnlab.cells import CELLS
from rnnlab.core import activations, namespace
from rnnlab.core.batch import Batch
from tests.backends.contenders import LOOPING, NUMPY, TOLERANCES, Contender, assert_close, assert_same_bits, reference
from tests.networks import LEARNING_RATE, VARIANTS, batch, parameters


def only(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("contender", names, indirect=True)


def with_rubbish(data: Batch) -> Batch:
    """The same batch with noise where its padding was."""
    padding = np.arange(data.inputs.shape[1])[None, :, None] >= data.lengths[:, None, None]
    return Batch(np.where(padding, 99.0, data.inputs), data.targets, data.mask, data.lengths)


LAST, LAST_CUT = (False, "cross_entropy", None, "finest"), (False, "sigmoid_mse", 3, "finest")
EVERY, EVERY_CUT = (True, "mse", None, "float32"), (True, "binary_cross_entropy", 3, "finest")
WAYS = {
    "numpy-fast": (LAST, LAST_CUT, EVERY, EVERY_CUT),
    "numpy-compiled": (LAST, LAST_CUT, EVERY, EVERY_CUT),
    "keras-derived": (LAST_CUT, EVERY, EVERY_CUT),
    "keras-loop": (LAST_CUT, EVERY),
    "keras-unrolled": (EVERY_CUT,),
}
# What Keras compiles of the other cells by default; it takes a second each, and the rest is `soak`.
QUICK = {"keras-derived": ("simple", "carry"), "keras-loop": ("simple", "carry"), "keras-unrolled": ("simple", "carry")}
QUICK_WAYS = [("keras-derived", EVERY_CUT, CELLS.names())]


def with_cells(name: str, *way: Any, quick: Collection[str] = ()) -> list[Any]:
    """Every cell, those marked as `soak` that take long."""
    slow = [cell for cell in CELLS.names() if cell not in {*QUICK.get(name, CELLS.names()), *quick}]
    return [pytest.param(name, cell, *way, marks=[pytest.mark.soak] * (cell in slow)) for cell in CELLS.names()]


def every_way() -> Iterator[Any]:
    for name, ways in WAYS.items():
        for way in ways:
            quick = [cell for other, its, cells in QUICK_WAYS if (other, its) == (name, way) for cell in cells]
            yield from with_cells(name, *way, quick=quick)


@pytest.mark.parametrize(
    ("contender", "cell", "sequences", "loss", "bptt_steps", "precision"), list(every_way()), indirect=["contender"]
)
def test_outputs_states_loss_and_gradients(
    contender: Contender, cell: str, sequences: bool, loss: str, bptt_steps: int | None, precision: str
) -> None:
    finest = contender.precision if precision == "finest" else precision
    net = contender.network(cell, sequences=sequences, loss=loss, layers=2 if bptt_steps else 1, precision=finest)
    data = batch(net, ragged=True, holes=sequences)
    expected = reference(net, bptt_steps=bptt_steps)
    model = contender.build(net, bptt_steps=bptt_steps, longest=9)
    prediction, right = (one.predict(data.inputs, data.lengths, states=True) for one in (model, expected))
    assert_close({"y": prediction.outputs}, {"y": right.outputs}, net, "outputs")
    assert_close(prediction.states, right.states, net, "outputs")
    got_loss, gradients = model.loss_and_gradients(data)
    right_loss, right_gradients = expected.loss_and_gradients(data)
    assert got_loss == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right_gradients, net, "gradients")
    arrays = [prediction.outputs, *prediction.states.values(), *gradients.values(), *model.parameters().values()]
    assert {array.dtype for array in arrays} == {net.dtype}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize(
    ("contender", "cell"),
    [one for name in (*NUMPY, "keras-derived") for one in with_cells(name)],
    indirect=["contender"],
)
def test_padding_never_counts(contender: Contender, cell: str, sequences: bool) -> None:
    """A ragged batch gives the weighted mean of its sequences alone, whatever lies in the padding."""
    net = contender.network(cell, sequences=sequences)
    data = batch(net, ragged=True)
    loss, gradients = contender.build(net).loss_and_gradients(with_rubbish(data))
    total, summed = 0.0, dict.fromkeys(gradients, 0.0)
    for row, length in enumerate(data.lengths):
        one = slice(row, row + 1)
        targets = data.targets[one, :length] if sequences else data.targets[one]
        alone = Batch(data.inputs[one, :length], targets, data.mask[one, :length], data.lengths[one])
        weight = alone.mask.sum() / data.mask.sum()
        own_loss, own = reference(net).loss_and_gradients(alone)
        total += weight * own_loss
        summed = {name: summed[name] + weight * own[name] for name in own}
    assert loss == pytest.approx(total, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, summed, net, "gradients")


@pytest.mark.parametrize("cell", ["simple"])
@only(*NUMPY, "keras-derived")
def test_the_gradient_of_a_sum_is_that_of_the_mean_times_the_scored_steps_per_sequence(
    contender: Contender, cell: str
) -> None:
    net = contender.network(cell, sequences=True)
    data = batch(net, ragged=True, holes=True)
    loss, gradients = contender.build(net, sums_steps=True).loss_and_gradients(data)
    mean, expected = reference(net).loss_and_gradients(data)
    assert loss == pytest.approx(mean, rel=TOLERANCES[net.precision]["outputs"])
    factor = data.mask.sum() / data.size
    assert_close(gradients, {name: factor * one for name, one in expected.items()}, net, "gradients")


@pytest.mark.parametrize(("cell", "sequences"), [("simple", False), ("carry", True)])
@only(*LOOPING)
def test_a_step_moves_against_the_gradient_or_not_at_all(contender: Contender, cell: str, sequences: bool) -> None:
    net = contender.network(cell, sequences=sequences)
    data, model, expected = batch(net, holes=sequences), contender.build(net), reference(net)
    (loss, gradients), tolerance = expected.loss_and_gradients(data), TOLERANCES[net.precision]
    outputs = expected.predict(data.inputs).outputs
    moved = {name: array - LEARNING_RATE * gradients[name] for name, array in model.parameters().items()}
    result = model.train_step(data)
    norm = np.sqrt(sum(np.square(array).sum() for array in gradients.values()))
    assert result.learning_rate == LEARNING_RATE
    assert result.loss == pytest.approx(loss, rel=tolerance["outputs"])
    assert result.gradient_norm == pytest.approx(norm, rel=tolerance["gradients"])
    scored = np.where(data.mask[:, :, None], outputs, 0) if sequences else outputs
    assert_close({"y": result.outputs}, {"y": scored}, net, "outputs")
    after = model.parameters()
    assert_close(after, moved, net, "outputs")
    data.targets[0, 0] = np.inf  # of a step that is scored
    assert not np.isfinite(model.train_step(data).loss)
    assert_same_bits(model.parameters(), after)


@only(*LOOPING)
def test_a_norm_whose_squares_overflow_is_still_a_norm(contender: Contender) -> None:
    """One linear unit, three inputs of 1, W 1e-22, head.W 1e22 and targets 0: y = 3 in both outputs, and the loss is 9.

    dL/dy = 2·3/2 = 3 for each output, so dL/dh = 2·3·1e22 = 6e22, and that is the gradient of b and of each of three W.
    Its square is beyond float32; the norm is 6e22·√4.
    """
    net = contender.network("simple", precision="float32", activation="linear", units=1)
    data = batch(net, batch_size=1, timesteps=1)
    data.inputs[...], data.targets[...] = 1.0, 0.0
    values = {"layers.0.W": 1e-22, "head.W": 1e22}
    given = {name: np.full_like(array, values.get(name, 0.0)) for name, array in parameters(net).items()}
    model = contender.build(net, given, clip_norm=0.5)
    result = model.train_step(data)
    assert result.loss == pytest.approx(9, rel=1e-5)
    assert result.gradient_norm == pytest.approx(1.2e23, rel=1e-5)
    (moved,) = given["layers.0.b"] - model.parameters()["layers.0.b"]
    assert moved == pytest.approx(LEARNING_RATE * 0.5 * 6e22 / 1.2e23, rel=1e-5)


@only(*LOOPING)
def test_state_goes_out_and_in(contender: Contender) -> None:
    """Four steps are bit-identical to two, the state moved to another model, and two more; and to four from the start.

    The batch is so large that engines which compute parts of it side by side do so.
    """
    net = contender.network("carry", precision="float32", units=32)
    data = batch(net, batch_size=32, timesteps=4, ragged=True)
    one, other = (contender.build(net, rule="adam") for _ in range(2))
    start = one.state_dict()
    for _ in range(2):
        one.train_step(data)
    halfway = one.state_dict()
    for _ in range(2):
        one.train_step(data)
    end = one.state_dict()
    assert {name: array.shape for name, array in halfway.items()} == {name: a.shape for name, a in end.items()}
    for state, steps in ((halfway, 2), (start, 4)):
        other.load_state_dict(state)
        for _ in range(steps):
            other.train_step(data)
        assert_same_bits(other.state_dict(), end)
    assert np.abs(end["parameters/layers.0.Uf"] - halfway["parameters/layers.0.Uf"]).max() > 1e-3


@pytest.mark.parametrize(
    ("contender", "cell"),
    [*(one for name in (*NUMPY, "keras-derived") for one in with_cells(name)), ("keras-loop", "simple")],
    indirect=["contender"],
)
def test_long_predictions_run_in_stretches(contender: Contender, cell: str) -> None:
    """520 steps cross the stretch boundary twice; the same numbers as one step after another."""
    net = contender.network(cell)
    data, lengths, given = batch(net, timesteps=520), np.array([1, 256, 257, 520]), parameters(net)
    prediction = contender.build(net).predict(data.inputs, lengths, states=True)
    own = {name.removeprefix("layers.0."): array for name, array in given.items()}
    state = net.cell.initial_state(np, 4, "f8")
    tolerance = TOLERANCES[net.precision]["outputs"]
    for t in range(520):
        step = net.cell.step(namespace.NUMPY, own, data.inputs[:, t], state)
        state = step.state
        for name, array in state.items():
            got = prediction.states[f"layers.0.{name}"][:, t]
            np.testing.assert_allclose(got, array, rtol=0, atol=tolerance)
        rows = np.flatnonzero(lengths == t + 1)
        expected = step.output[rows] @ given["head.W"] + given["head.b"]
        np.testing.assert_allclose(prediction.outputs[rows], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=[f"{name}-{'-'.join(one)}" for name, one in VARIANTS])
@only("numpy-fast", "numpy-compiled")
def test_every_form_of_a_cell(contender: Contender, cell: str, options: dict[str, Any]) -> None:
    net = contender.network(cell, units=4, layers=2, sequences=True, **options)
    data = batch(net, ragged=True, holes=True)
    loss, gradients = contender.build(net, bptt_steps=3).loss_and_gradients(data)
    right_loss, right_gradients = reference(net, bptt_steps=3).loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right_gradients, net, "gradients")


@pytest.mark.parametrize(
    ("contender", "cell", "name"),
    [
        # Keras compiles one network for each: half of them on one of its paths, half on the other.
        pytest.param(way, cell, name, marks=[pytest.mark.soak] * (half is not None and place % 2 != half))
        for way, cell, half in (
            ("numpy-fast", "simple", None),
            ("numpy-fast", "carry", None),
            ("numpy-compiled", "simple", None),
            ("numpy-compiled", "carry", None),
            ("keras-loop", "simple", 0),
            ("keras-derived", "carry", 1),
        )
        for place, name in enumerate(activations.names())
    ],
    indirect=["contender"],
)
def test_every_activation(contender: Contender, cell: str, name: str) -> None:
    """Of the gates i and f it is the one before in the list, so that each serves in both places."""
    names = activations.names()
    gates = {"recurrent_activation": names[names.index(name) - 1]} if cell == "carry" else {}
    net = contender.network(cell, activation=name, **gates)
    data = batch(net, timesteps=3)
    loss, gradients = contender.build(net).loss_and_gradients(data)
    right_loss, right_gradients = reference(net).loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right_gradients, net, "gradients")


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("rmsprop", {"momentum": 0.5, "centered": True}),
        ("adam", {"amsgrad": True}),
        ("adamw", {"weight_decay": 0.01}),
    ],
)
@only("numpy-fast", "numpy-compiled", "keras-derived")
def test_twenty_steps_of_every_optimiser(contender: Contender, rule: str, options: dict[str, Any]) -> None:
    net = contender.network("simple")
    data = batch(net, ragged=True, timesteps=4)
    model, expected = contender.build(net, rule=rule, **options), reference(net, rule=rule, **options)
    for _ in range(20):
        got, right = model.train_step(data), expected.train_step(data)
    tolerance = TOLERANCES[net.precision]["trained"]
    assert got.loss == pytest.approx(right.loss, rel=tolerance)
    assert got.gradient_norm == pytest.approx(right.gradient_norm, rel=tolerance)
    assert_close({"y": got.outputs}, {"y": right.outputs}, net, "trained")
    assert_close(model.state_dict(), expected.state_dict(), net, "trained")


@only("numpy-fast", "numpy-compiled", "keras-derived")
def test_training_resumes_elsewhere(contender: Contender) -> None:
    """Five steps on the reference, five here, five there are fifteen there."""
    net = contender.network("carry")
    data = batch(net, timesteps=4)
    whole, first, last = (reference(net, rule="adam") for _ in range(3))
    here = contender.build(net, rule="adam")
    for before, after in ((first, here), (here, last)):
        for _ in range(5):
            before.train_step(data)
        after.load_state_dict(before.state_dict())
    for model, steps in ((last, 5), (whole, 15)):
        for _ in range(steps):
            model.train_step(data)
    assert_close(last.state_dict(), whole.state_dict(), net, "trained")
