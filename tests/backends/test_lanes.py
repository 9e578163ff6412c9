"""Many updates of many networks in one call of machine code, against the loop of updates and against each alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.backends._output import OutputOptions
from rnnlab.backends.base import AbstractModel, BlockResult, Network, Training
from rnnlab.backends.numpy import NumpyBackend, NumpyModel, NumpyOptions, lanes
from rnnlab.backends.numpy.compiled import _machine, _population, _product
from rnnlab.backends.numpy.lanes import is_faster_alone, lanes_of
from rnnlab.cells import CELLS
from rnnlab.core.batch import Batch, within_lengths
from rnnlab.core.symbols import Symbols
from rnnlab.optim.schedules import SCHEDULES
from tests.backends.test_updating import RULES
from tests.networks import VARIANTS, batch, network, parameters, training

LOSSES = (
    *("mse", "sigmoid_mse", "sigmoid_mse_classes", "sigmoid_cross_entropy"),
    *("cross_entropy", "binary_cross_entropy"),
)
CELL = pytest.mark.parametrize(
    ("cell", "options"), [*((name, {}) for name in CELLS.names()), *VARIANTS], ids=lambda one: str(one)
)
IN_LANES = NumpyBackend(options=NumpyOptions(compiled=True, lanes=True), processes=1)


def built(net: Network, recipe: Training, count: int, backend: NumpyBackend = IN_LANES) -> list[AbstractModel]:
    return [backend.build(net, parameters=parameters(net, seed), training=recipe) for seed in range(count)]


def drawn(net: Network, updates: int, *, count: int, size: int = 2, **how: Any) -> list[Batch]:
    """Return a batch for each of so many networks, no two alike."""
    whole, found = batch(net, batch_size=updates * size, **how), []
    for seed in range(count):
        rows = np.random.default_rng(seed).permutation(whole.size)
        mask = whole.mask[rows]
        if net.return_sequences:
            mask[:, 0] = True  # so that each update has a step that is scored
        found.append(Batch(whole.inputs[rows] * (1 + seed / 8), whole.targets[rows], mask, whole.lengths[rows]))
    return found


def blocks(models: Sequence[AbstractModel], batches: Sequence[Batch], updates: int) -> list[BlockResult]:
    return IN_LANES.train_blocks(models, batches, updates=updates)


def state(model: AbstractModel) -> dict[str, np.ndarray]:
    return dict(model.state_dict())


def assert_as_the_loop(net: Network, recipe: Training, updates: int, *, tolerance: float = 1e-11, **how: Any) -> None:
    """Train three networks in lanes, and each in NumPy update by update."""
    models, loops = built(net, recipe, 3), built(net, recipe, 3, NumpyBackend(processes=1))
    batches = drawn(net, updates, count=3, **how)
    for model, loop, result, own in zip(models, loops, blocks(models, batches, updates), batches, strict=True):
        expected = loop.train_block(own, updates=updates)
        assert result.learning_rates.tolist() == expected.learning_rates.tolist()
        for name in ("losses", "gradient_norms", "outputs"):
            found, right = getattr(result, name), getattr(expected, name)
            np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance, err_msg=name)
        for name, array in state(loop).items():
            np.testing.assert_allclose(state(model)[name], array, rtol=tolerance, atol=tolerance, err_msg=name)


@CELL
def test_every_cell_learns_as_in_the_loop(cell: str, options: dict[str, Any]) -> None:
    net = network(cell, units=4, sequences=True, **options)
    assert_as_the_loop(net, training(momentum=0.5), 3, ragged=True, holes=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_at_the_last_step(loss: str) -> None:
    assert_as_the_loop(network("simple", loss=loss), training(), 4, ragged=True)


def of_symbols(batch: Batch, features: int) -> Batch:
    """Return the sequences with other inputs, symbols of which some are none."""
    codes = np.random.default_rng(len(batch.mask)).integers(-1, features, batch.mask.shape)
    codes[~within_lengths(batch.lengths, codes.shape[1])] = -1
    return replace(batch, given=Symbols(codes, features))


@pytest.mark.soak
@CELL
def test_symbols_are_read_as_one_hot_vectors_are(cell: str, options: dict[str, Any]) -> None:
    assert_read_as_vectors(network(cell, units=4, layers=2, sequences=True, precision="float32", **options), "adam")


def test_symbols_of_a_simple_network_are_read_as_one_hot_vectors_are() -> None:
    assert_read_as_vectors(network("simple", units=4, sequences=True, precision="float32"), "sgd")


def assert_read_as_vectors(net: Network, rule: str) -> None:
    """Compare bits, for the products add zeros; the output layer reads inputs too."""
    net = replace(net, output=OutputOptions(bias=False, inputs=True))
    recipe, updates = training(rule, bptt_steps=3, clip_norm=0.3), 6
    symbols = [of_symbols(one, net.input_features) for one in drawn(net, updates, count=2, ragged=True, holes=True)]
    dense = [replace(one, given=one.inputs) for one in symbols]
    models, others = built(net, recipe, 2), built(net, recipe, 2)
    results, expected = blocks(models, symbols, updates), blocks(others, dense, updates)
    for model, other, result, right in zip(models, others, results, expected, strict=True):
        for name in ("losses", "gradient_norms", "outputs"):
            assert np.array_equal(getattr(result, name), getattr(right, name)), name
        assert all(np.array_equal(array, state(other)[name]) for name, array in state(model).items())


@pytest.mark.parametrize(
    ("rule", "options", "size"), [("sgd", {}, 1), ("sgd", {"momentum": 0.5}, 2), ("adam", {}, 1)], ids=str
)
def test_updates_by_symbols_are_those_of_the_loop(rule: str, options: dict[str, Any], size: int) -> None:
    """Also of the rows that no symbol of an update selects."""
    net, updates = replace(network("lstm_1997", units=4), input_features=50), 8
    recipe = training(rule, clip_norm=0.2, **options)
    batches = [of_symbols(one, 50) for one in drawn(net, updates, count=3, size=size, ragged=True)]
    models, loops = built(net, recipe, 3), built(net, recipe, 3, NumpyBackend(processes=1))
    for model, loop, result, own in zip(models, loops, blocks(models, batches, updates), batches, strict=True):
        expected = loop.train_block(own, updates=updates)
        np.testing.assert_allclose(result.losses, expected.losses, rtol=1e-11)
        np.testing.assert_allclose(result.gradient_norms, expected.gradient_norms, rtol=1e-11)
        for name, array in state(loop).items():
            np.testing.assert_allclose(state(model)[name], array, rtol=1e-9, atol=1e-11, err_msg=name)
        alone = built(net, recipe, 3)[models.index(model)]
        assert np.array_equal(alone.train_block(own, updates=updates).losses, result.losses)
        assert all(np.array_equal(array, state(alone)[name]) for name, array in state(model).items())


@pytest.mark.parametrize("sequences", [False, True])
def test_outputs_for_symbols_are_those_for_vectors(sequences: bool) -> None:
    net = replace(network("lstm_1997", units=4, sequences=sequences, layers=2), input_features=50)
    (model,), (data,) = built(net, training(), 1), drawn(net, 21, count=1, ragged=True, holes=sequences)
    symbols = of_symbols(data, 50)
    longer, found = symbols.padded(symbols.mask.shape[1] + 3), model.outputs(symbols)
    at = data.mask if sequences else slice(None)
    np.testing.assert_allclose(found[at], model.predict(symbols.inputs, symbols.lengths).outputs[at], rtol=1e-11)
    assert np.array_equal(model.outputs(longer)[:, : found.shape[1]], found)
    assert np.array_equal(model.outputs(symbols.rows(3, 8)), found[3:8])
    (plain,) = built(net, training(), 1, NumpyBackend(processes=1))
    np.testing.assert_allclose(plain.outputs(symbols)[at], found[at], rtol=1e-11)


def test_the_largest_symbol_of_a_small_type_is_read_as_a_vector_is() -> None:
    net = replace(network("simple", units=2), input_features=128)
    (model,), (plain,), (data,) = (
        built(net, training(), 1), built(net, training(), 1, NumpyBackend(processes=1)), drawn(net, 4, count=1)
    )  # fmt: skip
    symbols = replace(data, given=Symbols(np.full(data.mask.shape, 127, np.int8), 128))
    np.testing.assert_allclose(model.outputs(symbols), plain.outputs(symbols), rtol=1e-11)
    found, right = (one.train_block(symbols, updates=4).losses for one in (model, plain))
    np.testing.assert_allclose(found, right, rtol=1e-11)


@pytest.mark.soak
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@CELL
def test_everything_together(cell: str, options: dict[str, Any], loss: str, sequences: bool) -> None:
    net = network(cell, units=4, layers=2, loss=loss, sequences=sequences, **options)
    recipe = training("adam", bptt_steps=3, clip_norm=0.3)
    assert_as_the_loop(net, recipe, 5, ragged=True, holes=sequences, tolerance=1e-9)


@pytest.mark.parametrize(("rule", "options"), RULES)
def test_twenty_updates_of_every_rule(rule: str, options: dict[str, Any]) -> None:
    kind = SCHEDULES.get("cosine")
    schedule = kind(kind.Options(warmup_steps=3, decay_steps=12), total_steps=20)
    recipe = replace(training(rule, clip_norm=0.2, **options), schedule=schedule, clip_value=0.05)
    assert_as_the_loop(network("simple", units=3), recipe, 20, tolerance=1e-9)


@pytest.mark.parametrize("sequences", [False, True])
def test_layers_and_windows_of_truncated_gradients(sequences: bool) -> None:
    net = network("gru", layers=2, units=3, sequences=sequences)
    assert_as_the_loop(net, training(bptt_steps=3), 3, ragged=True)


def test_gradients_of_a_sum_over_steps() -> None:
    net = network("simple", sequences=True)
    assert_as_the_loop(net, training(sums_steps=True, clip_norm=0.5), 3, ragged=True, holes=True)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_sequences_of_a_network_that_are_computed_together(size: int) -> None:
    """Four at a time, or one; of two at a time the other tests are."""
    assert_as_the_loop(network("simple", layers=2, sequences=True), training(), 3, size=size, ragged=True, holes=True)
    assert_as_the_loop(network("simple"), training(), 3, size=size, ragged=True)


def test_lanes_without_machine_code_are_rejected() -> None:
    with pytest.raises(ValidationError, match="lanes are machine code; set compiled: true"):
        NumpyOptions(lanes=True)


def test_float32() -> None:
    net = network("carry", precision="float32", sequences=True)
    assert_as_the_loop(net, training(), 20, tolerance=2e-5)


def test_a_step_of_plain_descent_is_the_gradient_by_central_differences() -> None:
    net = network("carry", units=2, sequences=True, loss="cross_entropy")
    recipe = replace(training(), learning_rate=1.0)
    (model,), (data,) = built(net, recipe, 1), drawn(net, 1, count=1, ragged=True)
    before = model.parameters()
    (result,) = blocks([model], [data], 1)
    after, reference = model.parameters(), NumpyBackend(reference=True)

    def loss(name: str, at: tuple[int, ...], change: float) -> float:
        moved = {key: array.copy() for key, array in before.items()}
        moved[name][at] += change
        return reference.build(net, parameters=moved).loss_and_gradients(data)[0]

    assert result.losses[0] == pytest.approx(loss("head.b", (0,), 0.0), rel=1e-12)
    for name, array in before.items():
        for at in np.ndindex(array.shape):
            slope = (loss(name, at, 1e-6) - loss(name, at, -1e-6)) / 2e-6
            assert array[at] - after[name][at] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_neighbours_and_the_size_of_blocks_change_no_bit(precision: str, sequences: bool) -> None:
    """Also where a neighbour's numbers are not finite, and its sequences longer."""
    net = network("carry", precision=precision, sequences=sequences)
    recipe, count, updates = training("adam", clip_norm=1.0), 8 if precision == "float32" else 4, 21
    batches = drawn(net, updates, count=count, ragged=True)
    longer = batch(net, batch_size=2 * updates, timesteps=11)
    batches[2] = replace(longer, given=longer.inputs * np.inf)
    batches[3] = longer
    together = built(net, recipe, count)
    results = blocks(together, batches, updates)
    assert len(results[2].losses) == 1
    for number, model in enumerate(built(net, recipe, count)):
        alone = model.train_block(batches[number], updates=updates)
        assert np.array_equal(alone.losses, results[number].losses, equal_nan=True)
        assert np.array_equal(alone.outputs, results[number].outputs, equal_nan=True)
        for name, array in state(together[number]).items():
            assert np.array_equal(array, state(model)[name]), name
    for sizes in ((1, 7, 13), (20, 1)):
        (model,), done, losses = built(net, recipe, 1), 0, []
        for size in sizes:
            losses += model.train_block(batches[0].rows(2 * done, 2 * (done + size)), updates=size).losses.tolist()
            done += size
        assert losses == results[0].losses.tolist()
        assert all(np.array_equal(array, state(model)[name]) for name, array in state(together[0]).items())


