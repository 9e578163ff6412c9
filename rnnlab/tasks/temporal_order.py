"""Name the order of two or three symbols far apart."""

from functools import partial
from itertools import count, pairwise, product
from typing import ClassVar

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks._within import AbstractWithinTolerance
from rnnlab.tasks.base import CERTAIN, Published, Reference, Streak, SuccessRule, Threshold, too_short

SYMBOLS = "EBabcdXY"
START, TRIGGER, FIRST_DISTRACTOR, FIRST_MARK, NOTHING = 0, 1, 2, 6, 8


class AbstractTemporalOrder(AbstractWithinTolerance):
    """k symbols X or Y are far apart among distractors; the class at the end is their order, Σ 2ᵏ⁻ʲ·[markⱼ is Y]."""

    # the first and last position of each mark, in per cent of the shortest length, step 0 being E
    windows: ClassVar[tuple[tuple[int, int], ...]]
    tolerance = 0.3
    input_features = len(SYMBOLS)
    input_names = SYMBOLS
    default_timesteps = (100, 110)
    solved: SuccessRule = Streak(2000, wrong=0, loss_below=0.1)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "windows" in cls.__dict__:
            cls.output_names = tuple(map("".join, product(cls.input_names[-2:], repeat=len(cls.windows))))
            cls.output_features = len(cls.output_names)

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        least = next(steps for steps in count() if self._fits(steps))
        return too_short(timesteps, least, f"E, {len(self.windows)} marked symbols apart from each other, B")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest, rows = timesteps[1], np.arange(batch_size)[:, None]
        lengths = draw_lengths(rng, batch_size, timesteps)
        first, last = np.array(self._places(timesteps[0])).T
        places = rng.integers(first, last + 1, size=(batch_size, len(first)))
        is_y = rng.integers(0, 2, size=places.shape)

        symbols = rng.integers(FIRST_DISTRACTOR, FIRST_MARK, size=(batch_size, longest), dtype=np.uint8)
        symbols[rows, places] = FIRST_MARK + is_y
        symbols[:, 0] = START
        symbols[rows[:, 0], lengths - 1] = TRIGGER
        symbols[~within_lengths(lengths, longest)] = NOTHING
        one_hot = np.eye(NOTHING + 1, NOTHING)
        return Batch(one_hot[symbols], _class_of(is_y), last_step_mask(lengths, longest), lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        marks = len(self.windows)
        names = ("memoryless: all classes equally likely", "remembers the last mark", "remembers the last two marks")
        return tuple(
            Reference(names[known], self._loss_of(2 ** (marks - known)), partial(self._knowing, known), known > 0)
            for known in range(marks)
        )

    def oracle(self, batch: Batch) -> Array:
        return self._knowing(len(self.windows), batch)

    def _loss_of(self, possible: int) -> float:
        """Return the least loss where so many classes are equally likely."""
        return float(LOSSES[self.loss].least(np.eye(self.output_features)[:possible].mean(axis=0)))

    def _knowing(self, known: int, batch: Batch) -> Array:
        """Return logits that allow only the classes that agree with the last `known` marks."""
        mark_or_not = batch.inputs[:, :, -2:]
        rows, places = np.nonzero(mark_or_not.any(axis=2))
        is_y = mark_or_not[rows, places, 1].reshape(batch.size, -1).astype(int)
        seen = 2**known - 1
        agrees = (np.arange(self.output_features) & seen) == (_class_of(is_y) & seen)[:, None]
        return np.asarray(CERTAIN * agrees)

    def _places(self, shortest: int) -> list[tuple[int, int]]:
        return [((first * shortest + 50) // 100, (last * shortest + 50) // 100) for first, last in self.windows]

    def _fits(self, shortest: int) -> bool:
        edges = [(0, 0), *self._places(shortest), (shortest - 1, shortest - 1)]
        return all(before[1] < after[0] for before, after in pairwise(edges))


class TemporalOrder(AbstractTemporalOrder):
    """Tell the order of two symbols.

    Inputs: 8 one-hot symbols E B a b c d X Y. E first, B last, random a-d between, and X or Y at one step in [10 %,
    20 %] and at one in [50 %, 60 %] of the shortest length. Target: one of 4 classes, the two marks in order,
    scored at the last step only. A sequence is right when every output is within 0.3.

    XX → 0, XY → 1, YX → 2, YY → 3; 100 to 110 steps. Without memory, which sees only B: ln 4; with the second mark
    alone: ln 2.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.6, task 6a and table 9.
    Differs: Cross-entropy over a softmax, to which the paper's limits, 0.3 on every output and 0.1 on the mean training
        loss, apply; `training: {loss: sigmoid_mse}` is the paper's squared error over four sigmoids. Positions count
        from E = 0 and scale with the shortest length, in per cent; at 100 they are the paper's.

    Example:
        >>> task = TemporalOrder(TemporalOrder.Options())
        >>> word = np.eye(8)[["EBabcdXY".index(symbol) for symbol in "EXaYdB"]]
        >>> batch = Batch(word[None], np.array([1]), last_step_mask(np.array([6]), 6), np.array([6]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()  # X then Y
        [1]
    """

    name = "temporal_order@hs1997"
    windows = ((10, 20), (50, 60))
    published = (
        Published(
            "LSTM, 2 blocks of 2 cells, 156 weights, learning rate 0.5: solved after 31,390 sequences (mean of 20 "
            "trials), then 1 of 2,560 test sequences wrong",
            "Hochreiter, Schmidhuber 1997, table 9",
        ),
    )


class TemporalOrder3(AbstractTemporalOrder):
    """Tell the order of three symbols.

    As temporal_order@hs1997 with three marks, in [10 %, 20 %], [33 %, 43 %] and [66 %, 76 %] of the shortest
    length, and 8 classes.

    XXX → 0, XXY → 1, XYX → 2, … YYY → 7. Without memory: ln 8; with the last mark alone: ln 4; with the last two: ln 2.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.6, task 6b and table 9.
    Differs: As `temporal_order@hs1997`.

    Example:
        >>> task = TemporalOrder3(TemporalOrder3.Options())
        >>> word = np.eye(8)[["EBabcdXY".index(symbol) for symbol in "EYaXcXB"]]
        >>> batch = Batch(word[None], np.array([4]), last_step_mask(np.array([7]), 7), np.array([7]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()  # Y, X, X = binary 100
        [4]
    """

    name = "temporal_order@hs1997_3"
    windows = ((10, 20), (33, 43), (66, 76))
    published = (
        Published(
            "LSTM, 3 blocks of 2 cells, 308 weights, learning rate 0.1: solved after 571,100 sequences (mean of "
            "10 trials), then 2 of 2,560 test sequences wrong",
            "Hochreiter, Schmidhuber 1997, table 9",
        ),
    )


class AbstractOwnLength(AbstractTemporalOrder):
    """The tasks of 2013: random symbols throughout, and marks in windows of each sequence's own length."""

    input_features, input_names = 6, "cdefAB"
    default_timesteps = (50, 200)
    solved = Threshold({"error_rate": 0.01})

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 10, "a step for the first mark in each tenth")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        longest, rows = timesteps[1], np.arange(batch_size)[:, None]
        lengths = draw_lengths(rng, batch_size, timesteps)
        first, end = np.array(self.windows).T[:, None, :] * lengths[:, None] // 100
        places = rng.integers(first, end)  # (B, marks)
        is_b = rng.integers(0, 2, size=places.shape)
        symbols = rng.integers(0, 4, size=(batch_size, longest))
        symbols[rows, places] = 4 + is_b
        inputs = np.eye(6)[symbols] * within_lengths(lengths, longest)[:, :, None]
        return Batch(inputs, _class_of(is_b), last_step_mask(lengths, longest), lengths)

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(outputs.argmax(axis=-1) == batch.targets)


class TemporalOrderPascanu(AbstractOwnLength):
    """Tell the order of two symbols (2013).

    Inputs: 6 one-hot symbols, random c d e f, and A or B at one step in [0.1, 0.2) and at one in [0.5, 0.6) of the
    length. Target: one of 4 classes, the two marks in order, scored at the last step only.

    AA → 0, AB → 1, BA → 2, BB → 3; 50 to 200 steps. Input features in the order `cdefAB`. Without memory: ln 4; with
    the second mark alone: ln 2.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", and its code.
    Differs: Each sequence has a length of its own, uniform; in the paper all of a batch have the same,
        which is `shape: {lengths: per_batch}`. The rule is the paper's, fewer than 1 % of 10,000 sequences wrong, on
        those that a validation draws.

    Example:
        >>> task = TemporalOrderPascanu(TemporalOrderPascanu.Options())
        >>> word = np.eye(6)[["cdefAB".index(symbol) for symbol in "cAdefBccdf"]]
        >>> batch = Batch(word[None], np.array([1]), last_step_mask(np.array([10]), 10), np.array([10]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()  # A then B
        [1]
    """

    name = "temporal_order@pascanu2013"
    windows = ((10, 20), (50, 60))
    published = (
        Published(
            "tanh RNN, 50 units, SGD 0.01, gradient clipped at 1, with a regulariser of the gradient's norm, "
            "lengths 50-200: 5 of 5 seeds without an error, also at 250 to 5,000 steps",
            "Pascanu, Mikolov, Bengio 2013",
        ),
    )


class TemporalOrderPascanu3(AbstractOwnLength):
    """Tell the order of three symbols (2013).

    As temporal_order@pascanu2013 with three marks, in [0.1, 0.2), [0.3, 0.4) and [0.6, 0.7) of the length, and 8
    classes.

    AAA → 0, AAB → 1, ABA → 2, … BBB → 7. Without memory: ln 8; with the last mark alone: ln 4; with the last two: ln 2.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", and its code.
    Differs: As `temporal_order@pascanu2013`.

    Example:
        >>> task = TemporalOrderPascanu3(TemporalOrderPascanu3.Options())
        >>> word = np.eye(6)[["cdefAB".index(symbol) for symbol in "cBdAefAcdf"]]
        >>> batch = Batch(word[None], np.array([4]), last_step_mask(np.array([10]), 10), np.array([10]))
        >>> task.oracle(batch).argmax(axis=-1).tolist()  # B, A, A = binary 100
        [4]
    """

    name = "temporal_order@pascanu2013_3"
    windows = ((10, 20), (30, 40), (60, 70))
    published = (
        Published(
            "tanh RNN, 50 units, set-up as for two marks, one model for lengths up to 200: 100 % success",
            "Pascanu, Mikolov, Bengio 2013",
        ),
    )


def _class_of(is_y: Array) -> Array:
    """Return the marks (B, k), 0 for X and 1 for Y, read as binary numbers, (B,)."""
    return np.asarray(is_y @ (1 << np.arange(is_y.shape[1])[::-1]))


TASKS = (TemporalOrder, TemporalOrder3, TemporalOrderPascanu, TemporalOrderPascanu3)
