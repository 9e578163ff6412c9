"""Adding two marked numbers far apart: the standard test of remembering real values."""

from typing import ClassVar, Literal

import numpy as np

from rnnlab.tasks.base import (
    AbstractTask,
    Array,
    Batch,
    Card,
    Lengths,
    Published,
    Rung,
    TaskOptions,
    Threshold,
    draw_lengths,
    last_step_mask,
)


class AddingURNNOptions(TaskOptions):
    """`adding@urnn` has no options beyond its length."""

    type: Literal["adding@urnn"] = "adding@urnn"


class AddingURNN(AbstractTask):
    """Two inputs a step: a value u ~ U[0, 1] and a marker; the target at the last step is the sum of the two marked.

    One marker stands in the first half, one in the second, each uniform there. The best constant is 1 and scores
    Var(u₁ + u₂) = 2/12 = 1/6; knowing one of the two leaves Var(u) = 1/12.

    Source: Arjovsky, Shah, Bengio 2016, "Unitary evolution recurrent neural networks", section 5.2 and its code; after
        Le, Jaitly, Hinton 2015.
    Differs: The papers give no success rule; a mean squared error of 0.005 (7 % off on average) is ours.

    Example:
        >>> task = AddingURNN(AddingURNNOptions())
        >>> batch = Batch(
        ...     inputs=np.array([[[0.5, 1.0], [0.9, 0.0], [0.1, 0.0], [0.2, 1.0]]]),
        ...     targets=np.array([[0.7]]),
        ...     mask=np.array([[False, False, False, True]]),
        ...     lengths=np.array([4]),
        ... )
        >>> task.oracle(batch).round(3).tolist()
        [[0.7]]
    """

    name = "adding@urnn"
    Options = AddingURNNOptions
    loss = "mse"
    return_sequences = False
    solved = Threshold("loss", 0.005)
    tolerance: ClassVar[float] = 0.04
    card = Card(
        title="Add two marked numbers",
        definition="Inputs: value U[0,1] and a marker that is 1 at one step of the first half and one step of the "
        "second half, else 0. Target: the sum of the two marked values, scored at the last step only.",
        source="Arjovsky, Shah, Bengio 2016 (uRNN), section 5.2 and code; after Le, Jaitly, Hinton 2015",
        differs="Neither paper states a success rule; MSE at most 0.005 is ours.",
        published=(
            Published("memoryless baseline 1/6 (some read-me files print 0.1767: a copied slip)", "variance of a sum"),
            Published(
                "set-up: 100,000 sequences, batch 20, RMSprop 1e-3, LSTM and tanh RNN clipped at 1, 20,000 iterations",
                "code of Arjovsky et al. 2016",
            ),
        ),
    )

    @property
    def input_features(self) -> int:
        return 2

    @property
    def output_features(self) -> int:
        return 1

    @property
    def default_timesteps(self) -> Lengths:
        return (100, 100)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return None if timesteps[0] >= 2 else "needs at least 2 steps, one for each marked number"

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest = timesteps[1]
        lengths = draw_lengths(rng, batch_size, timesteps)
        rows = np.arange(batch_size)
        inputs = np.zeros((batch_size, longest, 2))
        inputs[:, :, 0] = rng.random((batch_size, longest)) * (np.arange(longest) < lengths[:, None])
        first, second = rng.integers(0, lengths // 2), rng.integers(lengths // 2, lengths)
        inputs[rows, first, 1] = inputs[rows, second, 1] = 1.0
        targets = inputs[rows, first, 0] + inputs[rows, second, 0]
        return Batch(inputs, targets[:, None], last_step_mask(lengths, longest), lengths)

    def rungs(self, timesteps: Lengths) -> tuple[Rung, ...]:
        return (
            Rung("memoryless: always 1", 1 / 6, lambda batch: np.ones((batch.size, 1))),
            Rung("knows the second number", 1 / 12, lambda batch: 0.5 + _last_marked(batch)[:, None]),
        )

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(np.abs(outputs - batch.targets)[:, 0] < self.tolerance)

    def oracle(self, batch: Batch) -> Array:
        return np.asarray((batch.inputs[:, :, 0] * (batch.inputs[:, :, 1] == 1)).sum(axis=1, keepdims=True))


def _last_marked(batch: Batch) -> Array:
    marked = batch.inputs[:, :, 1] == 1
    last = marked.shape[1] - 1 - np.argmax(marked[:, ::-1], axis=1)
    return np.asarray(batch.inputs[np.arange(batch.size), last, 0])


TASKS = (AddingURNN,)