def test_an_update_that_is_not_finite_ends_the_block_and_changes_nothing() -> None:
    net, recipe = network("simple", precision="float32"), training(momentum=0.5)
    (data,) = drawn(net, 5, count=1)
    data.targets[6] = 1e30  # the third update's: its squared error is infinite in float32
    (model,), (loop,) = built(net, recipe, 1), built(net, recipe, 1, NumpyBackend(processes=1))
    (result,), expected = blocks([model], [data], 5), loop.train_block(data, updates=5)
    assert len(result.losses) == len(expected.losses) == 4
    assert result.outputs.shape == expected.outputs.shape
    assert np.isinf(result.losses[-1])
    assert state(model)["optimizer/step"] == state(loop)["optimizer/step"] == [3]


@pytest.mark.parametrize("scale", [1e-25, 1e12])
def test_gradients_whose_squares_are_no_normal_numbers_are_clipped(scale: float) -> None:
    net = network("simple", precision="float32", units=2)
    recipe = replace(training(clip_norm=1e-27), learning_rate=1.0)
    given = {name: np.zeros_like(array) for name, array in parameters(net).items()}
    data = replace(batch(net, batch_size=1), targets=np.array([[0.6, 0.8]]) * scale)
    model = IN_LANES.build(net, parameters=given, training=recipe)
    result = model.train_block(data, updates=1)
    # Of zero weights only the output's biases have a gradient, -2/O·targets.
    assert result.gradient_norms[0] == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(model.parameters()["head.b"], [0.6e-27, 0.8e-27], rtol=1e-5)


