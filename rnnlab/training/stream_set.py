"""The fixed streams that a network is scored on which runs from sequence to sequence without a reset."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends._recipe import Reset
from rnnlab.backends.base import AbstractModel
from rnnlab.core.batch import Batch, Lengths, within_lengths
from rnnlab.core.losses import LOSSES, too_far
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Part, mean_loss

Array = NDArray[Any]
_STAGES = (1024, 64, 8, 1)  # parts of a stream that are scored first: most networks err early
_KEPT_NUMBERS = 2_000_000


class _Rows(NamedTuple):
    """Streams side by side: (R, L, I), (R, L, O), (R, L) and (R,)."""

    inputs: Array
    targets: Array
    mask: Array
    lengths: Array


@final
class StreamSet:
    """Streams of sequences drawn from `data/validation` or another part; each begins in the zero state.

    With `reset: error` a stream is scored up to its first wrong step; then `error_rate` is that of streams, and
    `error_free_steps` the mean number of steps before.

    Args:
        task: Draws the sequences.
        sequences: How many, in all streams.
        streams: How many streams they make up.
        timesteps: The shortest and longest sequence.
        seed: The run's seed.
        reset: How the network is trained.
        part: Of the task.
    """

    def __init__(
        self,
        task: AbstractTask,
        *,
        sequences: int,
        streams: int,
        timesteps: Lengths,
        seed: int,
        reset: Reset,
        part: Part = "validation",
    ) -> None:
        self._task, self._timesteps, self._seed, self._name = task.part(part), timesteps, seed, f"data/{part}"
        self._streams, each = min(streams, sequences), max(1, sequences // streams)
        ends = [-(-each // share) for share in (_STAGES if reset == "error" else _STAGES[-1:])]
        self._sizes = np.diff([0, *ends])  # sequences of a stream that each stage adds
        self._ends_at_errors, self._kept = reset == "error", dict[int, Batch]()

    def score(self, model: AbstractModel, *, between: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return `loss`, the mean over all scored steps, and metrics.

        Args:
            model: The network.
            between: Called before each prediction; what it raises ends the scoring.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # the score of a diverged network is inf or nan
            return self._score_to_errors(model, between) if self._ends_at_errors else self._score_all(model, between)

    def _score_all(self, model: AbstractModel, between: Callable[[], None]) -> dict[str, float]:
        between()
        batch = self._draw(0)
        rows = _in_a_row([batch], range(self._streams), self._streams)
        found = model.predict(rows.inputs, rows.lengths).outputs
        outputs = np.zeros((*batch.mask.shape, found.shape[-1]), found.dtype)
        inside, shown = within_lengths(batch.lengths, batch.mask.shape[1]), within_lengths(rows.lengths, found.shape[1])
        outputs[inside] = found[shown]
        answers = LOSSES[self._task.loss].answers(outputs)
        return {"loss": mean_loss(self._task, outputs, batch), **self._task.metrics(answers, batch)}

    def _score_to_errors(self, model: AbstractModel, between: Callable[[], None]) -> dict[str, float]:
        loss, tolerance = LOSSES[self._task.loss], self._task.tolerance
        assert tolerance is not None
        going_on, drawn = np.arange(self._streams), list[Batch]()
        free, losses, scored = np.zeros((3, self._streams))
        for stage, size in enumerate(self._sizes):
            if not len(going_on) or not size:
                continue
            between()
            drawn.append(self._draw(stage))
            rows = _in_a_row(drawn, going_on, self._streams)
            outputs = model.predict(rows.inputs, rows.lengths).outputs
            wrong = too_far(loss.answers(outputs), rows.targets, tolerance) & rows.mask
            shown = rows.mask & (wrong.cumsum(axis=1) <= wrong)  # up to the first wrong step
            values = np.where(shown, loss.values(outputs, rows.targets), 0.0)
            losses[going_on], scored[going_on] = values.sum(axis=1), shown.sum(axis=1)
            free[going_on] = (shown & ~wrong).sum(axis=1)
            going_on = going_on[~wrong.any(axis=1)]
        rate, total = 1 - len(going_on) / self._streams, float(scored.sum())
        return {"loss": float(losses.sum()) / total, "error_rate": rate, "error_free_steps": float(free.mean())}

    def _draw(self, stage: int) -> Batch:
        if stage in self._kept:
            return self._kept[stage]
        rng, size = stream(self._seed, self._name, stage), self._streams * int(self._sizes[stage])
        batch = self._task.sample(rng, batch_size=size, timesteps=self._timesteps)
        if batch.inputs.size <= _KEPT_NUMBERS:
            self._kept[stage] = batch
        return batch


def _in_a_row(parts: list[Batch], chosen: Any, streams: int) -> _Rows:
    """Return some of the streams: each has the sequences that follow each other in each of the parts."""
    pieces = list[list[tuple[Array, Array, Array]]]()
    for row in chosen:
        pieces.append([])
        for part in parts:
            each = part.size // streams
            batch = part.rows(row * each, (row + 1) * each)
            inside = within_lengths(batch.lengths, batch.mask.shape[1])
            pieces[-1].append((batch.inputs[inside], batch.targets[inside], batch.mask[inside]))
    lengths = np.array([sum(len(mask) for *_, mask in row) for row in pieces])
    arrays = []
    for kind in range(3):
        first = pieces[0][0][kind]
        whole = np.zeros((len(lengths), lengths.max(), *first.shape[1:]), first.dtype)
        for number, row in enumerate(pieces):
            whole[number, : lengths[number]] = np.concatenate([piece[kind] for piece in row])
        arrays.append(whole)
    return _Rows(arrays[0], arrays[1], arrays[2], lengths)
