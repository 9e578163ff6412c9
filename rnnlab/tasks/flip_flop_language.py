"""The flip-flop language: write, ignore and read instructions with a bit each; what does each read give?"""

from functools import partial

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks.base import CERTAIN, AbstractTask, Published, Reference, TaskOptions, Threshold

TOKENS = "wir01"
WRITE, IGNORE, READ = 0, 1, 2


class FlipFlopLanguageOptions(TaskOptions):
    """How often an instruction is to be ignored."""

    ignore_probability: float = Field(
        0.8, gt=0.0, lt=1.0, description="of an instruction i between the first and the last; w and r share the rest"
    )


class FlipFlopLanguage(AbstractTask):
    """Read the bit that was written last.

    256 pairs of an instruction and a bit, 512 tokens of 5, one-hot: first write, last read, between ignore with the
    probability 0.8, write and read with 0.1 each. Target at each read: the bit that was written last. A sequence is
    right when all its reads are.

    Tokens are in the order `wir01`; `timesteps` are the tokens, 2 per instruction: with the probability pᵢ = 0.8
    ignore, i, else write, w, or read, r. A predictor without memory has the loss ln 2. One who sees the two tokens
    before knows the bit unless they are an i with its bit, which has the probability pᵢ except right after the first w.

    Source: Liu, Ash, Goel, Krishnamurthy, Zhang 2023, "Exposing attention glitches with flip-flop language modeling".
    Differs: Only the bits after r are predicted, as in the paper's clean mode; there are two outputs, as no other token
        can follow.

    Example:
        >>> task = FlipFlopLanguage(FlipFlopLanguageOptions())
        >>> tokens = np.eye(5)[["wir01".index(token) for token in "w1i0r1r1"]]
        >>> mask = np.array([[False, False, False, False, True, False, True, False]])
        >>> batch = Batch(tokens[None], np.array([[0, 0, 0, 0, 1, 0, 1, 0]]), mask, np.array([8]))
        >>> task.oracle(batch)[mask].argmax(axis=1).tolist()
        [1, 1]
        >>> [round(one.loss, 4) for one in task.references((6, 6))]  # 1.1 reads, 0.8 of them right after an i
        [0.6931, 0.5041]
    """

    name = "flip_flop_language@liu2023"
    Options = FlipFlopLanguageOptions
    options: FlipFlopLanguageOptions
    loss = "cross_entropy"
    follows_loss = True
    return_sequences = True
    input_features, output_features = len(TOKENS), 2
    input_names, output_names = TOKENS, ("0", "1")
    default_timesteps = (512, 512)
    maximised = frozenset({"read_accuracy"})
    solved = Threshold({"error_rate": 0.0})
    published = (
        Published(
            "LSTM, 1 layer of 128 units: 100 of 100 networks right at every read, with ignore at 0.8, 0.98 and 0.1",
            "Liu et al. 2023",
        ),
    )

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        low, high = _pairs(timesteps)
        fault = "needs an even number of steps, 4 or more: a write, a read, a bit after each"
        return None if 2 <= low <= high else fault

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        low, high = _pairs(timesteps)
        pairs = rng.integers(low, high + 1, size=batch_size)
        ignore = self.options.ignore_probability
        shape = (batch_size, high)
        order = rng.random(shape)
        instructions = np.where(order < ignore, IGNORE, np.where(order < (1 + ignore) / 2, WRITE, READ))
        instructions[:, 0], instructions[np.arange(batch_size), pairs - 1] = WRITE, READ
        bits = rng.integers(0, 2, size=shape)
        written = np.take_along_axis(bits, _last_write(instructions == WRITE), axis=1)
        bits = np.where(instructions == READ, written, bits)
        tokens = np.zeros((batch_size, timesteps[1]), dtype=np.int64)
        tokens[:, : 2 * high : 2], tokens[:, 1 : 2 * high : 2] = instructions, TOKENS.index("0") + bits
        inside = within_lengths(2 * pairs, timesteps[1])
        mask = (tokens == READ) & inside
        targets = np.zeros_like(tokens)
        targets[:, : 2 * high : 2] = written
        return Batch(np.eye(len(TOKENS))[tokens] * inside[:, :, None], targets * mask, mask, 2 * pairs)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        low, high = _pairs(timesteps)
        pairs, ignore = (low + high) / 2, self.options.ignore_probability
        even = float(LOSSES[self.loss].least(np.array([0.5, 0.5])))
        between = (1 - ignore) / 2
        reads = between * (pairs - 2) + 1
        few = float(low == 2) / (high - low + 1)  # the last read right after the first write; else that is one between
        known_first = few + (1 - few) * between
        neither = Reference("memoryless: both bits equally likely", even, partial(_back, look=False))
        back = (reads - known_first) / reads * ignore * even
        if back == 0:
            return (neither,)
        return (neither, Reference("sees one instruction back", back, partial(_back, look=True), needs_memory=True))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `read_accuracy` too: of all reads."""
        hits = (outputs.argmax(axis=-1) == batch.targets)[batch.mask]
        return super().metrics(outputs, batch) | {"read_accuracy": float(hits.mean())}

    def oracle(self, batch: Batch) -> Array:
        wrote = np.zeros(batch.mask.shape, dtype=bool)
        wrote[:, 1:] = batch.inputs[:, :-1, WRITE] == 1  # the steps of the bits that were written
        return CERTAIN * np.take_along_axis(batch.inputs[:, :, 3:], _last_write(wrote)[:, :, None], axis=1)


def _last_write(wrote: Array) -> Array:
    """Return at each step the newest one at which `wrote` (B, T) is true, 0 if there is none."""
    return np.asarray(np.maximum.accumulate(np.where(wrote, np.arange(wrote.shape[1]), 0), axis=1))


def _back(batch: Batch, *, look: bool) -> Array:
    """Return the bit of the step before, if it is to `look` and the instruction of that bit is not to be ignored."""
    outputs = np.zeros((*batch.mask.shape, 2))
    if look:
        counts = batch.inputs[:, :-2, IGNORE] == 0
        outputs[:, 2:] = CERTAIN * batch.inputs[:, 1:-1, 3:] * counts[:, :, None]
    return outputs


def _pairs(timesteps: Lengths) -> tuple[int, int]:
    """Return the fewest and the most instructions."""
    return -(-timesteps[0] // 2), timesteps[1] // 2


TASKS = (FlipFlopLanguage,)
