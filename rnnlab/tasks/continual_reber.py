"""Predict which symbols may come next in an endless row of embedded Reber strings."""

from functools import partial

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.losses import too_far
from rnnlab.tasks._reber import BRANCH, LEGAL_IN_A_ROW, LONGEST, SHORTEST, SYMBOLS, language, states
from rnnlab.tasks.base import AbstractTask, Published, Reference, Threshold

_CERTAIN = 50.0  # a raw output whose sigmoid is 1


class ContinualReber(AbstractTask):
    """Next symbols of embedded Reber strings in a row.

    Strings B, T or P, a Reber string, the same T or P, E, one after another without a mark; seven one-hot symbols,
    both branches equally likely. Target: 1 for each symbol that may come next, else 0, at every step. Wrong: an
    output off by more than 0.49.

        stream:  … E | B (T|P) <inner> (the same T|P) E | B (T|P) …         inner:  B … E from the Reber grammar

    A sequence is one string, its symbols in the order BTPSXVE, (B, T, 7), 12 in the mean; after the last E the target
    is B of the next string. So strings drawn one by one make up a stream without a mark between them: the network runs
    through with `training: {reset: error}`, or `never`. A stream ends at its first wrong step.

    Without memory the loss is 0.1077: the mean variance of a target given the symbol alone. With the grammar, but not
    the second symbol, two targets are unknown once in a string: 0.5/(7·12) = 0.0060.

    Source: Gers, Schmidhuber, Cummins 2000, "Learning to forget: continual prediction with LSTM", section 4.1.
    Differs: The protocol is known from notes on the paper, not from its text. The target is the set of possible symbols
        there too, as 0.49 could not be kept otherwise. Strings of more than 51 symbols, two in a million, are left out.
        After an error the next string begins; the rest of the string with the error is not shown.

    Example:
        >>> task = ContinualReber(ContinualReber.Options())
        >>> string = [SYMBOLS.index(symbol) for symbol in "BPBTXSEPE"]
        >>> batch = Batch(np.eye(7)[[string]], np.zeros((1, 9, 7)), np.ones((1, 9), bool), np.array([9]))
        >>> ["".join(s for s, y in zip(SYMBOLS, step) if y > 0) for step in task.oracle(batch)[0]]
        ['TP', 'B', 'TP', 'SX', 'SX', 'E', 'P', 'E', 'B']
    """

    name = "continual_reber@gers2000"
    loss = "sigmoid_mse_bits"
    return_sequences = True
    tolerance = 0.49
    input_features = output_features = len(SYMBOLS)
    input_names = output_names = SYMBOLS
    default_timesteps = (SHORTEST + 1, 51)
    maximised = frozenset({"error_free_steps"})
    solved = Threshold({"error_rate": 0.0})
    published = (
        Published(
            "LSTM with forget gates, 4 blocks of 2 cells, 424 weights, learning rate 0.5: 18 % of 100 networks "
            "without an error in 10 streams of 100,000 symbols; with a learning rate that falls by 0.99 per step "
            "62 %; without forget gates 0 %",
            "Gers, Schmidhuber, Cummins 2000, table 2",
        ),
    )

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        if timesteps[1] <= SHORTEST:
            return f"the grammar sets the lengths: the shortest string has {SHORTEST + 1} steps"
        return f"takes at most {LONGEST + 1:,} steps: longer ones never come" if timesteps[1] > LONGEST + 1 else None

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        codes, steps = language((timesteps[0] - 1, timesteps[1] - 1)).draw(rng, batch_size)
        mask = within_lengths(steps + 1, timesteps[1])
        longest = int(steps.max()) + 1  # of these strings; the most that may come are several times as long
        inputs, targets = np.zeros((2, *mask.shape, len(SYMBOLS)))  # (B, T, 7)
        inputs[:, :longest] = np.eye(len(SYMBOLS))[codes[:, :longest]] * mask[:, :longest, None]
        targets[:, :longest] = _possible(codes[:, :longest]) * mask[:, :longest, None]
        return Batch(inputs, targets, mask, steps + 1)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        known = language((timesteps[0] - 1, timesteps[1] - 1))
        counts = np.maximum(known.pairs.sum(axis=1) + (np.arange(7) == SYMBOLS.index("E")), 1e-300)  # the last E too
        share = known.allowed / counts[:, None]  # of a symbol's steps, those at which each may follow
        loss = float((counts[:, None] * share * (1 - share)).sum() / (7 * counts.sum()))
        with np.errstate(divide="ignore"):
            logits = np.clip(np.log(share) - np.log1p(-np.minimum(share, 1)), -_CERTAIN, _CERTAIN)
        forgets = partial(_grammar, forgetful=True)
        unknown = 0.5 / (7 * (known.mean_steps + 1))
        return (
            Reference("memoryless: how often each symbol may follow each", loss, lambda batch: batch.inputs @ logits),
            Reference("follows the grammar, forgets the second symbol", unknown, forgets, needs_memory=True),
        )

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(~(too_far(outputs, batch.targets, self.tolerance) & batch.mask).any(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `error_free_steps` too: the mean number of steps before the first wrong one."""
        wrong = too_far(outputs, batch.targets, self.tolerance) & batch.mask
        free = (~np.logical_or.accumulate(wrong, axis=1) & batch.mask).sum(axis=1)
        return super().metrics(outputs, batch) | {"error_free_steps": float(free.mean())}

    def oracle(self, batch: Batch) -> Array:
        return _grammar(batch)


def _grammar(batch: Batch, *, forgetful: bool = False) -> Array:
    """Return raw outputs that are certain, but for T and P at the end if `forgetful`."""
    possible = 2.0 * _possible(batch.inputs.argmax(axis=-1)) - 1.0
    if forgetful:
        at = np.isin(states(batch.inputs.argmax(axis=-1)), [BRANCH + 7, 2 * BRANCH + 7])
        possible[at, 1:3] = 0.0
    return np.asarray(_CERTAIN * possible)


def _possible(codes: Array) -> Array:
    """Return (B, T, 7): 1 for each symbol that may follow those up to each, (B, T), else 0."""
    return np.asarray(LEGAL_IN_A_ROW[states(codes)], np.float64)


TASKS = (ContinualReber,)
