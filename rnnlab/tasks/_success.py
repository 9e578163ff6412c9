"""Success rules: when a task counts as solved."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnnlab.core.batch import Array


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a success rule can use.

    Attributes:
        validation: Metrics of the newest validation; None at a step without one.
        recent: Which of the newest training sequences are correct, oldest first, (N,) bool.
        recent_loss: Mean training loss over the batches those sequences came from.
    """

    validation: Mapping[str, float] | None
    recent: Array
    recent_loss: float


@dataclass(frozen=True, slots=True)
class Streak:
    """Of the last `sequences` training sequences at most `wrong` are wrong, and their mean loss is below `loss_below`.

    Example:
        >>> import numpy as np
        >>> rule = Streak(sequences=3, wrong=0)
        >>> rule.is_met(Evidence(None, np.array([False, True, True, True]), 0.0))
        True
        >>> rule.is_met(Evidence(None, np.array([True, True]), 0.0))
        False
    """

    sequences: int
    wrong: int = 0
    loss_below: float = float("inf")

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence meets the rule."""
        newest = evidence.recent[-self.sequences :]
        enough = len(newest) == self.sequences and self.sequences - int(newest.sum()) <= self.wrong
        return bool(enough and evidence.recent_loss < self.loss_below)

    def __str__(self) -> str:
        limit = "all" if self.wrong == 0 else f"all but {self.wrong}"
        loss = "" if self.loss_below == float("inf") else f", with a mean training loss below {self.loss_below:g}"
        return f"{limit} of the last {self.sequences:,} training sequences correct{loss}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Each of these validation metrics is at most its bound.

    Example:
        >>> import numpy as np
        >>> Threshold({"error_rate": 0.01}).is_met(Evidence({"error_rate": 0.008}, np.zeros(0), 1.0))
        True
    """

    at_most: Mapping[str, float]

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence meets the rule; False without a validation."""
        found = evidence.validation
        return found is not None and all(found[metric] <= bound for metric, bound in self.at_most.items())

    def __str__(self) -> str:
        return " and ".join(f"validation {metric} at most {bound:g}" for metric, bound in self.at_most.items())


@dataclass(frozen=True, slots=True)
class NoRule:
    """No rule: a task that has none is never counted as solved, nor as not solved."""

    def is_met(self, evidence: Evidence) -> bool:
        """Return False."""
        return False

    def __str__(self) -> str:
        return "none"


SuccessRule = Streak | Threshold | NoRule
