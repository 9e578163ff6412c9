"""Predict the next symbol of strings of the embedded Reber grammar."""

from copy import copy
from functools import partial
from typing import Self

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Card, Part, Published, Reference, TaskOptions, Threshold

SYMBOLS = "BTPSXVE"
HALF = 256
# The inner grammar: from each state, the symbols and the states they lead to, equally likely. It ends in state 7.
_INNER: tuple[dict[str, int], ...] = (
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
)
# The logit of an impossible symbol: e to its power is exactly zero.
IMPOSSIBLE = -1000.0


class EmbeddedReberOptions(TaskOptions):
    """The set of strings."""

    set_seed: int = Field(
        0, ge=0, le=2**63, description="seed of the draw of the 256 training and 256 validation strings"
    )


class EmbeddedReber(AbstractTask):
    """Predict the next of seven symbols at every step; the last but one repeats the second.

        string:  B (T|P) <inner> (the same T|P) E           inner:  B … E from the Reber grammar

    Symbols are one-hot in the order BTPSXVE, (B, T, 7); the target is the class of the next symbol. A string of n
    symbols has n - 1 scored steps, at n - 5 of which two symbols are legal: with the grammar and the long memory the
    loss is (n - 5)·ln 2/(n - 1), without the long memory it is ln 2 more per string. Over the whole language,
    whose mean length is 12, that is 7 ln 2/11 = 0.4411 and 8 ln 2/11 = 0.5041 per step. The paper's sets are finite,
    and every string in them is different, so long ones are more frequent: the exact losses are those of the set drawn
    from.

    The first 512 different strings of a stream named by `set_seed` are shuffled and cut in two: `part("train")` draws
    from one half, `part("validation")` from the other, uniformly and with repetition; the task itself draws from all.
    The grammar sets the lengths: `timesteps` only selects strings.

    Source: Hochreiter, Schmidhuber 1997, "Long short-term memory", section 5.1, experiment 1; the grammar embedded by
        Cleeremans, Servan-Schreiber, McClelland 1989, after Reber 1967.
    Differs: The paper's networks have seven sigmoid outputs and squared error; here logits and cross-entropy. The
        success rule is the paper's, every legal next symbol more active than every other, but the paper requires it
        of all strings of both sets at once; here it is required of the strings that a validation draws from the
        validation set: with 2,560 draws the probability to miss a given string is below 1 in 20,000.

    Example:
        >>> task = EmbeddedReber(EmbeddedReberOptions())
        >>> string = [SYMBOLS.index(symbol) for symbol in "BPBTXSEPE"]
        >>> batch = Batch(np.eye(7)[[string[:-1]]], np.array([string[1:]]), np.ones((1, 8), bool), np.array([8]))
        >>> ["".join(s for s, y in zip(SYMBOLS, step) if y == 0) for step in task.oracle(batch)[0]]
        ['TP', 'B', 'TP', 'SX', 'SX', 'E', 'P', 'E']
    """

    name = "embedded_reber@hs1997"
    Options = EmbeddedReberOptions
    loss = "cross_entropy"
    return_sequences = True
    input_features = len(SYMBOLS)
    output_features = len(SYMBOLS)
    solved = Threshold({"error_rate": 0.0})
    card = Card(
        title="Next symbol of an embedded Reber string",
        definition="Strings B, T or P, a Reber string, the same T or P, E; seven one-hot symbols, both branches "
        "equally likely. Target: the next symbol at every step. 256 strings for training, 256 others for validation.",
        published=(
            Published(
                "LSTM, 3 blocks of 2 cells, learning rate 0.5: 8,440 strings, 100 % success", "H&S 1997, Table 1"
            ),
            Published("LSTM, 4 blocks of 1 cell, learning rate 0.5: 9,500 strings, 97 % success", "H&S 1997, Table 1"),
            Published("RTRL, 12 units: 25,000 strings, some fraction succeeds", "H&S 1997, Table 1"),
            Published("recurrent cascade correlation: 182,000 strings, 50 % success", "H&S 1997, Table 1"),
            Published("Elman network: none in 200,000 strings", "H&S 1997, Table 1"),
        ),
    )

    def __init__(self, options: EmbeddedReberOptions) -> None:
        super().__init__(options)
        self._codes, self._steps = _draw_strings(stream(options.set_seed, "task/embedded_reber"))
        self._next = _automaton()
        self._rows = np.arange(2 * HALF)
        self.default_timesteps = (int(self._steps.min()), int(self._steps.max()))

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        low, high = self.default_timesteps
        for half in ("train", "validation"):
            if len(self.part(half)._within(timesteps)) == 0:
                wanted = f"{timesteps[0]} to {timesteps[1]} steps"
                return f"the grammar sets the lengths, {low} to {high} steps; no string of the {half} set has {wanted}"
        return None

    def part(self, part: Part) -> Self:
        half = copy(self)
        half._rows = np.arange(HALF) if part == "train" else np.arange(HALF, 2 * HALF)
        return half

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        rows = rng.choice(self._within(timesteps), size=batch_size)
        lengths, shown = self._steps[rows], min(timesteps[1], self._codes.shape[1] - 1)
        mask = within_lengths(lengths, timesteps[1])
        inputs, targets = np.zeros((*mask.shape, len(SYMBOLS))), np.zeros(mask.shape, dtype=np.int64)
        inputs[:, :shown] = np.eye(len(SYMBOLS))[self._codes[rows, :shown]]  # (B, T, 7)
        targets[:, :shown] = self._codes[rows, 1 : shown + 1]
        return Batch(inputs * mask[:, :, None], targets * mask, mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        pairs, steps = self._pairs(timesteps), self._steps[self._within(timesteps)]
        odds = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1)
        logits = np.log(odds, out=np.full(odds.shape, IMPOSSIBLE), where=odds > 0)
        entropy = -float((pairs * logits).sum() / pairs.sum())
        name = "follows the grammar, forgets the second symbol"
        forgetful = float((steps - 3).sum() * np.log(2) / steps.sum())
        return (
            Reference("memoryless: knows what follows each symbol", entropy, lambda batch: batch.inputs @ logits),
            Reference(name, forgetful, partial(self._logits, forgetful=True), needs_memory=True),
        )

    def oracle_loss(self, timesteps: Lengths) -> float:
        steps = self._steps[self._within(timesteps)]
        return float((steps - 4).sum() * np.log(2) / steps.sum())

    def correct(self, outputs: Array, batch: Batch) -> Array:
        legal = self._legal(batch)
        lowest = np.where(legal, outputs, np.inf).min(axis=-1)
        highest = np.where(legal, -np.inf, outputs).max(axis=-1)
        return np.asarray(((lowest > highest) | ~batch.mask).all(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `long_memory_error_rate` too: of the last symbol but one, which repeats the second."""
        last_but_one = np.arange(batch.size), batch.lengths - 2
        wrong = outputs[last_but_one].argmax(axis=-1) != batch.targets[last_but_one]
        return super().metrics(outputs, batch) | {"long_memory_error_rate": float(wrong.mean())}

    def oracle(self, batch: Batch) -> Array:
        return self._logits(batch)

    def _within(self, timesteps: Lengths) -> Array:
        steps = self._steps[self._rows]
        return np.asarray(self._rows[(timesteps[0] <= steps) & (steps <= timesteps[1])])

    def _pairs(self, timesteps: Lengths) -> Array:
        """Return (7, 7) counts: how often each symbol is followed by each other."""
        rows = self._within(timesteps)
        now, following = self._codes[rows, :-1], self._codes[rows, 1:]
        inside = within_lengths(self._steps[rows], now.shape[1])
        pairs = np.bincount(now[inside] * 7 + following[inside], minlength=49)
        return np.asarray(pairs.reshape(7, 7))

    def _logits(self, batch: Batch, *, forgetful: bool = False) -> Array:
        return np.where(self._legal(batch, forgetful=forgetful), 0.0, IMPOSSIBLE)

    def _legal(self, batch: Batch, *, forgetful: bool = False) -> Array:
        """Return (B, T, 7): which symbols may follow each step; if `forgetful`, both T and P end the string."""
        symbols = batch.inputs.argmax(axis=-1)
        states = np.zeros((batch.inputs.shape[1] + 1, batch.size), dtype=np.int64)
        for t in range(len(states) - 1):
            states[t + 1] = self._next[states[t], symbols[:, t]]
        legal = self._next != _DEAD
        if forgetful:
            legal[[_BRANCH + 7, 2 * _BRANCH + 7], 1:3] = True
        return np.asarray(legal[states[1:].T])


# States of the whole grammar: 0 before B, 1 before T or P, the inner grammar at 8 and again at 16, before E, the end.
_BRANCH, _BEFORE_E, _END, _DEAD = 8, 24, 25, 26


def _automaton() -> Array:
    """Return (states, 7): where each symbol leads from each state."""
    table = np.full((_DEAD + 1, len(SYMBOLS)), _DEAD)
    table[0, SYMBOLS.index("B")] = 1
    table[_BEFORE_E, SYMBOLS.index("E")] = _END
    for branch, symbol in enumerate("TP", start=1):
        table[1, SYMBOLS.index(symbol)] = branch * _BRANCH
        table[branch * _BRANCH + 7, SYMBOLS.index(symbol)] = _BEFORE_E
        for state, ways in enumerate(_INNER):
            for way, target in ways.items():
                table[branch * _BRANCH + state, SYMBOLS.index(way)] = branch * _BRANCH + target
    return table


def _draw_strings(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return 512 different strings: codes, zero beyond the end, and steps, which is one less than symbols."""
    different: dict[tuple[int, ...], None] = {}
    while len(different) < 2 * HALF:
        different |= dict.fromkeys(_walks(rng, 1024))
    strings = list(different)[: 2 * HALF]
    rng.shuffle(strings)
    steps = np.array([len(string) - 1 for string in strings])
    codes = np.zeros((2 * HALF, steps.max() + 1), dtype=np.int64)
    for row, string in zip(codes, strings, strict=True):
        row[: len(string)] = string
    return codes, steps


def _walks(rng: np.random.Generator, count: int) -> list[tuple[int, ...]]:
    table = _automaton()
    legal = table != _DEAD
    ways = np.stack([legal.argmax(axis=1), 6 - legal[:, ::-1].argmax(axis=1)], axis=1)  # one or two symbols may follow
    state, walked = np.zeros(count, dtype=np.int64), []
    while (state != _END).any():
        symbol = np.where(state == _END, -1, ways[state, rng.integers(0, 2, size=count)])
        state = np.where(state == _END, _END, table[state, symbol])
        walked.append(symbol)
    return [tuple(code for code in string if code >= 0) for string in np.array(walked).T.tolist()]


TASKS = (EmbeddedReber,)
