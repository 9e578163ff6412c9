"""The embedded Reber grammar: its states, and the strings of a range of lengths with their exact statistics."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rnnlab.core.batch import Array, Lengths

SYMBOLS = "BTPSXVE"
SHORTEST, LONGEST = 8, 1000  # steps; beyond, the probability of a string is too small to compute with
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
# States of the whole grammar: 0 before B, 1 before T or P, the inner grammar at 8 and again at 16, before E, the end.
BRANCH, _BEFORE_E, _END, _DEAD = 8, 24, 25, 26


def _automaton() -> Array:
    """Return (states, 7): where each symbol leads from each state."""
    table = np.full((_DEAD + 1, len(SYMBOLS)), _DEAD)
    table[0, SYMBOLS.index("B")] = 1
    table[_BEFORE_E, SYMBOLS.index("E")] = _END
    for branch, symbol in enumerate("TP", start=1):
        table[1, SYMBOLS.index(symbol)] = branch * BRANCH
        table[branch * BRANCH + 7, SYMBOLS.index(symbol)] = _BEFORE_E
        for state, ways in enumerate(_INNER):
            for way, target in ways.items():
                table[branch * BRANCH + state, SYMBOLS.index(way)] = branch * BRANCH + target
    return table


NEXT = _automaton()
LEGAL = NEXT != _DEAD  # (states, 7): which symbols may follow
LEGAL_IN_A_ROW = LEGAL | (np.arange(len(NEXT)) == _END)[:, None] & (np.arange(len(SYMBOLS)) == SYMBOLS.index("B"))


@dataclass(frozen=True, eq=False, slots=True)
class Language:
    """The strings of a range of lengths, each as likely as at even odds among the strings of that range."""

    odds: Array  # (N, states, 7): the probability of each next symbol in each state after n symbols
    mean_steps: float  # the mean of the steps, which are one less than the symbols
    pairs: Array  # (7, 7): how often, per string, each symbol is followed by each other
    allowed: Array  # (7, 7): how often, per string, each symbol is there and may be followed by each, the last one by B

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Array, Array]:
        """Return strings: codes, (count, N), zero beyond the end, and steps, (count,)."""
        limits = self.odds.cumsum(axis=2)
        codes, state, steps = (
            np.zeros((count, len(limits)), dtype=np.int64),
            np.zeros(count, dtype=np.int64),
            np.zeros(count),
        )
        for n, limit in enumerate(limits):
            on = np.flatnonzero(state != _END)
            if not len(on):
                break
            at = limit[state[on]]
            symbol = (rng.random((len(on), 1)) * at[:, -1:] >= at).sum(axis=1)
            codes[on, n], state[on], steps[on] = symbol, NEXT[state[on], symbol], n
        return codes, steps.astype(np.int64)


@lru_cache(maxsize=16)
def language(steps: Lengths) -> Language:
    """Return the strings of `steps[0]` to `steps[1]` steps, 8 to 1,000."""
    symbols = steps[1] + 1
    # The probability, at even odds, that a string ends within the range, from each state after n symbols.
    ends = np.zeros((symbols + 1, len(NEXT)))
    ends[steps[0] + 1 :, _END] = 1.0
    even = LEGAL / np.maximum(LEGAL.sum(axis=1, keepdims=True), 1)
    for n in reversed(range(symbols)):
        ends[n] += (even * ends[n + 1, NEXT]).sum(axis=1)
    odds = even * ends[1:][:, NEXT] / np.where(ends[:-1] > 0, ends[:-1], 1.0)[:, :, None]

    reached, mean_symbols = np.eye(len(NEXT))[0], 0.0
    pairs, allowed = np.zeros((2, len(SYMBOLS), len(SYMBOLS)))
    for now, following in zip(odds, [*odds[1:], np.zeros_like(odds[0])], strict=True):
        chosen = reached[:, None] * now  # (states, 7)
        mean_symbols += chosen.sum()
        pairs += np.einsum("sa,sab->ab", chosen, following[NEXT])
        allowed += np.einsum("sa,sab->ab", chosen, LEGAL_IN_A_ROW[NEXT])
        reached = np.bincount(NEXT.ravel(), chosen.ravel(), minlength=len(NEXT))
    return Language(odds, float(mean_symbols) - 1, pairs, allowed)


def states(symbols: Array) -> Array:
    """Return the state after each of the symbols, (…, T), that start a string."""
    found = np.zeros(symbols.shape, dtype=np.int64)
    state = np.zeros(symbols.shape[:-1], dtype=np.int64)
    for t in range(symbols.shape[-1]):
        found[..., t] = state = NEXT[state, symbols[..., t]]
    return found
