"""However a batch is divided among rows, time and processes, the numbers are those of the whole."""

import os
import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.numpy import NumpyBackend, NumpyModel, NumpyOptions, parallel
from rnnlab.backends.numpy.chunks import chunks, shard_count
from tests.networks import batch, network, parameters, training

CELLS = pytest.mark.parametrize("cell", ["simple", "carry"])
SEQUENCES = pytest.mark.parametrize("sequences", [False, True])


def model(
    net: Any, *, processes: int = 1, shards: int | None = None, compiled: bool = False, **recipe: Any
) -> NumpyModel:
    backend = NumpyBackend(options=NumpyOptions(shards=shards, compiled=compiled), processes=processes)
    tame = {name: array / 2 for name, array in parameters(net).items()}
    return backend.build(net, parameters=tame, training=training(**recipe))


def numbers(built: NumpyModel, data: Any) -> dict[str, Any]:
    """Return all that a step and a prediction give."""
    loss, gradients = built.loss_and_gradients(data)
    steps = [built.train_step(data) for _ in range(3)]
    predicted = built.predict(data.inputs, data.lengths)
    return {
        "loss": loss,
        **gradients,
        "trained loss": steps[-1].loss,
        "outputs": steps[-1].outputs,
        "predicted": predicted.outputs,
        **{f"trained {name}": array for name, array in built.parameters().items()},
    }


def assert_same_bits(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    for name, value in got.items():
        assert np.array_equal(value, expected[name]), name


def test_threads_change_no_bit_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("carry", layers=2, precision="float32")
    data = batch(net, batch_size=7, timesteps=30, ragged=True)
    alone = numbers(model(net, shards=3, compiled=True), data)
    monkeypatch.setattr(parallel, "can_fork", lambda: False)
    threaded = model(net, shards=3, compiled=True, processes=2)
    assert_same_bits(numbers(threaded, data), alone)
    assert {thread.name.partition("-")[0] for thread in threading.enumerate()} >= {"ThreadPoolExecutor"}


@CELLS
@SEQUENCES
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_processes_change_no_bit(cell: str, sequences: bool, ragged: bool, compiled: bool) -> None:
    net = network(cell, layers=2, precision="float32", sequences=sequences)
    data = batch(net, batch_size=7, timesteps=30, ragged=ragged)
    alone = numbers(model(net, shards=3, compiled=compiled), data)
    assert_same_bits(numbers(model(net, shards=3, compiled=compiled, processes=2), data), alone)
    assert_same_bits(numbers(model(net, shards=3, compiled=compiled, processes=8), data), alone)


@CELLS
@SEQUENCES
@pytest.mark.parametrize("shards", [2, 3, 7, 64])
def test_shards_are_the_same_sums_in_another_order(cell: str, sequences: bool, shards: int) -> None:
    net = network(cell, layers=2, precision="float64", sequences=sequences)
    data = batch(net, batch_size=7, timesteps=30, ragged=True)
    whole = model(net, shards=1).loss_and_gradients(data)
    divided = model(net, shards=shards).loss_and_gradients(data)
    assert divided[0] == pytest.approx(whole[0], rel=1e-13)
    for name, array in divided[1].items():
        np.testing.assert_allclose(array, whole[1][name], rtol=0, atol=1e-13 * np.abs(whole[1][name]).max())


@CELLS
@SEQUENCES
@pytest.mark.parametrize("window", [None, 90])
@pytest.mark.parametrize("ragged", [False, True])
def test_recomputing_changes_no_bit(cell: str, sequences: bool, window: int | None, ragged: bool) -> None:
    """400 steps of 40 rows are many chunks, in several groups."""
    net = network(cell, layers=2, precision="float32", sequences=sequences)
    data = batch(net, batch_size=40, timesteps=400, ragged=ragged)
    kept, again = (numbers(model(net, recompute=how, bptt_steps=window), data) for how in ("off", "sqrt"))
    assert_same_bits(again, kept)


def test_one_model_takes_batches_of_all_sizes() -> None:
    """A bigger batch than before needs more shared memory, and so another pool."""
    net = network("carry", precision="float32", sequences=False)
    here, there = model(net, shards=2), model(net, shards=2, processes=2)
    for size, timesteps in ((4, 5), (9, 3), (2, 40), (9, 40), (1, 6), (4, 5)):
        data = batch(net, batch_size=size, timesteps=timesteps)
        one, other = here.train_step(data), there.train_step(data)
        assert (one.loss, one.gradient_norm) == (other.loss, other.gradient_norm)
        assert np.array_equal(one.outputs, other.outputs)
    assert_same_bits(there.state_dict(), here.state_dict())


def test_where_no_process_may_be_started_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    net = network("carry", precision="float32")
    data = batch(net, batch_size=6, timesteps=9)
    expected = numbers(model(net, shards=2, processes=2), data)
    monkeypatch.setattr(os, "fork", refuse)
    assert_same_bits(numbers(model(net, shards=2, processes=2), data), expected)


def test_a_batch_that_is_not_finite_is_seen_in_every_process() -> None:
    net = network("simple", precision="float32")
    data = batch(net, batch_size=4, timesteps=6)
    broken = data.inputs.copy()
    broken[3, 2] = np.inf  # in the second shard
    built = model(net, shards=2, processes=2)
    before = built.parameters()
    assert not np.isfinite(built.train_step(replace(data, given=broken)).gradient_norm)
    assert_same_bits(built.parameters(), before)
    assert np.isfinite(built.train_step(data).loss)


@pytest.mark.parametrize("processes", [1, 2])
def test_meanwhile_comes_once_a_step(processes: int) -> None:
    net, calls = network("simple"), list[int]()
    data = batch(net, batch_size=4, timesteps=6)
    model(net, shards=2, processes=processes).train_block(data, updates=1, meanwhile=lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize(
    ("batch_size", "width", "count"),
    [
        (31, 9999, 1),
        (32, 127, 1),
        (32, 128, 2),
        (64, 64, 2),
        (64, 32, 1),
        (128, 1024, 2),
        (256, 256, 4),
        (4096, 256, 8),
    ],
)
def test_into_how_many_shards(batch_size: int, width: int, count: int) -> None:
    assert shard_count(batch_size, width=width) == count


def test_time_that_is_over_is_not_computed() -> None:
    """Σ rows·steps is little more than Σ lengths."""
    lengths = np.arange(100, 0, -1)
    (window,) = chunks(lengths, rows_at_once=100)
    assert window[-1].stop == 100
    assert all(before.stop == after.start for before, after in pairwise(window))
    assert all(chunk.rows == np.count_nonzero(lengths > chunk.start) for chunk in window)
    computed = sum(chunk.rows * (chunk.stop - chunk.start) for chunk in window)
    assert lengths.sum() <= computed < 1.05 * lengths.sum()
