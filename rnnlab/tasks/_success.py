"""Success rules: when a task counts as solved."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Streak:
    """Of the last `sequences` training sequences at most `wrong` are wrong, and their mean loss is below `loss_below`.

    Example:
        >>> Streak(sequences=2000, wrong=140).is_met({"error_rate": 0.07, "loss": 0.1}, 1000)
        True
        >>> Streak(sequences=2000).is_met({"error_rate": 0.001, "loss": 0.1}, 1000)
        False
    """

    sequences: int
    wrong: int = 0
    loss_below: float = float("inf")

    def is_met(self, metrics: Mapping[str, float], sequences: int) -> bool:
        """Return whether so many scored sequences meet the rule, in proportion to their number."""
        wrong = round(metrics["error_rate"] * sequences)
        return wrong * self.sequences <= self.wrong * sequences and metrics["loss"] < self.loss_below

    def __str__(self) -> str:
        limit = "all" if self.wrong == 0 else f"all but {self.wrong}"
        loss = "" if self.loss_below == float("inf") else f", with a mean training loss below {self.loss_below:g}"
        return f"{limit} of the last {self.sequences:,} training sequences correct{loss}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Each of these validation metrics is at most its bound.

    Example:
        >>> Threshold({"error_rate": 0.01}).is_met({"error_rate": 0.008})
        True
    """

    at_most: Mapping[str, float]

    def is_met(self, metrics: Mapping[str, float], sequences: int = 0) -> bool:
        """Return whether metrics meet the rule, of whatever number of sequences they are."""
        return all(metrics[name] <= bound for name, bound in self.at_most.items())

    def __str__(self) -> str:
        return " and ".join(f"validation {metric} at most {bound:g}" for metric, bound in self.at_most.items())


@dataclass(frozen=True, slots=True)
class NoRule:
    """No rule: a task that has none is never counted as solved, nor as not solved."""

    def is_met(self, metrics: Mapping[str, float], sequences: int = 0) -> bool:
        """Return False."""
        return False

    def __str__(self) -> str:
        return "none"


SuccessRule = Streak | Threshold | NoRule
