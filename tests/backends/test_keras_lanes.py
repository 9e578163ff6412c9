"""Networks side by side in one program of JAX: each as alone in a program for as many, and in blocks of any length."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rnnlab.backends.base import AbstractModel, Network, Training
from rnnlab.backends.keras import KerasBackend, KerasOptions
from rnnlab.core.batch import Batch
from rnnlab.optim.schedules import SCHEDULES
from tests.backends.contenders import Contender, assert_close, assert_same_bits
from tests.networks import batch, network, parameters, training

# In the name, by which `test_engines` chooses what it runs on JAX.
pytestmark = pytest.mark.parametrize("contender", ["keras-derived"], indirect=True)
LANES, SIZE = 4, 2


@pytest.fixture(autouse=True)
def _on_jax(engine: str) -> None:
    if engine != "jax":
        pytest.skip("one process, one engine")


def backend(lanes: int | None = LANES) -> KerasBackend:
    return KerasBackend(engine="jax", options=KerasOptions(lanes=lanes))


def recipe(rate: float = 0.01, rule: str = "adam") -> Training:
    kind = SCHEDULES.get("cosine")
    schedule = kind(kind.Options(warmup_steps=3, decay_steps=12), total_steps=20)
    return replace(training(rule, clip_norm=0.5, longest=7), learning_rate=rate, schedule=schedule)


def built(net: Network, count: int, *, lanes: int | None = LANES) -> list[AbstractModel]:
    """Return networks that differ in weights and learning rate."""
    rates = [0.01 * (1 + seed) for seed in range(count)]
    own = [parameters(net, seed) for seed in range(count)]
    return [backend(lanes).build(net, parameters=p, training=recipe(r)) for p, r in zip(own, rates, strict=True)]


def drawn(net: Network, updates: int, count: int) -> list[Batch]:
    whole = batch(net, batch_size=updates * SIZE, ragged=True, holes=net.return_sequences)
    whole.mask[:, 0] |= net.return_sequences  # so that each update has a step that is scored
    return [replace(whole, given=whole.inputs * (1 + seed / 8)) for seed in range(count)]


def train(models: Sequence[AbstractModel], batches: Sequence[Batch], start: int, stop: int) -> list[np.ndarray]:
    rows = [one.rows(SIZE * start, SIZE * stop) for one in batches]
    return [one.losses for one in backend().train_blocks(models, rows, updates=stop - start)]


@pytest.mark.parametrize("sequences", [False, True])
def test_each_is_as_alone_whoever_is_beside_it(contender: Contender, sequences: bool) -> None:
    """Of five, which are more than lanes; one begins late in the place of one that ended, one meets an infinity."""
    net, updates = network("carry", precision="float32", sequences=sequences), 6
    data = drawn(net, updates, 5)
    data[1] = replace(data[1], targets=data[1].targets.copy())
    data[1].targets[2 * SIZE] = np.inf
    alone = built(net, 5)
    losses = [model.train_block(own, updates=updates).losses for model, own in zip(alone, data, strict=True)]
    assert [len(found) for found in losses] == [6, 3, 6, 6, 6]
    models = built(net, 5)
    first = train(models, data, 0, 2)
    assert [found.tolist() for found in first] == [found[:2].tolist() for found in losses]
    train(models, data, 2, 3)
    going = [4, 3, 0]  # in other lanes than before, and the last block with one less
    train([models[n] for n in going], [data[n] for n in going], 3, 6)
    train(models[2:3], data[2:3], 3, 6)
    for model, expected in zip(models, alone, strict=True):
        assert_same_bits(model.state_dict(), expected.state_dict())
    assert float(models[1].state_dict()["optimizer/step"][0]) == 2


def test_the_numbers_are_those_of_a_network_by_itself(contender: Contender) -> None:
    """But for rounding: XLA makes other code for another number of networks."""
    net = network("lstm", precision="float32")
    (data,), (one,), (other,) = drawn(net, 8, 1), built(net, 1), built(net, 1, lanes=1)
    for model in (one, other):
        model.train_block(data, updates=8)
    assert_close(one.parameters(), other.parameters(), net, "trained")


def test_blocks_longer_than_a_call(contender: Contender) -> None:
    """A call has room for 1,024 updates of 42 numbers, in four lanes for 256."""
    net, updates = network("simple", precision="float32", units=2), 300
    for lanes in (1, LANES):
        (data,), (whole,), (parts,) = drawn(net, updates, 1), built(net, 1, lanes=lanes), built(net, 1, lanes=lanes)
        losses = whole.train_block(data, updates=updates).losses
        assert len(losses) == updates
        found = [parts.train_block(data.rows(SIZE * n, SIZE * (n + 50)), updates=50).losses for n in range(0, 300, 50)]
        assert np.concatenate(found).tolist() == losses.tolist()
        assert_same_bits(parts.state_dict(), whole.state_dict())


def test_a_stored_state_continues_bit_identically(contender: Contender) -> None:
    net = network("gru", precision="float32")
    (data,), (whole,) = drawn(net, 6, 1), built(net, 1)
    first = backend().build(net, parameters=parameters(net, 0), training=recipe(0.01))
    whole.train_block(data, updates=6)
    first.train_block(data.rows(0, 2 * SIZE), updates=2)
    again = backend().build(net, parameters=parameters(net, 5), training=recipe())
    again.load_state_dict(first.state_dict())
    again.train_block(data.rows(2 * SIZE, 6 * SIZE), updates=4)
    assert_same_bits(again.state_dict(), whole.state_dict())


def test_which_networks_share_a_program(contender: Contender) -> None:
    net, own = network("lstm", precision="float32"), backend()
    one = own.build(net, parameters=parameters(net), training=recipe())
    faster = own.build(net, parameters=parameters(net), training=recipe(0.5))
    biased = network("lstm", precision="float32", forget_bias=2.0)  # begins with other numbers
    assert not own.why_apart(one, faster)
    assert not own.why_apart(one, own.build(biased, parameters=parameters(biased), training=recipe()))
    relu = network("lstm", precision="float32", activation="relu")
    other = own.build(relu, parameters=parameters(relu), training=recipe())
    assert own.why_apart(one, other) == "their cells, sizes, losses or bptt_steps differ"
    plain = own.build(net, parameters=parameters(net), training=recipe(rule="sgd"))
    assert own.why_apart(one, plain) == "their update rules differ in more than the learning rate"
