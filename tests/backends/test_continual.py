"""Updates at every time step: the forward gradient against back-propagation, central differences and hand figures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnlab.backends._recipe import Reset, Stream
from rnnlab.backends.base import AbstractModel, Network, Training
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.backends.numpy.continual import ContinualModel
from rnnlab.cells import CELLS
from rnnlab.core.batch import Batch, last_step_mask
from rnnlab.core.errors import UsageError
from rnnlab.equations.traces import traces_of
from tests import networks

GERS: dict[str, Any] = {"cells_per_block": 2, "truncate": True, "forget_gate": True, "gate_feedback": False}
# Cells of which the equation shows that the gradient through time is element-wise.
CELLS_WITH_TRACES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lstm_1997", {"truncate": True}),
    ("lstm_1997", {"cells_per_block": 2, "truncate": True, "hidden_bias": "gates"}),
    ("lstm_1997", {"cells_per_block": 4, "truncate": True, "output_gate": False}),
    ("lstm_1997", {**GERS, "hidden_bias": "gates"}),
    ("lstm_peephole", {"truncate": True, "peephole_gradient": False, "activation": "linear"}),
    ("indrnn", {}),
    ("mingru", {}),
)


def recipe(stream: Stream | None = None, **options: Any) -> Training:
    return replace(networks.training(**options), stream=stream or Stream())


def build(network: Network, training: Training) -> AbstractModel:
    return NumpyBackend(reference=True).build(network, parameters=networks.parameters(network), training=training)


def build_compiled(network: Network, training: Training) -> AbstractModel:
    backend = NumpyBackend(options=NumpyOptions(compiled=True))
    model = backend.build(network, parameters=networks.parameters(network), training=training)
    assert isinstance(model, ContinualModel)
    assert model.member(1)
    return model


Build = Callable[[Network, Training], AbstractModel]
BUILDS: list[Build] = [build, build_compiled]
RESETS: list[Reset] = ["sequence", "never", "error", "both"]


@pytest.mark.parametrize("sequences", [True, False], ids=["every step", "last step"])
@pytest.mark.parametrize(("cell", "options"), CELLS_WITH_TRACES, ids=lambda value: str(value))
def test_traces_give_the_gradient_of_back_propagation(cell: str, options: dict[str, Any], sequences: bool) -> None:
    network = networks.network(cell, units=4, sequences=sequences, **options)
    batch = networks.batch(network, ragged=True, holes=sequences)
    loss, gradients = build(network, recipe()).loss_and_gradients(batch)
    expected, theirs = build(network, networks.training()).loss_and_gradients(batch)
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in theirs.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-13, err_msg=name)
        assert np.abs(gradient).max() > 1e-5, name  # no gradient hides


@pytest.mark.parametrize("cell", ["simple", "gru", "carry", "lstm"])
def test_a_gradient_cut_to_the_step_needs_no_traces(cell: str) -> None:
    network = networks.network(cell, units=4, sequences=True)
    batch = networks.batch(network, ragged=True)
    _, gradients = build(network, recipe(bptt_steps=1)).loss_and_gradients(batch)
    _, theirs = build(network, networks.training(bptt_steps=1)).loss_and_gradients(batch)
    for name, gradient in theirs.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("cell", ["simple", "carry", "gru", "lstm", "lstm_1997", "slstm"])
def test_a_gradient_that_flows_through_a_matrix_is_an_error(cell: str) -> None:
    kind = CELLS.get(cell)
    with pytest.raises(UsageError, match="flows from step to step through U"):
        traces_of(kind(kind.Options(units=4)), 3)


def test_the_fixture_of_the_paper_s_equations() -> None:
    """One cell, x = 1, -1/2, 1/4, all weights in a row from -1/2 to 0.9: figures of another program."""
    kind = CELLS.get("lstm_1997")
    network = Network(kind(kind.Options(units=1, truncate=True)), 1, 1, False, "sigmoid_mse", "float64")
    w = np.linspace(-0.5, 0.9, 15).reshape(3, 5)  # rows c, i, o; columns x, y, i, o, 1
    given = {f"layers.0.b{gate}": w[row, 4:] for row, gate in enumerate("cio")}
    for column, name in enumerate(("W", "U", "Vi", "Vo")):
        given |= {f"layers.0.{name}{gate}": w[row, column : column + 1, None] for row, gate in enumerate("cio")}
    given |= {"head.W": np.array([[1.2]]), "head.b": np.array([-0.3])}
    model = NumpyBackend().build(network, parameters=given, training=recipe())
    one = Batch(np.array([[[1.0], [-0.5], [0.25]]]), np.array([[1.0]]), last_step_mask(np.array([3]), 3), np.array([3]))
    _, gradients = model.loss_and_gradients(one)
    expected = [
        [-0.0250452, 0.01416034, -0.05671659, -0.07283121, -0.1260808],
        [0.01036214, -0.00163263, 0.00627785, 0.00786292, 0.01896716],
        [0.00167324, -0.00121133, 0.00454067, 0.00559436, 0.00669296],
    ]
    for row, gate in enumerate("cio"):
        found = [float(gradients[f"layers.0.{name}{gate}"].item()) / 2 for name in ("W", "U", "Vi", "Vo", "b")]
        assert found == pytest.approx(expected[row], abs=1e-8)  # theirs is the gradient of half the squared error


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("reset", RESETS)
def test_every_update_is_that_of_the_paper_s_equations(build: Build, reset: Reset) -> None:
    """The network of Gers 2000 with two blocks of two cells, written out here; the rate falls along a stream."""
    network = networks.network("lstm_1997", units=4, sequences=True, loss="sigmoid_mse", hidden_bias="gates", **GERS)
    batch = networks.batch(network, batch_size=9, ragged=True, holes=True)
    tolerance = 0.6 if reset in {"error", "both"} else None  # a first error after some steps
    training = replace(recipe(Stream(reset, 0.9, None, tolerance), momentum=0.5), learning_rate=0.5)
    model = build(network, training)
    found = model.train_block(batch, updates=9)
    byhand = ByHand(networks.parameters(network), momentum=0.5, decay=0.9)
    for row in range(9):
        if reset == "sequence":
            byhand.begin_stream()
        if reset == "both":
            byhand.clear()
        outputs = byhand.learn(batch.rows(row, row + 1), rate=0.5, tolerance=tolerance)
        np.testing.assert_allclose(found.outputs[row], outputs, rtol=1e-9, atol=1e-12, err_msg=f"sequence {row}")
    for name, array in model.parameters().items():
        np.testing.assert_allclose(array, byhand.p[name], rtol=1e-9, atol=1e-12, err_msg=name)


class ByHand:
    """Equations 3 to 13 of Gers, Schmidhuber, Cummins 2000, for blocks of two cells, with momentum."""

    def __init__(self, parameters: dict[str, Any], *, momentum: float, decay: float) -> None:
        self.p, self.momentum, self.decay = parameters, momentum, decay
        self.velocity = {name: np.zeros_like(array) for name, array in parameters.items()}
        self.ended, self.factors = 0, list[float]()
        self.begin_stream()

    def begin_stream(self) -> None:
        self.steps, self.factor = 0, 1.0
        self.clear()

    def clear(self) -> None:
        self.y, self.s = np.zeros(4), np.zeros(4)
        self.ds = {gate: np.zeros((3 + 4 + 1, 4)) for gate in "cif"}

    def learn(self, one: Batch, *, rate: float, tolerance: float | None) -> Any:
        sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        p = {name.removeprefix("layers.0."): array for name, array in self.p.items()}
        outputs = np.zeros((one.inputs.shape[1], 2))
        self.factors.append(self.factor)
        for t in range(int(one.lengths[0])):
            read = np.concatenate([one.inputs[0, t], self.y, [1.0]])  # x, y, 1
            w = {g: np.concatenate([p[f"W{g}"], p[f"U{g}"], [p.get(f"b{g}", np.zeros(4))]]) for g in "ciof"}
            i, f, o = (np.repeat(sigmoid(read @ w[gate]), 2) for gate in "ifo")
            c = sigmoid(read @ w["c"])
            g, old = 4 * c - 2, self.s
            self.s = f * old + i * g
            h = 2 * sigmoid(self.s) - 1
            self.y = o * h
            self.ds["c"] = self.ds["c"] * f + np.outer(read, i * 4 * c * (1 - c))
            self.ds["i"] = self.ds["i"] * f + np.outer(read, g * i * (1 - i))
            self.ds["f"] = self.ds["f"] * f + np.outer(read, old * f * (1 - f))
            is_wrong = False
            if one.mask[0, t]:
                outputs[t] = self.y @ p["head.W"] + p["head.b"]
                k = sigmoid(outputs[t])
                delta = (k - one.targets[0, t]) * k * (1 - k)  # of the mean over two outputs
                back = p["head.W"] @ delta
                e_s = o * (1 - h * h) / 2 * back  # h' = (1 + h)(1 - h)/2
                gradients = {"c": self.ds["c"] * e_s}
                gradients |= {gate: (self.ds[gate] * e_s).reshape(8, 2, 2).sum(axis=2) for gate in "if"}
                of_o = (h * back).reshape(2, 2).sum(axis=1) * (o * (1 - o))[::2]
                gradients["o"] = np.outer(read, of_o)
                moves = {"head.W": np.outer(self.y, delta), "head.b": delta}
                for gate, value in gradients.items():
                    moves |= {f"layers.0.W{gate}": value[:3], f"layers.0.U{gate}": value[3:7]}
                    moves |= {f"layers.0.b{gate}": value[7]} if gate != "c" else {}
                for name, move in moves.items():
                    self.velocity[name] = self.momentum * self.velocity[name] - rate * self.factor * move
                    self.p[name] += self.velocity[name]
                is_wrong = tolerance is not None and bool((np.abs(k - one.targets[0, t]) > tolerance).any())
            self.factor *= self.decay
            self.steps += 1
            if is_wrong:
                self.ended += 1
                self.begin_stream()
                break
        return outputs


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("reset", ["error", "both"])
def test_the_protocol_of_the_paper(build: Build, reset: Reset) -> None:
    """Streams end at their first error or after 40 steps; blocks end with every third of them, and with the eighth.

    A plain program of the same protocol: the rate is 0.5 where a stream begins, and falls by a tenth at each step.
    """
    network = networks.network("lstm_1997", units=4, sequences=True, loss="sigmoid_mse", hidden_bias="gates", **GERS)
    batch = networks.batch(network, batch_size=120, ragged=True, holes=True)
    stream = Stream(reset, 0.9, steps=40, tolerance=0.62, every=3, most=8)
    model = build(network, replace(recipe(stream), learning_rate=0.5))
    rates, ends, done = list[float](), list[tuple[int, int]](), 0
    while model.streams < 8:
        found = model.train_block(batch.rows(done, 120), updates=120 - done)
        rates, done = rates + found.learning_rates.tolist(), done + len(found.losses)
        ends.append((done, model.streams))
    byhand, pauses = ByHand(networks.parameters(network), momentum=0.0, decay=0.9), list[tuple[int, int]]()
    lengths, row = list[int](), 0
    while byhand.ended < 8:
        if reset == "both":
            byhand.clear()
        before, ended = byhand.steps, byhand.ended
        byhand.learn(batch.rows(row, row + 1), rate=0.5, tolerance=0.62)
        row += 1
        if byhand.ended == ended and byhand.steps >= 40:
            lengths.append(byhand.steps)
            byhand.ended += 1
            byhand.begin_stream()
        if byhand.ended > ended and byhand.ended in {3, 6, 8}:
            pauses.append((row, byhand.ended))
        assert before < 40
    assert ends == pauses
    assert lengths  # not every stream ended by an error
    assert len(lengths) < 8
    assert rates == pytest.approx([0.5 * factor for factor in byhand.factors], rel=1e-12)
    assert rates[0] == rates[ends[0][0]] == 0.5
    for name, array in model.parameters().items():
        np.testing.assert_allclose(array, byhand.p[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("reset", RESETS)
def test_blocks_and_a_restored_state_change_no_bit(build: Build, reset: Reset) -> None:
    network = networks.network("lstm_1997", units=4, sequences=True, loss="sigmoid_mse", **GERS)
    batch = networks.batch(network, batch_size=12, ragged=True, holes=True)
    training = recipe(Stream(reset, 0.97, 20, 0.6), momentum=0.5, clip_norm=0.1)
    whole = build(network, training)
    together = whole.train_block(batch, updates=12)
    parts, losses, row = build(network, training), [], 0
    for size in (1, 5, 4, 2):
        found = parts.train_block(batch.rows(row, row + size), updates=size)
        losses, row = [*losses, *found.losses.tolist()], row + size
        state, parts = parts.state_dict(), build(network, training)
        parts.load_state_dict(state)
    assert losses == together.losses.tolist()
    assert len(set(losses)) > 10
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(array, parts.state_dict()[name], err_msg=name)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_a_loss_that_is_not_finite_ends_a_block_and_changes_no_weight(build: Build) -> None:
    network = networks.network("lstm_1997", units=4, sequences=True, **GERS)
    batch = networks.batch(network, batch_size=3)
    batch.targets[1, 2] = np.inf
    model = build(network, recipe())
    found = model.train_block(batch, updates=3)
    assert np.isfinite(found.losses).tolist() == [True, False]
    assert all(np.isfinite(array).all() for array in model.parameters().values())


COMPILED = NumpyBackend(options=NumpyOptions(compiled=True))


@pytest.mark.parametrize(
    "sequences", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["every step", "last step"]
)
@pytest.mark.parametrize(("cell", "options"), CELLS_WITH_TRACES, ids=lambda value: str(value))
def test_machine_code_takes_the_steps_of_the_equations(cell: str, options: dict[str, Any], sequences: bool) -> None:
    network = networks.network(cell, units=4, sequences=sequences, **options)
    stream = Stream("never", 0.9, 11, None)
    assert_as_the_reference(network, recipe(stream, momentum=0.5, clip_norm=0.2), sequences)


@pytest.mark.parametrize("cell", ["simple", *(pytest.param(one, marks=pytest.mark.soak) for one in ("gru", "carry"))])
def test_machine_code_cuts_the_gradient_to_the_step(cell: str) -> None:
    network = networks.network(cell, units=3, sequences=True, loss="binary_cross_entropy")
    training = recipe(Stream("error", 0.99, None, 0.8), rule="rmsprop", bptt_steps=1)
    assert_as_the_reference(network, replace(training, clip_value=0.1), True)


def assert_as_the_reference(network: Network, training: Training, holes: bool) -> None:
    batch = networks.batch(network, batch_size=9, ragged=True, holes=holes)
    model, reference = build_compiled(network, training), build(network, training)
    found, expected = model.train_block(batch, updates=9), reference.train_block(batch, updates=9)
    for name in ("losses", "gradient_norms", "learning_rates", "outputs"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12, err_msg=name)
    state = model.state_dict()
    for name, array in reference.state_dict().items():
        np.testing.assert_allclose(state[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.soak)])
@pytest.mark.parametrize("reset", RESETS)
def test_neighbours_change_no_bit(reset: Reset, precision: str) -> None:
    """Each network has its own sequences, of its own lengths, learning rate and stream; one of them diverges."""
    network = networks.network(
        "lstm_1997", units=4, sequences=True, loss="sigmoid_mse", precision=precision, hidden_bias="gates", **GERS
    )
    models, alone, batches = list[AbstractModel](), list[AbstractModel](), list[Batch]()
    for number in range(5):
        stream = Stream(reset, 1 - number / 50, 15 + number, 0.6)
        training = replace(recipe(stream, momentum=0.5, clip_norm=0.1 * (number + 1)), learning_rate=0.1 + number)
        given = networks.parameters(network, seed=number)
        for those in (models, alone):
            those.append(COMPILED.build(network, parameters=given, training=training))
        timesteps = 9 + number
        batches.append(networks.batch(network, batch_size=8, timesteps=timesteps, ragged=True, holes=True))
        batches[-1].inputs[:] *= 1 + number
    batches[2].targets[3, 0], batches[2].mask[3, 0] = np.inf, True
    found = COMPILED.train_blocks(models, batches, updates=8)
    assert len(found[2].losses) == 4
    for number, (model, other) in enumerate(zip(models, alone, strict=True)):
        assert not COMPILED.why_apart(models[0], model)
        expected = other.train_block(batches[number], updates=8)
        for name in ("losses", "gradient_norms", "learning_rates", "outputs"):
            right = getattr(expected, name)
            assert np.array_equal(getattr(found[number], name), right, equal_nan=True), (number, name)
        state = model.state_dict()
        for name, array in other.state_dict().items():
            assert np.array_equal(state[name], array, equal_nan=True), (number, name)


@pytest.mark.parametrize("reset", ["error", "both"])
def test_neighbours_that_pause_change_no_bit(reset: Reset) -> None:
    """Each network pauses after a number of streams of its own, and has ended after as many sequences as alone."""
    network = networks.network(
        "lstm_1997", units=4, sequences=True, loss="sigmoid_mse", precision="float32", hidden_bias="gates", **GERS
    )
    together, alone, batches, done = list[AbstractModel](), list[AbstractModel](), list[Batch](), [0] * 4
    for number in range(4):
        stream = Stream(reset, 0.9, 60, 0.62, every=number + 1, most=9)
        for those in (together, alone):
            given = networks.parameters(network, seed=number)
            those.append(COMPILED.build(network, parameters=given, training=replace(recipe(stream), learning_rate=0.5)))
        batches.append(networks.batch(network, batch_size=90, ragged=True, holes=True, seed=number))
    for _ in range(3):
        parts = [batch.rows(at, at + 30) for batch, at in zip(batches, done, strict=True)]
        found = COMPILED.train_blocks(together, parts, updates=30)
        for number, model in enumerate(alone):
            expected = model.train_block(parts[number], updates=30)
            for name in ("losses", "gradient_norms", "learning_rates", "outputs"):
                np.testing.assert_array_equal(getattr(found[number], name), getattr(expected, name))
            done[number] += len(expected.losses)
            state = together[number].state_dict()
            for name, array in model.state_dict().items():
                np.testing.assert_array_equal(array, state[name], err_msg=name)
    assert [model.streams for model in alone[:2]] == [3, 6]
    assert done[0] < 90  # three blocks of 30 were not done


def test_what_machine_code_does_not_do_the_equations_do() -> None:
    network = networks.network("lstm_1997", units=4, sequences=True, **GERS)
    for backend, training in (
        (COMPILED, recipe(rule="adam")),  # its numbers change at each update
        (NumpyBackend(options=NumpyOptions(compiled=True, lanes=False)), recipe()),
    ):
        model = backend.build(network, parameters=networks.parameters(network), training=training)
        assert backend.facts(network, training)["path"] == "reference"
        assert backend.population(network, training, batch_size=1) == 1
        assert np.isfinite(model.train_block(networks.batch(network), updates=4).losses).all()
    assert COMPILED.population(network, recipe(), batch_size=1) > 1