@pytest.mark.parametrize(("size", "registers"), [(16, 32), (32, 16)], ids=["as on ARM", "as with AVX"])
def test_processors_with_smaller_vectors(monkeypatch: pytest.MonkeyPatch, size: int, registers: int) -> None:
    monkeypatch.setattr(_machine, "vector_bytes", lambda: size)
    monkeypatch.setattr(_product, "registers", lambda: registers)
    monkeypatch.setattr(_population, "_kernel", _population._kernel.__wrapped__)
    monkeypatch.setattr(lanes, "lanes_of", lanes_of.__wrapped__)
    monkeypatch.setattr(_population, "lanes_of", lanes_of.__wrapped__)
    assert_as_the_loop(network("carry"), training(), 3, ragged=True)


def test_why_networks_cannot_share_a_call() -> None:
    def model(recipe: Training | None = None, **options: Any) -> NumpyModel:
        (one,) = built(network("carry", **options), recipe or training(), 1)
        assert isinstance(one, NumpyModel)
        return one

    first = model()
    assert (
        IN_LANES.why_apart(first, model(replace(training(), learning_rate=1.0, clip_norm=2.0), forget_bias=5.0)) == ""
    )
    assert IN_LANES.why_apart(first, model(units=4)) == "their cells have other equations or sizes"
    assert IN_LANES.why_apart(first, model(training(momentum=0.5))) == "their update rules have other equations"
    assert "precision" in IN_LANES.why_apart(first, model(precision="float32"))
    assert "bptt_steps" in IN_LANES.why_apart(first, model(training(bptt_steps=3)))


