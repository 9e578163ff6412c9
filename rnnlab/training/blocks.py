"""A training computes its updates in blocks: it asks for one, and who drives the training answers with its results.

Driven alone, each request is answered at once. Those of a population are answered together (see `population`).
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, final

from rnnlab.backends.base import AbstractBackend, AbstractModel, BlockResult, nothing
from rnnlab.core.batch import Batch
from rnnlab.training.events import Event

BLOCK_SECONDS = 0.05  # that a block should last: little enough to stop soon, much enough to cost nothing
P = ParamSpec("P")
T = TypeVar("T")
_GROWTH = 4  # of a block, compared with the one before


@final
@dataclass(frozen=True, slots=True)
class Request:
    """A request for a block of updates."""

    backend: AbstractBackend
    model: AbstractModel
    batch: Batch  # `updates` batches
    updates: int  # how many; the answer may have fewer
    meanwhile: Callable[[], None] = nothing

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the inputs of one update: (B, T, I)."""
        return self.batch.size // self.updates, *self.batch.shape[1:]


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """The results of a block, the seconds that it took, and for how many updates it was."""

    result: BlockResult
    seconds: float
    updates: int


# What yields events and requests, and gets an answer for each request.
Training = Generator[Event | Request, Answer | None, None]


def answered(training: Training) -> Generator[Event, None, None]:
    """Yield the events of a training, and compute its blocks; closed, it closes the training.

    An error while a block is computed is raised in the training, which stores how it ended.
    """
    answer: Answer | BaseException | None = None
    with closing(training), suppress(StopIteration):
        while True:
            item, answer = resumed(training, answer), None
            if not isinstance(item, Request):
                yield item
                continue
            try:
                answer = _compute(item)
            except BaseException as error:
                answer = error


def resumed(training: Generator[T, Answer | None, Any], answer: Answer | BaseException | None) -> T:
    """Return what a training yields next, given the answer to its last request; an error is raised in it."""
    return training.throw(answer) if isinstance(answer, BaseException) else training.send(answer)


def answering(begin: Callable[P, Training]) -> Callable[P, Generator[Event, None, None]]:
    """Make a function that returns a training return its events; see `answered`."""

    @wraps(begin)
    def driven(*args: P.args, **kwargs: P.kwargs) -> Generator[Event, None, None]:
        return answered(begin(*args, **kwargs))

    return driven


def _compute(request: Request) -> Answer:
    began = time.perf_counter()
    result = request.model.train_block(request.batch, updates=request.updates, meanwhile=request.meanwhile)
    return Answer(result, time.perf_counter() - began, request.updates)


@final
class Pace:
    """How many updates make a block that lasts `BLOCK_SECONDS`; the results do not depend on it."""

    def __init__(self) -> None:
        self._updates = 1

    def updates(self, most: int) -> int:
        """Return how many updates to do next, `most` at most."""
        return min(self._updates, most)

    def took(self, seconds: float, updates: int) -> None:
        """Note how long some updates took."""
        fitting = int(BLOCK_SECONDS * updates / seconds) if seconds > 0 else _GROWTH * updates
        self._updates = max(1, min(fitting, _GROWTH * self._updates))
