"""Cycle navigation: steps forth and back on a circle of five places; where does the walk end?"""

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.tasks._regular import PUBLISHED, AbstractRegular
from rnnlab.tasks.base import CERTAIN, Reference

PLACES = 5


class CycleNavigation(AbstractRegular):
    """Where does a walk on a circle end?

    1 to 40 moves -1, 0 or +1, one-hot, equally likely, then an empty symbol. Target at the empty symbol: the sum of
    the moves modulo 5.

    After few moves the places are not equally likely: the loss of the best constant is the entropy of the exact
    distribution over the lengths. One who misses the first move has three places left, ln 3.

    Source: Delétang et al. 2023, "Neural networks and the Chomsky hierarchy", and its code.
    Differs: As `parity@deletang2023`.

    Example:
        >>> task = CycleNavigation(CycleNavigation.Options())
        >>> codes = np.array([[0, 0, 1], [2, 2, 2]])  # back, back, none; three times forth
        >>> task._answers(codes, np.array([3, 3])).tolist()
        [3, 3]
        >>> round(task.baseline((2, 2)), 4)  # one move: ln 3
        1.0986
    """

    name = "cycle_navigation@deletang2023"
    symbols = "-0+"
    output_features = PLACES
    output_names = "01234"
    published = PUBLISHED

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        loss = float(LOSSES[self.loss].least(np.eye(PLACES)[:3].mean(axis=0)))
        forgetful = Reference("misses the first move", loss, self._without_first, needs_memory=True)
        return (*super().references(timesteps), forgetful)

    def _answers(self, codes: Array, n: Array) -> Array:
        return np.asarray(((codes - 1) * within_lengths(n, codes.shape[1])).sum(axis=1) % PLACES)

    def _shares(self, timesteps: Lengths) -> Array:
        move = sum(np.roll(np.eye(PLACES), by, axis=1) for by in (-1, 0, 1)) / 3
        reached = [np.linalg.matrix_power(move, timesteps[0] - 1)[0]]
        for _ in range(timesteps[0], timesteps[1]):
            reached.append(reached[-1] @ move)
        return np.asarray(np.mean(reached, axis=0))

    def _without_first(self, batch: Batch) -> Array:
        codes = batch.inputs.argmax(axis=2)
        places = [
            self._answers(np.hstack([np.full_like(codes[:, :1], first), codes[:, 1:]]), batch.lengths - 1)
            for first in range(3)
        ]
        return np.asarray(CERTAIN * np.eye(PLACES)[np.stack(places)].sum(axis=0))


TASKS = (CycleNavigation,)