def test_how_many_are_trained_together() -> None:
    net, online = network("carry", units=4), NumpyBackend(options=NumpyOptions(compiled=True))
    assert online.population(net, training(), batch_size=1) == lanes_of(net, 1)
    assert online.population(net, training(), batch_size=64) == 1
    assert IN_LANES.population(net, training(), batch_size=64) == lanes_of(net, 64)
    assert IN_LANES.population(net, training(recompute="sqrt"), batch_size=64) == 1
    assert NumpyBackend().population(net, training(), batch_size=1) == 1
    large = network("carry", units=16, precision="float32")
    assert online.population(large, training(), batch_size=1) <= 8
    assert online.facts(net, training(), batch_size=1)["lanes"]
    assert not online.facts(net, training(), batch_size=64)["lanes"]


@pytest.mark.parametrize(
    ("units", "batch_size", "faster"), [(4, 1, True), (4, 32, False), (16, 1, True), (32, 1, False)]
)
def test_where_one_network_alone_is_faster(units: int, batch_size: int, faster: bool) -> None:
    assert is_faster_alone(network("carry", units=units), batch_size, 100) is faster


def test_symbols_count_as_one_row() -> None:
    """Of 6,064 parameters, as in table 3 of Hochreiter & Schmidhuber 1997, 48 are read at a step."""
    net = replace(network("lstm_1997", units=2, hidden_bias="none", precision="float32"), input_features=1004)
    assert not is_faster_alone(net, 1, 1100)
    assert is_faster_alone(net, 1, 1100, one_hot=True)
    assert lanes_of(replace(net, input_features=300), 1, one_hot=True) >= lanes_of(replace(net, input_features=300), 1)
