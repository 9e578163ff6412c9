"""A block of updates gives the numbers of single updates, whatever its size and whatever is computed beside it."""

import numpy as np
import pytest

from rnnlab.backends.base import AbstractModel, BlockResult
from rnnlab.core.batch import Batch
from tests.backends.contenders import LOOPING, NUMPY, Contender, assert_same_bits
from tests.networks import batch

UPDATES, SIZE = 5, 3
RESULTS = ("losses", "gradient_norms", "learning_rates", "outputs")
only = pytest.mark.parametrize("contender", LOOPING, indirect=True)


def one_by_one(model: AbstractModel, data: Batch, *, updates: int) -> BlockResult:
    return BlockResult.of([model.train_step(data.rows(SIZE * n, SIZE * (n + 1))) for n in range(updates)])


def assert_same_results(got: BlockResult, expected: BlockResult) -> None:
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), name)


@pytest.mark.parametrize(
    ("contender", "sequences"),
    [
        # Keras compiles four models for each.
        pytest.param(name, way, marks=[pytest.mark.soak] * (name not in NUMPY and (name != "keras-derived" or way)))
        for name in LOOPING
        for way in (False, True)
    ],
    indirect=["contender"],
)
def test_a_block_is_its_updates_one_by_one(contender: Contender, sequences: bool) -> None:
    net = contender.network("carry", sequences=sequences)
    data = batch(net, batch_size=UPDATES * SIZE, ragged=True, holes=sequences)
    (single, whole, first, second), calls = (contender.build(net, rule="adam", clip_norm=0.5) for _ in range(4)), []
    expected = one_by_one(single, data, updates=UPDATES)
    result = whole.train_block(data, updates=UPDATES, meanwhile=lambda: calls.append(1))
    assert len(calls) == 1
    assert_same_results(result, expected)
    assert_same_bits(whole.state_dict(), single.state_dict())
    # Side by side, in two calls, beside a model that learns from other sequences.
    other = data.rows(SIZE, UPDATES * SIZE)
    for start, stop in ((0, 2), (2, UPDATES)):
        rows = data.rows(SIZE * start, SIZE * stop)
        beside = other.rows(0, SIZE * (stop - start))
        contender.backend.train_blocks([second, first], [beside, rows], updates=stop - start)
    assert_same_bits(first.state_dict(), single.state_dict())


@only
def test_a_block_ends_after_the_first_number_that_is_not_finite(contender: Contender) -> None:
    net = contender.network("simple")
    data = batch(net, batch_size=UPDATES * SIZE)
    data.targets[2 * SIZE] = np.inf  # of the third update
    single, whole, healthy = (contender.build(net, rule="adam") for _ in range(3))
    one_by_one(single, data, updates=2)
    same = batch(net, batch_size=UPDATES * SIZE)
    result, beside = contender.backend.train_blocks([whole, healthy], [data, same], updates=UPDATES)
    assert np.isfinite(result.losses).tolist() == [True, True, False]
    assert len(result.outputs) == 3 * SIZE
    assert_same_bits(whole.state_dict(), single.state_dict())
    alone = contender.build(net, rule="adam")
    assert_same_results(beside, one_by_one(alone, same, updates=UPDATES))
    assert_same_bits(healthy.state_dict(), alone.state_dict())
