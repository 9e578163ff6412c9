"""Predict the next symbol of strings of the embedded Reber grammar."""

from abc import abstractmethod
from copy import copy
from functools import cached_property, lru_cache, partial
from typing import Self

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks._reber import BRANCH, LEGAL, LONGEST, SHORTEST, SYMBOLS, Language, language, states
from rnnlab.tasks.base import AbstractTask, Part, Published, Reference, TaskOptions, Threshold

SIZE = 256
# Logits: of an impossible symbol, whose exponential is exactly zero, and of one that is possible and never comes.
IMPOSSIBLE, NEVER = -1000.0, -80.0


class EmbeddedReberOptions(TaskOptions):
    """The sets of strings."""

    set_seed: int = Field(0, ge=0, le=2**63, description="seed of the draw of the sets of 256 strings")


class AbstractEmbeddedReber(AbstractTask):
    """Symbols one-hot in the order BTPSXVE, (B, T, 7); the target is the class of the next symbol, at every step."""

    Options = EmbeddedReberOptions
    options: EmbeddedReberOptions
    loss = "cross_entropy"
    follows_loss = True
    return_sequences = True
    input_features = len(SYMBOLS)
    output_features = len(SYMBOLS)
    input_names = output_names = SYMBOLS
    solved = Threshold({"error_rate": 0.0})

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        codes, lengths = self._strings(rng, batch_size, timesteps)
        shown = min(timesteps[1], codes.shape[1] - 1)
        mask = within_lengths(lengths, timesteps[1])
        inputs, targets = np.zeros((*mask.shape, len(SYMBOLS))), np.zeros(mask.shape, dtype=np.int64)
        inputs[:, :shown] = np.eye(len(SYMBOLS))[codes[:, :shown]]  # (B, T, 7)
        targets[:, :shown] = codes[:, 1 : shown + 1]
        return Batch(inputs * mask[:, :, None], targets * mask, mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        pairs, steps = self._statistics(timesteps)
        odds = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1e-300)
        logits = np.log(odds, out=np.full(odds.shape, IMPOSSIBLE), where=odds > 0)
        loss = float(pairs.sum(axis=1) @ LOSSES[self.loss].least(odds) / pairs.sum())
        forgets = partial(_grammar, forgetful=True)
        # Two symbols are legal at all but four steps; without the long memory, at all but three.
        return (
            Reference("memoryless: how often each symbol follows each", loss, lambda batch: batch.inputs @ logits),
            Reference(
                "follows the grammar, forgets the second symbol",
                (1 - 3 / steps) * self._even,
                forgets,
                needs_memory=True,
            ),
        )

    def correct(self, outputs: Array, batch: Batch) -> Array:
        legal = _legal(batch)
        lowest = np.where(legal, outputs, np.inf).min(axis=-1)
        highest = np.where(legal, -np.inf, outputs).max(axis=-1)
        return np.asarray(((lowest > highest) | ~batch.mask).all(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `long_memory_error_rate` too: of the last symbol but one, which repeats the second."""
        last_but_one = np.arange(batch.size), batch.lengths - 2
        wrong = outputs[last_but_one].argmax(axis=-1) != batch.targets[last_but_one]
        return super().metrics(outputs, batch) | {"long_memory_error_rate": float(wrong.mean())}

    @property
    def _even(self) -> float:
        """The least loss of a step where two symbols are equally likely."""
        return float(LOSSES[self.loss].least(np.array([0.5, 0.5, *[0.0] * (len(SYMBOLS) - 2)])))

    @abstractmethod
    def _strings(self, rng: np.random.Generator, count: int, timesteps: Lengths) -> tuple[Array, Array]:
        """Draw strings: codes, (B, N), zero beyond the end, and steps, (B,), one less than symbols."""

    @abstractmethod
    def _statistics(self, timesteps: Lengths) -> tuple[Array, float]:
        """Return how often each symbol is followed by each other, (7, 7), and the mean of the steps."""


class EmbeddedReber(AbstractEmbeddedReber):
    """Next symbol of an embedded Reber string.

    Strings B, T or P, a Reber string, the same T or P, E; seven one-hot symbols, both branches equally likely.
    Target: the next symbol at every step. Training draws from 256 strings, drawn once and with repetitions;
    validation from the whole language.

        string:  B (T|P) <inner> (the same T|P) E           inner:  B … E from the Reber grammar

    Symbols are in the order BTPSXVE, (B, T, 7); the target is the class of the next symbol. A string of n symbols, 12
    in the mean, has n - 1 scored steps, at n - 5 of which two symbols are legal: with the grammar and the long memory
    the loss is 7 ln 2/11 = 0.4411, which nothing falls below; without the long memory it is 8 ln 2/11 = 0.5041.

    `set_seed` names the set; a network that memorizes it has a lower loss on it. Strings of more than 50 steps, of
    which there are two in a million, are left out. Other `timesteps` select strings: the branches are then no longer
    even, and the oracle, which does not know the selection, is not the best possible.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.1, experiment 1; the grammar embedded by
        Cleeremans, Servan-Schreiber, McClelland 1989, after Reber 1967.
    Differs: Cross-entropy over a softmax; `training: {loss: sigmoid_mse}` is the paper's squared error over sigmoids.
        The paper's training set is drawn in the same way, but its test set has 256 strings that are not in the training
        set: long ones, as the short ones are almost always in it. Here a validation draws from the language. The
        success rule is the paper's, every legal next symbol more active than every other, but the paper requires it of
        all strings of both sets, here of those that a validation draws. Of 2,560 about 640 are not in the training set,
        320 of them different (of the paper's 256 about 170 are); and of the different strings of the training set 77 %
        are drawn.

    Example:
        >>> task = EmbeddedReber(EmbeddedReber.Options())
        >>> string = [SYMBOLS.index(symbol) for symbol in "BPBTXSEPE"]
        >>> batch = Batch(np.eye(7)[[string[:-1]]], np.array([string[1:]]), np.ones((1, 8), bool), np.array([8]))
        >>> ["".join(s for s, y in zip(SYMBOLS, step) if y == 0) for step in task.oracle(batch)[0]]
        ['TP', 'B', 'TP', 'SX', 'SX', 'E', 'P', 'E']
        >>> round(task.oracle_loss(task.default_timesteps), 4)
        0.4411
    """

    name = "embedded_reber@hs1997"
    default_timesteps = (SHORTEST, 50)
    published = (
        Published("LSTM, 3 blocks of 2 cells, learning rate 0.5: 8,440 strings, 100 % success", "H&S 1997, Table 1"),
        Published("LSTM, 4 blocks of 1 cell, learning rate 0.5: 9,500 strings, 97 % success", "H&S 1997, Table 1"),
        Published("RTRL, 12 units: 25,000 strings, some fraction succeeds", "H&S 1997, Table 1"),
        Published("recurrent cascade correlation: 182,000 strings, 50 % success", "H&S 1997, Table 1"),
        Published("Elman network: none in 200,000 strings", "H&S 1997, Table 1"),
    )
    _part: Part = "validation"

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        if timesteps[1] < SHORTEST:
            return f"the grammar sets the lengths: the shortest string has {SHORTEST} steps"
        return f"takes at most {LONGEST:,} steps: longer strings never come" if timesteps[1] > LONGEST else None

    def part(self, part: Part) -> Self:
        other = copy(self)
        other._part = part
        return other

    def oracle(self, batch: Batch) -> Array:
        return _grammar(batch)

    def oracle_loss(self, timesteps: Lengths) -> float:
        return (1 - 4 / language(timesteps).mean_steps) * self._even

    def _strings(self, rng: np.random.Generator, count: int, timesteps: Lengths) -> tuple[Array, Array]:
        if self._part != "train":
            return language(timesteps).draw(rng, count)
        codes, steps = _training_set(self.options.set_seed, timesteps)
        rows = rng.integers(0, SIZE, size=count)
        return codes[rows], steps[rows]

    def _statistics(self, timesteps: Lengths) -> tuple[Array, float]:
        known: Language = language(timesteps)
        return known.pairs, known.mean_steps


class EmbeddedReberDistinct(AbstractEmbeddedReber):
    """Next symbol of embedded Reber strings, each once.

    As embedded_reber@hs1997, but all strings are different: 256 for training, 256 others for validation, 256 others
    for a test. Long strings are therefore more frequent, and branches not even.

    768 different strings, the first of a stream named by `set_seed`, are shuffled and cut in three; each part draws
    from its own, uniformly. Following the grammar at even odds is therefore not the best: the oracle knows the strings
    of the set it is asked about, and has the loss ln 256/mean steps. `timesteps` selects strings.

    Source: A reading of Hochreiter, Schmidhuber 1997, section 5.1, in which the 512 strings are different.
    Differs: The paper does not say so, and `embedded_reber@hs1997` is the likely reading: compare the paper with that.

    Example:
        >>> task = EmbeddedReberDistinct(EmbeddedReberDistinct.Options())
        >>> batch = task.sample(np.random.default_rng(0), batch_size=256, timesteps=task.default_timesteps)
        >>> bool(task.correct(task.oracle(batch), batch).all())
        True
    """

    name = "embedded_reber@distinct"
    follows_loss = False  # the loss of the oracle depends on which strings of its set are drawn

    def __init__(self, options: EmbeddedReberOptions) -> None:
        super().__init__(options)
        self._codes, self._steps = _different_strings(options.set_seed)
        self._rows = np.arange(SIZE, 2 * SIZE)
        self.default_timesteps = (int(self._steps.min()), int(self._steps.max()))

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        low, high = self.default_timesteps
        for name in ("train", "validation", "test"):
            if len(self.part(name)._within(timesteps)) == 0:
                wanted = f"{timesteps[0]} to {timesteps[1]} steps"
                return f"the grammar sets the lengths, {low} to {high} steps; no string of the {name} set has {wanted}"
        return None

    def part(self, part: Part) -> Self:
        other = copy(self)
        other.__dict__.pop("_continued", None)
        first = {"train": 0, "validation": SIZE, "test": 2 * SIZE}[part]
        other._rows = np.arange(first, first + SIZE)
        return other

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        loss = (1 - 4 / self._statistics(timesteps)[1]) * self._even
        even = Reference("follows the grammar at even odds", loss, _grammar, needs_memory=True)
        return (*super().references(timesteps), even)

    def oracle(self, batch: Batch) -> Array:
        symbols, outputs = batch.inputs.argmax(axis=-1), _grammar(batch)
        for string, length, logits in zip(symbols.tolist(), batch.lengths, outputs, strict=True):
            for t in range(length):
                if (known := self._continued.get(tuple(string[: t + 1]))) is not None:
                    logits[t] = np.maximum(known, np.where(logits[t] == IMPOSSIBLE, IMPOSSIBLE, NEVER))
        return outputs

    def oracle_loss(self, timesteps: Lengths) -> float:
        codes, steps = self._codes[self._within(timesteps)], self._steps[self._within(timesteps)]
        logs = [
            self._continued[tuple(string[: t + 1])][string[t + 1]]
            for string, length in zip(codes.tolist(), steps, strict=True)
            for t in range(length)
        ]
        return -float(np.mean(logs))

    @cached_property
    def _continued(self) -> dict[tuple[int, ...], Array]:
        """Of each beginning of a string of this part: the logarithms of how often each symbol follows, (7,)."""
        counts: dict[tuple[int, ...], Array] = {}
        for string, length in zip(self._codes[self._rows].tolist(), self._steps[self._rows], strict=True):
            for t in range(length):
                counts.setdefault(tuple(string[: t + 1]), np.zeros(len(SYMBOLS)))[string[t + 1]] += 1
        with np.errstate(divide="ignore"):
            return {start: np.log(count / count.sum()) for start, count in counts.items()}

    def _strings(self, rng: np.random.Generator, count: int, timesteps: Lengths) -> tuple[Array, Array]:
        rows = rng.choice(self._within(timesteps), size=count)
        return self._codes[rows], self._steps[rows]

    def _statistics(self, timesteps: Lengths) -> tuple[Array, float]:
        codes, steps = self._codes[self._within(timesteps)], self._steps[self._within(timesteps)]
        inside = within_lengths(steps, codes.shape[1] - 1)
        pairs = np.bincount(codes[:, :-1][inside] * 7 + codes[:, 1:][inside], minlength=49)
        return pairs.reshape(7, 7) / len(steps), float(steps.mean())

    def _within(self, timesteps: Lengths) -> Array:
        steps = self._steps[self._rows]
        return np.asarray(self._rows[(timesteps[0] <= steps) & (steps <= timesteps[1])])


def _grammar(batch: Batch, *, forgetful: bool = False) -> Array:
    """Return logits that give all legal symbols the same probability."""
    return np.where(_legal(batch, forgetful=forgetful), 0.0, IMPOSSIBLE)


def _legal(batch: Batch, *, forgetful: bool = False) -> Array:
    """Return (B, T, 7): which symbols may follow each step; if `forgetful`, both T and P end the string."""
    legal = LEGAL.copy()
    if forgetful:
        legal[[BRANCH + 7, 2 * BRANCH + 7], 1:3] = True
    return np.asarray(legal[states(batch.inputs.argmax(axis=-1))])


@lru_cache(maxsize=16)
def _training_set(seed: int, timesteps: Lengths) -> tuple[Array, Array]:
    return language(timesteps).draw(stream(seed, "task/embedded_reber"), SIZE)


@lru_cache(maxsize=4)
def _different_strings(seed: int) -> tuple[Array, Array]:
    """Return 768 different strings in random order: codes, zero beyond the end, and steps."""
    rng = stream(seed, "task/embedded_reber/distinct")
    codes, steps = language((SHORTEST, 60)).draw(rng, 64 * SIZE)
    first = {string.tobytes(): row for row, string in reversed(list(enumerate(codes)))}
    chosen = np.sort(list(first.values()))[: 3 * SIZE]
    rng.shuffle(chosen)
    return codes[chosen, : steps[chosen].max() + 1], steps[chosen]


TASKS = (EmbeddedReber, EmbeddedReberDistinct)
