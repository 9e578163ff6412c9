"""What a task states about itself: its card, published results, and what predictors of some knowledge score."""

from collections.abc import Callable
from dataclasses import dataclass

from rnnlab.core.batch import Array, Batch


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference predictor: what a network scores that knows only part of what the task needs.

    Attributes:
        name: What the predictor knows, e.g. `remembers the second number`; it begins with `fitted` if the predictor was
            fitted to data, those of training, and with `measured` if its loss was measured on sequences of its own.
        loss: Its expected loss; exact, unless the name says that it was measured.
        predict: The predictor itself, from a batch to raw outputs. A test measures that its loss is `loss`.
        needs_memory: Whether it needs more than the inputs of the step that it answers, e.g. earlier steps or their
            number. The best reference that does not is the baseline.
    """

    name: str
    loss: float
    predict: Callable[[Batch], Array]
    needs_memory: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """A published result: what was trained and reached, and where that is printed."""

    result: str
    source: str
