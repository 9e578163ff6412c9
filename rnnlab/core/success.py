"""Success rules: when a task counts as solved, by the training stream or by a validation."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnnlab.core.batch import Array


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a success rule may look at.

    Attributes:
        validation: Metrics of the newest validation, or None when this step had none.
        recent: Correctness of the newest training sequences, oldest first, (N,) bool.
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
        """Return whether the evidence satisfies the rule."""
        newest = evidence.recent[-self.sequences :]
        enough = len(newest) == self.sequences and self.sequences - int(newest.sum()) <= self.wrong
        return bool(enough and evidence.recent_loss < self.loss_below)

    def __str__(self) -> str:
        limit = "all" if self.wrong == 0 else f"all but {self.wrong}"
        loss = "" if self.loss_below == float("inf") else f", with a mean training loss below {self.loss_below:g}"
        return f"{limit} of the last {self.sequences:,} training sequences correct{loss}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The validation metric `metric` is at most `at_most`.

    Example:
        >>> import numpy as np
        >>> Threshold("error_rate", 0.01).is_met(Evidence({"error_rate": 0.008}, np.zeros(0), 1.0))
        True
    """

    metric: str
    at_most: float

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence satisfies the rule; False without a validation."""
        return evidence.validation is not None and evidence.validation[self.metric] <= self.at_most

    def __str__(self) -> str:
        return f"validation {self.metric} at most {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of several validation thresholds are met at once."""

    rules: tuple[Threshold, ...]

    def is_met(self, evidence: Evidence) -> bool:
        """Return whether the evidence satisfies every rule; False without a validation."""
        return all(rule.is_met(evidence) for rule in self.rules)

    def __str__(self) -> str:
        return " and ".join(map(str, self.rules))


SuccessRule = Streak | Threshold | AllOf
