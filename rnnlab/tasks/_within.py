"""The criterion of 1997 for classes: every output within a tolerance of what it should be."""

from typing import ClassVar

import numpy as np

from rnnlab.core.batch import Array, Batch
from rnnlab.core.losses import LOSSES
from rnnlab.tasks.base import AbstractTask


class AbstractWithinTolerance(AbstractTask):
    """Classes; a sequence is right when the probability of each class is within `tolerance` of 0 or 1."""

    tolerance: ClassVar[float]
    judged: ClassVar[slice] = slice(None)  # of sequences with a target at each step, the steps that are looked at
    loss = "cross_entropy"
    follows_loss = True
    maximised = frozenset({"accuracy"})

    def correct(self, outputs: Array, batch: Batch) -> Array:
        return np.asarray(self._largest_errors(outputs, batch) < self.tolerance)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of last steps where the largest output is right, and `largest_error`, of any."""
        last = (slice(None), -1) if self.return_sequences else slice(None)
        hits = outputs[last].argmax(axis=-1) == batch.targets[last]
        largest = self._largest_errors(outputs, batch).max()
        return super().metrics(outputs, batch) | {"accuracy": float(hits.mean()), "largest_error": float(largest)}

    def _largest_errors(self, outputs: Array, batch: Batch) -> Array:
        """Return the largest absolute error of the probabilities of each sequence, (B,)."""
        judged = (slice(None), self.judged) if self.return_sequences else slice(None)
        aims = np.eye(self.output_features)[batch.targets[judged]]
        errors = np.abs(LOSSES[self.loss].chances(outputs[judged]) - aims)
        return np.asarray(errors.reshape(batch.size, -1).max(axis=1))
