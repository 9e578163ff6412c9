"""The fixed streams that a network is scored on which runs from sequence to sequence without a reset."""

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np

from rnnlab.backends._recipe import Stream
from rnnlab.backends.base import AbstractModel
from rnnlab.core.batch import Array, Batch, Lengths, within_lengths
from rnnlab.core.losses import LOSSES, too_far
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask, Part, mean_loss

_STAGES = (1024, 64, 8, 1)  # parts of a stream that are scored first: most networks err early
_KEPT_BYTES = 32 << 20  # of a stage


class _Piece(NamedTuple):
    """A part of a stream: (N, I), (N, O) and (N,), of all its steps, and the lengths of its sequences."""

    inputs: Array
    targets: Array
    mask: Array
    lengths: Array


class _Rows(NamedTuple):
    """Streams side by side: (R, L, I), (R, L, O), (R, L) and (R,)."""

    inputs: Array
    targets: Array
    mask: Array
    lengths: Array


@final
class StreamSet:
    """Streams of sequences drawn from `data/validation` or another part; each begins in the zero state.

    With `reset: error` or `both` a stream is scored up to its first wrong step; then `error_rate` is that of streams,
    and `error_free_steps` the mean number of steps before. With `both` each sequence begins in the zero state. Streams
    are scored in stages, of 1/1024, 1/64, 1/8 and then all of their sequences. During training the stage in which one
    of them has an error is the last, and both figures are of what was scored by then: most of the time would else be
    spent on networks that are nearly perfect. The part `test` is scored whole, each stream to its own first error.
    """

    def __init__(
        self,
        task: AbstractTask,
        *,
        sequences: int,
        streams: int,
        timesteps: Lengths,
        seed: int,
        along: Stream,
        part: Part = "validation",
    ) -> None:
        self._task, self._timesteps, self._seed, self._name = task.part(part), timesteps, seed, f"data/{part}"
        self._streams, each = min(streams, sequences), max(1, sequences // streams)
        ends = [-(-each // share) for share in (_STAGES if along.ends_at_errors else _STAGES[-1:])]
        self._sizes = np.diff([0, *ends])  # sequences of a stream that each stage adds
        self._along, self._kept = along, dict[int, list[_Piece]]()
        self._is_whole = part == "test"
        self._batch: Batch | None = None  # of streams without an end, where it is small

    def score(self, model: AbstractModel, *, between: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return `loss`, the mean over all scored steps, and metrics; `between` as of `ValidationSet.score`."""
        with np.errstate(over="ignore", invalid="ignore"):  # the score of a diverged network is inf or nan
            score = self._score_to_errors if self._along.ends_at_errors else self._score_all
            return score(model, between)

    def _score_all(self, model: AbstractModel, between: Callable[[], None]) -> dict[str, float]:
        between()
        batch = self._batch or self._draw(0)
        self._batch = batch if batch.inputs.nbytes <= _KEPT_BYTES else None
        rows = _in_a_row([[piece] for piece in _divided(batch, self._streams)])
        found = model.predict(rows.inputs, rows.lengths).outputs
        outputs = np.zeros((*batch.mask.shape, found.shape[-1]), found.dtype)
        inside, shown = within_lengths(batch.lengths, batch.mask.shape[1]), within_lengths(rows.lengths, found.shape[1])
        outputs[inside] = found[shown]
        answers = LOSSES[self._task.loss].answers(outputs)
        return {"loss": mean_loss(self._task, outputs, batch), **self._task.metrics(answers, batch)}

    def _score_to_errors(self, model: AbstractModel, between: Callable[[], None]) -> dict[str, float]:
        loss, tolerance = LOSSES[self._task.loss], self._task.tolerance
        assert tolerance is not None
        going_on, drawn = np.arange(self._streams), list[list[_Piece]]()
        free, losses, scored = np.zeros((3, self._streams))
        for stage, size in enumerate(self._sizes):
            if not len(going_on) or (len(going_on) < self._streams and not self._is_whole):
                break
            if not size:
                continue
            between()
            drawn.append(self._pieces(stage))
            chosen = [[pieces[row] for pieces in drawn] for row in going_on]
            if self._along.reset == "both":  # what is in a row are then the outputs
                rows = _in_a_row([[_with_outputs(model, piece) for piece in row] for row in chosen])
                outputs = rows.inputs
            else:
                rows = _in_a_row(chosen)
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
        rng, size = stream(self._seed, self._name, stage), self._streams * int(self._sizes[stage])
        return self._task.sample(rng, batch_size=size, timesteps=self._timesteps)

    def _pieces(self, stage: int) -> list[_Piece]:
        """Return what a stage adds to each stream."""
        if stage in self._kept:
            return self._kept[stage]
        pieces = _divided(self._draw(stage), self._streams)
        if sum(array.nbytes for piece in pieces for array in piece) <= _KEPT_BYTES:
            self._kept[stage] = pieces
        return pieces


def _divided(batch: Batch, streams: int) -> list[_Piece]:
    """Return sequences one after another, as so many streams have them, in as little memory as keeps their numbers."""
    each, found = batch.size // streams, list[_Piece]()
    for start in range(0, batch.size, each):
        part = batch.rows(start, start + each)
        inside = within_lengths(part.lengths, part.mask.shape[1])
        arrays = [_smallest(array[inside]) for array in (part.inputs, part.targets)]
        found.append(_Piece(arrays[0], arrays[1], part.mask[inside], part.lengths))
    return found


def _smallest(array: Array) -> Array:
    """Return the same numbers, floating-point ones in the smallest of some types that has them all."""
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        smaller = (array.astype(kind) for kind in (np.int8, np.float32))
        return next((one for one in smaller if np.array_equal(one, array)), array)


def _with_outputs(model: AbstractModel, piece: _Piece) -> _Piece:
    """Return a piece with outputs in place of its inputs, where each sequence begins in the zero state."""
    inside = within_lengths(piece.lengths, int(piece.lengths.max()))
    inputs = np.zeros((*inside.shape, piece.inputs.shape[-1]))
    inputs[inside] = piece.inputs
    return piece._replace(inputs=model.predict(inputs, piece.lengths).outputs[inside])


def _in_a_row(streams: list[list[_Piece]]) -> _Rows:
    """Return streams side by side, each of some pieces one after another."""
    lengths = np.array([sum(len(piece.mask) for piece in pieces) for pieces in streams])
    arrays = []
    for kind in range(3):
        first = streams[0][0][kind]
        is_float = first.dtype == np.int8 or first.dtype.kind == "f"
        whole = np.zeros((len(lengths), lengths.max(), *first.shape[1:]), np.float64 if is_float else first.dtype)
        for row, pieces in zip(whole, streams, strict=True):
            row[: sum(len(piece.mask) for piece in pieces)] = np.concatenate([piece[kind] for piece in pieces])
        arrays.append(whole)
    return _Rows(arrays[0], arrays[1], arrays[2], lengths)
