"""Even pairs: are the first and the last of a string of bits the same?"""

import numpy as np

from rnnlab.core.batch import Array, Lengths
from rnnlab.tasks._regular import PUBLISHED, AbstractRegular


class EvenPairs(AbstractRegular):
    """Are the first and the last bit the same?

    1 to 40 random bits, one-hot, then an empty symbol. Target at the empty symbol: 0 if the pairs 01 and 10 are
    even in number, which they are if the first bit is the last, else 1.

    A single bit has no pair: if those are a share q of all strings, even has the probability (1 + q)/2, and the loss of
    the best constant is H((1 + q)/2), H the entropy of a coin in nats.

    Source: Delétang et al. 2023, "Neural networks and the Chomsky hierarchy", and its code.
    Differs: As `parity@deletang2023`.

    Example:
        >>> task = EvenPairs(EvenPairs.Options())
        >>> codes = np.array([[0, 0, 1, 1, 0], [0, 1, 1, 0, 1]])  # 01 and 10; 01, 10 and 01
        >>> task._answers(codes, np.array([5, 5])).tolist()
        [0, 1]
        >>> round(task.baseline((2, 41)), 4), task.baseline((2, 2))  # H(41/80), a single bit
        (0.6928, 0.0)
    """

    name = "even_pairs@deletang2023"
    symbols = "01"
    output_features = 2
    output_names = ("even", "odd")
    published = PUBLISHED

    def _answers(self, codes: Array, n: Array) -> Array:
        return np.asarray(codes[:, 0] ^ codes[np.arange(len(codes)), n - 1])

    def _shares(self, timesteps: Lengths) -> Array:
        single = float(timesteps[0] == 2) / (timesteps[1] - timesteps[0] + 1)
        return np.array([(1 + single) / 2, (1 - single) / 2])


TASKS = (EvenPairs,)
