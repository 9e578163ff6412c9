"""The loss of one scored step, with its gradient with respect to the network's raw outputs.

A network's output is linear: for the cross-entropies and for `sigmoid_mse` it is a logit. Every loss works on rows,
one row per scored step; the loss of a batch is the mean over its rows. Like a cell's, the equations are written once,
against an array namespace `xp`: NumPy computes them here, and machine code is made of them.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import numpy as np

from rnnlab.core.activations import Sigmoid
from rnnlab.core.batch import Array
from rnnlab.core.namespace import NUMPY


class AbstractLoss(ABC):
    """A loss by rows: N scored steps, O output features.

    Attributes:
        name: Its key.
        title: What it is, with its unit.
        integer_targets: Whether a target is the number of a class.
        with_sigmoids: The loss of the same targets that a config chooses by `training.loss: sigmoid_mse`; its name
            begins like that, and with `sigmoid_cross_entropy` instead it is the name of the one chosen by that.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    integer_targets: ClassVar[bool] = False
    with_sigmoids: ClassVar[str] = "sigmoid_mse"

    @abstractmethod
    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        """Return the loss of each row, spelled in functions of `xp`, from outputs (N, O).

        Targets are (N, O) in any case: of classes a one where the class is.
        """

    @abstractmethod
    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        """Return d value / d outputs of each row, (N, O); the arguments are those of `value`."""

    @final
    def values(self, outputs: Array, targets: Array) -> Array:
        """Return the loss of each row, shape (N,), from outputs (N, O) and targets (N, O) or (N,)."""
        return np.asarray(self.value(NUMPY, outputs, self._expanded(targets, outputs)))

    @final
    def gradient(self, outputs: Array, targets: Array) -> Array:
        """Return d value / d outputs of each row, shape (N, O); not divided by N."""
        return np.asarray(self.slope(NUMPY, outputs, self._expanded(targets, outputs)))

    def _expanded(self, targets: Array, outputs: Array) -> Array:
        return targets[..., None] == np.arange(outputs.shape[-1]) if self.integer_targets else targets

    def answer(self, xp: Any, outputs: Any) -> Any:
        """Return what a task compares with its targets: the raw outputs (…, O), unless the loss says otherwise."""
        return outputs

    @final
    def answers(self, outputs: Array) -> Array:
        """Return the answers of outputs (…, O)."""
        return np.asarray(self.answer(NUMPY, outputs))

    def chances(self, answers: Array) -> Array:
        """Return answers, (…, O), as probabilities: the softmax or sigmoids of logits; with squared error unchanged."""
        return answers

    def least(self, chances: Array) -> Array:
        """Return the least expected loss, (…), where target o is 1 with probability (…, o), else 0.

        Of classes the probabilities add up to 1. With squared error it is the mean variance, (1/O)·Σ p·(1 - p).
        """
        return np.asarray((chances * (1 - chances)).mean(axis=-1))

    def right(self, answers: Array, targets: Array) -> Array | None:
        """Return which answers are right, (…) bool, where the targets are classes or 0 and 1; None of real numbers."""
        return None


class MeanSquaredError(AbstractLoss):
    """(1/O)·Σ (y - t)²; targets (N, O), real.

    Example:
        >>> MeanSquaredError().values(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]])).tolist()
        [2.5]
    """

    name = "mse"
    title = "mean squared error"

    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return xp.mean(xp.square(outputs - targets), axis=-1)

    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return (outputs - targets) * (2.0 / outputs.shape[-1])


class SigmoidMeanSquaredError(AbstractLoss):
    """(1/O)·Σ (σ(y) - t)²; targets (N, O), from 0 to 1: an output layer of sigmoids, as before there were softmaxes.

    Differs: Hochreiter, Schmidhuber 1997 and their time have ½·Σ (σ(y) - t)², O/2 times as much; their learning rate α
        is α·O/2 here.

    Example:
        >>> SigmoidMeanSquaredError().values(np.zeros((1, 2)), np.array([[0.0, 1.0]])).tolist()
        [0.25]
    """

    name = "sigmoid_mse"
    title = "mean squared error of the outputs' sigmoids"

    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return xp.mean(xp.square(Sigmoid()(xp, outputs) - targets), axis=-1)

    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        y = Sigmoid()(xp, outputs)
        return (y - targets) * y * (1 - y) * (2.0 / outputs.shape[-1])

    def answer(self, xp: Any, outputs: Any) -> Any:
        return Sigmoid()(xp, outputs)


class SigmoidsOfClasses(SigmoidMeanSquaredError):
    """As `SigmoidMeanSquaredError`; targets (N,), integers 0 … O-1: t is 1 at the class, else 0.

    Example:
        >>> SigmoidsOfClasses().values(np.zeros((1, 4)), np.array([2])).tolist()  # ½² of each output
        [0.25]
    """

    name = "sigmoid_mse_classes"
    integer_targets = True
    with_sigmoids = "sigmoid_mse_classes"

    def right(self, answers: Array, targets: Array) -> Array:
        return np.asarray(answers.argmax(axis=-1) == targets)


class SigmoidsOfBits(SigmoidMeanSquaredError):
    """As `SigmoidMeanSquaredError`; targets (N, O), 0 or 1: an answer is right where each output is nearer to its own.

    Example:
        >>> SigmoidsOfBits().right(np.array([[0.6, 0.4]]), np.array([[1.0, 0.0]])).tolist()
        [True]
    """

    name = "sigmoid_mse_bits"
    with_sigmoids = "sigmoid_mse_bits"

    def right(self, answers: Array, targets: Array) -> Array:
        return np.asarray(((answers > 0.5) == (targets > 0.5)).all(axis=-1))


