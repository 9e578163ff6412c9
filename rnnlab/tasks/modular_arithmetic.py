"""Modular arithmetic: the value of sums, differences and products of digits, modulo five."""

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks._regular import PUBLISHED, AbstractRegular
from rnnlab.tasks.base import CERTAIN, Reference, too_short

MODULUS = 5
PLUS, MINUS, TIMES = 5, 6, 7


class ModularArithmetic(AbstractRegular):
    """Compute sums and products modulo 5.

    Digits 0-4 and the operators + - × in turn, equally likely, 1 to 39 symbols, one-hot, then an empty symbol.
    Target at the empty symbol: the value modulo 5, products first.

    Symbols are in the order `01234+-×` and the empty one. Expressions have an odd number of symbols, so that
    `timesteps`, one more, are even. A product with a 0 is 0, which makes 0 the most frequent value: the loss of the
    best constant is the entropy of the exact distribution. One who misses the last digit knows the value where it is
    multiplied by 0, else nothing: with p₀ the probability of that, (1 - p₀) ln 5.

    Source: Delétang et al. 2023, "Neural networks and the Chomsky hierarchy", and its code.
    Differs: Each sequence has a length of its own, uniform over the odd ones; in the paper all of a batch have the
        same. The rule, 90 % right, is the paper's for lengths of 41 to 500 after training on 1 to 40.

    Example:
        >>> task = ModularArithmetic(ModularArithmetic.Options())
        >>> codes = np.array([["01234+-×".index(symbol) for symbol in "3-2×4+1"]])  # 3 - 8 + 1 = -4
        >>> task._answers(codes, np.array([7])).tolist()
        [1]
        >>> [round(one.loss, 4) for one in task.references((4, 4))]  # p(0) = 2/3 · 1/5 + 1/3 · 9/25; p₀ = 1/3 · 1/5
        [1.6011, 1.5021]
    """

    name = "modular_arithmetic@deletang2023"
    symbols = "01234+-×"
    output_features = MODULUS
    output_names = "01234"
    default_timesteps = (2, 40)
    published = PUBLISHED

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        low, high = _digits(timesteps)
        odd = None if low <= high else "needs an even number of steps: an odd number of symbols, and the empty one"
        return too_short(timesteps, 2, "a digit, and the empty symbol") or odd

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        low, high = _digits(timesteps)
        zero = [0.0, *(float(state[:, 0].sum()) / 3 for state in _distribution(high - 1))][low - 1 : high]
        least = LOSSES[self.loss].least(np.full(MODULUS, 1 / MODULUS))
        loss = (1 - float(np.mean(zero))) * float(least)
        return (*super().references(timesteps), Reference("misses the last digit", loss, _no_last, needs_memory=True))

    def _lengths(self, rng: np.random.Generator, batch_size: int, timesteps: Lengths) -> Array:
        low, high = _digits(timesteps)
        return 2 * rng.integers(low, high + 1, size=batch_size)

    def _codes(self, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        codes = rng.integers(0, MODULUS, size=shape)
        codes[:, 1::2] = rng.integers(PLUS, TIMES + 1, size=codes[:, 1::2].shape)
        return codes

    def _answers(self, codes: Array, n: Array) -> Array:
        total, product = _state(codes, n)
        return np.asarray((total + product) % MODULUS)

    def _shares(self, timesteps: Lengths) -> Array:
        low, high = _digits(timesteps)
        mean = np.mean(_distribution(high)[low - 1 :], axis=0)
        return np.array([sum(mean[total, value - total] for total in range(MODULUS)) for value in range(MODULUS)])


def _state(codes: Array, n: Array) -> tuple[Array, Array]:
    """Return the sum of the finished terms and the last term so far, (B,) each, after n symbols of (B, T)."""
    total, product = np.zeros_like(n), codes[:, 0]
    for t in range(1, int(n.max()) - 1, 2):
        operator, digit, is_on = codes[:, t], codes[:, t + 1], t < n
        is_times = operator == TIMES
        total = np.where(is_on & ~is_times, total + product, total)
        term = np.where(is_times, product * digit, np.where(operator == MINUS, -digit, digit)) % MODULUS
        product = np.where(is_on, term, product)
    return total, product


def _distribution(count: int) -> list[Array]:
    """Return, for 1 … count digits, how likely each sum and last term are, (5, 5)."""
    states = [np.eye(MODULUS)[[0]].T * np.full(MODULUS, 1 / MODULUS)]
    for _ in range(count - 1):
        before, after = states[-1], np.zeros((MODULUS, MODULUS))
        for total in range(MODULUS):
            for product in range(MODULUS):
                chance = before[total, product] / (3 * MODULUS)
                after[(total + product) % MODULUS] += 2 * chance  # + and -, whose term is any digit
                np.add.at(after[total], product * np.arange(MODULUS) % MODULUS, chance)
        states.append(after)
    return states[:count]


def _no_last(batch: Batch) -> Array:
    codes, n = batch.inputs.argmax(axis=2), batch.lengths - 1
    total, product = _state(codes, np.maximum(n - 2, 1))
    is_known = (n > 1) & (codes[np.arange(batch.size), n - 2] == TIMES) & (product == 0)
    return np.asarray(CERTAIN * is_known[:, None] * np.eye(MODULUS)[total % MODULUS])


def _digits(timesteps: Lengths) -> tuple[int, int]:
    """Return the smallest and the largest number of digits."""
    return -(-timesteps[0] // 2), timesteps[1] // 2


TASKS = (ModularArithmetic,)
