"""Losses against numbers worked by hand, central differences, Keras, and logits far beyond what exp can take."""

import math

import numpy as np
import pytest

from rnnlab.core.losses import LOSSES, AbstractLoss, sigmoid, softmax
from rnnlab.core.streams import stream

EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
ROWS, OUTPUTS = 6, 4


def rows(loss: AbstractLoss) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(1, "test/losses")
    outputs = rng.normal(0, 2, (ROWS, OUTPUTS))
    return outputs, rng.integers(0, OUTPUTS, ROWS) if loss.integer_targets else rng.random((ROWS, OUTPUTS))


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "value", "gradient"),
    [
        ("mse", [[1.0, -2.0]], [[3.0, 0.0]], (4 + 4) / 2, [[-2.0, -2.0]]),
        ("mse", [[0.5]], [[0.0]], 0.25, [[1.0]]),
        # sigmoid(ln 3) = 3/4, its slope 3/16: 2·(3/4 - 1)·3/16, and for two outputs half of it
        ("sigmoid_mse", [[math.log(3)]], [[1.0]], 1 / 16, [[-3 / 32]]),
        ("sigmoid_mse", [[math.log(3), 0.0]], [[1.0, 0.5]], 1 / 32, [[-3 / 64, 0.0]]),
        # class 1 is the target (0, 1): (3/4)² and (0 - 1/2)², each with its slope
        ("sigmoid_mse_classes", [[math.log(3), 0.0]], [1], (9 / 16 + 1 / 4) / 2, [[9 / 64, -1 / 8]]),
        ("sigmoid_mse_bits", [[math.log(3)]], [[1.0]], 1 / 16, [[-3 / 32]]),
        # softmax(ln 1, ln 3) = (1/4, 3/4)
        ("cross_entropy", [[0.0, math.log(3)]], [0], math.log(4), [[-0.75, 0.75]]),
        ("cross_entropy", [[5.0, 5.0 + math.log(3)]], [1], math.log(4 / 3), [[0.25, -0.25]]),
        # sigmoid(ln 3) = 3/4
        ("binary_cross_entropy", [[math.log(3)]], [[1.0]], math.log(4 / 3), [[-0.25]]),
        ("binary_cross_entropy", [[math.log(3)]], [[0.0]], math.log(4), [[0.75]]),
        ("binary_cross_entropy", [[math.log(3), 0.0]], [[0.0, 0.5]], (math.log(4) + math.log(2)) / 2, [[0.375, 0.0]]),
        ("sigmoid_cross_entropy", [[math.log(3), 0.0]], [[0.0, 0.5]], (math.log(4) + math.log(2)) / 2, [[0.375, 0.0]]),
        # class 1 is the target (0, 1)
        ("sigmoid_cross_entropy_classes", [[math.log(3), 0.0]], [1], math.log(8) / 2, [[0.375, -0.25]]),
        ("sigmoid_cross_entropy_bits", [[math.log(3)]], [[1.0]], math.log(4 / 3), [[-0.25]]),
    ],
)
def test_by_hand(name: str, outputs: list, targets: list, value: float, gradient: list) -> None:
    y, t = np.array(outputs), np.array(targets)
    assert LOSSES[name].values(y, t).tolist() == pytest.approx([value], rel=1e-14)
    np.testing.assert_allclose(LOSSES[name].gradient(y, t), gradient, rtol=1e-14, atol=1e-15)


@EVERY_LOSS
def test_the_gradient_is_the_derivative(loss: AbstractLoss) -> None:
    outputs, targets = rows(loss)
    kept = outputs.copy()
    gradient = loss.gradient(outputs, targets)
    for feature in range(OUTPUTS):
        step = np.zeros(OUTPUTS)
        step[feature] = 1e-6
        expected = (loss.values(outputs + step, targets) - loss.values(outputs - step, targets)) / 2e-6
        np.testing.assert_allclose(gradient[:, feature], expected, rtol=1e-7, atol=1e-9)
    assert np.array_equal(outputs, kept)