class CrossEntropy(AbstractLoss):
    """-ln softmax(y)[t], in nats; targets (N,), integers 0 … O-1.

    Example:
        >>> CrossEntropy().values(np.zeros((1, 4)), np.array([2])).round(4).tolist()  # ln 4
        [1.3863]
    """

    name = "cross_entropy"
    title = "cross-entropy, in nats"
    integer_targets = True
    with_sigmoids = "sigmoid_mse_classes"

    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        shifted = outputs - xp.max(outputs, axis=-1, keepdims=True)
        return xp.log(xp.sum(xp.exp(shifted), axis=-1)) - xp.sum(shifted * targets, axis=-1)

    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        shifted = xp.exp(outputs - xp.max(outputs, axis=-1, keepdims=True))
        return shifted / xp.sum(shifted, axis=-1, keepdims=True) - targets

    def chances(self, answers: Array) -> Array:
        return softmax(answers)

    def least(self, chances: Array) -> Array:
        return np.asarray(0.0 - _p_ln_p(chances).sum(axis=-1))

    def right(self, answers: Array, targets: Array) -> Array:
        return np.asarray(answers.argmax(axis=-1) == targets)


class BinaryCrossEntropy(AbstractLoss):
    """(1/O)·Σ [ln(1 + eʸ) - t·y], in nats; targets (N, O), 0 or 1 or a probability between.

    Example:
        >>> BinaryCrossEntropy().values(np.zeros((1, 2)), np.array([[0.0, 1.0]])).round(4).tolist()  # ln 2
        [0.6931]
    """

    name = "binary_cross_entropy"
    title = "binary cross-entropy, in nats"
    with_sigmoids = "sigmoid_mse_bits"

    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        softplus = xp.maximum(outputs, 0.0) + xp.log(1 + xp.exp(-xp.abs(outputs)))  # ln(1 + eʸ), which never overflows
        return xp.mean(softplus - targets * outputs, axis=-1)

    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return (Sigmoid()(xp, outputs) - targets) / outputs.shape[-1]

    def chances(self, answers: Array) -> Array:
        return sigmoid(answers)

    def least(self, chances: Array) -> Array:
        return np.asarray(0.0 - (_p_ln_p(chances) + _p_ln_p(1 - chances)).mean(axis=-1))

    def right(self, answers: Array, targets: Array) -> Array:
        return np.asarray(((answers > 0) == (targets > 0.5)).all(axis=-1))


class SigmoidCrossEntropy(SigmoidMeanSquaredError):
    """(1/O)·Σ [ln(1 + eʸ) - t·y], in nats; targets (N, O), from 0 to 1, which are compared with the sigmoids.

    Its slope is (σ(y) - t)/O: what ½·Σ (σ(y) - t)² has but for the slope of the sigmoid, which is small where σ(y) is
    near 0 or 1.

    Example:
        >>> SigmoidCrossEntropy().values(np.zeros((1, 2)), np.array([[0.0, 1.0]])).round(4).tolist()  # ln 2
        [0.6931]
        >>> SigmoidCrossEntropy().answers(np.zeros((1, 2))).tolist()
        [[0.5, 0.5]]
    """

    name = "sigmoid_cross_entropy"
    title = "cross-entropy of the outputs' sigmoids, in nats"

    def value(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return LOSSES["binary_cross_entropy"].value(xp, outputs, targets)

    def slope(self, xp: Any, outputs: Any, targets: Any) -> Any:
        return LOSSES["binary_cross_entropy"].slope(xp, outputs, targets)

    def least(self, chances: Array) -> Array:
        return LOSSES["binary_cross_entropy"].least(chances)


class SigmoidCrossEntropyOfClasses(SigmoidCrossEntropy, SigmoidsOfClasses):
    """As `SigmoidCrossEntropy`; targets as of `SigmoidsOfClasses`."""

    name = "sigmoid_cross_entropy_classes"


class SigmoidCrossEntropyOfBits(SigmoidCrossEntropy, SigmoidsOfBits):
    """As `SigmoidCrossEntropy`; targets as of `SigmoidsOfBits`."""

    name = "sigmoid_cross_entropy_bits"


def too_far(answers: Array, targets: Array, tolerance: float) -> Array:
    """Return where an answer, (…, O), is further than this from its target, (…) bool."""
    return np.asarray(~(np.abs(answers - targets) <= tolerance).all(axis=-1))


def softmax(logits: Array) -> Array:
    """Return eʸ/Σeʸ over the last axis, the shape and dtype of `logits`."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return np.asarray(shifted)


def sigmoid(logits: Array) -> Array:
    """Return 1/(1 + e⁻ʸ), the shape and dtype of `logits`."""
    return np.asarray(0.5 * np.tanh(0.5 * logits) + 0.5)


def _p_ln_p(chances: Array) -> Array:
    """Return p·ln p, 0 where p is 0."""
    return np.asarray(chances * np.log(np.where(chances > 0, chances, 1.0)))


LOSSES: dict[str, AbstractLoss] = {
    loss.name: loss
    for loss in (
        MeanSquaredError(),
        SigmoidMeanSquaredError(),
        SigmoidsOfClasses(),
        SigmoidsOfBits(),
        CrossEntropy(),
        BinaryCrossEntropy(),
        SigmoidCrossEntropy(),
        SigmoidCrossEntropyOfClasses(),
        SigmoidCrossEntropyOfBits(),
    )
}
