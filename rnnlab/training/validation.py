"""The fixed set of sequences that a network is scored on."""

from collections.abc import Callable, Iterator

import numpy as np

from rnnlab.backends.base import AbstractModel
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch, Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks._contract import drawn
from rnnlab.tasks.base import AbstractTask, Part, is_largest, mean_loss
from rnnlab.training.source import numbers_per_step
from rnnlab.training.stream_set import StreamSet

_MOST_SEQUENCES = 256  # per batch
_MOST_NUMBERS = 4_000_000  # of inputs in a batch
_KEPT_BYTES = 64 << 20


class ValidationSet:
    """Sequences drawn from a stream of their own, `data/validation`: the same ones every time they are asked for.

    Args:
        part: The part of the task that draws them, which names the stream too; another one is `test`.
    """

    def __init__(
        self, task: AbstractTask, *, sequences: int, timesteps: Lengths, seed: int, part: Part = "validation"
    ) -> None:
        self._task, self._timesteps, self._seed = task.part(part), timesteps, seed
        self._stream = f"data/{part}"
        self._sizes = batch_sizes(sequences, numbers_each=timesteps[1] * numbers_per_step(task))
        small = sequences * timesteps[1] * numbers_per_step(task) * 8 <= _KEPT_BYTES
        self._kept = [self._draw(n) for n in range(len(self._sizes))] if small else None

    def score(self, model: AbstractModel, *, between: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return `loss`, the mean over all scored steps, and the task's metrics, of all sequences.

        What `between` raises, called before each batch, ends the scoring.
        """
        steps = sequences = 0
        totals: dict[str, float] = {}
        with np.errstate(over="ignore", invalid="ignore"):  # the score of a diverged network is inf or nan
            for batch in self._batches():
                between()
                outputs = model.outputs(batch)
                scored = int(np.count_nonzero(batch.mask))
                totals["loss"] = totals.get("loss", 0.0) + scored * mean_loss(self._task, outputs, batch)
                for name, value in self._task.metrics(LOSSES[self._task.loss].answers(outputs), batch).items():
                    if is_largest(name):
                        totals[name] = float(np.maximum(totals.get(name, value), value))
                    else:
                        totals[name] = totals.get(name, 0.0) + batch.size * value
                steps, sequences = steps + scored, sequences + batch.size
        counts = {"loss": steps} | {name: 1 for name in totals if is_largest(name)}
        return {name: total / counts.get(name, sequences) for name, total in totals.items()}

    def _batches(self) -> Iterator[Batch]:
        yield from self._kept if self._kept is not None else map(self._draw, range(len(self._sizes)))

    def _draw(self, n: int) -> Batch:
        rng = stream(self._seed, self._stream, n)
        return drawn(self._task, rng, batch_size=self._sizes[n], timesteps=self._timesteps)


def scored_set(experiment: Experiment, task: AbstractTask, part: Part = "validation") -> ValidationSet | StreamSet:
    """Return the sequences that the networks of an experiment are scored on: apart, or where it says so in streams."""
    evaluation = experiment.evaluation
    count, timesteps, seed = evaluation.sequences, experiment.timesteps, experiment.seed
    along = experiment.recipe().stream
    if along is None or along.reset == "sequence":
        return ValidationSet(task, sequences=count, timesteps=timesteps, seed=seed, part=part)
    return StreamSet(
        task,
        sequences=count,
        streams=evaluation.streams,
        timesteps=timesteps,
        seed=seed,
        along=along,
        part=part,
    )


def batch_sizes(sequences: int, *, numbers_each: int) -> list[int]:
    """Return how many sequences are scored at a time, the largest batch first.

    Example:
        >>> batch_sizes(600, numbers_each=1000), batch_sizes(2, numbers_each=10**9)
        ([256, 256, 88], [1, 1])
    """
    size = max(1, min(_MOST_SEQUENCES, _MOST_NUMBERS // numbers_each))
    full, rest = divmod(sequences, size)
    return [size] * full + [rest] * (rest > 0)