@EVERY_LOSS
def test_keras_agrees(keras, loss: AbstractLoss) -> None:
    outputs, targets = rows(loss)
    one_hot = np.eye(OUTPUTS)[targets] if loss.integer_targets else targets
    sigmoids = lambda: keras.losses.mean_squared_error(one_hot, keras.ops.sigmoid(outputs))  # noqa: E731
    bits = lambda: keras.losses.binary_crossentropy(one_hot, outputs, from_logits=True)  # noqa: E731
    theirs = {
        "mse": lambda: keras.losses.mean_squared_error(targets, outputs),
        **dict.fromkeys(("sigmoid_mse", "sigmoid_mse_classes", "sigmoid_mse_bits"), sigmoids),
        "cross_entropy": lambda: keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True),
        "binary_cross_entropy": bits,
        **dict.fromkeys((f"sigmoid_cross_entropy{targets}" for targets in ("", "_classes", "_bits")), bits),
    }[loss.name]()
    np.testing.assert_allclose(loss.values(outputs, targets), np.asarray(theirs), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@EVERY_LOSS
def test_float32_stays_float32(loss: AbstractLoss, dtype: str) -> None:
    outputs, targets = rows(loss)
    y, t = outputs.astype(dtype), targets if loss.integer_targets else targets.astype(dtype)
    assert {loss.values(y, t).dtype, loss.gradient(y, t).dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("name", "targets", "values", "gradients"),
    [
        ("cross_entropy", [0, 1], [0, 2e4], [[0, 0], [1, -1]]),
        ("binary_cross_entropy", [[1.0, 0.0], [0.0, 1.0]], [0, 1e4], [[0, 0], [0.5, -0.5]]),
    ],
)
def test_extreme_logits(name: str, dtype: str, targets: list, values: list, gradients: list) -> None:
    """Outputs (1e4, -1e4), the first row right and the second wrong: exact, no overflow, no warning."""
    y = np.array([[1e4, -1e4]] * 2, dtype)
    t = np.array(targets) if name == "cross_entropy" else np.array(targets, dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert LOSSES[name].values(y, t).tolist() == values
        assert LOSSES[name].gradient(y, t).tolist() == gradients


def test_softmax_and_sigmoid() -> None:
    assert softmax(np.log([[1.0, 2.0, 5.0]])).tolist() == [pytest.approx([0.125, 0.25, 0.625], rel=1e-15)]
    assert softmax(np.array([1e4, -1e4])).tolist() == [1, 0]
    assert sigmoid(np.array([0.0, math.log(3), 1e4, -1e4])).tolist() == pytest.approx([0.5, 0.75, 1, 0], rel=1e-15)


@pytest.mark.parametrize(
    ("name", "chances", "least"),
    [
        ("cross_entropy", [0.5, 0.5, 0.0, 0.0], math.log(2)),
        ("binary_cross_entropy", [0.25], 2 * math.log(2) - 0.75 * math.log(3)),
        ("sigmoid_cross_entropy_classes", [0.25, 0.75], 2 * math.log(2) - 0.75 * math.log(3)),
        ("sigmoid_mse_bits", [0.25], 3 / 16),
        ("sigmoid_mse_classes", [0.5, 0.5, 0.0, 0.0], 1 / 8),  # ¼ at two of four outputs
        ("sigmoid_mse_classes", [0.25] * 4, 3 / 16),
    ],
)
def test_the_least_loss_by_hand(name: str, chances: list, least: float) -> None:
    assert LOSSES[name].least(np.array(chances)) == pytest.approx(least, rel=1e-14)


@EVERY_LOSS
def test_no_answer_has_less_than_the_least_loss(loss: AbstractLoss) -> None:
    """The loss expected of a random class, or of random bits: that of the chances themselves, and that of others."""
    rng = stream(2, "test/losses")
    p = rng.dirichlet(np.ones(OUTPUTS))
    bits = np.array(list(np.ndindex(*[2] * OUTPUTS)), float)
    cases = np.arange(OUTPUTS) if loss.integer_targets else bits
    weights = p if loss.integer_targets else np.prod(np.where(bits == 1, p, 1 - p), axis=1)
    assert weights.sum() == pytest.approx(1)

    def expected(outputs: np.ndarray) -> float:
        return float(weights @ loss.values(np.tile(outputs, (len(cases), 1)), cases))

    logits = {"mse": p, "cross_entropy": np.log(p)}.get(loss.name, np.log(p / (1 - p)))
    assert expected(logits) == pytest.approx(float(loss.least(p)), rel=1e-12)
    np.testing.assert_allclose(loss.chances(loss.answers(logits)), p, rtol=1e-12)
    assert all(expected(logits + rng.normal(0, 0.5, OUTPUTS)) > loss.least(p) for _ in range(20))


@EVERY_LOSS
def test_sigmoids_keep_the_kind_of_targets(loss: AbstractLoss) -> None:
    other = LOSSES[loss.with_sigmoids]
    assert other.integer_targets == loss.integer_targets
    assert (other.right(np.ones((1, 1)), np.zeros((1, 1))) is None) == (
        loss.right(np.ones((1, 1)), np.zeros((1, 1))) is None
    )
    assert other.with_sigmoids == other.name


def test_names() -> None:
    assert list(LOSSES) == [
        *("mse", "sigmoid_mse", "sigmoid_mse_classes", "sigmoid_mse_bits"),
        *("cross_entropy", "binary_cross_entropy"),
        *("sigmoid_cross_entropy", "sigmoid_cross_entropy_classes", "sigmoid_cross_entropy_bits"),
    ]
