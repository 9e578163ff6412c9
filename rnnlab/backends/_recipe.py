"""How a network is trained: the update rule, how far gradients flow, and when updates are made."""

from dataclasses import dataclass
from typing import Any, Literal

from rnnlab.optim.rules.base import AbstractOptimizer
from rnnlab.optim.schedules.base import AbstractSchedule

Reset = Literal["sequence", "never", "error", "both"]
_NO_LIMIT = 2**62  # streams


@dataclass(frozen=True, slots=True)
class Stream:
    """Updates at every time step, while the network runs along a stream: sequences one after another.

    The gradient of a step's loss flows back through all steps since the last reset, by eligibility traces (see
    `rnnlab.equations.traces`); with `bptt_steps` 1 it does not leave the step.

    Attributes:
        reset: When the state and the traces become zero and a new stream begins: before each sequence; never; after a
            wrong step, in which case the rest of that sequence is left out; or both: a stream ends at a wrong step,
            and within it state and traces become zero before each sequence.
        decay: What the learning rate is multiplied by at each step since the last reset.
        steps: After so many steps a stream ends with the sequence that it is in; None for never.
        tolerance: A step is wrong where an output differs from its target by more than this; None for no such rule.
        every: A block of updates ends where the number of streams is a multiple of this; None: streams end no block.
        most: A block ends with this stream, which is the last; None for no limit.
    """

    reset: Reset = "sequence"
    decay: float = 1.0
    steps: int | None = None
    tolerance: float | None = None
    every: int | None = None
    most: int | None = None

    @property
    def ends_at_errors(self) -> bool:
        """Whether a stream ends at its first wrong step."""
        return self.reset in {"error", "both"}

    def left(self, ended: int) -> int:
        """Return how many more streams may end in a block, where so many have ended before it.

        Example:
            >>> [Stream(every=10, most=25).left(ended) for ended in (0, 9, 10, 20, 24)]
            [10, 1, 10, 5, 1]
        """
        of_all = _NO_LIMIT if self.most is None else max(1, self.most - ended)
        return of_all if self.every is None else min(of_all, self.every - ended % self.every)


@dataclass(frozen=True, slots=True)
class Training:
    """How parameters are updated.

    Attributes:
        optimizer: The update rule, configured.
        learning_rate: The base rate, > 0.
        schedule: Multiplies the base rate; a function of the updates done and, for `plateau`, of the evaluations.
        sums_steps: Whether gradients are of a sequence's summed loss, not of the mean over steps, which is reported.
        gradient_regularizer: The weight of a term by which gradients keep their norm through time. NumPy alone can.
        clip_norm: Bound on the global norm of all gradients together, or None.
        clip_value: Bound on each gradient's absolute value, or None.
        bptt_steps: k of truncated back-propagation through time: gradients flow back within windows of k steps, counted
            from the end of each sequence; None for no windows. It is TBPTT(k1 = k, k2 = k) of Sutskever 2013, "Training
            recurrent neural networks", but for two things: all windows of a batch make one update, and it is the first
            window, not the last, that is shorter where T is no multiple of k.
        longest: Steps of the longest sequence to come, where that is known: an engine may lay out its buffers for it.
        one_hot: Whether inputs are `Symbols`: an engine may read one row of a matrix in place of a product.
        recompute: Whether to keep states only now and then and go forward twice: memory grows as √T and not as T, for
            a third more time and the same numbers. `auto`: where the memory would be large. NumPy alone can.
        stream: Where an update is made at every time step of a stream, how; None for one update per batch.
    """

    optimizer: AbstractOptimizer[Any]
    learning_rate: float
    schedule: AbstractSchedule[Any]
    sums_steps: bool = False
    gradient_regularizer: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    bptt_steps: int | None = None
    longest: int | None = None
    one_hot: bool = False
    recompute: Literal["auto", "off", "sqrt"] = "auto"
    stream: Stream | None = None
